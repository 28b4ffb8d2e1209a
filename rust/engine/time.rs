// SPDX-License-Identifier: GPL-2.0

//! Points and spans of time as the owner's monotonic clock gives them; all arithmetic saturates.

/// A point on the owner's monotonic clock, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Instant(u64);

impl Instant {
    /// Makes an instant from the clock's nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Instant {
        Instant(nanos)
    }

    /// Returns the clock's nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the instant `span` later.
    pub const fn saturating_add(self, span: Duration) -> Instant {
        Instant(self.0.saturating_add(span.0))
    }

    /// Returns the instant `span` earlier.
    pub const fn saturating_sub(self, span: Duration) -> Instant {
        Instant(self.0.saturating_sub(span.0))
    }

    /// Returns the span from `earlier` to `self`, zero when `earlier` is later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// Returns the clock in milliseconds modulo 2^32: the tick of our timestamps (Linux's
    /// TCP_TS_HZ).
    pub(crate) const fn tick(self) -> u32 {
        (self.0 / 1_000_000) as u32
    }
}

/// A span of time, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// The granularity G of RFC 6298, 2: nothing is put off for less, so that no set of values
    /// makes the owner's timer spin (Linux's jiffy).
    pub(crate) const TICK: Duration = Duration::from_millis(1);

    /// Makes a span from nanoseconds.
    pub const fn from_nanos(nanos: u64) -> Duration {
        Duration(nanos)
    }

    /// Makes a span from microseconds.
    pub const fn from_micros(micros: u64) -> Duration {
        Duration(micros.saturating_mul(1_000))
    }

    /// Makes a span from milliseconds.
    pub const fn from_millis(millis: u64) -> Duration {
        Duration(millis.saturating_mul(1_000_000))
    }

    /// Makes a span from seconds.
    pub const fn from_secs(secs: u64) -> Duration {
        Duration(secs.saturating_mul(1_000_000_000))
    }

    /// Returns the span in nanoseconds.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the span in whole microseconds.
    pub const fn as_micros(self) -> u64 {
        self.0 / 1_000
    }

    /// Returns the span in whole milliseconds.
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Returns the sum of two spans.
    pub const fn saturating_add(self, other: Duration) -> Duration {
        Duration(self.0.saturating_add(other.0))
    }

    /// Returns the difference of two spans, zero when `other` is longer.
    pub const fn saturating_sub(self, other: Duration) -> Duration {
        Duration(self.0.saturating_sub(other.0))
    }

    /// Returns the span `factor` times as long.
    pub const fn saturating_mul(self, factor: u64) -> Duration {
        Duration(self.0.saturating_mul(factor))
    }

    /// Returns the span doubled `times` times and cut at `limit`: exponential back-off.
    pub fn doubled(self, times: u32, limit: Duration) -> Duration {
        let factor = 1u64.checked_shl(times).unwrap_or(u64::MAX);
        Duration(self.0.saturating_mul(factor)).min(limit)
    }
}
