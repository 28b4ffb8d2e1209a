// SPDX-License-Identifier: GPL-2.0

//! `--trap`: the filter on this process, which becomes the command, and the supervisor in another.
//!
//! The supervisor is nobody's child but init's: the command waits for its own children only. It blocks all
//! signals, since those under the filter cannot make a socket without it, and ends with the last of them.

use crate::arguments::Arguments;
use crate::supervisor::Supervisor;
use crate::{filter, pass, seccomp, Failure};
use nix::errno::Errno;
use nix::fcntl::{fcntl, FcntlArg, OFlag};
use nix::sys::signal::{SigSet, SigmaskHow};
use nix::sys::stat::Mode;
use nix::unistd::{fork, ForkResult};
use std::ffi::{c_int, c_long};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Starts the supervisor and puts this process under the filter.
pub(crate) fn prepare(arguments: &Arguments) -> Result<(), Failure> {
    check_proc()?;
    let cannot =
        |error: Errno| Failure::new(format!("cannot start the supervisor: {}", error.desc()));
    let (ours, supervisors) = pass::way().map_err(cannot)?;
    start(arguments, &supervisors).map_err(cannot)?;
    drop(supervisors);
    let listener = seccomp::install(&filter::program()).map_err(|error| {
        Failure::new(match error {
            Errno::EBUSY => "--trap: another supervisor already answers for this process".into(),
            Errno::EINVAL | Errno::ENOSYS => {
                "--trap: the kernel has no user notification (CONFIG_SECCOMP_FILTER)".into()
            }
            error => format!("--trap: {}", error.desc()),
        })
    })?;
    hand_over(&ours, &listener).map_err(cannot)
}

/// The supervisor looks up in /proc who calls, by the numbers that its own namespace has for them.
fn check_proc() -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    match numbers.map(|numbers| numbers.split_ascii_whitespace().count()) {
        Some(1) => Ok(()),
        Some(_) => Err(Failure::new(
            "--trap: /proc is that of another namespace of processes",
        )),
        None => Err(Failure::new("--trap: /proc is not mounted")),
    }
}

/// Starts the supervisor by way of a process that ends at once.
fn start(arguments: &Arguments, supervisors: &OwnedFd) -> Result<(), Errno> {
    // No flags, thus no SIGCHLD either: blocked, it would be pending when the command begins.
    // SAFETY: As fork(2), in a process with one thread.
    let child = Errno::result(unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) })?;
    if child > 0 {
        return wait(child);
    }
    // SAFETY: This process has one thread.
    let status = match unsafe { fork() } {
        Ok(ForkResult::Child) => {
            // All else that is open here is closed there. Whom it might tell of errors sees the way closed.
            let _ = supervise(arguments, supervisors);
            0
        }
        Ok(ForkResult::Parent { .. }) => 0,
        Err(error) => error as c_int,
    };
    // SAFETY: Ends the process, and runs nothing that the other one runs too.
    unsafe { libc::_exit(status) }
}

fn wait(child: c_long) -> Result<(), Errno> {
    let mut status = 0;
    loop {
        // SAFETY: The kernel writes one integer.
        let result = unsafe { libc::waitpid(child as c_int, &raw mut status, libc::__WCLONE) };
        match Errno::result(result) {
            Err(Errno::EINTR) => (),
            // Where SIGCHLD is ignored nobody can be waited for.
            Err(Errno::ECHILD) => return Ok(()),
            Err(error) => return Err(error),
            Ok(_) => break,
        }
    }
    match libc::WEXITSTATUS(status) {
        0 => Ok(()),
        error => Err(Errno::from_raw(error)),
    }
}

/// Gives the supervisor the listener, waits until it has it, and lets no other process trace us for it.
fn hand_over(to: &OwnedFd, listener: &seccomp::Listener) -> Result<(), Errno> {
    pass::send(to, listener.as_fd())?;
    let mut number = [0; 4];
    if nix::unistd::read(to, &mut number)? != number.len() {
        return Err(Errno::ESRCH);
    }
    // Yama would refuse the supervisor, which is no ancestor, the descriptors and the memory of this process. Without Yama
    // the call fails, and nothing is missing.
    // SAFETY: The call takes no pointers.
    unsafe {
        libc::prctl(
            libc::PR_SET_PTRACER,
            u32::from_ne_bytes(number) as libc::c_ulong,
            0,
            0,
            0,
        )
    };
    Ok(())
}

/// The life of the supervisor; by `way` the listener comes.
fn supervise(arguments: &Arguments, way: &OwnedFd) -> Result<(), Errno> {
    // The way itself may have got the number of a standard descriptor that was closed.
    let end = fcntl(way, FcntlArg::F_DUPFD_CLOEXEC(3))?;
    detach(arguments.verbose, end)?;
    // SAFETY: The descriptor is this process's, and nobody else uses it after this.
    let end = unsafe { OwnedFd::from_raw_fd(end) };
    let listener = pass::receive(&end)?;
    nix::unistd::write(&end, &std::process::id().to_ne_bytes())?;
    drop(end);
    let supervisor = Supervisor {
        listener: listener.into(),
        verbose: arguments.verbose,
        strict: arguments.strict,
    };
    supervisor.serve();
    Ok(())
}

/// Leaves session and directory, and keeps nothing open that another might wait to be closed.
fn detach(verbose: bool, end: RawFd) -> Result<(), Errno> {
    nix::sys::signal::sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), None)?;
    nix::unistd::setsid()?;
    nix::unistd::chdir("/")?;
    // Where standard error is closed, its number must not become that of a socket.
    // SAFETY: The call takes no pointers.
    let heard = verbose && unsafe { libc::fcntl(libc::STDERR_FILENO, libc::F_GETFD) } >= 0;
    let null = nix::fcntl::open("/dev/null", OFlag::O_RDWR, Mode::empty())?;
    for standard in 0..if heard { 2 } else { 3 } {
        // SAFETY: Nothing in this process owns the standard descriptors.
        Errno::result(unsafe { libc::dup2(null.as_raw_fd(), standard) })?;
    }
    // It may be a standard descriptor now, else it is closed with the others.
    std::mem::forget(null);
    for (first, last) in [(3, end as u32 - 1), (end as u32 + 1, u32::MAX)] {
        if first <= last {
            // SAFETY: What is closed is used nowhere after this.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
    Ok(())
}
