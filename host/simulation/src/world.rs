// SPDX-License-Identifier: GPL-2.0

//! Two ends, two programs and a link in virtual time.

use crate::end::End;
use crate::end::Status;
use crate::link::Arrival;
use crate::link::Fate;
use crate::link::Link;
use crate::link::LinkConfig;
use crate::link::SECOND;
use crate::program::Program;
use crate::trace::Trace;
use crate::watch::Watch;
use crate::wire;
use crate::wire::Packet;
use crate::wire::Time;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::Rc;

/// The longest that a world may last.
pub const DOOMSDAY: Time = 40_000 * SECOND;
/// Things that may happen at one instant.
const MOST_PER_INSTANT: u64 = 50_000;

/// Something that changes the world from outside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// The link from this side becomes another.
    Link(usize, LinkConfig),
    /// The clock of this side jumps forward.
    Jump(usize, Time),
    /// This side is gone: it neither sends nor hears any more.
    Vanish(usize),
}

#[derive(Debug)]
enum Happening {
    Arrive(usize, Packet),
    Wake(usize),
    Program(usize),
    TooLong(usize, u32, u32),
    Change(Change),
}

#[derive(Debug)]
struct Event {
    at: Time,
    order: u64,
    happening: Happening,
}

impl PartialEq for Event {
    fn eq(&self, other: &Event) -> bool {
        self.order == other.order
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Event) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    fn cmp(&self, other: &Event) -> Ordering {
        // The heap gives the greatest first.
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// One end with its program and its way out.
pub struct Side {
    pub end: Box<dyn End>,
    pub program: Program,
    pub link: Link,
    pub vanished: bool,
    /// When the connection was over for it.
    pub over_at: Option<Time>,
    /// When its program had read all.
    pub eof_at: Option<Time>,
    wake: Option<Time>,
    program_wake: Option<Time>,
}

impl Side {
    pub fn new(end: Box<dyn End>, program: Program, link: Link) -> Side {
        Side {
            end,
            program,
            link,
            vanished: false,
            over_at: None,
            eof_at: None,
            wake: None,
            program_wake: None,
        }
    }
}

/// The world.
pub struct World {
    pub now: Time,
    pub sides: [Side; 2],
    pub watch: Watch,
    pub trace: Rc<RefCell<Trace>>,
    pub steps: u64,
    queue: BinaryHeap<Event>,
    order: u64,
    at_this_instant: u64,
    arrivals: Vec<Arrival>,
}

impl World {
    pub fn new(sides: [Side; 2], strict: [bool; 2], trace: Rc<RefCell<Trace>>) -> World {
        World {
            now: SECOND,
            sides,
            watch: Watch::new(strict),
            trace,
            steps: 0,
            queue: BinaryHeap::new(),
            order: 0,
            at_this_instant: 0,
            arrivals: Vec::new(),
        }
    }

    fn schedule(&mut self, at: Time, happening: Happening) {
        self.order += 1;
        self.queue.push(Event {
            at: at.max(self.now),
            order: self.order,
            happening,
        });
    }

    /// Lets something happen `after` now.
    pub fn plan(&mut self, after: Time, change: Change) {
        self.schedule(self.now + after, Happening::Change(change));
    }

    /// Opens one end.
    pub fn open(&mut self, side: usize, active: bool) {
        self.note(side, || if active { "connect" } else { "listen" }.into());
        self.sides[side].end.open(self.now, active);
        self.attend(side);
    }

    fn note(&self, side: usize, text: impl FnOnce() -> String) {
        self.trace.borrow_mut().note(self.now, side, text);
    }

    /// Runs until nothing happens any more, or until the time is up.
    pub fn run(&mut self, until: Time) {
        while let Some(event) = self.queue.pop() {
            if event.at > until {
                self.queue.push(event);
                self.now = self.now.max(until);
                return;
            }
            if event.at > self.now {
                self.at_this_instant = 0;
            }
            self.at_this_instant += 1;
            assert!(
                self.at_this_instant < MOST_PER_INSTANT,
                "time stands still at {} ns",
                self.now
            );
            self.now = event.at;
            self.steps += 1;
            self.happen(event.happening);
        }
    }

    /// Returns whether the connection is over at both ends.
    pub fn is_over(&self) -> bool {
        self.sides
            .iter()
            .all(|side| side.vanished || side.end.is_idle())
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Arrive(to, packet) => {
                if self.sides[to].vanished {
                    return;
                }
                if let Some(view) = wire::view(&packet.bytes) {
                    self.watch.arrived(to, &view);
                    self.trace.borrow_mut().arrival(now, to, &view);
                }
                self.sides[to].end.on_packet(now, &packet);
                self.attend(to);
            }
            Happening::Wake(to) => {
                if self.sides[to].wake != Some(now) || self.sides[to].vanished {
                    return;
                }
                self.sides[to].wake = None;
                self.note(to, || "timer".into());
                self.sides[to].end.on_wake(now);
                self.attend(to);
            }
            Happening::Program(to) => {
                if self.sides[to].program_wake != Some(now) || self.sides[to].vanished {
                    return;
                }
                self.sides[to].program_wake = None;
                self.attend(to);
            }
            Happening::TooLong(to, mtu, quoted) => {
                if !self.sides[to].vanished {
                    self.note(to, || format!("ICMP: the path takes {mtu} octets"));
                    self.sides[to].end.on_too_long(now, mtu, quoted);
                    self.attend(to);
                }
            }
            Happening::Change(change) => self.change(change),
        }
    }

    fn change(&mut self, change: Change) {
        match change {
            Change::Link(from, config) => {
                self.note(from, || format!("link becomes {config:?}"));
                self.sides[from].link.config = config;
            }
            Change::Jump(side, by) => {
                self.note(side, || format!("clock jumps by {} ms", by / 1_000_000));
                self.sides[side].end.jump(by);
                self.attend(side);
            }
            Change::Vanish(side) => {
                self.note(side, || "vanishes".into());
                self.sides[side].vanished = true;
            }
        }
    }

    /// Lets a side's program run, sends what its end has to send, and sets its timers.
    fn attend(&mut self, side: usize) {
        let now = self.now;
        let s = &mut self.sides[side];
        let before = s.end.status();
        let done = (
            s.program.written,
            s.program.read,
            s.program.finished,
            s.program.left,
        );
        let next = s.program.run(now, s.end.as_mut());
        let after = s.end.status();
        if after.over.is_some() {
            s.over_at.get_or_insert(now);
        }
        if s.program.got_eof {
            s.eof_at.get_or_insert(now);
        }
        let changed = next != s.program_wake;
        s.program_wake = next;
        if let Some(at) = next.filter(|_| changed) {
            self.schedule(at, Happening::Program(side));
        }
        self.note_program(side, &before, &after, done);
        for packet in self.sides[side].end.take_output() {
            self.transmit(side, &packet);
        }
        let s = &mut self.sides[side];
        let wake = s.end.wake_at(now).map(|at| at.max(now));
        if let Some(at) = wake {
            // The longest time that anything waits is that of keepalive.
            assert!(
                at - now <= 7_300 * SECOND,
                "side {side} wants to sleep for {} s: {}",
                (at - now) / SECOND,
                s.end.describe(now)
            );
        }
        if wake != s.wake {
            s.wake = wake;
            if let Some(at) = wake {
                self.schedule(at, Happening::Wake(side));
            }
        }
    }

    fn note_program(
        &self,
        side: usize,
        before: &Status,
        after: &Status,
        done: (u64, u64, bool, bool),
    ) {
        if !self.trace.borrow().on {
            return;
        }
        let s = &self.sides[side];
        let (written, read, finished, left) = done;
        if s.program.read > read {
            self.note(side, || format!("read {}", s.program.read - read));
        }
        if s.program.written > written {
            self.note(side, || format!("write {}", s.program.written - written));
        }
        if s.program.finished && !finished {
            self.note(side, || "shutdown or close".into());
        }
        if s.program.left && !left {
            self.note(side, || "program ends".into());
        }
        if before.over != after.over {
            self.note(side, || format!("over: {:?}", after.over));
        }
    }

    fn transmit(&mut self, from: usize, packet: &Packet) {
        let view = wire::view(&packet.bytes).expect("an end sends what can be read");
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let link = &mut self.sides[from].link;
        let fates = link.send(self.now, packet, &mut arrivals);
        let config = link.config;
        self.trace
            .borrow_mut()
            .segment(self.now, from, &view, &fates);
        let on_wire = packet.longest - wire::IP_HEADER as u32 - 20 - view.options;
        self.watch.sent(from, &view, on_wire);
        for arrival in arrivals.drain(..) {
            self.schedule(arrival.at, Happening::Arrive(1 - from, arrival.packet));
        }
        self.arrivals = arrivals;
        if config.icmp && fates.iter().any(|&(fate, _)| fate == Fate::TooLong) {
            let at = self.now + 2 * config.delay;
            self.schedule(at, Happening::TooLong(from, config.mtu, view.seq));
        }
    }
}
