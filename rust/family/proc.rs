// SPDX-License-Identifier: GPL-2.0

//! `/proc/net/oxtcp` and `oxtcp6`: the connections of a namespace, in the form of `/proc/net/tcp` and
//! `tcp6`. As there a socket of AF_INET6 stands in the second whatever its addresses are.

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
    IpAddr,
    SocketAddr, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// Which addresses a file tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    Four,
    Six,
}

impl Version {
    fn of(sk: &TcpSock) -> Self {
        match sk.is_inet6() {
            true => Self::Six,
            false => Self::Four,
        }
    }

    /// Of what is no socket any more, or none yet.
    fn of_address(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::Four,
            SocketAddr::V6(_) => Self::Six,
        }
    }

    /// Characters of a line; 0 where they are not filled up.
    fn width(self) -> usize {
        match self {
            Self::Four => 149,
            Self::Six => 0,
        }
    }
}

/// TIME-WAIT, in which no socket is.
const TIME_WAIT: u8 = 6;

/// `/proc/net/oxtcp`
pub(super) struct Connections4;

impl ProcNet<Namespaces> for Connections4 {
    const NAME: &'static CStr = c"oxtcp";

    fn show(namespace: &Namespace, out: &SeqFile) {
        line(out, Version::Four.width(), |out| {
            seq_print!(
                out,
                "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   \
                 uid  timeout inode"
            );
        });
        show(namespace, out, Version::Four);
    }
}

/// `/proc/net/oxtcp6`
pub(super) struct Connections6;

impl ProcNet<Namespaces> for Connections6 {
    const NAME: &'static CStr = c"oxtcp6";

    fn show(namespace: &Namespace, out: &SeqFile) {
        line(out, Version::Six.width(), |out| {
            seq_print!(
                out,
                "  sl  local_address                         remote_address                        \
                 st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
            );
        });
        show(namespace, out, Version::Six);
    }
}

/// Listeners come first, as in Linux. A connection that changes meanwhile may be missing, or stand in
/// two lines.
fn show(namespace: &Namespace, out: &SeqFile, version: Version) {
    let now = super::now();
    let mut number = 0;
    namespace.listeners.for_each(|sk| {
        if !is_full(out) && sk.is_listening() && Version::of(sk) == version {
            socket(out, &mut number, now, sk);
        }
    });
    namespace.table.for_each(|node| {
        if is_full(out) {
            return;
        }
        match &node.value().socket {
            Some(sk) if sk.is_listening() || Version::of(sk) != version => {}
            Some(sk) => socket(out, &mut number, now, sk),
            None => record(out, &mut number, now, node, version),
        }
    });
}

/// What all lines begin with.
struct Row {
    version: Version,
    local: SocketAddr,
    remote: SocketAddr,
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

/// Prints an address in the order that memory has it in, in words of four octets.
fn print_end(out: &SeqFile, version: Version, end: &SocketAddr) {
    let mut octets = [0; 16];
    let words = match (version, end.ip()) {
        (Version::Four, IpAddr::V4(address)) => {
            octets[..4].copy_from_slice(&address.octets());
            1
        }
        (_, IpAddr::V4(address)) => {
            octets = address.to_ipv6_mapped().octets();
            4
        }
        (_, IpAddr::V6(address)) => {
            octets = address.octets();
            4
        }
    };
    for word in octets.chunks_exact(4).take(words) {
        seq_print!(
            out,
            "{:08X}",
            u32::from_ne_bytes(word.try_into().unwrap_or_default())
        );
    }
    seq_print!(out, ":{:04X} ", end.port());
}

fn ticks(span: Duration) -> u64 {
    clock_ticks(span.as_nanos())
}

fn print(out: &SeqFile, number: &mut u32, row: &Row) {
    seq_print!(out, "{:4}: ", *number);
    print_end(out, row.version, &row.local);
    print_end(out, row.version, &row.remote);
    seq_print!(
        out,
        "{:02X} {:08X}:{:08X} {:02X}:{:08X} {:08X} ",
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

fn socket(out: &SeqFile, number: &mut u32, now: Instant, sk: &TcpSock) {
    let state = sk.kernel_state();
    if state == SockState::Close as u8 {
        // On its way out of the table.
        return;
    }
    let version = Version::of(sk);
    let mut row = Row {
        version,
        local: SocketAddr::new(sk.receive_address(), sk.local().port()),
        remote: sk.peer(),
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
        line(out, version.width(), |out| {
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
    line(out, version.width(), |out| {
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
fn record(out: &SeqFile, number: &mut u32, now: Instant, node: &Node<Entry>, version: Version) {
    if Version::of_address(&node.key().local()) != version {
        return;
    }
    let row = match &*node.value().record.lock() {
        Record::None => return,
        Record::HalfOpen(half) => half_open(out, now, half),
        Record::TimeWait(waiting) => time_wait(now, waiting, node),
    };
    line(out, version.width(), |out| {
        print(out, number, &row);
        print_address(out, node);
    });
}

fn half_open(out: &SeqFile, now: Instant, half: &HalfOpen) -> Row {
    Row {
        version: Version::of_address(&half.ends.source),
        local: half.ends.source,
        remote: half.ends.destination,
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
    }
}

fn time_wait(now: Instant, waiting: &Waiting, node: &Node<Entry>) -> Row {
    Row {
        version: Version::of_address(&node.key().local()),
        local: node.key().local(),
        remote: node.key().remote(),
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
    }
}
