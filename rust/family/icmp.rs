// SPDX-License-Identifier: GPL-2.0

//! ICMP errors that concern our segments, as `tcp_v4_err` and `tcp_v6_err` take them.

use super::{
    accept_queue::Ticket,
    counters::Counter,
    entry::{
        retire,
        Entry,
        Key,
        Record, //
    },
    flush::flush,
    listen::count_drop,
    namespace::Namespace,
    path,
    socket::Tcp, //
};
use crate::{
    engine::{
        SeqNum,
        State, //
    },
    net::{
        bottom_half::BhDisabled,
        icmp::{
            IcmpError,
            IcmpKind, //
        },
        net_namespace::Net,
        rhashtable::Node,
        skbuff::Skb,
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};
use kernel::{
    prelude::*,
    sync::rcu, //
};

/// A path that became narrower while a task owned the socket.
#[derive(Clone, Copy)]
pub(super) struct Narrower {
    seq: SeqNum,
    mtu: u32,
}

/// Tells the connection whose segment is quoted.
pub(super) fn error(ns: &Namespace, net: &Net, error: &IcmpError, skb: &mut Skb) {
    if !ns.ports.is_used(error.quoted.source.port()) {
        return;
    }
    let bh = BhDisabled::new();
    let rcu = rcu::read_lock();
    let key = Key::connection(&error.quoted);
    let hears = |entry: &Node<Entry>| match entry.value().socket.as_ref() {
        Some(sk) => skb.is_heard_by(sk) && error.ttl >= sk.min_ttl(error.quoted.source.is_ipv6()),
        None => skb.is_heard_at(net, entry.key().device()),
    };
    let Some(entry) = ns.connection(key, skb.devices(), &rcu, hears) else {
        return;
    };
    let Some(sk) = entry.value().socket.as_ref() else {
        tell_record(ns, entry, error);
        return;
    };
    let mut lock = sk.lock_bh(&bh);
    if let Some(locked) = lock.owned() {
        tell(locked, error, skb);
        return;
    }
    if !matches!(error.kind, IcmpKind::TooBig { .. }) {
        ns.counters.count(Counter::LockDroppedIcmps);
    }
    match error.kind {
        // It may come from this very machine, while the segment is being sent.
        IcmpKind::TooBig { mtu } => {
            let seq = SeqNum(error.seq);
            *sk.shared().narrower.lock() = Some(Narrower { seq, mtu });
            lock.defer();
        }
        // As Linux: not worth waiting for, the next segment brings the next error. Only the error
        // queue of a socket that connects shows it. Whether the quoted number is right cannot be told
        // while the task works on the connection.
        IcmpKind::Failed { reason, .. } => {
            if sk.kernel_state() == SockState::SynSent as u8 {
                skb.queue_error(sk, error, reason);
            }
            sk.set_soft_error(reason);
        }
        IcmpKind::Redirect => {}
    }
}

/// A SYN-ACK did not arrive. As `tcp_req_err`: where there is no way to the peer the record goes, and
/// nobody learns of it, since `accept` would not know whom to tell.
fn tell_record(ns: &Namespace, entry: &Node<Entry>, error: &IcmpError) {
    if !matches!(error.kind, IcmpKind::Failed { forget: true, .. }) {
        return;
    }
    let listener = match &*entry.value().record.lock() {
        Record::HalfOpen(half_open) if half_open.half.is_outstanding(SeqNum(error.seq)) => {
            half_open.listener.clone()
        }
        Record::HalfOpen(_) | Record::None | Record::TimeWait(_) => return,
    };
    if let Some(entry) = entry.get() {
        count_drop(ns, &listener);
        drop(retire(&entry));
    }
}

fn tell(sk: &mut Locked<'_, Tcp>, error: &IcmpError, skb: &mut Skb) {
    let Some(conn) = sk.state().connection() else {
        return;
    };
    // RFC 5927 section 4.1: whoever cannot see our segments cannot know what is in flight.
    if !conn.is_outstanding(SeqNum(error.seq)) {
        sk.state()
            .namespace
            .counters
            .count(Counter::OutOfWindowIcmps);
        return;
    }
    let connecting = match conn.state() {
        State::SynSent => true,
        // With Fast Open somebody may have it already, to whom it is a connection.
        State::SynReceived => !sk.state().ticket.as_ref().is_some_and(Ticket::is_accepted),
        _ => false,
    };
    match error.kind {
        IcmpKind::TooBig { mtu } => shrink(sk, mtu),
        // RFC 9293 section 3.9.2.2 (MUST-56) exempts the errors that may pass; as Linux none does
        // while there is no connection yet to be lost.
        IcmpKind::Failed { reason, .. } if connecting => {
            // As Linux, where the queue shows what ends the attempt, but nothing that comes later.
            skb.queue_error(sk.sock(), error, reason);
            fail(sk, reason);
        }
        IcmpKind::Failed { reason, no_way, .. } => {
            note(sk, reason);
            if no_way {
                undo_back_off(sk, SeqNum(error.seq));
            }
        }
        IcmpKind::Redirect => sk.redirect(skb, error),
    }
}

/// No such error ends an established connection: whoever asks hears of it (RFC 9293 section 3.9.2.2,
/// SHLD-25). As Linux not even those that the standard calls hard (SHLD-26), since anybody can send
/// them.
fn note(sk: &mut Locked<'_, Tcp>, reason: Error) {
    if sk.sock().wants_errors() {
        sk.set_error(reason);
        sk.sock().report_error();
    } else {
        sk.sock().set_soft_error(reason);
    }
}

/// The way may be back before the retransmission that is waited for (RFC 6069).
fn undo_back_off(sk: &mut Locked<'_, Tcp>, seq: SeqNum) {
    let now = super::now();
    let conn = sk.state().connection();
    if conn.is_some_and(|conn| conn.on_unreachable(now, seq)) {
        flush(sk, now);
    }
}

/// The connection cannot be made.
fn fail(sk: &mut Locked<'_, Tcp>, reason: Error) {
    let now = super::now();
    sk.set_error(reason);
    if let Some(conn) = sk.state().connection() {
        conn.give_up(now);
    }
    flush(sk, now);
    if !sk.sock().is_dead() {
        sk.sock().report_error();
    }
}

/// The task that owned the socket releases it: does what had to wait.
pub(super) fn catch_up(sk: &mut Locked<'_, Tcp>) {
    let narrower = sk.sock().shared().narrower.lock().take();
    let Some(Narrower { seq, mtu }) = narrower else {
        return;
    };
    if sk
        .state()
        .connection()
        .is_some_and(|conn| conn.is_outstanding(seq))
    {
        shrink(sk, mtu);
    }
}

/// The path has become narrower (RFC 1191).
fn shrink(sk: &mut Locked<'_, Tcp>, mtu: u32) {
    sk.reduce_mtu(mtu);
    if path::follow(sk) {
        flush(sk, super::now());
    }
}
