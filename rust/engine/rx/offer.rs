// SPDX-License-Identifier: GPL-2.0

//! The window that is offered to the peer (RFC 9293, 3.8.6).

use crate::engine::config::Config;
use crate::engine::ranges::RunBits;
use crate::engine::rx::tuning::SIGNED_MAX;
use crate::engine::rx::Rx;
use crate::engine::seq::SeqNum;
use crate::engine::store::Memory;

impl<M: Memory<RunBits>> Rx<M> {
    /// Returns the octets from RCV.NXT to the right edge of the window.
    pub(crate) fn window(&self) -> u32 {
        u32::try_from(self.edge.saturating_sub(self.end())).unwrap_or(u32::MAX)
    }

    /// Returns the octets from RCV.NXT to the rightmost edge that was ever offered: what is sent
    /// up to there is no error of the peer.
    pub(crate) fn largest_window(&self) -> u32 {
        u32::try_from(self.largest_edge.saturating_sub(self.end())).unwrap_or(u32::MAX)
    }

    /// Returns the window worth offering now, in octets (Linux's `__tcp_select_window`).
    ///
    /// RFC 9293, 3.8.6.2.2: no silly windows. None is offered while less than a segment, or less
    /// than a sixteenth of the buffer, is free.
    pub(crate) fn worthwhile(&mut self, config: &Config) -> u32 {
        let unit = self.scale.unit();
        let scaled = self.scale.shift() > 0;
        let shrinks = config.shrink_window && scaled;
        let allowed = self.tuning.full_space();
        let full = self.tuning.clamp().min(allowed);
        let mss = self.mss.min(full);
        if mss == 0 {
            return 0;
        }
        let mut free = self.tuning.space();
        if shrinks {
            free = round_down(free, unit);
        }
        if free < full / 2 {
            self.tight = true;
            if self.tuning.memory().pressure {
                self.tuning.shrink_under_pressure();
            }
            // What is left may become the window: the scale must not round it up.
            free = round_down(free, unit);
            if free < allowed >> 4 || free < mss || (shrinks && free < unit) {
                return 0;
            }
        }
        let earned = self.tuning.ssthresh();
        if scaled {
            // Rounded up, so that a small window is not scaled away: it may exceed the room by less
            // than a unit.
            return if shrinks && free <= earned {
                free
            } else {
                round_up(free.min(earned), unit)
            };
        }
        let free = free.min(earned);
        let current = u32::try_from(self.edge.saturating_sub(self.acked)).unwrap_or(u32::MAX);
        if i64::from(current) <= i64::from(free).saturating_sub(i64::from(mss)) || current > free {
            round_down(free, mss)
        } else if mss == full && free > current.saturating_add(full / 2) {
            free
        } else {
            current
        }
    }

    /// Returns the octets that were offered last.
    pub(crate) fn offered(&self) -> u64 {
        self.edge.saturating_sub(self.acked)
    }

    /// Returns whether the window should have closed, but for that it must not shrink.
    pub(crate) fn take_wants_zero(&mut self) -> bool {
        core::mem::take(&mut self.wants_zero)
    }

    /// Returns whether less than half of the buffer was free when this was looked at last.
    pub(crate) fn take_tight(&mut self) -> bool {
        core::mem::take(&mut self.tight)
    }

    /// Returns whether the right edge moves if an acknowledgment leaves now.
    pub(crate) fn would_open(&mut self, config: &Config) -> bool {
        let offered = self.edge.saturating_sub(self.acked);
        u64::from(self.worthwhile(config)) >= offered
    }

    /// Returns whether the reader has freed so much that the peer should hear of it (Linux's
    /// `__tcp_cleanup_rbuf`): the offer at least doubles.
    pub(crate) fn wants_update(&mut self, config: &Config) -> bool {
        if self.finished {
            return false;
        }
        let now = self.window();
        if now.saturating_mul(2) > self.tuning.clamp() {
            return false;
        }
        let new = self.worthwhile(config);
        new > 0 && new >= now.saturating_mul(2)
    }

    /// Returns the acknowledgment number for an older RCV.NXT, with the window field that offers what
    /// was offered already, rounded up: rounded down, the right edge would move left.
    pub(crate) fn acknowledge_at(&mut self, nxt: u64) -> (SeqNum, u16) {
        let window = self.edge.saturating_sub(nxt);
        let field = self
            .scale
            .field_above(u32::try_from(window).unwrap_or(u32::MAX));
        let offered = u64::from(self.scale.scale_up(field));
        self.edge = self.edge.max(nxt.saturating_add(offered));
        (self.seq(nxt), field)
    }

    /// Offers `window` octets from what a SYN-ACK with Fast Open acknowledges.
    pub(crate) fn offer_again(&mut self, window: u32) {
        self.edge = self.end().saturating_add(window.into());
        self.largest_edge = self.largest_edge.max(self.edge);
        self.acked = self.end();
    }

    /// Chooses the window field of a segment that leaves now, and remembers the offer (Linux's
    /// `tcp_select_window`).
    ///
    /// RFC 9293, 3.8.6 (SHLD-14): the right edge does not move left; a smaller offer keeps the old
    /// edge, rounded up. As in Linux there are two exceptions: the administrator allows it
    /// (`tcp_shrink_window`), or data had to be dropped for want of memory, which a zero window
    /// tells the peer.
    pub(crate) fn offer(&mut self, config: &Config) -> u16 {
        self.dsack = None;
        if core::mem::take(&mut self.no_memory) {
            self.edge = self.end();
            self.acked = self.end();
            return 0;
        }
        let current = self.window();
        let mut new = self.worthwhile(config);
        if new < current && !(config.shrink_window && self.scale.shift() > 0) {
            self.wants_zero = new == 0;
            new = round_up(current, self.scale.unit());
        }
        let most = if self.scale.shift() == 0 && config.signed_windows {
            SIGNED_MAX
        } else {
            self.scale.max_window()
        };
        let field = self.scale.field_below(new.min(most));
        self.edge = self.end().saturating_add(self.scale.scale_up(field).into());
        self.largest_edge = self.largest_edge.max(self.edge);
        self.acked = self.end();
        field
    }
}

fn round_down(value: u32, unit: u32) -> u32 {
    value.saturating_sub(value.checked_rem(unit).unwrap_or(0))
}

fn round_up(value: u32, unit: u32) -> u32 {
    round_down(value.saturating_add(unit.saturating_sub(1)), unit)
}
