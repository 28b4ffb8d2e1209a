// SPDX-License-Identifier: GPL-2.0

//! A server's connection that began with the SYN itself (RFC 7413, 4.2): data flows although our SYN
//! is not acknowledged.

use crate::engine::event::Reason;
use crate::engine::fast_open::FastOpenCookie;
use crate::engine::half_open::HalfOpen;
use crate::engine::half_open::HalfOpenDeadline;
use crate::engine::half_open::Patience;
use crate::engine::prepared::Prepared;
use crate::engine::rx::Payload;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::synchronized::ack;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::time::Instant;
use crate::engine::timers::Timer;

/// What is left of SYN-RECEIVED.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    half_open: HalfOpen,
    patience: Patience,
    /// The SYN-ACK leaves with the next flush.
    due: bool,
    /// A new cookie for the first SYN-ACK.
    cookie: Option<FastOpenCookie>,
    /// The repeated SYN-ACK, or a RST that answers a segment of somebody else.
    reply: Option<Prepared>,
    /// The user has closed the sending half.
    shut: bool,
}

impl<S: Store> Synchronized<S> {
    /// Makes the connection one whose SYN is still to be sent.
    pub(crate) fn begin_early(
        &mut self,
        half_open: &HalfOpen,
        retries: u8,
        cookie: Option<FastOpenCookie>,
    ) {
        self.state = State::SynReceived;
        self.opening = Some(Opening {
            half_open: *half_open,
            patience: Patience { retries, defer: 0 },
            due: true,
            cookie,
            reply: None,
            shut: false,
        });
    }

    /// Closes the sending half. As in Linux the FIN waits for the third segment (RFC 9293, 3.10.4),
    /// other than where the owner's descriptor is gone.
    pub(crate) fn shutdown_write(&mut self) {
        match &mut self.opening {
            Some(opening) if self.state == State::SynReceived => opening.shut = true,
            _ => self.send_fin(),
        }
    }

    /// Takes the data of the SYN, `syn` being without its SYN flag.
    pub(crate) fn take_syn_data(&mut self, cx: &mut Context<'_>, syn: &SegmentIn) -> Payload {
        let offered = self.rx.window();
        if syn.len == 0 {
            return Payload::Discard;
        }
        let arrival = self.rx.on_payload(0, syn.len, false);
        // The window of the SYN-ACK counts from what it acknowledges.
        self.rx.offer_again(offered);
        cx.events.readable = true;
        cx.counters.syn_data_acked = true;
        arrival.payload
    }

    /// Returns the SYN-ACK if it is due.
    pub(super) fn poll_opening(&mut self, now: Instant) -> Option<SegmentOut> {
        let opening = self.opening.as_mut()?;
        let mut segment = if let Some(reply) = opening.reply.take() {
            opening.half_open.leave(now, reply)
        } else if core::mem::take(&mut opening.due) {
            opening.half_open.syn_ack(now)
        } else {
            return None;
        };
        if !segment.flags.syn() {
            return Some(segment);
        }
        segment.options.fast_open = opening.cookie.take();
        segment.ack = self.rx.nxt_seq();
        self.rx.offer_again(self.rx.window());
        self.delack.on_sent(now, false);
        self.timers.stop(Timer::DelayedAck);
        Some(segment)
    }

    /// Judges a segment before all other checks (Linux's `tcp_check_req` for Fast Open). Returns
    /// whether it goes on.
    pub(super) fn check_opening(&mut self, cx: &Context<'_>, segment: &SegmentIn) -> bool {
        let Some(opening) = &mut self.opening else {
            return true;
        };
        let flags = segment.flags;
        let again = flags.syn() && !flags.ack() && !flags.rst();
        if again && segment.seq == self.rx.irs {
            // The SYN again: our answer was lost, or is late.
            if self.answers.allows(cx.now, cx.config.invalid_ratelimit) {
                opening.half_open.restart(cx.now);
                opening.due = true;
            } else {
                cx.tally.count(Mib::AckSkippedSynRecv);
            }
            return false;
        }
        true
    }

    /// Refuses an acknowledgment of what was never sent: in SYN-RECEIVED by a RST (RFC 9293,
    /// 3.10.7.4, fifth check). Returns whether it did.
    pub(super) fn refuse_opening(&mut self, now: Instant, segment: &SegmentIn) -> bool {
        let opening = self
            .opening
            .as_mut()
            .filter(|_| self.state == State::SynReceived);
        if let Some(opening) = opening {
            let reset = crate::engine::closed::on_closed(segment);
            opening.reply = reset.map(|reset| Prepared::new(now, reset));
            return true;
        }
        false
    }

    /// Our SYN is acknowledged.
    pub(super) fn end_opening(&mut self, cx: &mut Context<'_>, segment: &SegmentIn) {
        let Some(opening) = self.opening.take() else {
            return;
        };
        let sample = opening.half_open.handshake_time(cx.now).or_else(|| {
            let timestamps = segment.options.timestamps;
            timestamps
                .filter(|_| self.agreed.timestamps)
                .and_then(|timestamps| ack::echoed(timestamps, self.ts_offset, cx.now))
        });
        if let Some(rtt) = sample {
            self.rtt.on_sample(rtt, 0, 0, cx.config.rto_min);
            let window = cx.config.min_rtt_window;
            self.rtt.on_shortest(cx.now, rtt, window, false);
        }
        if self.state == State::SynReceived {
            self.state = State::Established;
            if opening.shut {
                self.send_fin();
            }
        }
        cx.counters.end_timeouts(cx.now);
        cx.events.established = true;
        if self.tx.in_flight() > 0 {
            self.arm_retransmit(cx);
        }
    }

    /// The time for the third segment may be up. Only the SYN-ACK is sent again, other data waits for
    /// its acknowledgment (Linux's `tcp_fastopen_synack_timer`).
    pub(super) fn on_opening_deadline(&mut self, cx: &mut Context<'_>) -> Fate {
        let Some(opening) = &mut self.opening else {
            return Fate::Alive;
        };
        match opening.half_open.on_deadline(cx.now, &opening.patience) {
            HalfOpenDeadline::Early | HalfOpenDeadline::Wait => return Fate::Alive,
            HalfOpenDeadline::Retransmit(syn_ack) => {
                opening.reply = Some(Prepared::new(cx.now, syn_ack));
                cx.tally.count(Mib::Timeouts);
                let first = opening.half_open.timeouts() == 1;
                cx.counters.on_timeout(cx.now, first);
            }
            HalfOpenDeadline::Expired => return Fate::Closed(Reason::TimedOut),
        }
        Fate::Alive
    }

    /// Returns when the time for the third segment is up.
    pub(super) fn opening_deadline(&self) -> Option<Instant> {
        self.opening
            .as_ref()
            .map(|opening| opening.half_open.next_deadline())
    }

    /// Returns whether an ICMP error may quote our SYN.
    pub(crate) fn quotes_syn(&self, seq: crate::engine::seq::SeqNum) -> bool {
        self.opening
            .as_ref()
            .is_some_and(|opening| opening.half_open.is_outstanding(seq))
    }
}
