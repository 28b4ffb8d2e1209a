// SPDX-License-Identifier: GPL-2.0

//! `/proc/net/oxtcp`: the connections of a namespace, in the form of `/proc/net/tcp`.

use super::{
    entry::{
        Entry,
        HalfOpen,
        Record,
        Waiting, //
    },
    namespace::{
        Namespace,
        Namespaces, //
    },
    published::Pending,
    socket::TcpSock, //
};
use crate::{
    engine::{
        Duration,
        Instant, //
    },
    net::{
        proc_fs::{
            clock_ticks,
            is_full,
            line,
            print_address,
            ProcNet, //
        },
        rhashtable::Node,
        sock::SockState, //
    }, //
};
use core::net::{
    SocketAddr,
    SocketAddrV4, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// Characters of a line.
const WIDTH: usize = 149;

/// TIME-WAIT, in which no socket is.
const TIME_WAIT: u8 = 6;

/// The file.
pub(super) struct Connections;

impl ProcNet<Namespaces> for Connections {
    const NAME: &'static CStr = c"oxtcp";

    /// Listeners come first, as in Linux. A connection that changes meanwhile may be missing, or
    /// stand in two lines.
    fn show(namespace: &Namespace, out: &SeqFile) {
        line(out, WIDTH, |out| {
            seq_print!(
                out,
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                 uid  timeout inode"
            );
        });
        let now = super::now();
        let mut number = 0;
        namespace.listeners.for_each(|sk| {
            if !is_full(out) && sk.is_listening() {
                socket(out, &mut number, now, sk);
            }
        });
        namespace.table.for_each(|node| {
            if is_full(out) {
                return;
            }
            match &node.value().socket {
                Some(sk) if sk.is_listening() => {}
                Some(sk) => socket(out, &mut number, now, sk),
                None => record(out, &mut number, now, node),
            }
        });
    }
}

/// What all lines begin with.
struct Row {
    local: SocketAddrV4,
    remote: SocketAddrV4,
    state: u8,
    tx_queue: u32,
    rx_queue: u32,
    pending: u8,
    /// Until the timer expires.
    left: Duration,
    retransmits: u8,
    uid: u32,
    probes: u8,
    inode: u64,
    references: i32,
}

/// An address in the order that memory has it in, as one number.
fn number_of(address: &SocketAddrV4) -> u32 {
    u32::from_ne_bytes(address.ip().octets())
}

fn ticks(span: Duration) -> u64 {
    clock_ticks(span.as_nanos())
}

fn print(out: &SeqFile, number: &mut u32, row: &Row) {
    seq_print!(
        out,
        "{:4}: {:08X}:{:04X} {:08X}:{:04X} {:02X} {:08X}:{:08X} {:02X}:{:08X} {:08X} ",
        *number,
        number_of(&row.local),
        row.local.port(),
        number_of(&row.remote),
        row.remote.port(),
        row.state,
        row.tx_queue,
        row.rx_queue,
        row.pending,
        ticks(row.left),
        row.retransmits
    );
    seq_print!(
        out,
        "{:5} {:8} {} {} ",
        row.uid,
        row.probes,
        row.inode,
        row.references
    );
    *number += 1;
}

/// An address of IPv4; the file has no place for others.
fn ipv4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}

fn socket(out: &SeqFile, number: &mut u32, now: Instant, sk: &TcpSock) {
    let state = sk.kernel_state();
    if state == SockState::Close as u8 {
        // On its way out of the table.
        return;
    }
    let local = SocketAddr::new(sk.receive_address(), sk.local().port());
    let (Some(local), Some(remote)) = (ipv4(local), ipv4(sk.peer())) else {
        return;
    };
    let mut row = Row {
        local,
        remote,
        state,
        tx_queue: 0,
        rx_queue: 0,
        pending: Pending::None as u8,
        left: Duration::ZERO,
        retransmits: 0,
        uid: sk.uid(out),
        probes: 0,
        inode: sk.inode(),
        references: sk.references(),
    };
    if state == SockState::Listen as u8 {
        row.rx_queue = sk.shared().queue.len();
        line(out, WIDTH, |out| {
            print(out, number, &row);
            print_address(out, sk);
            // What a socket of Linux begins with, and the queue of Fast Open.
            seq_print!(out, " 100 0 0 10 0");
        });
        return;
    }
    let shared = sk.shared();
    let values = shared.published.get();
    row.tx_queue = values.unacked;
    row.rx_queue = u32::try_from(shared.unread()).unwrap_or(u32::MAX);
    row.pending = values.pending;
    row.left = values.deadline.since(now);
    row.retransmits = values.retransmits;
    row.probes = values.probes;
    line(out, WIDTH, |out| {
        print(out, number, &row);
        print_address(out, sk);
        seq_print!(
            out,
            " {} {} {} {} {}",
            ticks(values.rto),
            ticks(values.ato),
            values.acks,
            values.cwnd,
            values.ssthresh.map_or(-1, i64::from)
        );
    });
}

/// A line for a connection without a socket. What Linux does not know of such is zero.
fn record(out: &SeqFile, number: &mut u32, now: Instant, node: &Node<Entry>) {
    let row = match &*node.value().record.lock() {
        Record::None => return,
        Record::HalfOpen(half) => half_open(out, now, half),
        Record::TimeWait(waiting) => time_wait(now, waiting, node),
    };
    let Some(row) = row else {
        return;
    };
    line(out, WIDTH, |out| {
        print(out, number, &row);
        print_address(out, node);
    });
}

fn half_open(out: &SeqFile, now: Instant, half: &HalfOpen) -> Option<Row> {
    Some(Row {
        local: ipv4(half.ends.source)?,
        remote: ipv4(half.ends.destination)?,
        state: SockState::SynRecv as u8,
        tx_queue: 0,
        rx_queue: 0,
        pending: Pending::Retransmit as u8,
        left: half.half.next_deadline().since(now),
        retransmits: half.half.timeouts(),
        uid: half.listener.uid(out),
        probes: 0,
        inode: 0,
        references: 0,
    })
}

fn time_wait(now: Instant, waiting: &Waiting, node: &Node<Entry>) -> Option<Row> {
    Some(Row {
        local: ipv4(node.key().local())?,
        remote: ipv4(node.key().remote())?,
        state: TIME_WAIT,
        tx_queue: 0,
        rx_queue: 0,
        pending: Pending::TimeWait as u8,
        left: waiting.record.deadline().since(now),
        retransmits: 0,
        uid: 0,
        probes: 0,
        inode: 0,
        references: node.references(),
    })
}
