// SPDX-License-Identifier: GPL-2.0

//! The thread that waits in a system call, as /proc shows it, and what of it a socket is given when it is made.

use nix::errno::Errno;
use nix::fcntl::{openat, AtFlags, OFlag};
use nix::sched::{setns, CloneFlags};
use nix::sys::stat::{fstatat, Mode};
use nix::unistd::{Gid, Uid};
use std::ffi::c_int;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// A thread. Both descriptors stay that thread's, whoever gets its number later.
pub(crate) struct Thread {
    /// Its directory in /proc.
    directory: OwnedFd,
    handle: OwnedFd,
}

/// What the kernel takes from the caller of socket(2) into the socket, but the namespaces of users:
/// user and group are told in those of the reader.
#[derive(PartialEq)]
pub(crate) struct Identity {
    /// Device and inode of the network namespace.
    network: (u64, u64),
    /// The control groups, as /proc/PID/cgroup has them.
    groups: String,
    /// The label of the security module, if there is one with labels.
    label: Option<String>,
    user: Uid,
    group: Gid,
}

impl Thread {
    /// The thread with this number, or the calling one.
    pub(crate) fn open(number: Option<u32>) -> Result<Self, Errno> {
        // Numbers of threads that do not lead their process are valid with this flag only (Linux 6.9).
        const PIDFD_THREAD: c_int = libc::O_EXCL;
        let number = number.unwrap_or(nix::unistd::gettid().as_raw() as u32);
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let path = format!("/proc/{number}");
        let directory = nix::fcntl::open(path.as_str(), flags, Mode::empty())?;
        // SAFETY: The call takes no pointers.
        let handle =
            Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, number, PIDFD_THREAD) })?;
        // SAFETY: The descriptor is new, and nobody else's.
        let handle = unsafe { OwnedFd::from_raw_fd(handle as c_int) };
        Ok(Self { directory, handle })
    }

    fn file(&self, name: &str, flags: OFlag) -> Result<File, Errno> {
        openat(
            &self.directory,
            name,
            flags | OFlag::O_CLOEXEC,
            Mode::empty(),
        )
        .map(File::from)
    }

    fn text(&self, name: &str) -> Result<String, Errno> {
        let mut text = Vec::new();
        self.file(name, OFlag::O_RDONLY)?
            .read_to_end(&mut text)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    pub(crate) fn identity(&self) -> Result<Identity, Errno> {
        let network = fstatat(&self.directory, "ns/net", AtFlags::empty())?;
        let status = self.text("status")?;
        Ok(Identity {
            network: (network.st_dev, network.st_ino),
            groups: self.text("cgroup")?,
            label: self.text("attr/current").ok(),
            user: Uid::from_raw(for_files(&status, "Uid:")?),
            group: Gid::from_raw(for_files(&status, "Gid:")?),
        })
    }

    /// What the thread has open under this number, as a descriptor of ours.
    pub(crate) fn opened(&self, fd: c_int) -> Result<OwnedFd, Errno> {
        // SAFETY: The call takes no pointers.
        let fd = Errno::result(unsafe {
            libc::syscall(libc::SYS_pidfd_getfd, self.handle.as_raw_fd(), fd, 0)
        })?;
        // SAFETY: The descriptor is new, and nobody else's.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as c_int) })
    }

    /// So many words of the thread's memory.
    pub(crate) fn words(&self, address: u64, count: usize) -> Option<Vec<u32>> {
        let mut bytes = vec![0; 4 * count];
        let memory = self.file("mem", OFlag::O_RDONLY).ok()?;
        memory.read_exact_at(&mut bytes, address).ok()?;
        let words = bytes.chunks_exact(4);
        Some(
            words
                .map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
                .collect(),
        )
    }

    /// Puts these bytes into the thread's memory.
    pub(crate) fn put(&self, address: u64, bytes: &[u8]) -> Option<()> {
        let memory = self.file("mem", OFlag::O_RDWR).ok()?;
        memory.write_all_at(bytes, address).ok()
    }
}

/// The fourth of the numbers on a line of /proc/PID/status: the one that files, and so sockets, are owned by.
fn for_files(status: &str, name: &str) -> Result<u32, Errno> {
    status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .and_then(|numbers| numbers.split_ascii_whitespace().nth(3))
        .and_then(|number| number.parse().ok())
        .ok_or(Errno::EINVAL)
}

/// Makes the calling process so much like the thread that a socket of one is like a socket of the other. There is no way
/// back. Where it fails, some of it may be done.
pub(crate) fn become_like(thread: &Thread) -> Result<(), Errno> {
    let wanted = thread.identity()?;
    let own = Thread::open(None)?.identity()?;
    if own.groups != wanted.groups {
        join(&own.groups, &wanted.groups)?;
    }
    if own.network != wanted.network {
        enter(thread)?;
    }
    // In a new namespace of users numbers have a new meaning.
    let wanted = thread.identity()?;
    let own = Thread::open(None)?.identity()?;
    if own.network != wanted.network || own.groups != wanted.groups || own.label != wanted.label {
        return Err(Errno::EPERM);
    }
    // After this /proc may be closed to us, which is why it comes last.
    if own.group != wanted.group {
        nix::unistd::setresgid(wanted.group, wanted.group, wanted.group)?;
    }
    if own.user != wanted.user {
        nix::unistd::setresuid(wanted.user, wanted.user, wanted.user)?;
    }
    Ok(())
}

/// Enters the thread's network namespace, by way of its namespace of users where our own does not suffice.
fn enter(thread: &Thread) -> Result<(), Errno> {
    let network = thread.file("ns/net", OFlag::O_RDONLY)?;
    if setns(&network, CloneFlags::CLONE_NEWNET) == Err(Errno::EPERM) {
        let users = thread.file("ns/user", OFlag::O_RDONLY)?;
        setns(users, CloneFlags::CLONE_NEWUSER)?;
        setns(&network, CloneFlags::CLONE_NEWNET)?;
    }
    Ok(())
}

/// Moves the calling process into the control group of the second version, which is all that may differ.
fn join(own: &str, wanted: &str) -> Result<(), Errno> {
    let others = |groups: &str| -> Vec<String> {
        let is_other = |line: &&str| !line.starts_with("0::");
        groups.lines().filter(is_other).map(String::from).collect()
    };
    if others(own) != others(wanted) {
        return Err(Errno::EPERM);
    }
    let path = wanted
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or(Errno::ENOENT)?;
    let place = hierarchy()
        .ok_or(Errno::ENOENT)?
        .join(path)
        .join("cgroup.procs");
    let error = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    fs::write(place, "0").map_err(error)
}

/// Where the whole hierarchy of control groups of the second version is mounted.
fn hierarchy() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        // proc_pid_mountinfo(5): number, parent, device, root, mount point, options, [optional...], -, type, ...
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.starts_with("cgroup2 ") && root == "/").then(|| PathBuf::from(point))
    })
}
