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
        Mib,
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

/// What is counted beside the engine's [`Mib`].
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
    /// Segments sent for the first time, as they go over the wire.
    OutSegs,
    /// Those that were sent before.
    RetransSegs,
    /// Packets that cannot be segments.
    InErrs,
    /// Resets sent.
    OutRsts,
    /// Packets with a wrong checksum.
    InCsumErrors,
    /// Half-open connections that the peer took back.
    EmbryonicRsts,
    /// Connections that have gone to TIME-WAIT.
    TimeWaits,
    /// Connections dropped because an accept queue was full.
    ListenOverflows,
    /// Connections dropped by a listener, for whatever reason.
    ListenDrops,
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
    /// Receive buffers that had to be made smaller.
    PruneCalled,
    /// Packets dropped although that was tried.
    RcvPruned,
    /// Times that packets beyond a hole were given up for it.
    OfoPruned,
    /// Packets beyond a hole that found no room.
    OfoDrop,
    /// ICMP errors that quote no segment under way.
    OutOfWindowIcmps,
    /// ICMP errors that found the socket in use.
    LockDroppedIcmps,
    /// Connections in TIME-WAIT whose place a new one of ours took.
    TimeWaitRecycled,
    /// Connections in TIME-WAIT that a segment ended.
    TimeWaitKilled,
    /// Packets whose TTL is below what the socket demands.
    MinTtlDrop,
    /// Retransmissions that this host did not let out.
    RetransFail,
    /// Received packets that were copied together with others to save memory.
    RcvCollapsed,
    /// Connections that went from one listener to another.
    MigrateReqSuccess,
    /// Those that should have, but could not.
    MigrateReqFailure,
    /// Segments that were not signed as they should have been.
    Md5NotFound,
    /// Signed segments for which there is no key.
    Md5Unexpected,
    /// Segments with a wrong signature.
    Md5Failure,
    /// Segments with an authentication option for a connection that began without one.
    AoBad,
    /// Those for any other, since there are no keys.
    AoKeyNotFound,
}

/// One more than the last counter.
const OWN: usize = Counter::AoKeyNotFound as usize + 1;

/// What both count.
const ERRORS: usize = Mib::InErrs as usize;
const WAITS: usize = Mib::TimeWaits as usize;
const KILLED: usize = Mib::TimeWaitsKilled as usize;

/// How many counters there are.
const COUNT: usize = OWN + Mib::COUNT;

/// Where a counter is.
#[derive(Clone, Copy)]
pub(super) struct Slot(usize);

impl Slot {
    const fn own(counter: Counter) -> Self {
        Self(counter as usize)
    }

    const fn mib(mib: Mib) -> Self {
        Self(OWN + mib as usize)
    }
}

impl From<Counter> for Slot {
    fn from(counter: Counter) -> Self {
        Self::own(counter)
    }
}

impl From<Mib> for Slot {
    fn from(mib: Mib) -> Self {
        Self::mib(mib)
    }
}

/// The line `Tcp:` of `/proc/net/snmp`, from `ActiveOpens` on.
const TCP: [(&str, Slot); 11] = [
    ("ActiveOpens", Slot::own(Counter::ActiveOpens)),
    ("PassiveOpens", Slot::own(Counter::PassiveOpens)),
    ("AttemptFails", Slot::own(Counter::AttemptFails)),
    ("EstabResets", Slot::own(Counter::EstabResets)),
    ("CurrEstab", Slot::own(Counter::CurrEstab)),
    ("InSegs", Slot::own(Counter::InSegs)),
    ("OutSegs", Slot::own(Counter::OutSegs)),
    ("RetransSegs", Slot::own(Counter::RetransSegs)),
    ("InErrs", Slot::own(Counter::InErrs)),
    ("OutRsts", Slot::own(Counter::OutRsts)),
    ("InCsumErrors", Slot::own(Counter::InCsumErrors)),
];

/// Of the line `TcpExt:` of `/proc/net/netstat`, in its order.
const TCP_EXT: &[(&str, Slot)] = &[
    ("SyncookiesSent", Slot::own(Counter::SyncookiesSent)),
    ("SyncookiesRecv", Slot::own(Counter::SyncookiesRecv)),
    ("SyncookiesFailed", Slot::own(Counter::SyncookiesFailed)),
    ("EmbryonicRsts", Slot::own(Counter::EmbryonicRsts)),
    ("PruneCalled", Slot::own(Counter::PruneCalled)),
    ("RcvPruned", Slot::own(Counter::RcvPruned)),
    ("OfoPruned", Slot::own(Counter::OfoPruned)),
    ("OutOfWindowIcmps", Slot::own(Counter::OutOfWindowIcmps)),
    ("LockDroppedIcmps", Slot::own(Counter::LockDroppedIcmps)),
    ("TW", Slot::own(Counter::TimeWaits)),
    ("TWRecycled", Slot::own(Counter::TimeWaitRecycled)),
    ("TWKilled", Slot::own(Counter::TimeWaitKilled)),
    ("PAWSActive", Slot::mib(Mib::PawsActive)),
    ("PAWSEstab", Slot::mib(Mib::PawsEstab)),
    ("BeyondWindow", Slot::mib(Mib::BeyondWindow)),
    ("TSEcrRejected", Slot::mib(Mib::TsEcrRejected)),
    ("PAWSOldAck", Slot::mib(Mib::PawsOldAck)),
    ("PAWSTimewait", Slot::mib(Mib::PawsTimeWait)),
    ("DelayedACKs", Slot::mib(Mib::DelayedAcks)),
    ("DelayedACKLost", Slot::mib(Mib::DelayedAckLost)),
    ("ListenOverflows", Slot::own(Counter::ListenOverflows)),
    ("ListenDrops", Slot::own(Counter::ListenDrops)),
    ("TCPPureAcks", Slot::mib(Mib::PureAcks)),
    ("TCPRenoRecovery", Slot::mib(Mib::RenoRecovery)),
    ("TCPSackRecovery", Slot::mib(Mib::SackRecovery)),
    ("TCPSACKReneging", Slot::mib(Mib::SackReneging)),
    ("TCPSACKReorder", Slot::mib(Mib::SackReorder)),
    ("TCPRenoReorder", Slot::mib(Mib::RenoReorder)),
    ("TCPTSReorder", Slot::mib(Mib::TsReorder)),
    ("TCPFullUndo", Slot::mib(Mib::FullUndo)),
    ("TCPPartialUndo", Slot::mib(Mib::PartialUndo)),
    ("TCPDSACKUndo", Slot::mib(Mib::DsackUndo)),
    ("TCPLossUndo", Slot::mib(Mib::LossUndo)),
    ("TCPLostRetransmit", Slot::mib(Mib::LostRetransmit)),
    ("TCPRenoFailures", Slot::mib(Mib::RenoFailures)),
    ("TCPSackFailures", Slot::mib(Mib::SackFailures)),
    ("TCPLossFailures", Slot::mib(Mib::LossFailures)),
    ("TCPFastRetrans", Slot::mib(Mib::FastRetrans)),
    ("TCPSlowStartRetrans", Slot::mib(Mib::SlowStartRetrans)),
    ("TCPTimeouts", Slot::mib(Mib::Timeouts)),
    ("TCPLossProbes", Slot::mib(Mib::LossProbes)),
    ("TCPLossProbeRecovery", Slot::mib(Mib::LossProbeRecovery)),
    ("TCPRenoRecoveryFail", Slot::mib(Mib::RenoRecoveryFail)),
    ("TCPSackRecoveryFail", Slot::mib(Mib::SackRecoveryFail)),
    ("TCPRcvCollapsed", Slot::own(Counter::RcvCollapsed)),
    ("TCPDSACKOldSent", Slot::mib(Mib::DsackOldSent)),
    ("TCPDSACKOfoSent", Slot::mib(Mib::DsackOfoSent)),
    ("TCPDSACKRecv", Slot::mib(Mib::DsackRecv)),
    ("TCPDSACKOfoRecv", Slot::mib(Mib::DsackOfoRecv)),
    ("TCPAbortOnData", Slot::own(Counter::AbortOnData)),
    ("TCPAbortOnClose", Slot::own(Counter::AbortOnClose)),
    ("TCPAbortOnMemory", Slot::own(Counter::AbortOnMemory)),
    ("TCPAbortOnTimeout", Slot::own(Counter::AbortOnTimeout)),
    ("TCPAbortOnLinger", Slot::mib(Mib::AbortOnLinger)),
    ("TCPSACKDiscard", Slot::mib(Mib::SackDiscard)),
    ("TCPDSACKIgnoredOld", Slot::mib(Mib::DsackIgnoredOld)),
    ("TCPDSACKIgnoredNoUndo", Slot::mib(Mib::DsackIgnoredNoUndo)),
    ("TCPSpuriousRTOs", Slot::mib(Mib::SpuriousRtos)),
    ("TCPMD5NotFound", Slot::own(Counter::Md5NotFound)),
    ("TCPMD5Unexpected", Slot::own(Counter::Md5Unexpected)),
    ("TCPMD5Failure", Slot::own(Counter::Md5Failure)),
    ("TCPBacklogDrop", Slot::own(Counter::BacklogDrop)),
    ("TCPMinTTLDrop", Slot::own(Counter::MinTtlDrop)),
    ("TCPDeferAcceptDrop", Slot::own(Counter::DeferAcceptDrop)),
    ("TCPTimeWaitOverflow", Slot::own(Counter::TimeWaitOverflow)),
    (
        "TCPReqQFullDoCookies",
        Slot::own(Counter::ReqQFullDoCookies),
    ),
    ("TCPReqQFullDrop", Slot::own(Counter::ReqQFullDrop)),
    ("TCPRetransFail", Slot::own(Counter::RetransFail)),
    ("TCPOFOQueue", Slot::mib(Mib::OfoQueue)),
    ("TCPOFODrop", Slot::own(Counter::OfoDrop)),
    ("TCPChallengeACK", Slot::own(Counter::ChallengeAcks)),
    ("TCPSYNChallenge", Slot::mib(Mib::SynChallenge)),
    ("TCPFastOpenActive", Slot::own(Counter::FastOpenActive)),
    (
        "TCPFastOpenActiveFail",
        Slot::own(Counter::FastOpenActiveFail),
    ),
    ("TCPFastOpenPassive", Slot::own(Counter::FastOpenPassive)),
    (
        "TCPFastOpenPassiveFail",
        Slot::own(Counter::FastOpenPassiveFail),
    ),
    (
        "TCPFastOpenListenOverflow",
        Slot::own(Counter::FastOpenListenOverflow),
    ),
    (
        "TCPFastOpenCookieReqd",
        Slot::own(Counter::FastOpenCookieReqd),
    ),
    (
        "TCPFastOpenBlackhole",
        Slot::own(Counter::FastOpenBlackhole),
    ),
    ("TCPAutoCorking", Slot::own(Counter::AutoCorking)),
    ("TCPFromZeroWindowAdv", Slot::mib(Mib::FromZeroWindowAdv)),
    ("TCPToZeroWindowAdv", Slot::mib(Mib::ToZeroWindowAdv)),
    ("TCPWantZeroWindowAdv", Slot::mib(Mib::WantZeroWindowAdv)),
    ("TCPSynRetrans", Slot::own(Counter::SynRetrans)),
    ("TCPOrigDataSent", Slot::own(Counter::OrigDataSent)),
    ("TCPHystartTrainDetect", Slot::mib(Mib::HystartTrainDetect)),
    ("TCPHystartTrainCwnd", Slot::mib(Mib::HystartTrainCwnd)),
    ("TCPHystartDelayDetect", Slot::mib(Mib::HystartDelayDetect)),
    ("TCPHystartDelayCwnd", Slot::mib(Mib::HystartDelayCwnd)),
    ("TCPACKSkippedSynRecv", Slot::mib(Mib::AckSkippedSynRecv)),
    ("TCPACKSkippedPAWS", Slot::mib(Mib::AckSkippedPaws)),
    ("TCPACKSkippedSeq", Slot::mib(Mib::AckSkippedSeq)),
    ("TCPACKSkippedFinWait2", Slot::mib(Mib::AckSkippedFinWait2)),
    ("TCPACKSkippedTimeWait", Slot::mib(Mib::AckSkippedTimeWait)),
    (
        "TCPACKSkippedChallenge",
        Slot::mib(Mib::AckSkippedChallenge),
    ),
    ("TCPWinProbe", Slot::mib(Mib::WinProbe)),
    ("TCPKeepAlive", Slot::mib(Mib::KeepAlive)),
    ("TCPMTUPFail", Slot::mib(Mib::MtupFail)),
    ("TCPMTUPSuccess", Slot::mib(Mib::MtupSuccess)),
    ("TCPDelivered", Slot::mib(Mib::Delivered)),
    ("TCPDeliveredCE", Slot::mib(Mib::DeliveredCe)),
    ("TCPAckCompressed", Slot::mib(Mib::AckCompressed)),
    ("TCPZeroWindowDrop", Slot::mib(Mib::ZeroWindowDrop)),
    ("TCPRcvQDrop", Slot::own(Counter::RcvQDrop)),
    (
        "TCPFastOpenPassiveAltKey",
        Slot::own(Counter::FastOpenPassiveAltKey),
    ),
    ("TcpTimeoutRehash", Slot::own(Counter::TimeoutRehash)),
    ("TCPDSACKRecvSegs", Slot::mib(Mib::DsackRecvSegs)),
    (
        "TCPDSACKIgnoredDubious",
        Slot::mib(Mib::DsackIgnoredDubious),
    ),
    (
        "TCPMigrateReqSuccess",
        Slot::own(Counter::MigrateReqSuccess),
    ),
    (
        "TCPMigrateReqFailure",
        Slot::own(Counter::MigrateReqFailure),
    ),
    ("TCPAOBad", Slot::own(Counter::AoBad)),
    ("TCPAOKeyNotFound", Slot::own(Counter::AoKeyNotFound)),
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
    pub(super) fn add(&self, counter: impl Into<Slot>, n: u64) {
        // The task may go on on another CPU, which only costs time.
        let cpu = CpuId::current().as_u32() as usize;
        let Slot(index) = counter.into();
        if let Some(value) = self.shards.get(cpu).and_then(|shard| shard.0.get(index)) {
            value.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// Counts one.
    pub(super) fn count(&self, counter: impl Into<Slot>) {
        self.add(counter, 1);
    }

    /// Adds what the engine has counted for a connection.
    pub(super) fn take(&self, conn: &Connection) {
        conn.take_tally(|index, n| {
            let slot = match index {
                ERRORS => Slot::own(Counter::InErrs),
                WAITS => Slot::own(Counter::TimeWaits),
                KILLED => Slot::own(Counter::TimeWaitKilled),
                _ => Slot(OWN + index),
            };
            self.add(slot, n.into());
        });
    }

    /// The sum of all CPUs.
    fn value(&self, Slot(index): Slot) -> u64 {
        self.shards
            .iter()
            .filter_map(|shard| shard.0.get(index))
            .fold(0, |sum, value| {
                sum.wrapping_add(value.load(Ordering::Relaxed))
            })
    }

    /// Counts a segment that leaves.
    pub(super) fn sent(&self, segment: &SegmentOut) {
        let wire = u64::from(segment.wire_segments());
        let syn_ack = segment.flags.syn() && segment.flags.ack();
        // RFC 9293 says nothing of it, but RFC 4022 does: what was sent before does not count here.
        // As Linux a SYN-ACK does.
        if !segment.retransmission || syn_ack {
            self.add(Counter::OutSegs, wire);
        }
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

    fn print(&self, out: &SeqFile, title: &str, list: &[(&str, Slot)], fixed: [&str; 2]) {
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
