// SPDX-License-Identifier: GPL-2.0

//! What a connection tells of itself.

use super::Connection;
use super::Phase;
use crate::engine::cc::pacing::Pacer;
use crate::engine::info::CongestionInfo;
use crate::engine::info::Info;
use crate::engine::info::Outline;
use crate::engine::seq::SeqNum;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::time::Instant;

impl<S: Store> Connection<S> {
    /// Returns the payload octets of a full segment (Linux's `mss_cache`).
    pub fn send_mss(&self) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => connection.mss(&self.config),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => self.config.mss.into(),
        }
    }

    /// Returns the congestion window, in octets; 0 before there is one.
    pub fn cwnd(&self) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => connection.cc.cwnd(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => 0,
        }
    }

    /// Returns how many times cwnd the send buffer should hold.
    pub fn send_buffer_windows(&self) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => connection.cc.buffer_windows(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => 2,
        }
    }

    /// Returns the name of the algorithm of congestion control.
    pub fn congestion(&self) -> &'static str {
        match &self.phase {
            Phase::Synchronized(connection) => connection.cc.name(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => {
                self.config.congestion.name()
            }
        }
    }

    /// Returns what that algorithm tells.
    pub fn congestion_info(&self) -> CongestionInfo {
        match &self.phase {
            Phase::Synchronized(connection) => connection.cc.law_info(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => CongestionInfo::None,
        }
    }

    /// Returns the pacing rate, in octets per second, and who paces.
    pub fn pacing(&self) -> (u64, Pacer) {
        match &self.phase {
            Phase::Synchronized(connection) => {
                (connection.cc.pacing.rate(), connection.cc.pacing.pacer())
            }
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => {
                (u64::MAX, Pacer::None)
            }
        }
    }

    /// Returns the octets that are in the network as far as is known (RFC 6675, 4: pipe).
    pub fn pipe(&self) -> u64 {
        match &self.phase {
            Phase::Synchronized(connection) => {
                let mss = connection.mss(&self.config);
                connection.recovery.pipe(mss)
            }
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => 0,
        }
    }

    /// Returns whether an octet or SYN at `seq` was sent and is not acknowledged, or would be the
    /// next: what an ICMP error may quote (RFC 5927, 4.1).
    pub fn is_outstanding(&self, seq: SeqNum) -> bool {
        match &self.phase {
            Phase::SynSent(syn_sent, _) => seq == syn_sent.isn.seq,
            Phase::SynReceived(received, _) => received.half_open.is_outstanding(seq),
            Phase::Synchronized(connection) => {
                let (una, nxt) = (connection.tx.una, connection.tx.nxt);
                !seq.before(connection.tx.seq(una)) && !seq.after(connection.tx.seq(nxt))
            }
            Phase::Ended(_) => false,
        }
    }

    /// Returns the values behind `/proc/net/tcp`, which costs little.
    pub fn outline(&self) -> Outline {
        match &self.phase {
            Phase::Synchronized(connection) => connection.outline(&self.config),
            Phase::SynSent(syn_sent, _) => Outline {
                unacked: 1,
                retransmit: Some(syn_sent.deadline),
                retransmits: syn_sent.retries,
                rto: syn_sent.rto(&self.config),
                mss: self.config.mss.into(),
                ..Outline::default()
            },
            Phase::SynReceived(received, _) => Outline {
                unacked: 1,
                retransmit: Some(received.half_open.next_deadline()),
                retransmits: received.half_open.retransmits(),
                mss: self.config.mss.into(),
                ..Outline::default()
            },
            Phase::Ended(_) => Outline::default(),
        }
    }

    /// Returns the values behind `TCP_INFO`.
    pub fn info(&self, now: Instant) -> Info {
        match &self.phase {
            Phase::Synchronized(connection) => connection.info(now, &self.config, self.counters),
            Phase::SynSent(syn_sent, early) => Info {
                retransmits: syn_sent.retries,
                backoff: syn_sent.backoff,
                rto: syn_sent.rto(&self.config),
                unacked: 1,
                notsent_bytes: early.written,
                advmss: u32::from(self.config.mss),
                deadline: self.next_deadline(),
                ..Info::idle(State::SynSent, self.counters)
            },
            Phase::SynReceived(..) | Phase::Ended(_) => Info {
                bytes_acked: self.acked(),
                bytes_received: self.readable(),
                deadline: self.next_deadline(),
                ..Info::idle(self.state(), self.counters)
            },
        }
    }
}
