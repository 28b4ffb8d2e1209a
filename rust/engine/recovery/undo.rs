// SPDX-License-Identifier: GPL-2.0

//! Recoveries that were a mistake: what they did to cwnd is undone (RFC 4015), because a DSACK
//! (RFC 3708) or an echoed timestamp (RFC 3522) shows that the originals arrived, or because a
//! time-out proves spurious (RFC 5682).

use crate::engine::cc::Congestion;
use crate::engine::info::CaState;
use crate::engine::recovery::rack::PERSIST;
use crate::engine::recovery::Ack;
use crate::engine::recovery::Moved;
use crate::engine::recovery::Recovery;
use crate::engine::store::Memory;
use crate::engine::store::Record;
use crate::engine::tally::Mib;

/// What has to be shown before a recovery is undone (Linux's `undo_marker` and `undo_retrans`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Undo {
    /// SND.UNA when the recovery began.
    pub(super) marker: u64,
    /// Segments sent again and not reported as duplicates; `None` until one was sent.
    retrans: Option<u32>,
}

impl Undo {
    pub(super) fn on_retransmit(&mut self, segments: u32) {
        let before = self.retrans.unwrap_or(0);
        self.retrans = Some(before.saturating_add(segments));
    }

    /// The peer reports `segments` of them as duplicates.
    pub(super) fn on_duplicate(&mut self, segments: u32) {
        self.retrans = self.retrans.map(|left| left.saturating_sub(segments));
    }

    /// Returns whether all that was sent again had arrived before.
    fn all_needless(&self) -> bool {
        self.retrans == Some(0)
    }
}

impl<M: Memory<Record>> Recovery<M> {
    /// Linux's `tcp_init_undo`.
    pub(super) fn begin_undo(&mut self, una: u64) {
        let probed = self.probe.is_some_and(|probe| probe.retransmitted);
        let out = self.board.retrans.segments;
        let out = out.saturating_add(u32::from(probed));
        self.undo = Some(Undo {
            marker: una,
            retrans: (out > 0).then_some(out),
        });
    }

    /// Returns whether the acknowledgment is for something that was late, not lost: it answers what
    /// left before the first retransmission (RFC 3522, 3; Linux's `tcp_packet_delayed`).
    fn was_delayed(&self, ack: &Ack<'_>) -> bool {
        match self.first_retransmit {
            Some(first) => ack.echoes_before(first),
            // Nothing was sent again yet. Without SACK that may have been forgotten.
            None => self.sack || ack.una < self.high,
        }
    }

    fn may_undo(&self, ack: &Ack<'_>) -> bool {
        self.undo
            .is_some_and(|undo| undo.all_needless() || self.was_delayed(ack))
    }

    /// Linux's `tcp_undo_cwnd_reduction`.
    fn undo_reduction(&mut self, ack: &Ack<'_>, cc: &mut Congestion, unmark: bool) {
        if unmark {
            self.board.forget_losses();
        }
        cc.undo(ack.now);
        self.moved = Some(Moved::Back);
        self.undo = None;
        // Loss is looked for anew.
        self.rack.advanced = true;
    }

    /// Returns whether the state has to stay until something above `high` is acknowledged: without
    /// SACK, duplicates of this recovery would begin another one (RFC 6582, 4; Linux's
    /// `tcp_is_non_sack_preventing_reopen`).
    fn must_not_reopen(&mut self, ack: &Ack<'_>) -> bool {
        if self.sack || ack.una != self.high {
            return false;
        }
        self.forget_first_retransmit();
        true
    }

    /// All that was in flight is acknowledged. Returns whether the state stays nevertheless.
    pub(super) fn try_undo_recovery(&mut self, ack: &Ack<'_>, cc: &mut Congestion) -> bool {
        if self.may_undo(ack) {
            let lost = self.state == CaState::Loss;
            ack.tally
                .count(if lost { Mib::LossUndo } else { Mib::FullUndo });
            self.undo_reduction(ack, cc, false);
        } else {
            self.rack.persist = self.rack.persist.saturating_sub(1);
        }
        if self.must_not_reopen(ack) {
            return true;
        }
        self.state = CaState::Open;
        self.reneged = false;
        false
    }

    /// DSACKs report all that was sent again (RFC 3708).
    pub(super) fn try_undo_dsack(&mut self, ack: &Ack<'_>, cc: &mut Congestion) -> bool {
        let needless = self.undo.is_some_and(|undo| undo.all_needless());
        if needless {
            ack.tally.count(Mib::DsackUndo);
            self.rack.persist = self.rack.persist.saturating_add(1).min(PERSIST);
            self.undo_reduction(ack, cc, false);
        }
        needless
    }

    /// Part of what was in flight at the beginning of a fast recovery is acknowledged. Returns
    /// whether nothing more must be sent again now.
    pub(super) fn try_undo_partial(&mut self, ack: &Ack<'_>, cc: &mut Congestion) -> bool {
        if self.undo.is_none() || !self.was_delayed(ack) {
            return false;
        }
        // The hole was filled by what was late: reordering.
        self.note_reordering(ack.prior_una, ack, Mib::TsReorder);
        if self.board.retrans.octets > 0 {
            return true;
        }
        self.forget_first_retransmit();
        ack.tally.count(Mib::PartialUndo);
        self.undo_reduction(ack, cc, true);
        self.try_keep_open(ack.nxt);
        false
    }

    /// Undoes a time-out, if `spurious` or if something else shows that it was (Linux's
    /// `tcp_try_undo_loss`).
    fn try_undo_loss(&mut self, ack: &Ack<'_>, cc: &mut Congestion, spurious: bool) -> bool {
        if !spurious && !self.may_undo(ack) {
            return false;
        }
        self.undo_reduction(ack, cc, true);
        ack.tally.count(Mib::LossUndo);
        if spurious {
            ack.tally.count(Mib::SpuriousRtos);
        }
        self.forgiven = true;
        if self.must_not_reopen(ack) {
            return true;
        }
        if spurious || self.sack {
            self.state = CaState::Open;
            self.reneged = false;
        }
        true
    }

    /// An acknowledgment after a time-out (RFC 5682; Linux's `tcp_process_loss`).
    pub(super) fn on_ack_in_loss(&mut self, ack: &Ack<'_>, duplicates: u32, cc: &mut Congestion) {
        let recovered = ack.una >= self.high;
        if ack.advanced() && self.try_undo_loss(ack, cc, false) {
            return;
        }
        if self.frto {
            // RFC 5682, 3.1, step 3b: what was never sent again arrives, so not all was lost.
            if ack.found.original && self.try_undo_loss(ack, cc, true) {
                return;
            }
            if ack.nxt > self.high {
                // Step 3a: the new data arrives and fills no hole; the loss was real.
                if ack.found.sacked || duplicates > 0 {
                    self.frto = false;
                }
            } else if ack.advanced() && !recovered {
                // Step 2b.
                self.high = ack.nxt;
                if ack.has_new {
                    self.new_first = true;
                    return;
                }
                self.frto = false;
            }
        }
        if recovered {
            // Steps 2a and 3a.
            let _ = self.try_undo_recovery(ack, cc);
            return;
        }
        if self.sack {
            return;
        }
        if ack.nxt > self.high && duplicates > 0 {
            // A duplicate tells that new data of step 2b arrived.
            self.count_reno_sacks(ack, duplicates, &mut cc.rate);
        } else if ack.advanced() {
            self.reno_sacked = 0;
        }
    }
}
