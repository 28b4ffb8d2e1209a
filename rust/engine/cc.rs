// SPDX-License-Identifier: GPL-2.0

//! Congestion control: cwnd, ssthresh, and the events that move them. Octets throughout.
//!
//! The loss core says what happened, this says what becomes of cwnd. For each acknowledgment it
//! calls, in this order:
//!
//! 1. [`Rate::begin_ack`], then [`Rate::on_delivered`] for each transmission that arrived;
//! 2. [`Congestion::on_news`], before it decides about loss;
//! 3. what its decision asks for: [`Congestion::enter_recovery`], [`Congestion::enter_cwr`],
//!    [`Congestion::undo`], [`Congestion::end_reduction`];
//! 4. [`Rate::sample`], and [`Congestion::on_ack`] with it.
//!
//! For each transmission it calls [`Rate::stamp`] and [`Congestion::on_transmit`], and after each
//! round of sending [`Congestion::on_round`].
//!
//! A connection may begin with what earlier ones have learned of the path
//! ([`crate::engine::metrics`]).

pub(crate) mod bbr;
pub(crate) mod cubic;
pub(crate) mod dctcp;
pub(crate) mod hystart;
pub(crate) mod law;
pub(crate) mod pacing;
pub(crate) mod prr;
pub(crate) mod reno;
pub(crate) mod usage;

use crate::engine::cc::bbr::Controls;
use crate::engine::cc::hystart::Row;
use crate::engine::cc::hystart::Sign;
use crate::engine::cc::law::Cause;
use crate::engine::cc::law::Law;
use crate::engine::cc::pacing::Flow;
use crate::engine::cc::pacing::Pacer;
use crate::engine::cc::pacing::Pacing;
use crate::engine::cc::prr::Prr;
use crate::engine::cc::prr::Step;
use crate::engine::cc::usage::Usage;
use crate::engine::config::Config;
use crate::engine::info::CaState;
use crate::engine::info::CongestionInfo;
use crate::engine::metrics::Stage;
use crate::engine::rate::Rate;
use crate::engine::rate::RateSample;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// ssthresh before the first loss: as high as can be (RFC 5681, 3.1).
pub(crate) const NO_SSTHRESH: u32 = u32::MAX;

/// cwnd and ssthresh with the algorithm that decides them.
///
/// The events know nothing of the connection; an algorithm gets only what it computes with.
///
/// Windows are octets, but follow the segment size as if they were segments, like Linux's: ten
/// segments stay ten when the size turns out larger or smaller than the handshake made believe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Congestion {
    /// cwnd, in octets; never below one segment.
    cwnd: u32,
    /// ssthresh, in octets.
    ssthresh: u32,
    /// What an undo goes back to; `None` if the congestion is beyond doubt.
    prior_ssthresh: Option<u32>,
    /// cwnd before the last reduction.
    prior_cwnd: u32,
    /// cwnd after an idle time, in segments: RFC 5681, 4.1's restart window.
    initial: u32,
    /// The most that cwnd begins with and grows to, in segments.
    clamp: u32,
    /// The segment size that the windows are made of.
    mss: u32,
    /// cwnd is coming down to ssthresh.
    reduction: Option<Prr>,
    law: Law,
    usage: Usage,
    /// What is delivered, and how fast.
    pub(crate) rate: Rate,
    /// How fast octets may leave.
    pub(crate) pacing: Pacing,
}

/// What is known when an algorithm begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start {
    pub(crate) now: Instant,
    pub(crate) mss: u32,
    /// The SYN had to be sent more than twice.
    pub(crate) syn_lost: bool,
    /// Both ends understand ECN.
    pub(crate) ecn: bool,
    pub(crate) nxt: u64,
    /// The smoothed round-trip time, zero if it is not known.
    pub(crate) srtt: Duration,
    /// The shortest one.
    pub(crate) min_rtt: Option<Duration>,
}

/// What an acknowledgment tells before it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    pub(crate) now: Instant,
    /// SND.UNA after it.
    pub(crate) una: u64,
    pub(crate) nxt: u64,
    /// The round-trip time that it gave.
    pub(crate) rtt: Option<Duration>,
}

/// What an acknowledgment tells once it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked<'a> {
    pub(crate) now: Instant,
    /// What it delivered.
    pub(crate) sample: &'a RateSample,
    /// SND.NXT - SND.UNA after it, whatever is taken to be lost.
    pub(crate) outstanding: u64,
    /// Octets in the network after it: pipe.
    pub(crate) in_flight: u64,
    /// SND.UNA moved.
    pub(crate) advanced: bool,
    /// Growth is allowed: data was acknowledged in order, or, where much reordering was seen, in any
    /// order (Linux's `tcp_may_raise_cwnd`).
    pub(crate) may_raise: bool,
    /// The state after it.
    pub(crate) state: CaState,
    /// The smoothed round-trip time, zero if it is not known.
    pub(crate) srtt: Duration,
}

/// What an algorithm grows by in congestion avoidance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Growth {
    pub(crate) now: Instant,
    /// Octets delivered.
    pub(crate) octets: u32,
    pub(crate) mss: u32,
    pub(crate) srtt: Duration,
}

/// How a round of sending ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) now: Instant,
    pub(crate) una: u64,
    pub(crate) nxt: u64,
    /// cwnd was what ended it, or is used up.
    pub(crate) limited: bool,
    /// The sender is in [`CaState::Open`].
    pub(crate) open: bool,
    /// The user waits for room in the send buffer, so that its size is the limit.
    pub(crate) blocked: bool,
    /// An unused cwnd is given up by and by (`tcp_slow_start_after_idle`).
    pub(crate) decays: bool,
    pub(crate) rto: Duration,
}

#[cfg(test)]
impl Start {
    /// What is known when nothing is.
    pub(crate) fn unknown(now: Instant) -> Start {
        Start {
            now,
            mss: 1,
            syn_lost: false,
            ecn: false,
            nxt: 0,
            srtt: Duration::ZERO,
            min_rtt: None,
        }
    }
}

impl Congestion {
    /// Makes the state of a new connection (RFC 6928): one segment if the SYN had to be sent more
    /// than twice.
    pub(crate) fn new(config: &Config, start: &Start) -> Congestion {
        let mss = start.mss.max(1);
        let clamp = match config.known.cwnd_clamp {
            0 => u32::MAX,
            known => known,
        };
        let initial = config.initial_cwnd.max(1).min(clamp);
        let segments = if start.syn_lost { 1 } else { initial };
        let cwnd = segments.saturating_mul(mss);
        let mut cc = Congestion {
            cwnd,
            ssthresh: match config.known.ssthresh {
                0 => NO_SSTHRESH,
                known => known.saturating_mul(mss),
            },
            prior_ssthresh: None,
            prior_cwnd: cwnd,
            initial,
            clamp,
            mss,
            reduction: None,
            law: Law::RENO,
            usage: Usage::new(start.now),
            rate: Rate::new(),
            pacing: Pacing::new(),
        };
        cc.follow(config, start.srtt, 0);
        cc.set_law(config, start);
        cc
    }

    /// Changes the cwnd after an idle time, in segments.
    pub(crate) fn set_initial(&mut self, segments: u32) {
        self.initial = segments.max(1).min(self.clamp);
    }

    /// Begins with the algorithm of `config`; the windows stay.
    pub(crate) fn set_law(&mut self, config: &Config, start: &Start) {
        self.prior_ssthresh = None;
        let mut law = Law::RENO;
        law.begin(&mut self.controls(config), start);
        self.law = law;
    }

    /// Returns the name by which `TCP_CONGESTION` knows the algorithm.
    pub(crate) fn name(&self) -> &'static str {
        self.law.name()
    }

    /// Returns what `TCP_CC_INFO` tells.
    /// `marked` if the last data that arrived was.
    pub(crate) fn law_info(&self, marked: bool) -> CongestionInfo {
        self.law.info(&self.rate, marked)
    }

    /// Returns the most octets of one buffer when the owner takes `max_len`.
    pub(crate) fn buffer_len(
        &self,
        config: &Config,
        min_rtt: Option<Duration>,
        mss: u32,
        max_len: u32,
    ) -> u32 {
        let least = self.law.least_segments(config, &self.pacing);
        self.pacing.buffer_len(config, min_rtt, mss, least, max_len)
    }

    /// Returns how many times cwnd the send buffer should hold (Linux's `sndbuf_expand`).
    pub(crate) fn buffer_windows(&self) -> u32 {
        self.law.buffer_windows()
    }

    fn follow(&mut self, config: &Config, srtt: Duration, outstanding: u64) {
        let flow = Flow {
            cwnd: self.cwnd,
            ssthresh: self.ssthresh,
            outstanding,
            srtt,
        };
        self.pacing.follow(&flow, config);
    }

    pub(crate) fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(crate) fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// Returns whether cwnd is coming down to ssthresh (Linux's `tcp_in_cwnd_reduction`).
    pub(crate) fn is_reducing(&self) -> bool {
        self.reduction.is_some()
    }

    fn in_slow_start(&self) -> bool {
        self.cwnd < self.ssthresh
    }

    /// Returns the ssthresh that describes the path at the moment (Linux's `tcp_current_ssthresh`).
    fn known_ssthresh(&self) -> u32 {
        if self.reduction.is_some() {
            self.ssthresh
        } else {
            let most = self.cwnd.saturating_sub(self.cwnd / 4);
            self.ssthresh.max(most)
        }
    }

    /// Octets leave at `now`, for the first time or again, in `segments` on the wire.
    pub(crate) fn on_transmit(&mut self, now: Instant, octets: u32, segments: u32) {
        self.usage.on_transmit();
        if let Some(prr) = &mut self.reduction {
            prr.on_transmit(octets);
        }
        self.pacing.on_transmit(now, octets, segments);
    }

    /// Octets are about to leave into an empty network (Linux's CA_EVENT_TX_START).
    pub(crate) fn on_tx_start(&mut self, config: &Config, now: Instant, srtt: Duration) {
        let mut law = self.law;
        law.on_tx_start(&mut self.controls(config), now, srtt);
        self.law = law;
    }

    /// A round of sending ended. A cwnd that the sender does not need for an RTO shrinks towards
    /// what it uses (RFC 7661's concern; Linux's `tcp_cwnd_application_limited`).
    pub(crate) fn on_round(&mut self, round: &Round) {
        let Some(used) = self.usage.on_round(self.cwnd, self.ssthresh, round) else {
            return;
        };
        if self.law.is_model() {
            return;
        }
        let least = u64::from(self.initial.saturating_mul(self.mss));
        let used = u32::try_from(used.max(least)).unwrap_or(u32::MAX);
        if used < self.cwnd {
            self.ssthresh = self.known_ssthresh();
            self.cwnd = self.cwnd.midpoint(used);
        }
    }

    /// An acknowledgment brings news; nothing is decided about loss yet. Returns what ends the first
    /// slow start, if that is over.
    pub(crate) fn on_news(&mut self, news: &News) -> Option<Sign> {
        let mut end = None;
        let initial = self.in_slow_start() && self.ssthresh == NO_SSTHRESH;
        match &mut self.law {
            Law::Cubic(cubic) if initial => {
                let row = Row {
                    slack: self.pacing.ack_slack(),
                    paced: self.pacing.pacer() != Pacer::None,
                };
                let least = self.mss.saturating_mul(hystart::LEAST_SEGMENTS);
                let large = self.cwnd >= least;
                end = cubic.hystart.on_ack(news, large.then_some(row));
                if end.is_some() {
                    self.ssthresh = self.cwnd;
                }
            }
            Law::Dctcp(dctcp) => dctcp.on_ack(news, &self.rate),
            _ => {}
        }
        end
    }

    /// An acknowledgment was taken: cwnd and the pacing rate move.
    ///
    /// In a reduction cwnd follows RFC 6937, else it grows as the algorithm says. An algorithm with
    /// a model of the path decides all by itself (Linux's `tcp_cong_control`).
    pub(crate) fn on_ack(&mut self, config: &Config, acked: &Acked<'_>) {
        if let Law::Bbr(bbr) = self.law {
            let mut bbr = bbr;
            bbr.on_ack(&mut self.controls(config), acked);
            self.law = Law::Bbr(bbr);
            self.bound();
            return;
        }
        if let Some(prr) = &mut self.reduction {
            let cwnd = prr.step(
                self.ssthresh,
                &Step {
                    newly_delivered: acked.sample.newly_delivered,
                    newly_lost: acked.sample.newly_lost,
                    in_flight: acked.in_flight,
                    advanced: acked.advanced,
                    mss: self.mss,
                },
            );
            self.cwnd = cwnd.unwrap_or(self.cwnd);
        } else if acked.may_raise {
            self.grow(acked);
        }
        self.follow(config, acked.srtt, acked.outstanding);
    }

    /// Lends an algorithm what it may move.
    fn controls<'a>(&'a mut self, config: &'a Config) -> Controls<'a> {
        Controls {
            config,
            cwnd: &mut self.cwnd,
            ssthresh: &mut self.ssthresh,
            rate: &mut self.rate,
            pacing: &mut self.pacing,
            mss: self.mss,
        }
    }

    fn grow(&mut self, acked: &Acked<'_>) {
        if !self.usage.is_limit(self.cwnd, self.ssthresh) {
            if let Law::Cubic(cubic) = &mut self.law {
                cubic.on_unlimited_ack(acked.now);
            }
            return;
        }
        let mut growth = Growth {
            now: acked.now,
            octets: u32::try_from(acked.sample.newly_delivered).unwrap_or(u32::MAX),
            mss: self.mss,
            srtt: acked.srtt,
        };
        if self.in_slow_start() {
            // RFC 5681, 3.1, equation 2 with RFC 3465's byte counting; as Linux without its limit
            // of two segments per ACK, because peers and NICs merge acknowledgments.
            let room = self.ssthresh.saturating_sub(self.cwnd);
            let wanted = match &self.law {
                Law::Cubic(cubic) if self.ssthresh == NO_SSTHRESH => {
                    cubic.hystart.growth(growth.octets)
                }
                _ => growth.octets,
            };
            self.cwnd = self.cwnd.saturating_add(wanted.min(room));
            growth.octets = growth.octets.saturating_sub(room);
        }
        if growth.octets > 0 {
            self.cwnd = self.law.avoid(self.cwnd, &growth);
        }
        self.bound();
    }

    /// Applies the bound that the administrator has set (Linux's `snd_cwnd_clamp`).
    fn bound(&mut self) {
        self.cwnd = self.cwnd.min(self.clamp.saturating_mul(self.mss));
    }

    /// Returns cwnd and ssthresh in segments, and what they are worth.
    pub(crate) fn learned(&self, state: CaState) -> (u32, u32, Stage) {
        let segments = |octets: u32| octets.checked_div(self.mss).unwrap_or(octets);
        let stage = if self.ssthresh == NO_SSTHRESH {
            Stage::FirstSlowStart
        } else if !self.in_slow_start() && state == CaState::Open {
            Stage::Avoidance
        } else {
            Stage::Between
        };
        (segments(self.cwnd), segments(self.ssthresh), stage)
    }

    /// Acknowledgments told of loss: fast recovery begins.
    ///
    /// After an echo of CE (`ece`) the congestion is beyond doubt, whatever becomes of the loss. In
    /// [`CaState::Cwr`] the reduction that is under way goes on.
    pub(crate) fn enter_recovery(&mut self, ece: bool) {
        self.prior_ssthresh = None;
        if self.reduction.is_none() {
            if !ece {
                self.prior_ssthresh = Some(self.known_ssthresh());
            }
            self.begin_reduction(Cause::Loss);
        } else {
            self.ssthresh = self
                .law
                .on_loss_in_reduction(self.cwnd, self.ssthresh, self.mss);
        }
    }

    /// An echo of CE, a lost tail that a probe repaired, or a full queue of our own host: cwnd comes
    /// down though nothing has to be sent again. `state` is the one before.
    ///
    /// It cannot be undone, nor can what goes on already: congestion is proven.
    pub(crate) fn enter_cwr(&mut self, state: CaState) {
        self.prior_ssthresh = None;
        if matches!(state, CaState::Open | CaState::Disorder) {
            self.begin_reduction(Cause::Mark);
        }
    }

    fn begin_reduction(&mut self, cause: Cause) {
        self.prior_cwnd = self.cwnd;
        self.ssthresh = self.law.reduce(self.cwnd, self.ssthresh, self.mss, cause);
        self.reduction = Some(Prr::new(self.prior_cwnd));
    }

    /// Recovery or CWR is over: all that was in flight when it began is acknowledged, and it was not
    /// undone.
    ///
    /// RFC 6582, 3.2, step 3 (option 2, as Linux's `tcp_end_cwnd_reduction`): with option 1 a
    /// recovery that ends with little in flight would start again from almost nothing.
    pub(crate) fn end_reduction(&mut self, now: Instant) {
        if self.reduction.take().is_some() && !self.law.is_model() {
            self.cwnd = self.ssthresh.max(self.mss);
            self.usage.touch(now);
        }
    }

    /// The retransmission timer expired, and `in_flight` octets are not taken to be lost; `first`
    /// unless the window was reduced already for the same data.
    ///
    /// RFC 5681, 3.1: cwnd becomes one segment; ssthresh is held when the timer expires again. As
    /// Linux one segment more than what is in the network.
    pub(crate) fn enter_loss(
        &mut self,
        config: &Config,
        now: Instant,
        in_flight: u64,
        first: bool,
    ) {
        if first {
            self.prior_ssthresh = Some(self.known_ssthresh());
            self.prior_cwnd = self.cwnd;
            self.ssthresh = self
                .law
                .reduce(self.cwnd, self.ssthresh, self.mss, Cause::Timeout);
        }
        if let Law::Bbr(bbr) = self.law {
            let mut bbr = bbr;
            bbr.on_timeout(&self.controls(config));
            self.law = Law::Bbr(bbr);
        }
        self.reduction = None;
        let in_flight = u32::try_from(in_flight).unwrap_or(u32::MAX);
        self.cwnd = in_flight.saturating_add(self.mss);
        self.usage.touch(now);
    }

    /// The last reduction was a mistake: nothing was lost (Linux's `tcp_undo_cwnd_reduction`).
    pub(crate) fn undo(&mut self, now: Instant) {
        if let Some(prior) = self.prior_ssthresh {
            self.cwnd = match &mut self.law {
                Law::Bbr(bbr) => {
                    bbr.on_undo(&self.rate);
                    self.cwnd
                }
                Law::Dctcp(dctcp) => self.cwnd.max(dctcp.loss_cwnd()),
                _ => self.cwnd.max(self.prior_cwnd),
            };
            self.ssthresh = self.ssthresh.max(prior);
        }
        self.reduction = None;
        self.usage.touch(now);
    }

    /// Makes the last reduction one that no [`Congestion::undo`] takes back.
    pub(crate) fn forbid_undo(&mut self) {
        self.prior_ssthresh = None;
    }

    /// Nothing was sent for `idle`, at least one `rto` long.
    ///
    /// RFC 5681, 4.1; as Linux (`tcp_cwnd_restart`) cwnd halves once per RTO of idleness instead of
    /// falling at once.
    pub(crate) fn on_idle(&mut self, now: Instant, idle: Duration, rto: Duration) {
        if self.law.is_model() {
            return;
        }
        let restart = self.initial.saturating_mul(self.mss).min(self.cwnd);
        self.ssthresh = self.known_ssthresh();
        let mut left = idle;
        while left > rto && self.cwnd > restart {
            left = left.saturating_sub(rto.max(Duration::from_millis(1)));
            self.cwnd /= 2;
        }
        self.cwnd = self.cwnd.max(restart);
        self.usage.restart(now);
    }

    /// A probe of the path's MTU leaves: it may count as two segments (Linux's `tcp_mtu_probe`).
    pub(crate) fn begin_mtu_probe(&mut self) {
        self.cwnd = self.cwnd.saturating_sub(self.mss).max(self.mss);
    }

    /// It proved too large, which says nothing of congestion.
    pub(crate) fn end_mtu_probe(&mut self) {
        self.cwnd = self.cwnd.saturating_add(self.mss);
    }

    /// It arrived: segments become packets of `to` octets with all headers that were packets of
    /// `from`, and the windows stay the same in octets (Linux's `tcp_mtup_probe_success`).
    pub(crate) fn on_wider_path(&mut self, now: Instant, to: u32, from: u32) {
        self.prior_ssthresh = Some(self.known_ssthresh());
        self.cwnd = rescale(self.cwnd, from, to).max(self.mss);
        self.usage.touch(now);
        self.ssthresh = self.known_ssthresh();
    }

    /// The segment size became `mss`: the windows stay what they are in segments.
    pub(crate) fn on_mss(&mut self, mss: u32) {
        let (to, from) = (mss.max(1), self.mss);
        if to == from {
            return;
        }
        self.mss = to;
        self.cwnd = rescale(self.cwnd, to, from).max(to);
        self.prior_cwnd = rescale(self.prior_cwnd, to, from);
        self.prior_ssthresh = self.prior_ssthresh.map(|old| rescale(old, to, from));
        self.ssthresh = rescale(self.ssthresh, to, from);
        if let Some(prr) = &mut self.reduction {
            prr.rescale(to, from);
        }
        self.law.rescale(to, from);
    }
}

/// Returns a window for segments of `to` octets that was one for segments of `from` octets.
fn rescale(window: u32, to: u32, from: u32) -> u32 {
    if window == NO_SSTHRESH {
        return window;
    }
    let product = u64::from(window).saturating_mul(u64::from(to));
    let scaled = product
        .checked_div(u64::from(from))
        .unwrap_or(u64::from(window));
    u32::try_from(scaled).unwrap_or(NO_SSTHRESH)
}

/// Returns whether a connection that last sent at `last` has idled so long that cwnd tells nothing
/// any more.
pub(crate) fn idle_since(last: Instant, now: Instant, rto: Duration) -> Option<Duration> {
    let idle = now.since(last);
    (idle > rto).then_some(idle)
}

#[cfg(test)]
mod tests;
