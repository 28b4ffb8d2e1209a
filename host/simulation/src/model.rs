// SPDX-License-Identifier: GPL-2.0

//! Two engines, a wire that does what some octets say, and a model of what the calls mean: two
//! streams, each with an end.

use crate::end::End;
use crate::end::Outcome;
use crate::engine_end::EngineEnd;
use crate::engine_end::Owner;
use crate::link::MS;
use crate::link::SECOND;
use crate::rng::Rng;
use crate::watch::Watch;
use crate::wire;
use crate::wire::Packet;
use crate::wire::Time;
use arbitrary::Result;
use arbitrary::Unstructured;
use oxtcp_engine::engine::Config;
use oxtcp_engine::engine::State;
use std::collections::VecDeque;

const MOST_STEPS: usize = 300;

/// One direction, as the calls describe it.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    written: u64,
    read: u64,
    /// The writer has closed its half.
    ended: bool,
}

struct Pair {
    ends: [EngineEnd; 2],
    wires: [VecDeque<Packet>; 2],
    streams: [Stream; 2],
    watch: Watch,
    now: Time,
    /// A side has reset the connection, or may have: no more promises.
    broken: bool,
    closed: [bool; 2],
    /// Prints everything, for whoever looks at a finding: TRACE=1.
    trace: bool,
}

/// Plays what `data` says.
pub fn play(data: &[u8]) {
    let mut u = Unstructured::new(data);
    if let Ok(mut pair) = Pair::new(&mut u) {
        for _ in 0..MOST_STEPS {
            if u.is_empty() || pair.step(&mut u).is_err() {
                break;
            }
        }
        pair.finish();
    }
}

impl Pair {
    fn new(u: &mut Unstructured<'_>) -> Result<Pair> {
        let mut end = |id: usize| -> Result<EngineEnd> {
            let config = Config {
                mss: u.int_in_range(88..=2_000)?,
                window_scaling: u.arbitrary()?,
                timestamps: u.arbitrary()?,
                sack: u.arbitrary()?,
                nodelay: u.arbitrary()?,
                receive_window: u.int_in_range(1_000..=50_000)?,
                ..Config::default()
            };
            let owner = Owner {
                receive_buffer: config.receive_window.into(),
                send_buffer: u.int_in_range(1..=100_000)?,
                ..Owner::PLAIN
            };
            Ok(EngineEnd::new(
                id,
                config,
                owner,
                Rng::new(u.arbitrary::<u8>()?.into()),
            ))
        };
        let mut pair = Pair {
            ends: [end(0)?, end(1)?],
            wires: Default::default(),
            streams: Default::default(),
            watch: Watch::new([true, true]),
            now: SECOND,
            broken: false,
            closed: [false; 2],
            trace: std::env::var_os("TRACE").is_some(),
        };
        pair.ends[1].open(pair.now, false);
        pair.ends[0].open(pair.now, true);
        pair.collect();
        if u.ratio(7, 8)? {
            pair.exchange();
            for end in &pair.ends {
                assert!(end.status().established, "the handshake stops");
            }
        }
        Ok(pair)
    }

    fn collect(&mut self) {
        for id in 0..2 {
            for packet in self.ends[id].take_output() {
                let view = wire::view(&packet.bytes).expect("a segment");
                let on_wire = packet.longest - wire::IP_HEADER as u32 - 20 - view.options;
                self.note(|_| format!("{id} sends {view:?}"));
                self.watch.sent(id, &view, on_wire);
                self.wires[id].push_back(packet);
            }
        }
    }

    /// Lets the oldest packet of `from` arrive.
    fn deliver(&mut self, from: usize) {
        let Some(packet) = self.wires[from].pop_front() else {
            return;
        };
        let view = wire::view(&packet.bytes).expect("a segment");
        self.note(|_| format!("{} gets {}+{}", 1 - from, view.seq, view.seq_len()));
        self.watch.arrived(1 - from, &view);
        self.ends[1 - from].on_packet(self.now, &packet);
        self.collect();
    }

    /// Delivers until the wires are empty.
    fn exchange(&mut self) {
        let mut count = 0;
        while self.wires.iter().any(|wire| !wire.is_empty()) {
            self.deliver(0);
            self.deliver(1);
            count += 1;
            assert!(count < 100_000, "segments without end");
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let id = u.int_in_range(0..=1)?;
        match u.int_in_range(0..=15)? {
            0..=3 => {
                let (len, more) = (u.int_in_range(0..=20_000)?, u.ratio(1, 4)?);
                self.write(id, len, more);
            }
            4 | 5 => self.read(id, u.int_in_range(0..=20_000)?),
            6 => self.shutdown(id),
            7 => self.close(id),
            8 if u.ratio(1, 4)? && self.ends[id].connection().is_some() => {
                self.broken = true;
                self.closed[id] = true;
                self.ends[id].abort(self.now);
            }
            8 | 9 => self.exchange(),
            10..=12 => self.deliver(id),
            13 => drop(self.wires[id].pop_front()),
            14 => self.wires[id].rotate_left(1.min(self.wires[id].len())),
            _ => self.pass(u.int_in_range(0..=3_000)? * MS),
        }
        self.collect();
        self.check();
        Ok(())
    }

    fn write(&mut self, id: usize, len: u64, more: bool) {
        let took = self.ends[id].write(self.now, len, more);
        assert!(
            took == 0 || !self.streams[id].ended,
            "a write after the end"
        );
        self.streams[id].written += took;
    }

    fn read(&mut self, id: usize, len: u64) {
        let got = self.ends[id].read(self.now, len);
        self.streams[1 - id].read += got;
    }

    fn shutdown(&mut self, id: usize) {
        // In SYN-SENT it gives the connection up; before that there is nothing to shut.
        let state = self.ends[id]
            .connection()
            .map(|connection| connection.state());
        match state {
            None => return,
            Some(State::SynSent | State::SynReceived) => self.broken = true,
            Some(_) => {}
        }
        self.streams[id].ended = true;
        self.ends[id].shutdown(self.now);
    }

    fn close(&mut self, id: usize) {
        let stream = self.streams[1 - id];
        // A listener's half-open record is nobody's yet.
        let Some(connection) = self.ends[id].connection() else {
            return;
        };
        let early = matches!(connection.state(), State::SynSent | State::SynReceived);
        // RFC 9293, 3.6.1: what nobody will read makes a RST of a close.
        let unread = !stream.ended || self.ends[id].status().unread > 0;
        let unread = unread || stream.read < stream.written;
        self.broken |= early || unread;
        self.streams[id].ended = true;
        self.closed[id] = true;
        self.ends[id].close(self.now);
    }

    fn pass(&mut self, by: Time) {
        let until = self.now + by;
        for _ in 0..1_000 {
            let next = (0..2)
                .filter_map(|id| Some((self.ends[id].wake_at(self.now)?, id)))
                .min();
            match next.filter(|&(at, _)| at <= until) {
                Some((at, id)) => {
                    self.now = self.now.max(at);
                    self.ends[id].on_wake(self.now);
                    self.collect();
                }
                None => break,
            }
        }
        self.now = self.now.max(until);
    }

    fn note(&self, text: impl FnOnce(&Pair) -> String) {
        if self.trace {
            eprintln!("{} {}", self.now, text(self));
        }
    }

    fn check(&self) {
        self.note(|pair| format!("{:?} {} | {}", pair.streams, pair.words(0), pair.words(1)));
        for id in 0..2 {
            let stream = self.streams[id];
            let status = self.ends[1 - id].status();
            assert!(
                stream.read + status.unread <= stream.written,
                "more comes out than went in"
            );
            if status.eof {
                assert!(stream.ended, "an end that nobody made");
                assert_eq!(
                    stream.read + status.unread,
                    stream.written,
                    "the end comes too early"
                );
            }
            assert!(
                self.ends[id].status().acked <= self.watch.delivered(id),
                "acknowledged, but not there"
            );
        }
    }

    /// Everybody reads all and closes: both streams arrive whole.
    fn finish(&mut self) {
        let mut rounds = 0;
        while !self.ends.iter().all(End::is_idle) {
            for id in 0..2 {
                if !self.closed[id] {
                    self.read(id, u64::MAX);
                    if !self.streams[id].ended && self.ends[id].status().established {
                        self.shutdown(id);
                    }
                    // A RST may be lost: nobody waits for what it has ended.
                    if self.broken && self.ends[id].connection().is_some() {
                        self.closed[id] = true;
                        self.ends[id].close(self.now);
                    }
                }
            }
            self.collect();
            self.exchange();
            self.check();
            if self.ends.iter().all(End::is_idle) {
                break;
            }
            if let Some(next) = (0..2)
                .filter_map(|id| self.ends[id].wake_at(self.now))
                .min()
            {
                self.pass(next.saturating_sub(self.now));
            }
            rounds += 1;
            assert!(
                rounds < 3_000,
                "no end: {} | {}",
                self.words(0),
                self.words(1)
            );
        }
        if self.broken {
            return;
        }
        for id in 0..2 {
            if !self.closed[1 - id] {
                self.read(1 - id, u64::MAX);
            }
            let stream = self.streams[id];
            assert_eq!(
                stream.read,
                stream.written,
                "{} | {}",
                self.words(0),
                self.words(1)
            );
            let over = self.ends[id].status().over;
            assert_eq!(
                over,
                Some(Outcome::Finished),
                "{} | {}",
                self.words(0),
                self.words(1)
            );
        }
    }

    fn words(&self, id: usize) -> String {
        self.ends[id].describe(self.now)
    }
}
