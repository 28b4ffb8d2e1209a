// SPDX-License-Identifier: GPL-2.0

//! Which segment leaves next.

use crate::engine::cc::Round;
use crate::engine::config::Config;
use crate::engine::ecn::Codepoint;
use crate::engine::ecn::Past;
use crate::engine::info::CaState;
use crate::engine::options::SackBlocks;
use crate::engine::options::Timestamps;
use crate::engine::ranges::Run;
use crate::engine::segment::DataRange;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::SeqNum;
use crate::engine::signature::SIGNATURE_SPACE;
use crate::engine::store::Store;
use crate::engine::synchronized::mtu_probe::MtuProbe;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::time::Instant;
use crate::engine::timers::Timer;
use crate::engine::tx::Budget;
use crate::engine::tx::Chunk;
use crate::engine::tx::NewData;
use crate::engine::urgent;

/// What the owner can take when it asks for a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most payload octets of one [`SegmentOut`]; 0 when no data can be sent now, only control
    /// segments.
    pub max_len: u32,
}

/// The owner's answer to how many of some octets one buffer can carry.
pub(crate) type Fit<'a> = &'a mut dyn FnMut(u64, u32) -> u32;

impl<S: Store> Synchronized<S> {
    /// Returns the next segment, with what it says of congestion.
    pub(crate) fn poll_transmit(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        fit: Fit<'_>,
    ) -> Option<SegmentOut> {
        if let Some(past) = self.ecn.take_past() {
            return Some(self.past_ack(cx, past));
        }
        let limits = self.pace(cx, limits);
        let mut segment = self.next_segment(cx, &limits, fit)?;
        self.ecn.mark(&mut segment);
        Some(segment)
    }

    /// Returns the next segment: repairs, new data, guesses, probes, and an acknowledgment if
    /// nothing carried it.
    fn next_segment(
        &mut self,
        cx: &mut Context<'_>,
        limits: &Limits,
        fit: Fit<'_>,
    ) -> Option<SegmentOut> {
        if let Some(segment) = self.poll_opening(cx.now) {
            return Some(segment);
        }
        self.acknowledge_read(cx);
        // As Linux: urgent pointers are those of single segments, and so are signatures.
        let limits = &Limits {
            max_len: if self.tx.is_urgent() || cx.config.signed {
                limits.max_len.min(self.mss_beside_sack(cx.config))
            } else {
                limits.max_len
            },
        };
        let mss = self.mss_beside_sack(cx.config);
        if core::mem::take(&mut self.tail_probe_due) {
            if let Some(segment) = self.send_tail_probe(cx, mss, limits, &mut *fit) {
                return Some(segment);
            }
        }
        if !self.recovery.wants_new_first() {
            if let Some(segment) = self.repair(cx, mss, limits, &mut *fit) {
                return Some(segment);
            }
        }
        let ready = match self.probe_mtu(cx, limits, &mut *fit) {
            MtuProbe::Sent(segment) => {
                self.sent_new = true;
                return Some(segment);
            }
            MtuProbe::Wait => false,
            MtuProbe::No => true,
        };
        let next = if ready {
            self.next_new(cx.config, mss, limits, &mut *fit)
        } else {
            NewData::Congested
        };
        if let NewData::Send(chunk) = next {
            if let Some(segment) = self.send_new(cx, chunk, mss, &mut *fit) {
                self.sent_new = true;
                return Some(segment);
            }
        } else {
            self.note_round(cx, mss, &next);
            if self.recovery.wants_new_first() {
                self.recovery.on_no_new(self.tx.nxt);
                if let Some(segment) = self.repair(cx, mss, limits, fit) {
                    return Some(segment);
                }
            }
        }
        if core::mem::take(&mut self.sent_new) {
            self.schedule_probe(cx);
        }
        if let Some(more) = self.probes_due.checked_sub(1) {
            self.probes_due = more;
            let waits = self.tx.has_unsent(self.state.sends_fin());
            cx.tally
                .count(if waits { Mib::WinProbe } else { Mib::KeepAlive });
            // RFC 9293, 3.8.6.1 and 3.8.4; as Linux without an octet: the last one lies before the
            // window, so the peer answers.
            let seq = self.tx.seq(self.tx.una).sub(u32::from(more == 0));
            return Some(self.segment(cx, seq, Flags::ACK, false));
        }
        if core::mem::take(&mut self.answer_due) {
            self.schedule_answer(cx);
        }
        let challenge = core::mem::take(&mut self.challenge_due);
        if challenge || self.delack.is_urgent() {
            // What is owed to the peer must arrive whatever the owner thinks of challenges.
            let owed = self.delack.is_urgent() || self.rx.unacked() > 0;
            let seq = self.tx.seq(self.tx.nxt);
            let mut segment = self.segment(cx, seq, Flags::ACK, false);
            segment.challenge = challenge && !owed;
            return Some(segment);
        }
        self.settle(cx, &next);
        None
    }

    /// Acknowledges after the reader has consumed something, if that says more than before
    /// (Linux's `__tcp_cleanup_rbuf`).
    fn acknowledge_read(&mut self, cx: &Context<'_>) {
        if !self.rx.take_drained() {
            return;
        }
        let two_segments = self.rx.unacked() > u64::from(self.rx.mss);
        let emptied = self.rx.tuning.memory().used == 0;
        self.delack.on_read(cx.config, two_segments, emptied);
        if !self.delack.is_urgent() && self.rx.wants_update(cx.config) {
            self.delack.demand();
        }
        self.heed_full_buffer();
    }

    /// The window was looked at: a buffer that is half full ends quick acknowledgments.
    pub(super) fn heed_full_buffer(&mut self) {
        if self.rx.take_tight() {
            self.delack.stop_quick();
        }
    }

    /// Returns the SACK blocks that have room in a segment.
    pub(super) fn most_sack_blocks(&self, config: &Config) -> usize {
        match (self.agreed.sack, self.agreed.timestamps, config.signed) {
            (false, _, _) | (true, true, true) => 0,
            (true, false, true) => 2,
            (true, true, false) => 3,
            (true, false, false) => 4,
        }
    }

    /// Returns the payload octets of a segment with the SACK blocks that are due, and the signature.
    fn mss_beside_sack(&self, config: &Config) -> u32 {
        let most = self.most_sack_blocks(config);
        let sack = match self.rx.sack_count(most, config.dsack) {
            0 => 0,
            blocks => (blocks as u32).saturating_mul(8).saturating_add(4),
        };
        let signature = if config.signed {
            u32::from(SIGNATURE_SPACE)
        } else {
            0
        };
        let space = signature.saturating_add(sack);
        self.mss(config).saturating_sub(space).max(8)
    }

    /// Returns what cwnd leaves, in octets. One segment may always leave into an empty network.
    fn cwnd_left(&self, mss: u32) -> u64 {
        let pipe = self.recovery.pipe(mss);
        let left = u64::from(self.cc.cwnd()).saturating_sub(pipe);
        if pipe == 0 {
            left.max(u64::from(mss))
        } else {
            left
        }
    }

    /// Sends lost octets again, as far as cwnd and the peer's window let them leave.
    fn repair(
        &mut self,
        cx: &mut Context<'_>,
        mss: u32,
        limits: &Limits,
        fit: Fit<'_>,
    ) -> Option<SegmentOut> {
        let run = self.recovery.next_lost()?;
        let left = self.cwnd_left(mss);
        if left < run.len().min(u64::from(mss)) {
            return None;
        }
        let run = self.limit_to_window(run, left, mss)?;
        let segment = self.retransmit(cx, run, mss, limits, fit, false)?;
        let wire = segment.wire_segments();
        self.recovery.on_retransmit(wire, cx.now.tick());
        // As Linux: the segment that a time-out is for is counted as that.
        if !core::mem::take(&mut self.head_due) {
            let lost = self.recovery.state() == CaState::Loss;
            cx.tally.add(
                if lost {
                    Mib::SlowStartRetrans
                } else {
                    Mib::FastRetrans
                },
                wire,
            );
        }
        Some(segment)
    }

    /// RFC 8985, 7.3 (Linux's `tcp_send_loss_probe`): sends new data if there is some, whatever cwnd
    /// and Nagle say, or else the last segment again.
    fn send_tail_probe(
        &mut self,
        cx: &mut Context<'_>,
        mss: u32,
        limits: &Limits,
        fit: Fit<'_>,
    ) -> Option<SegmentOut> {
        let last = *self.recovery.board.last()?;
        let waiting = self.tx.unsent().min(mss.into());
        let window = self.tx.window_end().saturating_sub(self.tx.nxt);
        let (segment, again) = if waiting > 0 && waiting <= window {
            let chunk = Chunk {
                offset: self.tx.nxt,
                len: u32::try_from(waiting).unwrap_or(mss),
                fin: waiting == self.tx.unsent() && self.state.sends_fin() && waiting < window,
            };
            if limits.max_len == 0 {
                return None;
            }
            (self.send_new(cx, chunk, mss, fit)?, false)
        } else {
            let whole = last.segments().saturating_sub(1);
            let before = u64::from(whole).saturating_mul(last.segment.into());
            let run = Run {
                start: last.start.saturating_add(before).max(self.tx.una),
                end: last.end(),
            };
            (self.retransmit(cx, run, mss, limits, fit, true)?, true)
        };
        cx.tally.count(Mib::LossProbes);
        self.recovery.on_probe(self.tx.nxt, again);
        self.arm_retransmit(cx);
        Some(segment)
    }

    /// Cuts a run at `left` octets and at the peer's window.
    ///
    /// RFC 9293, 3.8.6 (SHLD-15): when the window was shrunk, the first segment is still sent
    /// again, as a probe.
    fn limit_to_window(&self, run: Run, left: u64, mss: u32) -> Option<Run> {
        let mut window = self.tx.window_end().saturating_sub(run.start);
        if window == 0 && run.start == self.tx.una {
            window = u64::from(mss);
        }
        let len = run.len().min(left).min(window);
        (len > 0).then(|| Run {
            start: run.start,
            end: run.start.saturating_add(len),
        })
    }

    /// Sends the front of `run` again, as a tail loss probe or because it is lost.
    fn retransmit(
        &mut self,
        cx: &mut Context<'_>,
        run: Run,
        mss: u32,
        limits: &Limits,
        fit: Fit<'_>,
        probe: bool,
    ) -> Option<SegmentOut> {
        let data_end = run.end.min(self.tx.written);
        let octets = u32::try_from(data_end.saturating_sub(run.start)).unwrap_or(u32::MAX);
        let mut len = octets;
        if octets > 0 {
            if limits.max_len == 0 {
                return None;
            }
            len = cut(octets, limits.max_len.max(mss), mss);
            len = cut(len, fit(run.start, len), mss);
            if len == 0 {
                return None;
            }
        }
        let fin = run.end > self.tx.written && len == octets;
        let end = run.start.saturating_add(u64::from(len));
        let flags = self.tx.flags_for(run.start, end, fin);
        let flags = flags.with(self.record_flags(run.start, len, fit));
        let end = end.saturating_add(u64::from(fin));
        let sent = Run {
            start: run.start,
            end,
        };
        let stamp = self.cc.rate.stamp(cx.now, false);
        self.recovery
            .board
            .on_retransmitted(sent, mss, cx.now, stamp, probe);
        let first = run.start == self.tx.una && !self.timers.is_set(Timer::Reorder);
        if first || !self.has_transmit_timer() {
            self.arm_retransmit(cx);
        }
        let mut segment = self.data_segment(cx, run.start, len, flags, mss);
        segment.retransmission = true;
        // As Linux: whether the probe was too large can no longer be told.
        self.mtu.forget_probe();
        let counters = &mut *cx.counters;
        counters.bytes_retrans = counters.bytes_retrans.saturating_add(u64::from(len));
        let wire = segment.wire_segments();
        counters.total_retrans = counters.total_retrans.saturating_add(wire);
        Some(segment)
    }

    fn next_new(&self, config: &Config, mss: u32, limits: &Limits, fit: Fit<'_>) -> NewData {
        // As Linux (`tcp_cwnd_test`): one packet for the device takes half of cwnd at most, so that
        // acknowledgments do not come in one lump.
        let half = self.cc.cwnd() / 2;
        let nxt = self.tx.nxt;
        let left = self.tx.record.saturating_sub(nxt);
        let left = u32::try_from(left.min(limits.max_len.into())).unwrap_or(u32::MAX);
        self.tx.next_new(&Budget {
            record: (left > 0).then(|| u64::from(fit(nxt, left))),
            mss,
            cwnd: self.cwnd_left(mss),
            max_len: limits.max_len.min(half),
            fin: self.state.sends_fin(),
            nodelay: config.nodelay,
            cork: config.cork,
        })
    }

    pub(super) fn send_new(
        &mut self,
        cx: &mut Context<'_>,
        chunk: Chunk,
        mss: u32,
        fit: Fit<'_>,
    ) -> Option<SegmentOut> {
        let mut chunk = chunk;
        let mut partial = chunk.len.checked_rem(mss.max(1)).unwrap_or(0) > 0;
        if chunk.len > 0 {
            let len = cut(chunk.len, fit(chunk.offset, chunk.len), mss);
            if len == 0 {
                return None;
            }
            if len < chunk.len {
                // What the owner cut is no small segment of Nagle's: the rest follows at once.
                partial = false;
                chunk.fin = false;
                chunk.len = len;
            }
        }
        let idle = self.tx.in_flight() == 0;
        if idle {
            let srtt = self.rtt.srtt().unwrap_or_default();
            self.cc.on_tx_start(cx.config, cx.now, srtt);
        }
        let stamp = self.cc.rate.stamp(cx.now, idle);
        let flags = self.tx.on_sent(&chunk, partial);
        let sent = Run {
            start: chunk.offset,
            end: self.tx.nxt,
        };
        self.recovery
            .board
            .on_sent(sent, mss, chunk.fin, cx.now, stamp);
        if self.timers.is_set(Timer::Persist) {
            self.stop_persist();
        }
        // RFC 6298, 5.1; and the tail loss probe waits for what leaves now.
        if self.timers.is_set(Timer::LossProbe) {
            self.resume_retransmit(cx);
        } else if !self.has_transmit_timer() {
            self.arm_retransmit(cx);
        }
        let flags = flags.with(self.record_flags(chunk.offset, chunk.len, fit));
        Some(self.data_segment(cx, chunk.offset, chunk.len, flags, mss))
    }

    /// Returns PSH for a segment that ends where a record does (MSG_EOR): there the owner has no more
    /// for it.
    fn record_flags(&self, offset: u64, len: u32, fit: Fit<'_>) -> Flags {
        let end = offset.saturating_add(len.into());
        if len > 0 && end <= self.tx.record && fit(offset, len.saturating_add(1)) <= len {
            Flags::PSH
        } else {
            Flags::default()
        }
    }

    /// Counts `len` octets as sent, which left with the SYN at the time of `cx`.
    pub(crate) fn note_syn_data(&mut self, cx: &mut Context<'_>, len: u32) {
        let chunk = Chunk {
            offset: 0,
            len,
            fin: false,
        };
        let mss = self.mss(cx.config);
        let _ = self.send_new(cx, chunk, mss, &mut |_, len| len);
    }

    /// Tells congestion control how a round of sending ended.
    fn note_round(&mut self, cx: &Context<'_>, mss: u32, next: &NewData) {
        let full = self.cwnd_left(mss) < u64::from(mss) && self.tx.in_flight() > 0;
        let round = Round {
            now: cx.now,
            una: self.tx.una,
            nxt: self.tx.nxt,
            limited: *next == NewData::Congested || full,
            open: self.recovery.state() == CaState::Open,
            blocked: self.writer_blocked,
            decays: cx.config.slow_start_after_idle,
            rto: self.rto(cx.config),
        };
        self.cc.on_round(&round);
        self.note_limit(cx.now, next);
    }

    fn data_segment(
        &mut self,
        cx: &mut Context<'_>,
        offset: u64,
        len: u32,
        flags: Flags,
        mss: u32,
    ) -> SegmentOut {
        let seq = self.tx.seq(offset);
        let mut flags = flags.with(Flags::ACK);
        if len > mss {
            // As Linux (`__tcp_transmit_skb`): PSH on the last of several sent as one, so that a
            // receiver that merges them passes them on at once.
            flags = flags.with(Flags::PSH);
        }
        let mut segment = self.segment(cx, seq, flags, len > 0);
        if len > 0 {
            segment.data = Some(DataRange { offset, len });
            self.last_data_sent = cx.now;
            let wire = crate::engine::segment::segments(len, mss);
            self.cc.on_transmit(cx.now, len, wire);
        }
        segment.mss = u16::try_from(mss).unwrap_or(u16::MAX);
        let counters = &mut *cx.counters;
        counters.bytes_sent = counters.bytes_sent.saturating_add(u64::from(len));
        if len > 0 {
            let wire = segment.wire_segments();
            counters.data_segs_out = counters.data_segs_out.saturating_add(wire);
        }
        segment
    }

    /// Makes a segment that acknowledges all there is, and pays the acknowledgment owed.
    fn segment(&mut self, cx: &Context<'_>, seq: SeqNum, flags: Flags, data: bool) -> SegmentOut {
        let mut segment = SegmentOut::bare(seq, self.rx.nxt_seq(), flags);
        let most = self.most_sack_blocks(cx.config);
        segment.options.sack = self.rx.sack_blocks(most, cx.config.dsack);
        segment.options.timestamps = self.timestamps(cx.now);
        let before = self.rx.offered();
        segment.window = self.rx.offer(cx.config);
        match (before, self.rx.offered()) {
            (0, 1..) => cx.tally.count(Mib::FromZeroWindowAdv),
            (1.., 0) => cx.tally.count(Mib::ToZeroWindowAdv),
            _ => {}
        }
        if self.rx.take_wants_zero() {
            cx.tally.count(Mib::WantZeroWindowAdv);
        }
        cx.tally.add(Mib::AckCompressed, self.delack.compressed());
        self.mark_urgent(&mut segment);
        self.heed_full_buffer();
        self.delack.on_sent(cx.now, data);
        self.timers.stop(Timer::DelayedAck);
        self.timers.stop(Timer::CompressedAck);
        segment
    }

    /// Lets a segment tell the peer of urgent data beyond its begin (RFC 9293, 3.8.5).
    fn mark_urgent(&self, segment: &mut SegmentOut) {
        if !self.tx.is_urgent() {
            return;
        }
        let ahead = self.tx.seq(self.tx.up).distance_from(segment.seq);
        let Ok(ahead) = u64::try_from(ahead) else {
            return;
        };
        let beyond = segment.seq.add(u32::from(u16::MAX));
        let reaches = beyond.after(self.tx.seq(self.tx.nxt));
        segment.urgent = urgent::pointer(ahead, reaches);
        if segment.urgent > 0 {
            segment.flags = segment.flags.with(Flags::URG);
        }
    }

    /// Makes the acknowledgment of what was received before the congestion mark changed (RFC 8257,
    /// 3.2). The one that is owed for all remains owed.
    fn past_ack(&mut self, cx: &Context<'_>, past: Past) -> SegmentOut {
        let (ack, window) = self.rx.acknowledge_at(past.nxt);
        let flags = if past.echo {
            Flags::ACK.with(Flags::ECE)
        } else {
            Flags::ACK
        };
        let mut segment = SegmentOut::bare(self.tx.seq(self.tx.nxt), ack, flags);
        segment.options.timestamps = self.timestamps(cx.now);
        segment.window = window;
        segment.codepoint = Codepoint::Ect0;
        segment
    }

    /// Returns what is added to the clock for the connection's timestamps.
    pub(crate) fn ts_offset(&self) -> u32 {
        self.ts_offset
    }

    fn timestamps(&self, now: Instant) -> Option<Timestamps> {
        let recent = self.rx.ts_recent.filter(|_| self.agreed.timestamps)?;
        Some(Timestamps {
            value: now.tick().wrapping_add(self.ts_offset),
            echo: recent.value,
        })
    }

    /// Returns the RST that ends the connection (RFC 9293, 3.10.5).
    pub(crate) fn reset_segment(&mut self, cx: &Context<'_>) -> SegmentOut {
        // Beyond the peer's window it would not be believed (Linux's `tcp_acceptable_seq`).
        let nxt = self.tx.nxt.min(self.tx.window_end().max(self.tx.una));
        let seq = self.tx.seq(nxt);
        let mut segment = self.segment(cx, seq, Flags::RST.with(Flags::ACK), false);
        segment.options.sack = SackBlocks::new();
        self.ecn.mark(&mut segment);
        segment
    }
}

/// Cuts `len` octets at `most`, at a multiple of `mss` if they reach that far.
fn cut(len: u32, most: u32, mss: u32) -> u32 {
    if len <= most {
        return len;
    }
    let rest = most.checked_rem(mss.max(1)).unwrap_or(0);
    if most > rest {
        most.saturating_sub(rest)
    } else {
        most
    }
}
