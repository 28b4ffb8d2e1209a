// SPDX-License-Identifier: GPL-2.0

//! `TCP_INFO`

use super::socket::Tcp;
use crate::{
    engine::{
        Duration,
        Info,
        Instant, //
    },
    net::{
        sock::Locked,
        tcp::{
            self,
            TcpInfo, //
        }, //
    }, //
};

/// `TCP_INFO`
pub(super) fn info(lock: &mut Locked<'_, Tcp>) -> TcpInfo {
    let sk = lock.sock();
    let now = super::now();
    let mut out = TcpInfo {
        state: sk.kernel_state(),
        ..TcpInfo::default()
    };
    let new = Info {
        max_pacing_rate: sk.max_pacing_rate(),
        reordering: sk.net().reordering(),
        ..Info::unconnected()
    };
    if sk.is_listening() {
        // As Linux: the queue's length and its limit stand here.
        out.unacked = sk.shared().queue.len();
        out.sacked = sk.max_ack_backlog();
        out.pacing_rate = new.pacing_rate;
        out.max_pacing_rate = new.max_pacing_rate;
        out.reordering = new.reordering;
        out.snd_cwnd = new.cwnd;
        return out;
    }
    let path = lock.path().ok();
    let rehashes = lock.state().rehashes;
    if let Some(conn) = lock.state().connection() {
        fill_info(&mut out, &conn.info(now), now);
        out.pmtu = path.map_or(0, |path| path.mtu);
        out.rehash = rehashes;
    } else {
        fill_info(&mut out, &new, now);
    }
    out
}

pub(super) fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

fn millis(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(u32::MAX)
}

fn fill_info(out: &mut TcpInfo, info: &Info, now: Instant) {
    /// What Linux shows for a threshold that was never set.
    const SSTHRESH_INFINITE: u32 = 0x7fff_ffff;
    out.ca_state = info.ca_state as u8;
    out.retransmits = info.retransmits;
    out.probes = info.probes;
    out.backoff = info.backoff;
    if info.counters.syn_data_acked {
        out.options |= tcp::OPT_SYN_DATA;
    }
    if info.counters.fast_open_child {
        out.options |= tcp::OPT_TFO_CHILD;
    }
    if info.timestamps {
        out.options |= tcp::OPT_TIMESTAMPS;
    }
    if info.sack {
        out.options |= tcp::OPT_SACK;
    }
    if info.ecn {
        out.options |= tcp::OPT_ECN;
        out.ecn = tcp::ECN_MODE_RFC3168;
    }
    if info.ecn_seen {
        out.options |= tcp::OPT_ECN_SEEN;
    }
    out.received_ce = info.received_ecn.ce;
    let [ect1, ect0, ce] = info.received_ecn.octets;
    out.received_e1_bytes = ect1;
    out.received_e0_bytes = ect0;
    out.received_ce_bytes = ce;
    if let Some((peer, own)) = info.window_scales {
        out.options |= tcp::OPT_WSCALE;
        out.scales = peer.shift() | own.shift() << 4;
    }
    out.rto = micros(info.rto);
    out.ato = micros(info.ato);
    out.snd_mss = info.snd_mss;
    out.rcv_mss = info.rcv_mss;
    out.advmss = info.advmss;
    out.unacked = info.unacked;
    out.sacked = info.sacked;
    out.lost = info.lost;
    out.retrans = info.retrans;
    out.reordering = info.reordering;
    out.reord_seen = info.reordering_seen;
    out.last_data_sent = millis(info.last_data_sent);
    out.last_data_recv = millis(info.last_data_received);
    out.last_ack_recv = millis(info.last_ack_received);
    out.rtt = info.srtt.map_or(0, micros);
    out.rttvar = micros(info.rttvar);
    out.min_rtt = info.min_rtt.map_or(u32::MAX, micros);
    out.pacing_rate = info.pacing_rate;
    out.max_pacing_rate = info.max_pacing_rate;
    out.delivery_rate = info.delivery_rate;
    // Bit-fields of one byte.
    out.flags |= u8::from(info.delivery_rate_app_limited);
    out.flags |= (info.counters.fast_open_fail as u8) << 1;
    out.delivered = info.delivered;
    out.delivered_ce = info.delivered_ce;
    out.busy_time = info.busy_time.as_micros();
    out.rwnd_limited = info.rwnd_limited.as_micros();
    out.sndbuf_limited = info.sndbuf_limited.as_micros();
    out.snd_ssthresh = info.ssthresh.unwrap_or(SSTHRESH_INFINITE);
    out.snd_cwnd = info.cwnd;
    out.snd_wnd = info.snd_wnd;
    out.rcv_wnd = info.rcv_wnd;
    out.rcv_ssthresh = info.rcv_ssthresh;
    out.rcv_space = info.rcv_space;
    out.rcv_rtt = micros(info.rcv_rtt);
    out.notsent_bytes = u32::try_from(info.notsent_bytes).unwrap_or(u32::MAX);
    out.bytes_acked = info.bytes_acked;
    out.bytes_received = info.bytes_received;
    out.bytes_sent = info.counters.bytes_sent;
    out.bytes_retrans = info.counters.bytes_retrans;
    out.total_retrans = info.counters.total_retrans;
    out.segs_in = info.counters.segs_in;
    out.segs_out = info.counters.segs_out;
    out.data_segs_in = info.counters.data_segs_in;
    out.data_segs_out = info.counters.data_segs_out;
    out.dsack_dups = info.counters.dsack_dups;
    out.rcv_ooopack = info.counters.rcv_ooopack;
    out.total_rto = info.counters.total_rto;
    out.total_rto_recoveries = info.counters.total_rto_recoveries;
    let going_on = info.counters.rto_since.map(|since| now.since(since));
    let time = info.counters.total_rto_time;
    out.total_rto_time = millis(time.saturating_add(going_on.unwrap_or_default()));
}
