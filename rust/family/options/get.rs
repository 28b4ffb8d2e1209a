// SPDX-License-Identifier: GPL-2.0

//! What reading an integer tells. The table calls these by name.

use super::super::{
    config,
    info::micros,
    records::Connection,
    socket::Tcp, //
};
use super::Options;
use crate::{
    engine::{
        Config,
        Duration,
        KeepAlive,
        Patience,
        State, //
    },
    net::{
        netns_ipv4::TcpSettings,
        sock::{
            Locked,
            SockState, //
        }, //
    }, //
};

/// A socket that is asked.
pub(super) struct View<'a, 'b> {
    sk: &'a mut Locked<'b, Tcp>,
    options: Options,
}

impl<'a, 'b> View<'a, 'b> {
    pub(super) fn new(sk: &'a mut Locked<'b, Tcp>) -> Self {
        let options = sk.sock().shared().options();
        Self { sk, options }
    }

    fn settings(&self) -> TcpSettings {
        self.sk.sock().net().tcp_settings()
    }

    fn keepalive(&self) -> KeepAlive {
        config::keepalive(&self.options, &self.settings())
    }

    /// A connection that has heard from its peer and is not over.
    fn connection(&mut self) -> Option<&mut Connection> {
        let conn = self.sk.state().connection()?;
        (!matches!(conn.state(), State::Closed | State::SynSent)).then_some(conn)
    }
}

fn seconds(time: Duration) -> i32 {
    (time.as_millis() / 1000) as i32
}

pub(super) fn nodelay(view: &mut View<'_, '_>) -> i32 {
    view.options.nodelay.into()
}

/// The MSS in use; without a connection what was set, or the last one's.
pub(super) fn maxseg(view: &mut View<'_, '_>) -> i32 {
    if let Some(conn) = view.connection() {
        return conn.send_mss() as i32;
    }
    let opening = view.sk.sock().kernel_state() == SockState::SynSent as u8;
    let mss = match view.options.max_segment {
        set if set != 0 && !opening => set,
        _ => view.sk.state().mss,
    };
    mss.into()
}

pub(super) fn cork(view: &mut View<'_, '_>) -> i32 {
    view.options.cork.into()
}

pub(super) fn keepidle(view: &mut View<'_, '_>) -> i32 {
    seconds(view.keepalive().idle)
}

pub(super) fn keepintvl(view: &mut View<'_, '_>) -> i32 {
    seconds(view.keepalive().interval)
}

pub(super) fn keepcnt(view: &mut View<'_, '_>) -> i32 {
    view.keepalive().probes.into()
}

pub(super) fn syncnt(view: &mut View<'_, '_>) -> i32 {
    let set = view.options.syn_retries;
    set.unwrap_or_else(|| view.settings().syn_retries).into()
}

pub(super) fn linger2(view: &mut View<'_, '_>) -> i32 {
    match view.options.linger2 {
        Some(Duration::ZERO) => -1,
        Some(limit) => seconds(limit),
        None => (view.settings().fin_timeout_ns / 1_000_000_000) as i32,
    }
}

pub(super) fn defer_accept(view: &mut View<'_, '_>) -> i32 {
    Patience::seconds_of(view.options.defer_accept) as i32
}

pub(super) fn window_clamp(view: &mut View<'_, '_>) -> i32 {
    let set = view.options.window_clamp;
    let conn = view.sk.state().connection();
    conn.map_or(set, |conn| conn.window_clamp()) as i32
}

pub(super) fn quickack(view: &mut View<'_, '_>) -> i32 {
    let set = !view.options.interactive;
    view.connection()
        .map_or(set, |conn| conn.is_quick_ack())
        .into()
}

pub(super) fn thin_linear_timeouts(view: &mut View<'_, '_>) -> i32 {
    view.options.thin_linear.into()
}

pub(super) fn thin_dupack(_view: &mut View<'_, '_>) -> i32 {
    0
}

pub(super) fn user_timeout(view: &mut View<'_, '_>) -> i32 {
    let set = view.options.user_timeout;
    set.map_or(0, |time| time.as_millis() as i32)
}

pub(super) fn repair(_view: &mut View<'_, '_>) -> i32 {
    0
}

pub(super) fn fastopen(view: &mut View<'_, '_>) -> i32 {
    view.sk.sock().shared().queue.fast_open() as i32
}

/// The clock of the timestamps, in milliseconds as Linux's: the low bit would say microseconds.
pub(super) fn timestamp(view: &mut View<'_, '_>) -> i32 {
    let now = super::super::now();
    let conn = view.sk.state().connection();
    (conn.map_or(now.tick(), |conn| conn.timestamp(now)) & !1) as i32
}

pub(super) fn notsent_lowat(view: &mut View<'_, '_>) -> i32 {
    view.options.notsent_lowat as i32
}

pub(super) fn save_syn(view: &mut View<'_, '_>) -> i32 {
    view.options.save_syn.into()
}

pub(super) fn fastopen_connect(view: &mut View<'_, '_>) -> i32 {
    view.options.fast_open_connect.into()
}

pub(super) fn fastopen_no_cookie(view: &mut View<'_, '_>) -> i32 {
    view.options.fast_open_no_cookie.into()
}

pub(super) fn inq(view: &mut View<'_, '_>) -> i32 {
    view.options.tells_unread.into()
}

pub(super) fn is_mptcp(_view: &mut View<'_, '_>) -> i32 {
    0
}

pub(super) fn rto_max_ms(view: &mut View<'_, '_>) -> i32 {
    view.options.rto_max.as_millis() as i32
}

pub(super) fn rto_min_us(view: &mut View<'_, '_>) -> i32 {
    micros(view.options.rto_min) as i32
}

pub(super) fn delack_max_us(view: &mut View<'_, '_>) -> i32 {
    let set = view.options.delack_max;
    micros(set.unwrap_or(Config::LINUX.delack_max)) as i32
}
