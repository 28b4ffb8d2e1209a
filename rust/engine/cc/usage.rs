// SPDX-License-Identifier: GPL-2.0

//! Whether cwnd is what holds the sender back (RFC 7661's concern; Linux's `tcp_cwnd_validate`).

use crate::engine::cc::Round;
use crate::engine::time::Instant;

/// How the window was used lately.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// cwnd was the limit during the current window of data.
    limited: bool,
    /// The most octets that were outstanding in it.
    most: u64,
    /// The send offset that ends it.
    window_end: u64,
    /// The most octets that were outstanding since cwnd was the limit.
    used: u64,
    /// When cwnd was the limit last, or was set by something else than growth.
    stamp: Instant,
    /// Something left since the last round of sending was judged.
    sent: bool,
}

impl Usage {
    pub(crate) fn new(now: Instant) -> Usage {
        Usage {
            limited: false,
            most: 0,
            window_end: 0,
            used: 0,
            stamp: now,
            sent: false,
        }
    }

    pub(crate) fn on_transmit(&mut self) {
        self.sent = true;
    }

    /// cwnd was set anew: what was used of the old one tells nothing.
    pub(crate) fn touch(&mut self, now: Instant) {
        self.stamp = now;
    }

    /// cwnd starts over after an idle time.
    pub(crate) fn restart(&mut self, now: Instant) {
        self.stamp = now;
        self.used = 0;
    }

    /// Returns whether cwnd may grow: RFC 5681, 3.1 with RFC 2861's condition. In slow start half of
    /// it must have been in use, so that it may grow to twice what was acknowledged.
    pub(crate) fn is_limit(&self, cwnd: u32, ssthresh: u32) -> bool {
        self.limited || (cwnd < ssthresh && u64::from(cwnd) < self.most.saturating_mul(2))
    }

    /// A round of sending ended. Returns what of cwnd was used if the sender has not needed it for
    /// an RTO, so that it should shrink.
    pub(crate) fn on_round(&mut self, cwnd: u32, ssthresh: u32, round: &Round) -> Option<u64> {
        if !core::mem::take(&mut self.sent) && !round.limited {
            return None;
        }
        let outstanding = round.nxt.saturating_sub(round.una);
        let is_more = !self.limited && outstanding > self.most;
        if round.una >= self.window_end || round.limited || is_more {
            self.limited = round.limited;
            self.most = outstanding;
            self.window_end = round.nxt;
        }
        if self.is_limit(cwnd, ssthresh) {
            self.used = 0;
            self.stamp = round.now;
            return None;
        }
        self.used = self.used.max(outstanding);
        if !round.decays || round.now.since(self.stamp) < round.rto {
            return None;
        }
        self.stamp = round.now;
        if !round.open || round.blocked {
            return None;
        }
        Some(core::mem::take(&mut self.used))
    }
}
