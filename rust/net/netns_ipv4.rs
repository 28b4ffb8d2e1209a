// SPDX-License-Identifier: GPL-2.0

//! The settings of TCP in a network namespace.
//!
//! They are described in `Documentation/networking/ip-sysctl.rst`. Each is read where it is needed: an
//! administrator may be changing several.
//!
//! C header: [`include/net/netns/ipv4.h`](srctree/include/net/netns/ipv4.h)

use super::{
    bindings,
    net_namespace::Net,
    siphash, //
};
use core::ptr;
use kernel::sync::rcu;

/// The size of the name of a congestion control, with a zero at the end.
pub const CONGESTION_NAME_MAX: usize = bindings::TCP_CA_NAME_MAX as usize;

/// Reads a setting of the kernel's, which has to be there, as C's READ_ONCE() does.
macro_rules! read_once {
    ($($place:tt)+) => {
        // SAFETY: The setting is initialised and valid for reads by what stands before it: a
        // namespace is there by the type invariants of [`Net`], a variable of the kernel's always.
        // It is written as a whole.
        unsafe { (&raw const $($place)+).read_volatile() }
    };
}

/// Reads one setting of TCP of a [`Net`].
macro_rules! read_ipv4 {
    ($net:expr, $($name:ident).+) => {
        read_once!((*bindings::net_ipv4($net.as_raw())).$($name).+)
    };
}

impl Net {
    /// Reads `net.ipv4.tcp_notsent_lowat` alone: how many unsent bytes make a socket no longer
    /// writable.
    pub fn notsent_lowat(&self) -> u32 {
        read_ipv4!(self, sysctl_tcp_notsent_lowat)
    }

    /// Reads `net.ipv4.tcp_limit_output_bytes` alone: how many bytes of a socket may be in the queues
    /// below it.
    pub fn limit_output_bytes(&self) -> u32 {
        at_least_0(read_ipv4!(self, sysctl_tcp_limit_output_bytes))
    }

    /// Reads `net.ipv4.tcp_autocorking` alone: whether small writes wait while packets of the socket
    /// are on their way down.
    pub fn autocorks(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_autocorking) != 0
    }

    /// Reads `net.ipv4.tcp_dsack` and `tcp_invalid_ratelimit` alone: whether duplicates are reported, and
    /// the least time between two answers to invalid segments, in nanoseconds.
    pub fn answers(&self) -> (bool, u64) {
        let ratelimit = jiffies_to_ns(read_ipv4!(self, sysctl_tcp_invalid_ratelimit));
        (read_ipv4!(self, sysctl_tcp_dsack) != 0, ratelimit)
    }

    /// `net.ipv4.tcp_backlog_ack_defer`: whether what waited for a busy socket is acknowledged at once
    /// when all of it is taken in.
    pub fn defers_backlog_acks(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_backlog_ack_defer) != 0
    }

    /// Reads `net.ipv4.tcp_migrate_req` alone: whether the connections of a listener that ends go to
    /// others of its group.
    pub fn migrates_requests(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_migrate_req) != 0
    }

    /// Reads `net.ipv4.tcp_abort_on_overflow` alone: whether an overflowing accept queue is answered with a
    /// reset.
    pub fn aborts_on_overflow(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_abort_on_overflow) != 0
    }

    /// Reads `net.ipv4.tcp_no_metrics_save` alone: whether connections remember what they learn of a path.
    pub fn saves_metrics(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_nometrics_save) == 0
    }

    /// Reads `net.ipv4.tcp_no_ssthresh_metrics_save` alone: whether they remember where slow start ended,
    /// and go by it.
    pub fn saves_ssthresh(&self) -> bool {
        read_ipv4!(self, sysctl_tcp_no_ssthresh_metrics_save) == 0
    }

    /// Reads `net.ipv4.tcp_challenge_ack_limit` alone: how many challenge ACKs the namespace may send in a
    /// second.
    pub fn challenge_ack_limit(&self) -> u32 {
        at_least_0(read_ipv4!(self, sysctl_tcp_challenge_ack_limit))
    }

    /// Reads `net.ipv4.tcp_fastopen` alone: who may use Fast Open, and how, a set of bits.
    pub fn fast_open(&self) -> u32 {
        at_least_0(read_ipv4!(self, sysctl_tcp_fastopen))
    }

    /// Reads `net.ipv4.tcp_fastopen_blackhole_timeout_sec` alone: how long connect does without Fast Open
    /// after a path has swallowed it, in seconds; 0: not at all.
    pub fn fast_open_blackhole_secs(&self) -> u32 {
        read_ipv4!(self, sysctl_tcp_fastopen_blackhole_timeout)
    }

    /// Reads `net.ipv4.tcp_max_syn_backlog` alone: how many half-open connections a listener may have.
    pub fn max_syn_backlog(&self) -> u32 {
        at_least_0(read_ipv4!(self, sysctl_max_syn_backlog))
    }

    /// Reads `net.ipv4.tcp_max_tw_buckets` alone: how many connections may be in TIME-WAIT.
    pub fn max_tw_buckets(&self) -> u32 {
        at_least_0(read_ipv4!(self, tcp_death_row.sysctl_max_tw_buckets))
    }

    /// Reads `net.ipv4.tcp_reordering` alone: how much reordering loss detection assumes at first, in
    /// packets.
    pub fn reordering(&self) -> u32 {
        at_least_0(read_ipv4!(self, sysctl_tcp_reordering))
    }

    /// Reads `net.ipv4.tcp_rmem` alone.
    pub fn rmem(&self) -> BufferSizes {
        read_ipv4!(self, sysctl_tcp_rmem).into()
    }

    /// Reads `net.ipv4.tcp_rto_min_us` and `tcp_rto_max_ms` alone: the shortest and the longest
    /// retransmission timeout that sockets begin with, in nanoseconds.
    pub fn rto_bounds_ns(&self) -> (u64, u64) {
        let min = at_least_0(read_ipv4!(self, sysctl_tcp_rto_min_us));
        let max = at_least_0(read_ipv4!(self, sysctl_tcp_rto_max_ms));
        (u64::from(min) * 1_000, u64::from(max) * 1_000_000)
    }

    /// Reads `net.core.somaxconn` alone: the most that the backlog of `listen` counts.
    pub fn somaxconn(&self) -> u32 {
        at_least_0(read_once!(
            (*bindings::net_core(self.as_raw())).sysctl_somaxconn
        ))
    }

    /// Reads `net.ipv4.tcp_synack_retries` alone: how often a SYN-ACK is retransmitted.
    pub fn synack_retries(&self) -> u8 {
        read_ipv4!(self, sysctl_tcp_synack_retries)
    }

    /// Reads `net.ipv4.tcp_syncookies` alone: whether SYN cookies are sent, 0 never, 1 under pressure,
    /// 2 always.
    pub fn syncookies(&self) -> u8 {
        read_ipv4!(self, sysctl_tcp_syncookies)
    }

    /// Reads `net.ipv4.tcp_tw_reuse` and `tcp_tw_reuse_delay` alone: whether connect may reuse a
    /// TIME-WAIT, 0 no, 1 yes, 2 on loopback; and how old that must be, in nanoseconds.
    pub fn tw_reuse(&self) -> (u8, u64) {
        let delay = u64::from(read_ipv4!(self, sysctl_tcp_tw_reuse_delay)) * 1_000_000;
        (read_ipv4!(self, sysctl_tcp_tw_reuse), delay)
    }

    /// Reads `net.ipv4.tcp_wmem` alone.
    pub fn wmem(&self) -> BufferSizes {
        read_ipv4!(self, sysctl_tcp_wmem).into()
    }
}

impl Net {
    /// The name of the congestion control that sockets begin with,
    /// `net.ipv4.tcp_congestion_control`, padded with zeros.
    pub fn congestion_control(&self) -> [u8; CONGESTION_NAME_MAX] {
        let mut name = [0; CONGESTION_NAME_MAX];
        let _guard = rcu::read_lock();
        // SAFETY: By the type invariants the namespace is there, and always has one. Its name is a
        // string in an array of this size, which stays until the RCU read lock is released.
        unsafe {
            let from = bindings::net_tcp_congestion(self.as_raw());
            ptr::copy_nonoverlapping(from.cast(), name.as_mut_ptr(), name.len());
        }
        name
    }

    /// The keys of Fast Open's cookies that the namespace has, the present one first; none before
    /// `net.ipv4.tcp_fastopen_key` was set or read, or AF_INET used it.
    pub fn fast_open_keys(&self) -> Option<(siphash::Key, Option<siphash::Key>)> {
        let _guard = rcu::read_lock();
        // SAFETY: By the type invariants the namespace is there. The context is published by RCU, and
        // does not change while the lock is held.
        unsafe {
            let ipv4 = bindings::net_ipv4(self.as_raw());
            let context = (&raw const (*ipv4).tcp_fastopen_ctx)
                .cast::<*const bindings::tcp_fastopen_context>()
                .read_volatile()
                .as_ref()?;
            let keys = bindings::tcp_fastopen_context_keys(context);
            let backup = (bindings::tcp_fastopen_context_len(context) > 1)
                .then(|| siphash::Key::from_raw(&*keys.add(1)));
            Some((siphash::Key::from_raw(&*keys), backup))
        }
    }

    /// Reads what connections go by, `net.ipv4.tcp_*` and a few more.
    pub fn tcp_settings(&self) -> TcpSettings {
        // SAFETY: By the type invariants the namespace is there, and this is a part of it.
        let ipv4 = unsafe { bindings::net_ipv4(self.as_raw()) };
        macro_rules! flag {
            ($name:ident) => {
                read_once!((*ipv4).$name) != 0
            };
        }
        macro_rules! jiffies {
            ($name:ident) => {
                jiffies_to_ns(read_once!((*ipv4).$name))
            };
        }
        TcpSettings {
            app_win: read_once!((*ipv4).sysctl_tcp_app_win),
            comp_sack_delay_ns: read_once!((*ipv4).sysctl_tcp_comp_sack_delay_ns) as u64,
            comp_sack_nr: read_once!((*ipv4).sysctl_tcp_comp_sack_nr),
            comp_sack_percent: at_least_0(read_once!((*ipv4).sysctl_tcp_comp_sack_rtt_percent)),
            core_rmem_max: read_once!(bindings::sysctl_rmem_max),
            moderate_rcvbuf: flag!(sysctl_tcp_moderate_rcvbuf),
            pingpong_thresh: read_once!((*ipv4).sysctl_tcp_pingpong_thresh),
            rcvbuf_low_rtt_ns: u64::from(at_least_0(read_once!((*ipv4).sysctl_tcp_rcvbuf_low_rtt)))
                * 1_000,
            shrink_window: flag!(sysctl_tcp_shrink_window),
            signed_windows: flag!(sysctl_tcp_workaround_signed_windows),
            stdurg: flag!(sysctl_tcp_stdurg),
            base_mss: at_least_0(read_once!((*ipv4).sysctl_tcp_base_mss)),
            dsack: flag!(sysctl_tcp_dsack),
            early_retrans: read_once!((*ipv4).sysctl_tcp_early_retrans),
            ecn: read_once!((*ipv4).sysctl_tcp_ecn),
            ecn_fallback: flag!(sysctl_tcp_ecn_fallback),
            fin_timeout_ns: jiffies!(sysctl_tcp_fin_timeout),
            frto: flag!(sysctl_tcp_frto),
            invalid_ratelimit_ns: jiffies!(sysctl_tcp_invalid_ratelimit),
            keepalive_intvl_ns: jiffies!(sysctl_tcp_keepalive_intvl),
            keepalive_probes: read_once!((*ipv4).sysctl_tcp_keepalive_probes),
            keepalive_time_ns: jiffies!(sysctl_tcp_keepalive_time),
            max_reordering: at_least_0(read_once!((*ipv4).sysctl_tcp_max_reordering)),
            min_rtt_wlen_ns: u64::from(at_least_0(read_once!((*ipv4).sysctl_tcp_min_rtt_wlen)))
                * 1_000_000_000,
            min_snd_mss: at_least_0(read_once!((*ipv4).sysctl_tcp_min_snd_mss)),
            mtu_probe_floor: at_least_0(read_once!((*ipv4).sysctl_tcp_mtu_probe_floor)),
            mtu_probing: read_once!((*ipv4).sysctl_tcp_mtu_probing),
            min_tso_segs: read_once!((*ipv4).sysctl_tcp_min_tso_segs).into(),
            orphan_retries: read_once!((*ipv4).sysctl_tcp_orphan_retries),
            pacing_ca_ratio: at_least_0(read_once!((*ipv4).sysctl_tcp_pacing_ca_ratio)),
            pacing_ss_ratio: at_least_0(read_once!((*ipv4).sysctl_tcp_pacing_ss_ratio)),
            probe_interval_ns: u64::from(read_once!((*ipv4).sysctl_tcp_probe_interval))
                * 1_000_000_000,
            probe_threshold: at_least_0(read_once!((*ipv4).sysctl_tcp_probe_threshold)),
            recovery: read_once!((*ipv4).sysctl_tcp_recovery),
            reordering: self.reordering(),
            retries1: read_once!((*ipv4).sysctl_tcp_retries1),
            retries2: read_once!((*ipv4).sysctl_tcp_retries2),
            rfc1337: flag!(sysctl_tcp_rfc1337),
            rmem: self.rmem(),
            sack: flag!(sysctl_tcp_sack),
            slow_start_after_idle: flag!(sysctl_tcp_slow_start_after_idle),
            syn_linear_timeouts: read_once!((*ipv4).sysctl_tcp_syn_linear_timeouts),
            syn_retries: read_once!((*ipv4).sysctl_tcp_syn_retries),
            thin_linear_timeouts: flag!(sysctl_tcp_thin_linear_timeouts),
            timestamps: read_once!((*ipv4).sysctl_tcp_timestamps),
            tso_rtt_log: read_once!((*ipv4).sysctl_tcp_tso_rtt_log).into(),
            window_scaling: flag!(sysctl_tcp_window_scaling),
        }
    }
}

fn at_least_0(value: i32) -> u32 {
    value.max(0) as u32
}

fn jiffies_to_ns(jiffies: i32) -> u64 {
    // SAFETY: An FFI call with no additional requirements.
    unsafe { bindings::jiffies64_to_nsecs(u64::from(at_least_0(jiffies))) }
}

/// The three values of `tcp_rmem` and `tcp_wmem`, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BufferSizes {
    /// What a socket may have even under memory pressure.
    pub min: u32,
    /// What a socket begins with.
    pub default: u32,
    /// How far automatic tuning may go.
    pub max: u32,
}

impl From<[i32; 3]> for BufferSizes {
    fn from(sizes: [i32; 3]) -> Self {
        let [min, default, max] = sizes.map(at_least_0);
        Self { min, default, max }
    }
}

/// What connections go by in a namespace, `net.ipv4.tcp_*` where nothing else is said.
///
/// They are described in `Documentation/networking/ip-sysctl.rst`; times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpSettings {
    /// One part in two to this power of the first window is kept for the reader.
    pub app_win: u8,
    /// The segment size that probing the path's MTU takes for granted.
    pub base_mss: u32,
    /// How long an acknowledgment of disorder may wait for others.
    pub comp_sack_delay_ns: u64,
    /// How many acknowledgments of disorder one may stand for.
    pub comp_sack_nr: u8,
    /// The same as the delay, in hundredths of the round-trip time.
    pub comp_sack_percent: u32,
    /// `net.core.rmem_max`: the largest receive buffer that a program may ask for, in bytes.
    pub core_rmem_max: u32,
    /// Whether the receive buffer follows the reader.
    pub moderate_rcvbuf: bool,
    /// How many soon answers make a dialogue.
    pub pingpong_thresh: u8,
    /// Below this round-trip time the receive buffer follows more slowly.
    pub rcvbuf_low_rtt_ns: u64,
    /// Whether the window may shrink.
    pub shrink_window: bool,
    /// Whether unscaled windows stay below 2^15.
    pub signed_windows: bool,
    /// Whether an urgent pointer is that of the urgent byte.
    pub stdurg: bool,
    /// Whether duplicates are reported by SACK.
    pub dsack: bool,
    /// Whether a silent tail is probed: 3 and 4 yes.
    pub early_retrans: u8,
    /// Which ECN is asked for and agreed to: 0 none, 1 both, 2 only the latter; 3, 4 and 5 stand for
    /// accurate ECN in and out, accurate in and classic out, accurate in only.
    pub ecn: u8,
    /// Whether a SYN that asks for ECN is sent again without.
    pub ecn_fallback: bool,
    /// How long an orphan stays in FIN-WAIT-2.
    pub fin_timeout_ns: u64,
    /// Whether spurious time-outs are looked for.
    pub frto: bool,
    /// The least time between two answers to invalid segments.
    pub invalid_ratelimit_ns: u64,
    /// The time between keepalive probes.
    pub keepalive_intvl_ns: u64,
    /// How many keepalive probes may go unanswered.
    pub keepalive_probes: u8,
    /// How long a connection is idle before it is probed.
    pub keepalive_time_ns: u64,
    /// How much reordering loss detection may learn, in packets.
    pub max_reordering: u32,
    /// How long the shortest round-trip time is remembered.
    pub min_rtt_wlen_ns: u64,
    /// The least MSS that is accepted from a peer.
    pub min_snd_mss: u32,
    /// The least segments that are sent as one buffer.
    pub min_tso_segs: u32,
    /// The least segment size that black holes bring a connection to.
    pub mtu_probe_floor: u32,
    /// Whether the path's MTU is probed: 0 never, 1 once a black hole is suspected, 2 always.
    pub mtu_probing: u8,
    /// How often an orphan retransmits; 0 stands for 8.
    pub orphan_retries: u8,
    /// The pacing rate in congestion avoidance, in percent of a window per round trip.
    pub pacing_ca_ratio: u32,
    /// The same in slow start.
    pub pacing_ss_ratio: u32,
    /// After how long the search for the path's MTU begins anew.
    pub probe_interval_ns: u64,
    /// How close it comes, in octets.
    pub probe_threshold: u32,
    /// How loss is detected by time: 2 without adapting to DSACKs, 4 without counting duplicates.
    pub recovery: u8,
    /// How much reordering loss detection assumes at first, in packets.
    pub reordering: u32,
    /// After how many retransmissions the route is suspected.
    pub retries1: u8,
    /// After how many retransmissions a connection is given up.
    pub retries2: u8,
    /// Whether TIME-WAIT ignores resets.
    pub rfc1337: bool,
    /// The receive buffer.
    pub rmem: BufferSizes,
    /// Whether selective acknowledgements are negotiated.
    pub sack: bool,
    /// Whether the congestion window shrinks while a connection is idle.
    pub slow_start_after_idle: bool,
    /// How many SYNs are sent before their timeouts grow.
    pub syn_linear_timeouts: u8,
    /// How often a SYN is retransmitted.
    pub syn_retries: u8,
    /// Whether time-outs do not double at first where little is in flight.
    pub thin_linear_timeouts: bool,
    /// Whether timestamps are negotiated: 0 no, 1 yes with an offset, 2 yes without one.
    pub timestamps: u8,
    /// By how many bits of the round trip's microseconds the largest buffers become smaller.
    pub tso_rtt_log: u32,
    /// Whether window scaling is negotiated.
    pub window_scaling: bool,
}
