// SPDX-License-Identifier: GPL-2.0

//! Which octets are lost, and how much reordering the path shows.

use crate::engine::cc::Congestion;
use crate::engine::config::Config;
use crate::engine::info::CaState;
use crate::engine::rate::Rate;
use crate::engine::recovery::Ack;
use crate::engine::recovery::Moved;
use crate::engine::recovery::Rearm;
use crate::engine::recovery::Recovery;
use crate::engine::recovery::Rtts;
use crate::engine::scoreboard::Marked;
use crate::engine::scoreboard::Scan;
use crate::engine::scoreboard::LOST;
use crate::engine::scoreboard::SACKED;
use crate::engine::store::Memory;
use crate::engine::store::Record;
use crate::engine::tally::Mib;
use crate::engine::tally::Tally;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// What a time-out finds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeout<'a> {
    pub(crate) now: Instant,
    pub(crate) una: u64,
    pub(crate) nxt: u64,
    pub(crate) mss: u32,
    /// Time-outs since SND.UNA moved, before this one.
    pub(crate) again: u8,
    /// A probe of the path's MTU is out.
    pub(crate) mtu_probe: bool,
    pub(crate) config: &'a Config,
    pub(crate) tally: &'a Tally,
}

impl<M: Memory<Record>> Recovery<M> {
    /// Looks for losses (Linux's `tcp_identify_packet_loss`). Returns what the timers have to do if
    /// something may be lost soon.
    pub(super) fn identify_loss(
        &mut self,
        ack: &Ack<'_>,
        rtts: Rtts,
        config: &Config,
    ) -> Option<Rearm> {
        self.lost_again = 0;
        if self.board.is_empty() {
            return None;
        }
        if !self.sack {
            self.mark_head(ack.advanced(), ack.tally);
            return None;
        }
        if !core::mem::take(&mut self.rack.advanced) {
            return None;
        }
        let wait = self.mark_late(ack.now, rtts, config, ack.tally);
        (wait > Duration::ZERO).then_some(Rearm::Reorder(wait))
    }

    /// RFC 8985, 6.2, step 5. Returns the longest time that something still has.
    fn mark_late(&mut self, now: Instant, rtts: Rtts, config: &Config, tally: &Tally) -> Duration {
        let window = self.reordering_window(rtts, config);
        let rack = &self.rack;
        let mut wait = Duration::ZERO;
        let marked = self
            .board
            .mark_lost(|record| rack.judge(record, now, window, &mut wait));
        self.note_marked(marked, tally);
        wait
    }

    fn note_marked(&mut self, marked: Marked, tally: &Tally) {
        tally.add(Mib::LostRetransmit, marked.again);
        self.newly_lost = self.newly_lost.saturating_add(marked.octets);
        self.lost_again = self.lost_again.saturating_add(marked.again);
    }

    /// RFC 8985, 6.2, step 4; as Linux (`tcp_rack_reo_wnd`) no reordering is allowed for until some
    /// was seen, once duplicates mean loss anyway.
    fn reordering_window(&self, rtts: Rtts, config: &Config) -> Duration {
        if self.reordering_seen == 0 {
            let repairing = matches!(self.state, CaState::Recovery | CaState::Loss);
            let enough = self.sacked_segments() >= self.reordering && config.rack_counts;
            if repairing || enough {
                return Duration::ZERO;
            }
        }
        self.rack.window(rtts)
    }

    /// Without SACK: three duplicates mean that the first segment is lost (RFC 5681, 3.2), and in
    /// fast recovery a partial acknowledgment means it of the next (RFC 6582, 3.2, step 3).
    fn mark_head(&mut self, advanced: bool, tally: &Tally) {
        let due = match self.state {
            CaState::Open | CaState::Disorder | CaState::Cwr => self.reno_sacked >= self.reordering,
            CaState::Recovery => advanced,
            CaState::Loss => false,
        };
        if !due || self.board.first().is_some_and(|first| first.has(LOST)) {
            return;
        }
        self.board.cut_first_segment();
        let mut first = true;
        let marked = self.board.mark_lost(|_| {
            if core::mem::take(&mut first) {
                Scan::Lost
            } else {
                Scan::Stop
            }
        });
        self.note_marked(marked, tally);
    }

    /// The reordering timer expired (Linux's `tcp_rack_reo_timeout`). Returns whether something was
    /// found lost.
    pub(crate) fn on_reorder_timeout(
        &mut self,
        now: Instant,
        rtts: Rtts,
        config: &Config,
        tally: &Tally,
    ) -> bool {
        let before = self.board.pipe();
        let _ = self.mark_late(now, rtts, config, tally);
        self.board.pipe() != before
    }

    /// Counts a time-out that is the first since something was acknowledged by what it interrupts
    /// (Linux's `tcp_retransmit_timer`).
    pub(crate) fn count_timeout(&self, tally: &Tally) {
        let mib = match self.state {
            CaState::Recovery if self.sack => Mib::SackRecoveryFail,
            CaState::Recovery => Mib::RenoRecoveryFail,
            CaState::Loss => Mib::LossFailures,
            CaState::Open | CaState::Cwr if self.sacked_segments() == 0 => return,
            _ if self.sack => Mib::SackFailures,
            _ => Mib::RenoFailures,
        };
        tally.count(mib);
    }

    /// The retransmission timer expired (Linux's `tcp_enter_loss`).
    pub(crate) fn on_timeout(&mut self, timeout: &Timeout<'_>, cc: &mut Congestion) {
        let Timeout {
            now,
            una,
            nxt,
            mss,
            again,
            mtu_probe,
            config,
            tally,
        } = *timeout;
        let calm = matches!(self.state, CaState::Open | CaState::Disorder);
        let new = calm || self.state == CaState::Cwr;
        self.mark_all(now, tally);
        let first = calm || self.high <= una || (self.state == CaState::Loss && again == 0);
        cc.enter_loss(config, now, self.pipe(mss), first);
        if first {
            self.begin_undo(una);
        }
        // So many duplicates and still a time-out: the path reorders less than was believed.
        let usual = config.reordering;
        if calm && self.sacked_segments() >= usual {
            self.reordering = self.reordering.min(usual);
        }
        self.state = CaState::Loss;
        self.high = nxt;
        self.probe = None;
        self.moved = Some(Moved::Down);
        // RFC 5682, 2.1, step 1; as Linux not when it may be the size of a probe that was lost.
        self.frto = config.frto && (new || again > 0) && !mtu_probe;
        self.new_first = false;
    }

    /// Everything in flight is lost but what no SACK covers and left just now (Linux's
    /// `tcp_timeout_mark_lost`).
    ///
    /// RFC 2018, 8 lets a receiver renege: if it SACKed what it should have acknowledged, its
    /// reports are forgotten.
    fn mark_all(&mut self, now: Instant, tally: &Tally) {
        let reneges = self.board.first().is_some_and(|first| first.has(SACKED));
        if reneges {
            tally.count(Mib::SackReneging);
            self.board.forget_sacks();
            self.reneged = true;
        }
        self.reno_sacked = 0;
        let rack = &self.rack;
        let mut head = true;
        let marked = self.board.mark_lost(|record| {
            let is_head = core::mem::take(&mut head);
            let recent = rack.remaining(record, now, Duration::ZERO) > Duration::ZERO;
            if recent && !is_head && !reneges {
                Scan::Next
            } else {
                Scan::Lost
            }
        });
        self.note_marked(marked, tally);
    }

    /// Segments longer than `mss` do not pass the path any more (Linux's `tcp_simple_retransmit`):
    /// they are sent again, and cwnd does not come down for it.
    pub(crate) fn on_mss(&mut self, mss: u32, nxt: u64, cc: &mut Congestion, tally: &Tally) {
        let marked = self.board.mark_lost(|record| {
            if record.segment_len() > mss {
                Scan::Lost
            } else {
                Scan::Next
            }
        });
        self.note_marked(marked, tally);
        if self.board.lost.octets == 0 {
            return;
        }
        self.limit_reno_sacks();
        if self.state != CaState::Loss {
            self.high = nxt;
            cc.forbid_undo();
            self.undo = None;
            self.state = CaState::Loss;
        }
    }

    /// What begins at `low` arrived after later octets: the path reorders (Linux's
    /// `tcp_check_sack_reordering`).
    pub(super) fn note_reordering(&mut self, low: u64, ack: &Ack<'_>, sign: Mib) {
        if low >= self.fack {
            return;
        }
        let distance = self.fack.saturating_sub(low);
        let segments = distance.div_ceil(u64::from(ack.mss.max(1)));
        let segments = u32::try_from(segments).unwrap_or(u32::MAX);
        if segments > self.reordering {
            self.reordering = segments.min(self.most_reordering);
        }
        self.reordering_seen = self.reordering_seen.saturating_add(1);
        ack.tally.count(sign);
    }

    /// Without SACK: duplicates tell of segments that arrived.
    pub(super) fn add_reno_sacks(&mut self, ack: &Ack<'_>, duplicates: u32, rate: &mut Rate) {
        if !self.sack && duplicates > 0 {
            self.count_reno_sacks(ack, duplicates, rate);
        }
    }

    pub(super) fn count_reno_sacks(&mut self, ack: &Ack<'_>, duplicates: u32, rate: &mut Rate) {
        let before = self.reno_sacked;
        self.reno_sacked = before.saturating_add(duplicates);
        self.check_reno_reordering(0, ack.tally);
        let news = u64::from(self.reno_sacked.saturating_sub(before));
        rate.count(news.saturating_mul(ack.mss.into()), ack.mss);
    }

    /// Without SACK: of what is acknowledged one segment filled the hole, the others are those that
    /// caused duplicates.
    pub(super) fn remove_reno_sacks(&mut self, ack: &Ack<'_>, rate: &mut Rate) {
        let acked = ack.found.acked_segments;
        let octets = ack.una.saturating_sub(ack.prior_una);
        let counted = u64::from(self.reno_sacked).saturating_mul(ack.mss.into());
        let news = octets
            .saturating_sub(counted)
            .max(octets.min(ack.mss.into()));
        rate.count(news, ack.mss);
        self.reno_sacked = self.reno_sacked.saturating_sub(acked.saturating_sub(1));
        self.check_reno_reordering(acked, ack.tally);
    }

    /// More duplicates than there are segments in flight that could have caused them: reordering
    /// (Linux's `tcp_check_reno_reordering`).
    fn check_reno_reordering(&mut self, acked: u32, tally: &Tally) {
        if self.limit_reno_sacks() {
            let segments = self.board.out.segments.saturating_add(acked);
            self.reordering = segments.min(self.most_reordering);
            self.reordering_seen = self.reordering_seen.saturating_add(1);
            tally.count(Mib::RenoReorder);
        }
    }

    /// Leaves at least what is lost, or one segment, in flight.
    fn limit_reno_sacks(&mut self) -> bool {
        if self.sack {
            return false;
        }
        let out = self.board.out.segments;
        let holes = self.board.lost.segments.max(1).min(out);
        let most = out.saturating_sub(holes);
        let exceeds = self.reno_sacked > most;
        self.reno_sacked = self.reno_sacked.min(most);
        exceeds
    }
}
