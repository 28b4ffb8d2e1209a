// SPDX-License-Identifier: GPL-2.0

//! How much may be written: the size of the send buffer, and when a writer is told of room.

use super::{
    counters::Counter,
    records::Connection,
    socket::{
        State,
        Tcp,
        TcpSock, //
    }, //
};
use crate::{
    engine::BufferNeed,
    net::{
        rope::{
            Memory,
            Rope, //
        },
        skbuff::segment_memory,
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};

/// Whether what is written and not sent leaves room for more (`TCP_NOTSENT_LOWAT`), as
/// `tcp_stream_memory_free`; `more` bytes come to it that the engine does not know of yet. A writer
/// is worth waking when half of it is sent.
pub(super) fn takes_more(sk: &TcpSock, more: u64, wake: bool) -> bool {
    let limit = match sk.shared().send.low_water() {
        0 => sk.net().notsent_lowat(),
        bytes => bytes,
    };
    if limit == u32::MAX {
        return true;
    }
    let unsent = sk.shared().send.unsent().saturating_add(more);
    (unsent << u8::from(wake)) < limit.into()
}

/// How many bytes of a connection may be in the queues below it, as `tcp_small_queue_check`: what the
/// path takes in a millisecond, and at least two packets. More would only wait there, before what
/// others send, and what is known of the round trip would be the length of the queue.
pub(super) fn below_bound(conn: &Connection, burst: u32) -> u32 {
    /// The share of a second, as a power of two (`sk_pacing_shift`).
    const SHIFT: u32 = 10;
    let rate = conn.pacing().map_or(u64::MAX, |(rate, _)| rate);
    let unsent = conn.written().saturating_sub(conn.sent());
    let next = if unsent == 0 {
        burst.into()
    } else {
        unsent.min(burst.into())
    };
    let packet = next + u64::from(segment_memory(0));
    let bytes = (rate >> SHIFT).max(packet * 2);
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Whether what was written had better wait for more, as `tcp_should_autocork`: it is less than a
/// packet, and others are on their way down, at the end of which the socket is called.
pub(super) fn autocorks(sk: &mut Locked<'_, Tcp>) -> bool {
    let most = sk.gso_max();
    let sock = sk.sock();
    let Some(conn) = sk.state().connection() else {
        return false;
    };
    let unsent = conn.written().saturating_sub(conn.sent());
    let goal = most.unwrap_or_else(|| conn.send_mss());
    let is_idle = conn.sent() == conn.acked();
    if is_idle || unsent >= goal.into() {
        return false;
    }
    let memory = segment_memory(0).saturating_add(unsent as u32);
    if sock.queued() <= memory || !sock.net().autocorks() {
        return false;
    }
    let waits = sock.wait_below(memory);
    if waits {
        sk.state().namespace.counters.count(Counter::AutoCorking);
    }
    waits
}

/// The connection was established: the buffer fits its first window, as `tcp_init_buffer_space`.
pub(super) fn established(sk: &mut Locked<'_, Tcp>) {
    if !sk.buffers_fixed().0 {
        expand(sk);
    }
}

/// Something was acknowledged or sent: frees the memory of what was, and tells writers who wait, as
/// `tcp_check_space`.
pub(super) fn check(sk: &mut Locked<'_, Tcp>) {
    let (
        wire,
        State {
            role, rope, stamps, ..
        },
    ) = sk.parts();
    let super::socket::Role::Connection(conn) = role else {
        return;
    };
    let acked = conn.acked();
    while let Some(mark) = stamps.arrived(acked) {
        wire.report_arrival(rope, &mark);
    }
    let released = release(rope, acked);
    let unsent = conn.written().saturating_sub(conn.sent());
    let may_grow = !conn.is_cwnd_full();
    sk.sock().shared().send.set_unsent(unsent);
    sk.uncharge_send(released);
    if sk.sock().awaits_write_space() {
        if may_grow && !sk.buffers_fixed().0 && sk.may_expand_send_buffer() {
            expand(sk);
        }
        sk.sock().write_space();
    }
}

/// The sequence number from which reports of timestamps count: of the next byte to be written, or
/// else of the next one to be acknowledged, which is the SYN where that was not.
pub(super) fn stamp_base(sk: &mut Locked<'_, Tcp>, written: bool) -> u32 {
    let is_opening = sk.sock().kernel_state() == SockState::SynSent as u8;
    let Some(conn) = sk.state().connection() else {
        return 0;
    };
    if written {
        conn.seq_at(conn.written()).0
    } else {
        conn.seq_at(conn.acked())
            .0
            .wrapping_sub(u32::from(is_opening))
    }
}

/// Frees what is below `acked`, and says how much memory that was.
fn release(rope: &mut Rope, acked: u64) -> Memory {
    let before = rope.memory();
    rope.release_below(acked);
    rope.memory().freed_since(before)
}

/// Lets the buffer follow the congestion window, as `tcp_sndbuf_expand`: in the worst case each
/// segment is a packet of its own, and what is in flight must be kept while as much is acknowledged.
fn expand(sk: &mut Locked<'_, Tcp>) {
    let Some(need) = sk.state().connection().map(|conn| conn.buffer_need()) else {
        return;
    };
    let BufferNeed {
        segment,
        segments,
        windows,
    } = need;
    let wanted = segment_memory(segment)
        .saturating_mul(segments)
        .saturating_mul(windows);
    if wanted > sk.sock().send_memory().0 {
        let most = sk.sock().net().wmem().max;
        sk.set_send_buffer(wanted.min(most));
    }
}
