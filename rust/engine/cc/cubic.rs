// SPDX-License-Identifier: GPL-2.0

//! CUBIC's answers to the congestion events (RFC 9438), in octets, milliseconds and integers.

use crate::engine::cc::hystart::HyStart;
use crate::engine::cc::rescale;
use crate::engine::cc::Growth;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// 1/C in ms³ per segment: C = 0.4 segments/s³ (RFC 9438, 5.1).
const MS3_PER_SEGMENT: u64 = 2_500_000_000;
/// Times beyond this are cut, so that their cubes fit.
const LONGEST_MS: u64 = 2_000_000;

/// The state between losses (RFC 9438, 4.1.2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cubic {
    /// W_max: cwnd before the last reduction, less if that was lower than the one before; 0 after a
    /// time-out.
    w_max: u32,
    /// cwnd_prior: cwnd before the last reduction.
    prior: u32,
    /// The present stage of congestion avoidance, once it has begun.
    epoch: Option<Epoch>,
    /// Watches the initial slow start.
    pub(crate) hystart: HyStart,
}

/// A stage of congestion avoidance.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    /// K, in milliseconds.
    k: u64,
    /// W_max where the curve is flat.
    origin: u32,
    /// W_est: what Reno would have.
    w_est: u32,
    /// Growth of `w_est` and of cwnd below an octet, as numerators.
    est_rest: u64,
    rest: u64,
    /// t: how long cwnd has been what held the sender back.
    elapsed: Duration,
    /// Until when `elapsed` was counted.
    seen: Option<Instant>,
}

impl Cubic {
    pub(crate) fn new() -> Cubic {
        Cubic {
            w_max: 0,
            prior: 0,
            epoch: None,
            hystart: HyStart::default(),
        }
    }

    /// Congestion avoidance: returns cwnd after an acknowledgment.
    pub(crate) fn on_ack(&mut self, cwnd: u32, acked: &Growth) -> u32 {
        let cwnd = cwnd.max(1);
        let (w_max, prior) = (self.w_max, self.prior);
        let epoch = self
            .epoch
            .get_or_insert_with(|| Epoch::new(cwnd, w_max, acked.mss));
        epoch.count(acked.now);
        epoch.grow_estimate(cwnd, prior, acked);
        let now = epoch.elapsed.as_millis();
        // RFC 9438, 4.3: in the Reno-friendly region cwnd is W_est.
        let is_friendly = epoch.curve(now, acked.mss) < epoch.w_est;
        let friendly = if is_friendly { epoch.w_est } else { 0 };
        if is_friendly && w_max > 0 {
            return cwnd.max(friendly);
        }
        // RFC 9438, 4.2, 4.4 and 4.5: where the curve is a round trip from now, but no more than
        // half as much again.
        let later = now.saturating_add(acked.srtt.as_millis());
        let target = epoch.curve(later, acked.mss);
        let mut target = target.clamp(cwnd, cwnd.saturating_add(cwnd / 2));
        if w_max == 0 {
            // As Linux: where no loss has told the bandwidth the curve may begin too flat; 5 % in a
            // round trip are safe.
            target = target.max(cwnd.saturating_add(cwnd / 20));
        }
        let step = u64::from(target.saturating_sub(cwnd));
        let sum = u64::from(acked.octets).saturating_mul(step);
        let sum = sum.saturating_add(epoch.rest);
        let (whole, rest) = divide(sum, cwnd.into());
        epoch.rest = rest;
        cwnd.saturating_add(whole).min(target).max(friendly)
    }

    /// An acknowledgment came while something else than cwnd held the sender back.
    ///
    /// RFC 9438, 5.8: such time does not count.
    pub(crate) fn on_unlimited_ack(&mut self, now: Instant) {
        if let Some(epoch) = &mut self.epoch {
            epoch.seen = Some(now);
        }
    }

    /// Nothing was sent for a while, which does not count either.
    pub(crate) fn on_idle(&mut self) {
        if let Some(epoch) = &mut self.epoch {
            epoch.seen = None;
        }
    }

    /// The segment size changed from `from` to `to`: windows stay what they are in segments.
    pub(crate) fn rescale(&mut self, to: u32, from: u32) {
        self.w_max = rescale(self.w_max, to, from);
        self.prior = rescale(self.prior, to, from);
        if let Some(epoch) = &mut self.epoch {
            epoch.rescale(to, from);
        }
    }

    /// Loss, detected by acknowledgments or a time-out: returns ssthresh (RFC 9438, 4.6 and 4.8).
    ///
    /// As Linux a share of cwnd, which follows what is in flight, where RFC 9438 takes a share of
    /// that itself.
    pub(crate) fn on_loss(&mut self, cwnd: u32, mss: u32, timeout: bool) -> u32 {
        self.epoch = None;
        self.prior = cwnd;
        self.w_max = if timeout {
            // The next stage starts on the flat part of the curve.
            0
        } else if cwnd < self.w_max {
            // RFC 9438, 4.7: another flow wants a share; (1 + beta) / 2.
            share(cwnd, 17, 20)
        } else {
            cwnd
        };
        // beta = 0.7.
        share(cwnd, 7, 10).max(mss.saturating_mul(2))
    }
}

impl Epoch {
    /// The segment size changed from `from` to `to`.
    fn rescale(&mut self, to: u32, from: u32) {
        self.origin = rescale(self.origin, to, from);
        self.w_est = rescale(self.w_est, to, from);
        self.est_rest = 0;
        self.rest = 0;
    }

    /// Begins a stage with cwnd_epoch `cwnd` (RFC 9438, 4.2, equation 2).
    fn new(cwnd: u32, w_max: u32, mss: u32) -> Epoch {
        let below = u64::from(w_max.saturating_sub(cwnd));
        let cube = below.saturating_mul(MS3_PER_SEGMENT);
        Epoch {
            k: cube_root(cube.checked_div(mss.max(1).into()).unwrap_or(0)),
            origin: w_max.max(cwnd),
            w_est: cwnd,
            est_rest: 0,
            rest: 0,
            elapsed: Duration::ZERO,
            seen: None,
        }
    }

    fn count(&mut self, now: Instant) {
        let span = now.since(self.seen.unwrap_or(now));
        self.elapsed = self.elapsed.saturating_add(span);
        self.seen = Some(now);
    }

    /// W_cubic(t) (RFC 9438, 4.2, equation 1), with t in milliseconds.
    fn curve(&self, t: u64, mss: u32) -> u32 {
        let distance = t.abs_diff(self.k).min(LONGEST_MS);
        let cube = distance.saturating_mul(distance).saturating_mul(distance);
        let (segments, rest) = divide(cube, MS3_PER_SEGMENT);
        let (part, _) = divide(rest.saturating_mul(mss.into()), MS3_PER_SEGMENT);
        let octets = segments.saturating_mul(mss).saturating_add(part);
        if t < self.k {
            self.origin.saturating_sub(octets)
        } else {
            self.origin.saturating_add(octets)
        }
    }

    /// RFC 9438, 4.3, equation 4: alpha is 9/17 until cwnd_prior is reached, then 1.
    fn grow_estimate(&mut self, cwnd: u32, prior: u32, acked: &Growth) {
        let alpha = if self.w_est < prior { 9 } else { 17 };
        let sum = u64::from(acked.octets)
            .saturating_mul(acked.mss.into())
            .saturating_mul(alpha)
            .saturating_add(self.est_rest);
        let (whole, rest) = divide(sum, u64::from(cwnd).saturating_mul(17));
        self.w_est = self.w_est.saturating_add(whole);
        self.est_rest = rest;
    }
}

/// Returns quotient, cut at 32 bits, and remainder.
fn divide(value: u64, by: u64) -> (u32, u64) {
    let quotient = value.checked_div(by).unwrap_or(0);
    let rest = value.checked_rem(by).unwrap_or(0);
    (u32::try_from(quotient).unwrap_or(u32::MAX), rest)
}

fn share(value: u32, of: u64, parts: u64) -> u32 {
    divide(u64::from(value).saturating_mul(of), parts).0
}

/// Returns the cube root, rounded down, bit by bit.
fn cube_root(value: u64) -> u64 {
    let mut root = 0u64;
    let mut bit = 1u64 << 21;
    while bit > 0 {
        let more = root | bit;
        let cube = more.checked_mul(more).and_then(|s| s.checked_mul(more));
        if cube.is_some_and(|cube| cube <= value) {
            root = more;
        }
        bit >>= 1;
    }
    root
}

#[cfg(test)]
mod tests;
