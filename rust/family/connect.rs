// SPDX-License-Identifier: GPL-2.0

//! `bind(2)` and `connect(2)`.

use super::{
    config::config,
    counters::Counter,
    entry::{
        retire,
        Entry,
        Key,
        Record, //
    },
    fast_open_client,
    flush::{
        flush,
        forget_addresses,
        leave, //
    },
    socket::{
        new_connection,
        Role,
        Tcp,
        TcpSock, //
    }, //
};
use crate::{
    engine::{
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
        rhashtable::NodeRef,
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};
use core::net::{
    IpAddr,
    SocketAddr, //
};
use kernel::{
    prelude::*,
    sync::rcu, //
};

/// Takes `port` at the address that the socket receives at, or a free one for 0.
pub(super) fn get_port(sk: &mut Locked<'_, Tcp>, port: u16) -> Result {
    take(sk, port, false)
}

fn take(sk: &mut Locked<'_, Tcp>, port: u16, outgoing: bool) -> Result {
    let sock = sk.sock();
    let ports = sk.state().namespace.ports.clone();
    let IpAddr::V4(address) = sock.receive_address() else {
        return Err(EADDRNOTAVAIL);
    };
    let (hold, port) = ports.take(sock.net(), address, port, sock.reuses_address(), outgoing)?;
    sk.state().port = Some(hold);
    sk.set_port(port);
    Ok(())
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
    let address = sock.receive_address();
    // Before the local address is set: the port is ours at every address, so that a listener
    // elsewhere cannot get it.
    let taken = if sock.port() != 0 {
        true
    } else {
        match take(sk, 0, true) {
            Err(e) if e == EADDRINUSE => false,
            other => other.map(|()| true)?,
        }
    };
    if sock.local().ip().is_unspecified() {
        sk.set_local_address(ends.source.ip());
    }
    sk.set_peer(ends.destination);
    sk.set_kernel_state(SockState::SynSent);
    let successor = if taken {
        enter(sk, true)?
    } else {
        share(sk, address)?
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
    let key = Key::connection(&sock.endpoints());
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
        drop(retire(old));
    }
    sk.state().node = Some(node);
    Ok(successor)
}

/// How a new connection follows the one whose record this is, where it may (`tcp_twsk_unique`):
/// whoever chose the port himself is not made to wait, others need `tcp_tw_reuse`.
fn successor(sock: &TcpSock, old: &NodeRef<Entry>, chosen: bool) -> Option<Successor> {
    let settings = sock.net().tcp_settings();
    let (local, peer) = (sock.local(), sock.peer());
    let allowed = match settings.tw_reuse {
        0 => false,
        2 => local.ip().is_loopback() || peer.ip().is_loopback(),
        _ => true,
    };
    if !chosen && !allowed {
        return None;
    }
    let delay = (!chosen).then(|| Duration::from_nanos(settings.tw_reuse_delay_ns));
    match &*old.value().record.lock() {
        Record::TimeWait(waiting) => waiting.record.successor(super::now(), delay),
        Record::None | Record::HalfOpen(_) => None,
    }
}

/// No port is free: finds one that connections to other peers use.
///
/// The search begins where the keyed hash of the addresses says, so that the choice cannot be
/// foretold (RFC 6056 section 3.3.3).
fn share(sk: &mut Locked<'_, Tcp>, address: IpAddr) -> Result<Option<Successor>> {
    let sock = sk.sock();
    let IpAddr::V4(address) = address else {
        return Err(EADDRNOTAVAIL);
    };
    let ports = sk.state().namespace.ports.clone();
    let (hash, _) = initial_sequence(sock.net(), &sock.endpoints());
    let begin = (hash >> 16) as u16;
    for (from, to) in [(begin, u16::MAX), (0, begin)] {
        let mut after = from;
        while let Some((hold, port)) = ports.share(address, after, sock.reuses_address()) {
            if port > to {
                break;
            }
            after = port;
            sk.state().port = Some(hold);
            sk.set_port(port);
            match enter(sk, false) {
                Err(e) if e == EADDRNOTAVAIL => {}
                other => return other,
            }
        }
    }
    Err(EADDRNOTAVAIL)
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
    let config = config(sock, &sock.shared().options(), &path);
    sk.seed_packet_ids();
    let mut conn = new_connection(GFP_KERNEL)?;
    match &successor {
        Some(successor) => conn.open_after(now, &config, successor, ts_offset),
        None => conn.open(now, &config, isn),
    }
    sk.state().namespace.counters.count(Counter::ActiveOpens);
    sk.state().role = Role::Connection(conn);
    if !fast_open_client::prepare(sk, &path) {
        flush(sk, now);
    }
    Ok(())
}
