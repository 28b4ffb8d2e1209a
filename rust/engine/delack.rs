// SPDX-License-Identifier: GPL-2.0

//! When to acknowledge (RFC 9293, 3.8.6.3; RFC 5681, 4.2), with Linux's timing.

use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// The shortest delay, and the first guess (Linux's `TCP_ATO_MIN`, `TCP_DELACK_MIN`).
const MIN: Duration = Duration::from_millis(40);
/// The longest delay (Linux's `TCP_DELACK_MAX`); RFC 9293 allows 500 ms.
const MAX: Duration = Duration::from_millis(200);
/// Segments acknowledged at once at the start of a flow, while the peer is in slow start (Linux's
/// `TCP_MAX_QUICKACKS`).
const MAX_QUICK: u32 = 16;

/// What is owed to the peer, and for how long it may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DelayedAck {
    /// An acknowledgment must leave with the next flush.
    urgent: bool,
    /// Data was received since the last acknowledgment.
    owed: bool,
    /// The estimated time between data segments; zero before the first.
    ato: Duration,
    /// Acknowledgments still to be sent without delay.
    quick: u32,
    /// Data flows in both directions: acknowledgments wait for answers to ride on (Linux's
    /// pingpong).
    interactive: bool,
    last_data: Instant,
    /// Small segments since the last acknowledgment, counted to 2 (Linux's ICSK_ACK_PUSHED).
    small: u8,
}

impl DelayedAck {
    pub(crate) fn new() -> DelayedAck {
        DelayedAck {
            urgent: false,
            owed: false,
            ato: Duration::ZERO,
            quick: 0,
            interactive: false,
            last_data: Instant::default(),
            small: 0,
        }
    }

    /// Demands an acknowledgment with the next flush.
    pub(crate) fn demand(&mut self) {
        self.urgent = true;
    }

    /// Lets the acknowledgment of the peer's SYN wait for data to ride on, and returns for how long;
    /// later ones are quick for a while (Linux's `tcp_rcv_synsent_state_process`).
    pub(crate) fn defer(&mut self, now: Instant) -> Instant {
        self.owed = true;
        self.quick = MAX_QUICK;
        self.interactive = false;
        self.ato = MIN;
        now.saturating_add(MAX)
    }

    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent
    }

    pub(crate) fn ato(&self) -> Duration {
        self.ato
    }

    /// Returns how many acknowledgments leave without delay, and whether the others wait for data
    /// to ride on.
    pub(crate) fn mode(&self) -> (u32, bool) {
        (self.quick, self.interactive)
    }

    pub(crate) fn last_data(&self) -> Instant {
        self.last_data
    }

    /// Enters quick-ACK mode for as many segments as half the window holds.
    fn quicken(&mut self, window: u32, mss: u32) {
        let half = window
            .checked_div(mss.max(1).saturating_mul(2))
            .unwrap_or(0);
        self.quick = self.quick.max(half.clamp(2, MAX_QUICK));
    }

    /// Something arrived that asks for quick answers for a while: data out of order or twice.
    pub(crate) fn on_disorder(&mut self, window: u32, mss: u32) {
        self.quicken(window, mss);
        self.interactive = false;
        self.ato = MIN;
        self.urgent = true;
    }

    /// A router marked data, or data that was lost came again: two quick answers (Linux's
    /// `tcp_enter_quickack_mode`).
    pub(crate) fn on_mark(&mut self) {
        self.quick = self.quick.max(2);
        self.interactive = false;
        self.ato = MIN;
    }

    /// Data arrived in order (Linux's `tcp_event_data_recv`).
    pub(crate) fn on_data(&mut self, now: Instant, window: u32, mss: u32, rto: Duration) {
        self.owed = true;
        let gap = now.since(self.last_data);
        if self.ato == Duration::ZERO {
            self.quicken(window, mss);
            self.ato = MIN;
        } else if gap.as_nanos() <= MIN.as_nanos() / 2 {
            self.ato = Duration::from_nanos(self.ato.as_nanos() / 2).saturating_add(half(MIN));
        } else if gap < self.ato {
            self.ato = half(self.ato).saturating_add(gap).min(rto);
        } else if gap > rto {
            // The peer may have restarted from its initial window: give it acknowledgments to grow
            // on.
            self.quicken(window, mss);
        }
        self.last_data = now;
    }

    /// Data smaller than usual arrived in order: probably the end of what the peer wanted to say.
    pub(crate) fn on_small(&mut self) {
        self.small = self.small.saturating_add(1).min(2);
    }

    /// The reader has consumed all there was (Linux's `__tcp_cleanup_rbuf`).
    ///
    /// After a small segment nothing more may come before the peer hears from us (Nagle), so it is
    /// answered now, unless an answer of the user is likely to carry the acknowledgment.
    pub(crate) fn on_emptied(&mut self) {
        if self.owed && (self.small > 1 || (self.small > 0 && !self.interactive)) {
            self.urgent = true;
        }
    }

    /// Decides what to do about the data received: `unacked` octets since the last acknowledgment.
    /// Returns a deadline to keep.
    ///
    /// RFC 5681, 4.2: at least every second full-sized segment is acknowledged at once.
    pub(crate) fn decide(&mut self, now: Instant, unacked: u64, mss: u32) -> Option<Instant> {
        if !self.owed {
            return None;
        }
        let quick = self.quick > 0 && !self.interactive;
        if unacked > u64::from(mss) || quick {
            self.urgent = true;
            return None;
        }
        Some(now.saturating_add(self.ato.clamp(MIN, MAX)))
    }

    /// The deadline passed (Linux's `tcp_delack_timer_handler`).
    pub(crate) fn on_deadline(&mut self, rto: Duration) {
        if !self.owed {
            return;
        }
        self.urgent = true;
        if self.interactive {
            // The answer did not come in time: the exchange is one-sided after all.
            self.interactive = false;
            self.ato = MIN;
        } else {
            self.ato = self.ato.saturating_mul(2).min(rto);
        }
    }

    /// A segment with an acknowledgment left; `data` tells whether it carried any.
    pub(crate) fn on_sent(&mut self, now: Instant, data: bool) {
        if data && now.since(self.last_data) < self.ato {
            self.interactive = true;
        }
        if self.owed && self.quick > 0 {
            self.quick = self.quick.saturating_sub(1);
            if self.quick == 0 {
                self.ato = MIN;
            }
        }
        self.urgent = false;
        self.owed = false;
        self.small = 0;
    }

    /// The user asked for acknowledgments at once, or for the usual delay (`TCP_QUICKACK`).
    pub(crate) fn set_quick(&mut self, on: bool) {
        self.interactive = !on;
        if on && self.owed {
            self.urgent = true;
        }
    }
}

fn half(span: Duration) -> Duration {
    Duration::from_nanos(span.as_nanos() / 2)
}

#[cfg(test)]
mod tests;
