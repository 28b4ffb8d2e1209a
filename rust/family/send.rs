// SPDX-License-Identifier: GPL-2.0

//! `sendmsg(2)` and its spellings.

use super::{
    fast_open_client,
    flush::flush,
    path,
    send_buffer::{
        autocorks,
        check,
        takes_more, //
    },
    socket::{
        Role,
        State,
        Tcp,
        TcpSock, //
    }, //
};
use crate::net::{
    errno::EINPROGRESS,
    msg::{
        Msg,
        MSG_EOR,
        MSG_FASTOPEN,
        MSG_MORE,
        MSG_OOB, //
    },
    sock::{
        Locked,
        Shutdown,
        SockState,
        UserLock, //
    },
    tx_stamp::Wanted,
    zerocopy::Zerocopy, //
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
    /// What of its way is to be reported.
    wanted: Wanted,
}

/// What ends with the bytes of a call.
#[derive(Clone, Copy, Default)]
struct End {
    /// A record (`MSG_EOR`).
    record: bool,
    /// Urgent data (`MSG_OOB`): the last byte is the urgent one.
    urgent: bool,
}

/// Queues the message's bytes and sends what may go.
pub(super) fn sendmsg(sk: &TcpSock, msg: &mut Msg<'_>, _len: usize) -> Result<usize> {
    let mut lock = sk.lock();
    let zerocopy = zerocopy(&mut lock, msg).map_err(|e| msg.stream_error(sk, e))?;
    let sent = send(&mut lock, msg, zerocopy.as_ref());
    if let (Err(_) | Ok(0), Some(zerocopy)) = (sent, zerocopy) {
        zerocopy.in_vain(&mut lock);
    }
    sent
}

/// The same under the lock, from the caller's pages where `zerocopy` says so.
fn send(
    lock: &mut UserLock<'_, Tcp>,
    msg: &mut Msg<'_>,
    zerocopy: Option<&Zerocopy>,
) -> Result<usize> {
    let sk = lock.sock();
    let mut taken = Taken::default();
    if fast_open_client::opens(lock, msg.has(MSG_FASTOPEN)) {
        let opened = fast_open_client::open(lock, msg, zerocopy, &mut taken.copied);
        match opened {
            Err(e) if e == EINPROGRESS && taken.copied > 0 => return Ok(taken.copied),
            result => result.map_err(|e| msg.stream_error(sk, e))?,
        }
    }
    let mut timeout = sk.send_timeout(msg.nonblocking());
    let result = send_all(lock, msg, zerocopy, &mut timeout, &mut taken);
    let copied = taken.copied;
    if copied > 0 {
        mark(lock, &taken);
        let end = End {
            record: msg.left() == 0 && msg.has(MSG_EOR),
            urgent: msg.has(MSG_OOB),
        };
        push(lock, taken.pending, msg.has(MSG_MORE), end);
        return Ok(copied);
    }
    let result = result.map(|()| copied).map_err(|e| msg.stream_error(sk, e));
    if result == Err(EAGAIN) && lock.state().rope.is_empty() {
        // As Linux: room comes of itself, and nobody else would wake who waits for an edge.
        sk.write_space();
    }
    result
}

/// Marks the last byte that a call has taken, whose way stands for all of them. As
/// `tcp_tx_timestamp`.
fn mark(lock: &mut Locked<'_, Tcp>, taken: &Taken) {
    if taken.wanted.is_nothing() {
        return;
    }
    let State { role, stamps, .. } = lock.state();
    if let Role::Connection(conn) = role {
        let end = conn.written() + u64::from(taken.pending);
        if let Some(last) = end.checked_sub(1) {
            stamps.add(last, conn.seq_at(last).0, taken.wanted);
        }
    }
}

/// The use of the caller's pages, where the call asks for it.
fn zerocopy(lock: &mut UserLock<'_, Tcp>, msg: &mut Msg<'_>) -> Result<Option<Zerocopy>> {
    let (intake, State { role, rope, .. }) = lock.intake();
    let unsent = match role {
        Role::Connection(conn) => conn.sent(),
        _ => 0,
    };
    intake.zerocopy(rope, unsent, msg)
}

/// Whether data can be sent in the socket's state.
fn is_sending(lock: &mut Locked<'_, Tcp>) -> bool {
    let state = lock.sock().kernel_state();
    let early = state == SockState::SynRecv as u8 && lock.state().ticket.is_some();
    early || state == SockState::Established as u8 || state == SockState::CloseWait as u8
}

fn send_all(
    lock: &mut UserLock<'_, Tcp>,
    msg: &mut Msg<'_>,
    zerocopy: Option<&Zerocopy>,
    timeout: &mut isize,
    taken: &mut Taken,
) -> Result {
    let sk = lock.sock();
    if !is_sending(lock) {
        lock.wait_connected(timeout)?;
    }
    taken.wanted = msg.check_control(sk)?;
    // Half of what the peer's buffer holds is worth to be sent (Linux's `forced_push`).
    let chunk = lock
        .state()
        .connection()
        .map_or(CHUNK, |conn| conn.push_len())
        .min(CHUNK);
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
            let (intake, State { rope, .. }) = lock.intake();
            match zerocopy.filter(|zerocopy| zerocopy.is_pinning()) {
                Some(zerocopy) => intake.pin(rope, msg, room, zerocopy),
                None => intake.fill(rope, msg, room, None),
            }
        };
        match filled {
            Ok(n) => {
                taken.copied += n as usize;
                taken.pending += n;
                // The mark of urgent data is set before any of it leaves, and that of the last byte
                // before it does.
                if taken.pending >= chunk && msg.left() > 0 && !msg.has(MSG_OOB) {
                    push(
                        lock,
                        core::mem::take(&mut taken.pending),
                        true,
                        End::default(),
                    );
                }
            }
            Err(e) if e == EAGAIN => {
                // All of it, even a part of a segment: room may come from nothing else.
                if taken.pending > 0 {
                    let end = End {
                        record: false,
                        urgent: msg.has(MSG_OOB),
                    };
                    push(lock, core::mem::take(&mut taken.pending), false, end);
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
/// counts segments at many peers and ours alike. A mark for unsent data lets a whole packet's worth
/// in.
fn room(lock: &mut Locked<'_, Tcp>, pending: u32) -> u32 {
    let sock = lock.sock();
    if !takes_more(sock, pending.into(), false) {
        return 0;
    }
    let (space, used) = sock.send_memory();
    let free = space.saturating_sub(used);
    if free >= CHUNK {
        return CHUNK;
    }
    let Some(conn) = lock.state().connection() else {
        return free;
    };
    let mss = u64::from(conn.send_mss().max(1));
    let unsent = conn.written().saturating_sub(conn.sent());
    let end = unsent + u64::from(pending) + u64::from(free);
    (u64::from(free) + end.next_multiple_of(mss) - end) as u32
}

/// Lets what waits for more leave.
pub(super) fn push_held(lock: &mut Locked<'_, Tcp>) {
    push(lock, 0, false, End::default());
}

/// Tells the engine of `len` new bytes. With `more`, the rest of the call brings others.
fn push(lock: &mut Locked<'_, Tcp>, len: u32, more: bool, end: End) {
    let now = super::now();
    path::follow(lock);
    let busy = lock.sock().queued() > 0;
    let State { role, rope, .. } = lock.state();
    if let Role::Connection(conn) = role {
        conn.set_host_busy(busy);
        conn.on_write(now, len, more);
        if end.urgent {
            conn.mark_urgent();
        }
        if end.record {
            rope.end_record();
        }
        if end.record || rope.has_owners() {
            // The engine is to ask how the rope can be cut.
            conn.end_record();
        }
        if end.record {
            // At once.
        } else if !more && autocorks(lock) {
            check(lock);
            return;
        }
        flush(lock, now);
    }
}
