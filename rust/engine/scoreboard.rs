// SPDX-License-Identifier: GPL-2.0

//! The records of what is in flight (RFC 6675's scoreboard, RFC 8985's per-segment state).
//!
//! A record stands for octets that left together. Acknowledgments, SACK blocks and retransmissions
//! cut records where they must; equal neighbours melt into one.

use crate::engine::ranges::Run;
use crate::engine::rate::Stamp;
use crate::engine::store::Memory;
use crate::engine::store::Record;
use crate::engine::time::Instant;

/// The peer holds it (Linux's `TCPCB_SACKED_ACKED`).
pub(crate) const SACKED: u8 = 1;
/// The network lost what left first (`TCPCB_LOST`).
pub(crate) const LOST: u8 = 2;
/// A retransmission is in flight (`TCPCB_SACKED_RETRANS`).
pub(crate) const RETRANS: u8 = 4;
/// It was sent again at some time (`TCPCB_EVER_RETRANS`).
pub(crate) const EVER_RETRANS: u8 = 8;
/// The last octet is a FIN.
const FIN: u8 = 16;
/// Several transmissions that memory could not keep apart; the time is that of the last.
const BLURRED: u8 = 32;

/// Records that need no memory of the owner's.
const INLINE: usize = 2;
/// More records are not asked for: with that many, neighbours are close in time.
const MOST: usize = 8192;

impl Record {
    /// Returns the offset after the last octet.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(u64::from(self.len))
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Returns whether it was sent once and its time is exact, so that its acknowledgment times the
    /// path (Karn's rule).
    pub(crate) fn times_the_path(&self) -> bool {
        !self.has(EVER_RETRANS | BLURRED)
    }

    /// Returns the segments that it left in.
    pub(crate) fn segments(&self) -> u32 {
        let octets = self.len.saturating_sub(u32::from(self.has(FIN)));
        octets.div_ceil(u32::from(self.segment.max(1))).max(1)
    }

    /// Returns the octets of its largest segment.
    pub(crate) fn segment_len(&self) -> u32 {
        let octets = self.len.saturating_sub(u32::from(self.has(FIN)));
        octets.min(self.segment.into())
    }

    /// Returns the octets `start..end`, which lie in the record, as a record of their own.
    fn part(&self, start: u64, end: u64) -> Record {
        let mut part = *self;
        if end < self.end() {
            part.flags &= !FIN;
        }
        part.start = start;
        part.len = u32::try_from(end.saturating_sub(start)).unwrap_or(u32::MAX);
        part
    }

    /// Returns whether `next`, which follows, tells nothing that this record does not tell.
    fn melts_with(&self, next: &Record) -> bool {
        let whole = self
            .len
            .checked_rem(u32::from(self.segment.max(1)))
            .unwrap_or(0)
            == 0;
        self.end() == next.start
            && self.flags == next.flags & !FIN
            && self.segment == next.segment
            && self.len.checked_add(next.len).is_some()
            && (self.has(SACKED)
                || (whole && self.sent_at == next.sent_at && self.stamp == next.stamp))
    }
}

/// An amount of data, in octets and in the segments that it left in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) octets: u64,
    pub(crate) segments: u32,
}

impl Tally {
    fn add(&mut self, record: &Record) {
        self.octets = self.octets.saturating_add(record.len.into());
        self.segments = self.segments.saturating_add(record.segments());
    }

    fn subtract(&mut self, record: &Record) {
        self.octets = self.octets.saturating_sub(record.len.into());
        self.segments = self.segments.saturating_sub(record.segments());
    }
}

/// What a scan does with a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scan {
    /// Leaves it and goes on.
    Next,
    /// It is lost.
    Lost,
    /// Leaves it and all that follow.
    Stop,
}

/// The records of SND.UNA to SND.NXT, in order and without gaps.
///
/// # Invariants
///
/// - The live records are `head .. head + len` of the slots; each begins where the one before ends.
/// - The tallies count the live records by flag.
/// - No record that is lost and not sent again begins below `hint`.
#[derive(Clone, Debug)]
pub(crate) struct Scoreboard<M> {
    inline: [Record; INLINE],
    memory: M,
    /// The records lie in `memory`.
    spilled: bool,
    head: usize,
    len: usize,
    hint: u64,
    /// Everything in flight.
    pub(crate) out: Tally,
    pub(crate) sacked: Tally,
    pub(crate) lost: Tally,
    /// Retransmissions in flight.
    pub(crate) retrans: Tally,
    /// Octets that are lost and not sent again.
    pending: u64,
}

impl<M: Memory<Record>> Scoreboard<M> {
    pub(crate) fn new() -> Scoreboard<M> {
        Scoreboard {
            inline: [Record::default(); INLINE],
            memory: M::default(),
            spilled: false,
            head: 0,
            len: 0,
            hint: 0,
            out: Tally::default(),
            sacked: Tally::default(),
            lost: Tally::default(),
            retrans: Tally::default(),
            pending: 0,
        }
    }

    fn slots(&self) -> &[Record] {
        if self.spilled {
            self.memory.slots()
        } else {
            &self.inline
        }
    }

    fn slots_mut(&mut self) -> &mut [Record] {
        if self.spilled {
            self.memory.slots_mut()
        } else {
            &mut self.inline
        }
    }

    /// Returns the live records.
    pub(crate) fn live(&self) -> &[Record] {
        let end = self.head.saturating_add(self.len);
        self.slots().get(self.head..end).unwrap_or_default()
    }

    fn live_mut(&mut self) -> &mut [Record] {
        let (head, end) = (self.head, self.head.saturating_add(self.len));
        self.slots_mut().get_mut(head..end).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn first(&self) -> Option<&Record> {
        self.live().first()
    }

    pub(crate) fn last(&self) -> Option<&Record> {
        self.live().last()
    }

    /// Returns the octets in the network (RFC 6675, 4: pipe; Linux's `tcp_packets_in_flight`).
    pub(crate) fn pipe(&self) -> u64 {
        self.out
            .octets
            .saturating_add(self.retrans.octets)
            .saturating_sub(self.sacked.octets)
            .saturating_sub(self.lost.octets)
    }

    /// Returns the index of the first record that ends after `offset`.
    fn at(&self, offset: u64) -> usize {
        self.live().partition_point(|record| record.end() <= offset)
    }

    fn add(&mut self, record: &Record) {
        self.out.add(record);
        if record.has(SACKED) {
            self.sacked.add(record);
        }
        if record.has(LOST) {
            self.lost.add(record);
            if !record.has(RETRANS) {
                self.pending = self.pending.saturating_add(record.len.into());
                self.hint = self.hint.min(record.start);
            }
        }
        if record.has(RETRANS) {
            self.retrans.add(record);
        }
    }

    fn subtract(&mut self, record: &Record) {
        self.out.subtract(record);
        if record.has(SACKED) {
            self.sacked.subtract(record);
        }
        if record.has(LOST) {
            self.lost.subtract(record);
            if !record.has(RETRANS) {
                self.pending = self.pending.saturating_sub(record.len.into());
            }
        }
        if record.has(RETRANS) {
            self.retrans.subtract(record);
        }
    }

    /// Puts `record` in the place of the live record `index`.
    fn set(&mut self, index: usize, record: Record) {
        let Some(slot) = self.live_mut().get_mut(index) else {
            return;
        };
        let old = core::mem::replace(slot, record);
        self.subtract(&old);
        self.add(&record);
    }

    /// Makes room for one more record after the last; may move all of them.
    fn make_room(&mut self) -> bool {
        let capacity = self.slots().len();
        if self.head.saturating_add(self.len) < capacity {
            return true;
        }
        if self.len > capacity / 2 && capacity < MOST {
            let wanted = capacity.saturating_mul(2).clamp(16, MOST);
            self.memory.grow(wanted);
            if self.memory.slots().len() > capacity {
                if !self.spilled {
                    let inline = self.inline;
                    for (to, from) in self.memory.slots_mut().iter_mut().zip(inline) {
                        *to = from;
                    }
                    self.spilled = true;
                }
                return true;
            }
        }
        if self.head == 0 {
            self.blur();
        }
        let (head, end) = (self.head, self.head.saturating_add(self.len));
        let slots = self.slots_mut();
        if head > 0 && end <= slots.len() {
            slots.copy_within(head..end, 0);
            self.head = 0;
        }
        self.len < self.slots().len()
    }

    /// Melts neighbours of one kind pairwise, because there is no memory to keep them apart.
    fn blur(&mut self) {
        let (head, len) = (self.head, self.len);
        let mut kept = 0usize;
        let slots = self.slots_mut();
        let mut index = 0usize;
        while index < len {
            let Some(&record) = slots.get(head.saturating_add(index)) else {
                break;
            };
            index = index.saturating_add(1);
            let mut record = record;
            if let Some(&next) = slots
                .get(head.saturating_add(index))
                .filter(|_| index < len)
            {
                let kind = |record: &Record| record.flags & !(FIN | BLURRED);
                if kind(&record) == kind(&next) && record.len.checked_add(next.len).is_some() {
                    record.len = record.len.saturating_add(next.len);
                    record.segment = record.segment.max(next.segment);
                    record.flags |= next.flags | BLURRED;
                    record.sent_at = record.sent_at.max(next.sent_at);
                    record.stamp = next.stamp;
                    index = index.saturating_add(1);
                }
            }
            if let Some(slot) = slots.get_mut(head.saturating_add(kept)) {
                *slot = record;
            }
            kept = kept.saturating_add(1);
        }
        self.len = kept;
        self.recount();
    }

    fn recount(&mut self) {
        self.out = Tally::default();
        self.sacked = Tally::default();
        self.lost = Tally::default();
        self.retrans = Tally::default();
        self.pending = 0;
        for index in 0..self.len {
            if let Some(&record) = self.live().get(index) {
                self.add(&record);
            }
        }
    }

    /// Inserts a record before the live record `index`; the tallies are the caller's. Returns
    /// whether it did; it does not where records had to melt for room, since the place may be gone.
    fn insert(&mut self, index: usize, record: Record) -> bool {
        let before = self.len;
        if !self.make_room() || self.len != before {
            return false;
        }
        self.len = self.len.saturating_add(1);
        let live = self.live_mut();
        if let Some(tail) = live.get_mut(index..) {
            tail.rotate_right(1);
            if let Some(slot) = tail.first_mut() {
                *slot = record;
            }
        }
        true
    }

    /// Removes the live record `index`, whose octets are in another one now.
    fn remove(&mut self, index: usize) {
        let live = self.live_mut();
        if let Some(tail) = live.get_mut(index..) {
            if !tail.is_empty() {
                tail.rotate_left(1);
                self.len = self.len.saturating_sub(1);
            }
        }
    }

    /// Cuts the record that contains `offset` there. Returns whether a record begins at `offset`
    /// now, or none contains it.
    fn cut(&mut self, offset: u64) -> bool {
        let index = self.at(offset);
        let Some(&record) = self.live().get(index) else {
            return true;
        };
        if record.start >= offset {
            return true;
        }
        let front = record.part(record.start, offset);
        let back = record.part(offset, record.end());
        if !self.insert(index.saturating_add(1), back) {
            return false;
        }
        self.subtract(&record);
        self.add(&front);
        self.add(&back);
        if let Some(slot) = self.live_mut().get_mut(index) {
            *slot = front;
        }
        true
    }

    /// Melts the record `index` with its neighbours if they are alike.
    fn melt(&mut self, index: usize) {
        for left in [index, index.saturating_sub(1)] {
            let live = self.live();
            let (Some(&record), Some(&next)) = (live.get(left), live.get(left.saturating_add(1)))
            else {
                continue;
            };
            if record.melts_with(&next) {
                let mut whole = record;
                whole.len = whole.len.saturating_add(next.len);
                whole.flags |= next.flags;
                self.subtract(&next);
                self.set(left, whole);
                self.remove(left.saturating_add(1));
            }
        }
    }

    /// Notes a first transmission, which begins where the last one ended.
    pub(crate) fn on_sent(&mut self, run: Run, segment: u32, fin: bool, at: Instant, stamp: Stamp) {
        let record = Record {
            start: run.start,
            len: u32::try_from(run.len()).unwrap_or(u32::MAX),
            segment: u16::try_from(segment).unwrap_or(u16::MAX).max(1),
            flags: if fin { FIN } else { 0 },
            sent_at: at,
            stamp,
        };
        let room = match self.last() {
            Some(known) if known.melts_with(&record) => false,
            _ => self.make_room() && self.insert(self.len, record),
        };
        if room {
            self.add(&record);
        } else if let Some(&known) = self.last() {
            let mut whole = known;
            whole.len = whole.len.saturating_add(record.len);
            whole.flags |= record.flags;
            if !known.melts_with(&record) {
                // What was known of it does not hold for what follows.
                whole.flags = (whole.flags & !(SACKED | LOST | RETRANS)) | BLURRED;
                whole.sent_at = at;
                whole.stamp = stamp;
                whole.segment = known.segment.max(record.segment);
            }
            self.set(self.len.saturating_sub(1), whole);
        }
    }

    /// Takes away what lies below `una`, and shows it to `visit` piece by piece.
    pub(crate) fn on_acked(&mut self, una: u64, mut visit: impl FnMut(&Record)) {
        while let Some(&record) = self.first() {
            if record.start >= una {
                break;
            }
            self.subtract(&record);
            if record.end() <= una {
                visit(&record);
                self.head = self.head.saturating_add(1);
                self.len = self.len.saturating_sub(1);
                continue;
            }
            visit(&record.part(record.start, una));
            let rest = record.part(una, record.end());
            self.add(&rest);
            if let Some(slot) = self.live_mut().first_mut() {
                *slot = rest;
            }
            break;
        }
        if self.len == 0 {
            self.head = 0;
        }
    }

    /// Changes the octets of `run`, record by record: `change` gets each and returns what takes its
    /// place. Records that reach beyond `run` are cut, or left as they are where there is no memory.
    fn change(&mut self, run: Run, mut change: impl FnMut(&Record) -> Record) {
        if run.start >= run.end || !self.cut(run.start) || !self.cut(run.end) {
            // Without memory to cut only whole records count.
        }
        let mut index = self
            .live()
            .partition_point(|record| record.start < run.start);
        while let Some(&record) = self.live().get(index) {
            if record.end() > run.end {
                break;
            }
            let new = change(&record);
            if new != record {
                self.set(index, new);
                let before = self.len;
                self.melt(index);
                // Both neighbours may have gone into one; go on after it.
                if self.len < before {
                    index = self.at(record.end().saturating_sub(1));
                }
            }
            index = index.saturating_add(1);
        }
    }

    /// Marks the octets of a SACK block; `change` sees each record that overlaps it and returns its
    /// new flags.
    pub(crate) fn on_sacked(&mut self, run: Run, mut change: impl FnMut(&Record) -> u8) {
        self.change(run, |record| {
            let mut new = *record;
            new.flags = change(record);
            new
        });
    }

    /// Goes over the records that no SACK covers, in order, and marks as lost what `scan` says.
    /// Returns the segments newly lost and the retransmissions that were.
    pub(crate) fn mark_lost(&mut self, mut scan: impl FnMut(&Record) -> Scan) -> Marked {
        let mut marked = Marked::default();
        let mut index = 0usize;
        while let Some(&record) = self.live().get(index) {
            index = index.saturating_add(1);
            if record.has(SACKED) {
                continue;
            }
            match scan(&record) {
                Scan::Next => {}
                Scan::Stop => break,
                Scan::Lost => {
                    if record.has(LOST) && !record.has(RETRANS) {
                        continue;
                    }
                    marked.octets = marked.octets.saturating_add(record.len.into());
                    let mut new = record;
                    new.flags |= LOST;
                    // As Linux (`tcp_mark_skb_lost`): the retransmission of a lost record is lost as
                    // well; that of another one stays in flight.
                    if record.has(LOST) {
                        new.flags &= !RETRANS;
                        marked.again = marked.again.saturating_add(record.segments());
                    }
                    self.set(index.saturating_sub(1), new);
                }
            }
        }
        marked
    }

    /// Cuts the first segment off, so that it can be marked alone.
    pub(crate) fn cut_first_segment(&mut self) {
        if let Some(&record) = self.first() {
            let end = record.start.saturating_add(record.segment.into());
            if end < record.end() {
                let _ = self.cut(end);
            }
        }
    }

    /// Returns whether something is lost and not sent again.
    pub(crate) fn has_unrepaired(&self) -> bool {
        self.pending > 0
    }

    /// Returns the first octets that are lost and not sent again.
    pub(crate) fn next_lost(&mut self) -> Option<Run> {
        if self.pending == 0 {
            return None;
        }
        let from = self.at(self.hint);
        let waits = |record: &&Record| record.has(LOST) && !record.has(RETRANS | SACKED);
        let live = self.live().get(from..)?;
        let at = live.iter().position(|record| waits(&record))?;
        let rest = live.get(at..)?;
        let start = rest.first()?.start;
        let end = rest.iter().take_while(waits).last()?.end();
        self.hint = start;
        Some(Run { start, end })
    }

    /// Notes that `run` was sent again. As a tail loss probe (`probe`) it does not count as a
    /// retransmission in flight (Linux's `__tcp_retransmit_skb` alone).
    pub(crate) fn on_retransmitted(
        &mut self,
        run: Run,
        segment: u32,
        at: Instant,
        stamp: Stamp,
        probe: bool,
    ) {
        let segment = u16::try_from(segment).unwrap_or(u16::MAX).max(1);
        self.change(run, |record| {
            let mut new = *record;
            new.flags |= if probe {
                EVER_RETRANS
            } else {
                EVER_RETRANS | RETRANS
            };
            new.segment = segment;
            new.sent_at = at;
            new.stamp = stamp;
            new
        });
    }

    /// Forgets what SACK blocks told, because the peer took it back (RFC 2018, 8).
    pub(crate) fn forget_sacks(&mut self) {
        self.clear(SACKED);
    }

    /// Takes back that anything is lost.
    pub(crate) fn forget_losses(&mut self) {
        self.clear(LOST);
    }

    fn clear(&mut self, flag: u8) {
        for record in self.live_mut() {
            record.flags &= !flag;
        }
        self.recount();
    }
}

/// What a scan marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Marked {
    /// Octets newly lost.
    pub(crate) octets: u64,
    /// Segments whose retransmission was lost.
    pub(crate) again: u32,
}

#[cfg(test)]
mod tests;
