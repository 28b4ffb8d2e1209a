// SPDX-License-Identifier: GPL-2.0

//! Congestion control: cwnd, ssthresh, and the events that move them. Octets throughout.

pub(crate) mod cubic;
pub(crate) mod reno;

use crate::engine::cc::cubic::Cubic;
use crate::engine::cc::reno::Reno;
use crate::engine::config::Algorithm;
use crate::engine::config::Config;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// ssthresh before the first loss: as high as can be (RFC 5681, 3.1).
pub(crate) const NO_SSTHRESH: u32 = u32::MAX;

/// cwnd and ssthresh with the algorithm that decides them.
///
/// The events know nothing of the connection; an algorithm gets only what it computes with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Congestion {
    /// cwnd, in octets; never below one segment.
    cwnd: u32,
    /// ssthresh, in octets.
    ssthresh: u32,
    /// cwnd after an idle time: RFC 5681, 4.1's restart window.
    initial: u32,
    law: Law,
    usage: Usage,
}

#[derive(Clone, Copy, Debug)]
enum Law {
    Reno(Reno),
    Cubic(Cubic),
}

/// What an acknowledgment outside fast recovery tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acked {
    pub(crate) now: Instant,
    /// The octets that left the network.
    pub(crate) octets: u32,
    pub(crate) mss: u32,
    /// The smoothed round-trip time, zero if it is not known.
    pub(crate) srtt: Duration,
}

/// Whether cwnd was the limit during the current window of data (RFC 7661's concern; Linux's
/// `tcp_cwnd_validate`).
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    limited: bool,
    most: u32,
    window_end: u64,
}

impl Congestion {
    /// Makes the state of a new connection (RFC 6928): one segment if the SYN had to be sent more
    /// than twice.
    pub(crate) fn new(config: &Config, mss: u32, syn_lost: bool) -> Congestion {
        let segments = if syn_lost {
            1
        } else {
            config.initial_cwnd.max(1)
        };
        let initial = segments.saturating_mul(mss);
        Congestion {
            cwnd: initial,
            ssthresh: NO_SSTHRESH,
            initial: config.initial_cwnd.max(1).saturating_mul(mss),
            law: match config.congestion {
                Algorithm::Reno => Law::Reno(Reno::new()),
                Algorithm::Cubic => Law::Cubic(Cubic::new()),
            },
            usage: Usage::default(),
        }
    }

    pub(crate) fn cwnd(&self) -> u32 {
        self.cwnd
    }

    pub(crate) fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// Tells how the window was used after a round of sending: `flight` octets up to `nxt` are out.
    pub(crate) fn on_sent(&mut self, una: u64, nxt: u64, flight: u32, limited: bool) {
        let usage = &mut self.usage;
        if una >= usage.window_end || limited || (!usage.limited && flight > usage.most) {
            usage.limited = limited;
            usage.most = flight;
            usage.window_end = nxt;
        }
    }

    /// RFC 5681, 3.1 with RFC 2861's condition: cwnd grows only when it was what held the sender
    /// back.
    fn was_limit(&self) -> bool {
        let in_slow_start = self.cwnd < self.ssthresh;
        self.usage.limited || (in_slow_start && self.cwnd / 2 < self.usage.most)
    }

    /// Octets left the network by an acknowledgment outside fast recovery.
    pub(crate) fn on_ack(&mut self, acked: &Acked) {
        if !self.was_limit() {
            if let Law::Cubic(cubic) = &mut self.law {
                cubic.on_unlimited_ack(acked.now);
            }
            return;
        }
        let mut acked = *acked;
        if self.cwnd < self.ssthresh {
            // RFC 5681, 3.1, equation 2 with RFC 3465's byte counting; as Linux without its limit
            // of two segments per ACK, because peers and NICs merge acknowledgments.
            let room = self.ssthresh.saturating_sub(self.cwnd);
            let step = acked.octets.min(room);
            self.cwnd = self.cwnd.saturating_add(step);
            acked.octets = acked.octets.saturating_sub(step);
        }
        if acked.octets > 0 {
            self.cwnd = match &mut self.law {
                Law::Reno(reno) => reno.on_ack(self.cwnd, acked.octets, acked.mss),
                Law::Cubic(cubic) => cubic.on_ack(self.cwnd, &acked),
            };
        }
    }

    /// Fast retransmit: loss was detected by acknowledgments with `flight` octets out.
    pub(crate) fn on_fast_retransmit(&mut self, flight: u32, mss: u32) {
        self.reduce(flight, mss, false);
        self.cwnd = self.ssthresh;
    }

    /// The retransmission timer expired; `first` unless it did so before for the same data.
    ///
    /// RFC 5681, 3.1: cwnd becomes one segment; ssthresh is held when the timer expires again.
    pub(crate) fn on_timeout(&mut self, flight: u32, mss: u32, first: bool) {
        if first {
            self.reduce(flight, mss, true);
        }
        self.cwnd = mss;
    }

    fn reduce(&mut self, flight: u32, mss: u32, timeout: bool) {
        self.ssthresh = match &mut self.law {
            Law::Reno(reno) => reno.on_loss(flight, mss),
            Law::Cubic(cubic) => cubic.on_loss(self.cwnd, flight, mss, timeout),
        };
    }

    /// All that was in flight at the loss is acknowledged.
    ///
    /// RFC 6582, 3.2, step 3 (option 2, as Linux's `tcp_end_cwnd_reduction`): with option 1 a
    /// recovery that ends with little in flight would start again from almost nothing.
    pub(crate) fn on_recovered(&mut self, mss: u32) {
        self.cwnd = self.ssthresh.max(mss.saturating_mul(2));
    }

    /// Nothing was sent for `idle`, at least one `rto` long.
    ///
    /// RFC 5681, 4.1; as Linux (`tcp_cwnd_restart`) cwnd halves once per RTO of idleness instead of
    /// falling at once.
    pub(crate) fn on_idle(&mut self, idle: Duration, rto: Duration) {
        let restart = self.initial.min(self.cwnd);
        if self.ssthresh != NO_SSTHRESH {
            let known = self.cwnd.saturating_sub(self.cwnd / 4);
            self.ssthresh = self.ssthresh.max(known);
        }
        let mut left = idle;
        while left > rto && self.cwnd > restart {
            left = left.saturating_sub(rto.max(Duration::from_millis(1)));
            self.cwnd /= 2;
        }
        self.cwnd = self.cwnd.max(restart);
        self.usage = Usage::default();
        if let Law::Cubic(cubic) = &mut self.law {
            cubic.on_idle();
        }
    }

    /// The segment size became `mss`: cwnd is at least one segment.
    pub(crate) fn on_mss(&mut self, mss: u32) {
        self.cwnd = self.cwnd.max(mss);
    }
}

/// Returns whether a connection that last sent at `last` has idled so long that cwnd tells nothing
/// any more.
pub(crate) fn idle_since(last: Instant, now: Instant, rto: Duration) -> Option<Duration> {
    let idle = now.since(last);
    (idle > rto).then_some(idle)
}

#[cfg(test)]
mod tests;
