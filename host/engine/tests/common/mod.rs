// SPDX-License-Identifier: GPL-2.0

//! Two engines with byte-checking owners on a link that loses, delays, reorders and repeats, in
//! virtual time.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub mod script;
mod side;

pub use self::side::App;
pub use self::side::Side;

use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A small generator, so that a seed tells the whole run.
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }
}

/// The byte that side `side` writes at stream offset `offset`.
pub fn pattern(side: usize, offset: u64) -> u8 {
    let x = offset
        .wrapping_add(side as u64 * 77)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (x >> 56) as u8
}

#[derive(Clone, Debug)]
pub struct Packet {
    pub header: Vec<u8>,
    pub payload: Vec<u8>,
    /// Payload octets per segment on the wire.
    pub mss: u16,
}

#[derive(Clone, Copy, Debug)]
pub struct LinkConfig {
    pub loss: u64,
    pub duplicate: u64,
    pub reorder: u64,
    pub delay_us: u64,
    pub jitter_us: u64,
    /// Microseconds that a full packet occupies the link; 0: no limit.
    pub us_per_packet: u64,
    /// Packets that may wait for the link.
    pub queue: u64,
    /// Long ranges travel uncut, as over Linux's loopback or after GRO.
    pub whole: bool,
}

impl LinkConfig {
    pub const CLEAN: LinkConfig = LinkConfig {
        loss: 0,
        duplicate: 0,
        reorder: 0,
        delay_us: 5_000,
        jitter_us: 0,
        us_per_packet: 0,
        queue: u64::MAX,
        whole: false,
    };
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Event_ {
    at: u64,
    order: u64,
    to: usize,
    index: usize,
}

pub struct World {
    pub now: u64,
    pub rng: Rng,
    pub sides: [Side; 2],
    pub link: [LinkConfig; 2],
    link_free: [u64; 2],
    queue: BinaryHeap<Reverse<Event_>>,
    packets: Vec<Option<Packet>>,
    wake: [Option<u64>; 2],
    order: u64,
    pub trace: bool,
    /// Decides the fate of packets instead of chance: (from, packet) -> dropped.
    #[allow(clippy::type_complexity)]
    pub filter: Option<Box<dyn FnMut(usize, &SegmentIn) -> bool>>,
    pub steps: u64,
}

pub fn at(us: u64) -> Instant {
    Instant::from_nanos(us * 1000)
}

impl World {
    pub fn new(seed: u64, configs: [Config; 2], apps: [App; 2], link: LinkConfig) -> World {
        let mut rng = Rng::new(seed);
        let isn = |rng: &mut Rng| Isn {
            seq: SeqNum(if rng.chance(300) {
                u32::MAX - rng.below(100_000) as u32
            } else {
                rng.next() as u32
            }),
            ts_offset: rng.next() as u32,
        };
        let isns = [isn(&mut rng), isn(&mut rng)];
        let [c0, c1] = configs;
        World {
            now: 1_000_000,
            rng,
            sides: [
                Side::new(0, c0, apps[0], isns[0]),
                Side::new(1, c1, apps[1], isns[1]),
            ],
            link: [link, link],
            link_free: [0, 0],
            queue: BinaryHeap::new(),
            packets: Vec::new(),
            wake: [None; 2],
            order: 0,
            trace: std::env::var_os("TRACE").is_some(),
            filter: None,
            steps: 0,
        }
    }

    pub fn connect(&mut self, side: usize) {
        let s = &mut self.sides[side];
        s.connection = Some(Connection::connect(at(self.now), &s.config, s.isn));
        self.flush(side);
    }

    pub fn listen(&mut self, side: usize) {
        self.sides[side].listening = true;
    }

    /// Asks for a wake-up at `at` unless an earlier one is pending; each wake-up asks again.
    fn wake_at(&mut self, side: usize, at: u64) {
        if self.wake[side].is_none_or(|pending| at < pending) {
            self.wake[side] = Some(at);
            self.schedule(at, side, None);
        }
    }

    fn schedule(&mut self, at: u64, to: usize, packet: Option<Packet>) {
        self.order += 1;
        let index = self.packets.len();
        self.packets.push(packet);
        self.queue.push(Reverse(Event_ {
            at,
            order: self.order,
            to,
            index,
        }));
    }

    /// Puts one wire packet on the link.
    fn put(&mut self, from: usize, packet: Packet) {
        let segment = SegmentIn::parse(&packet.header, packet.payload.len() as u32).unwrap();
        if self.trace {
            eprintln!(
                "{:>10} {} > {:?} seq {} ack {} win {} len {} {:?}",
                self.now,
                from,
                segment.flags,
                segment.seq.0,
                segment.ack.0,
                segment.window,
                segment.len,
                segment.options.sack.as_slice(),
            );
            if let Some(timestamps) = segment.options.timestamps {
                let (us, them) = (
                    self.sides[from].isn.ts_offset,
                    self.sides[1 - from].isn.ts_offset,
                );
                eprintln!(
                    "           ts {} echo {}",
                    timestamps.value.wrapping_sub(us),
                    timestamps.echo.wrapping_sub(them)
                );
            }
        }
        self.sides[from].sent_packets += 1;
        if let Some(filter) = &mut self.filter {
            if filter(from, &segment) {
                return;
            }
        }
        let link = self.link[from];
        if self.rng.chance(link.loss) {
            return;
        }
        let copies = if self.rng.chance(link.duplicate) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let mut start = self.now;
            let busy = self.link_free[from].saturating_sub(self.now);
            if let Some(waiting) = busy.checked_div(link.us_per_packet) {
                if waiting >= link.queue {
                    continue;
                }
                start = self.link_free[from].max(self.now) + link.us_per_packet;
                self.link_free[from] = start;
            }
            let mut arrival = start + link.delay_us;
            if link.jitter_us > 0 {
                arrival += self.rng.below(link.jitter_us);
            }
            if self.rng.chance(link.reorder) {
                arrival += link.delay_us / 2 + self.rng.below(link.delay_us + 1);
            }
            self.schedule(arrival, 1 - from, Some(packet.clone()));
        }
    }

    /// Cuts a segment as a NIC does, checks it against what the peer allows, and sends it.
    pub fn send(&mut self, from: usize, segment: &SegmentOut) {
        let side = &mut self.sides[from];
        if segment.retransmission {
            side.retransmissions += 1;
        }
        let mut header = [0u8; 60];
        let len = segment.write_header(1000, 2000, &mut header);
        assert_eq!(len, segment.header_len());
        assert!(len % 4 == 0 && len <= 60);
        if segment.flags.syn() {
            if let Some(scale) = segment.options.window_scale {
                side.our_scale = scale.shift();
            }
        }
        if segment.flags.ack() && !segment.flags.rst() {
            let scaled = side.config.window_scaling && side.peer_scales;
            let scale = if segment.flags.syn() || !scaled {
                0
            } else {
                side.our_scale
            };
            let edge = segment.ack.add(u32::from(segment.window) << scale);
            if let Some(old) = side.offered_edge {
                assert!(
                    !edge.before(old),
                    "side {from}: the right edge moved left by {}",
                    old.distance_from(edge)
                );
            }
            side.offered_edge = Some(edge);
        }
        let data = segment.data;
        if let Some(DataRange { offset, len }) = data {
            let connection = side.connection.as_ref().unwrap();
            assert!(offset >= connection.acked(), "acknowledged bytes are gone");
            assert!(offset + u64::from(len) <= connection.written());
            let edge = side.allowed_edge.unwrap();
            let end = segment.seq.add(len);
            assert!(
                !end.after(edge),
                "side {from} sends {} beyond the window",
                end.distance_from(edge)
            );
            assert!(u32::from(segment.mss) <= u32::from(side.config.mss));
            assert!(len <= side.app.gso.max(u32::from(segment.mss)));
        }
        let (offset, total) = data.map_or((0, 0), |data| (data.offset, data.len));
        let mut done = 0;
        loop {
            let most = if self.link[from].whole {
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
            let len = wire.write_header(1000, 2000, &mut header);
            let payload = (0..u64::from(piece))
                .map(|i| pattern(from, offset + u64::from(done) + i))
                .collect();
            self.put(
                from,
                Packet {
                    header: header[..len].to_vec(),
                    payload,
                    mss: segment.mss,
                },
            );
            done += piece;
            if last {
                break;
            }
        }
    }

    /// The owner's one exit: transmit, events, next wake-up.
    pub fn flush(&mut self, side: usize) {
        for _ in 0..10_000 {
            let s = &mut self.sides[side];
            let limits = Limits { max_len: s.app.gso };
            s.resize_buffer();
            let memory = s.memory();
            let mss = u32::from(s.config.mss);
            let Some(connection) = &mut s.connection else {
                return;
            };
            let most = if self.rng.chance(s.app.short) {
                self.rng.range(1, u64::from(mss)) as u32
            } else {
                mss * 20
            };
            let fit = |_, len: u32| len.min(most);
            connection.set_receive_memory(&memory);
            let Some(segment) = connection.poll_transmit(at(self.now), &limits, fit) else {
                break;
            };
            self.send(side, &segment);
        }
        let s = &mut self.sides[side];
        let connection = s.connection.as_mut().unwrap();
        assert!(
            connection
                .poll_transmit(at(self.now), &Limits { max_len: 0 }, |_, l| l)
                .is_none()
                || connection.state() == State::Closed,
            "poll_transmit does not end"
        );
        while let Some(event) = connection.poll_event() {
            match event {
                Event::Established => s.established = true,
                Event::PeerClosed => s.peer_closed = true,
                Event::TimeWait(record) => {
                    s.time_wait = Some(record);
                    s.closed = Some(Reason::Finished);
                }
                Event::Closed(reason) => s.closed = Some(reason),
                Event::Readable | Event::Acked | Event::FastOpenBlackhole => {}
            }
            s.events.push(event);
        }
        assert!(connection.acked() <= connection.sent());
        assert!(connection.sent() <= connection.written());
        assert!(connection.read() <= connection.readable());
        if let Some(deadline) = connection.next_deadline() {
            let wake = (deadline.as_nanos().div_ceil(1000)).max(self.now + 1);
            self.wake_at(side, wake);
        }
    }

    fn arrive(&mut self, to: usize, packet: Packet) {
        let mut segment = SegmentIn::parse(&packet.header, packet.payload.len() as u32).unwrap();
        segment.wire_len = segment.len.min(u32::from(packet.mss));
        let now = self.now;
        let s = &mut self.sides[to];
        if segment.flags.syn() {
            let scale = segment
                .options
                .window_scale
                .filter(|_| s.config.window_scaling);
            s.peer_scales = scale.is_some();
            s.peer_scale = scale.map_or(0, WindowScale::shift);
        }
        if segment.flags.ack() {
            let scale = if segment.flags.syn() { 0 } else { s.peer_scale };
            let edge = segment.ack.add(u32::from(segment.window) << scale);
            let known = s.allowed_edge.get_or_insert(edge);
            if edge.after(*known) {
                *known = edge;
            }
        } else if segment.flags.syn() {
            s.allowed_edge = Some(s.isn.seq.add(1).add(u32::from(segment.window)));
        }
        let mut reply = None;
        if s.connection.is_some() && s.time_wait.is_none() {
            if s.closed.is_some() {
                reply = on_closed(&segment);
            } else {
                s.deliver(now, &segment, &packet.payload);
                self.flush(to);
            }
        } else if let Some(record) = &mut s.time_wait {
            if let TimeWaitVerdict::Reply(segment) = record.on_segment(at(now), &segment) {
                reply = Some(segment);
            }
        } else if let Some(half_open) = &mut s.half_open {
            match half_open.on_segment(at(now), &segment, &Patience::LINUX) {
                HalfOpenVerdict::Ignore | HalfOpenVerdict::Deferred => {}
                HalfOpenVerdict::Reply(segment) | HalfOpenVerdict::Reset(segment) => {
                    reply = Some(segment)
                }
                HalfOpenVerdict::Remove(_) => s.half_open = None,
                HalfOpenVerdict::Established => {
                    s.connection = Some(Connection::accept(at(now), &s.config, half_open));
                    s.half_open = None;
                    s.deliver(now, &segment, &packet.payload);
                    self.flush(to);
                }
            }
        } else if s.listening {
            match on_listen(&segment) {
                ListenVerdict::Ignore => {}
                ListenVerdict::Reset(segment) => reply = Some(segment),
                ListenVerdict::Syn => {
                    let mut half_open = HalfOpen::new(at(now), &s.config, &segment, s.isn);
                    reply = Some(half_open.syn_ack(at(now)));
                    let wake = half_open.next_deadline().as_nanos() / 1000;
                    s.half_open = Some(half_open);
                    self.wake_at(to, wake);
                }
            }
        } else {
            reply = on_closed(&segment);
        }
        if let Some(segment) = reply {
            self.send(to, &segment);
        }
    }

    fn on_wake(&mut self, side: usize) {
        self.wake[side] = None;
        let now = self.now;
        let s = &mut self.sides[side];
        if let Some(half_open) = &mut s.half_open {
            match half_open.on_deadline(at(now), &Patience::LINUX) {
                HalfOpenDeadline::Early | HalfOpenDeadline::Wait => {
                    let wake = half_open.next_deadline().as_nanos() / 1000;
                    self.wake_at(side, wake);
                }
                HalfOpenDeadline::Expired => s.half_open = None,
                HalfOpenDeadline::Retransmit(segment) => {
                    let wake = half_open.next_deadline().as_nanos() / 1000;
                    self.wake_at(side, wake);
                    self.send(side, &segment);
                }
            }
        }
        let s = &mut self.sides[side];
        if let (Some(connection), None) = (&mut s.connection, s.closed) {
            connection.on_deadline(at(now));
            self.flush(side);
        }
    }

    /// Runs until nothing happens any more, or until `limit` microseconds have passed.
    pub fn run(&mut self, limit: u64) {
        let end = self.now + limit;
        while let Some(Reverse(event)) = self.queue.pop() {
            if event.at > end {
                self.queue.push(Reverse(event));
                self.now = end;
                return;
            }
            self.now = event.at;
            self.steps += 1;
            match self.packets[event.index].take() {
                Some(packet) => self.arrive(event.to, packet),
                None if self.wake[event.to] == Some(event.at) => self.on_wake(event.to),
                None => continue,
            }
            self.run_apps();
        }
    }

    fn run_apps(&mut self) {
        for side in 0..2 {
            let before = self.sides[side]
                .connection
                .as_ref()
                .map(|c| (c.written(), c.read(), c.state()));
            let next = self.sides[side].run_app(self.now, &mut self.rng);
            let after = self.sides[side]
                .connection
                .as_ref()
                .map(|c| (c.written(), c.read(), c.state()));
            if before != after && self.sides[side].closed.is_none() {
                self.flush(side);
            }
            if let Some(next) = next {
                self.wake_at(side, next);
            }
            let s = &mut self.sides[side];
            if s.closed.is_some() && s.done_at.is_none() {
                s.done_at = Some(self.now);
            }
        }
    }
}
