// SPDX-License-Identifier: GPL-2.0

//! BBR's cwnd: the bandwidth-delay product, room for how hosts bundle segments and acknowledgments,
//! and what recovery makes of it.

use crate::engine::cc::bbr::Bbr;
use crate::engine::cc::bbr::Controls;
use crate::engine::cc::bbr::Mode;
use crate::engine::cc::bbr::EXTRA_ROUNDS;
use crate::engine::cc::bbr::LEAST_SEGMENTS;
use crate::engine::cc::bbr::UNIT;
use crate::engine::cc::pacing::divide_wide;
use crate::engine::cc::Acked;
use crate::engine::info::CaState;
use crate::engine::rate::RateSample;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// Segments of cwnd while no round trip is known (RFC 6928).
const SAFE_SEGMENTS: u32 = 10;
/// The largest buffer that counts, in octets and in segments.
const BUFFER_OCTETS: u64 = 65_535 - 320;
const BUFFER_SEGMENTS: u32 = 127;
/// An excess of acknowledgments counts for no more than this.
const EXTRA_TIME: Duration = Duration::from_millis(100);
/// Segments of excess after which it is measured anew.
const EPOCH_SEGMENTS: u64 = 1 << 20;

impl Bbr {
    /// Returns the octets that fill the pipe, times a gain.
    pub(super) fn product(&self, controls: &Controls<'_>, bandwidth: u64, gain: u64) -> u32 {
        let Some(min_rtt) = self.min_rtt else {
            return controls.mss.saturating_mul(SAFE_SEGMENTS);
        };
        let octets = divide_wide(bandwidth, min_rtt.as_nanos(), 1_000_000_000);
        let octets = divide_wide(octets, gain, UNIT).saturating_add(1);
        u32::try_from(octets).unwrap_or(u32::MAX)
    }

    /// Returns how many segments one buffer is to have at the present rate.
    fn buffer_segments(controls: &Controls<'_>) -> u32 {
        let rate = controls.pacing.rate();
        let octets = (rate >> 10).min(BUFFER_OCTETS) as u32;
        let segments = octets.checked_div(controls.mss).unwrap_or(0);
        segments.max(Bbr::least_segments(rate)).min(BUFFER_SEGMENTS)
    }

    /// Adds what hosts need to bundle segments: a buffer in the queue, one on the way through the
    /// sender, one at the receiver; an even number for delayed acknowledgments.
    fn quantize(&self, controls: &Controls<'_>, octets: u32) -> u32 {
        let mss = controls.mss.max(1);
        let mut segments = octets
            .div_ceil(mss)
            .saturating_add(Self::buffer_segments(controls).saturating_mul(3));
        segments = segments.saturating_add(segments & 1);
        if self.mode == Mode::ProbeBandwidth && self.phase == 0 {
            // So that a probe shows even where the pipe holds next to nothing.
            segments = segments.saturating_add(2);
        }
        segments.saturating_mul(mss)
    }

    /// Returns the octets to have in flight for a bandwidth and a gain.
    pub(super) fn inflight(&self, controls: &Controls<'_>, bandwidth: u64, gain: u64) -> u32 {
        self.quantize(controls, self.product(controls, bandwidth, gain))
    }

    /// Returns the octets that will be in the network when the next segment leaves: pacing has put
    /// its departure off, and others arrive meanwhile.
    pub(super) fn in_network(&self, controls: &Controls<'_>, now: Instant, in_flight: u64) -> u64 {
        let wait = controls.pacing.next().since(now);
        let arriving = divide_wide(self.bandwidth(), wait.as_nanos(), 1_000_000_000);
        let mut octets = in_flight;
        if self.pacing_gain > UNIT {
            let buffer = Self::buffer_segments(controls).saturating_mul(controls.mss);
            octets = octets.saturating_add(u64::from(buffer));
        }
        octets.saturating_sub(arriving)
    }

    /// Measures how much more is acknowledged at once than the bandwidth explains.
    pub(super) fn update_aggregation(&mut self, controls: &Controls<'_>, sample: &RateSample) {
        if sample.newly_delivered == 0 || sample.rate.is_none() {
            return;
        }
        if self.round_start {
            self.extra_rounds = self.extra_rounds.saturating_add(1);
            if self.extra_rounds >= EXTRA_ROUNDS {
                self.extra_rounds = 0;
                self.extra_second = !self.extra_second;
                *self.extra_now() = 0;
            }
        }
        let at = controls.rate.delivered_at();
        let span = at.since(self.epoch_at);
        let mut expected = divide_wide(self.bandwidth(), span.as_nanos(), 1_000_000_000);
        let most = EPOCH_SEGMENTS.saturating_mul(u64::from(controls.mss));
        let acked = self.epoch_acked.saturating_add(sample.newly_delivered);
        if self.epoch_acked <= expected || acked >= most {
            self.epoch_acked = 0;
            self.epoch_at = at;
            expected = 0;
        }
        self.epoch_acked = self
            .epoch_acked
            .saturating_add(sample.newly_delivered)
            .min(most);
        let extra = self.epoch_acked.saturating_sub(expected);
        let extra = u32::try_from(extra).unwrap_or(u32::MAX).min(*controls.cwnd);
        let known = self.extra_now();
        *known = extra.max(*known);
    }

    fn extra_now(&mut self) -> &mut u32 {
        let [first, second] = &mut self.extra;
        if self.extra_second {
            second
        } else {
            first
        }
    }

    fn extra_cwnd(&self) -> u32 {
        if !self.full {
            return 0;
        }
        let [first, second] = self.extra;
        let most = divide_wide(self.bandwidth(), EXTRA_TIME.as_millis(), 1_000);
        let most = u32::try_from(most).unwrap_or(u32::MAX);
        first.max(second).min(most)
    }

    /// Keeps a good cwnd for after recovery or PROBE_RTT.
    pub(super) fn save_cwnd(&mut self, cwnd: u32) {
        let is_cut = matches!(self.before, CaState::Recovery | CaState::Loss);
        self.prior_cwnd = if is_cut || self.mode == Mode::ProbeRtt {
            self.prior_cwnd.max(cwnd)
        } else {
            cwnd
        };
    }

    /// Loss was detected: ssthresh stays, cwnd is remembered.
    pub(crate) fn on_loss(&mut self, cwnd: u32) {
        self.save_cwnd(cwnd);
    }

    pub(super) fn set_cwnd(
        &mut self,
        controls: &mut Controls<'_>,
        acked: &Acked<'_>,
        bandwidth: u64,
    ) {
        let delivered = u32::try_from(acked.sample.newly_delivered).unwrap_or(u32::MAX);
        let least = controls.mss.saturating_mul(LEAST_SEGMENTS);
        if delivered > 0 {
            *controls.cwnd = self.next_cwnd(controls, acked, bandwidth, delivered, least);
        }
        if self.mode == Mode::ProbeRtt {
            *controls.cwnd = least.min(*controls.cwnd);
        }
    }

    fn next_cwnd(
        &mut self,
        controls: &Controls<'_>,
        acked: &Acked<'_>,
        bandwidth: u64,
        delivered: u32,
        least: u32,
    ) -> u32 {
        let mut cwnd = self.recover(controls, acked, delivered);
        if self.conserving {
            return cwnd;
        }
        let target = self
            .product(controls, bandwidth, self.cwnd_gain)
            .saturating_add(self.extra_cwnd());
        let target = self.quantize(controls, target);
        let begun = u64::from(controls.mss.saturating_mul(SAFE_SEGMENTS));
        if self.full {
            cwnd = cwnd.saturating_add(delivered).min(target);
        } else if cwnd < target || controls.rate.delivered() < begun {
            cwnd = cwnd.saturating_add(delivered);
        }
        cwnd.max(least)
    }

    /// Returns cwnd as recovery wants it: without what was lost, in the first round only as much as
    /// is delivered, and afterwards what it was before.
    fn recover(&mut self, controls: &Controls<'_>, acked: &Acked<'_>, delivered: u32) -> u32 {
        let lost = u32::try_from(acked.sample.newly_lost).unwrap_or(u32::MAX);
        let mut cwnd = controls.cwnd.saturating_sub(lost).max(controls.mss);
        let replaced = u32::try_from(acked.in_flight)
            .unwrap_or(u32::MAX)
            .saturating_add(delivered);
        let is_cut = |state| matches!(state, CaState::Recovery | CaState::Loss);
        if acked.state == CaState::Recovery && self.before != CaState::Recovery {
            self.conserving = true;
            self.round_end = controls.rate.delivered();
            cwnd = replaced;
        } else if is_cut(self.before) && !is_cut(acked.state) {
            cwnd = cwnd.max(self.prior_cwnd);
            self.conserving = false;
        }
        self.before = acked.state;
        if self.conserving {
            cwnd = cwnd.max(replaced);
        }
        cwnd
    }
}
