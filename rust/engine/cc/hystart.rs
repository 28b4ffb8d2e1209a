// SPDX-License-Identifier: GPL-2.0

//! When to leave slow start before the queue overflows: HyStart++ (RFC 9406).
//!
//! Linux has HyStart's first form instead, which leaves slow start for good at the first sign of
//! delay, or when acknowledgments have come in a row for half a round trip. A path whose delay
//! varies makes it leave far too early; HyStart++ goes on slowly for a while and comes back if the
//! delay was a passing one. As in Linux there is no limit to how much one acknowledgment may add
//! (RFC 9406, 4.3: L), because peers and NICs merge them.

use crate::engine::cc::News;
use crate::engine::time::Duration;

/// RFC 9406, 4.3: MIN_RTT_THRESH.
const LEAST_RISE: Duration = Duration::from_millis(4);
/// MAX_RTT_THRESH.
const MOST_RISE: Duration = Duration::from_millis(16);
/// MIN_RTT_DIVISOR.
const RISE_SHARE: u64 = 8;
/// N_RTT_SAMPLE.
const ENOUGH: u32 = 8;
/// CSS_GROWTH_DIVISOR.
const SLOWER: u32 = 4;
/// CSS_ROUNDS.
const ROUNDS: u32 = 5;

/// The state of the initial slow start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HyStart {
    /// windowEnd: the send offset whose acknowledgment ends the round.
    window_end: u64,
    /// lastRoundMinRTT.
    last_least: Option<Duration>,
    /// currentRoundMinRTT.
    least: Option<Duration>,
    /// rttSampleCount.
    samples: u32,
    conservative: Option<Conservative>,
}

/// Conservative slow start (CSS).
#[derive(Clone, Copy, Debug)]
struct Conservative {
    /// cssBaselineMinRtt.
    baseline: Duration,
    /// The rounds it has lasted, the present one included.
    rounds: u32,
}

impl HyStart {
    /// Takes an acknowledgment in slow start (RFC 9406, 4.2). Returns whether slow start is over.
    pub(crate) fn on_ack(&mut self, news: &News) -> bool {
        if let Some(rtt) = news.rtt {
            self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= ENOUGH {
            self.judge();
        }
        if news.una < self.window_end {
            return false;
        }
        self.window_end = news.nxt;
        self.last_least = self.least;
        self.least = None;
        self.samples = 0;
        let Some(css) = &mut self.conservative else {
            return false;
        };
        let over = css.rounds >= ROUNDS;
        css.rounds = css.rounds.saturating_add(1);
        over
    }

    /// Compares the delay of this round with that of the last one, or with that before CSS.
    fn judge(&mut self) {
        let Some(least) = self.least else {
            return;
        };
        match self.conservative {
            Some(css) if least < css.baseline => self.conservative = None,
            Some(_) => {}
            None => {
                let Some(last) = self.last_least else {
                    return;
                };
                let share = Duration::from_nanos(last.as_nanos() / RISE_SHARE);
                let rise = share.clamp(LEAST_RISE, MOST_RISE);
                if least >= last.saturating_add(rise) {
                    self.conservative = Some(Conservative {
                        baseline: least,
                        rounds: 1,
                    });
                }
            }
        }
    }

    /// Returns what cwnd grows by for `octets` delivered in slow start.
    pub(crate) fn growth(&self, octets: u32) -> u32 {
        if self.conservative.is_some() {
            octets / SLOWER
        } else {
            octets
        }
    }
}

#[cfg(test)]
mod tests;
