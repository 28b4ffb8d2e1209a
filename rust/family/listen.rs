// SPDX-License-Identifier: GPL-2.0

//! Listeners, and connections that have no socket: half-open ones and those in TIME-WAIT.

use super::{
    accept_queue::Place,
    config::config,
    counters::Counter,
    entry::{
        retire,
        Entry,
        HalfOpen,
        Key,
        Record, //
    },
    flush::leave,
    header::Header,
    input::{
        self,
        parse, //
    },
    namespace::Namespace,
    socket::{
        new_connection,
        Role,
        Shared,
        State,
        Tcp,
        TcpSock, //
    }, //
};
use crate::{
    engine::{
        self,
        HalfOpenDeadline,
        HalfOpenVerdict,
        Instant,
        Isn,
        ListenVerdict,
        SegmentIn,
        SegmentOut,
        SeqNum,
        TimeWaitVerdict, //
    },
    net::{
        errno::{
            EADDRINUSE,
            ENOBUFS, //
        },
        ip::{
            initial_sequence,
            Endpoints,
            Segment, //
        },
        net_namespace::Net,
        rhashtable::NodeRef,
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};
use core::net::SocketAddrV4;
use kernel::{
    prelude::*,
    sync::{
        rcu,
        Arc, //
    }, //
};

/// `listen(2)`: opens the queues and enters the table.
pub(super) fn listen(sk: &mut Locked<'_, Tcp>, backlog: u32) -> Result {
    let sock = sk.sock();
    let state = sock.kernel_state();
    if state != SockState::Close as u8 && !sock.is_listening() {
        return Err(EINVAL);
    }
    let backlog = backlog.min(sock.net().tcp_settings().somaxconn);
    sock.set_max_ack_backlog(backlog);
    if sock.is_listening() {
        return sock.shared().queue.open(backlog, None);
    }
    if sock.port() == 0 {
        super::connect::get_port(sk, 0)?;
    }
    let port = sk.state().port.as_mut().ok_or(EINVAL)?;
    port.listen()?;
    let hold = port.for_child();
    if let Err(e) = begin(sk, backlog, hold) {
        if let Some(port) = sk.state().port.as_mut() {
            port.stop_listening();
        }
        return Err(e);
    }
    Ok(())
}

fn begin(sk: &mut Locked<'_, Tcp>, backlog: u32, hold: super::ports::PortUse) -> Result {
    let sock = sk.sock();
    let key = Key::listener(SocketAddrV4::new(sock.receive_address(), sock.port()));
    let namespace = sk.state().namespace.clone();
    let node = Entry::socket(&namespace, key, sock.get(), GFP_KERNEL)?;
    sock.shared().queue.open(backlog, Some(hold))?;
    sk.reset_route();
    sk.state().role = Role::Listener;
    sk.set_kernel_state(SockState::Listen);
    if let Err(e) = namespace.table.insert(node.clone()) {
        stop(sk);
        return Err(if e == EEXIST { EADDRINUSE } else { e });
    }
    sk.state().node = Some(node);
    Ok(())
}

/// Ends listening: connections that nobody accepted are reset.
pub(super) fn stop(sk: &mut Locked<'_, Tcp>) {
    let sock = sk.sock();
    sk.set_kernel_state(SockState::Close);
    sk.state().role = Role::Idle;
    if let Some(port) = sk.state().port.as_mut() {
        port.stop_listening();
    }
    leave(sk);
    let queue = &sock.shared().queue;
    while let Some(child) = queue.close() {
        forget(&child);
    }
    sock.set_ack_backlog(0);
    if queue.half_open() != 0 {
        let namespace = sk.state().namespace.clone();
        namespace.table.for_each(|node| {
            let ours = matches!(
                &*node.value().record.lock(),
                Record::HalfOpen(h) if core::ptr::eq(&*h.listener, sock)
            );
            if ours {
                if let Some(node) = node.get() {
                    drop(retire(&node));
                }
            }
        });
    }
}

/// Resets a connection that will never be accepted.
fn forget(child: &TcpSock) {
    child.with_bh_lock(|child| {
        child.orphan();
        super::close::abort(child);
    });
}

/// Sends a segment for a connection without a socket, in the name of its listener.
fn send_for(ns: &Namespace, listener: &TcpSock, ends: &Endpoints, segment: &SegmentOut) {
    let header = Header::new(segment, ends);
    let _ = listener.send_for(ends, &header, segment.codepoint as u8);
    ns.counters.sent(segment);
}

/// Sends a segment in nobody's name.
fn send(ns: &Namespace, ends: &Endpoints, segment: &SegmentOut) {
    let _ = ns.control.send(ends, &Header::new(segment, ends));
    ns.counters.sent(segment);
}

/// The way back.
fn reverse(ends: &Endpoints) -> Endpoints {
    Endpoints {
        source: ends.destination,
        destination: ends.source,
    }
}

/// A segment for a listener. `after` is what the sequence numbers of a new connection must lie
/// beyond, where it follows one in TIME-WAIT.
pub(super) fn segment(
    net: &Net,
    ns: &Arc<Namespace>,
    listener: &TcpSock,
    segment: Segment,
    ends: &Endpoints,
    after: Option<SeqNum>,
) {
    let Some(parsed) = parse(&segment) else {
        return;
    };
    match engine::on_listen(&parsed) {
        ListenVerdict::Ignore => return,
        ListenVerdict::Reset(reset) => send(ns, &reverse(ends), &reset),
        ListenVerdict::Syn => {
            let now = Instant::from_nanos(segment.arrival_ns());
            if syn(net, ns, listener, now, &parsed, &reverse(ends), after).is_err() {
                ns.counters.count(Counter::ListenDrops);
                return;
            }
        }
    }
    // It did what it came for: no drop that a monitor should see.
    segment.into_skb().consume();
}

/// A SYN: leaves a record and answers. Where a queue is full, or memory short, the SYN is dropped and
/// the peer tries again.
#[inline(never)]
fn syn(
    net: &Net,
    ns: &Arc<Namespace>,
    listener: &TcpSock,
    now: Instant,
    parsed: &SegmentIn,
    ends: &Endpoints,
    after: Option<SeqNum>,
) -> Result {
    let shared = listener.shared();
    let backlog = listener.max_ack_backlog();
    if shared.queue.is_full(backlog) {
        ns.counters.count(Counter::ListenOverflows);
        return Err(ENOBUFS);
    }
    if shared.queue.half_open() > backlog {
        ns.counters.count(Counter::ReqQFullDrop);
        return Err(ENOBUFS);
    }
    let path = listener.path_for(ends)?;
    let config = config(listener, &shared.options(), &path, false);
    let (seq, ts_offset) = initial_sequence(net, ends.source, ends.destination);
    let isn = Isn {
        seq: after.unwrap_or(SeqNum(seq)),
        ts_offset,
    };
    let mut half = engine::HalfOpen::new(now, &config, parsed, isn);
    let answer = half.syn_ack(now);
    let deadline = half.next_deadline();
    shared.queue.half_open_new();
    let record = Record::HalfOpen(HalfOpen {
        half,
        listener: listener.get(),
        ends: *ends,
    });
    let key = Key::connection(ends.source, ends.destination);
    let node = Entry::record(ns, key, record, GFP_ATOMIC | __GFP_NOWARN)?;
    ns.table.insert(node.clone())?;
    node.arm(deadline.since(now).as_nanos());
    send_for(ns, listener, ends, &answer);
    Ok(())
}

/// What a segment does to a record.
enum Next {
    Nothing,
    /// Send this in the listener's name, or nobody's.
    Send(SegmentOut),
    Remove,
    Establish,
    /// A new connection may take the place of the one in TIME-WAIT.
    Reopen(SeqNum),
}

/// A segment for a connection without a socket. `ends` is the segment's.
// Rare, and not to burden the stack of what is not.
#[inline(never)]
pub(super) fn record_segment(
    ns: &Namespace,
    net: &Net,
    node: &NodeRef<Entry>,
    segment: Segment,
    ends: &Endpoints,
) {
    let half_open_listener = match &*node.value().record.lock() {
        Record::None => return,
        Record::HalfOpen(h) => Some(h.listener.clone()),
        Record::TimeWait(_) => None,
    };
    let segment = match &half_open_listener {
        Some(listener) => segment.pass_filters(listener),
        None => segment.pass_policy().then_some(segment),
    };
    let Some(segment) = segment else {
        return;
    };
    let Some(parsed) = parse(&segment) else {
        return;
    };
    let now = Instant::from_nanos(segment.arrival_ns());
    let mut rearm = None;
    let next = match &mut *node.value().record.lock() {
        Record::None => Next::Nothing,
        Record::HalfOpen(h) => {
            let verdict = h.half.on_segment(now, &parsed);
            rearm = Some(h.half.next_deadline());
            match verdict {
                HalfOpenVerdict::Ignore => Next::Nothing,
                HalfOpenVerdict::Reply(s) | HalfOpenVerdict::Reset(s) => Next::Send(s),
                HalfOpenVerdict::Remove => Next::Remove,
                HalfOpenVerdict::Established => Next::Establish,
            }
        }
        Record::TimeWait(w) => {
            let verdict = w.record.on_segment(now, &parsed);
            rearm = Some(w.record.deadline());
            match verdict {
                TimeWaitVerdict::Ignore => Next::Nothing,
                TimeWaitVerdict::Reply(s) => Next::Send(s),
                TimeWaitVerdict::Remove => Next::Remove,
                TimeWaitVerdict::Reopen { isn_after } => Next::Reopen(isn_after),
            }
        }
    };
    match next {
        Next::Nothing => {}
        Next::Send(answer) => match &half_open_listener {
            Some(listener) => send_for(ns, listener, &reverse(ends), &answer),
            None => send(ns, &reverse(ends), &answer),
        },
        Next::Remove => {
            if half_open_listener.is_some() {
                ns.counters.count(Counter::AttemptFails);
                ns.counters.count(Counter::EmbryonicRsts);
            }
            drop(retire(node));
            segment.into_skb().consume();
            return;
        }
        Next::Establish => {
            if let Some(listener) = half_open_listener {
                establish(node, &listener, segment, &reverse(ends));
            }
            return;
        }
        Next::Reopen(after) => {
            let rcu = rcu::read_lock();
            let listener = ns.listener(ends.destination, &rcu, |entry| {
                let socket = entry.value().socket.as_ref();
                socket.is_some_and(|sk| segment.is_heard_by(sk))
            });
            if let Some(sk) = listener.and_then(|entry| entry.value().socket.as_ref()) {
                drop(retire(node));
                let own = &node.value().namespace;
                if let Some(segment) = segment.pass_filters(sk) {
                    self::segment(net, own, sk, segment, ends, Some(after));
                }
            }
            return;
        }
    }
    segment.into_skb().consume();
    if let Some(deadline) = rearm {
        node.arm(deadline.since(now).as_nanos());
    }
}

/// The third ACK: makes the socket, puts it in the record's place, gives it the segment, and queues
/// it for `accept`.
#[inline(never)]
fn establish(node: &NodeRef<Entry>, listener: &TcpSock, segment: Segment, ends: &Endpoints) {
    let queue = &listener.shared().queue;
    if !listener.is_listening() {
        return;
    }
    let ns = &node.value().namespace;
    let Some(place) = queue.reserve(listener.max_ack_backlog()) else {
        ns.counters.count(Counter::ListenOverflows);
        ns.counters.count(Counter::ListenDrops);
        // Linux drops the ACK and lets the SYN-ACK's timer bring another, or resets.
        if listener.net().tcp_settings().abort_on_overflow {
            let reset = parse(&segment).and_then(|parsed| engine::on_closed(&parsed));
            drop(retire(node));
            if let Some(reset) = reset {
                send_for(ns, listener, ends, &reset);
            }
        }
        return;
    };
    // From here on the record is ours: another segment finds none.
    let mut slot = node.value().record.lock();
    let Record::HalfOpen(half) = core::mem::replace(&mut *slot, Record::None) else {
        return;
    };
    drop(slot);
    match make_child(node, listener, &half, segment, ends, place) {
        Ok(()) => {
            node.retire();
            listener.data_ready();
        }
        // The connection stays half-open, for the next try.
        Err(_) => {
            ns.counters.count(Counter::ListenDrops);
            let deadline = half.half.next_deadline();
            *node.value().record.lock() = Record::HalfOpen(half);
            // The timer may have fired meanwhile, and found nothing to do.
            node.arm(deadline.since(super::now()).as_nanos());
        }
    }
}

#[inline(never)]
fn make_child(
    node: &NodeRef<Entry>,
    listener: &TcpSock,
    half: &HalfOpen,
    segment: Segment,
    ends: &Endpoints,
    mut place: Place<'_>,
) -> Result {
    let path = listener.path_for(ends)?;
    let options = listener.shared().options();
    let config = config(listener, &options, &path, false);
    let namespace = node.value().namespace.clone();
    let mut state = State::new(namespace.clone());
    state.port = place.port.take();
    let mut conn = new_connection(GFP_ATOMIC | __GFP_NOWARN)?;
    conn.complete(&config, &half.half);
    state.role = Role::Connection(conn);

    let mut entered = false;
    let child = listener.clone_child(
        Shared::child(options),
        state,
        ends.source,
        ends.destination,
        |child| {
            let key = Key::connection(ends.source, ends.destination);
            let sock = child.sock().get();
            let made = child.path().and_then(|_| {
                let new = Entry::socket(&namespace, key, sock, GFP_ATOMIC | __GFP_NOWARN)?;
                namespace.table.replace(node, new.clone())?;
                Ok(new)
            });
            match made {
                Ok(new) => {
                    entered = true;
                    child.state().node = Some(new);
                    input::receive(child, segment.into_skb());
                }
                Err(_) => {
                    // The peer is to hear nothing of it: it is still half-open.
                    child.state().role = Role::Idle;
                    child.set_kernel_state(SockState::Close);
                    child.orphan();
                    super::close::abort(child);
                }
            }
        },
    )?;
    if !entered {
        return Err(ENOMEM);
    }
    node.value().namespace.counters.count(Counter::PassiveOpens);
    match place.fill(child) {
        Ok(waiting) => listener.set_ack_backlog(waiting),
        // The listener was closed meanwhile.
        Err(child) => forget(&child),
    }
    Ok(())
}

/// The timer of a record fired.
pub(super) fn on_record_timer(node: &NodeRef<Entry>) {
    let now = super::now();
    let ns = &node.value().namespace;
    let mut answer = None;
    let next = match &mut *node.value().record.lock() {
        Record::None => return,
        Record::HalfOpen(h) if !h.listener.is_listening() => None,
        Record::HalfOpen(h) => match h.half.on_deadline(now) {
            HalfOpenDeadline::Early => Some(h.half.next_deadline()),
            HalfOpenDeadline::Retransmit(segment) => {
                ns.counters.count(Counter::Timeouts);
                answer = Some((h.listener.clone(), h.ends, segment));
                Some(h.half.next_deadline())
            }
            HalfOpenDeadline::Expired => {
                ns.counters.count(Counter::Timeouts);
                None
            }
        },
        Record::TimeWait(w) => {
            let deadline = w.record.deadline();
            if deadline <= now {
                ns.counters.count(Counter::TimeWaits);
            }
            (deadline > now).then_some(deadline)
        }
    };
    if let Some((listener, ends, segment)) = answer {
        send_for(ns, &listener, &ends, &segment);
    }
    match next {
        Some(deadline) => node.arm(deadline.since(now).as_nanos()),
        None => drop(retire(node)),
    }
}
