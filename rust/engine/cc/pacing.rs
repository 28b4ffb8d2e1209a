// SPDX-License-Identifier: GPL-2.0

//! How fast octets may leave: the pacing rate, the time of the next departure, and how much one
//! buffer may hold at that rate.

use crate::engine::config::Config;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// The rate of a sender that is not paced, and the default of `SO_MAX_PACING_RATE`.
pub(crate) const UNLIMITED: u64 = u64::MAX;
/// At most the octets of this share of a second go into one buffer (Linux's `sk_pacing_shift`).
const BUFFER_SHIFT: u32 = 10;
/// From this segment on it is paced: the initial window is a burst that every path is used to.
const UNPACED_SEGMENTS: u32 = 10;

/// Who holds segments back to the pacing rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pacer {
    /// Nobody: the rate only bounds the size of buffers.
    #[default]
    None,
    /// The engine, by a deadline for the next segment.
    Engine,
    /// The owner's queueing discipline.
    Queue,
}

/// The pacing of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    /// Octets per second.
    rate: u64,
    pacer: Pacer,
    /// When the next segment may leave.
    next: Instant,
    /// Data segments that have left, up to [`UNPACED_SEGMENTS`].
    sent: u32,
}

/// What the rate follows from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    /// SND.NXT - SND.UNA.
    pub(crate) outstanding: u64,
    pub(crate) srtt: Duration,
}

impl Pacing {
    pub(crate) fn new() -> Pacing {
        Pacing {
            rate: UNLIMITED,
            pacer: Pacer::None,
            next: Instant::default(),
            sent: 0,
        }
    }

    /// Returns the rate in octets per second.
    pub(crate) fn rate(&self) -> u64 {
        self.rate
    }

    /// Returns how late acknowledgments may be because segments leave and arrive in large buffers: the
    /// time of four of them, a millisecond at most (Linux's `hystart_ack_delay`).
    pub(crate) fn ack_slack(&self) -> Duration {
        const BUFFERS: u64 = 4 * 65_536;
        let nanos = (BUFFERS * 1_000_000_000).checked_div(self.rate);
        Duration::from_nanos(nanos.unwrap_or(u64::MAX)).min(Duration::from_millis(1))
    }

    /// Returns when the next segment may leave.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    pub(crate) fn pacer(&self) -> Pacer {
        self.pacer
    }

    /// Notes who paces. Once paced a connection stays so, as in Linux.
    pub(crate) fn set_pacer(&mut self, pacer: Pacer) {
        if pacer != Pacer::None {
            self.pacer = pacer;
        }
    }

    /// The algorithm cannot do without pacing.
    pub(crate) fn need(&mut self) {
        if self.pacer == Pacer::None {
            self.pacer = Pacer::Engine;
        }
    }

    /// Sets the rate, not above the user's limit.
    pub(crate) fn set_rate(&mut self, rate: u64, most: u64) {
        self.rate = rate.min(most);
    }

    /// Derives the rate from cwnd and the round-trip time (Linux's `tcp_update_pacing_rate`): with
    /// room to grow, so that pacing itself does not become the limit.
    pub(crate) fn follow(&mut self, flow: &Flow, config: &Config) {
        let percent = if flow.cwnd < flow.ssthresh / 2 {
            config.pacing_ss_ratio
        } else {
            config.pacing_ca_ratio
        };
        let window = u64::from(flow.cwnd).max(flow.outstanding);
        // Before the first sample the round trip counts as the eighth of a microsecond, like
        // Linux's: practically no limit.
        let per_second = match flow.srtt.as_nanos() {
            0 => window.saturating_mul(8_000_000),
            srtt => divide_wide(window, 1_000_000_000, srtt),
        };
        let rate = divide_wide(per_second, u64::from(percent), 100);
        self.set_rate(rate, config.max_pacing_rate);
    }

    /// Returns when the next data may leave, if that is later than `now`.
    pub(crate) fn holds(&self, now: Instant) -> Option<Instant> {
        (self.pacer == Pacer::Engine && self.next > now).then_some(self.next)
    }

    /// Data left, in `segments` on the wire: moves the next departure (Linux's
    /// `tcp_update_skb_after_send`).
    pub(crate) fn on_transmit(&mut self, now: Instant, octets: u32, segments: u32) {
        let before = self.next;
        self.next = self.next.max(now);
        self.sent = self.sent.saturating_add(segments).min(UNPACED_SEGMENTS);
        let early = self.sent < UNPACED_SEGMENTS;
        if self.pacer == Pacer::None || self.rate == UNLIMITED || self.rate == 0 || early {
            return;
        }
        let cost = divide_wide(u64::from(octets), 1_000_000_000, self.rate);
        // The owner woke us late: up to half of the way is made good, so that the rate holds.
        let credit = self.next.since(before).as_nanos();
        let cost = cost.saturating_sub(credit.min(cost / 2));
        self.next = self.next.saturating_add(Duration::from_nanos(cost));
    }

    /// Returns the most octets of one buffer of segments of `mss` octets, when the owner takes
    /// `max_len` (Linux's `tcp_tso_autosize`): what leaves in a millisecond, and on short paths more,
    /// for there bursts do no harm.
    pub(crate) fn buffer_len(
        &self,
        config: &Config,
        min_rtt: Option<Duration>,
        mss: u32,
        least_segments: u32,
        max_len: u32,
    ) -> u32 {
        let mut octets = self.rate >> BUFFER_SHIFT;
        let micros = min_rtt.map_or(u64::MAX, Duration::as_micros);
        let distance = micros >> config.tso_rtt_log.min(63);
        if let Ok(distance @ 0..32) = u32::try_from(distance) {
            octets = octets.saturating_add(u64::from(max_len >> distance));
        }
        let octets = u32::try_from(octets.min(u64::from(max_len))).unwrap_or(max_len);
        let segments = octets.checked_div(mss).unwrap_or(1).max(least_segments);
        segments.saturating_mul(mss).min(max_len)
    }
}

/// Returns `value` * `factor` / `by` without losing what exceeds 64 bits on the way, as long as
/// the parts fit.
pub(crate) fn divide_wide(value: u64, factor: u64, by: u64) -> u64 {
    let by = by.max(1);
    if let Some(product) = value.checked_mul(factor) {
        return product.checked_div(by).unwrap_or(0);
    }
    // Scaled down together the quotient stays right to 32 bits.
    let whole = value.checked_div(by).unwrap_or(0).saturating_mul(factor);
    let rest = value.checked_rem(by).unwrap_or(0);
    let spare = rest.leading_zeros().saturating_add(factor.leading_zeros());
    let shift = 64u32.saturating_sub(spare).min(63);
    let part = (rest >> shift)
        .saturating_mul(factor)
        .checked_div((by >> shift).max(1))
        .unwrap_or(0);
    whole.saturating_add(part)
}

#[cfg(test)]
mod tests;
