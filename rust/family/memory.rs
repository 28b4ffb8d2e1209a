// SPDX-License-Identifier: GPL-2.0

//! The memory of the receive buffer: the engine decides, the socket is charged.

use super::{
    counters::Counter,
    poll,
    socket::Tcp, //
};
use crate::{
    engine::{
        Place,
        ReceiveMemory,
        SegmentIn, //
    },
    net::{
        skbuff::Skb,
        sock::Locked, //
    }, //
};

/// Tells the engine what is used, before it decides anything about the window.
pub(super) fn tell(sk: &mut Locked<'_, Tcp>) {
    let sock = sk.sock();
    let (buffer, used) = sock.receive_memory();
    let memory = ReceiveMemory {
        buffer,
        used,
        backlog: sock.backlog_memory(),
        fixed: sock.is_receive_buffer_fixed(),
        pressure: sock.is_memory_short(),
        unowned: sock.is_unowned(),
        low_water: sock.low_water(),
    };
    if let Some(conn) = sk.state().connection() {
        conn.set_receive_memory(&memory);
    }
}

/// Gives the receive buffer the size that the engine wants.
pub(super) fn resize(sk: &mut Locked<'_, Tcp>) {
    let (buffer, _) = sk.sock().receive_memory();
    let wanted = sk
        .state()
        .connection()
        .and_then(|conn| conn.receive_buffer());
    if let Some(wanted) = wanted.filter(|&wanted| wanted != buffer) {
        if !sk.sock().is_receive_buffer_fixed() {
            sk.set_receive_buffer(wanted);
        }
    }
}

/// `SO_RCVLOWAT`: wakes a reader for whom there is enough now, and lets the buffer hold what he waits
/// for. As `tcp_set_rcvlowat`.
pub(super) fn set_low_water(sk: &mut Locked<'_, Tcp>, bytes: u32) {
    let sock = sk.sock();
    let (buffer, _) = sock.receive_memory();
    let fixed = sock.is_receive_buffer_fixed();
    let most = match fixed {
        true => buffer,
        false => sock.net().rmem().max,
    };
    let bytes = bytes.min(most / 2);
    sock.set_low_water(bytes.max(1) as i32);
    if poll::is_readable(sock, 0) || sock.is_done() {
        sock.data_ready();
    }
    if fixed {
        return;
    }
    tell(sk);
    let wanted = sk.state().connection().and_then(|conn| {
        conn.set_low_water(bytes);
        conn.receive_buffer()
    });
    // Before a connection has learnt better, half of the memory counts as payload.
    let wanted = wanted.unwrap_or(bytes.saturating_mul(2));
    if wanted > buffer {
        sk.set_receive_buffer(wanted);
    }
}

/// Charges a packet with payload to the socket, after room was made for it if there was none. What
/// the engine will not keep is not charged. As `tcp_try_rmem_schedule`.
pub(super) fn admit(
    sk: &mut Locked<'_, Tcp>,
    skb: Skb,
    segment: &SegmentIn,
) -> core::result::Result<Skb, Skb> {
    let Some(conn) = sk.state().connection() else {
        return Ok(skb);
    };
    let (read, readable) = (conn.read(), conn.readable());
    let (needed, from) = match conn.place_of(segment) {
        Place::Nowhere => return Ok(skb),
        // No reader can make room for what fills a hole before data that fills the buffer.
        Place::Next => (sk.is_receive_queue_empty(), readable),
        Place::Ahead(offset) => (false, offset),
    };
    let mut skb = skb;
    if from > readable {
        skb.condense();
    }
    if fits(sk) {
        skb = match skb.charge(sk) {
            Ok(skb) => return Ok(skb),
            Err(skb) => skb,
        };
    }
    let mut room = make_room(sk, read, from);
    while room {
        skb = match skb.charge(sk) {
            Ok(skb) => return Ok(skb),
            Err(skb) => skb,
        };
        room = prune(sk, from);
    }
    if needed {
        // A reader waits for just this, and whoever sends it holds memory until it has come.
        return Ok(skb.charge_on_credit(sk));
    }
    Err(skb)
}

/// Whether the memory in use is within the buffer.
fn fits(sk: &Locked<'_, Tcp>) -> bool {
    let (buffer, used) = sk.sock().receive_memory();
    used <= buffer
}

/// Tries to bring the memory in use below the buffer's size for what comes at `from`, ever more
/// drastically; where it is already, but memory is refused, the window shrinks. As `tcp_prune_queue`.
fn make_room(sk: &mut Locked<'_, Tcp>, read: u64, from: u64) -> bool {
    let (_, used) = sk.sock().receive_memory();
    if used == 0 {
        return false;
    }
    sk.state().namespace.counters.count(Counter::PruneCalled);
    tell(sk);
    let full = !fits(sk);
    if let Some(conn) = sk.state().connection() {
        match full {
            true => conn.on_receive_buffer_full(),
            false => conn.on_memory_short(),
        }
    }
    resize(sk);
    if fits(sk) {
        return true;
    }
    let gone = sk.collapse_received(|state| &mut state.held, read);
    let counters = &sk.state().namespace.counters;
    counters.add(Counter::RcvCollapsed, gone);
    if fits(sk) {
        return true;
    }
    prune(sk, from);
    let fits = fits(sk);
    if !fits {
        sk.state().namespace.counters.count(Counter::RcvPruned);
    }
    fits
}

/// Gives up some of what is held after `from`. Returns whether there was any.
fn prune(sk: &mut Locked<'_, Tcp>, from: u64) -> bool {
    let Some(gone) = sk.prune_held(|state| &mut state.held, from) else {
        return false;
    };
    sk.state().namespace.counters.count(Counter::OfoPruned);
    if let Some(conn) = sk.state().connection() {
        conn.on_held_dropped(gone);
    }
    true
}
