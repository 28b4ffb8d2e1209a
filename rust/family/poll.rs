// SPDX-License-Identifier: GPL-2.0

//! `poll(2)` and its relatives: the formula of `tcp_poll`.

use super::socket::TcpSock;
use crate::net::{
    poll::{
        ERR,
        HUP,
        IN,
        OUT,
        PRI,
        RDHUP, //
    },
    sock::{
        Shutdown,
        SockState, //
    }, //
};

/// The events that are true now. The socket is not locked: whoever changes its state wakes pollers
/// afterwards.
pub(super) fn poll(sk: &TcpSock) -> u32 {
    let state = sk.kernel_state();
    if state == SockState::Listen as u8 {
        return if sk.shared().queue.len() != 0 { IN } else { 0 };
    }
    let shutdown = sk.shutdown();
    let mut mask = 0;
    if shutdown.contains(Shutdown::BOTH) || state == SockState::Close as u8 {
        mask |= HUP;
    }
    if shutdown.contains(Shutdown::RECEIVE) {
        mask |= IN | RDHUP;
    }
    // Connections with Fast Open have data before the third ACK.
    let early = state == SockState::SynRecv as u8 && sk.shared().is_early();
    if early || (state != SockState::SynSent as u8 && state != SockState::SynRecv as u8) {
        let urgent = sk.shared().urgent();
        if urgent.here {
            mask |= PRI;
        }
        // The urgent byte is not to be read here.
        let apart = u64::from(urgent.at_mark && !sk.is_urgent_inline());
        if is_readable(sk, apart) {
            mask |= IN;
        }
        if shutdown.contains(Shutdown::SEND) || sk.is_writeable() {
            mask |= OUT;
        } else {
            sk.want_write_space();
            if sk.is_writeable() {
                mask |= OUT;
            }
        }
    }
    // Fast Open: the first write opens.
    if state == SockState::SynSent as u8 && sk.is_connect_deferred() {
        mask |= OUT;
    }
    // The error is stored before the state changes: read in the other order.
    kernel::sync::barrier::smp_rmb();
    if sk.error() != 0 || sk.has_queued_error() {
        mask |= ERR;
    }
    mask
}

/// Whether enough can be read for a reader to wake, or so much that no more can come. As
/// `tcp_epollin_ready`.
pub(super) fn is_readable(sk: &TcpSock, apart: u64) -> bool {
    let unread = sk.shared().unread();
    if unread == 0 {
        return false;
    }
    let (space, used) = sk.receive_memory();
    unread >= sk.receive_low_water(false, i32::MAX as usize) as u64 + apart
        || used > space - (space >> 3)
        || sk.is_memory_short()
        || sk.shared().is_window_small()
}
