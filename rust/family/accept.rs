// SPDX-License-Identifier: GPL-2.0

//! `accept(2)`.

use super::{
    accept_queue::Ticket,
    socket::{
        Tcp,
        TcpSock, //
    }, //
};
use crate::net::{
    proto::Accepted,
    sock::SockState,
    wait::Wake, //
};
use kernel::prelude::*;

/// Waits for a connection and takes it.
pub(super) fn accept(sk: &TcpSock, nonblock: bool) -> Result<Accepted<Tcp>> {
    let queue = &sk.shared().queue;
    let mut timeout = sk.receive_timeout(nonblock);
    let mut lock = sk.lock();
    loop {
        if !sk.is_listening() {
            return Err(EINVAL);
        }
        if let Some((sock, left)) = queue.pop() {
            sk.set_ack_backlog(left);
            if sock.kernel_state() == SockState::SynRecv as u8 {
                sock.with_bh_lock(|child| child.state().ticket.as_mut().map(Ticket::accepted));
            }
            return Ok(Accepted {
                sock,
                is_last: left == 0,
            });
        }
        if timeout == 0 {
            return Err(EAGAIN);
        }
        lock.wait_until(&mut timeout, Wake::One, |_| {
            queue.len() != 0 || !sk.is_listening()
        })?;
    }
}
