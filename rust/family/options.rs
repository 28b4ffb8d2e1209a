// SPDX-License-Identifier: GPL-2.0

//! Options at the level of TCP, and the ioctls.

use super::{
    config,
    fast_open::Keys,
    fast_open_client,
    flush::flush,
    info::{
        info,
        micros, //
    },
    memory,
    socket::{
        Tcp,
        TcpSock, //
    },
    urgent, //
};
use crate::{
    engine::{
        self,
        Algorithm,
        CongestionInfo,
        Duration,
        Patience, //
    },
    net::{
        errno::{
            ENOPROTOOPT,
            EOPNOTSUPP, //
        },
        msg::{
            OptionIn,
            OptionOut, //
        },
        net_namespace::{
            Net,
            CONGESTION_NAME_MAX, //
        },
        siphash,
        sock::{
            Locked,
            SockState, //
        },
        tcp,
        time::TICK_NS, //
    }, //
};
use kernel::prelude::*;

/// What the options of a socket say. Connections inherit those of their listener.
#[derive(Clone, Copy, Default)]
pub(super) struct Options {
    /// `TCP_NODELAY`
    pub(super) nodelay: bool,
    /// `TCP_CORK`
    pub(super) cork: bool,
    /// `TCP_MAXSEG`, 0 if not set.
    pub(super) max_segment: u16,
    /// `TCP_KEEPIDLE`
    pub(super) keep_idle: Option<Duration>,
    /// `TCP_KEEPINTVL`
    pub(super) keep_interval: Option<Duration>,
    /// `TCP_KEEPCNT`
    pub(super) keep_count: Option<u8>,
    /// `TCP_CONGESTION`
    pub(super) congestion: Algorithm,
    /// The user chose it.
    pub(super) congestion_chosen: bool,
    /// `TCP_SYNCNT`
    pub(super) syn_retries: Option<u8>,
    /// `TCP_DEFER_ACCEPT`, as a number of time-outs.
    pub(super) defer_accept: u8,
    /// `TCP_FASTOPEN_KEY`
    pub(super) fast_open_keys: Option<Keys>,
    /// `TCP_FASTOPEN_NO_COOKIE`
    pub(super) fast_open_no_cookie: bool,
    /// `TCP_FASTOPEN_CONNECT`
    pub(super) fast_open_connect: bool,
    /// `TCP_USER_TIMEOUT`
    pub(super) user_timeout: Option<Duration>,
    /// `TCP_LINGER2`: how long FIN-WAIT-2 lasts without a descriptor; `Some(0)` for not at all.
    pub(super) linger2: Option<Duration>,
    /// `TCP_NOTSENT_LOWAT`, 0 if not set.
    pub(super) notsent_lowat: u32,
    /// `TCP_QUICKACK` was turned off before there was a connection.
    pub(super) interactive: bool,
    /// `TCP_THIN_LINEAR_TIMEOUTS`
    pub(super) thin_linear: bool,
    /// `TCP_INQ`
    pub(super) tells_unread: bool,
    /// `TCP_WINDOW_CLAMP`, 0 if not set.
    pub(super) window_clamp: u32,
    /// `TCP_DELACK_MAX_US`
    pub(super) delack_max: Option<Duration>,
    /// `TCP_RTO_MAX_MS`
    pub(super) rto_max: Duration,
    /// `TCP_RTO_MIN_US`
    pub(super) rto_min: Duration,
}

/// The largest value of an option in seconds.
const SECONDS_MAX: i32 = 32767;
/// What `TCP_LINGER2` is cut to, in seconds.
const LINGER2_MAX: i32 = 120;
/// The least bound of the window (Linux's `SOCK_MIN_RCVBUF / 2`).
const WINDOW_CLAMP_MIN: i32 = 1152;
/// The longest delay of an acknowledgment (Linux's `TCP_DELACK_MAX`).
const DELACK_MAX_NS: u64 = 200_000_000;
/// The bounds of the longest time-out, in milliseconds.
const RTO_MAX_LEAST_MS: i32 = 1_000;
const RTO_MAX_MOST_MS: i32 = 120_000;
/// The highest lower bound of a time-out (Linux's `TCP_RTO_MIN`).
const RTO_MIN_NS: u64 = 200_000_000;
/// The least MSS that may be set.
const MAXSEG_MIN: i32 = 88;
/// The largest MSS that may be set.
const MAXSEG_MAX: i32 = 32767;

fn in_range(value: i32, least: i32, most: i32) -> Result<i32> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(EINVAL)
    }
}

/// A time in microseconds, as Linux in whole ticks, at least two.
fn whole_ticks(micros: i32, most_ns: u64) -> Result<Duration> {
    let ticks = (micros as u32 as u64 * 1_000).div_ceil(TICK_NS);
    if micros < 0 || ticks > most_ns / TICK_NS || ticks < 2 {
        return Err(EINVAL);
    }
    Ok(Duration::from_nanos(ticks * TICK_NS))
}

fn seconds(value: i32) -> Result<Duration> {
    Ok(Duration::from_secs(in_range(value, 1, SECONDS_MAX)? as u64))
}

/// `setsockopt(2)`
pub(super) fn set(sk: &TcpSock, name: i32, value: OptionIn) -> Result {
    if name == tcp::CONGESTION {
        return set_congestion(sk, value);
    }
    if name == tcp::FASTOPEN_KEY {
        return set_fast_open_key(sk, value);
    }
    if !is_known(name) {
        // A short value is looked at first.
        value.int()?;
        return Err(ENOPROTOOPT);
    }
    let value = value.int()?;
    let mut lock = sk.lock();
    let mut options = sk.shared().options();
    match name {
        tcp::NODELAY => options.nodelay = value != 0,
        tcp::MAXSEG => {
            if value != 0 {
                in_range(value, MAXSEG_MIN, MAXSEG_MAX)?;
            }
            options.max_segment = value as u16;
        }
        tcp::CORK => options.cork = value != 0,
        tcp::KEEPIDLE => options.keep_idle = Some(seconds(value)?),
        tcp::KEEPINTVL => options.keep_interval = Some(seconds(value)?),
        tcp::KEEPCNT => options.keep_count = Some(in_range(value, 1, 127)? as u8),
        tcp::SYNCNT => options.syn_retries = Some(in_range(value, 1, 127)? as u8),
        tcp::DEFER_ACCEPT => options.defer_accept = Patience::tries_of(value.max(0) as u32),
        tcp::FASTOPEN => {
            let open = sk.is_listening() || sk.kernel_state() == SockState::Close as u8;
            if value < 0 || !open {
                return Err(EINVAL);
            }
            let most = sk.net().tcp_settings().somaxconn;
            sk.shared().queue.set_fast_open((value as u32).min(most));
        }
        tcp::FASTOPEN_NO_COOKIE => {
            let open = sk.is_listening() || sk.kernel_state() == SockState::Close as u8;
            let value = in_range(value, 0, 1)?;
            if !open {
                return Err(EINVAL);
            }
            options.fast_open_no_cookie = value != 0;
        }
        tcp::FASTOPEN_CONNECT => {
            let value = in_range(value, 0, 1)?;
            if !fast_open_client::is_allowed(sk.net().tcp_settings().fast_open) {
                return Err(EOPNOTSUPP);
            }
            if sk.kernel_state() != SockState::Close as u8 {
                return Err(EINVAL);
            }
            options.fast_open_connect = value != 0;
        }
        tcp::USER_TIMEOUT => {
            let value = in_range(value, 0, i32::MAX)?;
            options.user_timeout = (value != 0).then(|| Duration::from_millis(value as u64));
        }
        tcp::LINGER2 => {
            let seconds = value.clamp(0, LINGER2_MAX) as u64;
            options.linger2 = (value != 0).then(|| Duration::from_secs(seconds));
        }
        tcp::NOTSENT_LOWAT => options.notsent_lowat = value as u32,
        tcp::QUICKACK => options.interactive = value == 0,
        tcp::WINDOW_CLAMP => {
            if value == 0 && sk.kernel_state() != SockState::Close as u8 {
                return Err(EINVAL);
            }
            options.window_clamp = match value {
                0 => 0,
                value => value.max(WINDOW_CLAMP_MIN) as u32,
            };
        }
        tcp::DELACK_MAX_US => {
            options.delack_max = Some(whole_ticks(value, DELACK_MAX_NS)?);
        }
        tcp::RTO_MAX_MS => {
            let value = in_range(value, RTO_MAX_LEAST_MS, RTO_MAX_MOST_MS)?;
            options.rto_max = Duration::from_millis(value as u64);
        }
        tcp::RTO_MIN_US => options.rto_min = whole_ticks(value, RTO_MIN_NS)?,
        tcp::THIN_LINEAR_TIMEOUTS => options.thin_linear = in_range(value, 0, 1)? != 0,
        tcp::INQ => {
            options.tells_unread = in_range(value, 0, 1)? != 0;
            sk.shared().set_tells_unread(options.tells_unread);
        }
        _ => return Err(ENOPROTOOPT),
    }
    *sk.shared().options.lock() = options;
    if name == tcp::QUICKACK {
        quick_ack(&mut lock, value);
    }
    apply(&mut lock, name, &options);
    Ok(())
}

/// `TCP_CONGESTION`
fn set_congestion(sk: &TcpSock, value: OptionIn) -> Result {
    let name: [u8; CONGESTION_NAME_MAX] = value.name()?;
    let mut lock = sk.lock();
    let mut options = sk.shared().options();
    let wanted = config::algorithm(&name).ok_or(ENOENT)?;
    if wanted != options.congestion {
        let net = sk.net();
        if is_restricted(net, wanted) && !net.may_administrate() {
            return Err(EPERM);
        }
        options.congestion = wanted;
        let now = super::now();
        if let Some(conn) = lock.state().connection() {
            conn.set_congestion(now, wanted);
            flush(&mut lock, now);
        }
    }
    options.congestion_chosen = true;
    *sk.shared().options.lock() = options;
    Ok(())
}

/// Whether an algorithm takes a privilege: DCTCP is not for shared networks. As Linux not where it is
/// the namespace's own choice; what else `tcp_allowed_congestion_control` allows cannot be seen by a
/// module.
fn is_restricted(net: &Net, algorithm: Algorithm) -> bool {
    algorithm == Algorithm::Dctcp && config::congestion_of(net) != algorithm
}

/// `TCP_FASTOPEN_KEY`: one key, or the present one and the one before.
fn set_fast_open_key(sk: &TcpSock, value: OptionIn) -> Result {
    let mut bytes = [0; 32];
    let len = value.bytes(&mut bytes)?;
    let key = |at: usize| {
        let key = bytes.get(at..at + 16)?.try_into().ok()?;
        Some(siphash::Key::from_bytes(key))
    };
    let primary = key(0).filter(|_| len == 16 || len == 32).ok_or(EINVAL)?;
    let backup = key(16).filter(|_| len == 32);
    let _lock = sk.lock();
    sk.shared().options.lock().fast_open_keys = Some(Keys { primary, backup });
    Ok(())
}

/// What `TCP_FASTOPEN_KEY` reads.
fn get_fast_open_key(keys: Option<Keys>, out: OptionOut) -> Result {
    let Some(Keys { primary, backup }) = keys else {
        return out.put(&[0u8; 0]);
    };
    let Some(backup) = backup else {
        return out.put(&primary.to_bytes());
    };
    out.put(&[primary.to_bytes(), backup.to_bytes()])
}

fn is_known(name: i32) -> bool {
    matches!(
        name,
        tcp::NODELAY
            | tcp::MAXSEG
            | tcp::CORK
            | tcp::KEEPIDLE
            | tcp::KEEPINTVL
            | tcp::KEEPCNT
            | tcp::SYNCNT
            | tcp::DEFER_ACCEPT
            | tcp::FASTOPEN
            | tcp::FASTOPEN_CONNECT
            | tcp::FASTOPEN_NO_COOKIE
            | tcp::USER_TIMEOUT
            | tcp::LINGER2
            | tcp::NOTSENT_LOWAT
            | tcp::QUICKACK
            | tcp::WINDOW_CLAMP
            | tcp::DELACK_MAX_US
            | tcp::RTO_MAX_MS
            | tcp::RTO_MIN_US
            | tcp::THIN_LINEAR_TIMEOUTS
            | tcp::INQ
    )
}

/// Makes a changed option act on a connection that is there already.
fn apply(lock: &mut Locked<'_, Tcp>, name: i32, options: &Options) {
    let now = super::now();
    let settings = lock.sock().net().tcp_settings();
    let keeps_alive = lock.sock().keeps_alive();
    if name == tcp::NOTSENT_LOWAT {
        lock.sock()
            .shared()
            .send
            .set_low_water(options.notsent_lowat);
        lock.sock().write_space();
        return;
    }
    let Some(conn) = lock.state().connection() else {
        return;
    };
    match name {
        tcp::NODELAY => conn.set_nodelay(now, options.nodelay),
        tcp::CORK => conn.set_cork(now, options.cork),
        tcp::KEEPIDLE if keeps_alive => {
            conn.set_keepalive_idle(now, config::keepalive(options, &settings).idle);
        }
        // These act when the timer fires.
        tcp::KEEPINTVL | tcp::KEEPCNT => {}
        tcp::RTO_MAX_MS | tcp::RTO_MIN_US => conn.retune(&config::limits(options, &settings)),
        tcp::USER_TIMEOUT => conn.set_user_timeout(options.user_timeout),
        tcp::WINDOW_CLAMP => conn.set_window_clamp(options.window_clamp),
        tcp::DELACK_MAX_US => {
            if let Some(limit) = options.delack_max {
                conn.set_delack_max(limit);
            }
        }
        _ => return,
    }
    flush(lock, now);
}

/// `TCP_QUICKACK`: may send what is owed at once.
pub(super) fn quick_ack(lock: &mut Locked<'_, Tcp>, value: i32) {
    let now = super::now();
    memory::tell(lock);
    if let Some(conn) = lock.state().connection() {
        conn.quick_ack(value);
        flush(lock, now);
    }
}

/// A connection begins whose acknowledgments wait for data to ride on.
pub(super) fn quick_ack_off(sk: &mut Locked<'_, Tcp>) {
    if let Some(conn) = sk.state().connection() {
        conn.quick_ack(0);
    }
}

/// `SO_KEEPALIVE` becomes `on`.
pub(super) fn keepalive(lock: &mut Locked<'_, Tcp>, on: bool) {
    let now = super::now();
    let settings = lock.sock().net().tcp_settings();
    let options = lock.sock().shared().options();
    if let Some(conn) = lock.state().connection() {
        conn.set_keepalive(now, on.then(|| config::keepalive(&options, &settings)));
        flush(lock, now);
    }
}

/// `getsockopt(2)`
pub(super) fn get(sk: &TcpSock, name: i32, out: OptionOut) -> Result {
    let mut lock = sk.lock();
    let options = sk.shared().options();
    let settings = sk.net().tcp_settings();
    let keep = config::keepalive(&options, &settings);
    let value: i32 = match name {
        tcp::NODELAY => options.nodelay.into(),
        tcp::MAXSEG => max_segment(&mut lock, &options).into(),
        tcp::CORK => options.cork.into(),
        tcp::KEEPIDLE => (keep.idle.as_millis() / 1000) as i32,
        tcp::KEEPINTVL => (keep.interval.as_millis() / 1000) as i32,
        tcp::KEEPCNT => keep.probes.into(),
        tcp::SYNCNT => options.syn_retries.unwrap_or(settings.syn_retries).into(),
        tcp::FASTOPEN => sk.shared().queue.fast_open() as i32,
        tcp::FASTOPEN_NO_COOKIE => options.fast_open_no_cookie.into(),
        tcp::FASTOPEN_CONNECT => options.fast_open_connect.into(),
        tcp::FASTOPEN_KEY => {
            drop(lock);
            return get_fast_open_key(options.fast_open_keys, out);
        }
        tcp::DEFER_ACCEPT => Patience::seconds_of(options.defer_accept) as i32,
        tcp::USER_TIMEOUT => options.user_timeout.map_or(0, |t| t.as_millis() as i32),
        tcp::LINGER2 => match options.linger2 {
            Some(Duration::ZERO) => -1,
            Some(limit) => (limit.as_millis() / 1000) as i32,
            None => (settings.fin_timeout_ns / 1_000_000_000) as i32,
        },
        tcp::NOTSENT_LOWAT => options.notsent_lowat as i32,
        tcp::QUICKACK => match lock.state().connection() {
            Some(conn) if conn.state() != engine::State::Closed => conn.is_quick_ack().into(),
            _ => (!options.interactive).into(),
        },
        tcp::WINDOW_CLAMP => match lock.state().connection() {
            Some(conn) if conn.state() != engine::State::Closed => conn.window_clamp() as i32,
            _ => options.window_clamp as i32,
        },
        tcp::DELACK_MAX_US => {
            let limit = options.delack_max;
            limit.map_or((DELACK_MAX_NS / 1_000) as i32, |limit| micros(limit) as i32)
        }
        tcp::RTO_MAX_MS => options.rto_max.as_millis() as i32,
        tcp::RTO_MIN_US => micros(options.rto_min) as i32,
        tcp::THIN_LINEAR_TIMEOUTS => options.thin_linear.into(),
        tcp::INQ => options.tells_unread.into(),
        tcp::INFO => {
            let info = info(&mut lock);
            drop(lock);
            return out.put(&info);
        }
        tcp::CONGESTION => {
            let name = congestion_name(&mut lock, &options);
            drop(lock);
            return out.put_bytes(&name);
        }
        tcp::CC_INFO => {
            let info = lock
                .state()
                .connection()
                .map_or(CongestionInfo::None, |conn| conn.congestion_info());
            drop(lock);
            return congestion_info(&info, out);
        }
        _ => return Err(ENOPROTOOPT),
    };
    drop(lock);
    out.put(&value)
}

/// The name of the congestion control, padded with zeros.
fn congestion_name(lock: &mut Locked<'_, Tcp>, options: &Options) -> [u8; CONGESTION_NAME_MAX] {
    let name = match lock.state().connection() {
        Some(conn) if conn.state() != engine::State::Closed => conn.congestion(),
        _ => options.congestion.name(),
    };
    let mut padded = [0; CONGESTION_NAME_MAX];
    for (to, from) in padded.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    padded
}

/// `TCP_CC_INFO`
fn congestion_info(info: &CongestionInfo, out: OptionOut) -> Result {
    let cut = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    match info {
        CongestionInfo::None => out.put_bytes(&[]),
        CongestionInfo::Dctcp(None) => out.put(&tcp::DctcpInfo::default()),
        CongestionInfo::Dctcp(Some(info)) => out.put(&tcp::DctcpInfo {
            enabled: 1,
            ce_state: info.ce.into(),
            alpha: info.alpha,
            ab_ecn: cut(info.marked),
            ab_tot: cut(info.delivered),
        }),
        CongestionInfo::Bbr(info) => out.put(&tcp::BbrInfo {
            bw_lo: info.bandwidth as u32,
            bw_hi: (info.bandwidth >> 32) as u32,
            min_rtt: info.min_rtt.map_or(u32::MAX, micros),
            pacing_gain: info.pacing_gain,
            cwnd_gain: info.cwnd_gain,
        }),
    }
}

/// The MSS in use; before there is one, what was set, or the smallest that every host takes
/// (RFC 9293 section 3.7.1).
fn max_segment(lock: &mut Locked<'_, Tcp>, options: &Options) -> u16 {
    const DEFAULT: u16 = 536;
    match lock.state().connection() {
        Some(conn) if conn.state() != engine::State::Closed => conn.send_mss() as u16,
        _ if options.max_segment != 0 => options.max_segment,
        _ => DEFAULT,
    }
}

/// `ioctl(2)`: lengths of the queues.
pub(super) fn ioctl(sk: &TcpSock, request: u32) -> Result<i32> {
    let queue = match request {
        tcp::SIOCATMARK => return Ok(urgent::seen(&mut sk.lock()).at_mark.into()),
        tcp::SIOCINQ | tcp::SIOCOUTQ | tcp::SIOCOUTQNSD => request,
        _ => return Err(ENOIOCTLCMD),
    };
    let mut lock = sk.lock();
    if sk.is_listening() {
        return Err(EINVAL);
    }
    let opening = [SockState::SynSent as u8, SockState::SynRecv as u8];
    if opening.contains(&sk.kernel_state()) {
        return Ok(0);
    }
    let readable = urgent::readable_bytes(&mut lock);
    let value = match (lock.state().connection(), queue) {
        (None, _) => 0,
        (Some(_), tcp::SIOCINQ) => readable,
        (Some(conn), tcp::SIOCOUTQ) => conn.queued().unacked,
        (Some(conn), _) => conn.queued().unsent,
    };
    Ok(i32::try_from(value).unwrap_or(i32::MAX))
}
