// SPDX-License-Identifier: GPL-2.0

//! Delivery-rate estimation: how fast the network delivers what was sent (Linux's rate samples;
//! draft-cheng-iccrg-delivery-rate-estimation).
//!
//! Each transmission carries a [`Stamp`]: how much had been delivered when it left, and when that
//! was. The acknowledgment of the transmission that left last then tells what was delivered in
//! between. Octets are counted, not segments: the engine's windows are octets, and a transmission
//! may be acknowledged in part. The number of segments is kept only for `TCP_INFO`.

use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// What was known of delivery when a transmission left. To be kept with it until it is delivered,
/// and taken anew when it is sent again.
///
/// The totals and microseconds wrap: a window of octets is shorter than 2^30, and nothing stays in
/// flight for an hour.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Stamp {
    /// Octets delivered by then.
    delivered: u32,
    /// Those of them whose acknowledgments told of CE (31 bits), and whether the sender had run out
    /// of data (the lowest bit).
    marked_and_limited: u32,
    /// When that total was reached, in microseconds.
    delivered_at: u32,
    /// When the first transmission of the sample's window left, in microseconds.
    first_sent: u32,
}

const _: () = assert!(core::mem::size_of::<Stamp>() == 16);

/// A transmission, or part of one, that has arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    /// The stamp of the transmission that is taken to have arrived: the last one.
    pub(crate) stamp: Stamp,
    /// When it left.
    pub(crate) sent_at: Instant,
    /// The send offset after it.
    pub(crate) end: u64,
    /// The octets of it that this acknowledgment reports for the first time.
    pub(crate) octets: u64,
    /// Whether it was sent more than once.
    pub(crate) retransmitted: bool,
}

/// What one acknowledgment tells of delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RateSample {
    /// Octets delivered over a time; `None` if nothing that was stamped arrived, or the time is
    /// shorter than any round trip.
    pub(crate) rate: Option<(u64, Duration)>,
    /// Octets that had been delivered when the transmission left that the sample comes from; `None`
    /// if nothing that was stamped arrived.
    pub(crate) prior_delivered: Option<u64>,
    /// Octets among those of `rate` that were acknowledged with an echo of CE.
    pub(crate) delivered_ce: u64,
    /// The round-trip time of this acknowledgment.
    pub(crate) rtt: Option<Duration>,
    /// Octets that this acknowledgment reports for the first time, cumulatively or by SACK.
    pub(crate) newly_delivered: u64,
    /// Octets that are taken to be lost since the last acknowledgment.
    pub(crate) newly_lost: u64,
    /// Octets that were in the network before this acknowledgment.
    pub(crate) prior_in_flight: u64,
    /// The sender ran out of data during the sample.
    pub(crate) app_limited: bool,
    /// The transmission was a retransmission.
    pub(crate) retransmitted: bool,
    /// The peer may have delayed the acknowledgment.
    pub(crate) ack_delayed: bool,
}

/// What the loss core knows of an acknowledgment besides what it delivered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AckRate {
    /// Octets marked lost since the last acknowledgment.
    pub(crate) newly_lost: u64,
    /// The round-trip time that this acknowledgment gave.
    pub(crate) rtt: Option<Duration>,
    /// The shortest round-trip time of the connection.
    pub(crate) min_rtt: Option<Duration>,
    /// The peer may have delayed the acknowledgment.
    pub(crate) ack_delayed: bool,
    /// The peer has taken SACKed octets back: what is reported now may have arrived long ago.
    pub(crate) reneged: bool,
}

/// The transmission, of those that an acknowledgment covers, that left last.
#[derive(Clone, Copy, Debug)]
struct Newest {
    sent_at: Instant,
    end: u64,
    stamp: Stamp,
    /// How long it took to send what the sample covers.
    send_phase: Duration,
    retransmitted: bool,
}

/// The estimator of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rate {
    delivered: u64,
    delivered_ce: u64,
    /// The same in segments, for `TCP_INFO`.
    segments: u32,
    segments_ce: u32,
    lost: u64,
    delivered_at: Instant,
    first_sent: Instant,
    /// The total at which the last octets will have been delivered that were sent before the sender
    /// ran out of data.
    app_limited: Option<u64>,
    /// Of the acknowledgment that is being taken.
    newly: u64,
    prior_in_flight: u64,
    ece: bool,
    newest: Option<Newest>,
    /// The last rate worth telling.
    told: Option<(u64, Duration)>,
    told_limited: bool,
}

impl Rate {
    pub(crate) fn new() -> Rate {
        // The SYN counts as a segment.
        Rate {
            segments: 1,
            ..Rate::default()
        }
    }

    /// Returns the stamp of a transmission that leaves at `now`; `idle` if nothing was outstanding
    /// (SND.UNA = SND.NXT, whatever is taken to be lost).
    pub(crate) fn stamp(&mut self, now: Instant, idle: bool) -> Stamp {
        if idle {
            // From here on, all that is delivered was delivered since now.
            self.first_sent = now;
            self.delivered_at = now;
        }
        let limited = u32::from(self.app_limited.is_some());
        Stamp {
            delivered: self.delivered as u32,
            marked_and_limited: ((self.delivered_ce as u32) << 1) | limited,
            delivered_at: micros(self.delivered_at),
            first_sent: micros(self.first_sent),
        }
    }

    /// An acknowledgment begins to be taken; `ece` if it tells of CE.
    pub(crate) fn begin_ack(&mut self, prior_in_flight: u64, ece: bool) {
        self.newly = 0;
        self.newest = None;
        self.prior_in_flight = prior_in_flight;
        self.ece = ece;
    }

    /// A transmission arrived, all or in part.
    pub(crate) fn on_delivered(&mut self, delivered: &Delivered, mss: u32) {
        self.count(delivered.octets, mss);
        let is_newer = self
            .newest
            .is_none_or(|newest| (delivered.sent_at, delivered.end) > (newest.sent_at, newest.end));
        if !is_newer {
            return;
        }
        self.first_sent = delivered.sent_at;
        self.newest = Some(Newest {
            sent_at: delivered.sent_at,
            end: delivered.end,
            stamp: delivered.stamp,
            send_phase: span(delivered.stamp.first_sent, delivered.sent_at),
            retransmitted: delivered.retransmitted,
        });
    }

    /// Counts octets as delivered of which no transmission is known: without SACK a duplicate
    /// acknowledgment tells only that some segment arrived.
    pub(crate) fn count(&mut self, octets: u64, mss: u32) {
        let segments = u32::try_from(octets.div_ceil(u64::from(mss.max(1)))).unwrap_or(u32::MAX);
        self.newly = self.newly.saturating_add(octets);
        self.delivered = self.delivered.saturating_add(octets);
        self.segments = self.segments.wrapping_add(segments);
        if self.ece {
            self.delivered_ce = self.delivered_ce.saturating_add(octets);
            self.segments_ce = self.segments_ce.wrapping_add(segments);
        }
    }

    /// Returns what had been delivered when the newest transmission left that the acknowledgment
    /// being taken reports.
    pub(crate) fn prior_delivered(&self) -> Option<u64> {
        let stamp = self.newest?.stamp;
        let since = (self.delivered as u32).wrapping_sub(stamp.delivered);
        Some(self.delivered.saturating_sub(since.into()))
    }

    /// The acknowledgment is taken: what does it tell?
    pub(crate) fn sample(&mut self, now: Instant, ack: &AckRate) -> RateSample {
        self.lost = self.lost.saturating_add(ack.newly_lost);
        // What was sent before the sender ran out of data is delivered: the bubble is gone.
        if self.app_limited.is_some_and(|end| self.delivered > end) {
            self.app_limited = None;
        }
        if self.newly > 0 {
            self.delivered_at = now;
        }
        let mut sample = RateSample {
            rtt: ack.rtt,
            newly_delivered: self.newly,
            newly_lost: ack.newly_lost,
            prior_in_flight: self.prior_in_flight,
            ack_delayed: ack.ack_delayed,
            ..RateSample::default()
        };
        let Some(newest) = self.newest.take().filter(|_| !ack.reneged) else {
            return sample;
        };
        let stamp = newest.stamp;
        let delivered = u64::from((self.delivered as u32).wrapping_sub(stamp.delivered));
        let marked = (self.delivered_ce as u32).wrapping_sub(stamp.marked_and_limited >> 1);
        sample.prior_delivered = Some(self.delivered.saturating_sub(delivered));
        sample.delivered_ce = u64::from(marked & (u32::MAX >> 1));
        sample.app_limited = stamp.marked_and_limited & 1 != 0;
        sample.retransmitted = newest.retransmitted;
        // Sending and being acknowledged are phases of their own; acknowledgments that come in a
        // bunch must not look like speed, so the longer one counts.
        let ack_phase = span(stamp.delivered_at, now);
        let interval = newest.send_phase.max(ack_phase);
        if interval == Duration::ZERO || ack.min_rtt.is_some_and(|least| interval < least) {
            // Shorter than any round trip: a retransmission whose original arrived.
            return sample;
        }
        sample.rate = Some((delivered, interval));
        if !sample.app_limited || is_faster((delivered, interval), self.told) {
            self.told = sample.rate;
            self.told_limited = sample.app_limited;
        }
        sample
    }

    /// The sender has run out of data with `in_flight` octets in the network: what is sent from now
    /// on measures the user.
    pub(crate) fn on_app_limited(&mut self, in_flight: u64) {
        self.app_limited = Some(self.delivered.saturating_add(in_flight).max(1));
    }

    /// Returns whether transmissions are marked as limited by the user now.
    pub(crate) fn is_app_limited(&self) -> bool {
        self.app_limited.is_some()
    }

    /// Returns the octets delivered so far.
    pub(crate) fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Returns those of them that were acknowledged with an echo of CE.
    pub(crate) fn delivered_ce(&self) -> u64 {
        self.delivered_ce
    }

    /// Returns the segments delivered so far, and those of them with an echo of CE (`TCP_INFO`).
    pub(crate) fn segments(&self) -> (u32, u32) {
        (self.segments, self.segments_ce)
    }

    /// Returns the octets taken to be lost so far.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Returns when something was delivered last.
    pub(crate) fn delivered_at(&self) -> Instant {
        self.delivered_at
    }

    /// Returns the last rate worth telling, in octets per second, and whether the user limited it.
    pub(crate) fn told(&self) -> Option<(u64, bool)> {
        let (octets, interval) = self.told?;
        Some((per_second(octets, interval), self.told_limited))
    }
}

/// Returns octets per second.
pub(crate) fn per_second(octets: u64, interval: Duration) -> u64 {
    octets
        .saturating_mul(1_000_000)
        .checked_div(interval.as_micros().max(1))
        .unwrap_or(0)
}

/// Returns whether `rate` is at least `known`.
fn is_faster(rate: (u64, Duration), known: Option<(u64, Duration)>) -> bool {
    known.is_none_or(|(octets, interval)| {
        rate.0.saturating_mul(interval.as_micros()) >= octets.saturating_mul(rate.1.as_micros())
    })
}

/// Returns the clock in microseconds, modulo 2^32.
fn micros(at: Instant) -> u32 {
    (at.as_nanos() / 1_000) as u32
}

/// Returns the time from a stamp's microseconds until `until`; zero if it lies before.
fn span(from: u32, until: Instant) -> Duration {
    let micros = micros(until).wrapping_sub(from);
    if micros > u32::MAX / 2 {
        return Duration::ZERO;
    }
    Duration::from_micros(u64::from(micros))
}

#[cfg(test)]
mod tests;
