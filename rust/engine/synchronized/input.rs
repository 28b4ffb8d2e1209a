// SPDX-License-Identifier: GPL-2.0

//! SEGMENT ARRIVES in the synchronized states (RFC 9293, 3.10.7.4).

use crate::engine::acceptable;
use crate::engine::acceptable::AckCheck;
use crate::engine::acceptable::Control;
use crate::engine::acceptable::Disordered;
use crate::engine::acceptable::Expected;
use crate::engine::delack::Answer;
use crate::engine::delack::Received;
use crate::engine::delack::MAX_QUICK;
use crate::engine::ecn::Codepoint;
use crate::engine::event::Blackhole;
use crate::engine::event::Reason;
use crate::engine::rx::Arrival;
use crate::engine::rx::Due;
use crate::engine::rx::Payload;
use crate::engine::segment::SegmentIn;
use crate::engine::state::Input;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::synchronized::ack::echo_age;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::timers::Timer;

impl<S: Store> Synchronized<S> {
    /// Takes a segment: the checks in the order of RFC 9293, 3.10.7.4.
    ///
    /// Without `room` for its payload, payload and FIN count as lost, but the peer is told at once
    /// what is still awaited.
    pub(crate) fn on_segment(
        &mut self,
        cx: &mut Context<'_>,
        segment: &SegmentIn,
        room: bool,
    ) -> (Payload, Fate) {
        if !self.check_opening(cx, segment) {
            return (Payload::Discard, Fate::Alive);
        }
        let start = self.rx.distance(segment.seq);
        if segment.flags.rst() && self.is_late_reset(start) {
            return (Payload::Discard, Fate::Closed(self.reset_reason()));
        }
        if !self.is_acceptable(cx, segment, start) {
            return (Payload::Discard, Fate::Alive);
        }
        match acceptable::control(segment.flags, start) {
            Control::Reset => {
                return (Payload::Discard, Fate::Closed(self.reset_reason()));
            }
            Control::Challenge => {
                // As Linux: a RST elsewhere than in order before anything came may be the work of
                // a middlebox that dislikes Fast Open.
                let first = cx.counters.data_segs_in == 0 && self.state == State::Established;
                if self.fast_open && segment.flags.rst() && first {
                    cx.events.blackhole = Some(Blackhole::OutOfOrder);
                }
                if segment.flags.rst() {
                    self.challenge(cx);
                } else {
                    self.challenge_syn(cx);
                }
                return (Payload::Discard, Fate::Alive);
            }
            Control::Drop => return (Payload::Discard, Fate::Alive),
            Control::Pass => {}
        }
        let distance = self.tx.ack_distance(segment.ack);
        let check = acceptable::ack(distance, self.tx.in_flight(), self.tx.max_wnd);
        let refused =
            !matches!(check, AckCheck::Advances(_)) && self.refuse_opening(cx.now, segment);
        if refused {
            return (Payload::Discard, Fate::Alive);
        }
        if check == AckCheck::Challenge {
            self.challenge(cx);
            return (Payload::Discard, Fate::Alive);
        }
        self.end_opening(cx, segment);
        // As Linux: an ACK that was overtaken tells nothing of the peer now, but for its data.
        if check != AckCheck::Old || segment.len > 0 {
            self.last_heard = cx.now;
        }
        if check != AckCheck::Old {
            self.probes_out = 0;
            self.postpone_persist(cx);
        }
        self.ecn.count(segment);
        // As Linux the announcement of more data (MSG_MORE) holds until the peer is heard again; from
        // then on Nagle decides.
        self.tx.more = false;
        if let (Some(timestamps), AckCheck::Advances(_)) = (segment.options.timestamps, check) {
            if self.agreed.timestamps {
                self.rx.update_ts(segment.seq, timestamps.value, cx.now);
            }
        }
        if check == AckCheck::Old {
            self.on_old_ack(cx, segment);
        }
        if let AckCheck::Advances(advance) = check {
            if segment.seq_len() == 0 {
                cx.tally.count(Mib::PureAcks);
            }
            self.on_ack(cx, segment, advance);
            if self.state.sends_fin() && self.tx.una > self.tx.written {
                self.state = self.state.after(Input::FinAcked);
                match self.state {
                    State::TimeWait => return (Payload::Discard, Fate::TimeWait),
                    State::Closed => return (Payload::Discard, Fate::Closed(Reason::Finished)),
                    State::FinWait2 if self.orphan && cx.config.skip_fin_wait_2 => {
                        return (Payload::Discard, Fate::Refused(Reason::Aborted));
                    }
                    _ => self.guard_fin_wait_2(cx),
                }
            }
        }
        // RFC 9293, 3.10.7.4, sixth check.
        if segment.flags.urg()
            && !self.rx.is_finished()
            && self.rx.on_urgent(start, segment.urgent, cx.config.stdurg)
        {
            cx.events.urgent = true;
        }
        if segment.len == 0 && !segment.flags.fin() {
            return (Payload::Discard, Fate::Alive);
        }
        if !room {
            // As Linux (`tcp_data_queue`): what is next must be heard of, what lies beyond a hole
            // comes again anyway.
            if start <= 0 {
                self.rx.on_no_memory();
                self.delack.demand();
            }
            return (Payload::Discard, Fate::Alive);
        }
        self.on_payload(cx, segment, start)
    }

    /// Returns whether a RST `start` octets after RCV.NXT is where a peer may put it that does not
    /// know RCV.NXT: RFC 5961, 3.2 asks for RCV.NXT itself, Linux takes these as well.
    ///
    /// They are the peer's FIN (Linux's `tcp_reset_check`) and, with SACK, the end of what is
    /// held.
    fn is_late_reset(&self, start: i64) -> bool {
        let at_fin = matches!(
            self.state,
            State::CloseWait | State::LastAck | State::Closing
        );
        let held = self.rx.held_end().filter(|_| self.agreed.sack);
        (at_fin && start == -1) || held.is_some_and(|end| i64::try_from(end) == Ok(start))
    }

    fn reset_reason(&self) -> Reason {
        match self.state {
            State::CloseWait => Reason::ResetInCloseWait,
            _ => Reason::Reset,
        }
    }

    /// First check: timestamp and sequence number. What fails is answered unless it is a RST.
    fn is_acceptable(&mut self, cx: &mut Context<'_>, segment: &SegmentIn, start: i64) -> bool {
        let timestamps = segment
            .options
            .timestamps
            .filter(|_| self.agreed.timestamps);
        // RFC 7323, 5.2: a RST is not subject to PAWS.
        let mut paws =
            !segment.flags.rst() && acceptable::paws_rejects(self.rx.ts_recent, timestamps, cx.now);
        if paws && !segment.flags.syn() {
            match self.judge_disordered(cx, segment, start) {
                Disordered::Acceptable => paws = false,
                Disordered::Old => {
                    cx.tally.count(Mib::PawsOldAck);
                    return false;
                }
                Disordered::No if self.is_left_to_wait(cx.config) => {}
                Disordered::No => cx.tally.count(Mib::PawsEstab),
            }
        }
        let expected = Expected {
            unacked: i64::try_from(self.rx.unacked()).unwrap_or(i64::MAX),
            window: i64::from(self.rx.largest_window()),
            all_read: self.rx.unread() == 0,
        };
        let fin = segment.flags.fin();
        if !paws && acceptable::in_window(&expected, start, segment.seq_len(), fin) {
            return true;
        }
        if segment.flags.rst() {
            return false;
        }
        if segment.flags.syn() {
            // RFC 5961, 4.2: whatever its sequence number.
            self.challenge_syn(cx);
            return false;
        }
        let mut skipped = Mib::AckSkippedPaws;
        if self.is_left_to_wait(cx.config) {
            skipped = Mib::AckSkippedFinWait2;
        } else if !paws {
            skipped = Mib::AckSkippedSeq;
            if start.saturating_add(segment.seq_len().into()) >= expected.unacked.saturating_neg() {
                cx.tally.count(Mib::BeyondWindow);
            }
        }
        let span = cx.config.invalid_ratelimit;
        if !self.answers.allows_for(segment, cx.now, span) {
            cx.tally.count(skipped);
            return false;
        }
        // Linux's `tcp_send_dupack`: the peer sends what we have, so it misses acknowledgments.
        if segment.seq_len() > 0 && start < 0 {
            cx.tally.count(Mib::DelayedAckLost);
            self.rx.note_old(start, segment.seq_len());
            self.count_duplicate(cx);
            self.delack
                .enter_quick(self.rx.window(), self.rx.mss, MAX_QUICK);
        }
        self.delack.demand();
        false
    }

    /// Judges a segment whose timestamp is too old.
    fn judge_disordered(&self, cx: &Context<'_>, segment: &SegmentIn, start: i64) -> Disordered {
        let pure = segment.flags.ack() && segment.seq_len() == 0;
        let advances = self.tx.ack_distance(segment.ack) != 0;
        let news = advances
            || self
                .tx
                .may_update_window(segment.seq, false, segment.window);
        let recent = self.rx.ts_recent.map_or(0, |recent| recent.value);
        let value = segment.options.timestamps.map_or(0, |ts| ts.value);
        let older = recent.wrapping_sub(value);
        acceptable::disordered_ack(pure, start, news, older, self.rto(cx.config))
    }

    /// RFC 5961: asks the peer to prove itself, not too often.
    fn challenge(&mut self, cx: &Context<'_>) {
        if self.answers.allows(cx.now, cx.config.invalid_ratelimit) {
            self.challenge_due = true;
        } else {
            cx.tally.count(Mib::AckSkippedChallenge);
        }
    }

    /// A SYN came (RFC 5961, 4.2).
    fn challenge_syn(&mut self, cx: &Context<'_>) {
        cx.tally.count(Mib::SynChallenge);
        if self.state == State::Established {
            cx.tally.count(Mib::InErrs);
        }
        self.challenge(cx);
    }

    /// Data that was not there before came with this codepoint.
    fn on_codepoint(&mut self, codepoint: Codepoint) {
        let delaying = self.timers.is_set(Timer::DelayedAck);
        let hurry = self.ecn.on_data(codepoint, self.rx.nxt, delaying);
        if hurry.quick {
            self.delack.on_mark();
        }
        if hurry.now {
            self.delack.demand();
        }
    }

    /// Seventh and eighth check: the payload and FIN.
    pub(super) fn on_payload(
        &mut self,
        cx: &mut Context<'_>,
        segment: &SegmentIn,
        start: i64,
    ) -> (Payload, Fate) {
        let end = start.saturating_add(i64::from(segment.len));
        if self.orphan && self.state.may_receive() && end > 0 && segment.len > 0 {
            // RFC 9293, 3.6.1 (SHLD-3): nobody will read it; the peer is told (Linux's
            // TCPAbortOnData).
            return (Payload::Discard, Fate::Refused(Reason::Aborted));
        }
        self.time_receiver(cx, segment);
        self.count_place(cx, segment, start);
        let arrival = self.rx.on_payload(start, segment.len, segment.flags.fin());
        if start >= 0 {
            self.count_duplicate(cx);
        }
        self.note_arrival(cx, segment, &arrival);
        if arrival.payload != Payload::Discard {
            self.on_codepoint(segment.codepoint);
        }
        if arrival.finished {
            cx.events.peer_closed = true;
            if self.state == State::Established {
                self.delack.enter_interactive(cx.config);
            } else {
                self.delack.demand();
            }
            self.state = self.state.after(Input::FinReceived);
            if self.state == State::TimeWait {
                return (arrival.payload, Fate::TimeWait);
            }
        }
        self.answer_due = true;
        (arrival.payload, Fate::Alive)
    }

    /// Counts a segment with data or a FIN by where it lies (Linux's `tcp_data_queue`).
    fn count_place(&self, cx: &mut Context<'_>, segment: &SegmentIn, start: i64) {
        let (window, seq_len) = (self.rx.window(), segment.seq_len());
        let end = start.saturating_add(seq_len.into());
        if end <= 0 {
            cx.tally.count(Mib::DelayedAckLost);
        }
        let reports = self.agreed.sack && cx.config.dsack;
        if end <= 0 || self.rx.is_finished() {
            cx.tally
                .add(Mib::DsackOldSent, u32::from(reports && end <= 0));
        } else if start > 0 && start >= window.into() {
            cx.tally.count(Mib::BeyondWindow);
        } else if start > 0 {
            cx.tally.count(Mib::OfoQueue);
            let segments = segment.wire_segments();
            cx.counters.rcv_ooopack = cx.counters.rcv_ooopack.saturating_add(segments);
        } else {
            if start < 0 && reports {
                cx.tally.count(Mib::DsackOldSent);
            }
            if window == 0 && (start < 0 || segment.len > 0) {
                cx.tally.count(Mib::ZeroWindowDrop);
            }
        }
    }

    /// Counts what arrived twice (Linux's `tcp_dsack_set`).
    fn count_duplicate(&self, cx: &Context<'_>) {
        if !self.agreed.sack || !cx.config.dsack {
            return;
        }
        if let Some(beyond) = self.rx.twice() {
            cx.tally.count(if beyond {
                Mib::DsackOfoSent
            } else {
                Mib::DsackOldSent
            });
        }
    }

    /// What was put off of acknowledgments leaves now.
    pub(super) fn end_compression(&mut self, cx: &Context<'_>) {
        cx.tally
            .add(Mib::AckCompressed, self.delack.end_compression());
    }

    /// Takes a round-trip sample for the receive buffer from an echoed timestamp.
    fn time_receiver(&mut self, cx: &Context<'_>, segment: &SegmentIn) {
        let Some(timestamps) = segment.options.timestamps else {
            return;
        };
        if self.agreed.timestamps {
            let age = echo_age(timestamps, self.ts_offset, cx.now);
            let full = segment.len >= self.rx.mss;
            let all_read = self.rx.unread() == 0;
            let tuning = &mut self.rx.tuning;
            tuning.time_echo(timestamps.echo, age, full, all_read);
        }
    }

    /// Draws the conclusions from what became of a segment's payload and FIN, except for the state.
    fn note_arrival(&mut self, cx: &mut Context<'_>, segment: &SegmentIn, arrival: &Arrival) {
        let kept = arrival.payload != Payload::Discard;
        if kept {
            if let Some(small) = self.rx.measure(segment) {
                if small || segment.flags.psh() {
                    self.delack.on_end_of_write(small);
                }
            }
        }
        if arrival.advanced {
            let rto = self.rto(cx.config);
            self.delack
                .on_data(cx.now, self.rx.window(), self.rx.mss, rto);
            cx.events.readable = true;
        }
        if self.rx.on_taken(cx.now, cx.config, segment, arrival) {
            self.delack.quicken_once();
        }
        match arrival.due {
            Due::Nothing => {}
            Due::Soon => self.delack.owe(),
            Due::Quick => {
                self.delack
                    .enter_quick(self.rx.window(), self.rx.mss, MAX_QUICK);
                self.delack.owe();
            }
            Due::Now => self.delack.demand(),
        }
        if arrival.spread {
            self.end_compression(cx);
        }
    }

    /// Decides when what was received is acknowledged: after the owner has stored it, so that the
    /// memory left is known, and after data that carries the acknowledgment.
    pub(super) fn schedule_answer(&mut self, cx: &Context<'_>) {
        let low_water = self.rx.tuning.memory().low_water.max(1);
        let two_segments = self.rx.unacked() > u64::from(self.rx.mss)
            && (self.rx.unread() < u64::from(low_water) || self.rx.would_open(cx.config));
        self.heed_full_buffer();
        let received = Received {
            now: cx.now,
            nxt: self.rx.nxt,
            two_segments,
            disorder: self.rx.has_holes(),
            sack: self.agreed.sack,
            srtt: self.rtt.srtt(),
            rcv_rtt: self.rx.tuning.rtt(),
            due: self.timers.get(Timer::DelayedAck),
        };
        match self.delack.decide(cx.config, &received) {
            Answer::Now => {}
            Answer::At(at) => self.timers.set(Timer::DelayedAck, cx.now, at),
            Answer::Compress(at) => {
                if !self.timers.is_set(Timer::CompressedAck) {
                    self.timers.set_precisely(Timer::CompressedAck, at);
                }
            }
        }
    }
}
