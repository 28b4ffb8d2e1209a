// SPDX-License-Identifier: GPL-2.0

//! The receive half: what arrived in order, what is held out of order, and the window that is
//! offered.
//!
//! Offsets count from the peer's first octet. Its SYN lies before offset 0; its FIN takes the
//! offset after its last octet.

mod offer;
mod tuning;

pub(crate) use self::tuning::Initial;
pub use self::tuning::ReceiveMemory;

use self::tuning::Tuning;
use crate::engine::acceptable::TsRecent;
use crate::engine::config::Config;
use crate::engine::options::SackBlock;
use crate::engine::options::SackBlocks;
use crate::engine::options::TIMESTAMPS_SPACE;
use crate::engine::ranges::RangeSet;
use crate::engine::ranges::Run;
use crate::engine::ranges::RunBits;
use crate::engine::segment::SegmentIn;
use crate::engine::seq::SeqNum;
use crate::engine::store::Memory;
use crate::engine::time::Instant;
use crate::engine::urgent;
use crate::engine::urgent::Mark;
use crate::engine::urgent::UrgentOctet;
use crate::engine::window::WindowScale;
use crate::engine::window::DEFAULT_MSS;
use crate::engine::window::MIN_MSS;

/// The smallest buffer that a user may choose (Linux's `SOCK_MIN_RCVBUF`).
const MIN_BUFFER: u32 = 2_304;

/// The smallest segment that is believed to be the peer's full size (Linux's `TCP_MIN_MSS`).
pub(crate) const SMALLEST: u32 = 88;

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

/// Where the payload of a segment goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// It brings the octet that is awaited next.
    Next,
    /// It lies beyond a hole, from this stream offset on.
    Ahead(u64),
    /// Nothing of it will be kept.
    Nowhere,
}

/// Whether what arrived must be acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    /// No.
    Nothing,
    /// Some time.
    Soon,
    /// At once, and some of what follows too: the peer misses acknowledgments, or does not respect
    /// the window.
    Quick,
    /// At once: a hole is filled (RFC 5681, 4.2).
    Now,
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
    pub(crate) due: Due,
    /// More blocks changed than a lost acknowledgment may hide.
    pub(crate) spread: bool,
}

impl Arrival {
    const fn discarded(due: Due) -> Arrival {
        Arrival {
            payload: Payload::Discard,
            advanced: false,
            finished: false,
            due,
            spread: false,
        }
    }
}

/// The receive sequence variables (RFC 9293, 3.3.1) and what surrounds them.
#[derive(Clone, Debug)]
pub(crate) struct Rx<M> {
    /// IRS.
    pub(crate) irs: SeqNum,
    /// RCV.NXT as a stream offset, the FIN not counted.
    pub(crate) nxt: u64,
    /// What the reader has consumed.
    pub(crate) read: u64,
    /// RCV.NXT, the FIN counted, when an acknowledgment was sent last (Linux's `rcv_wup`).
    pub(crate) acked: u64,
    /// The right edge of the window offered last.
    pub(crate) edge: u64,
    /// The rightmost edge that was ever offered (Linux's `rcv_mwnd_seq`).
    largest_edge: u64,
    /// What our window fields are shifted by.
    pub(crate) scale: WindowScale,
    /// TS.Recent.
    pub(crate) ts_recent: Option<TsRecent>,
    /// The peer's usual payload per segment, as seen (Linux's `rcv_mss`).
    pub(crate) mss: u32,
    last_len: u32,
    pub(crate) tuning: Tuning,
    /// Less than half of the buffer was free when the window was chosen.
    tight: bool,
    /// The window should have closed, but for that it must not shrink.
    wants_zero: bool,
    /// Data was dropped for want of memory: the next window is zero (Linux's ICSK_ACK_NOMEM).
    no_memory: bool,
    /// Whether the reader consumed something since the acknowledgment was looked at.
    drained: bool,
    /// What arrived out of order; a FIN counts as an octet.
    held: RangeSet<M>,
    /// Offsets within the runs that changed last, latest first (RFC 2018, 4).
    recent: [u64; SackBlocks::CAPACITY],
    /// What arrived twice, to be reported once (RFC 2883).
    dsack: Option<Run>,
    /// The offset of the peer's FIN, when it is known.
    fin: Option<u64>,
    finished: bool,
    advmss: u32,
    /// The urgent octet announced last, until it is read over.
    pub(crate) mark: Option<Mark>,
}

impl<M: Memory<RunBits>> Rx<M> {
    /// Makes the receive half of a connection whose SYNs agreed on `scale`, and on `timestamps`
    /// before ours left; ours `offered` a window, perhaps when another MSS was known.
    pub(crate) fn new(
        now: Instant,
        config: &Config,
        irs: SeqNum,
        scale: Option<WindowScale>,
        timestamps: bool,
        offered: u16,
    ) -> Rx<M> {
        let advmss = u32::from(config.announced());
        let initial = Initial::new(config, advmss_beside(advmss, timestamps), scale.is_some());
        let scale = scale.unwrap_or_default();
        // What a scaled field would have said: an answer of SYN-RECEIVED may have done so.
        let window = initial.window.max(u32::from(offered));
        let window = scale.scale_up(scale.field_above(window));
        let edge = u64::from(window);
        Rx {
            irs,
            nxt: 0,
            read: 0,
            acked: 0,
            edge,
            largest_edge: edge,
            scale,
            ts_recent: None,
            // Linux's `tcp_initialize_rcv_mss`: a small first guess makes the second small segment
            // be acknowledged.
            mss: advmss
                .min(u32::from(DEFAULT_MSS))
                .min(window / 2)
                .max(SMALLEST),
            last_len: 0,
            tuning: Tuning::new(now, config, &initial),
            tight: false,
            wants_zero: false,
            no_memory: false,
            drained: false,
            held: RangeSet::new(),
            recent: [0; SackBlocks::CAPACITY],
            dsack: None,
            fin: None,
            finished: false,
            mark: None,
            advmss,
        }
    }

    /// Bounds the guess at the peer's segments: they hardly carry more than ours.
    pub(crate) fn bound_mss(&mut self, most: u32) {
        self.mss = self.mss.min(most).max(SMALLEST);
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

    /// Returns whether the peer's FIN was taken.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns RCV.NXT as a stream offset, the FIN counted.
    pub(crate) fn end(&self) -> u64 {
        self.nxt.saturating_add(u64::from(self.finished))
    }

    /// Returns the sequence numbers received since an acknowledgment was sent last.
    pub(crate) fn unacked(&self) -> u64 {
        self.end().saturating_sub(self.acked)
    }

    /// Returns whether the peer's FIN is all that ever came.
    pub(crate) fn has_only_fin(&self) -> bool {
        self.fin.is_some() && !self.finished && self.nxt == 0 && self.held.is_empty()
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

    /// Returns where the payload of `segment` would go.
    pub(crate) fn place_of(&self, segment: &SegmentIn) -> Place {
        let start = self.distance(segment.seq);
        let end = start.saturating_add(i64::from(segment.seq_len()));
        let window = i64::from(self.window());
        if self.finished || end <= 0 || window == 0 || start >= window {
            Place::Nowhere
        } else if start > 0 {
            Place::Ahead(self.nxt.saturating_add(start.unsigned_abs()))
        } else {
            Place::Next
        }
    }

    /// Takes the payload of an acceptable segment that starts `start` octets after RCV.NXT (Linux's
    /// `tcp_data_queue`).
    pub(crate) fn on_payload(&mut self, start: i64, len: u32, fin: bool) -> Arrival {
        self.dsack = None;
        let seq_len = len.saturating_add(u32::from(fin));
        if start.saturating_add(i64::from(seq_len)) <= 0 {
            self.dsack = self.run_before(start, seq_len);
            return Arrival::discarded(Due::Quick);
        }
        if self.finished {
            // RFC 9293, 3.10.7.4, seventh check: nothing follows a FIN.
            return Arrival::discarded(Due::Nothing);
        }
        let window = self.window();
        if start > 0 && start >= i64::from(window) {
            return Arrival::discarded(Due::Quick);
        }
        let skip = u32::try_from(start.saturating_neg().clamp(0, i64::from(len))).unwrap_or(len);
        if start < 0 {
            self.dsack = self.run_before(start, seq_len);
        }
        // As Linux a FIN alone is taken also when the window is closed: it needs no memory, and some
        // peers insist.
        let bare_fin = start == 0 && len == 0;
        if start <= 0 && window == 0 && !bare_fin {
            return Arrival::discarded(Due::Quick);
        }
        let ahead = u64::try_from(start).unwrap_or(0);
        let offset = self.nxt.saturating_add(ahead);
        let end = offset.saturating_add(u64::from(len.saturating_sub(skip)));
        // A FIN below what is held contradicts it: nothing follows a FIN.
        let fin = fin && self.held.last().is_none_or(|run| run.end <= end);
        if ahead > 0 {
            return self.hold(offset, skip, end, fin);
        }
        if fin {
            self.note_fin(end);
        }
        let mut arrival = self.append(offset, skip, end);
        if window == 0 {
            // As Linux, which finds no memory for it: the peer is to stop.
            arrival.due = Due::Now;
        }
        arrival
    }

    fn note_fin(&mut self, at: u64) {
        self.fin = Some(self.fin.map_or(at, |fin| fin.min(at)));
    }

    /// Returns `end`, or the place of the FIN if that is before: nothing follows it.
    fn before_fin(&self, end: u64) -> u64 {
        self.fin.map_or(end, |fin| fin.min(end))
    }

    /// Takes what is next in order, as far as `end`, and what of the held it reaches.
    fn append(&mut self, offset: u64, skip: u32, end: u64) -> Arrival {
        let end = self.before_fin(end);
        let mut arrival = Arrival::discarded(Due::Soon);
        let had_holes = self.has_holes();
        if end > offset {
            if let Some(run) = self.held.overlap(offset, end) {
                self.note_duplicate(run);
            }
            let len = u32::try_from(end.saturating_sub(offset)).unwrap_or(u32::MAX);
            arrival.payload = Payload::Append { skip, len };
            arrival.advanced = true;
            self.nxt = end;
        }
        while let Some(run) = self.held.first().filter(|run| run.start <= self.nxt) {
            let end = self.nxt.max(run.end);
            self.nxt = self.before_fin(end);
            self.held.discard_below(end);
        }
        self.held.discard_below(self.nxt);
        if had_holes && !self.has_holes() {
            arrival.due = Due::Now;
        }
        if self.fin.is_some_and(|fin| fin <= self.nxt) {
            self.finished = true;
            arrival.finished = true;
            self.held.clear();
            // As Linux (`tcp_fin`): a peer that has sent all learns nothing from reports.
            self.dsack = None;
        }
        arrival
    }

    /// Takes what lies beyond a hole. A FIN counts as an octet after `end`.
    fn hold(&mut self, offset: u64, skip: u32, end: u64, fin: bool) -> Arrival {
        let mut arrival = Arrival::discarded(Due::Soon);
        let last = self.before_fin(end.saturating_add(u64::from(fin)));
        let end = self.before_fin(end);
        let whole = last.saturating_sub(offset);
        if self.held.count_in(offset, last) == whole {
            if whole > 0 {
                self.dsack = Some(Run {
                    start: offset,
                    end: last,
                });
                arrival.spread = self.remember(offset);
            }
            return arrival;
        }
        let twice = self.held.overlap(offset, last);
        if self.held.insert(offset, last).is_err() {
            return arrival;
        }
        self.dsack = twice;
        if fin && last > end {
            self.note_fin(end);
        }
        arrival.spread = self.remember(offset);
        let len = u32::try_from(end.saturating_sub(offset)).unwrap_or(u32::MAX);
        if len > 0 {
            arrival.payload = Payload::Hold { offset, skip, len };
        }
        arrival
    }

    /// Returns what arrived twice and will be reported by DSACK; whether it lies beyond a hole.
    pub(crate) fn twice(&self) -> Option<bool> {
        self.dsack.map(|run| run.start >= self.nxt)
    }

    /// Notes octets that arrived twice, to be reported by DSACK (Linux's `tcp_dsack_extend`).
    fn note_duplicate(&mut self, run: Run) {
        match &mut self.dsack {
            None => self.dsack = Some(run),
            Some(known) => {
                if run.start <= known.end && known.start <= run.end {
                    known.start = known.start.min(run.start);
                    known.end = known.end.max(run.end);
                }
            }
        }
    }

    /// Notes a segment that is not acceptable and begins with octets that arrived before, to be
    /// reported by DSACK.
    pub(crate) fn note_old(&mut self, start: i64, seq_len: u32) {
        self.dsack = self.run_before(start, seq_len);
    }

    /// Returns those of the `len` octets from the negative distance `start` on that arrived.
    fn run_before(&self, start: i64, len: u32) -> Option<Run> {
        let start = self.end().checked_sub(start.unsigned_abs())?;
        let end = start.saturating_add(u64::from(len)).min(self.end());
        (start < end).then_some(Run { start, end })
    }

    /// Puts the run that contains `offset` first among those reported; returns whether it was not
    /// among the first two.
    fn remember(&mut self, offset: u64) -> bool {
        /// Blocks that survive the loss of an acknowledgment (Linux's `TCP_SACK_BLOCKS_EXPECTED`).
        const EXPECTED: usize = 2;
        let run = self.held.run_at(offset);
        let mut place = 0usize;
        let mut carried = offset;
        for slot in &mut self.recent {
            let known = run.is_some_and(|run| run.start <= *slot && *slot < run.end);
            let lives = self.held.run_at(*slot).is_some();
            core::mem::swap(slot, &mut carried);
            if known {
                break;
            }
            place = place.saturating_add(lives.into());
        }
        place >= EXPECTED
    }

    /// Forgets what is held from `offset` on: the owner gave it up for want of memory. SACK lets a
    /// receiver do so (RFC 2018, 8).
    pub(crate) fn forget_held_from(&mut self, offset: u64) {
        self.held.discard_from(offset);
        if self.fin.is_some_and(|fin| fin >= offset) {
            self.fin = None;
        }
    }

    /// Returns the number of SACK blocks that the next acknowledgment carries.
    pub(crate) fn sack_count(&self, most: usize, dsack: bool) -> usize {
        let duplicate = dsack && self.dsack.is_some();
        let count = self.held.len().saturating_add(duplicate.into());
        count.min(most)
    }

    /// Returns the SACK blocks for the next acknowledgment, at most `most` (RFC 2018, 4; RFC 2883,
    /// 4).
    pub(crate) fn sack_blocks(&self, most: usize, dsack: bool) -> SackBlocks {
        let mut blocks = SackBlocks::new();
        if self.sack_count(most, dsack) == 0 {
            return blocks;
        }
        let block = |run: Run| SackBlock {
            left: self.seq(run.start),
            right: self.seq(run.end),
        };
        if let Some(run) = self.dsack.filter(|_| dsack) {
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

    /// Learns the peer's segment size (Linux's `tcp_measure_rcv_mss`): two equal ones in a row are
    /// the usual size. Returns whether the segment is smaller than usual, unless it is taken for
    /// the new usual size.
    pub(crate) fn measure(&mut self, segment: &SegmentIn) -> Option<bool> {
        let (wire_len, psh) = (segment.wire_len, segment.flags.psh());
        let last_len = core::mem::take(&mut self.last_len);
        if wire_len >= self.mss {
            if wire_len != self.mss {
                self.tuning.on_new_size(segment);
            }
            self.mss = wire_len.min(self.advmss.max(u32::from(MIN_MSS)));
            return Some(false);
        }
        if wire_len >= u32::from(DEFAULT_MSS) || (wire_len >= SMALLEST && !psh) {
            self.last_len = wire_len;
            if last_len == wire_len {
                self.mss = wire_len;
                return None;
            }
        }
        Some(true)
    }

    /// Takes TS.Recent from an acceptable segment (RFC 7323, 4.3: if it does not lie beyond
    /// Last.ACK.sent).
    pub(crate) fn update_ts(&mut self, seq: SeqNum, value: u32, at: Instant) {
        let last_ack_sent = self.seq(self.acked);
        let older = |recent: TsRecent| recent.rejects(value, 0, at);
        if !self.ts_recent.is_some_and(older) && !seq.after(last_ack_sent) {
            self.ts_recent = Some(TsRecent { value, at });
        }
    }

    /// Takes the urgent pointer of a segment that begins `start` octets after RCV.NXT. Returns
    /// whether it announces something new.
    pub(crate) fn on_urgent(&mut self, start: i64, pointer: u16, standard: bool) -> bool {
        let place = urgent::Place {
            read: self.read,
            nxt: self.nxt,
            start,
        };
        let Some(at) = urgent::announced(&place, pointer, standard, self.mark) else {
            return false;
        };
        self.mark = Some(Mark {
            at,
            octet: UrgentOctet::Awaited,
        });
        true
    }

    /// Returns which of the `len` payload octets of a segment is the urgent one that is awaited.
    pub(crate) fn urgent_in(&self, seq: SeqNum, len: u32) -> Option<u32> {
        let mark = self.mark?;
        if mark.octet != UrgentOctet::Awaited {
            return None;
        }
        let index = self.seq(mark.at).distance_from(seq);
        u32::try_from(index).ok().filter(|&index| index < len)
    }

    /// Notes what the reader consumed.
    pub(crate) fn on_read(&mut self, config: &Config, len: u32) {
        self.read = self.read.saturating_add(u64::from(len)).min(self.nxt);
        self.drained = true;
        if self.mark.is_some_and(|mark| self.read > mark.at) {
            self.mark = None;
        }
        let held = self.held_span();
        self.tuning.on_read(config, self.read, self.nxt, held);
    }

    /// Returns whether the reader consumed something since this was asked last.
    pub(crate) fn take_drained(&mut self) -> bool {
        core::mem::take(&mut self.drained)
    }

    /// Returns the octets in order that the reader has not consumed.
    pub(crate) fn unread(&self) -> u64 {
        self.nxt.saturating_sub(self.read)
    }

    /// Returns the octets from RCV.NXT to the end of what is held.
    fn held_span(&self) -> u32 {
        u32::try_from(self.held_end().unwrap_or(0)).unwrap_or(u32::MAX)
    }

    /// A segment was dropped for want of memory although it was next in order.
    pub(crate) fn on_no_memory(&mut self) {
        self.no_memory = true;
    }

    /// Lets the window follow what `segment` showed, after its payload was taken. Returns whether
    /// the window grew.
    pub(crate) fn on_taken(
        &mut self,
        now: Instant,
        config: &Config,
        segment: &SegmentIn,
        arrival: &Arrival,
    ) -> bool {
        let memory = segment.memory();
        match arrival.payload {
            Payload::Append { .. } => {
                self.tuning.time_window(now, self.nxt, self.edge);
                // Small segments prove nothing.
                if segment.len < 128 {
                    return false;
                }
                let memory = memory.saturating_sub(segment.spare_memory);
                self.tuning.grow(config, segment.len, memory, self.mss)
            }
            Payload::Hold { .. } => {
                let grew = self.tuning.grow(config, segment.len, memory, self.mss);
                let held = self.held_span();
                self.tuning.on_held(config, held);
                grew
            }
            Payload::Discard => false,
        }
    }
}

/// Returns the octets of a segment of `mss` octets without options that timestamps leave.
pub(crate) fn advmss_beside(mss: u32, timestamps: bool) -> u32 {
    if timestamps {
        mss.saturating_sub(TIMESTAMPS_SPACE.into())
    } else {
        mss
    }
}

#[cfg(test)]
mod tests;
