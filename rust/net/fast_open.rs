// SPDX-License-Identifier: GPL-2.0

//! What the kernel's own part of `connect` knows of TCP Fast Open: a call that sends a message may
//! connect, and a `connect` may be left to the first message.
//!
//! C headers: [`include/net/inet_common.h`](srctree/include/net/inet_common.h),
//! [`include/net/inet_sock.h`](srctree/include/net/inet_sock.h)

use super::{
    bindings,
    msg::Msg,
    proto::Protocol,
    sock::{
        Locked,
        Sock,
        UserLock, //
    }, //
};
use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*, //
};

impl<P: Protocol> Sock<P> {
    /// Whether `connect` left the SYN to the first message.
    pub fn is_connect_deferred(&self) -> bool {
        // SAFETY: The socket is live, and an Internet one; the flag is read atomically.
        unsafe { bindings::inet_defers_connect(self.as_raw()) }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Notes whether `connect` leaves the SYN to the first message.
    pub fn set_connect_deferred(&mut self, deferred: bool) {
        // SAFETY: The lock is held; an Internet socket.
        unsafe { bindings::inet_set_defer_connect(self.sock().as_raw(), deferred) };
    }

    /// Whether what the socket sends goes to this host.
    pub fn is_route_local(&mut self) -> bool {
        // SAFETY: The lock is held, which keeps the route.
        unsafe { bindings::sk_route_is_loopback(self.sock().as_raw()) }
    }
}

impl<P: Protocol> UserLock<'_, P> {
    /// Connects to where the message goes, or waits for a connection that has begun, as `connect`
    /// does. With `nonblock` it does not wait.
    ///
    /// The lock is given up while it waits.
    pub fn connect_for_message(&mut self, msg: &mut Msg<'_>, nonblock: bool) -> Result {
        self.check_file()?;
        let (name, len) = msg.name_to_connect();
        let flags = if nonblock { bindings::O_NONBLOCK } else { 0 };
        // SAFETY: This task owns the socket lock; the socket has a file. The name has `len` bytes, or is null with a length of 0.
        to_result(unsafe {
            let socket = (*self.sock().as_raw()).sk_socket;
            bindings::__inet_stream_connect(socket, name.cast(), len, flags as c_int, 1)
        })
    }
}
