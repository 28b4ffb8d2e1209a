// SPDX-License-Identifier: GPL-2.0

//! What happens when a timer expires.

use crate::engine::cc::NO_SSTHRESH;
use crate::engine::config::Config;
use crate::engine::config::RTO_MIN;
use crate::engine::event::Blackhole;
use crate::engine::event::Doubt;
use crate::engine::event::Reason;
use crate::engine::info::CaState;
use crate::engine::rate::RateSample;
use crate::engine::recovery::Timeout;
use crate::engine::seq::SeqNum;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::time::Duration;
use crate::engine::timers::Timer;

/// Time-outs that come evenly on a connection with little in flight (Linux's
/// `TCP_THIN_LINEAR_RETRIES`).
const THIN_RETRIES: u8 = 6;

/// Returns how long after the first time-out so many tries are over.
///
/// Their time is counted from the first transmission. Linux begins with the first retransmission, but
/// its ticks make each of the waits longer than they are here.
fn patience(config: &Config, tries: u8) -> Duration {
    config.timeout_of_tries(tries).saturating_sub(RTO_MIN)
}

impl<S: Store> Synchronized<S> {
    /// Acts on all timers that have expired.
    pub(crate) fn on_deadline(&mut self, cx: &mut Context<'_>) -> Fate {
        if self.timers.expired(Timer::DelayedAck, cx.now) {
            let rto = self.rto(cx.config);
            if self.delack.on_deadline(cx.config, rto) {
                cx.tally.count(Mib::DelayedAcks);
            }
        }
        if self.timers.expired(Timer::CompressedAck, cx.now) {
            self.end_compression(cx);
        }
        let fate = self.on_opening_deadline(cx);
        if fate != Fate::Alive {
            return fate;
        }
        // The flush that follows sends.
        let _ = self.timers.expired(Timer::Pacing, cx.now);
        if self.timers.expired(Timer::FinWait2, cx.now) {
            return Fate::Closed(Reason::Finished);
        }
        if self.timers.expired(Timer::Retransmit, cx.now) {
            let fate = self.on_retransmit_timeout(cx);
            if fate != Fate::Alive {
                return fate;
            }
        }
        if self.timers.expired(Timer::LossProbe, cx.now) {
            self.on_loss_probe(cx);
        }
        if self.timers.expired(Timer::Reorder, cx.now) {
            self.on_reorder(cx);
        }
        if self.timers.expired(Timer::Persist, cx.now) {
            let fate = self.on_persist(cx);
            if fate != Fate::Alive {
                return fate;
            }
        }
        if self.timers.expired(Timer::KeepAlive, cx.now) {
            return self.on_keepalive(cx);
        }
        Fate::Alive
    }

    /// RFC 6298, 5.4 to 5.6, and RFC 5681, 3.1: the network is taken to be empty and the sender
    /// starts over.
    fn on_retransmit_timeout(&mut self, cx: &mut Context<'_>) -> Fate {
        if self.tx.in_flight() == 0 {
            return Fate::Alive;
        }
        let shut = self.tx.wnd == 0 && !self.orphan;
        if !shut {
            cx.tally.count(Mib::Timeouts);
        }
        if let Some(fate) = self.shed(cx) {
            return fate;
        }
        let over = self.give_up(cx);
        // As Linux (`tcp_fastopen_active_detect_blackhole`): data may not get through after a
        // handshake that did.
        if self.fast_open && (self.retransmits == 2 || (self.retransmits < 2 && over.is_some())) {
            cx.events.blackhole = Some(Blackhole::TimedOut);
        }
        if let Some(fate) = over {
            return fate;
        }
        if shut {
            // As Linux: these are window probes, and count as no tries.
            cx.events.doubt = Some(Doubt::Nothing);
        } else {
            let doubt = self.doubt(cx);
            if doubt == Doubt::Route {
                self.on_black_hole(cx);
            }
            cx.events.doubt = Some(doubt);
            if self.retransmits == 0 {
                self.recovery.count_timeout(cx.tally);
            }
        }
        let timeout = Timeout {
            now: cx.now,
            una: self.tx.una,
            nxt: self.tx.nxt,
            mss: self.mss(cx.config),
            again: self.retransmits,
            mtu_probe: self.mtu.probe_start().is_some(),
            config: cx.config,
            tally: cx.tally,
        };
        self.recovery.on_timeout(&timeout, &mut self.cc);
        self.note_reduction();
        // As Linux: from the first retransmission on.
        self.stalled_since = self.stalled_since.or(Some(cx.now));
        self.last_timeout = Some(cx.now);
        self.head_due = true;
        if !shut {
            cx.counters.on_timeout(cx.now, self.retransmits == 0);
            self.retransmits = self.retransmits.saturating_add(1);
        }
        // As Linux, against RFC 6298, 5.5: where so little is in flight that only a time-out can find
        // a loss, the first few come evenly.
        if cx.config.thin_linear && self.is_thin(cx) && self.retransmits <= THIN_RETRIES {
            self.backoff = 0;
        } else {
            self.backoff = self.backoff.saturating_add(1);
        }
        self.arm_retransmit(cx);
        Fate::Alive
    }

    /// RFC 6069, 4.2: what was lost because a router knew no way tells nothing of congestion. The last
    /// back-off is undone, so that the retransmission may be due by now (Linux's
    /// `tcp_ld_RTO_revert`). Returns whether there was one.
    pub(crate) fn on_unreachable(&mut self, cx: &Context<'_>, seq: SeqNum) -> bool {
        if self.tx.in_flight() == 0 || self.retransmits == 0 || seq != self.tx.seq(self.tx.una) {
            return false;
        }
        let Some(backoff) = self.backoff.checked_sub(1) else {
            return false;
        };
        self.backoff = backoff;
        self.resume_retransmit(cx);
        true
    }

    /// RFC 9293, 3.8.3 (a): at R1 the routing layer is told that the path may be at fault (Linux's
    /// `tcp_retries1`, a time like [`Config::retries2`]). Before, another of several equal paths may do.
    ///
    /// [`Config::retries2`]: crate::engine::config::Config::retries2
    fn doubt(&self, cx: &Context<'_>) -> Doubt {
        let config = cx.config;
        let limit = patience(config, config.retries1);
        let waited = self.stalled_since.map(|since| cx.now.since(since));
        match waited {
            Some(waited) if waited >= limit => Doubt::Route,
            _ => Doubt::Path,
        }
    }

    /// Returns whether fast retransmit has too little to go by (Linux's `tcp_stream_is_thin`).
    fn is_thin(&self, cx: &Context<'_>) -> bool {
        let segments = self
            .tx
            .in_flight()
            .div_ceil(self.mss(cx.config).max(1).into());
        let started = self.cc.ssthresh() == NO_SSTHRESH;
        self.state == State::Established && segments < 4 && !started
    }

    /// RFC 8985, 7.3: nothing was heard for PTO.
    fn on_loss_probe(&mut self, cx: &Context<'_>) {
        self.tail_probe_due = self.tx.in_flight() > 0 && !self.recovery.is_probing();
        self.resume_retransmit(cx);
    }

    /// RFC 8985, 6.3: what is late counts as lost now.
    fn on_reorder(&mut self, cx: &Context<'_>) {
        let lost = self
            .recovery
            .on_reorder_timeout(cx.now, self.rtts(), cx.config, cx.tally);
        if lost && self.recovery.state() != CaState::Recovery {
            let (nxt, una) = (self.tx.nxt, self.tx.una);
            self.recovery
                .enter_recovery(nxt, una, false, &mut self.cc, cx.tally);
            let mss = self.mss(cx.config);
            // One segment may leave for the retransmission (Linux's `tcp_rack_reo_timeout`).
            let sample = RateSample {
                newly_delivered: mss.into(),
                ..RateSample::default()
            };
            self.move_cwnd(cx, &sample, mss, false, false);
            self.note_reduction();
        }
        self.resume_retransmit(cx);
    }

    /// Decides whether retransmission has gone on for too long (RFC 9293, 3.8.3; Linux's
    /// `tcp_write_timeout`).
    fn give_up(&mut self, cx: &Context<'_>) -> Option<Fate> {
        let since = self.stalled_since?;
        let waited = cx.now.since(since);
        let config = cx.config;
        if self.tx.wnd == 0 && !self.orphan {
            return self.give_up_probing(cx, waited);
        }
        let mut tries = config.retries2;
        if self.orphan {
            let alive = self.rto(config) < config.rto_max;
            tries = self.orphan_tries(config, alive);
        }
        let limit = config
            .user_timeout
            .unwrap_or_else(|| patience(config, tries));
        (waited >= limit).then_some(Fate::Closed(Reason::TimedOut))
    }

    /// Decides at a time-out whether the host still bears a connection that nobody owns.
    fn shed(&self, cx: &Context<'_>) -> Option<Fate> {
        if !self.orphan {
            return None;
        }
        let alive = self.rto(cx.config) < cx.config.rto_max;
        let tries = self.orphan_tries(cx.config, alive);
        let over = self
            .stalled_since
            .is_some_and(|since| cx.now.since(since) >= patience(cx.config, tries));
        self.out_of_resources(cx, alive || !over)
    }

    /// The peer closed the window over what was in flight, so that retransmissions are probes.
    ///
    /// RFC 9293, 3.8.6 (MUST-35) and 3.8.6.1 (MUST-37): while it answers, it may keep the window
    /// closed. Linux's `tcp_rtx_probe0_timed_out`.
    fn give_up_probing(&self, cx: &Context<'_>, waited: Duration) -> Option<Fate> {
        let user = cx.config.user_timeout;
        let limit = cx.config.rto_max.saturating_mul(2);
        let limit = user.map_or(limit, |user| user.min(limit));
        let silent = cx.now.since(self.last_heard);
        let over = user.is_some_and(|user| waited >= user) || (silent > limit && waited > limit);
        over.then_some(Fate::Closed(Reason::TimedOut))
    }

    /// The window has been closed, or a partial segment been held, for long enough (Linux's
    /// `tcp_probe_timer`).
    fn on_persist(&mut self, cx: &mut Context<'_>) -> Fate {
        let config = cx.config;
        if self.tx.in_flight() > 0 || !self.tx.has_unsent(self.state.sends_fin()) {
            self.probes_out = 0;
            self.probing_since = None;
            return Fate::Alive;
        }
        if self.tx.window_end() > self.tx.nxt {
            self.tx.override_hold = true;
            self.tx.persisted = true;
            self.tx.push = self.tx.written;
            return Fate::Alive;
        }
        let since = *self.probing_since.get_or_insert(cx.now);
        let waited = cx.now.since(since);
        if config.user_timeout.is_some_and(|limit| waited >= limit) {
            return Fate::Closed(Reason::TimedOut);
        }
        let mut tries = config.retries2;
        if self.orphan {
            let alive = self.rto(config) < config.rto_max;
            tries = self.orphan_tries(config, alive);
            if !alive && self.backoff >= tries {
                return Fate::Closed(Reason::TimedOut);
            }
            if let Some(fate) = self.out_of_resources(cx, true) {
                return fate;
            }
        }
        // RFC 9293, 3.8.6.1: a peer that answers may keep the window closed for ever; answers reset
        // the count.
        if self.probes_out >= tries {
            return Fate::Closed(Reason::TimedOut);
        }
        // RFC 9293, 3.8.5: the peer hears of urgent data behind the closed window. As Linux by a
        // segment of its own, where the pointer reaches so far.
        let ahead = self.tx.up.saturating_sub(self.tx.una);
        let tells = (1..=u64::from(u16::MAX)).contains(&ahead);
        self.probes_due = if tells { 2 } else { 1 };
        self.probes_out = self.probes_out.saturating_add(1);
        if self.backoff < config.retries2 {
            self.backoff = self.backoff.saturating_add(1);
        }
        self.arm_persist(cx);
        Fate::Alive
    }

    /// The peer may have been silent for long (RFC 9293, 3.8.4; Linux's `tcp_keepalive_timer`).
    fn on_keepalive(&mut self, cx: &mut Context<'_>) -> Fate {
        let Some(keepalive) = cx.config.keepalive else {
            return Fate::Alive;
        };
        let busy = self.tx.in_flight() > 0 || self.tx.has_unsent(self.state.sends_fin());
        let silent = cx.now.since(self.last_heard);
        let wait = if busy {
            keepalive.idle
        } else if silent < keepalive.idle {
            keepalive.idle.saturating_sub(silent)
        } else {
            let dead = match cx.config.user_timeout {
                Some(limit) => silent >= limit && self.probes_out > 0,
                None => self.probes_out >= keepalive.probes,
            };
            if dead {
                return Fate::Reset(Reason::TimedOut);
            }
            self.probes_due = 1;
            self.probes_out = self.probes_out.saturating_add(1);
            keepalive.interval
        };
        self.timers
            .set(Timer::KeepAlive, cx.now, cx.now.saturating_add(wait));
        Fate::Alive
    }
}
