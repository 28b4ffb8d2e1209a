// SPDX-License-Identifier: GPL-2.0

//! SEGMENT ARRIVES in the synchronized states (RFC 9293, 3.10.7.4).

use crate::engine::acceptable;
use crate::engine::acceptable::AckCheck;
use crate::engine::acceptable::Control;
use crate::engine::acceptable::Expected;
use crate::engine::ack::AckInfo;
use crate::engine::cc::Acked;
use crate::engine::cc::News;
use crate::engine::ecn::Codepoint;
use crate::engine::event::Reason;
use crate::engine::loss::Phase;
use crate::engine::loss::Verdict;
use crate::engine::options::Timestamps;
use crate::engine::ranges::Run;
use crate::engine::rate::AckRate;
use crate::engine::rx::Payload;
use crate::engine::segment::SegmentIn;
use crate::engine::state::Input;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use crate::engine::timers::Timer;

/// A timestamp echoed after this long is not believed as a round-trip time (Linux's
/// `tcp_rtt_tsopt_us`).
const MAX_ECHO_AGE: u32 = 2_147_483;

/// How the send half was before an acknowledgment.
struct Before {
    una: u64,
    sacked: u64,
    in_flight: u64,
    phase: Phase,
}

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
                self.challenge(cx);
                return (Payload::Discard, Fate::Alive);
            }
            Control::Drop => return (Payload::Discard, Fate::Alive),
            Control::Pass => {}
        }
        let distance = self.tx.ack_distance(segment.ack);
        let check = acceptable::ack(distance, self.tx.in_flight(), self.tx.max_wnd);
        if check == AckCheck::Challenge {
            self.challenge(cx);
            return (Payload::Discard, Fate::Alive);
        }
        self.last_heard = cx.now;
        self.probes_out = 0;
        self.ecn.count(segment);
        if let Some(timestamps) = segment.options.timestamps {
            if self.agreed.timestamps {
                self.rx.update_ts(segment.seq, timestamps.value, cx.now);
            }
        }
        if let AckCheck::Advances(advance) = check {
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
        if segment.len == 0 && !segment.flags.fin() {
            return (Payload::Discard, Fate::Alive);
        }
        if !room {
            self.delack.demand();
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
        let paws =
            !segment.flags.rst() && acceptable::paws_rejects(self.rx.ts_recent, timestamps, cx.now);
        let expected = Expected {
            unacked: i64::try_from(self.rx.unacked()).unwrap_or(i64::MAX),
            window: i64::from(self.rx.window()),
        };
        if !paws && acceptable::in_window(&expected, start, segment.seq_len()) {
            return true;
        }
        if segment.flags.rst() {
            return false;
        }
        // As Linux (`tcp_oow_rate_limited`): segments with data cannot take part in a loop of
        // acknowledgments.
        let loops = segment.len == 0 || segment.flags.syn();
        if loops && !self.answers.allows(cx.now, cx.config.invalid_ratelimit) {
            return false;
        }
        if segment.len > 0 {
            self.rx.note_duplicate(start, segment.len);
            self.delack.on_disorder(self.rx.window(), self.rx.mss);
        }
        self.delack.demand();
        false
    }

    /// RFC 5961: asks the peer to prove itself, not too often.
    fn challenge(&mut self, cx: &Context<'_>) {
        if self.answers.allows(cx.now, cx.config.invalid_ratelimit) {
            self.delack.demand();
        }
    }

    /// Fifth check: an acknowledgment that moves SND.UNA by `advance`, perhaps 0.
    fn on_ack(&mut self, cx: &mut Context<'_>, segment: &SegmentIn, advance: u64) {
        let flight = self.tx.in_flight();
        let before = Before {
            una: self.tx.una,
            sacked: self.recovery.sacked(self.tx.una, self.tx.nxt),
            in_flight: self.recovery.pipe(self.tx.una, self.tx.nxt),
            phase: self.recovery.phase(),
        };
        let una_before = self.tx.una;
        let acked_before = una_before.min(self.tx.written);
        self.tx.una = self.tx.una.saturating_add(advance);
        if self.tx.una.min(self.tx.written) > acked_before {
            cx.events.acked = true;
        }
        let moved = self
            .tx
            .update_window(segment.seq, advance > 0, segment.window);
        let mss = self.mss(cx.config);
        let (newly_sacked, sack_age) = self.note_sacks(cx, segment);
        let duplicate = advance == 0
            && flight > 0
            && if self.agreed.sack {
                // RFC 6675, 2: a duplicate is what brings new SACK information.
                newly_sacked > 0
            } else {
                // RFC 5681, 2.
                segment.len == 0 && !segment.flags.fin() && !moved
            };
        let info = AckInfo {
            acked: advance,
            una: self.tx.una,
            nxt: self.tx.nxt,
            newly_sacked,
            duplicate,
        };
        let ambiguous = self.recovery.was_retransmitted(una_before);
        let rtt = self.sample_rtt(cx, segment, advance, ambiguous, sack_age);
        self.cc.on_mss(mss);
        let verdict = self.recovery.on_ack(&info, mss);
        self.control_congestion(cx, &before, segment, rtt, verdict);
        if advance > 0 {
            self.retransmits = 0;
            self.stalled_since = None;
            if self.tx.in_flight() == 0 {
                // RFC 6298, 5.2.
                self.timers.stop(Timer::Retransmit);
            } else {
                // RFC 6298, 5.3.
                self.arm_retransmit(cx);
            }
        }
    }

    /// Tells congestion control what an acknowledgment did.
    fn control_congestion(
        &mut self,
        cx: &Context<'_>,
        before: &Before,
        segment: &SegmentIn,
        rtt: Option<Duration>,
        verdict: Verdict,
    ) {
        let echo = self.ecn.is_echo(segment.flags);
        let mss = self.mss(cx.config);
        let (una, nxt) = (self.tx.una, self.tx.nxt);
        let advance = una.saturating_sub(before.una);
        let delivered = advance
            .saturating_add(self.recovery.sacked(una, nxt))
            .saturating_sub(before.sacked);
        self.cc.rate.begin_ack(before.in_flight, echo);
        self.cc.rate.count(delivered, mss);
        let news = News {
            now: cx.now,
            una,
            nxt,
            rtt,
        };
        self.cc.on_news(&news);
        match verdict {
            Verdict::FastRetransmit => {
                if !self.cc.is_reducing() {
                    self.ecn.on_reduction();
                }
                self.ecn.leave_cwr();
                self.cc.enter_recovery(echo);
            }
            Verdict::Recovered if before.phase == Phase::Recovery => self.cc.end_reduction(cx.now),
            Verdict::Recovered | Verdict::Nothing => {}
        }
        self.on_echo(cx, before, segment);
        let ack = AckRate {
            rtt,
            min_rtt: self.rtt.min_rtt(),
            ..AckRate::default()
        };
        let sample = self.cc.rate.sample(cx.now, &ack);
        let acked = Acked {
            now: cx.now,
            sample: &sample,
            outstanding: self.tx.in_flight(),
            in_flight: self.recovery.pipe(una, nxt),
            advanced: advance > 0,
            may_raise: advance > 0 && before.phase != Phase::Recovery,
            state: self.ca_state(),
            srtt: self.rtt.srtt().unwrap_or_default(),
        };
        self.cc.on_ack(cx.config, &acked);
    }

    /// What an acknowledgment tells of marks.
    ///
    /// RFC 3168, 6.1.2: an echo is answered as a loss is, but for the retransmission, and once per
    /// window of data. While a loss is being repaired the window is reduced already.
    fn on_echo(&mut self, cx: &Context<'_>, before: &Before, segment: &SegmentIn) {
        if self.ecn.on_flags(segment) {
            self.delack.demand();
        }
        if self.ecn.on_acked(self.tx.una) {
            self.cc.end_reduction(cx.now);
        }
        let flight = self.tx.nxt > before.una;
        if !flight || !self.ecn.is_echo(segment.flags) {
            return;
        }
        self.cc.enter_cwr(self.ca_state());
        if self.recovery.phase() == Phase::Open && !self.ecn.in_cwr() {
            self.ecn.enter_cwr(self.tx.nxt);
        }
    }

    /// Gives the SACK blocks to the scoreboard; returns the octets that are news, and the age of
    /// what was timed among them.
    ///
    /// RFC 2883, 4: a block below the acknowledgment reports a duplicate; it is counted and
    /// otherwise ignored.
    fn note_sacks(&mut self, cx: &mut Context<'_>, segment: &SegmentIn) -> (u64, Option<Duration>) {
        let mut news = 0u64;
        let mut age: Option<Duration> = None;
        if !self.agreed.sack {
            return (news, age);
        }
        for block in segment.options.sack.as_slice() {
            let left = self.tx.ack_distance(block.left);
            let right = self.tx.ack_distance(block.right);
            if left < 0 {
                cx.counters.dsack_dups = cx.counters.dsack_dups.saturating_add(1);
                continue;
            }
            let (Ok(left), Ok(right)) = (u64::try_from(left), u64::try_from(right)) else {
                continue;
            };
            if left >= right || right > self.tx.in_flight() {
                continue;
            }
            let run = Run {
                start: self.tx.una.saturating_add(left),
                end: self.tx.una.saturating_add(right),
            };
            news = news.saturating_add(self.recovery.on_sack_block(run));
            let timed = self.send_times.take(run.start, run.end, cx.now);
            age = age.max(timed);
        }
        (news, age)
    }

    /// Takes a round-trip sample from an acknowledgment, if it gives one.
    ///
    /// Preferred is our own clock, which is finer; then, for new data (RFC 7323, 4.1), the echoed
    /// one.
    fn sample_rtt(
        &mut self,
        cx: &Context<'_>,
        segment: &SegmentIn,
        advance: u64,
        ambiguous: bool,
        sack_age: Option<Duration>,
    ) -> Option<Duration> {
        let una = self.tx.una;
        let timed = if advance > 0 {
            self.send_times
                .take(una.saturating_sub(advance), una, cx.now)
        } else {
            None
        };
        let sample = timed.filter(|_| !ambiguous).or(sack_age).or_else(|| {
            let timestamps = segment.options.timestamps?;
            let useful = advance > 0 && (ambiguous || self.send_times.is_empty());
            if !self.agreed.timestamps || !useful {
                return None;
            }
            let rtt = echo_age(timestamps, self.ts_offset, cx.now)?;
            // What was sent before the last time-out may have arrived long ago and its
            // acknowledgment been lost; the duplicate that was answered now does not change what
            // the peer echoes. Linux believes such a sample, and its RTO with it.
            let misleading = self
                .last_timeout
                .is_some_and(|timeout| cx.now.saturating_sub(rtt) < timeout);
            (!misleading).then_some(rtt)
        });
        if let Some(rtt) = sample {
            self.rtt.on_sample(rtt, una, self.tx.nxt);
            // RFC 6298, 5: (Karn) only a valid sample ends the back-off.
            self.backoff = 0;
        }
        sample
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
    fn on_payload(
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
        let small = self.rx.measure(segment.wire_len, segment.flags.psh());
        if small && segment.len > 0 {
            self.delack.on_small();
        }
        let arrival = self.rx.on_payload(start, segment.len, segment.flags.fin());
        if arrival.advanced {
            let rto = self.rto(cx.config);
            self.delack
                .on_data(cx.now, self.rx.window(), self.rx.mss, rto);
            cx.events.readable = true;
        } else if arrival.disorder && segment.len > 0 {
            self.delack.on_disorder(self.rx.window(), self.rx.mss);
        }
        if arrival.disorder {
            self.delack.demand();
        }
        if arrival.payload != Payload::Discard {
            self.on_codepoint(segment.codepoint);
        }
        if arrival.finished {
            cx.events.peer_closed = true;
            self.state = self.state.after(Input::FinReceived);
            if self.state == State::TimeWait {
                return (arrival.payload, Fate::TimeWait);
            }
        }
        let unacked = self.rx.unacked();
        if let Some(at) = self.delack.decide(cx.now, unacked, self.rx.mss) {
            if self
                .timers
                .get(Timer::DelayedAck)
                .is_none_or(|set| at < set)
            {
                self.timers.set(Timer::DelayedAck, cx.now, at);
            }
        }
        (arrival.payload, Fate::Alive)
    }
}

/// Returns how long ago we sent the timestamp that is echoed, if that is credible.
pub(crate) fn echo_age(timestamps: Timestamps, offset: u32, now: Instant) -> Option<Duration> {
    let sent = timestamps.echo.wrapping_sub(offset);
    let age = now.tick().wrapping_sub(sent);
    let credible = timestamps.echo != 0 && age < MAX_ECHO_AGE;
    credible.then(|| Duration::from_millis(u64::from(age.max(1))))
}
