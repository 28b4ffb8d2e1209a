// SPDX-License-Identifier: GPL-2.0

//! NewReno's answers to the congestion events (RFC 5681; RFC 6582).

/// The state of congestion avoidance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reno {
    /// Acknowledged octets that have not enlarged cwnd yet.
    counted: u32,
}

impl Reno {
    pub(crate) const NEW: Reno = Reno { counted: 0 };

    /// Congestion avoidance: returns cwnd after `acked` octets more (RFC 5681, 3.1, with
    /// appropriate byte counting: one segment per cwnd).
    pub(crate) fn on_ack(&mut self, cwnd: u32, acked: u32, mss: u32) -> u32 {
        let mut cwnd = cwnd.max(1);
        self.counted = self.counted.saturating_add(acked);
        while self.counted >= cwnd {
            self.counted = self.counted.saturating_sub(cwnd);
            cwnd = cwnd.saturating_add(mss.max(1));
        }
        cwnd
    }

    /// Loss or ECN: returns ssthresh (RFC 5681, equation 4; as Linux half of cwnd, which follows
    /// what is in flight, not half of that itself).
    pub(crate) fn on_loss(&mut self, cwnd: u32, mss: u32) -> u32 {
        self.counted = 0;
        (cwnd / 2).max(mss.saturating_mul(2))
    }
}
