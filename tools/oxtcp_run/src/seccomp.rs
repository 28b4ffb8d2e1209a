// SPDX-License-Identifier: GPL-2.0

//! seccomp(2) and its user notification, seccomp_unotify(2).

use libc::{seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp, sock_filter, sock_fprog};
use nix::errno::Errno;
use std::ffi::{c_int, c_uint, c_ulong};
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Puts the filter on this process and all that come of it; the descriptor is for who answers. A caller
/// whose call has been taken up waits for the answer as for any short call of the kernel: only a signal
/// that kills ends it.
pub(crate) fn install(program: &[sock_filter]) -> Result<Listener, Errno> {
    match set_filter(program) {
        // Without CAP_SYS_ADMIN, who filters what a program may do must not have it gain privileges.
        Err(Errno::EACCES) => {
            nix::sys::prctl::set_no_new_privs()?;
            set_filter(program)
        }
        result => result,
    }
}

fn set_filter(program: &[sock_filter]) -> Result<Listener, Errno> {
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    let flags =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    // SAFETY: The kernel reads the program while the call lasts, and changes nothing of it.
    let fd = Errno::result(unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER as c_uint,
            flags as c_uint,
            &raw const program,
        )
    })?;
    // SAFETY: The descriptor is new, and nobody else's.
    Ok(Listener(unsafe { OwnedFd::from_raw_fd(fd as c_int) }))
}

/// Where the notifications of one filter come from. They are named by the number that comes with them.
pub(crate) struct Listener(OwnedFd);

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// The next notification; ENOENT where the caller was killed meanwhile.
    pub(crate) fn receive(&self) -> Result<seccomp_notif, Errno> {
        // SAFETY: Numbers only; the kernel wants all of it zero.
        let mut notification: seccomp_notif = unsafe { zeroed() };
        // SAFETY: This request writes one such structure.
        unsafe { self.request(libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut notification) }?;
        Ok(notification)
    }

    /// Whether the caller still waits: what was looked up by its number until now is its own.
    pub(crate) fn is_waiting(&self, id: u64) -> bool {
        let mut id = id;
        // SAFETY: This request reads one number.
        unsafe { self.request(libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw mut id) }.is_ok()
    }

    /// The call does in the kernel what it would have without us.
    pub(crate) fn let_pass(&self, id: u64) -> Result<(), Errno> {
        self.respond(id, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// The call succeeds with 0.
    pub(crate) fn succeed(&self, id: u64) -> Result<(), Errno> {
        self.respond(id, 0, 0)
    }

    /// The call fails.
    pub(crate) fn fail(&self, id: u64, error: Errno) -> Result<(), Errno> {
        self.respond(id, -(error as c_int), 0)
    }

    fn respond(&self, id: u64, error: c_int, flags: u32) -> Result<(), Errno> {
        let mut response = seccomp_notif_resp {
            id,
            val: 0,
            error,
            flags,
        };
        // SAFETY: This request reads one such structure.
        unsafe { self.request(libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut response) }.map(drop)
    }

    /// The call succeeds with a new descriptor of the caller's for this file; its number.
    pub(crate) fn give(
        &self,
        id: u64,
        file: BorrowedFd<'_>,
        close_on_exec: bool,
    ) -> Result<c_int, Errno> {
        let mut gift = seccomp_notif_addfd {
            id,
            flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
            srcfd: file.as_raw_fd() as u32,
            newfd: 0,
            newfd_flags: if close_on_exec {
                libc::O_CLOEXEC as u32
            } else {
                0
            },
        };
        // SAFETY: This request reads one such structure.
        unsafe { self.request(libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut gift) }
    }

    /// # Safety
    ///
    /// `argument` must be valid for what the request reads and writes.
    unsafe fn request<T>(&self, request: c_ulong, argument: *mut T) -> Result<c_int, Errno> {
        // SAFETY: By the requirement.
        Errno::result(unsafe { libc::ioctl(self.0.as_raw_fd(), request, argument) })
    }
}
