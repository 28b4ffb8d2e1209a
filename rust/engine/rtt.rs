// SPDX-License-Identifier: GPL-2.0

//! Round-trip time and the retransmission time-out (RFC 6298, with Linux's bounds).

use crate::engine::config::Config;
use crate::engine::filter::MaxFilter;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// The RTO of a connection whose SYN was sent again, so that it gave no sample.
const AFTER_LOST_SYN: Duration = Duration::from_secs(3);

/// SRTT, RTTVAR and what follows from them.
///
/// Linux (`tcp_rtt_estimator`) departs from RFC 6298 in two ways, and so do we, because peers'
/// delayed ACKs and several samples per window are the rule: the deviation that counts is the
/// largest of the last window, so that it does not fade within one; and the bound of 200 ms holds
/// for the deviation's part of the RTO, not for the sum (RFC 6298, 2.4 wants 1 s). As there, a window
/// begins with the bound, so that a new bound acts with the samples to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimator {
    /// SRTT; `None` before the first sample.
    srtt: Option<Duration>,
    /// RTTVAR of RFC 6298, updated at every sample.
    mdev: Duration,
    /// The largest `mdev` since `window_end` was set.
    mdev_max: Duration,
    /// The deviation that the RTO uses.
    rttvar: Duration,
    /// The send offset whose acknowledgment ends the window of `mdev_max`.
    window_end: u64,
    /// The RTO before the first sample of data, where it is not the SYN's.
    seed: Option<Duration>,
    /// The shortest samples of late; inverted, so that the filter's largest is the shortest.
    shortest: MaxFilter,
}

impl Estimator {
    pub(crate) fn new() -> Estimator {
        Estimator {
            srtt: None,
            mdev: Duration::ZERO,
            mdev_max: Duration::ZERO,
            rttvar: Duration::ZERO,
            window_end: 0,
            seed: None,
            shortest: MaxFilter::default(),
        }
    }

    /// Takes a sample; `una` and `nxt` are the send offsets after the acknowledgment that gave it,
    /// `rto_min` bounds the deviation's part of the RTO.
    pub(crate) fn on_sample(&mut self, rtt: Duration, una: u64, nxt: u64, rto_min: Duration) {
        self.seed = None;
        let least = Duration::from_nanos(rto_min.as_nanos() / 4);
        let rtt = rtt.max(Duration::from_micros(1));
        let Some(srtt) = self.srtt else {
            // RFC 6298, 2.2.
            self.srtt = Some(rtt);
            self.mdev = Duration::from_nanos(rtt.as_nanos() / 2);
            self.mdev_max = self.mdev.max(least);
            self.rttvar = self.mdev_max;
            self.window_end = nxt;
            return;
        };
        // RFC 6298, 2.3: RTTVAR first, with the old SRTT; alpha = 1/8, beta = 1/4.
        let deviation = if rtt > srtt {
            rtt.saturating_sub(srtt)
        } else {
            srtt.saturating_sub(rtt)
        };
        // As Linux: a sample far below SRTT must not raise the RTO, so it weighs an eighth of
        // others.
        let falls_below = rtt.saturating_add(self.mdev) < srtt;
        let share = if falls_below { 32 } else { 4 };
        self.mdev = weigh(self.mdev, deviation, share);
        self.srtt = Some(weigh(srtt, rtt, 8));
        if self.mdev > self.mdev_max {
            self.mdev_max = self.mdev;
            self.rttvar = self.rttvar.max(self.mdev_max);
        }
        if una > self.window_end {
            if self.mdev_max < self.rttvar {
                self.rttvar = weigh(self.rttvar, self.mdev_max, 4);
            }
            self.window_end = nxt;
            self.mdev_max = least;
        }
    }

    /// Takes for granted what earlier connections knew, zero for nothing, if it is longer than what the
    /// SYN took: packets with data may be on their way longer. The first sample of data ends this
    /// (Linux's `tcp_init_metrics`).
    pub(crate) fn seed(&mut self, rtt: Duration, rto_min: Duration) {
        if rtt > self.srtt.unwrap_or_default() {
            let variance = rto_min.max(rtt.saturating_mul(2));
            self.seed = Some(rtt.saturating_add(variance));
        } else if self.srtt.is_none() {
            // RFC 6298, 5.7.
            self.seed = Some(AFTER_LOST_SYN);
        }
    }

    /// Takes a sample for the shortest round-trip time of the last `window`. One that the peer may
    /// have delayed counts only if it is the shortest (Linux's `tcp_update_rtt_min`).
    pub(crate) fn on_shortest(
        &mut self,
        now: Instant,
        rtt: Duration,
        window: Duration,
        delayed: bool,
    ) {
        let rtt = rtt.max(Duration::from_micros(1));
        if delayed && self.min_rtt().is_some_and(|min| rtt > min) {
            return;
        }
        let inverted = u64::MAX.saturating_sub(rtt.as_nanos());
        let round = now.as_nanos() / 1_000_000;
        self.shortest.update(window.as_millis(), round, inverted);
    }

    /// Returns RTO without back-off (RFC 6298, 2.1 and 2.3).
    pub(crate) fn rto(&self, config: &Config) -> Duration {
        match (self.seed, self.srtt) {
            (Some(rto), _) => rto.min(config.rto_max),
            (None, None) => config.rto_initial,
            (None, Some(srtt)) => srtt
                .saturating_add(self.rttvar.saturating_mul(4))
                .min(config.rto_max),
        }
    }

    pub(crate) fn srtt(&self) -> Option<Duration> {
        self.srtt
    }

    pub(crate) fn mean_deviation(&self) -> Duration {
        self.mdev
    }

    pub(crate) fn min_rtt(&self) -> Option<Duration> {
        let inverted = self.shortest.get();
        let min = u64::MAX.saturating_sub(inverted);
        (inverted > 0).then(|| Duration::from_nanos(min))
    }
}

/// Returns the mean in which `new` has the weight 1/`share`.
fn weigh(old: Duration, new: Duration, share: u64) -> Duration {
    let share = share.max(1);
    let keep = old
        .as_nanos()
        .saturating_sub(old.as_nanos().checked_div(share).unwrap_or(0));
    Duration::from_nanos(keep.saturating_add(new.as_nanos().checked_div(share).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
