// SPDX-License-Identifier: GPL-2.0

//! What a connection counts for its host, beside what it tells of itself.

use core::cell::Cell;

/// What is counted, by the names of Linux's `LINUX_MIB_*`, at the places where Linux counts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Mib {
    /// A segment that PAWS rejects.
    PawsEstab,
    /// An acknowledgment with a timestamp from before the data that we have.
    PawsOldAck,
    /// A segment beyond the window.
    BeyondWindow,
    /// An acknowledgment that waited for its timer.
    DelayedAcks,
    /// Data that came again because our acknowledgment was late or lost.
    DelayedAckLost,
    /// An acknowledgment without data.
    PureAcks,
    /// A recovery that duplicate acknowledgments began.
    RenoRecovery,
    /// A recovery that SACKs began.
    SackRecovery,
    /// SACKed data that the peer took back.
    SackReneging,
    /// Reordering that a SACK shows.
    SackReorder,
    /// Reordering that duplicate acknowledgments show.
    RenoReorder,
    /// Reordering that an echoed timestamp shows.
    TsReorder,
    /// A fast recovery undone.
    FullUndo,
    /// A fast recovery undone before its end.
    PartialUndo,
    /// A recovery undone because of DSACKs.
    DsackUndo,
    /// A time-out undone.
    LossUndo,
    /// Segments whose retransmission was lost too.
    LostRetransmit,
    /// A time-out among duplicate acknowledgments.
    RenoFailures,
    /// A time-out after SACKs.
    SackFailures,
    /// A time-out while another is repaired.
    LossFailures,
    /// Segments sent again in fast recovery.
    FastRetrans,
    /// Segments sent again after a time-out.
    SlowStartRetrans,
    /// Expiries of the retransmission timer, SYN and SYN-ACK included.
    Timeouts,
    /// Tail loss probes sent.
    LossProbes,
    /// Tail loss probes that repaired a loss.
    LossProbeRecovery,
    /// A time-out in a recovery without SACK.
    RenoRecoveryFail,
    /// A time-out in a recovery with SACK.
    SackRecoveryFail,
    /// Reports of duplicates below what is acknowledged that we sent.
    DsackOldSent,
    /// Reports of duplicates beyond a hole that we sent.
    DsackOfoSent,
    /// Reports of duplicates that we received.
    DsackRecv,
    /// Reports of duplicates beyond a hole that we received.
    DsackOfoRecv,
    /// Segments that those name.
    DsackRecvSegs,
    /// Reports of duplicates that cannot be true.
    DsackIgnoredDubious,
    /// Reports of duplicates of long ago.
    DsackIgnoredOld,
    /// Reports of duplicates while nothing could be undone.
    DsackIgnoredNoUndo,
    /// SACK blocks that cannot be true.
    SackDiscard,
    /// Time-outs that were spurious.
    SpuriousRtos,
    /// Segments that came out of order.
    OfoQueue,
    /// SYNs on a connection.
    SynChallenge,
    /// Windows that opened after none was offered.
    FromZeroWindowAdv,
    /// Windows that closed.
    ToZeroWindowAdv,
    /// Windows that should have closed, but would have shrunk.
    WantZeroWindowAdv,
    /// Slow starts that a row of acknowledgments ended.
    HystartTrainDetect,
    /// Their cwnd, in segments.
    HystartTrainCwnd,
    /// Slow starts that rising delay ended.
    HystartDelayDetect,
    /// Their cwnd, in segments.
    HystartDelayCwnd,
    /// Answers to old timestamps that were not sent, there being many.
    AckSkippedPaws,
    /// The same of answers to sequence numbers outside the window.
    AckSkippedSeq,
    /// The same of challenges.
    AckSkippedChallenge,
    /// Window probes sent.
    WinProbe,
    /// Keepalive probes sent.
    KeepAlive,
    /// Probes of the path's MTU that were too large.
    MtupFail,
    /// Probes of the path's MTU that arrived.
    MtupSuccess,
    /// Segments that arrived at the peer.
    Delivered,
    /// Those of them that came with a mark of congestion.
    DeliveredCe,
    /// Acknowledgments of disorder that another stood for.
    AckCompressed,
    /// Data before which the window was closed.
    ZeroWindowDrop,
    /// Connections whose owner has left that have gone to FIN-WAIT-2.
    TimeWaits,
    /// The same, for a short time.
    TimeWaitsKilled,
    /// Answers to our SYN that echo what it did not carry.
    PawsActive,
    /// Segments in TIME-WAIT that PAWS rejects.
    PawsTimeWait,
    /// Segments before a connection is established that echo what no SYN-ACK carried.
    TsEcrRejected,
    /// Answers before a connection is established that were not sent, there being many.
    AckSkippedSynRecv,
    /// The same in FIN-WAIT-2, of a connection whose owner has left.
    AckSkippedFinWait2,
    /// The same in TIME-WAIT.
    AckSkippedTimeWait,
    /// Resets because the owner left in FIN-WAIT-2, which `TCP_LINGER2` does not allow.
    AbortOnLinger,
    /// Segments that are errors (`Tcp: InErrs`).
    InErrs,
}

impl Mib {
    /// How many there are.
    pub const COUNT: usize = Mib::InErrs as usize + 1;
}

/// What was counted since it was taken last.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    counts: [Cell<u16>; Mib::COUNT],
    /// A bit for each that is not zero.
    any: [Cell<u64>; WORDS],
}

/// How many words have a bit for each.
const WORDS: usize = Mib::COUNT.div_ceil(u64::BITS as usize);

impl Tally {
    /// Nothing counted.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "a connection begins as a constant"
    )]
    pub(crate) const NONE: Tally = Tally {
        counts: [const { Cell::new(0) }; Mib::COUNT],
        any: [const { Cell::new(0) }; WORDS],
    };

    /// Counts one.
    pub(crate) fn count(&self, mib: Mib) {
        self.add(mib, 1);
    }

    /// Counts `n`.
    pub(crate) fn add(&self, mib: Mib, n: u32) {
        if n == 0 {
            return;
        }
        if let Some(cell) = self.counts.get(mib as usize) {
            let n = u16::try_from(n).unwrap_or(u16::MAX);
            cell.set(cell.get().saturating_add(n));
        }
        let (word, bit) = (mib as u32 / u64::BITS, mib as u32 % u64::BITS);
        if let Some(any) = self.any.get(word as usize) {
            any.set(any.get() | (1 << bit));
        }
    }

    /// Hands out what was counted, by the number of each [`Mib`], and begins anew.
    pub(crate) fn take(&self, mut each: impl FnMut(usize, u16)) {
        for (word, any) in self.any.iter().enumerate() {
            let mut any = any.take();
            while any != 0 {
                let first = word.saturating_mul(u64::BITS as usize);
                let index = first.saturating_add(any.trailing_zeros() as usize);
                any &= any.wrapping_sub(1);
                if let Some(cell) = self.counts.get(index) {
                    each(index, cell.take());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
