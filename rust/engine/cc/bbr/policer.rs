// SPDX-License-Identifier: GPL-2.0

//! Whether a token bucket on the path drops what exceeds its rate.
//!
//! Such a policer lets bursts pass until its tokens are used up, so the largest rate seen says
//! nothing. Two intervals in a row, each from loss to loss, with much loss and the same throughput
//! mean that this throughput is the rate.

use crate::engine::cc::bbr::UNIT;
use crate::engine::cc::pacing::divide_wide;
use crate::engine::rate::per_second;
use crate::engine::rate::Rate;
use crate::engine::rate::RateSample;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// The rounds of an interval.
const LEAST_ROUNDS: u8 = 4;
const MOST_ROUNDS: u8 = 16;
/// An interval is lossy if more than this share, of 256, was lost: 20 %.
const LOSSY: u64 = 50;
/// Rates are the same if they differ by an eighth at most,
const SAME_SHARE: u64 = UNIT / 8;
/// or by 4 kbit/s.
const SAME_RATE: u64 = 4_000 / 8;
/// A policer is believed in for this many rounds.
const BELIEF_ROUNDS: u8 = 48;

/// The detector.
#[derive(Clone, Copy, Debug)]
pub(super) struct Policer {
    /// The rate of the last interval, octets per second.
    rate: u64,
    believed: bool,
    sampling: bool,
    rounds: u8,
    /// Where the interval began.
    delivered: u64,
    lost: u64,
    at: Instant,
}

/// What an acknowledgment changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Nothing,
    /// There is a policer.
    Found,
    /// It is time to see whether there still is one.
    Doubted,
}

impl Policer {
    pub(super) fn new(rate: &Rate) -> Policer {
        let mut policer = Policer {
            rate: 0,
            believed: false,
            sampling: false,
            rounds: 0,
            delivered: 0,
            lost: 0,
            at: Instant::default(),
        };
        policer.begin(rate);
        policer
    }

    /// Returns the policer's rate, if there is one.
    pub(super) fn bandwidth(&self) -> Option<u64> {
        self.believed.then_some(self.rate)
    }

    /// Forgets all.
    pub(super) fn reset(&mut self, rate: &Rate) {
        *self = Policer::new(rate);
    }

    /// Begins an interval.
    fn begin(&mut self, rate: &Rate) {
        self.delivered = rate.delivered();
        self.lost = rate.lost();
        self.at = rate.delivered_at();
        self.rounds = 0;
    }

    /// Takes an acknowledgment; `cycling` in PROBE_BW.
    pub(super) fn sample(
        &mut self,
        rate: &Rate,
        sample: &RateSample,
        round_start: bool,
        cycling: bool,
    ) -> Verdict {
        if self.believed {
            if cycling && round_start {
                self.rounds = self.rounds.saturating_add(1);
                if self.rounds >= BELIEF_ROUNDS {
                    self.reset(rate);
                    return Verdict::Doubted;
                }
            }
            return Verdict::Nothing;
        }
        // Until the first loss the bucket may have tokens left.
        if !self.sampling {
            if sample.newly_lost == 0 {
                return Verdict::Nothing;
            }
            self.begin(rate);
            self.sampling = true;
        }
        if sample.app_limited {
            self.reset(rate);
            return Verdict::Nothing;
        }
        self.rounds = self.rounds.saturating_add(u8::from(round_start));
        if self.rounds < LEAST_ROUNDS {
            return Verdict::Nothing;
        }
        if self.rounds > MOST_ROUNDS {
            self.reset(rate);
            return Verdict::Nothing;
        }
        // It ends with a loss, when the tokens are gone again.
        if sample.newly_lost == 0 {
            return Verdict::Nothing;
        }
        let lost = rate.lost().saturating_sub(self.lost);
        let delivered = rate.delivered().saturating_sub(self.delivered);
        if delivered == 0 || divide_wide(lost, UNIT, delivered) < LOSSY {
            return Verdict::Nothing;
        }
        let span = rate.delivered_at().since(self.at);
        if span < Duration::from_millis(1) {
            return Verdict::Nothing;
        }
        self.end(rate, per_second(delivered, span))
    }

    fn end(&mut self, rate: &Rate, bandwidth: u64) -> Verdict {
        if self.rate > 0 {
            let difference = bandwidth.abs_diff(self.rate);
            if difference <= divide_wide(self.rate, SAME_SHARE, UNIT) || difference <= SAME_RATE {
                self.rate = self.rate.midpoint(bandwidth);
                self.believed = true;
                self.rounds = 0;
                return Verdict::Found;
            }
        }
        self.rate = bandwidth;
        self.begin(rate);
        Verdict::Nothing
    }
}
