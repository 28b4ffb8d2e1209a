// SPDX-License-Identifier: GPL-2.0

//! What the connection tells congestion control of itself, and how pacing holds it back.

use crate::engine::cc::Start;
use crate::engine::chrono::Limit;
use crate::engine::config::Config;
use crate::engine::metrics::Learned;
use crate::engine::store::Store;
use crate::engine::synchronized::output::Limits;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Synchronized;
use crate::engine::time::Instant;
use crate::engine::timers::Timer;
use crate::engine::tx::NewData;

impl<S: Store> Synchronized<S> {
    /// Changes the algorithm to that of `config`; cwnd and ssthresh stay.
    pub(crate) fn set_congestion(&mut self, now: Instant, config: &Config) {
        let start = Start {
            now,
            mss: self.mss(config),
            syn_lost: false,
            ecn: self.agreed.ecn,
            nxt: self.tx.nxt,
            srtt: self.rtt.srtt().unwrap_or_default(),
            min_rtt: self.rtt.min_rtt(),
        };
        self.cc.set_law(config, &start);
        self.ecn.set_exact(config.congestion.needs_ecn());
    }

    /// Returns what the connection has learned of its path.
    pub(crate) fn learned(&self, config: &Config) -> Learned {
        let (cwnd, ssthresh, stage) = self.cc.learned(self.recovery.state());
        let reordering = self.recovery.reordering();
        Learned {
            rtt: self.rtt.srtt().filter(|_| self.backoff == 0),
            cwnd,
            ssthresh,
            stage,
            reordering: if reordering == config.reordering {
                0
            } else {
                reordering
            },
        }
    }

    pub(crate) fn on_local_congestion(&mut self) {
        self.recovery.enter_cwr(self.tx.nxt, &mut self.cc);
        self.note_reduction();
    }

    /// Returns when pacing lets data leave, or an acknowledgment stands for several of disorder.
    pub(crate) fn next_fine_deadline(&self) -> Option<Instant> {
        self.timers.next_fine()
    }

    /// Returns the deadline of everything else.
    pub(crate) fn next_coarse_deadline(&self) -> Option<Instant> {
        let others = self.timers.next_coarse();
        others.into_iter().chain(self.opening_deadline()).min()
    }

    /// Returns the owner's limits with what pacing leaves of them: no data before the next
    /// departure, and buffers no larger than the rate asks for.
    pub(super) fn pace(&mut self, cx: &Context<'_>, limits: &Limits) -> Limits {
        let mut limits = *limits;
        // A tail-loss probe waits no longer, as in Linux.
        let holds = self.cc.pacing.holds(cx.now);
        if let Some(at) = holds.filter(|_| !self.tail_probe_due) {
            limits.max_len = 0;
            let repairs = self.recovery.board.has_unrepaired();
            if repairs || self.tx.has_unsent(self.state.sends_fin()) {
                self.timers.set_precisely(Timer::Pacing, at);
            }
        } else if limits.max_len > 0 {
            let mss = self.mss(cx.config);
            let min_rtt = self.rtt.min_rtt();
            limits.max_len = self.cc.buffer_len(cx.config, min_rtt, mss, limits.max_len);
        }
        limits
    }

    /// The user writes: if nothing waits and cwnd is not used up, what was sent so far tells of the
    /// user's pace (Linux's `tcp_rate_check_app_limited`).
    pub(super) fn note_app_limited(&mut self, config: &Config) {
        let mss = self.mss(config);
        let in_flight = self.recovery.pipe(mss);
        let waits = self.tx.unsent() >= u64::from(mss);
        let lost = self.recovery.board.has_unrepaired();
        if !waits && !lost && !self.host_busy && in_flight < u64::from(self.cc.cwnd()) {
            self.cc.rate.on_app_limited(in_flight);
        }
    }

    /// Notes what limits sending after a round that ended with `next`.
    pub(super) fn note_limit(&mut self, now: Instant, next: &NewData) {
        let unsent = self.tx.has_unsent(self.state.sends_fin());
        let limit = if *next == NewData::Window && unsent {
            Limit::Window
        } else if !unsent && self.writer_blocked {
            Limit::Buffer
        } else if unsent || self.tx.in_flight() > 0 {
            Limit::Busy
        } else {
            Limit::Idle
        };
        self.chrono.set(now, limit);
    }
}
