// SPDX-License-Identifier: GPL-2.0

//! `sendmsg(2)` and its spellings.

use super::{
    flush::flush,
    path,
    socket::{
        State,
        Tcp,
        TcpSock, //
    }, //
};
use crate::net::{
    msg::{
        Msg,
        MSG_MORE, //
    },
    sock::{
        Locked,
        Shutdown,
        SockState, //
    }, //
};
use kernel::prelude::*;

/// Bytes that are taken from the caller before they begin to be sent.
const CHUNK: u32 = 64 * 1024;

/// What one call has taken from its caller so far.
#[derive(Default)]
struct Taken {
    copied: usize,
    /// The part of it that the engine does not know of yet.
    pending: u32,
}

/// Queues the message's bytes and sends what may go.
pub(super) fn sendmsg(sk: &TcpSock, msg: &mut Msg<'_>, _len: usize) -> Result<usize> {
    let mut timeout = sk.send_timeout(msg.nonblocking());
    let mut lock = sk.lock();
    let mut taken = Taken::default();
    let result = send_all(&mut lock, msg, &mut timeout, &mut taken);
    let copied = taken.copied;
    if copied > 0 {
        push(&mut lock, taken.pending, msg.has(MSG_MORE));
        return Ok(copied);
    }
    result.map(|()| copied).map_err(|e| msg.stream_error(sk, e))
}

/// Whether data can be sent in the socket's state.
fn is_sending(sk: &TcpSock) -> bool {
    let state = sk.kernel_state();
    state == SockState::Established as u8 || state == SockState::CloseWait as u8
}

fn send_all(
    lock: &mut Locked<'_, Tcp>,
    msg: &mut Msg<'_>,
    timeout: &mut isize,
    taken: &mut Taken,
) -> Result {
    let sk = lock.sock();
    if !is_sending(sk) {
        lock.wait_connected(timeout)?;
    }
    msg.check_control(sk)?;
    loop {
        if sk.error() != 0 || sk.shutdown().contains(Shutdown::SEND) {
            return Err(EPIPE);
        }
        if msg.left() == 0 {
            break;
        }
        let room = room(lock, taken.pending);
        let filled = if room == 0 {
            Err(EAGAIN)
        } else {
            let (wire, State { rope, .. }) = lock.parts();
            wire.fill(rope, msg, room)
        };
        match filled {
            Ok(n) => {
                taken.copied += n as usize;
                taken.pending += n;
                if taken.pending >= CHUNK {
                    push(lock, core::mem::take(&mut taken.pending), true);
                }
            }
            Err(e) if e == EAGAIN => {
                // All of it, even a part of a segment: room may come from nothing else.
                if taken.pending > 0 {
                    push(lock, core::mem::take(&mut taken.pending), false);
                }
                lock.wait_send_room(timeout)?;
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// How many bytes may be taken from the caller now, when the engine does not know of the last
/// `pending` ones yet.
///
/// As Linux, where the last sk_buff may overdraw the send buffer: what has room is filled up to a
/// whole segment. Otherwise each time that the buffer is full a small segment would leave, and cwnd
/// counts segments at many peers and ours alike.
fn room(lock: &mut Locked<'_, Tcp>, pending: u32) -> u32 {
    let (space, used) = lock.sock().send_memory();
    let free = space.saturating_sub(used);
    if free == 0 || free >= CHUNK {
        return free.min(CHUNK);
    }
    let Some(conn) = lock.state().connection() else {
        return free;
    };
    let mss = u64::from(conn.send_mss().max(1));
    let unsent = conn.written().saturating_sub(conn.sent());
    let end = unsent + u64::from(pending) + u64::from(free);
    (u64::from(free) + end.next_multiple_of(mss) - end) as u32
}

/// Tells the engine of `len` new bytes. With `more`, the rest of the call brings others.
fn push(lock: &mut Locked<'_, Tcp>, len: u32, more: bool) {
    let now = super::now();
    path::follow(lock);
    if let Some(conn) = lock.state().connection() {
        conn.on_write(now, len, more);
        flush(lock, now);
    }
}
