// SPDX-License-Identifier: GPL-2.0

//! The timers that wait for acknowledgments: retransmission, tail loss probe and reordering, of which
//! one runs at a time, as in Linux; and what sets the persist timer.

use crate::engine::config::RTO_MIN;
use crate::engine::recovery::Rtts;
use crate::engine::store::Store;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Synchronized;
use crate::engine::time::Instant;
use crate::engine::timers::Timer;
use crate::engine::tx::NewData;

/// How often the time between window probes doubles at most, whatever `tcp_retries2` says: from the
/// usual least RTO to beyond the longest.
const PERSIST_DOUBLINGS: u32 = 10;

/// The timers of which one runs at a time.
pub(super) const EXCLUSIVE: [Timer; 3] = [Timer::Retransmit, Timer::LossProbe, Timer::Reorder];

impl<S: Store> Synchronized<S> {
    pub(super) fn rtts(&self) -> Rtts {
        Rtts {
            srtt: self.rtt.srtt(),
            min: self.rtt.min_rtt(),
        }
    }

    /// Sets one of the exclusive timers, never later than the longest RTO (Linux's
    /// `tcp_reset_xmit_timer`): a clock that jumps gives round trips without bound.
    pub(super) fn set_transmit_timer(&mut self, cx: &Context<'_>, timer: Timer, at: Instant) {
        self.stop_transmit_timers();
        if self.opening_deadline().is_some() {
            // Only the SYN-ACK is sent again before it is acknowledged.
            return;
        }
        let at = at.min(cx.now.saturating_add(cx.config.rto_max));
        self.timers.set(timer, cx.now, at);
    }

    pub(super) fn stop_transmit_timers(&mut self) {
        for timer in EXCLUSIVE {
            self.timers.stop(timer);
        }
    }

    /// Returns whether any of the exclusive timers runs.
    pub(super) fn has_transmit_timer(&self) -> bool {
        EXCLUSIVE.iter().any(|&timer| self.timers.is_set(timer))
    }

    /// Starts the retransmission timer anew (RFC 6298, 5), not beyond the user's time-out.
    pub(super) fn arm_retransmit(&mut self, cx: &Context<'_>) {
        let at = cx.now.saturating_add(self.rto(cx.config));
        self.set_retransmit(cx, at);
    }

    fn set_retransmit(&mut self, cx: &Context<'_>, at: Instant) {
        let mut at = at;
        if let (Some(since), Some(limit)) = (self.stalled_since, cx.config.user_timeout) {
            at = at.min(since.saturating_add(limit));
        }
        self.set_transmit_timer(cx, Timer::Retransmit, at);
    }

    /// Sets the retransmission timer to where it would be without the tail loss probe or the
    /// reordering timer: one RTO after the first segment in flight left (RFC 8985, 7.3).
    pub(super) fn resume_retransmit(&mut self, cx: &Context<'_>) {
        if self.tx.in_flight() == 0 {
            self.stop_transmit_timers();
            return;
        }
        let at = self.retransmit_due(cx);
        self.set_retransmit(cx, at);
    }

    fn retransmit_due(&self, cx: &Context<'_>) -> Instant {
        let first = self.recovery.board.first();
        let left = first.map_or(cx.now, |record| record.sent_at);
        left.saturating_add(self.rto(cx.config))
    }

    /// Something was acknowledged (RFC 6298, 5.2 and 5.3; RFC 8985, 7.2; Linux's
    /// `tcp_set_xmit_timer`).
    pub(super) fn restart_transmit_timer(&mut self, cx: &Context<'_>) {
        if self.tx.in_flight() == 0 {
            self.stop_transmit_timers();
            return;
        }
        let rto = cx.now.saturating_add(self.rto(cx.config));
        match self.recovery.probe_timeout(self.rtts(), cx.config) {
            Some(wait) => {
                let at = cx.now.saturating_add(wait).min(rto);
                self.set_transmit_timer(cx, Timer::LossProbe, at);
            }
            None => {
                let probing = self.timers.is_set(Timer::LossProbe);
                if probing || self.timers.is_set(Timer::Reorder) {
                    self.resume_retransmit(cx);
                } else {
                    self.arm_retransmit(cx);
                }
            }
        }
    }

    /// New data left (RFC 8985, 7.2).
    pub(super) fn schedule_probe(&mut self, cx: &Context<'_>) {
        if self.tx.in_flight() == 0 {
            return;
        }
        if let Some(wait) = self.recovery.probe_timeout(self.rtts(), cx.config) {
            let mut at = cx.now.saturating_add(wait);
            let rto = self.retransmit_due(cx);
            if rto > cx.now {
                at = at.min(rto);
            }
            self.set_transmit_timer(cx, Timer::LossProbe, at);
        }
    }

    /// Sets the timers that wait for what `next` says is missing.
    pub(super) fn settle(&mut self, cx: &Context<'_>, next: &NewData) {
        let idle = self.tx.in_flight() == 0;
        match next {
            // RFC 9293, 3.8.6.1, and the override timer of 3.8.6.2.1: something must happen even if
            // the peer stays silent.
            NewData::Window | NewData::Held if idle => {
                let wait = self.rto(cx.config).max(RTO_MIN);
                if !self.timers.is_set(Timer::Persist) {
                    let at = cx.now.saturating_add(wait);
                    self.timers.set(Timer::Persist, cx.now, at);
                }
            }
            // The owner comes back when it can send; until then nothing is known to be missing.
            NewData::Owner => {}
            _ if self.timers.is_set(Timer::Persist) => self.stop_persist(),
            _ => {}
        }
    }

    /// Starts the persist timer anew, not beyond the user's time-out (Linux's `tcp_probe0_when`).
    pub(super) fn arm_persist(&mut self, cx: &Context<'_>) {
        let base = self.rtt.rto(cx.config).max(RTO_MIN);
        let doublings = u32::from(self.backoff).min(PERSIST_DOUBLINGS);
        let wait = base.doubled(doublings, cx.config.rto_max);
        let mut at = cx.now.saturating_add(wait);
        if let (Some(since), Some(limit)) = (self.probing_since, cx.config.user_timeout) {
            at = at.min(since.saturating_add(limit));
        }
        self.timers.set(Timer::Persist, cx.now, at);
    }

    /// The peer answered while nothing was in flight: the next window probe waits from here on
    /// (Linux's `tcp_ack_probe`).
    pub(super) fn postpone_persist(&mut self, cx: &Context<'_>) {
        if self.timers.is_set(Timer::Persist) && self.tx.in_flight() == 0 {
            self.arm_persist(cx);
        }
    }

    pub(super) fn stop_persist(&mut self) {
        self.timers.stop(Timer::Persist);
        self.probing_since = None;
        self.backoff = 0;
    }
}
