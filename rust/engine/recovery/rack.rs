// SPDX-License-Identifier: GPL-2.0

//! Loss by time (RFC 8985): what left well before something that arrived, and has not arrived, is
//! lost.

use crate::engine::config::Config;
use crate::engine::recovery::Rtts;
use crate::engine::scoreboard::Scan;
use crate::engine::scoreboard::EVER_RETRANS;
use crate::engine::scoreboard::LOST;
use crate::engine::scoreboard::RETRANS;
use crate::engine::store::Record;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// Recoveries after which a widened reordering window narrows again (RFC 8985, 6.2, step 4).
pub(super) const PERSIST: u8 = 16;

/// RACK's view of the path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rack {
    /// RACK.xmit_ts and RACK.end_seq: of what arrived, what left last.
    sent_at: Instant,
    end: u64,
    /// RACK.rtt.
    pub(super) rtt: Duration,
    /// Something new arrived since loss was looked for.
    pub(super) advanced: bool,
    /// RACK.reo_wnd_mult.
    steps: u8,
    /// RACK.reo_wnd_persist.
    pub(super) persist: u8,
    /// A DSACK asks for a wider window.
    dsack: bool,
    /// RACK.dsack_round: what had been delivered when the window was widened last.
    widened_at: u64,
}

impl Rack {
    pub(super) fn new() -> Rack {
        Rack {
            sent_at: Instant::default(),
            end: 0,
            rtt: Duration::ZERO,
            advanced: false,
            steps: 1,
            persist: 0,
            dsack: false,
            widened_at: 0,
        }
    }

    /// RFC 8985, 6.2, step 2: `record` arrived.
    pub(super) fn on_delivered(&mut self, record: &Record, now: Instant, min: Option<Duration>) {
        let rtt = now.since(record.sent_at);
        // The original or the retransmission? If that is so short, the original.
        if record.has(EVER_RETRANS | RETRANS) && min.is_some_and(|min| rtt < min) {
            return;
        }
        self.advanced = true;
        self.rtt = rtt;
        if (record.sent_at, record.end()) > (self.sent_at, self.end) {
            self.sent_at = record.sent_at;
            self.end = record.end();
        }
    }

    pub(super) fn on_dsack(&mut self) {
        self.dsack = true;
    }

    /// RFC 8985, 6.2, step 4: adapts the reordering window, at most once in a round trip. `prior` had
    /// been delivered when that left which has arrived now.
    pub(super) fn adapt(&mut self, config: &Config, prior: Option<u64>, delivered: u64) {
        let Some(prior) = prior.filter(|_| config.rack_adapts) else {
            return;
        };
        if prior < self.widened_at {
            self.dsack = false;
        }
        if core::mem::take(&mut self.dsack) {
            self.steps = self.steps.saturating_add(1);
            self.widened_at = delivered;
            self.persist = PERSIST;
        } else if self.persist == 0 {
            self.steps = 1;
        }
    }

    /// RACK.reo_wnd, where reordering has to be allowed for.
    pub(super) fn window(&self, rtts: Rtts) -> Duration {
        let quarter = rtts.min.map_or(u64::MAX, |min| min.as_nanos() / 4);
        let window = Duration::from_nanos(quarter.saturating_mul(self.steps.into()));
        window.min(rtts.srtt.unwrap_or_default())
    }

    /// Returns how long after `now` a record counts as lost; zero if it does.
    pub(super) fn remaining(&self, record: &Record, now: Instant, window: Duration) -> Duration {
        let allowed = self.rtt.saturating_add(window);
        allowed.saturating_sub(now.since(record.sent_at))
    }

    /// RFC 8985, 6.2, step 5, for one record; `wait` becomes the longest time that one still has.
    pub(super) fn judge(
        &self,
        record: &Record,
        now: Instant,
        window: Duration,
        wait: &mut Duration,
    ) -> Scan {
        if record.has(LOST) && !record.has(RETRANS) {
            return Scan::Next;
        }
        if (self.sent_at, self.end) <= (record.sent_at, record.end()) {
            // What follows left later, unless this one was sent again meanwhile.
            return if record.has(EVER_RETRANS) {
                Scan::Next
            } else {
                Scan::Stop
            };
        }
        let remaining = self.remaining(record, now, window);
        if remaining == Duration::ZERO {
            return Scan::Lost;
        }
        *wait = (*wait).max(remaining);
        Scan::Next
    }
}

#[cfg(test)]
mod tests;
