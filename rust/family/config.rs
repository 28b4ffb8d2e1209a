// SPDX-License-Identifier: GPL-2.0

//! The engine's configuration, made of the namespace's settings and the socket's options at the
//! moment it is needed.

use super::{
    options::Options,
    socket::TcpSock, //
};
use crate::{
    engine::{
        Algorithm,
        Config,
        Duration,
        KeepAlive,
        MtuProbing, //
    },
    net::{
        ip::{
            Hints,
            Path, //
        },
        net_namespace::Net,
        netns_ipv4::TcpSettings, //
    }, //
};

/// The least MSS that a route can bring us to.
const MSS_MIN: u32 = 48;

/// How much payload fits into `space` bytes of buffer memory, as long as nothing is known of the
/// packets that come: the engine learns it from them.
pub(super) fn window_of(space: u32) -> u32 {
    space / 2
}

/// The bound of the window at the start: the option's, or the route's, and not more than what a
/// buffer can hold that the user has fixed.
fn window_clamp(sk: &TcpSock, options: &Options, path: &Path, full: u32) -> u32 {
    let clamp = match options.window_clamp {
        0 => path.window,
        clamp => clamp,
    };
    if sk.is_receive_buffer_fixed() && (clamp == 0 || clamp > full) {
        full
    } else {
        clamp
    }
}

/// An MSS without TCP options, not above the user's (`TCP_MAXSEG`, 0 if not set).
fn bounded(mss: u32, max_segment: u16) -> u16 {
    let mss = mss.clamp(MSS_MIN, u16::MAX.into()) as u16;
    match max_segment {
        0 => mss,
        most => mss.min(most),
    }
}

/// The MSS that a route and the user allow, without TCP options.
pub(super) fn mss_of(path: &Path, max_segment: u16) -> u16 {
    bounded(path.mtu.saturating_sub(path.headers), max_segment)
}

/// The configuration for a connection of `sk`, over `path`.
pub(super) fn config(sk: &TcpSock, options: &Options, path: &Path) -> Config {
    let settings = sk.net().tcp_settings();
    let (buffer, _) = sk.receive_memory();
    Config {
        mss: mss_of(path, options.max_segment),
        advertised_mss: bounded(path.advertised_mss, options.max_segment),
        ip_options: u16::try_from(path.ip_options).unwrap_or(u16::MAX),
        default_mss: path.default_mss,
        window_scaling: settings.window_scaling,
        timestamps: settings.timestamps != 0,
        sack: settings.sack,
        // Accurate ECN is classic ECN here.
        ecn_request: matches!(settings.ecn, 1 | 3 | 4) || path.ecn,
        ecn_accept: settings.ecn != 0 || path.ecn,
        ecn_fallback: settings.ecn_fallback,
        receive_window: window_of(buffer),
        // As `tcp_select_initial_window`: the scale must do for the largest buffer that may come.
        max_receive_window: settings.rmem.max.max(settings.core_rmem_max),
        window_clamp: window_clamp(sk, options, path, window_of(buffer)),
        initial_rwnd: path.initial_rwnd,
        app_win: settings.app_win,
        user_timeout: options.user_timeout,
        nodelay: options.nodelay,
        cork: options.cork,
        // With `TCP_QUICKACK` off too; acknowledgments are quick after that one, as Linux has it.
        defer_ack: options.defer_accept != 0 || options.interactive,
        congestion: congestion_along(&path.hints).unwrap_or(options.congestion),
        max_pacing_rate: sk.max_pacing_rate(),
        keepalive: sk.keeps_alive().then(|| keepalive(options, &settings)),
        ..along(&path.hints, &limits(options, &settings))
    }
}

/// Those parts that a route may choose.
pub(super) fn along(hints: &Hints, config: &Config) -> Config {
    Config {
        initial_cwnd: match hints.initial_cwnd {
            0 => Config::LINUX.initial_cwnd,
            segments => segments,
        },
        quick_ack: hints.quick_ack,
        rto_min: hints
            .rto_min_ns
            .map_or(config.rto_min, Duration::from_nanos),
        ..*config
    }
}

/// The algorithm that a route names, if the engine has it.
pub(super) fn congestion_along(hints: &Hints) -> Option<Algorithm> {
    let mut all = Algorithm::ALL.into_iter();
    all.find(|algorithm| hints.names(algorithm.name()))
}

/// Those parts that may change while a connection lives.
pub(super) fn limits(options: &Options, settings: &TcpSettings) -> Config {
    Config {
        syn_retries: options.syn_retries.unwrap_or(settings.syn_retries),
        syn_linear_timeouts: settings.syn_linear_timeouts,
        retries1: settings.retries1,
        mtu_probing: match settings.mtu_probing {
            0 => MtuProbing::Never,
            1 => MtuProbing::AfterBlackHole,
            _ => MtuProbing::Always,
        },
        base_mss: settings.base_mss,
        min_mss: settings.min_snd_mss,
        mtu_probe_floor: settings.mtu_probe_floor,
        probe_threshold: settings.probe_threshold,
        probe_interval: Duration::from_nanos(settings.probe_interval_ns),
        thin_linear: options.thin_linear || settings.thin_linear_timeouts,
        retries2: settings.retries2,
        orphan_retries: settings.orphan_retries,
        rto_min: options.rto_min,
        rto_max: options.rto_max,
        min_rtt_window: Duration::from_nanos(settings.min_rtt_wlen_ns),
        reordering: settings.reordering,
        max_reordering: settings.max_reordering,
        frto: settings.frto,
        loss_probe: matches!(settings.early_retrans, 3 | 4),
        rack_adapts: settings.recovery & 2 == 0,
        rack_counts: settings.recovery & 4 == 0,
        fin_timeout: options
            .linger2
            .unwrap_or(Duration::from_nanos(settings.fin_timeout_ns)),
        skip_fin_wait_2: options.linger2 == Some(Duration::ZERO),
        invalid_ratelimit: Duration::from_nanos(settings.invalid_ratelimit_ns),
        slow_start_after_idle: settings.slow_start_after_idle,
        rfc1337: settings.rfc1337,
        pacing_ss_ratio: settings.pacing_ss_ratio,
        pacing_ca_ratio: settings.pacing_ca_ratio,
        min_tso_segs: settings.min_tso_segs,
        tso_rtt_log: settings.tso_rtt_log,
        max_receive_buffer: settings.rmem.max,
        moderate_rcvbuf: settings.moderate_rcvbuf,
        rcvbuf_low_rtt: Duration::from_nanos(settings.rcvbuf_low_rtt_ns),
        shrink_window: settings.shrink_window,
        signed_windows: settings.signed_windows,
        stdurg: settings.stdurg,
        dsack: settings.dsack,
        pingpong_thresh: settings.pingpong_thresh,
        delack_max: options.delack_max.unwrap_or(Config::LINUX.delack_max),
        comp_sack_nr: settings.comp_sack_nr,
        comp_sack_delay: Duration::from_nanos(settings.comp_sack_delay_ns),
        comp_sack_percent: settings.comp_sack_percent,
        ..Config::LINUX
    }
}

/// The congestion control that sockets of a namespace begin with: the namespace's, or CUBIC where the
/// engine has none of its name.
pub(super) fn congestion_of(net: &Net) -> Algorithm {
    algorithm(&net.congestion_control()).unwrap_or_default()
}

/// The algorithm of a name that is padded with zeros.
pub(super) fn algorithm(name: &[u8]) -> Option<Algorithm> {
    let end = name.iter().position(|&byte| byte == 0);
    Algorithm::by_name(name.get(..end.unwrap_or(name.len()))?)
}

/// How a silent peer is probed.
pub(super) fn keepalive(options: &Options, settings: &TcpSettings) -> KeepAlive {
    KeepAlive {
        idle: options
            .keep_idle
            .unwrap_or(Duration::from_nanos(settings.keepalive_time_ns)),
        interval: options
            .keep_interval
            .unwrap_or(Duration::from_nanos(settings.keepalive_intvl_ns)),
        probes: options.keep_count.unwrap_or(settings.keepalive_probes),
    }
}
