// SPDX-License-Identifier: GPL-2.0

//! SEGMENT ARRIVES in the synchronized states (RFC 9293, 3.10.7.4).

use crate::engine::acceptable;
use crate::engine::acceptable::AckCheck;
use crate::engine::acceptable::Control;
use crate::engine::acceptable::Expected;
use crate::engine::ecn::Codepoint;
use crate::engine::event::Reason;
use crate::engine::rx::Payload;
use crate::engine::segment::SegmentIn;
use crate::engine::state::Input;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
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
        // As Linux the announcement of more data (MSG_MORE) holds until the peer is heard again; from
        // then on Nagle decides.
        self.tx.more = false;
        if let Some(timestamps) = segment.options.timestamps {
            if self.agreed.timestamps {
                self.rx.update_ts(segment.seq, timestamps.value, cx.now);
            }
        }
        if check == AckCheck::Old {
            self.on_old_ack(cx, segment);
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
            self.challenge_due = true;
        }
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
