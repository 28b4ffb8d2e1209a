// SPDX-License-Identifier: GPL-2.0

//! What the user may change in a connection's life.

use super::Connection;
use super::Phase;
use crate::engine::cc::pacing::Pacer;
use crate::engine::config::Algorithm;
use crate::engine::config::Config;
use crate::engine::config::KeepAlive;
use crate::engine::seq::SeqNum;
use crate::engine::store::Store;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

impl<S: Store> Connection<S> {
    /// Lets small segments leave at once, or not (`TCP_NODELAY`); turning it on also lets go what
    /// waits.
    pub fn set_nodelay(&mut self, now: Instant, on: bool) {
        let _ = now;
        self.config.nodelay = on;
        if let (true, Phase::Synchronized(connection)) = (on, &mut self.phase) {
            connection.uncork();
        }
    }

    /// Keeps partial segments back, or not (`TCP_CORK`).
    pub fn set_cork(&mut self, now: Instant, on: bool) {
        let _ = now;
        self.config.cork = on;
        if let (false, Phase::Synchronized(connection)) = (on, &mut self.phase) {
            // Taking the cork out is a wish to send: it overrides MSG_MORE and Nagle once, as in
            // Linux.
            connection.uncork();
        }
    }

    /// Lets segments carry an MD5 signature from now on, or not (`TCP_MD5SIG`).
    pub fn set_signed(&mut self, on: bool) {
        self.config.signed = on;
    }

    /// Turns keepalive probes on or off (`SO_KEEPALIVE`); what is on already goes on.
    pub fn set_keepalive(&mut self, now: Instant, keepalive: Option<KeepAlive>) {
        let before = core::mem::replace(&mut self.config.keepalive, keepalive);
        if before.is_some() == keepalive.is_some() {
            return;
        }
        if let (Phase::Synchronized(connection), cx) = self.parts(now) {
            connection.switch_keepalive(&cx);
        }
    }

    /// Brings the idle time of keepalive, if that is on, to what the user set (`TCP_KEEPIDLE`), at
    /// once.
    pub fn set_keepalive_idle(&mut self, now: Instant, idle: Duration) {
        let Some(keepalive) = &mut self.config.keepalive else {
            return;
        };
        keepalive.idle = idle;
        if let (Phase::Synchronized(connection), cx) = self.parts(now) {
            connection.move_keepalive(&cx);
        }
    }

    /// Says how the next segments are answered (`tcp_dsack`, `tcp_invalid_ratelimit`), which Linux asks
    /// with each of them.
    pub fn set_answers(&mut self, dsack: bool, invalid_ratelimit: Duration) {
        self.config.dsack = dsack;
        self.config.invalid_ratelimit = invalid_ratelimit;
    }

    /// Bounds how long sent data may stay unacknowledged (`TCP_USER_TIMEOUT`), or leaves it to the
    /// number of tries.
    pub fn set_user_timeout(&mut self, limit: Option<Duration>) {
        self.config.user_timeout = limit;
    }

    /// Changes the algorithm of congestion control (`TCP_CONGESTION`); the windows stay.
    pub fn set_congestion(&mut self, now: Instant, algorithm: Algorithm) {
        self.config.congestion = algorithm;
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.set_congestion(now, &self.config);
        }
    }

    /// Notes the user's limit of the pacing rate, in octets per second (`SO_MAX_PACING_RATE`), and
    /// who paces.
    pub fn set_pacing(&mut self, most: u64, pacer: Pacer) {
        self.config.max_pacing_rate = most;
        if let Phase::Synchronized(connection) = &mut self.phase {
            let pacing = &mut connection.cc.pacing;
            pacing.set_pacer(pacer);
            pacing.set_rate(pacing.rate(), most);
        }
    }

    /// Notes whether the user waits for room in the send buffer.
    pub fn set_writer_blocked(&mut self, blocked: bool) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.writer_blocked = blocked;
        }
    }

    /// Notes whether segments wait in the host's own queues; to be told before
    /// [`Connection::on_write`].
    pub fn set_host_busy(&mut self, busy: bool) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.host_busy = busy;
        }
    }

    /// Takes over the limits and times of `config` that act on a connection at any time in its life:
    /// the system's settings may have changed since it began.
    pub fn retune(&mut self, config: &Config) {
        self.config.syn_retries = config.syn_retries;
        self.config.syn_linear_timeouts = config.syn_linear_timeouts;
        self.config.retries1 = config.retries1;
        self.config.mtu_probing = config.mtu_probing;
        self.config.base_mss = config.base_mss;
        self.config.min_mss = config.min_mss;
        self.config.mtu_probe_floor = config.mtu_probe_floor;
        self.config.probe_threshold = config.probe_threshold;
        self.config.probe_interval = config.probe_interval;
        self.config.thin_linear = config.thin_linear;
        self.config.retries2 = config.retries2;
        self.config.orphan_retries = config.orphan_retries;
        self.config.rto_min = config.rto_min;
        self.config.rto_max = config.rto_max;
        if self.config.keepalive.is_some() && config.keepalive.is_some() {
            self.config.keepalive = config.keepalive;
        }
        self.config.min_rtt_window = config.min_rtt_window;
        self.config.reordering = config.reordering;
        self.config.max_reordering = config.max_reordering;
        self.config.frto = config.frto;
        self.config.loss_probe = config.loss_probe;
        self.config.rack_adapts = config.rack_adapts;
        self.config.rack_counts = config.rack_counts;
        self.config.fin_timeout = config.fin_timeout;
        self.config.skip_fin_wait_2 = config.skip_fin_wait_2;
        self.config.invalid_ratelimit = config.invalid_ratelimit;
        self.config.slow_start_after_idle = config.slow_start_after_idle;
        self.config.rfc1337 = config.rfc1337;
        self.config.max_receive_buffer = config.max_receive_buffer;
        self.config.moderate_rcvbuf = config.moderate_rcvbuf;
        self.config.rcvbuf_low_rtt = config.rcvbuf_low_rtt;
        self.config.shrink_window = config.shrink_window;
        self.config.signed_windows = config.signed_windows;
        self.config.stdurg = config.stdurg;
        self.config.dsack = config.dsack;
        self.config.pingpong_thresh = config.pingpong_thresh;
        self.config.comp_sack_nr = config.comp_sack_nr;
        self.config.comp_sack_delay = config.comp_sack_delay;
        self.config.comp_sack_percent = config.comp_sack_percent;
        self.config.pacing_ss_ratio = config.pacing_ss_ratio;
        self.config.pacing_ca_ratio = config.pacing_ca_ratio;
        self.config.min_tso_segs = config.min_tso_segs;
        self.config.tso_rtt_log = config.tso_rtt_log;
    }

    /// Takes over what the route of now says of congestion and acknowledgments.
    pub fn set_route_hints(&mut self, config: &Config) {
        self.config.rto_min = config.rto_min;
        self.config.quick_ack = config.quick_ack;
        self.config.initial_cwnd = config.initial_cwnd;
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.cc.set_initial(config.initial_cwnd);
        }
    }

    /// Changes the payload that the route lets a segment carry without options: the path MTU
    /// changed.
    ///
    /// When it shrinks, what is in flight is taken to be lost for its size and sent again at once.
    pub fn set_mss(&mut self, mss: u16) {
        self.config.mss = mss;
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.on_mss(&self.config, &self.tally);
        }
    }

    /// Tells how many octets of IP options each packet has from now on. What is in flight passed with
    /// others (Linux's `icsk_sync_mss`).
    pub fn set_ip_options(&mut self, octets: u16) {
        if self.config.ip_options == octets {
            return;
        }
        self.config.ip_options = octets;
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.on_ip_options(&self.config);
        }
    }

    /// Tells that a queue of this host is full: cwnd comes down as for a mark of the network, once
    /// per window (Linux's `tcp_enter_cwr`).
    pub fn on_local_congestion(&mut self) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.on_local_congestion();
        }
    }

    /// Tells that a router knows no way to the peer for the segment with this number (RFC 6069).
    /// Returns whether the next deadline has changed by it.
    pub fn on_unreachable(&mut self, now: Instant, seq: SeqNum) -> bool {
        match self.parts(now) {
            (Phase::Synchronized(connection), cx) => connection.on_unreachable(&cx, seq),
            _ => false,
        }
    }
}
