// SPDX-License-Identifier: GPL-2.0

//! What the owner decides about a connection before and while it lives.

use crate::engine::half_open::Patience;
use crate::engine::metrics::Known;
use crate::engine::time::Duration;
use crate::engine::window::WindowScale;
use crate::engine::window::DEFAULT_MSS;
use crate::engine::window::MIN_MSS;

/// How a silent peer is probed (RFC 9293, 3.8.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepAlive {
    /// Silence before the first probe (`TCP_KEEPIDLE`).
    pub idle: Duration,
    /// Time between probes (`TCP_KEEPINTVL`).
    pub interval: Duration,
    /// Unanswered probes before the connection is given up (`TCP_KEEPCNT`).
    pub probes: u8,
}

impl Default for KeepAlive {
    fn default() -> KeepAlive {
        KeepAlive {
            idle: Duration::from_secs(7200),
            interval: Duration::from_secs(75),
            probes: 9,
        }
    }
}

/// How the congestion window moves (`TCP_CONGESTION`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Algorithm {
    /// NewReno (RFC 5681, RFC 6582).
    Reno,
    /// CUBIC (RFC 9438) with HyStart++ (RFC 9406), Linux's default.
    #[default]
    Cubic,
    /// DCTCP (RFC 8257), for networks whose routers mark early.
    Dctcp,
    /// BBR, version 1.
    Bbr,
}

impl Algorithm {
    /// Returns whether it works by ECN marks, so that ECN is asked for whatever the settings say,
    /// and each mark is echoed exactly (Linux's `TCP_CONG_NEEDS_ECN`).
    pub(crate) const fn needs_ecn(self) -> bool {
        matches!(self, Algorithm::Dctcp)
    }

    /// Returns the name by which `TCP_CONGESTION` and `tcp_congestion_control` know it.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Reno => "reno",
            Algorithm::Cubic => "cubic",
            Algorithm::Dctcp => "dctcp",
            Algorithm::Bbr => "bbr",
        }
    }

    /// All there are.
    pub const ALL: [Algorithm; 4] = [
        Algorithm::Reno,
        Algorithm::Cubic,
        Algorithm::Dctcp,
        Algorithm::Bbr,
    ];

    /// Returns the algorithm with a name, if there is one.
    pub fn by_name(name: &[u8]) -> Option<Algorithm> {
        let mut all = Algorithm::ALL.into_iter();
        all.find(|algorithm| algorithm.name().as_bytes() == name)
    }
}

/// When the path's MTU is looked for by segments of other sizes (`tcp_mtu_probing`; RFC 4821).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MtuProbing {
    /// Never.
    #[default]
    Never,
    /// Once large segments seem to vanish silently.
    AfterBlackHole,
    /// From the beginning.
    Always,
}

/// The settings of one connection. The default is Linux's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// Payload octets that the route's MTU leaves without TCP options: the cap of what is sent.
    pub mss: u16,
    /// What the peer is told in the MSS option (the route's `advmss`); 0 for `mss`.
    pub advertised_mss: u16,
    // RFC 9293, 3.7.1: the size of IP options comes off what is sent, and not off the MSS option
    // (MUST-16, MUST-67).
    /// Octets of IP options or extension headers in each packet, for which segments are shorter.
    pub ip_options: u16,
    // RFC 9293, 3.7.1: If an MSS Option is not received at connection setup, TCP implementations
    // MUST assume a default send MSS of 536 (576 - 40) for IPv4 or 1220 (1280 - 60) for IPv6.
    /// The MSS of a peer whose SYN carries no MSS option.
    pub default_mss: u16,
    /// Whether window scaling is offered and accepted (`tcp_window_scaling`).
    pub window_scaling: bool,
    /// Whether timestamps are offered and accepted (`tcp_timestamps`).
    pub timestamps: bool,
    /// Whether segments carry an MD5 signature (`TCP_MD5SIG`; RFC 2385), which takes its room.
    pub signed: bool,
    /// Whether selective acknowledgment is offered and accepted (`tcp_sack`).
    pub sack: bool,
    /// Whether our SYN asks for ECN (`tcp_ecn`, or the route).
    pub ecn_request: bool,
    /// Whether ECN is agreed to when a peer's SYN asks for it.
    pub ecn_accept: bool,
    /// Whether a SYN that is sent again does without ECN, which may have been why the first was
    /// lost (`tcp_ecn_fallback`).
    pub ecn_fallback: bool,
    /// Octets that can be received at first: half of the receive buffer's memory.
    pub receive_window: u32,
    /// The largest receive window that the buffer may ever grow to, in octets: decides the scale
    /// that is offered.
    pub max_receive_window: u32,
    /// The memory that the receive buffer may grow to (`tcp_rmem`, the third value).
    pub max_receive_buffer: u32,
    /// The largest window to offer (`TCP_WINDOW_CLAMP`, or the route's); 0 for no such bound.
    pub window_clamp: u32,
    /// The window scale that our SYN has offered: no later setting changes it.
    pub own_scale: Option<WindowScale>,
    /// The most segments that the first window invites (the route's `initrwnd`); 0 for no bound.
    pub initial_rwnd: u32,
    /// Whether the receive buffer follows the reader's speed (`tcp_moderate_rcvbuf`).
    pub moderate_rcvbuf: bool,
    /// Below this round-trip time the buffer follows more slowly (`tcp_rcvbuf_low_rtt`).
    pub rcvbuf_low_rtt: Duration,
    /// One part in two to this power of the first window is kept for the reader (`tcp_app_win`);
    /// with 0 not even one segment.
    pub app_win: u8,
    /// Whether the right edge of the window may move left (`tcp_shrink_window`).
    pub shrink_window: bool,
    /// Whether unscaled windows stay below 2^15 (`tcp_workaround_signed_windows`).
    pub signed_windows: bool,
    /// Whether an urgent pointer is that of the urgent octet, not of the next (`tcp_stdurg`).
    pub stdurg: bool,
    /// Whether octets that arrive twice are reported (`tcp_dsack`; RFC 2883).
    pub dsack: bool,
    /// After how many answers that follow soon on what they answer acknowledgments wait for data
    /// to ride on (`tcp_pingpong_thresh`).
    pub pingpong_thresh: u8,
    /// The longest delay of an acknowledgment (`TCP_DELACK_MAX_US`).
    pub delack_max: Duration,
    /// How many acknowledgments of disorder one may stand for (`tcp_comp_sack_nr`).
    pub comp_sack_nr: u8,
    /// How long it waits for them at most (`tcp_comp_sack_delay_ns`).
    pub comp_sack_delay: Duration,
    /// The same in hundredths of the round-trip time (`tcp_comp_sack_rtt_percent`).
    pub comp_sack_percent: u32,
    /// The congestion control that the connection begins with.
    pub congestion: Algorithm,
    /// The pacing rate in slow start, in percent of cwnd per round trip (`tcp_pacing_ss_ratio`).
    pub pacing_ss_ratio: u32,
    /// The same in congestion avoidance (`tcp_pacing_ca_ratio`).
    pub pacing_ca_ratio: u32,
    /// The highest pacing rate, in octets per second (`SO_MAX_PACING_RATE`).
    pub max_pacing_rate: u64,
    /// The least segments that are sent as one buffer (`tcp_min_tso_segs`).
    pub min_tso_segs: u32,
    /// By how many bits of the round trip's microseconds larger buffers become smaller
    /// (`tcp_tso_rtt_log`).
    pub tso_rtt_log: u32,
    /// The initial congestion window, in segments (RFC 6928).
    pub initial_cwnd: u32,
    /// What earlier connections have learned of the path.
    pub known: Known,
    /// Acknowledgments are not delayed (`quickack` of a route).
    pub quick_ack: bool,
    /// Retransmissions of a SYN beyond the linear ones (`tcp_syn_retries`).
    pub syn_retries: u8,
    /// Retransmissions of a SYN before the time-out starts to double (`tcp_syn_linear_timeouts`).
    pub syn_linear_timeouts: u8,
    /// Retransmissions after which the route is doubted (`tcp_retries1`).
    pub retries1: u8,
    /// When the path's MTU is probed (`tcp_mtu_probing`).
    pub mtu_probing: MtuProbing,
    /// Payload octets, without TCP options, of which probing takes for granted that they pass
    /// (`tcp_base_mss`).
    pub base_mss: u32,
    /// The least MSS that is believed, options counted (`tcp_min_snd_mss`): against peers that ask for
    /// tiny segments.
    pub min_mss: u32,
    /// The least that black holes bring it to (`tcp_mtu_probe_floor`).
    pub mtu_probe_floor: u32,
    /// How close, in octets, the search comes to the path's MTU (`tcp_probe_threshold`).
    pub probe_threshold: u32,
    /// After how long it begins anew, for the path may have become wider (`tcp_probe_interval`).
    pub probe_interval: Duration,
    /// Whether the time-outs of a connection with little in flight do not double at first
    /// (`TCP_THIN_LINEAR_TIMEOUTS`, `tcp_thin_linear_timeouts`).
    pub thin_linear: bool,
    /// Retransmissions after which the connection is given up (`tcp_retries2`), converted to a time
    /// as Linux does.
    pub retries2: u8,
    /// The same for a connection without an owner's descriptor (`tcp_orphan_retries`); 0 means 8
    /// while the peer lives.
    pub orphan_retries: u8,
    /// The lower bound of the variance's part of the RTO (`TCP_RTO_MIN_US`, `tcp_rto_min_us`).
    pub rto_min: Duration,
    /// The upper bound of the RTO (`TCP_RTO_MAX_MS`, `tcp_rto_max_ms`).
    pub rto_max: Duration,
    /// The time-out before any sample (RFC 6298, 2.1).
    pub rto_initial: Duration,
    /// How long the shortest round-trip time is remembered (`tcp_min_rtt_wlen`).
    pub min_rtt_window: Duration,
    /// Duplicates that mean loss, until the path shows more reordering (`tcp_reordering`).
    pub reordering: u32,
    /// The most reordering that is believed (`tcp_max_reordering`).
    pub max_reordering: u32,
    /// Whether spurious time-outs are looked for (`tcp_frto`, RFC 5682).
    pub frto: bool,
    /// Whether a silent tail is probed (`tcp_early_retrans`, RFC 8985, 7).
    pub loss_probe: bool,
    /// Whether the reordering window follows what DSACKs report (`tcp_recovery` without 2).
    pub rack_adapts: bool,
    /// Whether as many duplicates as `reordering` mean loss at once (`tcp_recovery` without 4).
    pub rack_counts: bool,
    /// How long FIN-WAIT-2 lasts without an owner's descriptor (`tcp_fin_timeout`).
    pub fin_timeout: Duration,
    /// Whether there is no FIN-WAIT-2 without an owner's descriptor (`TCP_LINGER2` below 0).
    pub skip_fin_wait_2: bool,
    /// How long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`, RFC 5482).
    pub user_timeout: Option<Duration>,
    /// Whether small segments leave at once (`TCP_NODELAY`).
    pub nodelay: bool,
    /// Whether partial segments are kept back, for 200 ms at most (`TCP_CORK`).
    pub cork: bool,
    /// Whether the third segment of an active open waits for data, for 200 ms at most
    /// (`TCP_DEFER_ACCEPT` of the socket that connects).
    pub defer_ack: bool,
    /// Keepalive probes, if wanted (`SO_KEEPALIVE`).
    pub keepalive: Option<KeepAlive>,
    /// The least time between two answers to invalid segments (`tcp_invalid_ratelimit`).
    pub invalid_ratelimit: Duration,
    /// Whether cwnd restarts after an idle time (`tcp_slow_start_after_idle`; RFC 5681, 4.1).
    pub slow_start_after_idle: bool,
    /// Whether a RST in TIME-WAIT is ignored (`tcp_rfc1337`).
    pub rfc1337: bool,
}

/// The usual lower bound of the RTO's variance, and that of a window probe's (Linux's `TCP_RTO_MIN`).
pub(crate) const RTO_MIN: Duration = Duration::from_millis(200);

impl Default for Config {
    fn default() -> Config {
        Config::LINUX
    }
}

impl Config {
    /// Linux's defaults.
    pub const LINUX: Config = Config {
        mss: 1460,
        advertised_mss: 0,
        ip_options: 0,
        default_mss: DEFAULT_MSS,
        window_scaling: true,
        timestamps: true,
        signed: false,
        sack: true,
        ecn_request: false,
        ecn_accept: true,
        ecn_fallback: true,
        receive_window: 65_535,
        max_receive_window: 6 << 20,
        congestion: Algorithm::Cubic,
        pacing_ss_ratio: 200,
        pacing_ca_ratio: 120,
        max_pacing_rate: u64::MAX,
        min_tso_segs: 2,
        tso_rtt_log: 9,
        max_receive_buffer: 6 << 20,
        window_clamp: 0,
        own_scale: None,
        initial_rwnd: 0,
        moderate_rcvbuf: true,
        rcvbuf_low_rtt: Duration::from_micros(1000),
        app_win: 31,
        shrink_window: false,
        signed_windows: false,
        stdurg: false,
        dsack: true,
        pingpong_thresh: 1,
        delack_max: Duration::from_millis(200),
        comp_sack_nr: 44,
        comp_sack_delay: Duration::from_millis(1),
        comp_sack_percent: 33,
        initial_cwnd: 10,
        known: Known {
            cwnd_clamp: 0,
            ssthresh: 0,
            reordering: 0,
            rtt: Duration::ZERO,
        },
        quick_ack: false,
        syn_retries: 6,
        syn_linear_timeouts: 4,
        retries1: 3,
        mtu_probing: MtuProbing::Never,
        base_mss: 1024,
        min_mss: MIN_MSS as u32,
        mtu_probe_floor: 48,
        probe_threshold: 8,
        probe_interval: Duration::from_secs(600),
        thin_linear: false,
        retries2: 15,
        orphan_retries: 0,
        rto_min: RTO_MIN,
        rto_max: Duration::from_secs(120),
        rto_initial: Duration::from_secs(1),
        min_rtt_window: Duration::from_secs(300),
        reordering: 3,
        max_reordering: 300,
        frto: true,
        loss_probe: true,
        rack_adapts: true,
        rack_counts: true,
        fin_timeout: Duration::from_secs(60),
        skip_fin_wait_2: false,
        user_timeout: None,
        nodelay: false,
        cork: false,
        defer_ack: false,
        keepalive: None,
        invalid_ratelimit: Duration::from_millis(500),
        slow_start_after_idle: true,
        rfc1337: false,
    };

    /// Returns the MSS that the peer is told.
    pub(crate) fn announced(&self) -> u16 {
        match self.advertised_mss {
            0 => self.mss,
            told => told,
        }
    }

    /// Returns how long a connection that sent its SYN first waits in SYN-RECEIVED.
    pub(crate) fn syn_patience(&self) -> Patience {
        Patience {
            retries: self.syn_retries,
            defer: 0,
        }
    }

    /// Returns how many times an orphan's data is retransmitted (Linux's `tcp_orphan_retries`).
    pub(crate) fn orphan_tries(&self, alive: bool) -> u8 {
        if self.orphan_retries == 0 && alive {
            8
        } else {
            self.orphan_retries
        }
    }

    /// Returns the time that `tries` retransmissions take when the RTO starts at its usual minimum
    /// and doubles.
    ///
    /// A count alone would give a fast path a much shorter life than a slow one, so Linux
    /// (`tcp_model_timeout`) turns the count into a time: 15 tries are 924.6 s.
    pub(crate) fn timeout_of_tries(&self, tries: u8) -> Duration {
        self.time_of_tries(RTO_MIN, tries)
    }

    /// The same for an RTO that starts at `first`.
    pub(crate) fn time_of_tries(&self, first: Duration, tries: u8) -> Duration {
        let mut total = Duration::ZERO;
        for exponent in 0..=u32::from(tries) {
            total = total.saturating_add(first.doubled(exponent, self.rto_max));
        }
        total
    }
}

#[cfg(test)]
mod tests;
