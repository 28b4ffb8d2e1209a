// SPDX-License-Identifier: GPL-2.0

//! Error codes of the socket calls.
//!
//! The kernel crate has the rest, in [`kernel::error::code`].
//!
//! C header: [`include/uapi/asm-generic/errno.h`](srctree/include/uapi/asm-generic/errno.h)

use super::bindings;
use core::mem::transmute;
use kernel::error::{
    code,
    Error, //
};

/// Makes an [`Error`] in a constant, for which the kernel crate offers no way.
const fn error(errno: u32) -> Error {
    assert!(errno >= 1 && errno <= bindings::MAX_ERRNO);
    // SAFETY: `Error` holds nothing but an `i32` other than 0 (the assertion below compares one
    // with the kernel crate's own), and `-errno` is in the range that its invariant demands.
    unsafe { transmute::<i32, Error>(-(errno as i32)) }
}

const _: () = assert!(
    // SAFETY: Any bytes of an `Error` are a valid `i32`, and the sizes are the same.
    unsafe { transmute::<Error, i32>(code::EINVAL) } == -(bindings::EINVAL as i32),
    "`kernel::error::Error` is no longer the negative errno"
);

macro_rules! declare_err {
    ($err:ident, $doc:expr) => {
        #[doc = $doc]
        pub const $err: Error = error(bindings::$err);
    };
}

declare_err!(EADDRINUSE, "Address already in use.");
declare_err!(EADDRNOTAVAIL, "Cannot assign requested address.");
declare_err!(EAFNOSUPPORT, "Address family not supported by protocol.");
declare_err!(EALREADY, "Operation already in progress.");
declare_err!(ECONNABORTED, "Software caused connection abort.");
declare_err!(ECONNREFUSED, "Connection refused.");
declare_err!(ECONNRESET, "Connection reset by peer.");
declare_err!(EDESTADDRREQ, "Destination address required.");
declare_err!(EHOSTDOWN, "Host is down.");
declare_err!(EHOSTUNREACH, "No route to host.");
declare_err!(EINPROGRESS, "Operation now in progress.");
declare_err!(EISCONN, "Transport endpoint is already connected.");
declare_err!(ENETDOWN, "Network is down.");
declare_err!(ENETUNREACH, "Network is unreachable.");
declare_err!(ENOBUFS, "No buffer space available.");
declare_err!(ENODATA, "No data available.");
declare_err!(ENONET, "Machine is not on the network.");
declare_err!(ENOPROTOOPT, "Protocol not available.");
declare_err!(ENOTCONN, "Transport endpoint is not connected.");
declare_err!(ENOTSOCK, "Socket operation on non-socket.");
declare_err!(EOPNOTSUPP, "Operation not supported on transport endpoint.");
declare_err!(EPFNOSUPPORT, "Protocol family not supported.");
declare_err!(EPROTO, "Protocol error.");
declare_err!(EPROTONOSUPPORT, "Protocol not supported.");
declare_err!(EPROTOTYPE, "Protocol wrong type for socket.");
declare_err!(ESHUTDOWN, "Cannot send after transport endpoint shutdown.");
declare_err!(ESOCKTNOSUPPORT, "Socket type not supported.");
declare_err!(ETOOMANYREFS, "Too many references: cannot splice.");
