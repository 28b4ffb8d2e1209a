// SPDX-License-Identifier: GPL-2.0

//! What a connection tells of itself.

use super::Connection;
use super::Phase;
use crate::engine::cc::pacing::Pacer;
use crate::engine::info::CongestionInfo;
use crate::engine::info::Info;
use crate::engine::info::Outline;
use crate::engine::rx::advmss_beside;
use crate::engine::rx::SMALLEST;
use crate::engine::seq::SeqNum;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::time::Instant;
use crate::engine::window::DEFAULT_MSS;

/// What decides how large a send buffer should be (Linux's `tcp_sndbuf_expand`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BufferNeed {
    /// The most payload octets of a segment.
    pub segment: u32,
    /// Segments in a congestion window.
    pub segments: u32,
    /// How many such windows.
    pub windows: u32,
}

/// Sequence numbers that the send half has taken: those of octets, and of a SYN or a FIN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Queued {
    /// Those that are not acknowledged (Linux's `write_seq - snd_una`).
    pub unacked: u64,
    /// Those that are not sent (Linux's `write_seq - snd_nxt`).
    pub unsent: u64,
}

impl Queued {
    pub(super) const NONE: Queued = Queued {
        unacked: 0,
        unsent: 0,
    };
}

impl<S: Store> Connection<S> {
    /// Returns what of the send half's sequence numbers is not acknowledged, and not sent.
    pub fn queued(&self) -> Queued {
        match &self.phase {
            Phase::SynSent(..) | Phase::SynReceived(..) => Queued {
                unacked: self.written().saturating_add(1),
                unsent: self.written(),
            },
            Phase::Synchronized(connection) => {
                let fin = u64::from(connection.state.sends_fin());
                let end = connection.tx.written.saturating_add(fin);
                Queued {
                    unacked: end.saturating_sub(connection.tx.una),
                    unsent: end.saturating_sub(connection.tx.nxt),
                }
            }
            Phase::Ended(ended) => ended.queued,
        }
    }

    /// Returns how large a send buffer should be.
    pub fn buffer_need(&self) -> BufferNeed {
        let mut need = BufferNeed {
            segment: self.send_mss(),
            segments: 10,
            // RFC 5681, 3.2: while a loss is repaired, new data may be as much as is in flight.
            windows: 2,
        };
        if let Phase::Synchronized(connection) = &self.phase {
            let mss = connection.mss(&self.config).max(1);
            let cwnd = connection.cc.cwnd().checked_div(mss).unwrap_or(0);
            need.segment = need.segment.max(connection.agreed.peer_mss.into());
            need.segments = need.segments.max(cwnd);
            need.windows = connection.cc.buffer_windows();
        }
        need
    }

    /// Returns whether as much is in the network as cwnd allows.
    pub fn is_cwnd_full(&self) -> bool {
        match &self.phase {
            Phase::Synchronized(connection) => {
                let pipe = connection.recovery.pipe(connection.mss(&self.config));
                pipe >= u64::from(connection.cc.cwnd())
            }
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => false,
        }
    }

    /// Returns the most payload octets of one [`crate::engine::SegmentOut`] at the rate of the path,
    /// when the owner takes `max_len`.
    pub fn burst_len(&self, max_len: u32) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => {
                let (config, mss) = (&self.config, connection.mss(&self.config));
                let min_rtt = connection.rtt.min_rtt();
                connection.cc.buffer_len(config, min_rtt, mss, max_len)
            }
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => max_len,
        }
    }

    /// Returns whether data waits to be sent, for the first time or again.
    pub fn has_data_to_send(&self) -> bool {
        match &self.phase {
            Phase::Synchronized(connection) => {
                connection.tx.unsent() > 0 || connection.recovery.board.has_unrepaired()
            }
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => false,
        }
    }

    /// Returns how much the owner should gather before it says that it was written
    /// ([`Connection::on_write`]): half of the peer's largest window (Linux's `forced_push`), at
    /// least a segment.
    pub fn push_len(&self) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => {
                let half = connection.tx.max_wnd / 2;
                half.max(connection.mss(&self.config))
            }
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => u32::MAX,
        }
    }

    /// Returns the payload octets of a full segment (Linux's `mss_cache`).
    pub fn send_mss(&self) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => connection.mss(&self.config),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => self.config.mss.into(),
        }
    }

    /// Returns what the clock of the timestamps shows (RFC 7323, 4), whether the connection has them or
    /// not.
    pub fn timestamp(&self, now: Instant) -> u32 {
        let offset = match &self.phase {
            Phase::SynSent(sent, _) => sent.isn.ts_offset,
            Phase::SynReceived(received, _) => received.half_open.isn.ts_offset,
            Phase::Synchronized(connection) => connection.ts_offset(),
            Phase::Ended(_) => 0,
        };
        now.tick().wrapping_add(offset)
    }

    /// Returns the congestion window, in octets; 0 before there is one.
    pub fn cwnd(&self) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => connection.cc.cwnd(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => 0,
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
            Phase::Synchronized(connection) => connection.cc.law_info(connection.ecn.is_marked()),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => CongestionInfo::None,
        }
    }

    /// Returns the pacing rate, in octets per second, and who paces, once there is one.
    pub fn pacing(&self) -> Option<(u64, Pacer)> {
        match &self.phase {
            Phase::Synchronized(connection) => {
                let pacing = &connection.cc.pacing;
                Some((pacing.rate(), pacing.pacer()))
            }
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => None,
        }
    }

    /// Returns the deadline of what is over within less than a tick: departures that pacing times,
    /// and acknowledgments of disorder that are put off. [`Connection::next_deadline`] covers it too;
    /// an owner with clocks of several precisions serves this one by the finest.
    pub fn next_fine_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Synchronized(connection) => connection.next_fine_deadline(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => None,
        }
    }

    /// Returns the deadline of everything else.
    pub fn next_coarse_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Synchronized(connection) => connection.next_coarse_deadline(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => self.next_deadline(),
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
                let sent =
                    !seq.before(connection.tx.seq(una)) && !seq.after(connection.tx.seq(nxt));
                sent || connection.quotes_syn(seq)
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
                snd_mss: advmss_beside(DEFAULT_MSS.into(), self.config.timestamps),
                rcv_mss: SMALLEST,
                unacked: 1,
                notsent_bytes: early.written,
                advmss: u32::from(self.config.announced()),
                deadline: self.next_deadline(),
                ..Info::idle(State::SynSent, self.counters)
            },
            Phase::Ended(ended) => match &ended.info {
                Some((then, info)) => Info {
                    state: ended.state,
                    counters: self.counters,
                    ..info.aged(now.since(*then))
                },
                None => Info::unconnected(),
            },
            Phase::SynReceived(..) => Info {
                deadline: self.next_deadline(),
                ..Info::idle(self.state(), self.counters)
            },
        }
    }
}
