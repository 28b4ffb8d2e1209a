// SPDX-License-Identifier: GPL-2.0

//! The family as user space knows it, from `include/uapi/linux/oxtcp.h`.

use nix::errno::Errno;
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const AF_OXTCP: c_int = 18;
pub(crate) const OXTCPPROTO_IP: c_int = 0;
pub(crate) const OXTCPPROTO_IPV6: c_int = 1;
/// What SO_PROTOCOL reads on sockets of the family.
pub(crate) const IPPROTO_OXTCP: c_int = 0x0206;

/// Makes a socket of the family; `kind` is SOCK_STREAM with flags.
pub(crate) fn socket(kind: c_int, protocol: c_int) -> Result<OwnedFd, Errno> {
    // SAFETY: The call takes no pointers.
    let fd = Errno::result(unsafe { libc::socket(AF_OXTCP, kind, protocol) })?;
    // SAFETY: The descriptor is new, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// What SO_PROTOCOL reads.
pub(crate) fn protocol_of(socket: BorrowedFd<'_>) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: The kernel writes one integer and its length.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PROTOCOL,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).map(|_| value)
}

/// Whether the family is there. The attempt loads the module where the system knows it.
pub(crate) fn probe() -> Result<(), Errno> {
    socket(libc::SOCK_STREAM | libc::SOCK_CLOEXEC, OXTCPPROTO_IP).map(drop)
}
