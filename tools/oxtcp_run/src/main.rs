// SPDX-License-Identifier: GPL-2.0

//! `oxtcp_run`: runs a program that was written for TCP sockets of AF_INET and AF_INET6 on AF_OXTCP.
//!
//! The command takes the place of this process by `exec`, so that its exit status, its signals and its
//! place in the shell's job control are its own.

// Rust's runtime would ignore SIGPIPE and open what is closed of the standard streams, and the command
// would inherit that.
#![cfg_attr(not(test), no_main)]

mod arguments;
mod caller;
mod filter;
mod oxtcp;
mod pass;
mod preload;
mod seccomp;
mod supervisor;
mod trap;

use arguments::{Arguments, Request};
use std::ffi::{c_char, c_int, CString, OsString};
use std::fmt::{self, Display, Formatter};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;

/// Exit status where the fault is oxtcp_run's; as with env(1), nohup(1) and timeout(1).
const FAILED: c_int = 125;
/// Exit status for a command that is there and cannot be started.
const CANNOT_START: c_int = 126;
/// Exit status for a command that is not there.
const NOT_FOUND: c_int = 127;

/// Why the command was not started.
struct Failure {
    status: c_int,
    reason: String,
}

impl Failure {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            status: FAILED,
            reason: reason.into(),
        }
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "oxtcp_run: {}", self.reason)
    }
}

/// The entry that C's start-up code calls; the arguments are read by `std::env::args_os`, which does
/// not need the runtime.
#[cfg_attr(not(test), no_mangle)]
pub extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    let failure = match arguments::parse(std::env::args_os()) {
        Ok(Request::Help) => return answer(arguments::HELP),
        Ok(Request::Version) => return answer(arguments::VERSION),
        Ok(Request::Run(arguments)) => run(arguments),
        Err(error) => Failure::new(format!("{error}\n{}", arguments::USAGE)),
    };
    // Nobody is left to tell where this fails.
    let _ = writeln!(std::io::stderr(), "{failure}");
    failure.status
}

/// Prints what was asked for.
fn answer(text: &str) -> c_int {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => FAILED,
    }
}

/// Starts the command; returns only where it could not.
fn run(arguments: Arguments) -> Failure {
    if let Err(error) = oxtcp::probe() {
        if arguments.strict {
            return Failure::new(format!(
                "AF_OXTCP is not there ({error}): is the module oxtcp loaded?"
            ));
        }
        if arguments.verbose {
            let _ = writeln!(
                std::io::stderr(),
                "oxtcp_run: AF_OXTCP is not there ({error}): until it is, sockets are Linux's"
            );
        }
    }
    let prepared = if arguments.trap {
        trap::prepare(&arguments)
    } else {
        preload::prepare(&arguments)
    };
    match prepared {
        Ok(()) => execute(arguments.command),
        Err(failure) => failure,
    }
}

/// Becomes the command; returns only where that fails.
fn execute(command: Vec<OsString>) -> Failure {
    let name = command[0].to_string_lossy().into_owned();
    let words: Result<Vec<CString>, _> = command
        .into_iter()
        .map(|word| CString::new(word.into_vec()))
        .collect();
    let Ok(words) = words else {
        return Failure::new("an argument has a zero byte");
    };
    let Err(errno) = nix::unistd::execvp(&words[0], &words);
    Failure {
        status: match errno {
            nix::Error::ENOENT => NOT_FOUND,
            _ => CANNOT_START,
        },
        reason: format!("{name}: {}", errno.desc()),
    }
}
