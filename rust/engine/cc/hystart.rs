// SPDX-License-Identifier: GPL-2.0

//! When to leave slow start before the queue overflows: HyStart++ (RFC 9406).
//!
//! Linux has HyStart's first form instead, which leaves slow start for good at the first sign of
//! delay. A path whose delay varies makes it leave far too early; HyStart++ goes on slowly for a
//! while and comes back if the delay was a passing one. As in Linux there is no limit to how much
//! one acknowledgment may add (RFC 9406, 4.3: L), because peers and NICs merge them.
//!
//! The other sign of the first form is Linux's still, and ours: acknowledgments that come in a row
//! for half a round trip. A sender that is clocked by acknowledgments sends each round as one train,
//! whose first segments find the queue empty until cwnd is far above what the path holds, so the
//! least delay of a round tells too late.

use crate::engine::cc::News;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

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

/// Acknowledgments further apart are no row (Linux's `hystart_ack_delta_us`).
const GAP: Duration = Duration::from_millis(2);
/// The least cwnd, in segments, at which a row means something (`hystart_low_window`).
pub(crate) const LEAST_SEGMENTS: u32 = 16;

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
    /// The shortest round-trip time so far (Linux's `delay_min`).
    shortest: Option<Duration>,
    train: Option<Train>,
}

/// The acknowledgments of a round that have come in a row.
#[derive(Clone, Copy, Debug)]
struct Train {
    began: Instant,
    last: Instant,
}

/// How long a row may be before it means that the path is full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What the peer and the NICs may delay acknowledgments by.
    pub(crate) slack: Duration,
    /// Segments leave paced, which alone can stretch them over half a round trip.
    pub(crate) paced: bool,
}

/// What shows that the path is full.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sign {
    /// Acknowledgments came in a row for too long.
    Row,
    /// The round-trip time rose.
    Delay,
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
    /// Takes an acknowledgment in slow start (RFC 9406, 4.2). Returns what ends slow start, if it is
    /// over.
    ///
    /// Without `row` cwnd is too small for a row to mean something.
    pub(crate) fn on_ack(&mut self, news: &News, row: Option<Row>) -> Option<Sign> {
        // A round ends with the first acknowledgment beyond it. With the one that reaches its end a
        // part of the next row of acknowledgments would count as this round's, more each time, until
        // the rise of the delay within a row looks like one between rounds.
        let over = news.una > self.window_end && self.begin_round(news);
        let full = self.follow_train(news, row);
        self.sample(news);
        if full {
            Some(Sign::Row)
        } else {
            over.then_some(Sign::Delay)
        }
    }

    /// Returns whether enough slow rounds have passed.
    fn begin_round(&mut self, news: &News) -> bool {
        self.window_end = news.nxt;
        self.last_least = self.least;
        self.least = None;
        self.samples = 0;
        self.train = None;
        let Some(css) = &mut self.conservative else {
            return false;
        };
        let over = css.rounds >= ROUNDS;
        css.rounds = css.rounds.saturating_add(1);
        over
    }

    fn sample(&mut self, news: &News) {
        if let Some(rtt) = news.rtt {
            self.least = Some(self.least.map_or(rtt, |least| least.min(rtt)));
            self.samples = self.samples.saturating_add(1);
        }
        if self.samples >= ENOUGH {
            self.judge();
        }
    }

    /// Linux's `hystart_update`, its first half.
    fn follow_train(&mut self, news: &News, row: Option<Row>) -> bool {
        let Some(rtt) = news.rtt else {
            return false;
        };
        let shortest = self.shortest.map_or(rtt, |shortest| shortest.min(rtt));
        self.shortest = Some(shortest);
        let now = news.now;
        let mut train = self.train.unwrap_or(Train {
            began: now,
            last: now,
        });
        let mut full = false;
        if now.since(train.last) <= GAP {
            if let Some(row) = row {
                train.last = now;
                let allowed = shortest.saturating_add(row.slack).as_nanos();
                let allowed = if row.paced { allowed } else { allowed / 2 };
                full = now.since(train.began).as_nanos() > allowed;
            }
        }
        self.train = Some(train);
        full
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
