// SPDX-License-Identifier: GPL-2.0

//! The names and structures by which programs ask TCP for something.
//!
//! C headers: [`include/uapi/linux/tcp.h`](srctree/include/uapi/linux/tcp.h),
//! [`include/uapi/linux/sockios.h`](srctree/include/uapi/linux/sockios.h)

use super::bindings;
use core::mem::{
    offset_of,
    size_of, //
};
use kernel::transmute::AsBytes;

/// `TCP_NODELAY`
pub const NODELAY: i32 = bindings::TCP_NODELAY as i32;
/// `TCP_MAXSEG`
pub const MAXSEG: i32 = bindings::TCP_MAXSEG as i32;
/// `TCP_CORK`
pub const CORK: i32 = bindings::TCP_CORK as i32;
/// `TCP_KEEPIDLE`
pub const KEEPIDLE: i32 = bindings::TCP_KEEPIDLE as i32;
/// `TCP_KEEPINTVL`
pub const KEEPINTVL: i32 = bindings::TCP_KEEPINTVL as i32;
/// `TCP_KEEPCNT`
pub const KEEPCNT: i32 = bindings::TCP_KEEPCNT as i32;
/// `TCP_SYNCNT`
pub const SYNCNT: i32 = bindings::TCP_SYNCNT as i32;
/// `TCP_DEFER_ACCEPT`
pub const DEFER_ACCEPT: i32 = bindings::TCP_DEFER_ACCEPT as i32;
/// `TCP_WINDOW_CLAMP`
pub const WINDOW_CLAMP: i32 = bindings::TCP_WINDOW_CLAMP as i32;
/// `TCP_INQ`
pub const INQ: i32 = bindings::TCP_INQ as i32;
/// `TCP_DELACK_MAX_US`
pub const DELACK_MAX_US: i32 = bindings::TCP_DELACK_MAX_US as i32;
/// `TCP_RTO_MAX_MS`
pub const RTO_MAX_MS: i32 = bindings::TCP_RTO_MAX_MS as i32;
/// `TCP_RTO_MIN_US`
pub const RTO_MIN_US: i32 = bindings::TCP_RTO_MIN_US as i32;
/// `TCP_LINGER2`
pub const LINGER2: i32 = bindings::TCP_LINGER2 as i32;
/// `TCP_FASTOPEN`
pub const FASTOPEN: i32 = bindings::TCP_FASTOPEN as i32;
/// `TCP_FASTOPEN_CONNECT`
pub const FASTOPEN_CONNECT: i32 = bindings::TCP_FASTOPEN_CONNECT as i32;
/// `TCP_FASTOPEN_KEY`
pub const FASTOPEN_KEY: i32 = bindings::TCP_FASTOPEN_KEY as i32;
/// `TCP_FASTOPEN_NO_COOKIE`
pub const FASTOPEN_NO_COOKIE: i32 = bindings::TCP_FASTOPEN_NO_COOKIE as i32;
/// `TCPI_OPT_SYN_DATA`
pub const OPT_SYN_DATA: u8 = bindings::TCPI_OPT_SYN_DATA as u8;
/// `TCP_INFO`
pub const INFO: i32 = bindings::TCP_INFO as i32;
/// `TCP_CONGESTION`
pub const CONGESTION: i32 = bindings::TCP_CONGESTION as i32;
/// `TCP_CC_INFO`
pub const CC_INFO: i32 = bindings::TCP_CC_INFO as i32;
/// `TCP_QUICKACK`
pub const QUICKACK: i32 = bindings::TCP_QUICKACK as i32;
/// `TCP_USER_TIMEOUT`
pub const USER_TIMEOUT: i32 = bindings::TCP_USER_TIMEOUT as i32;
/// `TCP_THIN_LINEAR_TIMEOUTS`
pub const THIN_LINEAR_TIMEOUTS: i32 = bindings::TCP_THIN_LINEAR_TIMEOUTS as i32;
/// `TCP_NOTSENT_LOWAT`
pub const NOTSENT_LOWAT: i32 = bindings::TCP_NOTSENT_LOWAT as i32;
/// `TCP_THIN_DUPACK`
pub const THIN_DUPACK: i32 = bindings::TCP_THIN_DUPACK as i32;
/// `TCP_MD5SIG`
pub const MD5SIG: i32 = bindings::TCP_MD5SIG as i32;
/// `TCP_MD5SIG_EXT`
pub const MD5SIG_EXT: i32 = bindings::TCP_MD5SIG_EXT as i32;
/// `TCP_REPAIR`
pub const REPAIR: i32 = bindings::TCP_REPAIR as i32;
/// `TCP_REPAIR_QUEUE`
pub const REPAIR_QUEUE: i32 = bindings::TCP_REPAIR_QUEUE as i32;
/// `TCP_QUEUE_SEQ`
pub const QUEUE_SEQ: i32 = bindings::TCP_QUEUE_SEQ as i32;
/// `TCP_REPAIR_OPTIONS`
pub const REPAIR_OPTIONS: i32 = bindings::TCP_REPAIR_OPTIONS as i32;
/// `TCP_TIMESTAMP`
pub const TIMESTAMP: i32 = bindings::TCP_TIMESTAMP as i32;
/// `TCP_SAVE_SYN`
pub const SAVE_SYN: i32 = bindings::TCP_SAVE_SYN as i32;
/// `TCP_SAVED_SYN`
pub const SAVED_SYN: i32 = bindings::TCP_SAVED_SYN as i32;
/// `TCP_REPAIR_WINDOW`
pub const REPAIR_WINDOW: i32 = bindings::TCP_REPAIR_WINDOW as i32;
/// `TCP_ULP`
pub const ULP: i32 = bindings::TCP_ULP as i32;
/// `TCP_AO_REPAIR`
pub const AO_REPAIR: i32 = bindings::TCP_AO_REPAIR as i32;
/// `TCP_ZEROCOPY_RECEIVE`
pub const ZEROCOPY_RECEIVE: i32 = bindings::TCP_ZEROCOPY_RECEIVE as i32;
/// `TCP_IS_MPTCP`
pub const IS_MPTCP: i32 = bindings::TCP_IS_MPTCP as i32;
/// `SIOCINQ`
pub const SIOCINQ: u32 = bindings::SIOCINQ;
/// `SIOCOUTQ`
pub const SIOCOUTQ: u32 = bindings::SIOCOUTQ;
/// `SIOCOUTQNSD`
pub const SIOCOUTQNSD: u32 = bindings::SIOCOUTQNSD;
/// `SIOCATMARK`
pub const SIOCATMARK: u32 = bindings::SIOCATMARK;
/// `TCPI_OPT_TIMESTAMPS`
pub const OPT_TIMESTAMPS: u8 = bindings::TCPI_OPT_TIMESTAMPS as u8;
/// `TCPI_OPT_SACK`
pub const OPT_SACK: u8 = bindings::TCPI_OPT_SACK as u8;
/// `TCPI_OPT_WSCALE`
pub const OPT_WSCALE: u8 = bindings::TCPI_OPT_WSCALE as u8;

/// `TCPI_OPT_ECN`
pub const OPT_ECN: u8 = bindings::TCPI_OPT_ECN as u8;
/// `TCPI_OPT_TFO_CHILD`
pub const OPT_TFO_CHILD: u8 = bindings::TCPI_OPT_TFO_CHILD as u8;
/// `TCPI_OPT_ECN_SEEN`
pub const OPT_ECN_SEEN: u8 = bindings::TCPI_OPT_ECN_SEEN as u8;
/// `TCPI_ECN_MODE_RFC3168`, for the field `ecn` of [`TcpInfo`]
pub const ECN_MODE_RFC3168: u32 = bindings::TCPI_ECN_MODE_RFC3168;

/// `struct tcp_dctcp_info`: units and meaning are those of the fields of the same name there.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[expect(missing_docs)]
pub struct DctcpInfo {
    pub enabled: u16,
    pub ce_state: u16,
    pub alpha: u32,
    pub ab_ecn: u32,
    pub ab_tot: u32,
}

// SAFETY: All fields are integers, and there is no padding between them, as the size below shows.
unsafe impl AsBytes for DctcpInfo {}

/// `struct tcp_bbr_info`: units and meaning are those of the fields of the same name there.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[expect(missing_docs)]
pub struct BbrInfo {
    pub bw_lo: u32,
    pub bw_hi: u32,
    pub min_rtt: u32,
    pub pacing_gain: u32,
    pub cwnd_gain: u32,
}

// SAFETY: All fields are integers, and there is no padding between them, as the size below shows.
unsafe impl AsBytes for BbrInfo {}

const _: () = assert!(size_of::<DctcpInfo>() == 16 && size_of::<BbrInfo>() == 20);

/// `struct tcp_info`: units and meaning are those of the fields of the same name there.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[expect(missing_docs)]
pub struct TcpInfo {
    pub state: u8,
    pub ca_state: u8,
    pub retransmits: u8,
    pub probes: u8,
    pub backoff: u8,
    pub options: u8,
    pub scales: u8,
    pub flags: u8,
    pub rto: u32,
    pub ato: u32,
    pub snd_mss: u32,
    pub rcv_mss: u32,
    pub unacked: u32,
    pub sacked: u32,
    pub lost: u32,
    pub retrans: u32,
    pub fackets: u32,
    pub last_data_sent: u32,
    pub last_ack_sent: u32,
    pub last_data_recv: u32,
    pub last_ack_recv: u32,
    pub pmtu: u32,
    pub rcv_ssthresh: u32,
    pub rtt: u32,
    pub rttvar: u32,
    pub snd_ssthresh: u32,
    pub snd_cwnd: u32,
    pub advmss: u32,
    pub reordering: u32,
    pub rcv_rtt: u32,
    pub rcv_space: u32,
    pub total_retrans: u32,
    pub pacing_rate: u64,
    pub max_pacing_rate: u64,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    pub segs_out: u32,
    pub segs_in: u32,
    pub notsent_bytes: u32,
    pub min_rtt: u32,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
    pub delivery_rate: u64,
    pub busy_time: u64,
    pub rwnd_limited: u64,
    pub sndbuf_limited: u64,
    pub delivered: u32,
    pub delivered_ce: u32,
    pub bytes_sent: u64,
    pub bytes_retrans: u64,
    pub dsack_dups: u32,
    pub reord_seen: u32,
    pub rcv_ooopack: u32,
    pub snd_wnd: u32,
    pub rcv_wnd: u32,
    pub rehash: u32,
    pub total_rto: u16,
    pub total_rto_recoveries: u16,
    pub total_rto_time: u32,
    pub received_ce: u32,
    pub delivered_e1_bytes: u32,
    pub delivered_e0_bytes: u32,
    pub delivered_ce_bytes: u32,
    pub received_e1_bytes: u32,
    pub received_e0_bytes: u32,
    pub received_ce_bytes: u32,
    pub ecn: u32,
}

// SAFETY: All fields are integers, and there is no padding between them, as the sizes below show.
unsafe impl AsBytes for TcpInfo {}

const _: () = {
    assert!(size_of::<TcpInfo>() == size_of::<bindings::tcp_info>());
    assert!(size_of::<TcpInfo>() == 280);
    assert!(offset_of!(TcpInfo, rto) == offset_of!(bindings::tcp_info, tcpi_rto));
    assert!(offset_of!(TcpInfo, pacing_rate) == offset_of!(bindings::tcp_info, tcpi_pacing_rate));
    assert!(
        offset_of!(TcpInfo, notsent_bytes) == offset_of!(bindings::tcp_info, tcpi_notsent_bytes)
    );
    assert!(
        offset_of!(TcpInfo, delivery_rate) == offset_of!(bindings::tcp_info, tcpi_delivery_rate)
    );
    assert!(offset_of!(TcpInfo, delivered) == offset_of!(bindings::tcp_info, tcpi_delivered));
    assert!(offset_of!(TcpInfo, bytes_sent) == offset_of!(bindings::tcp_info, tcpi_bytes_sent));
    assert!(offset_of!(TcpInfo, snd_wnd) == offset_of!(bindings::tcp_info, tcpi_snd_wnd));
    assert!(offset_of!(TcpInfo, total_rto) == offset_of!(bindings::tcp_info, tcpi_total_rto));
    assert!(
        offset_of!(TcpInfo, received_ce_bytes)
            == offset_of!(bindings::tcp_info, tcpi_received_ce_bytes)
    );
};
