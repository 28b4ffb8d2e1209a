// SPDX-License-Identifier: GPL-2.0

//! `bind(2)` and `connect(2)`.

use super::{
    config::config,
    counters::Counter,
    entry::{
        Entry,
        Key, //
    },
    flush::{
        flush,
        leave, //
    },
    socket::{
        new_connection,
        Role,
        Tcp, //
    }, //
};
use crate::{
    engine::{
        Isn,
        SeqNum, //
    },
    net::{
        errno::{
            EADDRINUSE,
            EADDRNOTAVAIL, //
        },
        ip::{
            initial_sequence,
            Endpoints,
            Path, //
        },
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};
use core::net::{
    Ipv4Addr,
    SocketAddrV4, //
};
use kernel::prelude::*;

/// Takes `port` at the address that the socket receives at, or a free one for 0.
pub(super) fn get_port(sk: &mut Locked<'_, Tcp>, port: u16) -> Result {
    let sock = sk.sock();
    let ports = sk.state().namespace.ports.clone();
    let (hold, port) = ports.take(
        sock.net(),
        sock.receive_address(),
        port,
        sock.reuses_address(),
    )?;
    sk.state().port = Some(hold);
    sk.set_port(port);
    Ok(())
}

/// Begins to connect to `peer`. On failure the socket is as it was.
pub(super) fn connect(sk: &mut Locked<'_, Tcp>, peer: SocketAddrV4) -> Result {
    let (address_bound, port_bound) = sk.bound_by_user();
    let ends = sk.route_to(peer)?;
    let result = begin(sk, &ends);
    if result.is_err() {
        leave(sk);
        sk.set_kernel_state(SockState::Close);
        sk.set_peer(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0));
        if !address_bound {
            sk.set_local_address(Ipv4Addr::UNSPECIFIED);
        }
        if !port_bound {
            sk.set_port(0);
        }
        sk.reset_route();
    }
    result
}

fn begin(sk: &mut Locked<'_, Tcp>, ends: &Endpoints) -> Result {
    let sock = sk.sock();
    if sock.port() == 0 {
        // Before the local address is set: the port is ours at every address, so that a listener
        // elsewhere cannot get it.
        get_port(sk, 0).map_err(|e| if e == EADDRINUSE { EADDRNOTAVAIL } else { e })?;
    }
    if sock.local().ip().is_unspecified() {
        sk.set_local_address(*ends.source.ip());
    }
    sk.set_peer(ends.destination);
    sk.set_kernel_state(SockState::SynSent);
    let local = sock.local();

    sk.route_with_ports()?;
    let path = sk.path()?;
    let namespace = sk.state().namespace.clone();
    let key = Key::connection(local, ends.destination);
    let node = Entry::socket(&namespace, key, sock.get(), GFP_KERNEL)?;
    namespace
        .table
        .insert(node.clone())
        .map_err(|e| if e == EEXIST { EADDRNOTAVAIL } else { e })?;
    sk.state().node = Some(node);
    start(sk, &path, local, ends.destination)
}

/// Starts the connection in the engine and sends the SYN.
fn start(sk: &mut Locked<'_, Tcp>, path: &Path, local: SocketAddrV4, peer: SocketAddrV4) -> Result {
    let sock = sk.sock();
    let now = super::now();
    let (seq, ts_offset) = initial_sequence(sock.net(), local, peer);
    let isn = Isn {
        seq: SeqNum(seq),
        ts_offset,
    };
    let fixed = sk.buffers_fixed().1;
    let config = config(sock, &sock.shared().options(), path, fixed);
    sk.seed_packet_ids();
    let mut conn = new_connection(GFP_KERNEL)?;
    conn.open(now, &config, isn);
    sk.state().namespace.counters.count(Counter::ActiveOpens);
    sk.state().role = Role::Connection(conn);
    flush(sk, now);
    Ok(())
}
