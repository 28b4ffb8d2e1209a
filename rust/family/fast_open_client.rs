// SPDX-License-Identifier: GPL-2.0

//! Clients of TCP Fast Open (RFC 7413), as `tcp_fastopen.c` and `tcp_sendmsg_fastopen`: which SYN
//! carries data, and what is learned from the answer.

use super::{
    connect,
    counters::Counter,
    fast_open_pause::PauseState,
    flush::{
        flush,
        forget_addresses,
        leave, //
    },
    options::Options,
    path_metrics::{
        NextRequest,
        Pair,
        Server, //
    },
    socket::{
        State,
        Tcp, //
    }, //
};
use crate::{
    engine::{
        Blackhole,
        Duration,
        FastOpenCookie,
        FastOpenFail,
        FastOpenOutcome,
        FastOpenSyn,
        Successor, //
    },
    net::{
        errno::{
            EALREADY,
            EINPROGRESS,
            EOPNOTSUPP, //
        },
        ip::{
            Hints,
            Path, //
        },
        msg::Msg,
        sock::{
            Locked,
            SockState,
            UserLock, //
        },
        zerocopy::Zerocopy, //
    }, //
};
use kernel::prelude::*;

/// Bit of `tcp_fastopen`: clients may use Fast Open.
const CLIENT: u32 = 1;
/// Bit of `tcp_fastopen`: clients send data without a cookie.
const CLIENT_WITHOUT_COOKIE: u32 = 4;
/// The most bytes of TCP options: all are left free, since middleboxes may add some.
const OPTIONS_MAX: u32 = 40;
/// The least MSS (`tcp_min_snd_mss`).
const MSS_MIN: u32 = 48;

/// Where the opening of a connection stands that may carry data.
#[derive(Clone, Copy, Default)]
enum Stage {
    /// There is none.
    #[default]
    None,
    /// A call wants to send data with the SYN: `connect` leaves the sending to it.
    Asked,
    /// The SYN is ready and may take so many bytes.
    Ready(u32),
    /// The first write is to open (`TCP_FASTOPEN_CONNECT`).
    Deferred(Option<Successor>),
}

/// What a socket knows of its Fast Open.
#[derive(Clone, Copy, Default)]
pub(super) struct Client {
    stage: Stage,
    /// No other call may open with data (Linux's `fastopen_req`).
    busy: bool,
    /// Our SYN had the option.
    asked_by_option: bool,
    /// It is the first after a pause: if it works, the next pause is a short one.
    watched: bool,
}

/// Whether clients may use Fast Open.
pub(super) fn is_allowed(setting: u32) -> bool {
    setting & CLIENT != 0
}

/// How a SYN uses Fast Open.
enum Choice {
    /// Not at all: there is a pause.
    Plain,
    /// To ask for a cookie.
    Request(FastOpenCookie),
    /// It may carry data, with this cookie if one is needed.
    Data(FastOpenSyn),
}

fn pair(sk: &Locked<'_, Tcp>) -> Pair {
    Pair::of(&sk.sock().endpoints())
}

/// Payload bytes of a SYN: what the path and the server's MSS of last time allow.
fn room(path: &Path, options: &Options, known: &Server) -> u32 {
    let most = match known.mss {
        0 => path.advertised_mss,
        mss => mss.into(),
    };
    let most = match options.max_segment {
        0 => most,
        user => most.min(user.into()),
    };
    path.mtu
        .saturating_sub(path.headers)
        .min(most)
        .saturating_sub(path.ip_options)
        .max(MSS_MIN)
        - OPTIONS_MAX
}

/// Chooses by what is known of the server (`tcp_fastopen_cookie_check`).
fn choose(sk: &mut Locked<'_, Tcp>, path: &Path) -> Choice {
    let now = super::now();
    let net = sk.sock().net();
    let options = sk.sock().shared().options();
    let pair = pair(sk);
    let state = sk.state();
    let known = state.namespace.path_metrics.server(&pair);
    let first = Duration::from_secs(net.fast_open_blackhole_secs().into());
    match state.namespace.fast_open_pause.state(now, first) {
        PauseState::Lasts => return Choice::Plain,
        PauseState::Over => state.fast_open.watched = true,
        PauseState::None => {}
    }
    let room = room(path, &options, &known);
    let without_cookie = net.fast_open() & CLIENT_WITHOUT_COOKIE != 0
        || options.fast_open_no_cookie
        || path.fast_open_no_cookie;
    if without_cookie {
        return Choice::Data(FastOpenSyn { cookie: None, room });
    }
    match known.cookie {
        Some(_) => Choice::Data(FastOpenSyn {
            cookie: known.cookie,
            room,
        }),
        None => {
            let experimental = known.next_request == NextRequest::Experimental;
            Choice::Request(FastOpenCookie::request(experimental))
        }
    }
}

/// `connect` has found the way: returns whether it leaves the SYN to the first write
/// (`tcp_fastopen_defer_connect`).
pub(super) fn defers(sk: &mut Locked<'_, Tcp>, successor: Option<Successor>) -> Result<bool> {
    let wanted = sk.sock().shared().options().fast_open_connect;
    if !wanted || sk.state().fast_open.busy {
        return Ok(false);
    }
    let path = sk.path()?;
    if let Choice::Data(_) = choose(sk, &path) {
        sk.state().fast_open.stage = Stage::Deferred(successor);
        sk.set_connect_deferred(true);
        return Ok(true);
    }
    // As Linux: the SYN asks for a cookie, and no later call may open with data.
    sk.state().fast_open.busy = true;
    Ok(false)
}

/// The connection was opened in the engine: gives it what the SYN carries, and returns whether that
/// is still to be written before it may leave.
pub(super) fn prepare(sk: &mut Locked<'_, Tcp>, path: &Path) -> bool {
    if !sk.state().fast_open.busy {
        return false;
    }
    let choice = choose(sk, path);
    let State {
        role, fast_open, ..
    } = sk.state();
    let asked = matches!(fast_open.stage, Stage::Asked);
    let super::socket::Role::Connection(conn) = role else {
        return false;
    };
    let room = match choice {
        Choice::Plain => 0,
        Choice::Request(request) => {
            conn.set_fast_open_fail(FastOpenFail::NoCookie);
            let cookie = Some(request);
            conn.use_fast_open(&FastOpenSyn { cookie, room: 0 });
            fast_open.asked_by_option = true;
            0
        }
        Choice::Data(syn) => {
            conn.use_fast_open(&syn);
            fast_open.asked_by_option = syn.cookie.is_some();
            syn.room
        }
    };
    if asked {
        fast_open.stage = Stage::Ready(room);
    }
    asked
}

/// Whether a message opens the connection, unless it is there already: by its flag, or since
/// `connect` left it to the first.
pub(super) fn opens(sk: &Locked<'_, Tcp>, flag: bool) -> bool {
    flag || sk.sock().is_connect_deferred()
}

/// Opens a connection with the first bytes of a message (`tcp_sendmsg_fastopen`), and waits for it
/// unless the call must not. Notes in `copied` how many bytes went with the SYN.
pub(super) fn open(
    sk: &mut UserLock<'_, Tcp>,
    msg: &mut Msg<'_>,
    zerocopy: Option<&Zerocopy>,
    copied: &mut usize,
) -> Result {
    if !is_allowed(sk.sock().net().fast_open()) || msg.is_to_nobody() {
        return Err(EOPNOTSUPP);
    }
    if sk.state().fast_open.busy {
        return Err(EALREADY);
    }
    sk.state().fast_open.busy = true;
    let result = open_and_wait(sk, msg, zerocopy, copied);
    let fast_open = &mut sk.state().fast_open;
    if fast_open.busy {
        fast_open.busy = false;
        fast_open.stage = Stage::None;
        sk.set_connect_deferred(false);
    } else {
        // The connection was given up meanwhile, and its data with it.
        *copied = 0;
    }
    result
}

fn open_and_wait(
    sk: &mut UserLock<'_, Tcp>,
    msg: &mut Msg<'_>,
    zerocopy: Option<&Zerocopy>,
    copied: &mut usize,
) -> Result {
    let stage = core::mem::replace(&mut sk.state().fast_open.stage, Stage::Asked);
    let mut begun = true;
    if let Stage::Deferred(successor) = stage {
        if connect::start(sk, successor).is_err() {
            // What follows finds the socket closed and says so.
            leave(sk);
            sk.set_kernel_state(SockState::Close);
            forget_addresses(sk);
        }
    } else {
        // Without waiting: the SYN is still to leave.
        let result = sk.connect_for_message(msg, true);
        begun = result == Err(EINPROGRESS);
        if !begun && result != Err(EALREADY) {
            return result;
        }
    }
    if begun {
        send_syn(sk, msg, zerocopy, copied);
    }
    let result = sk.connect_for_message(msg, msg.nonblocking());
    // It is our own connection that it found under way.
    if begun && result == Err(EALREADY) {
        return Err(EINPROGRESS);
    }
    result
}

/// Lets the SYN leave with what of the message has room in it (`tcp_send_syn_data`).
fn send_syn(
    sk: &mut UserLock<'_, Tcp>,
    msg: &mut Msg<'_>,
    zerocopy: Option<&Zerocopy>,
    copied: &mut usize,
) {
    let Stage::Ready(room) = sk.state().fast_open.stage else {
        return;
    };
    let now = super::now();
    let want = msg.left_within(room);
    let mut len = 0;
    while len < want {
        let (intake, State { rope, .. }) = sk.intake();
        match intake.fill(rope, msg, want - len, zerocopy) {
            Ok(n) => len += n,
            // EFAULT, or no memory: as Linux a SYN without data. Whoever waits will hear of it.
            Err(_) => break,
        }
    }
    let without_data = want > 0 && len == 0;
    let waits = msg.left() > 0 && !msg.nonblocking();
    let pair = pair(sk);
    let state = sk.state();
    let known = state.namespace.path_metrics.server(&pair);
    let asked = state.fast_open.asked_by_option;
    let Some(conn) = state.connection() else {
        return;
    };
    if without_data {
        let cookie = known
            .cookie
            .filter(|_| asked)
            .map(|cookie| FastOpenCookie::request(cookie.experimental));
        conn.use_fast_open(&FastOpenSyn { cookie, room: 0 });
    }
    if waits {
        conn.await_first_write();
    }
    if len > 0 {
        conn.on_write(now, len, false);
    }
    *copied = len as usize;
    flush(sk, now);
}

/// The handshake is complete: learns from what the SYN-ACK said (`tcp_rcv_fastopen_synack`).
pub(super) fn established(sk: &mut Locked<'_, Tcp>) {
    let pair = pair(sk);
    let hints = sk.path().map_or(Hints::default(), |path| path.hints);
    let state = sk.state();
    let Some(outcome) = state
        .connection()
        .and_then(|conn| conn.take_fast_open_outcome())
    else {
        return;
    };
    let FastOpenOutcome {
        cookie,
        mss,
        had_data,
        data_acked,
        retransmitted,
        experimental,
    } = outcome;
    let asked = state.fast_open.asked_by_option;
    // What nobody asked for is not taken.
    let cookie = cookie.filter(|_| asked);
    let in_vain = asked && !retransmitted && cookie.is_none() && !had_data;
    let next_request = match (in_vain, experimental) {
        (false, _) => NextRequest::Standard,
        (true, false) => NextRequest::Experimental,
        (true, true) => NextRequest::StandardAgain,
    };
    let news = Server {
        mss,
        cookie,
        next_request,
    };
    let namespace = &state.namespace;
    let cache = &namespace.path_metrics;
    cache.learn_server(&pair, &hints, super::now(), &news);
    if data_acked {
        namespace.counters.count(Counter::FastOpenActive);
    } else if had_data {
        namespace.counters.count(Counter::FastOpenActiveFail);
    }
}

/// Something seems to swallow Fast Open: leaves it for a while (`tcp_fastopen_active_disable`).
pub(super) fn blackhole(sk: &mut Locked<'_, Tcp>, why: Blackhole) {
    let secs = sk.sock().net().fast_open_blackhole_secs();
    let namespace = &sk.state().namespace;
    if secs != 0 {
        namespace.fast_open_pause.begin(super::now());
        namespace.counters.count(Counter::FastOpenBlackhole);
    }
    if why == Blackhole::TimedOut {
        namespace.counters.count(Counter::FastOpenActiveFail);
    }
}

/// The connection is over: if it was the first after a pause, and data came by it, Fast Open works
/// again. What stays in the host tells nothing.
pub(super) fn over(sk: &mut Locked<'_, Tcp>) {
    if !core::mem::take(&mut sk.state().fast_open.watched) || sk.is_route_local() {
        return;
    }
    let state = sk.state();
    let received = state.connection().is_some_and(|conn| conn.readable() > 0);
    if received && state.fast_open.asked_by_option {
        state.namespace.fast_open_pause.forget();
    }
}

/// The socket gives its connection up (`tcp_disconnect`).
pub(super) fn forget(sk: &mut Locked<'_, Tcp>) {
    sk.state().fast_open = Client::default();
    sk.set_connect_deferred(false);
}
