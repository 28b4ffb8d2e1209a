// SPDX-License-Identifier: GPL-2.0

//! Connections that have no socket: half-open ones and those in TIME-WAIT.

use super::{
    child,
    counters::Counter,
    entry::{
        retire,
        Entry,
        HalfOpen,
        Record, //
    },
    header::Header,
    input::parse,
    md5,
    namespace::Namespace,
    socket::TcpSock,
    syn, //
};
use crate::{
    engine::{
        self,
        HalfOpenDeadline,
        HalfOpenVerdict,
        Instant,
        Mib,
        Patience,
        SegmentOut,
        SeqNum,
        TimeWaitVerdict, //
    },
    net::{
        ip::{
            Endpoints,
            IpOptions,
            Manner,
            Segment, //
        },
        md5::Key,
        net_namespace::Net,
        rhashtable::NodeRef, //
    }, //
};
use kernel::sync::rcu;

/// Sends a segment for a connection without a socket, in the name of its listener.
// Not to burden the stack of who has something to say.
#[inline(never)]
pub(super) fn send_for(
    ns: &Namespace,
    listener: &TcpSock,
    ends: &Endpoints,
    manner: &Manner,
    options: &IpOptions,
    segment: &SegmentOut,
) {
    let key = md5::key_for(listener, ends, manner.device());
    let header = header(ends, segment, key.as_ref());
    let _ = listener.send_for(ends, manner, options, &header, segment.codepoint as u8);
    ns.counters.sent(segment);
}

/// The header of a segment that no connection sends.
fn header(ends: &Endpoints, segment: &SegmentOut, key: Option<&Key>) -> Header {
    match key {
        Some(key) => {
            let mut segment = *segment;
            segment.sign();
            Header::signed(&segment, ends, None, key)
        }
        None => Header::new(segment, ends),
    }
}

/// The SYN-ACK of a half-open connection may be sent: it has to leave room for a signature if there
/// is a key.
#[inline(never)]
pub(super) fn prepare(
    half: &mut engine::HalfOpen,
    listener: &TcpSock,
    ends: &Endpoints,
    manner: &Manner,
) {
    if md5::key_for(listener, ends, manner.device()).is_some() {
        half.prepare_signature();
    }
}

/// Sends a segment in nobody's name.
#[inline(never)]
pub(super) fn send(
    ns: &Namespace,
    ends: &Endpoints,
    manner: &Manner,
    options: &IpOptions,
    segment: &SegmentOut,
    key: Option<&Key>,
) {
    let header = header(ends, segment, key);
    let _ = ns.control.send(ends, manner, options, &header);
    ns.counters.sent(segment);
}

/// What a segment does to a record.
enum Next {
    Nothing,
    /// Send this in the listener's name, or nobody's.
    Send(SegmentOut),
    Remove(Option<SegmentOut>),
    Establish,
    /// A new connection may take the place of the one in TIME-WAIT.
    Reopen(SeqNum),
}

/// A segment for a connection without a socket. `ends` is the segment's.
// Rare, and not to burden the stack of what is not.
#[inline(never)]
pub(super) fn segment(
    ns: &Namespace,
    net: &Net,
    node: &NodeRef<Entry>,
    segment: Segment,
    ends: &Endpoints,
) {
    let (half_open_listener, manner, own_options) = match &*node.value().record.lock() {
        Record::None => return,
        Record::HalfOpen(h) => (Some(h.listener.clone()), h.manner, *h.admission.options()),
        Record::TimeWait(w) => (None, w.manner, IpOptions::NONE),
    };
    let segment = match &half_open_listener {
        Some(listener) => md5::pass(ns, listener, segment, ends, true),
        None => segment.pass_policy().then_some(segment),
    };
    let Some(mut segment) = segment else {
        return;
    };
    let Some(parsed) = parse(&segment) else {
        return;
    };
    let now = Instant::from_nanos(segment.arrival_ns());
    let manner = segment.manner_of_answer(net, &manner);
    let patience = half_open_listener.as_deref().map(patience);
    let mut rearm = None;
    let mut key = None;
    let count = |mib: Mib| ns.counters.count(mib);
    let next = match &mut *node.value().record.lock() {
        Record::None => Next::Nothing,
        Record::HalfOpen(h) => {
            let Some(patience) = patience else {
                return;
            };
            prepare(&mut h.half, &h.listener, &h.ends, &h.manner);
            let verdict = h.half.on_segment(now, &parsed, &patience, count);
            rearm = Some(h.half.next_deadline());
            match verdict {
                HalfOpenVerdict::Ignore => Next::Nothing,
                HalfOpenVerdict::Deferred => {
                    ns.counters.count(Counter::DeferAcceptDrop);
                    Next::Nothing
                }
                HalfOpenVerdict::Reply(s) | HalfOpenVerdict::Reset(s) => Next::Send(s),
                HalfOpenVerdict::Remove(s) => Next::Remove(s),
                HalfOpenVerdict::Established => Next::Establish,
            }
        }
        Record::TimeWait(w) => {
            let verdict = w.record.on_segment(now, &parsed, count);
            rearm = Some(w.record.deadline());
            if matches!(verdict, TimeWaitVerdict::Reply(_)) {
                key = w.key.as_deref().copied();
            }
            match verdict {
                TimeWaitVerdict::Ignore => Next::Nothing,
                TimeWaitVerdict::Reply(s) => Next::Send(s),
                TimeWaitVerdict::Remove => {
                    ns.counters.count(Counter::TimeWaitKilled);
                    Next::Remove(None)
                }
                TimeWaitVerdict::Reopen { isn_after } => Next::Reopen(isn_after),
            }
        }
    };
    match next {
        Next::Nothing => {}
        Next::Send(answer) => match &half_open_listener {
            Some(_) if answer.challenge && !ns.may_challenge(net, now) => {}
            Some(listener) => {
                // A SYN-ACK is the connection's own, all else an answer.
                let options = if answer.flags.syn() {
                    own_options
                } else {
                    segment.answering(net)
                };
                send_for(ns, listener, &ends.reversed(), &manner, &options, &answer)
            }
            None => {
                let options = segment.answering(net);
                let ends = ends.reversed();
                send(ns, &ends, &manner, &options, &answer, key.as_ref());
            }
        },
        Next::Remove(answer) => {
            if let Some(listener) = &half_open_listener {
                ns.counters.count(Counter::AttemptFails);
                ns.counters.count(Counter::EmbryonicRsts);
                if let Some(answer) = answer {
                    let options = segment.answering(net);
                    send_for(ns, listener, &ends.reversed(), &manner, &options, &answer);
                }
            }
            drop(retire(node));
            segment.into_skb().consume();
            return;
        }
        Next::Establish => {
            if let Some(listener) = half_open_listener {
                child::establish(node, &listener, segment, &ends.reversed());
            }
            return;
        }
        Next::Reopen(after) => {
            let rcu = rcu::read_lock();
            if let Some(found) = ns.listeners.find(segment.as_skb(), ends, &rcu) {
                ns.counters.count(Counter::TimeWaitKilled);
                drop(retire(node));
                if let Some(segment) = md5::pass(ns, found.socket, segment, ends, false) {
                    syn::segment(net, &found, segment, ends, Some(after));
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

/// How long the listener waits for a peer, but for what its queue says.
fn patience(listener: &TcpSock) -> Patience {
    let options = listener.shared().options();
    let retries = options.syn_retries;
    Patience {
        retries: retries.unwrap_or_else(|| listener.net().synack_retries()),
        defer: options.defer_accept,
    }
}

fn half_open_deadline(h: &mut HalfOpen, now: Instant) -> HalfOpenDeadline {
    let queue = &h.listener.shared().queue;
    let backlog = h.listener.max_ack_backlog();
    let patience = patience(&h.listener).under_pressure(queue.half_open(), queue.young(), backlog);
    let was_young = h.half.timeouts() == 0;
    prepare(&mut h.half, &h.listener, &h.ends, &h.manner);
    let what = h.half.on_deadline(now, &patience);
    if was_young && h.half.timeouts() != 0 {
        queue.grown_old();
    }
    what
}

/// The timer of a record fired.
pub(super) fn on_timer(node: &NodeRef<Entry>) {
    let now = super::now();
    let ns = &node.value().namespace;
    let mut answer = None;
    let next = match &mut *node.value().record.lock() {
        Record::None => return,
        Record::HalfOpen(h) if !h.listener.is_listening() => None,
        Record::HalfOpen(h) => match half_open_deadline(h, now) {
            HalfOpenDeadline::Early => Some(h.half.next_deadline()),
            HalfOpenDeadline::Retransmit(segment) => {
                ns.counters.count(Mib::Timeouts);
                let options = *h.admission.options();
                answer = Some((h.listener.clone(), h.ends, h.manner, options, segment));
                Some(h.half.next_deadline())
            }
            HalfOpenDeadline::Wait => {
                ns.counters.count(Mib::Timeouts);
                Some(h.half.next_deadline())
            }
            HalfOpenDeadline::Expired => {
                ns.counters.count(Mib::Timeouts);
                None
            }
        },
        Record::TimeWait(w) => {
            let deadline = w.record.deadline();
            (deadline > now).then_some(deadline)
        }
    };
    if let Some((listener, ends, manner, options, segment)) = answer {
        send_for(ns, &listener, &ends, &manner, &options, &segment);
    }
    match next {
        Some(deadline) => node.arm(deadline.since(now).as_nanos()),
        None => drop(retire(node)),
    }
}
