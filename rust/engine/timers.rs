// SPDX-License-Identifier: GPL-2.0

//! The named timers of a connection; outward there is only their minimum.

use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// What a timer is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Timer {
    /// RFC 6298, 5: sent data, SYN or FIN is unacknowledged.
    Retransmit,
    /// RFC 8985, 7: what was sent last may be lost.
    LossProbe,
    /// RFC 8985, 6.2, step 5: what is late counts as lost then.
    Reorder,
    /// RFC 9293, 3.8.6.1: nothing is in flight and the window does not let what is queued leave.
    Persist,
    /// RFC 9293, 3.8.6.3: data was received and no acknowledgment sent.
    DelayedAck,
    /// RFC 9293, 3.8.4: the peer is silent.
    KeepAlive,
    /// Linux's `tcp_fin_timeout`: FIN-WAIT-2 has no owner.
    FinWait2,
    /// The pacing rate lets the next data leave.
    Pacing,
    /// Several acknowledgments of disorder become one (Linux's compressed SACK).
    CompressedAck,
}

const COUNT: usize = 9;

/// Deadlines by [`Timer`].
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Timers {
    deadlines: [Option<Instant>; COUNT],
}

impl Timers {
    /// Sets `timer` to `at`, or to a tick from `now` if that is later.
    pub(crate) fn set(&mut self, timer: Timer, now: Instant, at: Instant) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = Some(at.max(now.saturating_add(Duration::TICK)));
        }
    }

    /// Sets `timer` to `at`, however soon that is.
    pub(crate) fn set_precisely(&mut self, timer: Timer, at: Instant) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = Some(at);
        }
    }

    pub(crate) fn stop(&mut self, timer: Timer) {
        if let Some(slot) = self.deadlines.get_mut(timer as usize) {
            *slot = None;
        }
    }

    pub(crate) fn get(&self, timer: Timer) -> Option<Instant> {
        self.deadlines.get(timer as usize).copied().flatten()
    }

    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.get(timer).is_some()
    }

    /// Returns whether `timer` has expired, and stops it if so.
    pub(crate) fn expired(&mut self, timer: Timer, now: Instant) -> bool {
        let expired = self.get(timer).is_some_and(|at| at <= now);
        if expired {
            self.stop(timer);
        }
        expired
    }

    /// Returns the earliest deadline of those for which a tick is too long.
    pub(crate) fn next_fine(&self) -> Option<Instant> {
        let fine = [Timer::Pacing, Timer::CompressedAck];
        fine.into_iter().filter_map(|timer| self.get(timer)).min()
    }

    /// Returns the earliest of the others.
    pub(crate) fn next_coarse(&self) -> Option<Instant> {
        let mut rest = *self;
        rest.stop(Timer::Pacing);
        rest.stop(Timer::CompressedAck);
        rest.next()
    }

    /// Returns the earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.deadlines.iter().flatten().copied().min()
    }
}
