// SPDX-License-Identifier: GPL-2.0

//! The end of every entry: send what the engine has to send, tell whom its events concern, publish
//! the state, arm the timer. Nothing else in the family does any of these.

use super::{
    config::{
        along,
        keepalive,
        limits, //
    },
    connect,
    counters::Counter,
    entry::{
        Entry,
        Record,
        Waiting, //
    },
    fast_open_client,
    header::Header,
    icmp,
    md5,
    memory,
    options,
    orphan,
    path,
    path_metrics,
    poll,
    send_buffer,
    socket::{
        Role,
        State,
        Tcp, //
    },
    urgent, //
};
use crate::{
    engine::{
        self,
        Config,
        Doubt,
        Event,
        Instant,
        Limits,
        Pacer,
        Reason,
        SegmentOut, //
    },
    net::{
        self,
        errno::{
            ECONNREFUSED,
            ECONNRESET, //
        },
        ip::{
            Payload,
            Wire,
            COPY_MAX,
            MAX_FRAGMENTS, //
        },
        md5::Key,
        rope::Rope,
        sock::{
            Locked,
            Shutdown,
            SockState, //
        },
        tx_stamp::TxStamps, //
    }, //
};
use kernel::prelude::*;

/// The socket's timer fired: what is due?
pub(super) fn timer(sk: &mut Locked<'_, Tcp>) {
    let now = super::now();
    icmp::catch_up(sk);
    path::follow(sk);
    retune(sk);
    orphan::tell(sk);
    let state = sk.state();
    state.timer = None;
    if let Role::Connection(conn) = &mut state.role {
        conn.on_deadline(now);
        let doubt = conn.take_doubt();
        if let Some(doubt) = doubt {
            // As `tcp_write_timeout`.
            if doubt != Doubt::Path {
                sk.doubt_route();
            }
            if doubt != Doubt::Nothing && sk.choose_other_path() {
                let state = sk.state();
                state.rehashes = state.rehashes.wrapping_add(1);
                state.namespace.counters.count(Counter::TimeoutRehash);
            }
        }
    }
    flush(sk, now);
}

/// A paced departure is due.
pub(super) fn departure(sk: &mut Locked<'_, Tcp>) {
    let now = super::now();
    if let Some(conn) = sk.state().connection() {
        conn.on_deadline(now);
    }
    flush(sk, now);
}

/// Brings the connection's limits up to date with the namespace's settings.
pub(super) fn retune(sk: &mut Locked<'_, Tcp>) {
    let sock = sk.sock();
    let (options, settings) = (sock.shared().options(), sock.net().tcp_settings());
    let limits = Config {
        keepalive: sock.keeps_alive().then(|| keepalive(&options, &settings)),
        ..limits(&options, &settings)
    };
    let State { role, hints, .. } = sk.state();
    if let Role::Connection(conn) = role {
        conn.retune(&limits);
        conn.set_route_hints(&along(hints, &limits));
    }
}

/// Carries out all that the engine has decided.
pub(super) fn flush(sk: &mut Locked<'_, Tcp>, now: Instant) {
    transmit(sk, now);
    count(sk);
    publish(sk);
    send_buffer::check(sk);
    while let Some(event) = sk.state().connection().and_then(|conn| conn.poll_event()) {
        handle(sk, now, event);
    }
    arm(sk, now);
}

/// Adds what the engine has counted to the namespace's counters.
fn count(sk: &mut Locked<'_, Tcp>) {
    let State {
        namespace, role, ..
    } = sk.state();
    if let Role::Connection(conn) = role {
        namespace.counters.take(conn);
    }
}

/// What of the range `len` bytes from `offset` on can go into one packet.
fn fit(rope: &Rope, offset: u64, len: u32) -> u32 {
    let len = rope.in_record(offset, len);
    let fit = rope.fit(offset, len, MAX_FRAGMENTS);
    if rope.is_owned(offset, len) {
        // Sent from where they lie, as the caller wanted.
        return fit;
    }
    // A small packet whose bytes lie in too many pieces is copied.
    fit.max(len.min(COPY_MAX))
}

fn transmit(sk: &mut Locked<'_, Tcp>, now: Instant) {
    memory::resize(sk);
    memory::tell(sk);
    let sock = sk.sock();
    let gso_max = sk.gso_max();
    let pacer = match sk.sock().pacer() {
        net::pacing::Pacer::None => Pacer::None,
        net::pacing::Pacer::Protocol => Pacer::Engine,
        net::pacing::Pacer::Queue => Pacer::Queue,
    };
    let (max_rate, blocked) = (sk.sock().max_pacing_rate(), sk.sock().awaits_write_space());
    let (wire, state) = sk.parts();
    let State {
        namespace,
        role,
        rope,
        stamps,
        ..
    } = state;
    let Role::Connection(conn) = role else {
        return;
    };
    let key = md5::key_of(sock);
    conn.set_signed(key.is_some());
    conn.set_pacing(max_rate, pacer);
    conn.set_writer_blocked(blocked);
    let mut limits = Limits {
        max_len: gso_max.unwrap_or_else(|| conn.send_mss()),
    };
    let burst = conn.burst_len(limits.max_len);
    loop {
        // The first bursts of a flow go without question, since a device may be slow to tell that
        // they have left.
        let out = conn.sent().saturating_sub(conn.acked());
        if out > burst.into() && conn.has_data_to_send() {
            let most = sock.net().limit_output_bytes();
            let bound = send_buffer::below_bound(conn, burst).min(most);
            if sock.wait_below(bound) {
                limits.max_len = 0;
            }
        }
        let next = conn.poll_transmit(now, &limits, |offset, len| fit(rope, offset, len));
        let Some(segment) = next else {
            break;
        };
        if segment.challenge && !namespace.may_challenge(sock.net(), now) {
            continue;
        }
        match send(&wire, &segment, rope, stamps, key.as_ref()) {
            Ok(false) => {}
            Ok(true) => conn.on_local_congestion(),
            Err(_) if segment.retransmission => namespace.counters.count(Counter::RetransFail),
            Err(_) => {}
        }
        namespace.counters.sent(&segment);
    }
    if let Some((rate, pacer)) = conn.pacing() {
        sk.set_pacing_rate(rate);
        if pacer == Pacer::Engine {
            sk.need_pacing();
        }
    }
}

/// Sends one segment, and returns whether a queue of this host is congested. Whether the segment
/// arrives is the engine's to find out: one that the host itself loses, for want of memory or by a
/// rule, is as lost as any.
fn send(
    wire: &Wire<'_, Tcp>,
    segment: &SegmentOut,
    rope: &Rope,
    stamps: &mut TxStamps,
    key: Option<&Key>,
) -> Result<bool> {
    let payload = segment.data.map(|data| Payload {
        rope,
        offset: data.offset,
        len: data.len,
        mss: segment.mss,
        mark: stamps.leave(data.offset, data.len),
    });
    let ends = wire.endpoints();
    let header = match key {
        Some(key) => Header::signed(segment, &ends, payload.as_ref(), key),
        None => Header::new(segment, &ends),
    };
    wire.transmit(&header, payload.as_ref(), segment.codepoint as u8)
}

/// The state that the rest of the kernel sees for one of the engine's.
fn kernel_state(state: engine::State) -> SockState {
    match state {
        engine::State::Closed | engine::State::TimeWait => SockState::Close,
        engine::State::Listen => SockState::Listen,
        engine::State::SynSent => SockState::SynSent,
        engine::State::SynReceived => SockState::SynRecv,
        engine::State::Established => SockState::Established,
        engine::State::FinWait1 => SockState::FinWait1,
        engine::State::FinWait2 => SockState::FinWait2,
        engine::State::CloseWait => SockState::CloseWait,
        engine::State::Closing => SockState::Closing,
        engine::State::LastAck => SockState::LastAck,
    }
}

/// Publishes what is seen without the lock.
fn publish(sk: &mut Locked<'_, Tcp>) {
    let seen = urgent::seen(sk);
    sk.sock().shared().set_urgent(seen);
    if let Some(conn) = sk.state().connection() {
        let state = kernel_state(conn.state());
        let unread = conn.readable().saturating_sub(conn.read());
        let window_small = conn.is_window_small();
        let outline = conn.outline();
        let shared = sk.sock().shared();
        shared.set_unread(unread);
        shared.set_window_small(window_small);
        shared.published.set(&outline);
        let acknowledged =
            state == SockState::FinWait2 && sk.sock().kernel_state() != SockState::FinWait2 as u8;
        // The end is published by its event, after the error that a poller must find with it.
        if state != SockState::Close {
            sk.set_kernel_state(state);
        }
        if state == SockState::FinWait2 {
            sk.state().orphan = None;
        }
        // Whoever lingers in `close` waits for this.
        if acknowledged && !sk.sock().is_dead() {
            sk.sock().state_changed();
        }
    }
}

fn arm(sk: &mut Locked<'_, Tcp>, now: Instant) {
    let state = sk.state();
    let armed = state.timer;
    let Some(conn) = state.connection() else {
        return;
    };
    let (fine, deadline) = (conn.next_fine_deadline(), conn.next_coarse_deadline());
    if let Some(fine) = fine {
        sk.arm_departure(fine.since(now).as_nanos());
    }
    let Some(deadline) = deadline else {
        return;
    };
    // A timer that fires too early finds nothing due and is armed anew, which is cheaper than to
    // move it with every ACK.
    if armed.is_none_or(|armed| deadline < armed) {
        sk.state().timer = Some(deadline);
        sk.arm_timer(deadline.since(now).as_nanos());
    }
}

fn handle(sk: &mut Locked<'_, Tcp>, now: Instant, event: Event) {
    let sock = sk.sock();
    match event {
        Event::Established => {
            sk.state().ticket = None;
            fast_open_client::established(sk);
            send_buffer::established(sk);
            if sk.state().interactive {
                options::quick_ack_off(sk);
            }
            sock.state_changed();
            sock.wake_async_out();
        }
        Event::Urgent => sock.send_sigurg(),
        Event::Readable => readable(sk),
        Event::Acked => acked(sk),
        Event::PeerClosed => {
            sk.add_shutdown(Shutdown::RECEIVE);
            sk.set_done();
            if !sock.is_dead() {
                sock.state_changed();
                sock.wake_async_hup();
                sock.data_ready();
            }
        }
        Event::FastOpenBlackhole(why) => fast_open_client::blackhole(sk, why),
        Event::TimeWait(record) => {
            path_metrics::remember(sk, now);
            wait(sk, now, record);
            closed(sk, Reason::Finished);
        }
        Event::Closed(reason) => {
            path_metrics::remember(sk, now);
            closed(sk, reason);
        }
    }
}

/// Data came: tells whom it is enough for, as `tcp_data_ready`.
fn readable(sk: &mut Locked<'_, Tcp>) {
    let sock = sk.sock();
    // With a FIN readers are told of both at once.
    let ends = sk.state().connection().is_some_and(|conn| {
        matches!(
            conn.state(),
            engine::State::CloseWait
                | engine::State::LastAck
                | engine::State::Closing
                | engine::State::TimeWait
        )
    });
    if !ends && !sock.is_dead() && poll::is_readable(sock, 0) {
        sock.data_ready();
    }
}

/// Bytes were acknowledged.
fn acked(sk: &mut Locked<'_, Tcp>) {
    sk.confirm_route();
    // As `tcp_ack`: what the network said before is over.
    let _ = sk.take_soft_error();
}

/// Leaves the record of TIME-WAIT in the place of the socket. Without memory for it, or where there
/// are enough of them, the connection just ends, as in Linux.
fn wait(sk: &mut Locked<'_, Tcp>, now: Instant, record: engine::TimeWait) {
    let sock = sk.sock();
    let bound = sk.bound_by_user().1;
    let manner = sock.manner();
    let state = sk.state();
    let Some(node) = state.node.take() else {
        return;
    };
    let key = *node.key();
    let (deadline, counted) = (record.deadline(), record.was_counted());
    let namespace = state.namespace.clone();
    let port = if bound {
        namespace.ports.wait_beside(sock).ok()
    } else {
        let port = state.port.take();
        port.map(|port| port.into_time_wait(sock.net()))
    };
    let most = sock.net().max_tw_buckets();
    let key_for_peer = md5::key_of(sock).and_then(|signing| {
        // As Linux, whose record does without where there is no memory.
        KBox::new(signing, GFP_ATOMIC | __GFP_NOWARN).ok()
    });
    let new = Waiting::new(record, manner, port, &namespace, most).and_then(|waiting| {
        let waiting = waiting.signed_by(key_for_peer);
        let record = Record::TimeWait(waiting);
        let new = Entry::record(&namespace, key, record, GFP_ATOMIC | __GFP_NOWARN).ok()?;
        namespace.table.replace(&node, new.clone()).ok()?;
        Some(new)
    });
    match new {
        Some(new) => {
            if !counted {
                namespace.counters.count(Counter::TimeWaits);
            }
            new.arm(deadline.since(now).as_nanos());
        }
        None => {
            namespace.counters.count(Counter::TimeWaitOverflow);
            namespace.table.remove(&node);
        }
    }
}

/// The connection is over.
fn closed(sk: &mut Locked<'_, Tcp>, reason: Reason) {
    let error = match reason {
        Reason::Finished | Reason::Aborted | Reason::OutOfResources => None,
        Reason::Refused => Some(ECONNREFUSED),
        Reason::Reset => Some(ECONNRESET),
        Reason::ResetInCloseWait => Some(EPIPE),
        // What the network said meanwhile tells more than the silence (`tcp_write_err`).
        Reason::TimedOut => Some(sk.take_soft_error().unwrap_or(ETIMEDOUT)),
    };
    if let Some(error) = error {
        sk.set_error(error);
    }
    let cause = match reason {
        Reason::TimedOut => Some(Counter::AbortOnTimeout),
        Reason::OutOfResources => Some(Counter::AbortOnMemory),
        _ => None,
    };
    if let Some(cause) = cause {
        sk.state().namespace.counters.count(cause);
    }
    // As `tcp_done`; a connection that its owner gives up does not count.
    let opening = [SockState::SynSent as u8, SockState::SynRecv as u8];
    if reason != Reason::Aborted && opening.contains(&sk.sock().kernel_state()) {
        sk.state().namespace.counters.count(Counter::AttemptFails);
    }
    if let Some(ticket) = &mut sk.state().ticket {
        if reason == Reason::Reset {
            ticket.reset(super::now());
        }
    }
    fast_open_client::over(sk);
    leave(sk);
    sk.set_kernel_state(SockState::Close);
    sk.add_shutdown(Shutdown::BOTH);
    if sk.sock().is_dead() {
        destroy(sk);
    } else {
        sk.sock().state_changed();
        if error.is_some() {
            sk.sock().report_error();
        }
    }
}

/// Takes the socket out of the table, stops its timer and frees its send buffer and its port, but for
/// one that the user bound.
pub(super) fn leave(sk: &mut Locked<'_, Tcp>) {
    let bound = sk.bound_by_user().1;
    let state = sk.state();
    let mss = state.connection().map(|conn| conn.send_mss() as u16);
    state.mss = mss.unwrap_or(state.mss);
    if let Some(node) = state.node.take() {
        state.namespace.table.remove(&node);
    }
    state.timer = None;
    state.ticket = None;
    state.orphan = None;
    state.held.clear();
    state.stamps.clear();
    let rope = core::mem::replace(&mut state.rope, Rope::new(0));
    if !bound {
        state.port = None;
        sk.clear_port_number();
    }
    sk.uncharge_send(rope.memory());
    sk.stop_timer();
}

/// Forgets the peer, the route, and the local address unless the user bound it.
pub(super) fn forget_addresses(sk: &mut Locked<'_, Tcp>) {
    sk.clear_peer();
    if !sk.bound_by_user().0 {
        sk.clear_local_address();
        // Without memory for it the port stays held at the address that it was.
        let _ = connect::follow(sk);
    }
    sk.reset_route();
}

/// Gives back all that a closed socket without a file still has.
pub(super) fn destroy(sk: &mut Locked<'_, Tcp>) {
    leave(sk);
    let state = sk.state();
    state.role = Role::Idle;
    state.port = None;
    md5::forget(sk.sock());
    sk.destroy();
}
