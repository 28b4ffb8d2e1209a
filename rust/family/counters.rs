// SPDX-License-Identifier: GPL-2.0

//! What a namespace counts, by the names that Linux has for the same, in files of the same form.

use super::{
    namespace::{
        Namespace,
        Namespaces, //
    },
    records::Connection,
    socket::State, //
};
use crate::{
    engine::{
        Instant,
        SegmentOut, //
    },
    net::{
        proc_fs::ProcNet,
        sock::SockState, //
    }, //
};
use core::sync::atomic::{
    AtomicU64,
    Ordering, //
};
use kernel::{
    cpu::{
        nr_cpu_ids,
        CpuId, //
    },
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Counter {
    /// Connections begun by us.
    ActiveOpens,
    /// Connections that a listener's peer has completed.
    PassiveOpens,
    /// Connections that the other side, or its silence, ended before they were established.
    AttemptFails,
    /// Established connections that ended without a FIN of ours.
    EstabResets,
    /// Connections in ESTABLISHED and CLOSE-WAIT now.
    CurrEstab,
    /// Packets received; several segments that the driver has merged are one.
    InSegs,
    /// Segments sent, as they go over the wire.
    OutSegs,
    /// Those of them that were sent before.
    RetransSegs,
    /// Packets that cannot be segments.
    InErrs,
    /// Resets sent.
    OutRsts,
    /// Packets with a wrong checksum.
    InCsumErrors,
    /// Half-open connections that the peer took back.
    EmbryonicRsts,
    /// Ends of TIME-WAIT by its timer.
    TimeWaits,
    /// Acknowledgments that waited for their timer.
    DelayedAcks,
    /// Connections dropped because an accept queue was full.
    ListenOverflows,
    /// Connections dropped by a listener, for whatever reason.
    ListenDrops,
    /// Segments sent again in fast recovery.
    FastRetrans,
    /// Expiries of the retransmission timer, SYN and SYN-ACK included.
    Timeouts,
    /// Connections that found no place in TIME-WAIT.
    TimeWaitOverflow,
    /// Resets because data came after close, or `SO_LINGER` asks for them.
    AbortOnData,
    /// Resets because close left data unread.
    AbortOnClose,
    /// Acknowledgments that ask a peer whether it sent what arrived (RFC 5961).
    ChallengeAcks,
    /// Connections that nobody owned and the host could not bear.
    AbortOnMemory,
    /// Connections given up because the peer was silent.
    AbortOnTimeout,
    /// Packets dropped because the backlog of a busy socket was full.
    BacklogDrop,
    /// SYNs dropped because too many connections are half-open.
    ReqQFullDrop,
    /// SYNs answered with a cookie because too many connections are half-open.
    ReqQFullDoCookies,
    /// SYN cookies sent.
    SyncookiesSent,
    /// Right SYN cookies received.
    SyncookiesRecv,
    /// Wrong SYN cookies received.
    SyncookiesFailed,
    /// Connections of ours whose data in the SYN was acknowledged.
    FastOpenActive,
    /// Those where it was not.
    FastOpenActiveFail,
    /// Connections that began with a peer's SYN.
    FastOpenPassive,
    /// SYNs with a wrong cookie.
    FastOpenPassiveFail,
    /// SYNs that found too many connections waiting.
    FastOpenListenOverflow,
    /// Requests for a cookie.
    FastOpenCookieReqd,
    /// Paths that seem to swallow Fast Open.
    FastOpenBlackhole,
    /// Connections that began with a cookie of the key before.
    FastOpenPassiveAltKey,
    /// Acknowledgments without the data that `TCP_DEFER_ACCEPT` waits for.
    DeferAcceptDrop,
    /// SYNs and SYN-ACKs sent again.
    SynRetrans,
    /// Segments with new data or a FIN sent.
    OrigDataSent,
    /// Packets with data dropped because the receive buffer was full.
    RcvQDrop,
    /// Writes that waited for more, while packets were on their way down.
    AutoCorking,
    /// Time-outs after which another path was tried.
    TimeoutRehash,
}

/// One more than the last counter.
const COUNT: usize = Counter::TimeoutRehash as usize + 1;

/// The line `Tcp:` of `/proc/net/snmp`, from `ActiveOpens` on.
const TCP: [(&str, Counter); 11] = [
    ("ActiveOpens", Counter::ActiveOpens),
    ("PassiveOpens", Counter::PassiveOpens),
    ("AttemptFails", Counter::AttemptFails),
    ("EstabResets", Counter::EstabResets),
    ("CurrEstab", Counter::CurrEstab),
    ("InSegs", Counter::InSegs),
    ("OutSegs", Counter::OutSegs),
    ("RetransSegs", Counter::RetransSegs),
    ("InErrs", Counter::InErrs),
    ("OutRsts", Counter::OutRsts),
    ("InCsumErrors", Counter::InCsumErrors),
];

/// Of the line `TcpExt:` of `/proc/net/netstat`, in its order.
const TCP_EXT: &[(&str, Counter)] = &[
    ("SyncookiesSent", Counter::SyncookiesSent),
    ("SyncookiesRecv", Counter::SyncookiesRecv),
    ("SyncookiesFailed", Counter::SyncookiesFailed),
    ("EmbryonicRsts", Counter::EmbryonicRsts),
    ("TW", Counter::TimeWaits),
    ("DelayedACKs", Counter::DelayedAcks),
    ("ListenOverflows", Counter::ListenOverflows),
    ("ListenDrops", Counter::ListenDrops),
    ("TCPFastRetrans", Counter::FastRetrans),
    ("TCPTimeouts", Counter::Timeouts),
    ("TCPAbortOnData", Counter::AbortOnData),
    ("TCPAbortOnClose", Counter::AbortOnClose),
    ("TCPAbortOnMemory", Counter::AbortOnMemory),
    ("TCPAbortOnTimeout", Counter::AbortOnTimeout),
    ("TCPBacklogDrop", Counter::BacklogDrop),
    ("TCPTimeWaitOverflow", Counter::TimeWaitOverflow),
    ("TCPDeferAcceptDrop", Counter::DeferAcceptDrop),
    ("TCPReqQFullDoCookies", Counter::ReqQFullDoCookies),
    ("TCPReqQFullDrop", Counter::ReqQFullDrop),
    ("TCPChallengeACK", Counter::ChallengeAcks),
    ("TCPAutoCorking", Counter::AutoCorking),
    ("TCPFastOpenActive", Counter::FastOpenActive),
    ("TCPFastOpenActiveFail", Counter::FastOpenActiveFail),
    ("TCPFastOpenPassive", Counter::FastOpenPassive),
    ("TCPFastOpenPassiveFail", Counter::FastOpenPassiveFail),
    ("TCPFastOpenListenOverflow", Counter::FastOpenListenOverflow),
    ("TCPFastOpenCookieReqd", Counter::FastOpenCookieReqd),
    ("TCPFastOpenBlackhole", Counter::FastOpenBlackhole),
    ("TCPFastOpenPassiveAltKey", Counter::FastOpenPassiveAltKey),
    ("TCPSynRetrans", Counter::SynRetrans),
    ("TCPOrigDataSent", Counter::OrigDataSent),
    ("TCPRcvQDrop", Counter::RcvQDrop),
    ("TcpTimeoutRehash", Counter::TimeoutRehash),
];

/// The counters of one CPU, in cache lines of their own.
#[repr(align(64))]
struct Shard([AtomicU64; COUNT]);

/// The counters of a namespace.
pub(super) struct Counters {
    shards: KVVec<Shard>,
}

impl Counters {
    /// Counters at zero.
    pub(super) fn new() -> Result<Self> {
        let mut shards = KVVec::with_capacity(nr_cpu_ids() as usize, GFP_KERNEL)?;
        for _ in 0..nr_cpu_ids() {
            let zeros = core::array::from_fn(|_| AtomicU64::new(0));
            shards.push(Shard(zeros), GFP_KERNEL)?;
        }
        Ok(Self { shards })
    }

    /// Adds `n`, modulo 2^64: a shard by itself may be less than zero.
    fn add(&self, counter: Counter, n: u64) {
        // The task may go on on another CPU, which only costs time.
        let cpu = CpuId::current().as_u32() as usize;
        if let Some(value) = self.shards.get(cpu).and_then(|s| s.0.get(counter as usize)) {
            value.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Counts one.
    pub(super) fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// The sum of all CPUs.
    fn value(&self, counter: Counter) -> u64 {
        self.shards
            .iter()
            .filter_map(|shard| shard.0.get(counter as usize))
            .fold(0, |sum, value| {
                sum.wrapping_add(value.load(Ordering::Relaxed))
            })
    }

    /// Counts a segment that leaves.
    pub(super) fn sent(&self, segment: &SegmentOut) {
        let wire = u64::from(segment.wire_segments());
        self.add(Counter::OutSegs, wire);
        if segment.retransmission {
            self.add(Counter::RetransSegs, wire);
            if segment.flags.syn() {
                self.add(Counter::SynRetrans, wire);
            }
        } else if segment.data.is_some() || segment.flags.fin() {
            self.add(Counter::OrigDataSent, wire);
        }
        if segment.flags.rst() {
            self.count(Counter::OutRsts);
        }
    }

    /// Counts a segment of `conn` that leaves.
    pub(super) fn sent_by(&self, conn: &Connection, segment: &SegmentOut) {
        self.sent(segment);
        if segment.retransmission && conn.outline().fast_recovery {
            let wire = u64::from(segment.wire_segments());
            self.add(Counter::FastRetrans, wire);
        }
    }

    /// Counts the timers that have expired, before they are acted on.
    pub(super) fn timer(&self, conn: &Connection, now: Instant) {
        let outline = conn.outline();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(outline.retransmit) {
            self.count(Counter::Timeouts);
        }
        if is_due(outline.delayed_ack) {
            self.count(Counter::DelayedAcks);
        }
    }

    fn print(&self, out: &SeqFile, title: &str, list: &[(&str, Counter)], fixed: [&str; 2]) {
        seq_print!(out, "{}:{}", title, fixed[0]);
        for (name, _) in list {
            seq_print!(out, " {}", name);
        }
        seq_print!(out, "\n{}:{}", title, fixed[1]);
        for (_, counter) in list {
            seq_print!(out, " {}", self.value(*counter));
        }
        seq_print!(out, "\n");
    }
}

/// Counts a change of a socket's state, as `tcp_set_state` does.
pub(super) fn state_changes(state: &mut State, old: u8, new: SockState) {
    let is = |state: SockState| old == state as u8;
    let was_established = is(SockState::Established) || is(SockState::CloseWait);
    let is_established = matches!(new, SockState::Established | SockState::CloseWait);
    let counters = &state.namespace.counters;
    match (was_established, is_established) {
        (false, true) => counters.add(Counter::CurrEstab, 1),
        (true, false) => counters.add(Counter::CurrEstab, 1_u64.wrapping_neg()),
        _ => {}
    }
    if new == SockState::Close && was_established {
        counters.count(Counter::EstabResets);
    }
}

/// `/proc/net/oxtcp_snmp`, in the form of `/proc/net/snmp`.
pub(super) struct Snmp;

impl ProcNet<Namespaces> for Snmp {
    const NAME: &'static CStr = c"oxtcp_snmp";

    fn show(namespace: &Namespace, out: &SeqFile) {
        // Linux prints these whatever is set: `other`, 200 ms, 120 s, no limit.
        let fixed = [" RtoAlgorithm RtoMin RtoMax MaxConn", " 1 200 120000 -1"];
        namespace.counters.print(out, "Tcp", &TCP, fixed);
    }
}

/// `/proc/net/oxtcp_netstat`, in the form of `/proc/net/netstat`.
pub(super) struct Netstat;

impl ProcNet<Namespaces> for Netstat {
    const NAME: &'static CStr = c"oxtcp_netstat";

    fn show(namespace: &Namespace, out: &SeqFile) {
        namespace.counters.print(out, "TcpExt", TCP_EXT, ["", ""]);
    }
}
