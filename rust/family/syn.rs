// SPDX-License-Identifier: GPL-2.0

//! What a listener does with a segment: a SYN becomes a half-open record or a cookie, and a cookie
//! that comes back a connection.

use super::{
    child,
    config::config,
    cookie,
    counters::Counter,
    entry::{
        Entry,
        HalfOpen,
        Key,
        Record, //
    },
    fast_open,
    input::parse,
    listen::count_drop,
    listeners::Found,
    minisock::{
        self,
        send_for, //
    },
    namespace::Namespace,
    socket::TcpSock, //
};
use crate::{
    engine::{
        self,
        FastOpenCookie,
        Instant,
        Isn,
        ListenVerdict,
        SegmentIn,
        SeqNum, //
    },
    net::{
        errno::ENOBUFS,
        ip::{
            initial_sequence,
            Endpoints,
            IpOptions,
            Manner,
            Segment, //
        },
        label::Admission,
        net_namespace::Net, //
    }, //
};
use core::cell::Cell;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// A segment that came to a listener.
pub(super) struct Arrival<'a> {
    pub(super) net: &'a Net,
    pub(super) ns: &'a Arc<Namespace>,
    pub(super) listener: &'a TcpSock,
    pub(super) now: Instant,
    pub(super) parsed: SegmentIn,
    /// Source is we.
    pub(super) ends: Endpoints,
    /// How the connection goes, if it becomes one.
    pub(super) manner: Manner,
    /// What answers its IP options.
    pub(super) options: IpOptions,
}

/// A connection that begins with its SYN.
pub(super) struct Early {
    pub(super) half: engine::HalfOpen,
    pub(super) admission: Admission,
    /// A new cookie for the client.
    pub(super) cookie: Option<FastOpenCookie>,
    /// The headers of the SYN, where the listener keeps them.
    pub(super) syn: Cell<Option<KVec<u8>>>,
}

/// A segment for a listener. `after` is where a new connection's sequence numbers must begin that
/// follows one in TIME-WAIT.
pub(super) fn segment(
    net: &Net,
    found: &Found<'_>,
    segment: Segment,
    ends: &Endpoints,
    after: Option<SeqNum>,
) {
    let Some(parsed) = parse(&segment) else {
        return;
    };
    let ns = found.namespace;
    let arrival = Arrival {
        net,
        ns,
        listener: found.socket,
        now: Instant::from_nanos(segment.arrival_ns()),
        parsed,
        ends: ends.reversed(),
        manner: segment.manner_for(found.socket, &ends.source),
        options: segment.answering(net),
    };
    let segment = match cookie::returned(&arrival) {
        Some(half) => return child::of_cookie(&arrival, &half, segment),
        None => segment,
    };
    match engine::on_listen(&arrival.parsed) {
        ListenVerdict::Ignore => return,
        ListenVerdict::Reset(reset) => {
            let manner = segment.manner_of_reset(net, &arrival.manner);
            let options = &arrival.options;
            send_for(ns, found.socket, &arrival.ends, &manner, options, &reset);
        }
        ListenVerdict::Syn => match syn(&arrival, &segment, after) {
            Ok(None) => {}
            Ok(Some(early)) => return child::early(&arrival, &early, segment),
            Err(_) => {
                count_drop(ns, found.socket);
                return;
            }
        },
    }
    // It did what it came for: no drop that a monitor should see.
    segment.into_skb().consume();
}

/// A SYN: leaves a record and answers, as `tcp_conn_request`. Where a queue is full, or memory
/// short, the SYN is dropped and the peer tries again.
#[inline(never)]
fn syn(arrival: &Arrival<'_>, segment: &Segment, after: Option<SeqNum>) -> Result<Option<Early>> {
    let Arrival {
        ns,
        listener,
        ref ends,
        ref manner,
        ..
    } = *arrival;
    let queue = &listener.shared().queue;
    let syncookies = listener.net().syncookies();
    let backlog = listener.max_ack_backlog();
    // One in TIME-WAIT had its place already.
    let full = syncookies == 2 || queue.half_open() > backlog;
    let wants_cookie = after.is_none() && full;
    if wants_cookie {
        if syncookies == 0 {
            ns.counters.count(Counter::ReqQFullDrop);
            return Err(ENOBUFS);
        }
        ns.counters.count(Counter::ReqQFullDoCookies);
    }
    if queue.is_full(backlog) {
        ns.counters.count(Counter::ListenOverflows);
        return Err(ENOBUFS);
    }
    let admission = segment.ask_admission(listener, ends)?;
    let path = listener.path_for(ends, manner, admission.options())?;
    let options = listener.shared().options();
    let config = config(listener, &options, &path);
    let (seq, ts_offset) = initial_sequence(arrival.net, ends);
    if wants_cookie {
        cookie::send(arrival, &config, ts_offset, admission.options());
        return Ok(None);
    }
    let most = listener.net().max_syn_backlog();
    let room = most.saturating_sub(queue.half_open());
    if after.is_none() && syncookies == 0 && room < most >> 2 {
        // The last quarter is for peers that are known to be alive.
        if !ns.path_metrics.is_proven(ends, &path.hints, arrival.now) {
            return Err(ENOBUFS);
        }
    }
    let isn = Isn {
        seq: after.unwrap_or(SeqNum(seq)),
        ts_offset,
    };
    let mut half = engine::HalfOpen::new(arrival.now, &config, &arrival.parsed, isn);
    minisock::prepare(&mut half, listener, ends, manner);
    let syn = match options.save_syn {
        0 => None,
        how => segment.headers(how == 2),
    };
    let syn = Cell::new(syn);
    let cookie = match fast_open::judge(arrival, listener.net().fast_open()) {
        fast_open::Verdict::Ordinary => None,
        fast_open::Verdict::Reply(cookie) => Some(cookie),
        fast_open::Verdict::Begin(cookie) => {
            return Ok(Some(Early {
                half,
                admission,
                cookie,
                syn,
            }))
        }
    };
    let mut answer = half.syn_ack(arrival.now);
    answer.options.fast_open = cookie;
    let deadline = half.next_deadline();
    queue.half_open_new(true);
    let record = Record::HalfOpen(HalfOpen {
        half,
        listener: listener.get(),
        syn,
        ends: *ends,
        manner: *manner,
        admission,
        max_segment: options.max_segment,
    });
    let key = Key::connection(ends).bound_to(manner.device());
    let node = Entry::record(ns, key, record, GFP_ATOMIC | __GFP_NOWARN)?;
    match ns.table.insert(node.clone()) {
        // The same SYN, on another CPU.
        Err(e) if e == EEXIST => return Ok(None),
        other => other?,
    }
    node.arm(deadline.since(arrival.now).as_nanos());
    send_for(ns, listener, ends, manner, admission.options(), &answer);
    Ok(None)
}
