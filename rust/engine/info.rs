// SPDX-License-Identifier: GPL-2.0

//! What a connection tells about itself: the values behind `TCP_INFO`.

use crate::engine::config::Config;
use crate::engine::ecn::Received;
use crate::engine::fast_open::FastOpenFail;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::state::State;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use crate::engine::window::WindowScale;
use crate::engine::window::DEFAULT_MSS;

/// Totals over the life of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Segments received, as they came over the wire.
    pub segs_in: u32,
    /// Segments sent, as they go over the wire.
    pub segs_out: u32,
    /// Segments received with payload.
    pub data_segs_in: u32,
    /// Segments sent with payload.
    pub data_segs_out: u32,
    /// Payload octets sent, retransmissions included.
    pub bytes_sent: u64,
    /// Payload octets sent again.
    pub bytes_retrans: u64,
    /// Segments sent again, SYN included.
    pub total_retrans: u32,
    /// Duplicates that the peer reported (RFC 2883).
    pub dsack_dups: u32,
    /// Segments received out of order.
    pub rcv_ooopack: u32,
    /// Expiries of the retransmission timer, SYN and SYN-ACK included.
    pub total_rto: u16,
    /// How often they began, after an acknowledgment.
    pub total_rto_recoveries: u16,
    /// How long it took until all that was lost then was acknowledged.
    pub total_rto_time: Duration,
    /// When the first of the last row was, until then.
    pub rto_since: Option<Instant>,
    /// Data went with a SYN, and was taken (`TCPI_OPT_SYN_DATA`).
    pub syn_data_acked: bool,
    /// A server's connection began with the SYN itself (`TCPI_OPT_TFO_CHILD`).
    pub fast_open_child: bool,
    /// Why Fast Open did not work.
    pub fast_open_fail: FastOpenFail,
}

impl Counters {
    /// Nothing counted yet.
    pub(crate) const ZERO: Counters = Counters {
        segs_in: 0,
        segs_out: 0,
        data_segs_in: 0,
        data_segs_out: 0,
        bytes_sent: 0,
        bytes_retrans: 0,
        total_retrans: 0,
        dsack_dups: 0,
        rcv_ooopack: 0,
        total_rto: 0,
        total_rto_recoveries: 0,
        total_rto_time: Duration::ZERO,
        rto_since: None,
        syn_data_acked: false,
        fast_open_child: false,
        fast_open_fail: FastOpenFail::None,
    };

    /// The retransmission timer expired; `first` since something was acknowledged (Linux's
    /// `tcp_update_rto_stats`).
    pub(crate) fn on_timeout(&mut self, now: Instant, first: bool) {
        if first {
            self.total_rto_recoveries = self.total_rto_recoveries.wrapping_add(1);
            self.rto_since = Some(now);
        }
        self.total_rto = self.total_rto.wrapping_add(1);
    }

    /// What was lost at the time-outs is acknowledged.
    pub(crate) fn end_timeouts(&mut self, now: Instant) {
        if let Some(since) = self.rto_since.take() {
            self.total_rto_time = self.total_rto_time.saturating_add(now.since(since));
        }
    }

    pub(crate) fn on_segment_in(&mut self, segment: &SegmentIn) {
        let wire = segment.wire_segments();
        self.segs_in = self.segs_in.saturating_add(wire);
        if segment.len > 0 {
            self.data_segs_in = self.data_segs_in.saturating_add(wire);
        }
    }

    pub(crate) fn on_segment_out(&mut self, segment: &SegmentOut) {
        self.segs_out = self.segs_out.saturating_add(segment.wire_segments());
    }
}

/// The mode of the sender, numbered as Linux's `tcpi_ca_state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CaState {
    /// Nothing unusual.
    #[default]
    Open = 0,
    /// Duplicate acknowledgments arrived, too few to mean loss.
    Disorder = 1,
    /// cwnd comes down without loss: an echo of CE, or a full queue of our own host.
    Cwr = 2,
    /// Fast recovery.
    Recovery = 3,
    /// Recovery after a time-out.
    Loss = 4,
}

/// What an algorithm of congestion control tells (`TCP_CC_INFO`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum CongestionInfo {
    /// Nothing of its own.
    #[default]
    None,
    /// DCTCP; without ECN it is Reno.
    Dctcp(Option<DctcpInfo>),
    /// BBR.
    Bbr(BbrInfo),
}

/// What DCTCP tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DctcpInfo {
    /// The last data that arrived was marked.
    pub ce: bool,
    /// The share of marked octets, of 1,024.
    pub alpha: u32,
    /// Octets acknowledged with a mark in the present window of data.
    pub marked: u64,
    /// Octets acknowledged in it.
    pub delivered: u64,
}

/// What BBR tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BbrInfo {
    /// Octets per second.
    pub bandwidth: u64,
    /// The shortest round-trip time that counts.
    pub min_rtt: Option<Duration>,
    /// The gain of the pacing rate, of 256.
    pub pacing_gain: u32,
    /// The gain of cwnd, of 256.
    pub cwnd_gain: u32,
}

/// A snapshot of a connection. "Segments" are counted in segments of `snd_mss`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Info {
    /// The state of RFC 9293.
    pub state: State,
    /// The mode of the sender.
    pub ca_state: CaState,
    /// Expiries of the retransmission timer since SND.UNA moved.
    pub retransmits: u8,
    /// Window or keepalive probes since something was heard.
    pub probes: u8,
    /// Doublings of the time-out.
    pub backoff: u8,
    /// Timestamps are in use.
    pub timestamps: bool,
    /// SACK is in use.
    pub sack: bool,
    /// ECN is in use.
    pub ecn: bool,
    /// Something came ECN-capable.
    pub ecn_seen: bool,
    /// What came with which codepoint.
    pub received_ecn: Received,
    /// The shifts of the peer's window fields and of ours, when scaling is in use.
    pub window_scales: Option<(WindowScale, WindowScale)>,
    /// The retransmission time-out in force, back-off included.
    pub rto: Duration,
    /// The estimate behind the delay of acknowledgments.
    pub ato: Duration,
    /// Payload octets per segment sent.
    pub snd_mss: u32,
    /// Payload octets per segment received, as seen.
    pub rcv_mss: u32,
    /// The MSS that we advertised.
    pub advmss: u32,
    /// Segments sent and not acknowledged.
    pub unacked: u32,
    /// Segments of those that the peer holds.
    pub sacked: u32,
    /// Segments of those that are lost and not sent again.
    pub lost: u32,
    /// Segments of those that were sent again.
    pub retrans: u32,
    /// Duplicate acknowledgments that mean loss.
    pub reordering: u32,
    /// How often segments were seen to arrive out of order.
    pub reordering_seen: u32,
    /// Smoothed round-trip time, once sampled.
    pub srtt: Option<Duration>,
    /// Its deviation.
    pub rttvar: Duration,
    /// The shortest round-trip time seen.
    pub min_rtt: Option<Duration>,
    /// Congestion window, in segments.
    pub cwnd: u32,
    /// Slow-start threshold in segments; `None` before the first loss.
    pub ssthresh: Option<u32>,
    /// The pacing rate, in octets per second; `u64::MAX` without limit.
    pub pacing_rate: u64,
    /// The highest one (`SO_MAX_PACING_RATE`).
    pub max_pacing_rate: u64,
    /// The last rate of delivery worth telling, in octets per second; 0 before there is one.
    pub delivery_rate: u64,
    /// The user was its limit.
    pub delivery_rate_app_limited: bool,
    /// Segments delivered, the SYN and what was sent again included.
    pub delivered: u32,
    /// Those of them with an echo of CE.
    pub delivered_ce: u32,
    /// How long there was something to send or to be acknowledged.
    pub busy_time: Duration,
    /// How long of that the peer's window was the limit.
    pub rwnd_limited: Duration,
    /// How long of it our send buffer was.
    pub sndbuf_limited: Duration,
    /// SND.WND, in octets.
    pub snd_wnd: u32,
    /// The window that we offer, in octets.
    pub rcv_wnd: u32,
    /// What the segments so far have earned of it, in octets.
    pub rcv_ssthresh: u32,
    /// Octets that the reader takes in a round trip.
    pub rcv_space: u32,
    /// The round-trip time as the receiver sees it, zero before there is one.
    pub rcv_rtt: Duration,
    /// Octets written and not sent.
    pub notsent_bytes: u64,
    /// Octets acknowledged by the peer.
    pub bytes_acked: u64,
    /// Octets received in order.
    pub bytes_received: u64,
    /// Time since data was sent.
    pub last_data_sent: Duration,
    /// Time since data was received.
    pub last_data_received: Duration,
    /// Time since anything valid was received.
    pub last_ack_received: Duration,
    /// When the connection wants to be called next.
    pub deadline: Option<Instant>,
    /// Totals.
    pub counters: Counters,
}

/// What is known of a connection without computing: the values behind `/proc/net/tcp`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Outline {
    /// Sequence numbers written and not acknowledged, SYN and FIN counted.
    pub unacked: u64,
    /// When what is in flight will be sent again.
    pub retransmit: Option<Instant>,
    /// When a closed window will be probed.
    pub persist: Option<Instant>,
    /// When a silent peer will be probed, or FIN-WAIT-2 be given up.
    pub keepalive: Option<Instant>,
    /// When received data will be acknowledged.
    pub delayed_ack: Option<Instant>,
    /// Expiries of the retransmission timer since SND.UNA moved.
    pub retransmits: u8,
    /// Window or keepalive probes since something was heard.
    pub probes: u8,
    /// Acknowledgments still to be sent without delay.
    pub quick_acks: u32,
    /// Acknowledgments wait for answers to ride on.
    pub interactive: bool,
    /// The retransmission time-out in force, back-off included.
    pub rto: Duration,
    /// The estimate behind the delay of acknowledgments.
    pub ato: Duration,
    /// Payload octets per segment sent.
    pub mss: u32,
    /// Congestion window, in octets.
    pub cwnd: u32,
    /// Slow-start threshold in octets; `None` before the first loss.
    pub ssthresh: Option<u32>,
    /// Acknowledgments have told of a loss that is being repaired.
    pub fast_recovery: bool,
}

impl Info {
    /// Makes the snapshot of a connection that has nothing to tell but its state.
    /// Returns what is told of a socket that was never connected.
    pub fn unconnected() -> Info {
        Info::idle(State::Closed, Counters::ZERO)
    }

    /// Returns the snapshot as it is `span` later, of a connection that is over.
    pub(crate) fn aged(&self, span: Duration) -> Info {
        Info {
            last_data_sent: self.last_data_sent.saturating_add(span),
            last_data_received: self.last_data_received.saturating_add(span),
            last_ack_received: self.last_ack_received.saturating_add(span),
            deadline: None,
            ..*self
        }
    }

    pub(crate) fn idle(state: State, counters: Counters) -> Info {
        Info {
            state,
            ca_state: CaState::Open,
            retransmits: 0,
            probes: 0,
            backoff: 0,
            timestamps: false,
            sack: false,
            ecn: false,
            ecn_seen: false,
            received_ecn: Received::default(),
            window_scales: None,
            rto: Config::LINUX.rto_initial,
            ato: Duration::ZERO,
            snd_mss: DEFAULT_MSS.into(),
            rcv_mss: 0,
            advmss: 0,
            unacked: 0,
            sacked: 0,
            lost: 0,
            retrans: 0,
            reordering: Config::LINUX.reordering,
            reordering_seen: 0,
            srtt: None,
            rttvar: Duration::from_nanos(Config::LINUX.rto_initial.as_nanos() / 4),
            min_rtt: None,
            cwnd: Config::LINUX.initial_cwnd,
            ssthresh: None,
            pacing_rate: u64::MAX,
            max_pacing_rate: u64::MAX,
            delivery_rate: 0,
            delivery_rate_app_limited: true,
            delivered: 0,
            delivered_ce: 0,
            busy_time: Duration::ZERO,
            rwnd_limited: Duration::ZERO,
            sndbuf_limited: Duration::ZERO,
            snd_wnd: 0,
            rcv_wnd: 0,
            rcv_ssthresh: 0,
            rcv_space: 0,
            rcv_rtt: Duration::ZERO,
            notsent_bytes: 0,
            bytes_acked: 0,
            bytes_received: 0,
            last_data_sent: Duration::ZERO,
            last_data_received: Duration::ZERO,
            last_ack_received: Duration::ZERO,
            deadline: None,
            counters,
        }
    }
}
