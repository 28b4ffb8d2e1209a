// SPDX-License-Identifier: GPL-2.0

//! PROBE_BW: the cycle of gains that looks for more bandwidth and leaves room for others.

use crate::engine::cc::bbr::Bbr;
use crate::engine::cc::bbr::Controls;
use crate::engine::cc::bbr::Mode;
use crate::engine::cc::bbr::UNIT;
use crate::engine::cc::Acked;
use crate::engine::rate::Rate;

/// The phases of a cycle.
const PHASES: u8 = 8;

/// Returns the pacing gain of a phase: one to find more, one to drain what that has queued, and
/// six to go at the bandwidth.
pub(super) fn gain(phase: u8) -> u64 {
    match phase {
        0 => UNIT * 5 / 4,
        1 => UNIT * 3 / 4,
        _ => UNIT,
    }
}

impl Bbr {
    /// Enters PROBE_BW in any phase but that which drains, so that flows do not probe together. The
    /// nanosecond in which something was delivered serves as chance.
    pub(super) fn start_cycle(&mut self, rate: &Rate) {
        self.mode = Mode::ProbeBandwidth;
        let chance = rate.delivered_at().as_nanos() % 7;
        self.phase = PHASES
            .saturating_sub(1)
            .saturating_sub(u8::try_from(chance).unwrap_or(0));
        self.advance(rate);
    }

    fn advance(&mut self, rate: &Rate) {
        self.phase = self.phase.saturating_add(1) % PHASES;
        self.phase_at = rate.delivered_at();
    }

    pub(super) fn update_cycle(&mut self, controls: &Controls<'_>, acked: &Acked<'_>) {
        if self.mode == Mode::ProbeBandwidth && self.is_phase_over(controls, acked) {
            self.advance(controls.rate);
        }
    }

    fn is_phase_over(&self, controls: &Controls<'_>, acked: &Acked<'_>) -> bool {
        let span = controls.rate.delivered_at().since(self.phase_at);
        let is_long = self.min_rtt.is_some_and(|min_rtt| span > min_rtt);
        if self.pacing_gain == UNIT {
            return is_long;
        }
        let sample = acked.sample;
        let in_network = self.in_network(controls, acked.now, sample.prior_in_flight);
        let bandwidth = self.bandwidth.get();
        if self.pacing_gain > UNIT {
            // Until the probe is in the network, or is too much for it.
            let wanted = self.inflight(controls, bandwidth, self.pacing_gain);
            is_long && (sample.newly_lost > 0 || in_network >= u64::from(wanted))
        } else {
            // Until the queue is gone.
            let wanted = self.inflight(controls, bandwidth, UNIT);
            is_long || in_network <= u64::from(wanted)
        }
    }
}
