// SPDX-License-Identifier: GPL-2.0

//! `bind(2)` and `connect(2)`.

use super::{
    config::{
        config,
        congestion_along, //
    },
    counters::Counter,
    entry::{
        retire,
        Entry,
        Key,
        Record, //
    },
    ephemeral::Search,
    fast_open_client,
    flush::{
        flush,
        forget_addresses,
        leave, //
    },
    options::Options,
    socket::{
        new_connection,
        Role,
        Tcp,
        TcpSock, //
    }, //
};
use crate::{
    engine::{
        Config,
        Duration,
        Isn,
        SeqNum,
        Successor, //
    },
    net::{
        errno::{
            EADDRINUSE,
            EADDRNOTAVAIL, //
        },
        ip::{
            initial_sequence,
            Endpoints, //
        },
        port::Claim,
        rhashtable::NodeRef,
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};
use core::net::SocketAddr;
use kernel::{
    prelude::*,
    sync::rcu, //
};

/// Takes `port` at the address that the socket receives at, or a free one for 0.
pub(super) fn take_port(sk: &mut Locked<'_, Tcp>, port: u16, claim: Claim) -> Result {
    let sock = sk.sock();
    let taken = sk.state().namespace.ports.bind(sock, port, claim)?;
    sk.set_port(taken.port());
    sk.state().port = Some(taken);
    Ok(())
}

/// The socket's port follows what became of its address or options.
pub(super) fn follow(sk: &mut Locked<'_, Tcp>) -> Result {
    let sock = sk.sock();
    match &mut sk.state().port {
        Some(port) => port.follow(sock),
        None => Ok(()),
    }
}

/// From now on the connection is found by the device that the socket is bound to now. Without memory, or
/// where another has the place, it is found as before.
pub(super) fn follow_device(sk: &mut Locked<'_, Tcp>) {
    let sock = sk.sock();
    let key = Key::connection(&sock.endpoints()).bound_to(sock.bound_device());
    let state = sk.state();
    let Some(old) = state.node.as_ref().filter(|old| *old.key() != key) else {
        return;
    };
    let Ok(node) = Entry::socket(&state.namespace, key, sock.get(), GFP_KERNEL) else {
        return;
    };
    if state.namespace.table.insert(node.clone()).is_ok() {
        state.namespace.table.remove(old);
        state.node = Some(node);
    }
}

/// Begins to connect to `peer`. On failure the socket is as it was.
pub(super) fn connect(sk: &mut Locked<'_, Tcp>, peer: SocketAddr) -> Result {
    let (_, port_bound) = sk.bound_by_user();
    let ends = sk.route_to(peer)?;
    let result = begin(sk, &ends);
    if result.is_err() {
        leave(sk);
        sk.set_kernel_state(SockState::Close);
        forget_addresses(sk);
        if !port_bound {
            sk.set_port(0);
        }
    }
    result
}

fn begin(sk: &mut Locked<'_, Tcp>, ends: &Endpoints) -> Result {
    let sock = sk.sock();
    if sock.local().ip().is_unspecified() {
        sk.set_local_address(ends.source.ip());
        follow(sk)?;
    }
    sk.set_peer(ends.destination);
    sk.set_kernel_state(SockState::SynSent);
    let successor = if sock.port() != 0 {
        if sock.is_taken_by_kernel() {
            return Err(EADDRNOTAVAIL);
        }
        enter(sk, true)?
    } else {
        choose(sk)?
    };
    sk.route_with_ports()?;
    if fast_open_client::defers(sk, successor)? {
        return Ok(());
    }
    start(sk, successor)
}

/// Enters the connection into the table; fails with `EADDRNOTAVAIL` where there is one between the
/// same addresses and ports, but for one in TIME-WAIT that lets this one follow.
fn enter(sk: &mut Locked<'_, Tcp>, chosen: bool) -> Result<Option<Successor>> {
    let sock = sk.sock();
    let namespace = sk.state().namespace.clone();
    let ends = Key::connection(&sock.endpoints());
    if sock.meets_unbound() && namespace.table.lookup(&ends, &rcu::read_lock()).is_some() {
        return Err(EADDRNOTAVAIL);
    }
    let key = ends.bound_to(sock.bound_device());
    let old = namespace
        .table
        .lookup(&key, &rcu::read_lock())
        .map(|entry| entry.get().ok_or(EADDRNOTAVAIL))
        .transpose()?;
    // A record is replaced in one step: no segment of the peer's finds nothing.
    let successor = match &old {
        Some(old) => Some(successor(sock, old, chosen).ok_or(EADDRNOTAVAIL)?),
        None => None,
    };
    let node = Entry::socket(&namespace, key, sock.get(), GFP_KERNEL)?;
    let entered = match &old {
        Some(old) => namespace.table.replace(old, node.clone()),
        None => namespace.table.insert(node.clone()),
    };
    entered.map_err(|e| {
        if e == EEXIST || e == ENOENT {
            EADDRNOTAVAIL
        } else {
            e
        }
    })?;
    if let Some(old) = &old {
        namespace.counters.count(Counter::TimeWaitRecycled);
        drop(retire(old));
    }
    sk.state().node = Some(node);
    Ok(successor)
}

/// How a new connection follows the one whose record this is, where it may (`tcp_twsk_unique`):
/// whoever chose the port himself is not made to wait, others need `tcp_tw_reuse`.
fn successor(sock: &TcpSock, old: &NodeRef<Entry>, chosen: bool) -> Option<Successor> {
    let (reuse, delay_ns) = sock.net().tw_reuse();
    let (local, peer) = (sock.local(), sock.peer());
    let allowed = match reuse {
        0 => false,
        2 => local.ip().is_loopback() || peer.ip().is_loopback(),
        _ => true,
    };
    if !chosen && !allowed {
        return None;
    }
    let delay = (!chosen).then(|| Duration::from_nanos(delay_ns));
    match &*old.value().record.lock() {
        Record::TimeWait(waiting) => waiting.record.successor(super::now(), delay),
        Record::None | Record::HalfOpen(_) => None,
    }
}

/// Chooses a port, as `__inet_hash_connect`: one that nobody has, or one that only connections to
/// other peers leave from.
fn choose(sk: &mut Locked<'_, Tcp>) -> Result<Option<Successor>> {
    let sock = sk.sock();
    let net = sock.net();
    let namespace = sk.state().namespace.clone();
    let mut search = Search::new(
        &sock.port_range(),
        sock.port_offset(),
        net.port_step_width(),
    );
    let mut spare = None;
    while let Some(port) = search.next() {
        if net.is_reserved_port(port) {
            continue;
        }
        sk.set_port(port);
        if namespace.ports.is_used(port) && is_taken(sk) {
            continue;
        }
        let hold = match namespace.ports.leave_from(sock, port, &mut spare) {
            Err(e) if e == EADDRINUSE => continue,
            other => other?,
        };
        match enter(sk, false) {
            Err(e) if e == EADDRNOTAVAIL => continue,
            Err(e) => return Err(e),
            Ok(successor) => {
                search.found();
                sk.state().port = Some(hold);
                return Ok(successor);
            }
        }
    }
    sk.set_port(0);
    Err(EADDRNOTAVAIL)
}

/// Whether there is a connection between the socket's addresses and ports, TIME-WAIT aside.
fn is_taken(sk: &mut Locked<'_, Tcp>) -> bool {
    let sock = sk.sock();
    let key = Key::connection(&sock.endpoints()).bound_to(sock.bound_device());
    let rcu = rcu::read_lock();
    let entry = sk.state().namespace.table.lookup(&key, &rcu);
    entry.is_some_and(|entry| !matches!(*entry.value().record.lock(), Record::TimeWait(_)))
}

/// The MSS that counts until the peer tells its own: no more than every host takes, if the user did
/// not say more, less the timestamps (RFC 6691).
fn opening_mss(config: &Config, options: &Options) -> u16 {
    const TIMESTAMPS_LEN: u16 = 12;
    let mss = match options.max_segment {
        0 => config.mss.min(config.default_mss),
        _ => config.mss,
    };
    match config.timestamps {
        true => mss.saturating_sub(TIMESTAMPS_LEN),
        false => mss,
    }
}

/// Starts the connection in the engine and sends the SYN, unless that waits for data to go with it.
pub(super) fn start(sk: &mut Locked<'_, Tcp>, successor: Option<Successor>) -> Result {
    let sock = sk.sock();
    let path = sk.path()?;
    let now = super::now();
    let (seq, ts_offset) = initial_sequence(sock.net(), &sock.endpoints());
    let isn = Isn {
        seq: SeqNum(seq),
        ts_offset,
    };
    if let Some(algorithm) = congestion_along(&path.hints) {
        sock.shared().options.lock().congestion = algorithm;
        sk.state().congestion_locked = path.hints.congestion_locked;
    }
    let options = sock.shared().options();
    let mut config = config(sock, &options, &path);
    let cache = &sk.state().namespace.path_metrics;
    config.known = cache.known(sock.net(), &sock.endpoints(), &path.hints, now);
    sk.state().mss = opening_mss(&config, &options);
    sk.state().max_segment = options.max_segment;
    sk.seed_packet_ids();
    let mut conn = new_connection(GFP_KERNEL)?;
    match &successor {
        Some(successor) => conn.open_after(now, &config, successor, ts_offset),
        None => conn.open(now, &config, isn),
    }
    sk.state().namespace.counters.count(Counter::ActiveOpens);
    sk.state().role = Role::Connection(conn);
    // As `tcp_connect_init`: what ended an earlier connection is not this one's.
    let _ = sock.take_error();
    if !fast_open_client::prepare(sk, &path) {
        flush(sk, now);
    }
    Ok(())
}
