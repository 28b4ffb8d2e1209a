// SPDX-License-Identifier: GPL-2.0

//! The command line.

use lexopt::prelude::*;
use std::ffi::OsString;

pub(crate) const USAGE: &str =
    "usage: oxtcp_run [-v] [--strict] [--trap] [--] COMMAND [ARGUMENT]...";

pub(crate) const VERSION: &str = concat!("oxtcp_run ", env!("CARGO_PKG_VERSION"), "\n");

pub(crate) const HELP: &str = "\
usage: oxtcp_run [-v] [--strict] [--trap] [--] COMMAND [ARGUMENT]...

Runs COMMAND, and what it starts, with AF_OXTCP in place of Linux's TCP: its
stream sockets of AF_INET and AF_INET6 become ones of AF_OXTCP. All other
sockets are left alone.

  -v, --verbose  tell on standard error what became of each such socket
      --trap     by system calls, also of static programs and Go's; without it
                 by a library, which only dynamically linked programs load
      --strict   do not fall back to Linux's TCP where AF_OXTCP is not there
  -h, --help     show this
  -V, --version  show the version

Exit status is COMMAND's, or 125 if oxtcp_run fails, 126 if COMMAND cannot be
started, 127 if it is not found. See oxtcp_run(1).
";

/// What to run, and how.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Arguments {
    pub(crate) verbose: bool,
    pub(crate) strict: bool,
    pub(crate) trap: bool,
    /// Program and arguments; never empty.
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    Help,
    Version,
    Run(Arguments),
}

/// Reads a command line that begins with our own name. Options end where the command begins.
pub(crate) fn parse(words: impl IntoIterator<Item = OsString>) -> Result<Request, lexopt::Error> {
    let mut arguments = Arguments::default();
    let mut parser = lexopt::Parser::from_iter(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Short('v') | Long("verbose") => arguments.verbose = true,
            Long("strict") => arguments.strict = true,
            Long("trap") => arguments.trap = true,
            Short('h') | Long("help") => return Ok(Request::Help),
            Short('V') | Long("version") => return Ok(Request::Version),
            Value(command) => {
                arguments.command.push(command);
                arguments.command.extend(parser.raw_args()?);
                return Ok(Request::Run(arguments));
            }
            _ => return Err(argument.unexpected()),
        }
    }
    Err("COMMAND is missing".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Request, String> {
        let words = ["oxtcp_run"].iter().chain(words).map(OsString::from);
        parse(words).map_err(|error| error.to_string())
    }

    fn command(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let expected = Arguments {
            verbose: true,
            command: command(&["curl", "-v", "--strict", "--", "-h"]),
            ..Arguments::default()
        };
        assert_eq!(
            parsed(&["-v", "curl", "-v", "--strict", "--", "-h"]),
            Ok(Request::Run(expected))
        );
    }

    #[test]
    fn two_dashes_end_options() {
        let expected = Arguments {
            strict: true,
            command: command(&["-odd", "-v"]),
            ..Arguments::default()
        };
        assert_eq!(
            parsed(&["--strict", "--", "-odd", "-v"]),
            Ok(Request::Run(expected))
        );
    }

    #[test]
    fn wrong_lines_are_refused() {
        for words in [
            &[][..],
            &["-v"],
            &["--"],
            &["-x", "true"],
            &["--strict=no", "true"],
        ] {
            assert!(parsed(words).is_err(), "{words:?}");
        }
    }
}
