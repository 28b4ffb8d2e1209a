// SPDX-License-Identifier: GPL-2.0

//! Urgent data at the socket: one byte apart from the stream, and a mark where it was.

use super::{
    flush::flush,
    socket::{
        Tcp,
        TcpSock, //
    }, //
};
use crate::{
    engine::{
        SegmentIn,
        UrgentOctet, //
    },
    net::{
        errno::ENOTCONN,
        msg::{
            Msg,
            MSG_PEEK,
            MSG_TRUNC, //
        },
        skbuff::Skb,
        sock::{
            Locked,
            Shutdown,
            SockState, //
        }, //
    }, //
};
use kernel::prelude::*;

/// What pollers see of urgent data.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Seen {
    /// The byte is here: `POLLPRI`.
    pub(super) here: bool,
    /// The reader stands at the mark.
    pub(super) at_mark: bool,
}

/// Where the mark is, until the reader has passed it.
pub(super) fn mark(lock: &mut Locked<'_, Tcp>) -> Option<u64> {
    Some(lock.state().connection()?.urgent()?.0)
}

/// What pollers may see now.
pub(super) fn seen(lock: &mut Locked<'_, Tcp>) -> Seen {
    let Some(conn) = lock.state().connection() else {
        return Seen::default();
    };
    let read = conn.read();
    conn.urgent().map_or(Seen::default(), |(at, octet)| Seen {
        here: matches!(octet, UrgentOctet::Here(_)),
        at_mark: at == read,
    })
}

/// Takes the urgent byte out of a segment that the engine has just taken, if it is in it. `old` is
/// where the mark was before.
pub(super) fn arrived(
    lock: &mut Locked<'_, Tcp>,
    segment: &SegmentIn,
    skb: &Skb,
    header_len: u32,
    old: Option<u64>,
) {
    let Some(conn) = lock.state().connection() else {
        return;
    };
    let Some((at, _)) = conn.urgent() else {
        return;
    };
    let (read, readable) = (conn.read(), conn.readable());
    let index = conn.urgent_in(segment);
    if old == Some(read) && old != Some(at) && read < readable && !lock.sock().is_urgent_inline() {
        // As Linux: what the new mark replaces is no longer apart, but it is no data either.
        skip(lock);
    }
    let byte = index.and_then(|index| skb.byte_at(header_len.saturating_add(index)));
    if let (Some(byte), Some(conn)) = (byte, lock.state().connection()) {
        conn.set_urgent_octet(byte);
        if !lock.sock().is_dead() {
            lock.sock().data_ready();
        }
    }
}

/// Throws the byte away that is read next.
pub(super) fn skip(lock: &mut Locked<'_, Tcp>) {
    let Some(conn) = lock.state().connection() else {
        return;
    };
    let from = conn.read();
    let out = lock.read_queue(None, from, 1, false);
    if let (1, Some(conn)) = (out.copied, lock.state().connection()) {
        conn.on_read(super::now(), 1);
    }
}

/// `recv` with `MSG_OOB`: the urgent byte, which it never waits for. As `tcp_recv_urg`.
pub(super) fn receive(sk: &TcpSock, msg: &mut Msg<'_>, len: usize) -> Result<usize> {
    let mut lock = sk.lock();
    if sk.is_listening() {
        return Err(ENOTCONN);
    }
    let octet = lock
        .state()
        .connection()
        .and_then(|conn| conn.urgent())
        .map(|(_, octet)| octet);
    let octet = match octet {
        None | Some(UrgentOctet::Taken) => return Err(EINVAL),
        Some(_) if sk.is_urgent_inline() => return Err(EINVAL),
        Some(octet) => octet,
    };
    let closed = sk.kernel_state() == SockState::Close as u8;
    if closed && !sk.is_done() {
        return Err(ENOTCONN);
    }
    let UrgentOctet::Here(byte) = octet else {
        let ended = sk.shutdown().contains(Shutdown::RECEIVE);
        return if closed || ended { Ok(0) } else { Err(EAGAIN) };
    };
    if !msg.has(MSG_PEEK) {
        if let Some(conn) = lock.state().connection() {
            conn.take_urgent_octet();
            flush(&mut lock, super::now());
        }
    }
    msg.mark_urgent(len == 0);
    if len == 0 {
        return Ok(0);
    }
    if !msg.has(MSG_TRUNC) && !msg.put(&[byte]) {
        return Err(EFAULT);
    }
    Ok(1)
}

/// What `SIOCINQ` says: the bytes up to the mark, if it is among those that can be read. As
/// `tcp_inq`.
pub(super) fn readable_bytes(lock: &mut Locked<'_, Tcp>) -> u64 {
    let inline = lock.sock().is_urgent_inline();
    let Some(conn) = lock.state().connection() else {
        return 0;
    };
    let (read, readable) = (conn.read(), conn.readable());
    match conn.urgent() {
        Some((at, _)) if !inline && (read..readable).contains(&at) => at - read,
        _ => readable.saturating_sub(read),
    }
}
