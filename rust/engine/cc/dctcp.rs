// SPDX-License-Identifier: GPL-2.0

//! DCTCP: cwnd comes down by as much as the share of marked octets says (RFC 8257).
//!
//! This is the sender; the exact echo of a receiver (RFC 8257, 3.2) is in [`crate::engine::ecn`].

use crate::engine::cc::reno::Reno;
use crate::engine::cc::News;
use crate::engine::rate::Rate;

/// DCTCP.Alpha is a fraction of this.
const ONE: u64 = 1_024;
/// g is 2 to the power of minus this (RFC 8257, 4.2).
const G_SHIFT: u32 = 4;

/// The sender's state.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dctcp {
    /// DCTCP.Alpha.
    alpha: u64,
    /// DCTCP.WindowEnd.
    window_end: u64,
    /// What had been delivered, and with a mark, when the window began: DCTCP.BytesAcked and
    /// DCTCP.BytesMarked are the differences.
    delivered: u64,
    marked: u64,
    /// cwnd before the last reduction.
    loss_cwnd: u32,
    /// Growth is Reno's (RFC 8257, 3.3).
    pub(crate) reno: Reno,
}

impl Dctcp {
    /// Begins with the caution of a whole window marked (RFC 8257, 4.2), at SND.NXT `nxt`.
    pub(crate) fn new(rate: &Rate, nxt: u64) -> Dctcp {
        Dctcp {
            alpha: ONE,
            window_end: nxt,
            delivered: rate.delivered(),
            marked: rate.delivered_ce(),
            loss_cwnd: 0,
            reno: Reno::NEW,
        }
    }

    /// Once per window: the share of marked octets goes into alpha (RFC 8257, 3.3).
    pub(crate) fn on_ack(&mut self, news: &News, rate: &Rate) {
        if news.una < self.window_end {
            return;
        }
        let delivered = rate.delivered().saturating_sub(self.delivered);
        let marked = rate.delivered_ce().saturating_sub(self.marked);
        // As Linux: a small alpha whose share is nothing falls to nothing at once.
        let fall = match self.alpha >> G_SHIFT {
            0 => self.alpha,
            fall => fall,
        };
        let rise = marked
            .saturating_mul(ONE >> G_SHIFT)
            .checked_div(delivered)
            .unwrap_or(0);
        self.alpha = self
            .alpha
            .saturating_sub(fall)
            .saturating_add(rise)
            .min(ONE);
        self.window_end = news.nxt;
        self.delivered = rate.delivered();
        self.marked = rate.delivered_ce();
    }

    /// A mark was echoed: returns ssthresh (RFC 8257, 3.3, step 9).
    pub(crate) fn on_mark(&mut self, cwnd: u32, mss: u32) -> u32 {
        self.loss_cwnd = cwnd;
        let cut = u64::from(cwnd).saturating_mul(self.alpha) / (2 * ONE);
        let cut = u32::try_from(cut).unwrap_or(cwnd);
        cwnd.saturating_sub(cut).max(mss.saturating_mul(2))
    }

    /// Loss is answered like Reno's (RFC 8257, 3.5): returns ssthresh.
    pub(crate) fn on_loss(&mut self, cwnd: u32, mss: u32) -> u32 {
        self.loss_cwnd = cwnd;
        self.reno.on_loss(cwnd, mss)
    }

    /// Returns cwnd before the last reduction.
    pub(crate) fn loss_cwnd(&self) -> u32 {
        self.loss_cwnd
    }

    /// The segment size changed from `from` to `to`.
    pub(crate) fn rescale(&mut self, to: u32, from: u32) {
        self.loss_cwnd = super::rescale(self.loss_cwnd, to, from);
    }

    /// Returns alpha, of 1,024 (`TCP_CC_INFO`).
    pub(crate) fn alpha(&self) -> u32 {
        self.alpha as u32
    }

    /// Returns the octets acknowledged with a mark, and all, in the present window
    /// (`TCP_CC_INFO`).
    pub(crate) fn window(&self, rate: &Rate) -> (u64, u64) {
        (
            rate.delivered_ce().saturating_sub(self.marked),
            rate.delivered().saturating_sub(self.delivered),
        )
    }
}

#[cfg(test)]
mod tests;
