// SPDX-License-Identifier: GPL-2.0

//! Which octets in flight are lost, and which to send again.
//!
//! With SACK by RFC 6675, without by RFC 6582 (NewReno), after a time-out by RFC 5681 and RFC 2018,
//! 5.1. There is no record per segment. Loss has a single edge: below `lost_below` all that no SACK
//! covers is lost. Retransmission has one too: below `high_rxt` the lost octets were sent again.
//! Both only move up until a time-out starts anew.

use crate::engine::ack::AckInfo;
use crate::engine::ranges::RangeSet;
use crate::engine::ranges::Run;

/// Duplicate acknowledgments that mean loss (RFC 5681, 3.2; RFC 6675, 2: DupThresh).
pub(crate) const DUP_THRESH: u32 = 3;

/// SACKed runs that are remembered; reports beyond are ignored, which only costs needless
/// retransmissions.
const SCOREBOARD: usize = 64;

/// The mode of the sender (Linux's `icsk_ca_state`, without CWR).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// No loss is being repaired.
    Open,
    /// Fast recovery.
    Recovery,
    /// Recovery after a time-out.
    Loss,
}

/// What the sender has to do about congestion after an acknowledgment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Verdict {
    /// Nothing new.
    Nothing,
    /// Loss was detected: fast recovery begins.
    FastRetransmit,
    /// All that was in flight at the loss arrived.
    Recovered,
}

/// The loss detector and repairer of the send half.
#[derive(Clone, Debug)]
pub(crate) struct Recovery {
    phase: Phase,
    sack: bool,
    dupacks: u32,
    /// RecoveryPoint of RFC 6675; `recover` of RFC 6582. Meaningless before the first loss.
    recovery_point: u64,
    had_loss: bool,
    /// HighRxt of RFC 6675, as the offset after it.
    high_rxt: u64,
    lost_below: u64,
    scoreboard: RangeSet<SCOREBOARD>,
    /// Without SACK: the octets that duplicate acknowledgments tell to have left the network.
    reno_sacked: u64,
    /// One segment may be retransmitted whatever cwnd says.
    force: bool,
    /// RescueRxt of RFC 6675 was used in this recovery.
    rescued: bool,
}

impl Recovery {
    pub(crate) fn new(sack: bool) -> Recovery {
        Recovery {
            phase: Phase::Open,
            sack,
            dupacks: 0,
            recovery_point: 0,
            had_loss: false,
            high_rxt: 0,
            lost_below: 0,
            scoreboard: RangeSet::new(),
            reno_sacked: 0,
            force: false,
            rescued: false,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    pub(crate) fn dupacks(&self) -> u32 {
        self.dupacks
    }

    /// Returns whether the next retransmission may ignore cwnd.
    pub(crate) fn is_forced(&self) -> bool {
        self.force
    }

    /// Returns whether octets from `una` on were sent again, so that their acknowledgment is
    /// ambiguous (Karn).
    pub(crate) fn was_retransmitted(&self, una: u64) -> bool {
        self.had_loss && una < self.high_rxt
    }

    /// Notes a SACK block and returns the octets it reports for the first time.
    pub(crate) fn on_sack_block(&mut self, block: Run) -> u64 {
        let known = self.scoreboard.count_in(block.start, block.end);
        match self.scoreboard.insert(block.start, block.end) {
            Ok(Some(_)) => block.len().saturating_sub(known),
            Ok(None) | Err(_) => 0,
        }
    }

    /// Returns the octets of `start..end` that no SACK covers.
    fn unsacked(&self, start: u64, end: u64) -> u64 {
        end.saturating_sub(start)
            .saturating_sub(self.scoreboard.count_in(start, end))
    }

    /// Returns the octets SACKed, or told by duplicate acknowledgments.
    pub(crate) fn sacked(&self, una: u64, nxt: u64) -> u64 {
        self.scoreboard
            .count_in(una, nxt)
            .saturating_add(self.reno_sacked)
    }

    /// Returns the octets that are lost and not sent again.
    pub(crate) fn lost(&self, una: u64, nxt: u64) -> u64 {
        self.unsacked(self.high_rxt.max(una), self.lost_below.min(nxt))
    }

    /// Returns the octets that were sent again and are not acknowledged.
    pub(crate) fn retransmitted(&self, una: u64) -> u64 {
        if self.phase == Phase::Open {
            return 0;
        }
        self.unsacked(una, self.high_rxt)
    }

    /// Returns the octets in the network (RFC 6675, 4: pipe).
    pub(crate) fn pipe(&self, una: u64, nxt: u64) -> u64 {
        self.unsacked(una, nxt)
            .saturating_sub(self.lost(una, nxt))
            .saturating_sub(self.reno_sacked)
    }

    /// Returns the offset below which every hole is lost (RFC 6675, 4: IsLost for all offsets at
    /// once).
    fn sack_edge(&self, mss: u32) -> u64 {
        let enough = u64::from(mss).saturating_mul(u64::from(DUP_THRESH.saturating_sub(1)));
        let mut runs = 0u32;
        let mut octets = 0u64;
        for run in self.scoreboard.iter().rev() {
            runs = runs.saturating_add(1);
            octets = octets.saturating_add(run.len());
            if runs >= DUP_THRESH || octets > enough {
                return run.start;
            }
        }
        0
    }

    /// Reacts to an acceptable acknowledgment whose SACK blocks were noted.
    pub(crate) fn on_ack(&mut self, info: &AckInfo, mss: u32) -> Verdict {
        if info.acked > 0 {
            self.scoreboard.discard_below(info.una);
            self.high_rxt = self.high_rxt.max(info.una);
            self.lost_below = self.lost_below.max(info.una);
        }
        match self.phase {
            Phase::Open => self.on_ack_open(info, mss),
            Phase::Recovery => self.on_ack_recovery(info, mss),
            Phase::Loss => {
                if info.acked > 0 && info.una >= self.recovery_point {
                    self.leave();
                    return Verdict::Recovered;
                }
                Verdict::Nothing
            }
        }
    }

    fn on_ack_open(&mut self, info: &AckInfo, mss: u32) -> Verdict {
        if info.acked > 0 {
            self.dupacks = 0;
            self.reno_sacked = 0;
        }
        if info.duplicate {
            self.count_duplicate(info, mss);
        }
        let detected = if self.sack {
            self.dupacks >= DUP_THRESH || self.sack_edge(mss) > info.una
        } else {
            // RFC 6582, 3.2, step 2: duplicates that a retransmission of the last recovery caused
            // mean nothing.
            let stale = self.had_loss && info.una <= self.recovery_point;
            self.dupacks >= DUP_THRESH && !stale
        };
        if !detected || info.una >= info.nxt {
            return Verdict::Nothing;
        }
        self.phase = Phase::Recovery;
        self.had_loss = true;
        self.recovery_point = info.nxt;
        self.high_rxt = info.una;
        self.force = true;
        self.rescued = false;
        self.mark_head(info, mss);
        self.lost_below = self.lost_below.max(self.sack_edge(mss));
        Verdict::FastRetransmit
    }

    fn on_ack_recovery(&mut self, info: &AckInfo, mss: u32) -> Verdict {
        if info.una >= self.recovery_point {
            self.leave();
            return Verdict::Recovered;
        }
        if info.acked > 0 && !self.sack {
            // RFC 6582, 3.2, step 3: a partial acknowledgment shows the next hole. One segment of
            // what it covers was the retransmission, the rest are those that had caused duplicates.
            let arrived = info.acked.saturating_sub(u64::from(mss));
            self.tell_left(info, mss, self.reno_sacked.saturating_sub(arrived));
            self.high_rxt = info.una;
            self.force = true;
            self.mark_head(info, mss);
        }
        if info.duplicate {
            self.count_duplicate(info, mss);
        }
        self.lost_below = self.lost_below.max(self.sack_edge(mss));
        Verdict::Nothing
    }

    fn count_duplicate(&mut self, info: &AckInfo, mss: u32) {
        self.dupacks = self.dupacks.saturating_add(1);
        if !self.sack {
            let more = self.reno_sacked.saturating_add(u64::from(mss));
            self.tell_left(info, mss, more);
        }
    }

    /// Sets what duplicates tell to have left the network: each a segment, but never all (Linux's
    /// `tcp_limit_reno_sacked`).
    fn tell_left(&mut self, info: &AckInfo, mss: u32, octets: u64) {
        let flight = info.nxt.saturating_sub(info.una);
        self.reno_sacked = octets.min(flight.saturating_sub(u64::from(mss)));
    }

    /// Marks the first segment in flight as lost.
    fn mark_head(&mut self, info: &AckInfo, mss: u32) {
        let end = info.una.saturating_add(u64::from(mss)).min(info.nxt);
        let hole = self.scoreboard.gap_from(info.una, end);
        self.lost_below = self.lost_below.max(hole.map_or(info.una, |hole| hole.end));
    }

    fn leave(&mut self) {
        self.phase = Phase::Open;
        self.dupacks = 0;
        self.reno_sacked = 0;
        self.force = false;
    }

    /// The retransmission timer expired: everything in flight that no SACK covers is lost.
    ///
    /// RFC 2018, 8 lets a receiver renege: if it SACKed what it should have acknowledged, its
    /// reports are forgotten.
    pub(crate) fn on_timeout(&mut self, una: u64, nxt: u64) {
        if self.scoreboard.run_at(una).is_some() {
            self.scoreboard.clear();
        }
        self.phase = Phase::Loss;
        self.had_loss = true;
        self.recovery_point = nxt;
        self.high_rxt = una;
        self.lost_below = nxt;
        self.reno_sacked = 0;
        self.dupacks = 0;
        self.force = false;
    }

    /// Returns whether a time-out now is another one for the loss that is being repaired.
    pub(crate) fn was_reduced(&self, una: u64) -> bool {
        self.phase == Phase::Recovery && una < self.recovery_point
    }

    /// Returns the next lost octets to send again (RFC 6675, 4: NextSeg, rule 1).
    pub(crate) fn next_lost(&self, una: u64, nxt: u64) -> Option<Run> {
        let from = self.high_rxt.max(una);
        self.scoreboard.gap_from(from, self.lost_below.min(nxt))
    }

    /// Returns what may be sent again when nothing is known lost and no new data can leave (RFC
    /// 6675, 4: NextSeg, rule 3).
    pub(crate) fn next_guess(&self, una: u64) -> Option<Run> {
        if self.phase != Phase::Recovery || !self.sack {
            return None;
        }
        let highest = self.scoreboard.last()?;
        self.scoreboard
            .gap_from(self.high_rxt.max(una), highest.start)
    }

    /// Returns the last segment in flight if nothing else can bring news of the tail (RFC 6675, 4:
    /// NextSeg, rule 4), once in a recovery. HighRxt stays where it is.
    pub(crate) fn take_rescue(&mut self, una: u64, nxt: u64, mss: u32) -> Option<Run> {
        if self.phase != Phase::Recovery || !self.sack || self.rescued {
            return None;
        }
        let end = self.recovery_point.min(nxt);
        let reported = self.scoreboard.last().map_or(una, |run| run.end);
        let start = end
            .saturating_sub(u64::from(mss))
            .max(reported)
            .max(self.high_rxt);
        self.rescued = true;
        (start < end).then_some(Run { start, end })
    }

    /// Notes that octets up to `end` were sent again; `lost_below` follows, for what was only
    /// guessed counts as lost now.
    pub(crate) fn on_retransmitted(&mut self, end: u64) {
        self.force = false;
        self.high_rxt = self.high_rxt.max(end);
        self.lost_below = self.lost_below.max(end);
    }
}

#[cfg(test)]
mod tests;
