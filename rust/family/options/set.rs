// SPDX-License-Identifier: GPL-2.0

//! What setting an integer does. The table calls these by name, with a value in its range and the socket
//! in a state that allows it.

use super::super::{
    fast_open_client,
    flush::{
        self,
        flush, //
    },
    memory,
    records::Connection,
    socket::Tcp, //
};
use super::Options;
use crate::{
    engine::{
        Duration,
        Instant,
        Patience, //
    },
    net::{
        errno::EOPNOTSUPP,
        sock::{
            Locked,
            SockState, //
        },
        time::TICK_NS, //
    }, //
};
use kernel::prelude::*;

/// What `TCP_LINGER2` is cut to, in seconds.
const LINGER2_MAX: i32 = 120;
/// The least bound of the window (Linux's `SOCK_MIN_RCVBUF / 2`).
const WINDOW_CLAMP_MIN: i32 = 1152;
/// The longest delay of an acknowledgment, and the highest lower bound of a time-out (Linux's
/// `TCP_DELACK_MAX`, `TCP_RTO_MIN`).
const MICROS_MAX_NS: u64 = 200_000_000;

type Sk<'a, 'b> = &'a mut Locked<'b, Tcp>;

/// Keeps the value.
fn keep(sk: Sk<'_, '_>, change: impl FnOnce(&mut Options)) -> Result {
    change(&mut sk.sock().shared().options.lock());
    Ok(())
}

/// Makes it act on a connection that is there already.
fn act(sk: Sk<'_, '_>, on: impl FnOnce(&mut Connection, Instant)) {
    let now = super::super::now();
    if let Some(conn) = sk.state().connection() {
        on(conn, now);
        flush(sk, now);
    }
}

fn seconds(value: i32) -> Duration {
    Duration::from_secs(u64::from(value.unsigned_abs()))
}

fn ticks(ns: u64) -> Duration {
    Duration::from_nanos(ns.div_ceil(TICK_NS) * TICK_NS)
}

/// A time in microseconds, as Linux in whole ticks, at least two.
fn whole_ticks(micros: i32) -> Result<Duration> {
    let time = ticks(u64::from(micros as u32) * 1_000);
    if micros < 0 || time.as_nanos() > MICROS_MAX_NS || time.as_nanos() < 2 * TICK_NS {
        return Err(EINVAL);
    }
    Ok(time)
}

pub(super) fn nodelay(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.nodelay = value != 0)?;
    act(sk, |conn, now| conn.set_nodelay(now, value != 0));
    Ok(())
}

pub(super) fn maxseg(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.max_segment = value as u16)
}

pub(super) fn cork(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.cork = value != 0)?;
    act(sk, |conn, now| conn.set_cork(now, value != 0));
    Ok(())
}

pub(super) fn keepidle(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.keep_idle = Some(seconds(value)))?;
    if sk.sock().keeps_alive() {
        act(sk, |conn, now| conn.set_keepalive_idle(now, seconds(value)));
    }
    Ok(())
}

// This and the next act when the timer fires.
pub(super) fn keepintvl(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.keep_interval = Some(seconds(value)))
}

pub(super) fn keepcnt(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.keep_count = Some(value as u8))
}

pub(super) fn syncnt(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.syn_retries = Some(value as u8))
}

pub(super) fn linger2(sk: Sk<'_, '_>, value: i32) -> Result {
    let time = seconds(value.clamp(0, LINGER2_MAX));
    keep(sk, |options| options.linger2 = (value != 0).then_some(time))
}

pub(super) fn defer_accept(sk: Sk<'_, '_>, value: i32) -> Result {
    let tries = Patience::tries_of(value.max(0) as u32);
    keep(sk, |options| options.defer_accept = tries)
}

pub(super) fn window_clamp(sk: Sk<'_, '_>, value: i32) -> Result {
    if value == 0 && sk.sock().kernel_state() != SockState::Close as u8 {
        return Err(EINVAL);
    }
    let clamp = match value {
        0 => 0,
        value => value.max(WINDOW_CLAMP_MIN) as u32,
    };
    clamp_window(sk, clamp)
}

/// Bounds the window.
pub(super) fn clamp_window(sk: Sk<'_, '_>, clamp: u32) -> Result {
    keep(sk, |options| options.window_clamp = clamp)?;
    act(sk, |conn, _| conn.set_window_clamp(clamp));
    Ok(())
}

pub(super) fn quickack(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.interactive = value == 0)?;
    // It may send what is owed at once.
    memory::tell(sk);
    act(sk, |conn, _| conn.quick_ack(value));
    Ok(())
}

pub(super) fn thin_linear_timeouts(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.thin_linear = value != 0)
}

pub(super) fn thin_dupack(_sk: Sk<'_, '_>, _value: i32) -> Result {
    Ok(())
}

pub(super) fn user_timeout(sk: Sk<'_, '_>, value: i32) -> Result {
    let time = (value != 0).then(|| Duration::from_millis(u64::from(value.unsigned_abs())));
    keep(sk, |options| options.user_timeout = time)?;
    act(sk, |conn, _| conn.set_user_timeout(time));
    Ok(())
}

pub(super) fn queue_seq(sk: Sk<'_, '_>, _value: i32) -> Result {
    match sk.sock().kernel_state() == SockState::Close as u8 {
        true => Err(EINVAL),
        false => Err(EPERM),
    }
}

pub(super) fn fastopen(sk: Sk<'_, '_>, value: i32) -> Result {
    let most = sk.sock().net().somaxconn();
    let queue = &sk.sock().shared().queue;
    queue.set_fast_open(value.unsigned_abs().min(most));
    Ok(())
}

pub(super) fn notsent_lowat(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.notsent_lowat = value as u32)?;
    sk.sock().shared().send.set_low_water(value as u32);
    sk.sock().write_space();
    Ok(())
}

pub(super) fn save_syn(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.save_syn = value as u8)
}

pub(super) fn fastopen_connect(sk: Sk<'_, '_>, value: i32) -> Result {
    if !fast_open_client::is_allowed(sk.sock().net().fast_open()) {
        return Err(EOPNOTSUPP);
    }
    if sk.sock().kernel_state() != SockState::Close as u8 {
        return Err(EINVAL);
    }
    keep(sk, |options| options.fast_open_connect = value != 0)
}

pub(super) fn fastopen_no_cookie(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.fast_open_no_cookie = value != 0)
}

pub(super) fn inq(sk: Sk<'_, '_>, value: i32) -> Result {
    keep(sk, |options| options.tells_unread = value != 0)?;
    sk.sock().shared().set_tells_unread(value != 0);
    Ok(())
}

pub(super) fn rto_max_ms(sk: Sk<'_, '_>, value: i32) -> Result {
    let time = ticks(u64::from(value.unsigned_abs()) * 1_000_000);
    keep(sk, |options| options.rto_max = time)?;
    retune(sk);
    Ok(())
}

pub(super) fn rto_min_us(sk: Sk<'_, '_>, value: i32) -> Result {
    let time = whole_ticks(value)?;
    keep(sk, |options| options.rto_min = time)?;
    retune(sk);
    Ok(())
}

fn retune(sk: Sk<'_, '_>) {
    flush::retune(sk);
    act(sk, |_, _| {});
}

pub(super) fn delack_max_us(sk: Sk<'_, '_>, value: i32) -> Result {
    let time = whole_ticks(value)?;
    keep(sk, |options| options.delack_max = Some(time))?;
    act(sk, |conn, _| conn.set_delack_max(time));
    Ok(())
}
