// SPDX-License-Identifier: GPL-2.0

//! ICMP errors that concern our segments, as `tcp_v4_err` takes them.

use super::{
    config::mss_of,
    entry::Key,
    flush::flush,
    namespace::Namespace,
    socket::{
        Tcp,
        TcpSock, //
    }, //
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
        sock::Locked, //
    }, //
};
use kernel::{
    prelude::*,
    sync::rcu, //
};

/// Tells the connection whose segment is quoted.
pub(super) fn error(ns: &Namespace, error: &IcmpError) {
    if !ns.ports.is_used(error.quoted.source.port()) {
        return;
    }
    let _bh = BhDisabled::new();
    let rcu = rcu::read_lock();
    let key = Key::connection(error.quoted.source, error.quoted.destination);
    let Some(sk) = ns
        .table
        .lookup(&key, &rcu)
        .and_then(|entry| entry.value().socket.as_ref())
    else {
        return;
    };
    let mut lock = sk.lock_bh();
    match lock.owned() {
        Some(locked) => tell(locked, error),
        // As Linux: not worth waiting for, the next segment brings the next error.
        None => note(sk, error.kind),
    }
}

fn note(sk: &TcpSock, kind: IcmpKind) {
    if let IcmpKind::Failed(reason) = kind {
        sk.set_soft_error(reason);
    }
}

fn tell(sk: &mut Locked<'_, Tcp>, error: &IcmpError) {
    let Some(conn) = sk.state().connection() else {
        return;
    };
    // RFC 5927 section 4.1: whoever cannot see our segments cannot know what is in flight.
    if !conn.is_outstanding(SeqNum(error.seq)) {
        return;
    }
    let connecting = matches!(conn.state(), State::SynSent | State::SynReceived);
    match error.kind {
        IcmpKind::TooBig { mtu } => shrink(sk, mtu),
        // RFC 1122 section 4.2.3.9: no such error ends an established connection.
        IcmpKind::Failed(_) if !connecting => note(sk.sock(), error.kind),
        IcmpKind::Failed(reason) => fail(sk, reason),
    }
}

/// The connection cannot be made.
fn fail(sk: &mut Locked<'_, Tcp>, reason: Error) {
    let now = super::now();
    sk.set_error(reason);
    if let Some(conn) = sk.state().connection() {
        conn.abort(now);
    }
    flush(sk, now);
    if !sk.sock().is_dead() {
        sk.sock().report_error();
    }
}

/// The path has become narrower (RFC 1191).
fn shrink(sk: &mut Locked<'_, Tcp>, mtu: u32) {
    sk.reduce_mtu(mtu);
    let Ok(path) = sk.path() else {
        return;
    };
    let now = super::now();
    if let Some(conn) = sk.state().connection() {
        conn.set_mss(mss_of(&path));
        flush(sk, now);
    }
}
