// SPDX-License-Identifier: GPL-2.0

//! Segments from the network.

use super::{
    counters::Counter,
    entry::{
        Entry,
        Key, //
    },
    flush::flush,
    icmp,
    lost,
    md5,
    memory,
    minisock,
    namespace::Namespace,
    socket::{
        Tcp,
        TcpSock, //
    },
    syn,
    urgent, //
};
use crate::{
    engine::{
        Codepoint,
        Duration,
        Instant,
        Limits,
        Payload,
        Place,
        Reason,
        SegmentIn,
        SegmentOut,
        State, //
    },
    net::{
        bottom_half::BhDisabled,
        ip::{
            Endpoints,
            Segment, //
        },
        net_namespace::Net,
        netfilter::{
            LocalIn,
            Verdict, //
        },
        rhashtable::Node,
        skbuff::{
            DropReason,
            Skb, //
        },
        sock::Locked, //
    }, //
};
use core::{
    net::SocketAddr,
    sync::atomic::Ordering, //
};
use kernel::sync::rcu;

impl LocalIn for Namespace {
    fn local_in(&self, net: &Net, mut skb: Skb) -> Verdict {
        let Some(ends) = skb.tcp_endpoints() else {
            if let Some(error) = skb.icmp_error() {
                icmp::error(self, net, &error, &mut skb);
            }
            return Verdict::Accept(skb);
        };
        if !self.ports.is_used(ends.destination.port()) {
            return lost::segment(self, net, skb, &ends);
        }
        let bh = BhDisabled::new();
        let rcu = rcu::read_lock();
        let hears = |entry: &Node<Entry>| match entry.value().socket.as_ref() {
            Some(sk) => skb.is_heard_by(sk),
            None => skb.is_heard_at(net, entry.key().device()),
        };
        let key = Key::of_segment(&ends);
        let connection = self.connection(key, skb.devices(), &rcu, hears);
        let listener = match connection {
            Some(_) => None,
            None => self.listeners.find(&mut skb, &ends, &rcu),
        };
        let is_for_kernel = match (connection, &listener) {
            (Some(_), _) => false,
            (None, None) => return lost::segment(self, net, skb, &ends),
            (None, Some(found)) => {
                skb.is_for_kernel(net, &ends)
                    || self.listeners.is_for_kernel(net, &skb, &ends, found, &rcu)
            }
        };
        if is_for_kernel {
            // It finds a connection or a listener of its own.
            return Verdict::Accept(skb);
        }
        // As `tcp_v6_conn_request`: nobody has such an address (RFC 4291 section 2.5.5.2).
        if matches!(ends.source, SocketAddr::V6(peer) if peer.ip().to_ipv4_mapped().is_some()) {
            skb.drop_header_error(net);
            return Verdict::Stolen;
        }
        self.counters.count(Counter::InSegs);
        match (
            skb.into_segment(net, super::now().as_nanos()),
            connection,
            listener,
        ) {
            (Ok(segment), Some(entry), _) => {
                dispatch(self, net, &bh, entry, segment, &ends);
            }
            (Ok(segment), None, Some(found)) => {
                let socket = found.socket;
                if let Some(segment) = md5::pass(self, socket, segment, &ends, false) {
                    syn::segment(net, &found, segment, &ends, None);
                }
            }
            (Ok(_), None, None) => {}
            (Err(reason), ..) => self.bad_segment(reason),
        }
        Verdict::Stolen
    }
}

impl Namespace {
    /// Counts a packet that is no segment.
    pub(super) fn bad_segment(&self, reason: DropReason) {
        match reason {
            DropReason::Checksum => {
                self.counters.count(Counter::InCsumErrors);
                self.counters.count(Counter::InErrs);
            }
            DropReason::TooSmall => self.counters.count(Counter::InErrs),
            DropReason::MinTtl => self.counters.count(Counter::MinTtlDrop),
            _ => {}
        }
    }

    /// The connection between the ends of `key`, of those that `hears` allows: one that is bound to one
    /// of the devices before one that is not.
    pub(super) fn connection<'g>(
        &self,
        key: Key,
        devices: [i32; 2],
        rcu: &'g rcu::Guard,
        hears: impl Fn(&Node<Entry>) -> bool,
    ) -> Option<&'g Node<Entry>> {
        let at = |device| {
            let entry = self.table.lookup(&key.bound_to(device), rcu);
            entry.filter(|entry| hears(entry))
        };
        if self.bound.load(Ordering::Relaxed) != 0 {
            let mut devices = devices.into_iter().filter(|&device| device != 0);
            if let Some(entry) = devices.find_map(at) {
                return Some(entry);
            }
        }
        at(0)
    }
}

/// Gives a segment to what it is for.
fn dispatch(
    ns: &Namespace,
    net: &Net,
    bh: &BhDisabled,
    entry: &Node<Entry>,
    segment: Segment,
    ends: &Endpoints,
) {
    match &entry.value().socket {
        None => {
            if let Some(entry) = entry.get() {
                minisock::segment(ns, net, &entry, segment, ends);
            }
        }
        // It has been given another task since it was looked up.
        Some(sk) if sk.is_listening() => {}
        Some(sk) => {
            if let Some(segment) = md5::pass(ns, sk, segment, ends, false) {
                deliver(ns, bh, sk, segment);
            }
        }
    }
}

/// Gives a segment to a connection, or to the task that owns it for later.
fn deliver(ns: &Namespace, bh: &BhDisabled, sk: &TcpSock, segment: Segment) {
    sk.note_origin(&segment);
    let mut lock = sk.lock_bh(bh);
    if let Some(locked) = lock.owned() {
        receive(locked, segment.into_skb());
    } else if let Err(skb) = lock.add_backlog(segment.into_skb()) {
        drop(lock);
        ns.counters.count(Counter::BacklogDrop);
        skb.drop_of(sk, DropReason::Backlog);
    }
}

/// What the header says, for the engine.
pub(super) fn parse(segment: &Segment) -> Option<SegmentIn> {
    let mut parsed = SegmentIn::parse(segment.header(), segment.payload_len()).ok()?;
    parsed.codepoint = Codepoint::from_tos(segment.tos());
    if let Some(len) = segment.merged_from() {
        parsed.wire_len = len.into();
    }
    Some(parsed)
}

/// Takes a segment in, under the lock of its connection.
pub(super) fn receive(sk: &mut Locked<'_, Tcp>, skb: Skb) {
    take(sk, skb);
    flush(sk, super::now());
}

/// Takes in a segment that waited while a task owned the socket. The others that did are taken in
/// as well before anything is sent (RFC 9293 section 3.10.7.4, MUST-59), unless
/// `tcp_backlog_ack_defer` says otherwise.
pub(super) fn receive_late(sk: &mut Locked<'_, Tcp>, skb: Skb) {
    take(sk, skb);
    if sk.sock().net().defers_backlog_acks() {
        sk.defer();
    } else {
        flush(sk, super::now());
    }
}

fn take(sk: &mut Locked<'_, Tcp>, skb: Skb) {
    let Some(segment) = Segment::from_skb(skb) else {
        return;
    };
    let Some(mut parsed) = parse(&segment) else {
        segment.into_skb().drop_of(sk.sock(), DropReason::TooSmall);
        return;
    };
    // The socket may have been given another connection since it was looked up.
    if !segment.is_between(&sk.sock().endpoints().reversed()) {
        segment.into_skb().drop_because(DropReason::NoSocket);
        return;
    }
    let header_len = segment.header().len() as u32;
    let now = Instant::from_nanos(segment.arrival_ns());
    let mut skb = segment.into_skb();

    // Memory first: once the engine has taken data in, it is acknowledged and must be kept.
    if parsed.len != 0 {
        parsed.memory = skb.truesize();
        parsed.spare_memory = skb.spare_memory(header_len);
        skb = match memory::admit(sk, skb, &parsed) {
            Ok(skb) => skb,
            Err(skb) => {
                // As Linux by where it lies: beyond a hole, or next.
                let conn = sk.state().connection();
                let place = conn.map(|conn| conn.place_of(&parsed));
                let cause = match place {
                    Some(Place::Ahead(_)) => Counter::OfoDrop,
                    _ => Counter::RcvQDrop,
                };
                sk.state().namespace.counters.count(cause);
                skb.drop_of(sk.sock(), DropReason::Memory);
                memory::tell(sk);
                if let Some(conn) = sk.state().connection() {
                    conn.on_segment_without_room(now, &parsed);
                }
                // The reader could help.
                if !sk.sock().is_dead() {
                    sk.sock().data_ready();
                }
                return;
            }
        };
    }
    memory::tell(sk);
    let (dsack, ratelimit) = sk.sock().net().answers();
    let Some(conn) = sk.state().connection() else {
        // Closed while the segment was under way to it.
        return;
    };
    let begin = conn.readable();
    let mark = conn.urgent().map(|(at, _)| at);
    conn.set_answers(dsack, Duration::from_nanos(ratelimit));
    let connecting = conn.state() == State::SynSent;
    let payload = conn.on_segment(now, &parsed);
    let established = connecting && matches!(conn.state(), State::Established | State::CloseWait);
    // We give a connection up ourselves where data comes that nobody will read.
    let refused = match conn.pending_end() {
        Some(Reason::Aborted) => {
            let limits = Limits { max_len: 0 };
            Some(conn.poll_transmit(now, &limits, |_, len| len))
        }
        _ => None,
    };
    let readable = conn.readable();
    if established {
        sk.tell_established(&skb);
    }
    urgent::arrived(sk, &parsed, &skb, header_len, mark);
    match payload {
        // Data that was here already, or that there is no place for.
        Payload::Discard if parsed.len != 0 && refused.is_none() => {
            skb.drop_of(sk.sock(), DropReason::Unspecified);
        }
        Payload::Discard => match refused {
            Some(reset) => refuse(sk, skb, reset.as_ref()),
            None => skb.consume(),
        },
        Payload::Append { skip, len } => {
            skb.set_range(begin, header_len.saturating_add(skip), len);
            sk.queue_received(skb);
            release_held(sk, readable);
        }
        Payload::Hold { offset, skip, len } => {
            skb.set_range(offset, header_len.saturating_add(skip), len);
            sk.hold(|state| &mut state.held, skb);
        }
    }
}

/// Answers what made us give the connection up. The connection is no more, so that the reset is
/// nobody's, as in Linux (`tcp_v4_send_reset`).
#[cold]
fn refuse(sk: &mut Locked<'_, Tcp>, skb: Skb, reset: Option<&SegmentOut>) {
    let sock = sk.sock();
    let namespace = &sk.state().namespace;
    namespace.counters.count(Counter::AbortOnData);
    let Some(segment) = Segment::from_skb(skb) else {
        return;
    };
    if let Some(reset) = reset {
        let manner = segment.manner_of_reset(sock.net(), &sock.manner());
        let options = segment.answering(sock.net());
        let ends = sock.endpoints();
        let key = md5::key_of(sock);
        minisock::send(namespace, &ends, &manner, &options, reset, key.as_ref());
    }
    segment.into_skb().drop_because(DropReason::AbortOnData);
}

/// Moves what has come into order to the receive queue.
fn release_held(sk: &mut Locked<'_, Tcp>, readable: u64) {
    let Some(last) = readable.checked_sub(1) else {
        return;
    };
    while let Some(skb) = sk.state().held.pop_until(last) {
        sk.queue_received(skb);
    }
}
