// SPDX-License-Identifier: GPL-2.0

//! Options at the level of TCP, and the ioctls. `table` says what there is: it is made of
//! Documentation/options.toml.

mod get;
mod set;
mod special;
mod table;

use self::get::View;
use super::{
    config,
    fast_open::Keys,
    flush::flush,
    socket::{
        Tcp,
        TcpSock, //
    },
    urgent, //
};
use crate::{
    engine::{
        Algorithm,
        Duration, //
    },
    net::{
        errno::ENOPROTOOPT,
        msg::{
            OptionIn,
            OptionOut, //
        },
        sock::{
            Locked,
            SockState, //
        },
        tcp, //
    }, //
};
use core::ops::RangeInclusive;
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
    /// `TCP_SAVE_SYN`
    pub(super) save_syn: u8,
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

/// What there is to say of one option.
struct Row {
    number: i32,
    set: Set,
    get: Get,
}

/// What `setsockopt` does.
enum Set {
    /// Nothing: `ENOPROTOOPT`.
    Never,
    /// Refuses, once the value is read.
    Refuse(Error),
    /// Takes an integer of the range in these states, else `EINVAL`.
    Int(
        RangeInclusive<i32>,
        States,
        fn(&mut Locked<'_, Tcp>, i32) -> Result,
    ),
    /// The same; zero stands for the default.
    IntOrZero(
        RangeInclusive<i32>,
        States,
        fn(&mut Locked<'_, Tcp>, i32) -> Result,
    ),
    /// What is no integer.
    Other(fn(&TcpSock, &OptionIn) -> Result),
}

/// What `getsockopt` does.
enum Get {
    /// Nothing: `ENOPROTOOPT`.
    Never,
    /// Refuses.
    Refuse(Error),
    /// Tells an integer.
    Int(fn(&mut View<'_, '_>) -> i32),
    /// What is no integer.
    Other(fn(&TcpSock, OptionOut) -> Result),
}

/// The states in which an option may be set.
#[derive(Clone, Copy, PartialEq, Eq)]
enum States {
    Any,
    /// Neither connected nor listening, or a listener.
    Unconnected,
}

impl States {
    fn allow(self, sk: &TcpSock) -> bool {
        let open = sk.is_listening() || sk.kernel_state() == SockState::Close as u8;
        self == Self::Any || open
    }
}

fn row(number: i32) -> Option<&'static Row> {
    table::ROWS.iter().find(|row| row.number == number)
}

/// `setsockopt(2)`
pub(super) fn set(sk: &TcpSock, name: i32, value: OptionIn) -> Result {
    let set = row(name).map_or(&Set::Never, |row| &row.set);
    if let Set::Other(set) = set {
        return set(sk, &value);
    }
    // A short value is looked at before the option is.
    let value = value.int()?;
    match set {
        Set::Never | Set::Other(_) => Err(ENOPROTOOPT),
        Set::Refuse(error) => Err(*error),
        Set::IntOrZero(_, _, set) if value == 0 => set(&mut sk.lock(), value),
        Set::Int(range, states, set) | Set::IntOrZero(range, states, set) => {
            let mut lock = sk.lock();
            if !range.contains(&value) || !states.allow(sk) {
                return Err(EINVAL);
            }
            set(&mut lock, value)
        }
    }
}

/// `getsockopt(2)`
pub(super) fn get(sk: &TcpSock, name: i32, out: OptionOut) -> Result {
    // A negative length is looked at before the option is.
    out.room()?;
    match row(name).map_or(&Get::Never, |row| &row.get) {
        Get::Never => Err(ENOPROTOOPT),
        Get::Refuse(error) => Err(*error),
        Get::Other(get) => get(sk, out),
        Get::Int(get) => {
            let value = get(&mut View::new(&mut sk.lock()));
            out.put(&value)
        }
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

/// `SO_RCVBUF` fixed the size of the receive buffer, which bounds the window (`tcp_set_rcvbuf`).
pub(super) fn receive_buffer_set(lock: &mut Locked<'_, Tcp>, bytes: u32) {
    let _ = set::clamp_window(lock, config::window_of(bytes));
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
