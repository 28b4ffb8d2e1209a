// SPDX-License-Identifier: GPL-2.0

//! What the dynamic linker and our library read from the environment.

use crate::arguments::Arguments;
use crate::Failure;
use nix::sys::stat::fstat;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const LIBRARY: &str = "liboxtcp-preload.so";

/// Sets the environment so that the command, and what it starts, load the library.
pub(crate) fn prepare(arguments: &Arguments) -> Result<(), Failure> {
    let library = library()?;
    std::env::set_var("LD_PRELOAD", list(std::env::var_os("LD_PRELOAD"), &library));
    let verbose = arguments.verbose.then(|| users_socket().to_string());
    let strict = arguments.strict.then(|| String::from("1"));
    for (name, value) in [("OXTCP_RUN_VERBOSE", verbose), ("OXTCP_RUN_STRICT", strict)] {
        match value {
            Some(value) => std::env::set_var(name, value),
            None => std::env::remove_var(name),
        }
    }
    Ok(())
}

/// The inode of standard error if that is a socket, as a journal's is, else 0. The library writes to no other socket, since
/// it may be a connection of the program's.
fn users_socket() -> u64 {
    match fstat(std::io::stderr()) {
        Ok(status) if status.st_mode & libc::S_IFMT == libc::S_IFSOCK => status.st_ino,
        _ => 0,
    }
}

/// The library beside this program, as it is built, or in the `lib` beside its `bin`, as it is installed.
fn library() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot tell where {LIBRARY} is: {error}")))?;
    let directory = program.parent().unwrap_or(Path::new("/"));
    let places = [
        directory.join(LIBRARY),
        directory.join("../lib").join(LIBRARY),
    ];
    let found = places.iter().find_map(|place| place.canonicalize().ok());
    let library = found.ok_or_else(|| {
        Failure::new(format!(
            "{LIBRARY} is neither in {0} nor in {0}/../lib",
            directory.display()
        ))
    })?;
    // ld.so(8): the list is separated by spaces or colons, and there is no escape.
    if library
        .as_os_str()
        .as_bytes()
        .iter()
        .any(|byte| b": ".contains(byte))
    {
        let place = library.display();
        return Err(Failure::new(format!(
            "LD_PRELOAD cannot name {place}, as it has a space or a colon"
        )));
    }
    Ok(library)
}

/// The user's list with the library at its end, where it is nearest to libc's own functions.
fn list(users: Option<OsString>, library: &Path) -> OsString {
    let mut list = users.unwrap_or_default();
    let is_ours = |entry: &[u8]| entry == library.as_os_str().as_bytes();
    if list
        .as_bytes()
        .split(|byte| b": ".contains(byte))
        .any(is_ours)
    {
        return list;
    }
    if !list.is_empty() {
        list.push(OsStr::new(":"));
    }
    list.push(library);
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(users: Option<&str>) -> String {
        let users = users.map(OsString::from);
        list(users, Path::new("/l/ours.so")).into_string().unwrap()
    }

    #[test]
    fn the_users_libraries_stay_in_front() {
        assert_eq!(listed(None), "/l/ours.so");
        assert_eq!(listed(Some("")), "/l/ours.so");
        assert_eq!(listed(Some("a.so b.so")), "a.so b.so:/l/ours.so");
    }

    #[test]
    fn it_is_there_once() {
        assert_eq!(listed(Some("/l/ours.so")), "/l/ours.so");
        assert_eq!(listed(Some("a.so:/l/ours.so b.so")), "a.so:/l/ours.so b.so");
        assert_eq!(listed(Some("/l/ours.so.1")), "/l/ours.so.1:/l/ours.so");
    }
}
