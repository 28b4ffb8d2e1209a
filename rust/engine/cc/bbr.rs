// SPDX-License-Identifier: GPL-2.0

//! BBR, version 1: a model of the path, its bandwidth and its shortest round trip, instead of a
//! reaction to loss (Cardwell and others, "BBR: Congestion-Based Congestion Control", 2016; as
//! Linux's `tcp_bbr.c`).
//!
//! Bandwidths are octets per second, gains are fractions of 256, rounds are counted by the
//! deliveries of what was sent.

mod cycle;
mod policer;
mod window;

use crate::engine::cc::bbr::policer::Policer;
use crate::engine::cc::pacing::divide_wide;
use crate::engine::cc::pacing::Pacing;
use crate::engine::cc::Acked;
use crate::engine::config::Config;
use crate::engine::filter::MaxFilter;
use crate::engine::info::CaState;
use crate::engine::rate::per_second;
use crate::engine::rate::Rate;
use crate::engine::rate::RateSample;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// 1 as a gain.
const UNIT: u64 = 256;
/// 2/ln 2: the least gain that doubles the rate each round.
const HIGH_GAIN: u64 = UNIT * 2_885 / 1_000 + 1;
/// Its inverse empties in a round what it filled in one.
const DRAIN_GAIN: u64 = UNIT * 1_000 / 2_885;
/// cwnd in steady state: acknowledgments may come late and in bunches.
const CWND_GAIN: u64 = UNIT * 2;
/// The rounds that a bandwidth counts: a cycle of gains and two more.
const BANDWIDTH_ROUNDS: u64 = 10;
/// How long the shortest round trip is believed.
const MIN_RTT_WINDOW: Duration = Duration::from_secs(10);
/// How long the queue is kept empty to find it anew.
const PROBE_RTT_TIME: Duration = Duration::from_millis(200);
/// Segments in flight that keep acknowledgments coming.
const LEAST_SEGMENTS: u32 = 4;
/// The pacing rate is this much below the bandwidth, of 100.
const MARGIN: u64 = 1;
/// The pipe is full if in three rounds the bandwidth has not grown by a quarter.
const FULL_GROWTH: u64 = UNIT * 5 / 4;
const FULL_ROUNDS: u8 = 3;
/// How many rounds the excess of acknowledgments is remembered, at least.
const EXTRA_ROUNDS: u8 = 5;

/// What BBR is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// Finding the bandwidth: the rate doubles each round.
    Startup,
    /// Emptying the queue that this has filled.
    Drain,
    /// Cycling around the bandwidth.
    ProbeBandwidth,
    /// Emptying the queue to see the shortest round trip.
    ProbeRtt,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bbr {
    mode: Mode,
    /// Linux's `prev_ca_state`.
    before: CaState,
    bandwidth: MaxFilter,
    /// Rounds so far, and the total of deliveries that ends the present one.
    round: u64,
    round_end: u64,
    /// A round begins with this acknowledgment.
    round_start: bool,
    min_rtt: Option<Duration>,
    min_rtt_at: Instant,
    /// PROBE_RTT may end then.
    probe_rtt_until: Option<Instant>,
    probe_rtt_round_done: bool,
    pacing_gain: u64,
    cwnd_gain: u64,
    /// The place in the cycle of gains, and since when.
    phase: u8,
    phase_at: Instant,
    /// STARTUP has found the bandwidth.
    full: bool,
    full_bandwidth: u64,
    full_rounds: u8,
    seen_rtt: bool,
    /// Sending begins anew after the user paused.
    idle_restart: bool,
    /// In the first round of recovery only what was delivered is replaced.
    conserving: bool,
    /// cwnd before recovery or PROBE_RTT.
    prior_cwnd: u32,
    policer: Policer,
    /// Acknowledged beyond what the bandwidth explains: since when, how much, and the most in two
    /// windows of rounds.
    epoch_at: Instant,
    epoch_acked: u64,
    extra: [u32; 2],
    extra_second: bool,
    extra_rounds: u8,
}

/// What BBR moves.
pub(crate) struct Controls<'a> {
    pub(crate) config: &'a Config,
    pub(crate) cwnd: &'a mut u32,
    pub(crate) ssthresh: &'a mut u32,
    pub(crate) rate: &'a mut Rate,
    pub(crate) pacing: &'a mut Pacing,
    pub(crate) mss: u32,
}

impl Bbr {
    /// Begins in STARTUP; the rate is the initial cwnd in a round trip, or in a millisecond if none
    /// is known.
    pub(crate) fn new(
        now: Instant,
        controls: &mut Controls<'_>,
        srtt: Duration,
        min_rtt: Option<Duration>,
    ) -> Bbr {
        let mut bbr = Bbr {
            mode: Mode::Startup,
            before: CaState::Open,
            bandwidth: MaxFilter::default(),
            round: 0,
            round_end: controls.rate.delivered(),
            round_start: false,
            min_rtt,
            min_rtt_at: now,
            probe_rtt_until: None,
            probe_rtt_round_done: false,
            pacing_gain: HIGH_GAIN,
            cwnd_gain: HIGH_GAIN,
            phase: 0,
            phase_at: Instant::default(),
            full: false,
            full_bandwidth: 0,
            full_rounds: 0,
            seen_rtt: false,
            idle_restart: false,
            conserving: false,
            prior_cwnd: 0,
            policer: Policer::new(controls.rate),
            epoch_at: now,
            epoch_acked: 0,
            extra: [0; 2],
            extra_second: false,
            extra_rounds: 0,
        };
        *controls.ssthresh = super::NO_SSTHRESH;
        bbr.pace_by_rtt(controls, srtt);
        controls.pacing.need();
        bbr
    }

    /// Returns the bandwidth of the path.
    fn bandwidth(&self) -> u64 {
        self.policer
            .bandwidth()
            .unwrap_or_else(|| self.bandwidth.get())
    }

    /// An acknowledgment was taken: the model learns, rate and cwnd follow.
    pub(crate) fn on_ack(&mut self, controls: &mut Controls<'_>, acked: &Acked<'_>) {
        self.update_bandwidth(controls, acked.sample);
        self.update_aggregation(controls, acked.sample);
        self.update_cycle(controls, acked);
        self.check_full(acked.sample);
        self.check_drain(controls, acked);
        self.update_min_rtt(controls, acked);
        self.update_gains();
        let bandwidth = self.bandwidth();
        self.set_rate(controls, bandwidth, self.pacing_gain, acked.srtt);
        self.set_cwnd(controls, acked, bandwidth);
    }

    fn update_bandwidth(&mut self, controls: &mut Controls<'_>, sample: &RateSample) {
        self.round_start = false;
        let (Some((delivered, interval)), Some(prior)) = (sample.rate, sample.prior_delivered)
        else {
            return;
        };
        if prior >= self.round_end {
            self.round_end = controls.rate.delivered();
            self.round = self.round.saturating_add(1);
            self.round_start = true;
            self.conserving = false;
        }
        self.sample_policer(controls, sample);
        let bandwidth = per_second(delivered, interval);
        // What the user limited tells only that the path can do at least so much.
        if !sample.app_limited || bandwidth >= self.bandwidth.get() {
            self.bandwidth
                .update(BANDWIDTH_ROUNDS, self.round, bandwidth);
        }
    }

    /// Looks for a policer; restarts the cycle when it is time to doubt one.
    fn sample_policer(&mut self, controls: &Controls<'_>, sample: &RateSample) {
        let cycling = self.mode == Mode::ProbeBandwidth;
        let verdict = self
            .policer
            .sample(controls.rate, sample, self.round_start, cycling);
        match verdict {
            policer::Verdict::Nothing => {}
            policer::Verdict::Found => self.pacing_gain = UNIT,
            policer::Verdict::Doubted => self.start_cycle(controls.rate),
        }
    }

    /// Has STARTUP found the bandwidth?
    fn check_full(&mut self, sample: &RateSample) {
        if self.full || !self.round_start || sample.app_limited {
            return;
        }
        let enough = divide_wide(self.full_bandwidth, FULL_GROWTH, UNIT);
        if self.bandwidth.get() >= enough {
            self.full_bandwidth = self.bandwidth.get();
            self.full_rounds = 0;
            return;
        }
        self.full_rounds = self.full_rounds.saturating_add(1);
        self.full = self.full_rounds >= FULL_ROUNDS;
    }

    fn check_drain(&mut self, controls: &mut Controls<'_>, acked: &Acked<'_>) {
        let full_pipe = self.inflight(controls, self.bandwidth.get(), UNIT);
        if self.mode == Mode::Startup && self.full {
            self.mode = Mode::Drain;
            *controls.ssthresh = full_pipe;
        }
        if self.mode == Mode::Drain
            && self.in_network(controls, acked.now, acked.in_flight) <= u64::from(full_pipe)
        {
            self.start_cycle(controls.rate);
        }
    }

    fn update_min_rtt(&mut self, controls: &mut Controls<'_>, acked: &Acked<'_>) {
        let now = acked.now;
        let expired = now > self.min_rtt_at.saturating_add(MIN_RTT_WINDOW);
        if let Some(rtt) = acked.sample.rtt {
            let is_less = self.min_rtt.is_none_or(|least| rtt < least);
            if is_less || (expired && !acked.sample.ack_delayed) {
                self.min_rtt = Some(rtt);
                self.min_rtt_at = now;
            }
        }
        if expired && !self.idle_restart && self.mode != Mode::ProbeRtt {
            self.mode = Mode::ProbeRtt;
            self.save_cwnd(*controls.cwnd);
            self.probe_rtt_until = None;
        }
        if self.mode == Mode::ProbeRtt {
            // What is delivered meanwhile tells nothing of the bandwidth.
            controls.rate.on_app_limited(acked.in_flight);
            let least = u64::from(controls.mss.saturating_mul(LEAST_SEGMENTS));
            match self.probe_rtt_until {
                None if acked.in_flight <= least => {
                    self.probe_rtt_until = Some(now.saturating_add(PROBE_RTT_TIME));
                    self.probe_rtt_round_done = false;
                    self.round_end = controls.rate.delivered();
                }
                None => {}
                Some(_) => {
                    self.probe_rtt_round_done |= self.round_start;
                    if self.probe_rtt_round_done {
                        self.end_probe_rtt(controls, now);
                    }
                }
            }
        }
        if acked
            .sample
            .rate
            .is_some_and(|(delivered, _)| delivered > 0)
        {
            self.idle_restart = false;
        }
    }

    fn end_probe_rtt(&mut self, controls: &mut Controls<'_>, now: Instant) {
        if self.probe_rtt_until.is_none_or(|until| now <= until) {
            return;
        }
        self.min_rtt_at = now;
        *controls.cwnd = self.prior_cwnd.max(*controls.cwnd);
        if self.full {
            self.start_cycle(controls.rate);
        } else {
            self.mode = Mode::Startup;
        }
    }

    fn update_gains(&mut self) {
        (self.pacing_gain, self.cwnd_gain) = match self.mode {
            Mode::Startup => (HIGH_GAIN, HIGH_GAIN),
            Mode::Drain => (DRAIN_GAIN, HIGH_GAIN),
            Mode::ProbeBandwidth if self.policer.bandwidth().is_some() => (UNIT, CWND_GAIN),
            Mode::ProbeBandwidth => (cycle::gain(self.phase), CWND_GAIN),
            Mode::ProbeRtt => (UNIT, UNIT),
        };
    }

    /// Sets the pacing rate; before the pipe is full it only grows.
    fn set_rate(&mut self, controls: &mut Controls<'_>, bandwidth: u64, gain: u64, srtt: Duration) {
        if !self.seen_rtt && srtt > Duration::ZERO {
            self.pace_by_rtt(controls, srtt);
        }
        let rate = paced(bandwidth, gain).min(controls.config.max_pacing_rate);
        if self.full || rate > controls.pacing.rate() {
            controls
                .pacing
                .set_rate(rate, controls.config.max_pacing_rate);
        }
    }

    /// Paces cwnd over a round trip, at STARTUP's gain.
    fn pace_by_rtt(&mut self, controls: &mut Controls<'_>, srtt: Duration) {
        self.seen_rtt = srtt > Duration::ZERO;
        let rtt = if self.seen_rtt {
            srtt
        } else {
            Duration::from_millis(1)
        };
        let bandwidth = per_second(u64::from(*controls.cwnd), rtt);
        let most = controls.config.max_pacing_rate;
        controls.pacing.set_rate(paced(bandwidth, HIGH_GAIN), most);
    }

    /// Data leaves into an empty network. If the user paused, it leaves at the bandwidth: to go
    /// faster would only fill queues.
    pub(crate) fn on_tx_start(
        &mut self,
        controls: &mut Controls<'_>,
        now: Instant,
        srtt: Duration,
    ) {
        if !controls.rate.is_app_limited() {
            return;
        }
        self.idle_restart = true;
        self.epoch_at = now;
        self.epoch_acked = 0;
        match self.mode {
            Mode::ProbeBandwidth => self.set_rate(controls, self.bandwidth(), UNIT, srtt),
            Mode::ProbeRtt => self.end_probe_rtt(controls, now),
            Mode::Startup | Mode::Drain => {}
        }
    }

    /// The retransmission timer expired: ends a round, and forgets how full the pipe was.
    pub(crate) fn on_timeout(&mut self, controls: &Controls<'_>) {
        self.before = CaState::Loss;
        self.full_bandwidth = 0;
        self.round_start = true;
        let lost = RateSample {
            newly_lost: 1,
            ..RateSample::default()
        };
        self.sample_policer(controls, &lost);
    }

    /// Recovery turned out to be needless.
    pub(crate) fn on_undo(&mut self, rate: &Rate) {
        self.full_bandwidth = 0;
        self.full_rounds = 0;
        self.policer.reset(rate);
    }

    /// Returns the least segments of one buffer: at less than 1.2 Mbit/s a single one.
    pub(crate) fn least_segments(rate: u64) -> u32 {
        if rate < 1_200_000 / 8 {
            1
        } else {
            2
        }
    }

    /// Returns the values behind `TCP_CC_INFO`: bandwidth, shortest round trip, pacing and cwnd gain.
    pub(crate) fn info(&self) -> (u64, Option<Duration>, u32, u32) {
        (
            self.bandwidth(),
            self.min_rtt,
            self.pacing_gain as u32,
            self.cwnd_gain as u32,
        )
    }

    /// The segment size changed from `from` to `to`.
    pub(crate) fn rescale(&mut self, to: u32, from: u32) {
        self.prior_cwnd = super::rescale(self.prior_cwnd, to, from);
    }
}

/// Returns the pacing rate for a bandwidth: a little less, so that queues become shorter.
fn paced(bandwidth: u64, gain: u64) -> u64 {
    let rate = divide_wide(bandwidth, gain, UNIT);
    divide_wide(rate, 100 - MARGIN, 100)
}

#[cfg(test)]
mod tests;
