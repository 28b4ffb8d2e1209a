// SPDX-License-Identifier: GPL-2.0

//! Proportional rate reduction: how a cwnd comes down to ssthresh (RFC 6937, as Linux's
//! `tcp_cwnd_reduction`).

/// The state of one reduction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prr {
    /// RecoverFS of RFC 6937; as Linux cwnd before the reduction, not what was in flight.
    prior_cwnd: u32,
    /// prr_delivered: octets delivered since it began.
    delivered: u64,
    /// prr_out: octets sent since it began.
    out: u64,
}

/// What an acknowledgment tells during a reduction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    /// Octets reported for the first time: DeliveredData of RFC 6937.
    pub(crate) newly_delivered: u64,
    /// Octets marked lost by this acknowledgment.
    pub(crate) newly_lost: u64,
    /// Octets in the network now: pipe.
    pub(crate) in_flight: u64,
    /// SND.UNA moved.
    pub(crate) advanced: bool,
    pub(crate) mss: u32,
}

impl Prr {
    pub(crate) fn new(prior_cwnd: u32) -> Prr {
        Prr {
            prior_cwnd: prior_cwnd.max(1),
            delivered: 0,
            out: 0,
        }
    }

    /// Octets were sent, new ones or old ones again.
    pub(crate) fn on_transmit(&mut self, octets: u32) {
        self.out = self.out.saturating_add(u64::from(octets));
    }

    /// The segment size changed from `from` to `to`.
    pub(crate) fn rescale(&mut self, to: u32, from: u32) {
        let scale = |octets: u64| {
            let product = octets.saturating_mul(u64::from(to));
            product.checked_div(u64::from(from)).unwrap_or(octets)
        };
        self.prior_cwnd = super::rescale(self.prior_cwnd, to, from).max(1);
        self.delivered = scale(self.delivered);
        self.out = scale(self.out);
    }

    /// Returns cwnd after an acknowledgment that delivered something; `None` leaves it.
    pub(crate) fn step(&mut self, ssthresh: u32, step: &Step) -> Option<u32> {
        if step.newly_delivered == 0 {
            return None;
        }
        let ssthresh = u64::from(ssthresh);
        let mss = u64::from(step.mss);
        self.delivered = self.delivered.saturating_add(step.newly_delivered);
        let mut count = if step.in_flight > ssthresh {
            // RFC 6937, 3: as many as come in, in the proportion of the windows, rounded up to whole
            // segments.
            let share = ssthresh.saturating_mul(self.delivered);
            let share = share.div_ceil(u64::from(self.prior_cwnd));
            let segments = share.div_ceil(mss.max(1));
            segments.saturating_mul(mss).saturating_sub(self.out)
        } else {
            // RFC 6937, 3.1: the slow-start reduction bound. As Linux its one segment more only for
            // an acknowledgment that fills a hole and tells of none.
            let owed = self.delivered.saturating_sub(self.out);
            let mut limit = owed.max(step.newly_delivered);
            if step.advanced && step.newly_lost == 0 {
                limit = limit.saturating_add(mss);
            }
            limit.min(ssthresh.saturating_sub(step.in_flight))
        };
        // The first retransmission leaves whatever the numbers say.
        if self.out == 0 {
            count = count.max(mss);
        }
        let cwnd = step.in_flight.saturating_add(count);
        Some(u32::try_from(cwnd).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests;
