// SPDX-License-Identifier: GPL-2.0

//! `splice(2)` out of a socket, and what ends a file's way into one.

use super::{
    recv,
    send,
    socket::{
        Tcp,
        TcpSock, //
    },
    urgent, //
};
use crate::net::{
    errno::ENOTCONN,
    sock::Locked,
    splice::Pipe,
    wait::{
        interrupted,
        signal_pending, //
    }, //
};
use kernel::prelude::*;

/// Moves what is in order into the pipe, and waits for it where nothing is there. As
/// `tcp_splice_read`.
pub(super) fn read(sk: &TcpSock, to: &mut Pipe, len: usize, nonblock: bool) -> Result<usize> {
    let mut timeout = sk.receive_timeout(nonblock);
    let mut lock = sk.lock();
    let mut moved = 0;
    while moved < len {
        if sk.is_listening() {
            return Err(ENOTCONN);
        }
        match take(&mut lock, to, len - moved) {
            Ok(0) if moved > 0 || recv::has_ended(sk, timeout)? => break,
            // At the urgent octet, which no splice moves.
            Ok(0) if !lock.is_receive_queue_empty() => break,
            Ok(0) => {
                lock.wait_data(&mut timeout)?;
                if signal_pending() {
                    return Err(interrupted(timeout));
                }
            }
            Ok(n) => {
                moved += n;
                if moved == len || timeout == 0 {
                    break;
                }
                lock.take_backlog();
                if recv::is_over(sk) {
                    break;
                }
            }
            Err(_) if moved > 0 => break,
            Err(e) => return Err(e),
        }
    }
    Ok(moved)
}

/// Moves what is there, up to the mark of urgent data: splicing never passes it, as in Linux.
fn take(lock: &mut Locked<'_, Tcp>, to: &mut Pipe, len: usize) -> Result<usize> {
    let mark = urgent::mark(lock);
    let Some(conn) = lock.state().connection() else {
        return Ok(0);
    };
    let from = conn.read();
    let end = mark.map_or(conn.readable(), |mark| mark.min(conn.readable()));
    let there = end.saturating_sub(from);
    let len = len.min(usize::try_from(there).unwrap_or(usize::MAX));
    if len == 0 {
        return Ok(0);
    }
    let moved = lock.splice_queue(to, from, len)?;
    recv::consumed(lock, moved, moved);
    Ok(moved)
}

/// The file has no more: what was held back for it leaves. As `tcp_splice_eof`.
pub(super) fn end(sk: &TcpSock) {
    let mut lock = sk.lock();
    let unsent = |lock: &mut Locked<'_, Tcp>| {
        lock.state()
            .connection()
            .is_some_and(|conn| conn.written() > conn.sent())
    };
    if unsent(&mut lock) {
        send::push_held(&mut lock);
    }
}
