// SPDX-License-Identifier: GPL-2.0

//! What SACK blocks tell (RFC 2018), and DSACK blocks (RFC 2883).

use crate::engine::info::CaState;
use crate::engine::info::Counters;
use crate::engine::ranges::Run;
use crate::engine::rate::Delivered;
use crate::engine::rate::Rate;
use crate::engine::recovery::widen;
use crate::engine::recovery::Ack;
use crate::engine::recovery::Recovery;
use crate::engine::scoreboard::EVER_RETRANS;
use crate::engine::scoreboard::LOST;
use crate::engine::scoreboard::RETRANS;
use crate::engine::scoreboard::SACKED;
use crate::engine::store::Memory;
use crate::engine::store::Record;
use crate::engine::tally::Mib;

/// The blocks that an option can hold.
const MOST: usize = 4;

/// The SACK blocks of a segment as stream offsets, as they came; a block that does not lie in the
/// stream is missing.
pub(crate) type Blocks = [Option<Run>; MOST];

impl<M: Memory<Record>> Recovery<M> {
    /// Takes the blocks of a segment that acknowledges `acknowledged` (Linux's
    /// `tcp_sacktag_write_queue`).
    pub(crate) fn on_sacks(
        &mut self,
        ack: &mut Ack<'_>,
        acknowledged: u64,
        blocks: &Blocks,
        counters: &mut Counters,
        rate: &mut Rate,
    ) {
        let duplicate = self.check_dsack(ack, acknowledged, blocks, counters, rate);
        if self.board.is_empty() {
            return;
        }
        let mut valid = [None; MOST];
        for (index, (slot, block)) in valid.iter_mut().zip(blocks).enumerate() {
            let dsack = duplicate && index == 0;
            let Some(block) = *block else {
                continue;
            };
            if self.is_valid(ack, dsack, block) {
                *slot = Some((block, dsack));
            } else if dsack {
                ack.tally.count(match self.undo {
                    Some(_) => Mib::DsackIgnoredOld,
                    None => Mib::DsackIgnoredNoUndo,
                });
            } else if acknowledged == ack.una || block.end > ack.una {
                // Others come with acknowledgments that were overtaken.
                ack.tally.count(Mib::SackDiscard);
            }
        }
        // In order of place, since what lies below what is known is late.
        valid.sort_unstable_by_key(|block| block.map(|(run, _)| run.start));
        for (run, dsack) in valid.into_iter().flatten() {
            self.tag(ack, run, dsack, rate);
        }
        if self.state != CaState::Loss || self.undo.is_some() {
            if let Some(late) = ack.found.late.take() {
                self.note_reordering(late, ack, Mib::SackReorder);
            }
        }
    }

    /// Returns whether a block can be meant seriously (Linux's `tcp_is_sackblock_valid`).
    fn is_valid(&self, ack: &Ack<'_>, dsack: bool, block: Run) -> bool {
        if block.end > ack.nxt || block.start >= block.end {
            return false;
        }
        if block.start > ack.una {
            return true;
        }
        let Some(undo) = self.undo.filter(|_| dsack) else {
            return false;
        };
        if block.end > ack.una {
            return false;
        }
        if block.start >= undo.marker {
            return true;
        }
        block.end > undo.marker && block.start >= block.end.saturating_sub(u64::from(ack.max_wnd))
    }

    /// Returns whether the first block reports a duplicate (RFC 2883, 4) that we may have caused:
    /// it lies below the acknowledgment, or within the second block.
    fn check_dsack(
        &mut self,
        ack: &mut Ack<'_>,
        acknowledged: u64,
        blocks: &Blocks,
        counters: &mut Counters,
        rate: &mut Rate,
    ) -> bool {
        let [Some(first), second, ..] = *blocks else {
            return false;
        };
        let within = |outer: Run| outer.start <= first.start && first.end <= outer.end;
        if first.start < acknowledged {
            ack.tally.count(Mib::DsackRecv);
        } else if second.is_some_and(within) {
            ack.tally.count(Mib::DsackOfoRecv);
        } else {
            return false;
        }
        // As Linux (`tcp_dsack_seen`): longer than any window, or more than we ever sent again, is
        // no report of ours.
        if first.start >= first.end || first.len() > u64::from(ack.max_wnd) {
            ack.tally.count(Mib::DsackIgnoredDubious);
            return false;
        }
        let mss = u64::from(ack.mss.max(1));
        let segments = u32::try_from(first.len().div_ceil(mss)).unwrap_or(u32::MAX);
        if segments == 1 && self.ends_probe(first.end) {
            ack.found.dsack_of_probe = true;
        }
        counters.dsack_dups = counters.dsack_dups.saturating_add(segments);
        if counters.dsack_dups > ack.total_retrans {
            ack.tally.count(Mib::DsackIgnoredDubious);
            return false;
        }
        ack.tally.add(Mib::DsackRecvSegs, segments);
        self.rack.on_dsack();
        ack.found.dsack = true;
        rate.count(first.len(), ack.mss);
        // What it reports is acknowledged and forgotten: only its amount counts.
        if let Some(undo) = &mut self.undo {
            if first.end <= ack.prior_una && first.end > undo.marker {
                undo.on_duplicate(segments);
            }
        }
        true
    }

    /// Notes one block.
    fn tag(&mut self, ack: &mut Ack<'_>, run: Run, dsack: bool, rate: &mut Rate) {
        let Recovery {
            board,
            rack,
            undo,
            fack,
            high,
            ..
        } = self;
        let found = &mut ack.found;
        let (now, min_rtt, una, mss) = (ack.now, ack.min_rtt, ack.una, ack.mss);
        let mut highest = (*fack).max(una);
        board.on_sacked(run, |record: &Record| {
            let mut flags = record.flags;
            let again = record.has(RETRANS | EVER_RETRANS);
            if dsack && again {
                if let Some(undo) = undo.as_mut().filter(|undo| record.end() > undo.marker) {
                    undo.on_duplicate(record.segments());
                }
                if record.has(SACKED) {
                    found.on_late(record.start);
                }
            }
            if record.end() > una && !record.has(SACKED) {
                // RFC 8985, 6.2, step 2 looks at the echoed timestamp here as well; as Linux we do not:
                // behind a hole the peer echoes what it echoed before (RFC 7323, 4.3), so that all
                // retransmissions but the first would seem to have been needless.
                rack.on_delivered(record, now, min_rtt);
                rate.on_delivered(
                    &Delivered {
                        stamp: record.stamp,
                        sent_at: record.sent_at,
                        end: record.end(),
                        octets: record.len.into(),
                        retransmitted: again,
                    },
                    mss,
                );
                if record.has(RETRANS) {
                    // Unless the original is lost for certain, the retransmission is still in
                    // flight.
                    if record.has(LOST) {
                        flags &= !(LOST | RETRANS);
                    }
                } else {
                    if !again {
                        // A hole is filled by what was never sent again: it was late.
                        if record.start < highest {
                            found.on_late(record.start);
                        }
                        if record.end() <= *high {
                            found.original = true;
                        }
                        if record.times_the_path() {
                            widen(&mut found.sacked_at, record.sent_at);
                        }
                    }
                    flags &= !LOST;
                }
                flags |= SACKED;
                found.sacked = true;
                highest = highest.max(record.end());
            }
            if dsack {
                // The retransmission arrived as well.
                flags &= !RETRANS;
            }
            flags
        });
        *fack = highest;
    }
}
