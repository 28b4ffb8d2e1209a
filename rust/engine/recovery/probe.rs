// SPDX-License-Identifier: GPL-2.0

//! The tail loss probe (RFC 8985, 7): when nothing comes back for two round trips, one segment is
//! sent to provoke an answer before the retransmission time-out.

use crate::engine::cc::Congestion;
use crate::engine::config::Config;
use crate::engine::info::CaState;
use crate::engine::recovery::Ack;
use crate::engine::recovery::Moved;
use crate::engine::recovery::Recovery;
use crate::engine::recovery::Rtts;
use crate::engine::recovery::SLACK;
use crate::engine::store::Memory;
use crate::engine::store::Record;
use crate::engine::tally::Mib;
use crate::engine::time::Duration;

/// A probe that was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Probe {
    /// TLP.end_seq: SND.NXT after it.
    high: u64,
    /// TLP.is_retrans.
    pub(super) retransmitted: bool,
}

impl<M: Memory<Record>> Recovery<M> {
    /// Returns PTO, if a probe may be sent (RFC 8985, 7.2; Linux's `tcp_schedule_loss_probe`).
    pub(crate) fn probe_timeout(&self, rtts: Rtts, config: &Config) -> Option<Duration> {
        let calm = matches!(self.state, CaState::Open | CaState::Cwr);
        if !config.loss_probe || !self.sack || !calm {
            return None;
        }
        let Some(srtt) = rtts.srtt else {
            return Some(config.rto_initial);
        };
        // A lone segment's acknowledgment may be delayed.
        let slack = if self.board.out.segments == 1 {
            config.rto_min
        } else {
            SLACK
        };
        Some(srtt.saturating_mul(2).saturating_add(slack))
    }

    /// Returns whether a probe's answer is awaited; only one is out at a time.
    pub(crate) fn is_probing(&self) -> bool {
        self.probe.is_some()
    }

    /// A probe left: new data, or the last segment again.
    pub(crate) fn on_probe(&mut self, nxt: u64, retransmitted: bool) {
        self.probe = Some(Probe {
            high: nxt,
            retransmitted,
        });
    }

    /// Returns whether `end` is where the probe's data ended.
    pub(super) fn ends_probe(&self, end: u64) -> bool {
        self.probe.is_some_and(|probe| probe.high == end)
    }

    /// RFC 8985, 7.4.2 (Linux's `tcp_process_tlp_ack`): did the probe repair a loss?
    pub(super) fn on_probe_answer(&mut self, ack: &Ack<'_>, cc: &mut Congestion) {
        let Some(probe) = self.probe.filter(|probe| ack.una >= probe.high) else {
            return;
        };
        if !probe.retransmitted || ack.found.dsack_of_probe {
            // New data arrived; or both the original and the probe did.
            self.probe = None;
        } else if ack.una > probe.high {
            // There was no sign of a duplicate: the probe repaired a loss, which was congestion.
            self.high = ack.nxt;
            self.probe = None;
            self.moved = Some(Moved::Down);
            cc.enter_cwr(CaState::Open);
            cc.end_reduction(ack.now);
            self.state = CaState::Cwr;
            self.try_keep_open(ack.nxt);
            ack.tally.count(Mib::LossProbeRecovery);
        } else if !ack.advanced() && !ack.is_no_duplicate() && !ack.found.sacked {
            // A duplicate acknowledgment: both arrived.
            self.probe = None;
        }
    }
}
