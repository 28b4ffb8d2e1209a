// SPDX-License-Identifier: GPL-2.0

//! An end with the engine in it, and what its owner does: buffers, clock, timer, packets.

use crate::checks::may_follow;
use crate::checks::Flight;
use crate::end::End;
use crate::end::Outcome;
use crate::end::Status;
use crate::end::Tune;
use crate::link::MS;
use crate::link::US;
use crate::rng::check_pattern;
use crate::rng::Rng;
use crate::wire;
use crate::wire::Packet;
use crate::wire::Time;
use crate::wire::IP_HEADER;
use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;
use std::collections::BTreeMap;

/// Calls of the timer that one instant may see: one does the work, another may find what it started.
const MOST_CALLS: u32 = 8;

/// What the owner of an engine is like. Chances are per mille.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Owner {
    pub send_buffer: u64,
    pub receive_buffer: u64,
    /// The most payload octets of one packet that is given to the link.
    pub gso: u32,
    /// Long packets travel uncut, as over Linux's loopback or after GRO.
    pub whole: bool,
    /// How often a buffer takes less than a segment.
    pub short: u64,
    /// How often the owner takes no data for a while.
    pub blocked: u64,
    /// How often there is no memory for a segment's payload.
    pub no_room: u64,
    /// How late the timer is, at most.
    pub timer_slack: Time,
    /// How long a segment may lie in the backlog: it is taken with the time of its arrival.
    pub backlog: Time,
}

impl Owner {
    /// An owner without peculiarities.
    pub const PLAIN: Owner = Owner {
        send_buffer: 256 << 10,
        receive_buffer: 256 << 10,
        gso: 60_000,
        whole: false,
        short: 0,
        blocked: 0,
        no_room: 0,
        timer_slack: 0,
        backlog: 0,
    };
}

#[expect(clippy::large_enum_variant, reason = "there are two of them")]
enum Role {
    Closed,
    Listening,
    HalfOpen(HalfOpen),
    Connection(Connection),
}

/// The engine's end.
pub struct EngineEnd {
    id: usize,
    config: Config,
    owner: Owner,
    isn: Isn,
    rng: Rng,
    /// What its clock shows when the world began, and what it jumped since.
    clock: Time,
    role: Role,
    time_wait: Option<TimeWait>,
    out: Vec<Packet>,
    held: BTreeMap<u64, u32>,
    held_bytes: u64,
    buffer: u32,
    backlog: Vec<(Time, Packet)>,
    backlog_until: Option<Time>,
    blocked_until: Option<Time>,
    fin_at: Option<u64>,
    seen: Seen,
    calls: (Time, u32),
    slack: Time,
    last_state: State,
}

/// The events so far.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    established: bool,
    peer_closed: bool,
    readable: u64,
    acked: u64,
    over: Option<Outcome>,
}

impl EngineEnd {
    pub fn new(id: usize, mut config: Config, owner: Owner, mut rng: Rng) -> EngineEnd {
        config.max_receive_buffer = 2 * owner.receive_buffer as u32;
        let seq = if rng.chance(300) {
            u32::MAX - rng.below(100_000) as u32
        } else {
            rng.bits() as u32
        };
        let isn = Isn {
            seq: SeqNum(seq),
            ts_offset: rng.bits() as u32,
        };
        EngineEnd {
            id,
            config,
            owner,
            isn,
            clock: 1_000 * MS + rng.below(1 << 50),
            rng,
            role: Role::Closed,
            time_wait: None,
            out: Vec::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            buffer: 2 * config.receive_window,
            backlog: Vec::new(),
            backlog_until: None,
            blocked_until: None,
            fin_at: None,
            seen: Seen::default(),
            calls: (0, 0),
            slack: 0,
            last_state: State::Closed,
        }
    }

    fn instant(&self, now: Time) -> Instant {
        Instant::from_nanos(now + self.clock)
    }

    fn world_time(&self, instant: Instant) -> Time {
        instant.as_nanos().saturating_sub(self.clock)
    }

    /// Returns the connection, if there is one.
    pub fn connection(&self) -> Option<&Connection> {
        match &self.role {
            Role::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    fn connection_mut(&mut self) -> Option<&mut Connection> {
        match &mut self.role {
            Role::Connection(connection) => Some(connection),
            _ => None,
        }
    }

    /// Gives the receive buffer the size that the engine wants, and tells it what is used.
    fn tell_memory(&mut self) {
        let Role::Connection(connection) = &mut self.role else {
            return;
        };
        self.buffer = connection.receive_buffer().unwrap_or(self.buffer);
        let unread = connection.readable() - connection.read();
        connection.set_receive_memory(&ReceiveMemory {
            buffer: self.buffer,
            used: (2 * (unread + self.held_bytes)) as u32,
            ..ReceiveMemory::default()
        });
    }

    /// Puts a segment on the link, cut as a NIC cuts it.
    fn send(&mut self, segment: &SegmentOut) {
        let (offset, total) = segment.data.map_or((0, 0), |data| (data.offset, data.len));
        if let Some(connection) = self.connection().filter(|_| total > 0) {
            assert!(offset >= connection.acked(), "acknowledged octets are gone");
            assert!(
                offset + u64::from(total) <= connection.written(),
                "octets nobody wrote"
            );
            assert!(segment.mss > 0, "data without a segment size");
            assert!(
                total <= self.owner.gso.max(u32::from(segment.mss)),
                "more than max_len"
            );
        }
        let mut done = 0;
        loop {
            let most = if self.owner.whole {
                u32::MAX
            } else {
                u32::from(segment.mss).max(1)
            };
            let piece = (total - done).min(most);
            let last = done + piece >= total;
            let mut wire = *segment;
            wire.seq = segment.seq.add(done);
            if !last {
                wire.flags = wire.flags.without(Flags::FIN).without(Flags::PSH);
            }
            let packet = wire::packet(self.id, &wire, offset + u64::from(done), piece);
            self.out.push(packet);
            done += piece;
            if last {
                break;
            }
        }
    }

    /// The owner's one exit: transmit, events, next wake-up.
    fn flush(&mut self, now: Time) {
        self.flush_after(now, false);
    }

    /// Sends all there is, after the timer or another call.
    fn flush_after(&mut self, now: Time, timer: bool) {
        let instant = self.instant(now);
        if self.blocked_until.is_none() && self.rng.chance(self.owner.blocked) {
            self.blocked_until = Some(now + self.rng.range(10 * US, 20 * MS));
        }
        let limits = Limits {
            max_len: if self.blocked_until.is_some() {
                0
            } else {
                self.owner.gso
            },
        };
        let mut count = 0u32;
        loop {
            let mss = u32::from(self.config.mss);
            let most = if self.rng.chance(self.owner.short) {
                self.rng.range(1, u64::from(mss)) as u32
            } else {
                self.owner.gso
            };
            self.tell_memory();
            let Role::Connection(connection) = &mut self.role else {
                return;
            };
            let before = Flight::of(connection, instant);
            let fit = |_, len: u32| len.min(most.max(1));
            let Some(segment) = connection.poll_transmit(instant, &limits, fit) else {
                break;
            };
            before.check(connection, &segment, timer && count == 0);
            assert!(
                limits.max_len > 0 || segment.data.is_none(),
                "data that the owner cannot send"
            );
            count += 1;
            assert!(count < 100_000, "poll_transmit does not end");
            self.send(&segment);
        }
        self.take_events();
        self.check();
        self.slack = self.rng.below(self.owner.timer_slack + 1);
    }

    fn take_events(&mut self) {
        let id = self.id;
        let Role::Connection(connection) = &mut self.role else {
            return;
        };
        let seen = &mut self.seen;
        let mut order = 0;
        while let Some(event) = connection.poll_event() {
            assert!(seen.over.is_none(), "{event:?} of side {id} after the end");
            let rank = match event {
                Event::Established => {
                    assert!(!seen.established, "established twice");
                    seen.established = true;
                    1
                }
                Event::Urgent => 2,
                Event::Readable => {
                    assert!(connection.readable() > seen.readable, "nothing new to read");
                    seen.readable = connection.readable();
                    3
                }
                Event::Acked => {
                    assert!(connection.acked() > seen.acked, "nothing new acknowledged");
                    seen.acked = connection.acked();
                    4
                }
                Event::PeerClosed => {
                    assert!(!seen.peer_closed, "closed twice");
                    seen.peer_closed = true;
                    self.fin_at = Some(connection.readable());
                    5
                }
                Event::FastOpenBlackhole(_) => panic!("without Fast Open"),
                Event::TimeWait(record) => {
                    assert!(seen.peer_closed, "TIME-WAIT without the peer's FIN");
                    self.time_wait = Some(record);
                    seen.over = Some(Outcome::Finished);
                    6
                }
                Event::Closed(reason) => {
                    seen.over = Some(outcome(reason));
                    6
                }
            };
            assert!(rank > order, "{event:?} out of order");
            assert!(
                rank == 6 || rank == 1 || seen.established,
                "{event:?} before the handshake's end"
            );
            order = rank;
        }
        assert_eq!(
            connection.readable(),
            seen.readable,
            "readable() grew silently"
        );
        assert_eq!(connection.acked(), seen.acked, "acked() grew silently");
        if let Some(end) = self.fin_at {
            assert_eq!(connection.readable(), end, "octets after the peer's FIN");
        }
    }

    fn check(&mut self) {
        let Role::Connection(connection) = &self.role else {
            return;
        };
        assert!(connection.acked() <= connection.sent(), "SND.UNA > SND.NXT");
        assert!(
            connection.sent() <= connection.written(),
            "sent more than was written"
        );
        assert!(connection.read() <= connection.readable());
        let state = connection.state();
        assert!(
            may_follow(self.last_state, state),
            "{:?} became {state:?}",
            self.last_state
        );
        self.last_state = state;
        if self.seen.over.is_some() {
            assert_eq!(connection.next_deadline(), None, "a deadline after the end");
            assert!(
                matches!(state, State::Closed | State::TimeWait),
                "{state:?} after the end"
            );
        }
    }

    /// Takes the payload as the engine says.
    fn deliver(&mut self, at: Instant, segment: &SegmentIn, payload: &[u8]) {
        let id = self.id;
        let peer = 1 - id;
        let full = self.rng.chance(self.owner.no_room);
        let over = self.seen.over.is_some();
        self.tell_memory();
        let Role::Connection(connection) = &mut self.role else {
            return;
        };
        let before = connection.readable();
        // As in Linux there is memory where the reader waits: nobody else could free some.
        if full && segment.len > 0 && before > connection.read() {
            connection.on_segment_without_room(at, segment);
            assert_eq!(connection.readable(), before, "took octets without room");
            return;
        }
        match connection.on_segment(at, segment) {
            Payload::Discard => {
                assert_eq!(connection.readable(), before, "discarded but readable");
            }
            Payload::Append { skip, len } => {
                assert!(len > 0 && !over);
                check_pattern(peer, before, &payload[skip as usize..(skip + len) as usize]);
                let mut next = before + u64::from(len);
                let readable = connection.readable();
                while let Some((&offset, &len)) = self.held.first_key_value() {
                    if offset >= readable {
                        break;
                    }
                    self.held.remove(&offset);
                    self.held_bytes -= u64::from(len);
                    assert!(offset <= next, "a hole in what became readable");
                    next = next.max(offset + u64::from(len));
                }
                assert_eq!(next, readable, "readable() is not what the owner has");
            }
            Payload::Hold { offset, skip, len } => {
                assert!(len > 0 && offset > before && !over);
                assert_eq!(connection.readable(), before);
                check_pattern(peer, offset, &payload[skip as usize..(skip + len) as usize]);
                let known = self.held.get(&offset).copied().unwrap_or(0);
                if len > known {
                    self.held_bytes += u64::from(len - known);
                    self.held.insert(offset, len);
                }
            }
        }
    }

    /// Gives a segment to whatever this end is now.
    fn dispatch(&mut self, now: Time, arrived: Time, packet: &Packet) {
        let Some(at) = wire::payload_at(&packet.bytes) else {
            return;
        };
        let (header, payload) = packet.bytes[IP_HEADER..].split_at(at - IP_HEADER);
        let parsed = SegmentIn::parse(header, payload.len() as u32);
        let mut segment = parsed.expect("a header with the right checksum");
        if segment.len > packet.mss && packet.mss > 0 {
            segment.wire_len = packet.mss;
        }
        segment.codepoint = Codepoint::from_tos(packet.bytes[1]);
        let instant = self.instant(now);
        let mut reply = None;
        if let Some(record) = &mut self.time_wait {
            match record.on_segment(instant, &segment, |_| {}) {
                TimeWaitVerdict::Reply(segment) => reply = Some(segment),
                TimeWaitVerdict::Remove => self.time_wait = None,
                TimeWaitVerdict::Ignore => {}
                TimeWaitVerdict::Reopen { .. } => self.time_wait = None,
            }
        } else {
            match &mut self.role {
                Role::Connection(_) if self.seen.over.is_some() => reply = on_closed(&segment),
                Role::Connection(_) => {
                    let arrived = self.instant(arrived);
                    self.deliver(arrived, &segment, payload);
                    self.flush(now);
                }
                Role::HalfOpen(half_open) => {
                    match half_open.on_segment(instant, &segment, &Patience::LINUX, |_| {}) {
                        HalfOpenVerdict::Ignore | HalfOpenVerdict::Deferred => {}
                        HalfOpenVerdict::Reply(segment) | HalfOpenVerdict::Reset(segment) => {
                            reply = Some(segment);
                        }
                        HalfOpenVerdict::Remove(answer) => {
                            reply = answer;
                            self.role = Role::Listening;
                        }
                        HalfOpenVerdict::Established => {
                            let connection = Connection::accept(instant, &self.config, half_open);
                            self.role = Role::Connection(connection);
                            self.last_state = State::SynReceived;
                            self.deliver(instant, &segment, payload);
                            self.flush(now);
                        }
                    }
                }
                Role::Listening => match on_listen(&segment) {
                    ListenVerdict::Ignore => {}
                    ListenVerdict::Reset(segment) => reply = Some(segment),
                    ListenVerdict::Syn => {
                        let mut half_open =
                            HalfOpen::new(instant, &self.config, &segment, self.isn);
                        reply = Some(half_open.syn_ack(instant));
                        self.role = Role::HalfOpen(half_open);
                    }
                },
                Role::Closed => reply = on_closed(&segment),
            }
        }
        if let Some(segment) = reply {
            self.send(&segment);
        }
    }

    fn drain_backlog(&mut self, now: Time) {
        self.backlog_until = None;
        for (arrived, packet) in std::mem::take(&mut self.backlog) {
            self.dispatch(now, arrived, &packet);
        }
    }

    /// Calls the connection, and flushes.
    fn call(&mut self, now: Time, call: impl FnOnce(&mut Connection, Instant)) {
        let instant = self.instant(now);
        let over = self.seen.over.is_some();
        if let Some(connection) = self.connection_mut() {
            call(connection, instant);
            if !over {
                self.flush(now);
            }
        }
    }
}

fn outcome(reason: Reason) -> Outcome {
    match reason {
        Reason::Finished => Outcome::Finished,
        Reason::Refused | Reason::Reset | Reason::ResetInCloseWait => Outcome::Reset,
        Reason::TimedOut => Outcome::TimedOut,
        Reason::Aborted | Reason::OutOfResources => Outcome::Aborted,
    }
}

impl End for EngineEnd {
    fn open(&mut self, now: Time, active: bool) {
        if active {
            let connection = Connection::connect(self.instant(now), &self.config, self.isn);
            self.role = Role::Connection(connection);
            self.last_state = State::SynSent;
            self.flush(now);
        } else {
            self.role = Role::Listening;
        }
    }

    fn on_packet(&mut self, now: Time, packet: &Packet) {
        let lies = self.owner.backlog > 0 && matches!(self.role, Role::Connection(_));
        if lies && self.backlog_until.is_none() && self.rng.chance(200) {
            self.backlog_until = Some(now + self.rng.below(self.owner.backlog));
        }
        if self.backlog_until.is_some() {
            self.backlog.push((now, packet.clone()));
        } else {
            self.dispatch(now, now, packet);
        }
    }

    fn on_wake(&mut self, now: Time) {
        if self.calls.0 != now {
            self.calls = (now, 0);
        }
        self.calls.1 += 1;
        assert!(
            self.calls.1 <= MOST_CALLS,
            "side {}: the timer spins",
            self.id
        );
        if self.backlog_until.is_some_and(|at| at <= now) {
            self.drain_backlog(now);
        }
        let unblocked = self.blocked_until.is_some_and(|at| at <= now);
        if unblocked {
            self.blocked_until = None;
        }
        let instant = self.instant(now);
        if self
            .time_wait
            .as_ref()
            .is_some_and(|tw| tw.deadline() <= instant)
        {
            self.time_wait = None;
        }
        match &mut self.role {
            Role::HalfOpen(half_open) => match half_open.on_deadline(instant, &Patience::LINUX) {
                HalfOpenDeadline::Early | HalfOpenDeadline::Wait => {}
                HalfOpenDeadline::Expired => self.role = Role::Listening,
                HalfOpenDeadline::Retransmit(segment) => self.send(&segment),
            },
            Role::Connection(connection) if self.seen.over.is_none() => {
                connection.on_deadline(instant);
                self.flush_after(now, true);
            }
            Role::Connection(_) | Role::Closed | Role::Listening => {}
        }
    }

    fn wake_at(&mut self, _: Time) -> Option<Time> {
        let deadline = match &self.role {
            Role::HalfOpen(half_open) => Some(half_open.next_deadline()),
            Role::Connection(connection) if self.seen.over.is_none() => connection.next_deadline(),
            _ => self.time_wait.as_ref().map(TimeWait::deadline),
        };
        let timer = deadline.map(|at| self.world_time(at) + self.slack);
        let blocked = self.blocked_until.filter(|_| self.seen.over.is_none());
        [timer, self.backlog_until, blocked]
            .into_iter()
            .flatten()
            .min()
    }

    fn take_output(&mut self) -> Vec<Packet> {
        std::mem::take(&mut self.out)
    }

    fn on_too_long(&mut self, now: Time, mtu: u32, quoted: u32) {
        let mss = mtu.saturating_sub(40).clamp(88, 65_000) as u16;
        let smaller = mss < self.config.mss;
        self.config.mss = self.config.mss.min(mss);
        self.call(now, |connection, _| {
            if smaller && connection.is_outstanding(SeqNum(quoted)) {
                connection.set_mss(mss);
            }
        });
    }

    fn jump(&mut self, by: Time) {
        self.clock += by;
    }

    fn status(&self) -> Status {
        let mut status = Status {
            established: self.seen.established,
            over: self.seen.over,
            ..Status::default()
        };
        if let Some(connection) = self.connection() {
            let queued = connection.written() - connection.acked();
            if matches!(connection.state(), State::Established | State::CloseWait) {
                status.room = self.owner.send_buffer.saturating_sub(queued);
            }
            status.unread = connection.readable() - connection.read();
            status.eof = self.seen.peer_closed;
            status.acked = connection.acked();
        }
        status
    }

    fn write(&mut self, now: Time, len: u64, more: bool) -> u64 {
        let len = len.min(self.status().room);
        self.call(now, |connection, at| {
            connection.on_write(at, len as u32, more)
        });
        len
    }

    fn read(&mut self, now: Time, len: u64) -> u64 {
        let len = len.min(self.status().unread);
        self.tell_memory();
        self.call(now, |connection, at| connection.on_read(at, len as u32));
        len
    }

    fn shutdown(&mut self, now: Time) {
        self.call(now, Connection::shutdown_write);
    }

    fn close(&mut self, now: Time) {
        self.call(now, Connection::close);
    }

    fn abort(&mut self, now: Time) {
        self.call(now, Connection::abort);
    }

    fn tune(&mut self, now: Time, tune: Tune) {
        self.call(now, |connection, at| match tune {
            Tune::NoDelay(on) => connection.set_nodelay(at, on),
            Tune::Cork(on) => connection.set_cork(at, on),
            Tune::QuickAck(on) => connection.quick_ack(on.into()),
            Tune::UserTimeout(limit) => {
                connection.set_user_timeout(limit.map(Duration::from_nanos));
            }
            Tune::KeepAlive(times) => connection.set_keepalive(
                at,
                times.map(|times| KeepAlive {
                    idle: Duration::from_nanos(times.idle),
                    interval: Duration::from_nanos(times.interval),
                    probes: times.probes,
                }),
            ),
        });
    }

    fn is_idle(&self) -> bool {
        match &self.role {
            Role::Closed | Role::Listening => true,
            Role::HalfOpen(_) => false,
            Role::Connection(_) => self.seen.over.is_some(),
        }
    }

    fn describe(&self, now: Time) -> String {
        match &self.role {
            Role::Closed => "closed".into(),
            Role::Listening => "listening".into(),
            Role::HalfOpen(_) => "half-open".into(),
            Role::Connection(connection) => {
                let info = connection.info(self.instant(now));
                format!(
                    "{:?} {:?} una {} nxt {} written {} readable {} read {} cwnd {} out {} sacked {} lost {} \
                     retrans {} rto {} ms, over {:?}",
                    connection.state(),
                    info.ca_state,
                    connection.acked(),
                    connection.sent(),
                    connection.written(),
                    connection.readable(),
                    connection.read(),
                    info.cwnd,
                    info.unacked,
                    info.sacked,
                    info.lost,
                    info.retrans,
                    info.rto.as_millis(),
                    self.seen.over,
                )
            }
        }
    }

    fn retransmitted(&self) -> u64 {
        self.connection().map_or(0, |connection| {
            connection.info(Instant::default()).counters.bytes_retrans
        })
    }
}
