// SPDX-License-Identifier: GPL-2.0

//! The receive half: what arrived in order, what is held out of order, and the window that is
//! offered.
//!
//! Offsets count from the peer's first octet. Its SYN lies before offset 0; its FIN takes the
//! offset after its last octet.

use crate::engine::acceptable::TsRecent;
use crate::engine::options::SackBlock;
use crate::engine::options::SackBlocks;
use crate::engine::ranges::RangeSet;
use crate::engine::ranges::Run;
use crate::engine::seq::SeqNum;
use crate::engine::window::WindowScale;
use crate::engine::window::DEFAULT_MSS;
use crate::engine::window::MIN_MSS;

/// Runs held out of order; when full, further disorder is dropped and the peer sends it again.
const HELD: usize = 128;

/// The smallest segment that is believed to be the peer's full size (Linux's `TCP_MIN_MSS`).
const SMALLEST: u32 = 88;

/// What the owner does with the payload of the segment just given to
/// [`crate::engine::Connection::on_segment`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Payload {
    /// Nothing of it is kept.
    Discard,
    /// Octets `skip .. skip + len` of the payload are next in the stream, at what `readable()` was
    /// before the call.
    ///
    /// `readable()` may have advanced by more than `len`: then the owner moves what it holds below
    /// `readable()` over.
    Append {
        /// Payload octets to leave out at the front.
        skip: u32,
        /// Payload octets to take.
        len: u32,
    },
    /// Out of order: the same octets are to be kept, sorted by stream offset; they may overlap
    /// others that are held.
    Hold {
        /// The stream offset of the first octet taken.
        offset: u64,
        /// Payload octets to leave out at the front.
        skip: u32,
        /// Payload octets to take.
        len: u32,
    },
}

/// What the payload and FIN of one segment did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) struct Arrival {
    pub(crate) payload: Payload,
    /// RCV.NXT moved.
    pub(crate) advanced: bool,
    /// The FIN became next in order.
    pub(crate) finished: bool,
    /// An acknowledgment must leave at once: disorder, a filled hole, a duplicate (RFC 5681, 4.2).
    pub(crate) disorder: bool,
}

/// The receive sequence variables (RFC 9293, 3.3.1) and what surrounds them.
#[derive(Clone, Debug)]
pub(crate) struct Rx {
    /// IRS.
    pub(crate) irs: SeqNum,
    /// RCV.NXT as a stream offset, the FIN not counted.
    pub(crate) nxt: u64,
    /// What the reader has consumed.
    pub(crate) read: u64,
    /// RCV.NXT when an acknowledgment was sent last (Linux's `rcv_wup`).
    pub(crate) acked: u64,
    /// The right edge of the window offered last; never moves left (RFC 9293, 3.8.6).
    pub(crate) edge: u64,
    /// What our window fields are shifted by.
    pub(crate) scale: WindowScale,
    /// TS.Recent.
    pub(crate) ts_recent: Option<TsRecent>,
    /// The peer's usual payload per segment, as seen (Linux's `rcv_mss`).
    pub(crate) mss: u32,
    last_len: u32,
    /// Whether the reader consumed something since the window was looked at.
    drained: bool,
    /// Whether the reader consumed all there was since the acknowledgment was looked at.
    emptied: bool,
    held: RangeSet<HELD>,
    /// Offsets within the runs that changed last, latest first (RFC 2018, 4).
    recent: [u64; SackBlocks::CAPACITY],
    /// What arrived twice, to be reported once (RFC 2883).
    dsack: Option<Run>,
    /// The offset of the peer's FIN, when it is known.
    fin: Option<u64>,
    finished: bool,
    /// Free space of the buffer as the owner told it last, less what arrived since.
    room: u32,
    advmss: u32,
}

impl Rx {
    pub(crate) fn new(irs: SeqNum, scale: WindowScale, window: u32, advmss: u32) -> Rx {
        Rx {
            irs,
            nxt: 0,
            read: 0,
            acked: 0,
            // What a scaled field would have said: an answer of SYN-RECEIVED may have done so.
            edge: u64::from(scale.scale_up(scale.field_above(window))),
            scale,
            ts_recent: None,
            // Linux's `tcp_initialize_rcv_mss`: a small first guess makes the second small segment
            // be acknowledged.
            mss: advmss
                .min(u32::from(DEFAULT_MSS))
                .min(window / 2)
                .max(SMALLEST),
            last_len: 0,
            drained: false,
            emptied: false,
            held: RangeSet::new(),
            recent: [0; SackBlocks::CAPACITY],
            dsack: None,
            fin: None,
            finished: false,
            room: window,
            advmss,
        }
    }

    /// Returns the sequence number of a stream offset.
    fn seq(&self, offset: u64) -> SeqNum {
        self.irs.add(1).add(offset as u32)
    }

    /// Returns RCV.NXT, the FIN counted.
    pub(crate) fn nxt_seq(&self) -> SeqNum {
        self.seq(self.nxt).add(u32::from(self.finished))
    }

    /// Returns SEG.SEQ minus RCV.NXT.
    pub(crate) fn distance(&self, seq: SeqNum) -> i64 {
        i64::from(seq.distance_from(self.nxt_seq()))
    }

    /// Returns the octets from RCV.NXT to the right edge of the window.
    pub(crate) fn window(&self) -> u32 {
        u32::try_from(self.edge.saturating_sub(self.nxt)).unwrap_or(u32::MAX)
    }

    /// Returns the octets in order since an acknowledgment was sent last.
    pub(crate) fn unacked(&self) -> u64 {
        self.nxt.saturating_sub(self.acked)
    }

    /// Returns whether data is held out of order.
    pub(crate) fn has_holes(&self) -> bool {
        !self.held.is_empty()
    }

    /// Returns the end of the data held out of order, in octets after RCV.NXT.
    pub(crate) fn held_end(&self) -> Option<u64> {
        let last = self.held.last()?;
        Some(last.end.saturating_sub(self.nxt))
    }

    /// Takes the payload of an acceptable segment that starts `start` octets after RCV.NXT.
    pub(crate) fn on_payload(&mut self, start: i64, len: u32, fin: bool) -> Arrival {
        let mut arrival = Arrival {
            payload: Payload::Discard,
            advanced: false,
            finished: false,
            disorder: false,
        };
        if self.finished {
            // RFC 9293, 3.10.7.4, seventh check: nothing follows a FIN; what comes is a
            // retransmission.
            arrival.disorder = len > 0 || fin;
            return arrival;
        }
        let skip = u32::try_from(start.saturating_neg().clamp(0, i64::from(len))).unwrap_or(len);
        let Ok(ahead) = u64::try_from(start.saturating_add(i64::from(skip))) else {
            self.dsack = self.run_before(start, len);
            arrival.disorder = true;
            return arrival;
        };
        let offset = self.nxt.saturating_add(ahead);
        let end = offset.saturating_add(u64::from(len.saturating_sub(skip)));
        let limit = self.edge.min(self.fin.unwrap_or(u64::MAX));
        // A FIN below what is held contradicts it: nothing follows a FIN.
        let last = self.held.last().map_or(0, |run| run.end);
        if fin && end <= limit && last <= end {
            self.fin = Some(end);
        }
        let take = u32::try_from(end.min(limit).saturating_sub(offset)).unwrap_or(0);
        if skip > 0 {
            self.dsack = self.run_before(start, skip);
            arrival.disorder = take == 0;
        }
        if take > 0 {
            self.place(&mut arrival, offset, skip, take);
        } else if len > skip || (fin && ahead > 0) {
            arrival.disorder = true;
        }
        if self.fin.is_some_and(|fin| fin <= self.nxt) {
            self.finished = true;
            arrival.finished = true;
            arrival.disorder = true;
        }
        arrival
    }

    /// Remembers a segment that arrived twice, to be reported by DSACK.
    pub(crate) fn note_duplicate(&mut self, start: i64, len: u32) {
        if start < 0 {
            self.dsack = self.run_before(start, len);
        }
    }

    /// Returns the `len` octets that start at the negative distance `start`.
    fn run_before(&self, start: i64, len: u32) -> Option<Run> {
        let start = self.nxt.checked_sub(start.unsigned_abs())?;
        let end = start.saturating_add(u64::from(len)).min(self.nxt);
        (start < end).then_some(Run { start, end })
    }

    fn place(&mut self, arrival: &mut Arrival, offset: u64, skip: u32, len: u32) {
        let end = offset.saturating_add(u64::from(len));
        if offset == self.nxt {
            let had_holes = self.has_holes();
            self.nxt = end;
            while let Some(run) = self.held.first().filter(|run| run.start <= self.nxt) {
                self.nxt = self.nxt.max(run.end);
                self.held.discard_below(self.nxt.max(run.end));
            }
            self.held.discard_below(self.nxt);
            arrival.payload = Payload::Append { skip, len };
            arrival.advanced = true;
            arrival.disorder = arrival.disorder || had_holes;
        } else {
            arrival.disorder = true;
            if self.held.count_in(offset, end) == u64::from(len) {
                self.dsack = Some(Run { start: offset, end });
                self.remember(offset);
                return;
            }
            if self.held.insert(offset, end).is_err() {
                return;
            }
            self.remember(offset);
            arrival.payload = Payload::Hold { offset, skip, len };
        }
        self.room = self.room.saturating_sub(len);
    }

    /// Puts the run that contains `offset` first among those reported.
    fn remember(&mut self, offset: u64) {
        let run = self.held.run_at(offset);
        let mut carried = offset;
        for slot in &mut self.recent {
            let known = run.is_some_and(|run| run.start <= *slot && *slot < run.end);
            core::mem::swap(slot, &mut carried);
            if known {
                break;
            }
        }
    }

    /// Returns the number of SACK blocks that the next acknowledgment carries.
    pub(crate) fn sack_count(&self, most: usize) -> usize {
        let count = self.held.len().saturating_add(self.dsack.is_some().into());
        count.min(most)
    }

    /// Returns the SACK blocks for the next acknowledgment, at most `most` (RFC 2018, 4; RFC 2883,
    /// 4).
    pub(crate) fn sack_blocks(&self, most: usize) -> SackBlocks {
        let mut blocks = SackBlocks::new();
        if self.sack_count(most) == 0 {
            return blocks;
        }
        let block = |run: Run| SackBlock {
            left: self.seq(run.start),
            right: self.seq(run.end),
        };
        if let Some(run) = self.dsack {
            blocks.push(block(run));
        }
        let mut told: [Option<Run>; SackBlocks::CAPACITY] = [None; SackBlocks::CAPACITY];
        let recent = self.recent.iter().filter_map(|&at| self.held.run_at(at));
        for run in recent.chain(self.held.iter()) {
            if blocks.len() >= most {
                break;
            }
            if told.contains(&Some(run)) {
                continue;
            }
            if let Some(slot) = told.iter_mut().find(|slot| slot.is_none()) {
                *slot = Some(run);
            }
            blocks.push(block(run));
        }
        blocks
    }

    /// Learns the peer's segment size, and returns whether the segment is smaller than usual
    /// (Linux's `tcp_measure_rcv_mss`): two equal ones in a row are the usual size.
    pub(crate) fn measure(&mut self, wire_len: u32, psh: bool) -> bool {
        if wire_len >= self.mss {
            self.mss = wire_len.min(self.advmss.max(u32::from(MIN_MSS)));
            return false;
        }
        if wire_len >= u32::from(DEFAULT_MSS) || (wire_len >= SMALLEST && !psh) {
            let again = self.last_len == wire_len;
            self.last_len = wire_len;
            if again {
                self.mss = wire_len;
                return false;
            }
        }
        true
    }

    /// Takes TS.Recent from an acceptable segment (RFC 7323, 4.3).
    pub(crate) fn update_ts(&mut self, seq: SeqNum, value: u32, at: crate::engine::time::Instant) {
        let last_ack_sent = self.seq(self.acked);
        let newer = self
            .ts_recent
            .is_none_or(|recent| (value.wrapping_sub(recent.value) as i32) >= 0);
        if newer && !seq.after(last_ack_sent) {
            self.ts_recent = Some(TsRecent { value, at });
        }
    }

    /// Notes what the reader consumed.
    pub(crate) fn on_read(&mut self, len: u32) {
        self.read = self.read.saturating_add(u64::from(len)).min(self.nxt);
        self.drained = true;
        self.emptied = self.read == self.nxt;
    }

    /// Notes the free space of the buffer.
    pub(crate) fn set_room(&mut self, room: u32) {
        self.room = room;
    }

    /// Returns the space that the buffer has in all, as far as the engine can see.
    fn capacity(&self) -> u32 {
        let unread = self.nxt.saturating_sub(self.read);
        let unread = u32::try_from(unread).unwrap_or(u32::MAX);
        self.space().saturating_add(unread)
    }

    /// Returns the free space from RCV.NXT on: held data lies within the window.
    fn space(&self) -> u32 {
        let held = self.held.count_in(self.nxt, u64::MAX);
        self.room
            .saturating_add(u32::try_from(held).unwrap_or(u32::MAX))
    }

    /// Returns the window worth offering now, in octets (Linux's `__tcp_select_window`).
    ///
    /// RFC 9293, 3.8.6.2.2: no silly windows. None is offered while less than a segment, or less
    /// than a sixteenth of the buffer, is free.
    fn worthwhile(&self) -> u32 {
        let free = self.space();
        let full = self.capacity();
        let mss = self.mss.min(full);
        if free < full / 2 && (free < full >> 4 || free < mss) {
            return 0;
        }
        if self.scale.shift() > 0 {
            // As Linux: a buffer below the unit of our window field would never be offered.
            let least = if free > 0 && free >= full / 2 {
                self.scale.unit()
            } else {
                0
            };
            return free.max(least).min(self.scale.max_window());
        }
        let current = self.window();
        if current <= free.saturating_sub(mss) || current > free {
            let rest = free.checked_rem(mss.max(1)).unwrap_or(0);
            let whole = free.saturating_sub(rest);
            // A buffer below one segment has no multiple of it to offer.
            return if whole == 0 { free } else { whole }.min(self.scale.max_window());
        }
        current
    }

    /// Returns whether the reader consumed all there was since this was asked last.
    pub(crate) fn take_emptied(&mut self) -> bool {
        core::mem::take(&mut self.emptied)
    }

    /// Returns whether the reader has freed so much that the peer should hear of it (Linux's
    /// `__tcp_cleanup_rbuf`): the offer at least doubles.
    pub(crate) fn wants_update(&mut self) -> bool {
        if !core::mem::take(&mut self.drained) || self.finished {
            return false;
        }
        let now = self.window();
        if now.saturating_mul(2) > self.capacity() {
            return false;
        }
        let new = self.worthwhile();
        new > 0 && new >= now.saturating_mul(2)
    }

    /// Returns the acknowledgment number for an older RCV.NXT, with the window field that offers no
    /// more than was offered already.
    pub(crate) fn acknowledge_at(&self, nxt: u64) -> (SeqNum, u16) {
        let window = self.edge.saturating_sub(nxt);
        let window = u32::try_from(window).unwrap_or(u32::MAX);
        (self.seq(nxt), self.scale.field_below(window))
    }

    /// Chooses the window field of a segment that leaves now, and remembers the offer.
    ///
    /// RFC 9293, 3.8.6: the right edge never moves left; a smaller offer keeps the old edge,
    /// rounded up as Linux does.
    pub(crate) fn offer(&mut self) -> u16 {
        let current = self.window();
        let new = self.worthwhile();
        let field = if new > current {
            self.scale
                .field_below(new)
                .max(self.scale.field_above(current))
        } else {
            self.scale.field_above(current)
        };
        let offered = self.scale.scale_up(field);
        self.edge = self.edge.max(self.nxt.saturating_add(u64::from(offered)));
        self.acked = self.nxt;
        self.dsack = None;
        field
    }
}

#[cfg(test)]
mod tests;
