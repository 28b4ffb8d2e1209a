// SPDX-License-Identifier: GPL-2.0

//! The programs at both ends: what they write and read, how they dawdle, and how they leave.

use crate::end::End;
use crate::end::KeepAlive;
use crate::end::Tune;
use crate::rng::Rng;
use crate::wire::Time;

/// How a program leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Leave {
    /// Shuts its half down after the last write, and reads to the end.
    ShutdownAndRead,
    /// Reads to the end first, then shuts down.
    AfterPeer,
    /// Closes after the last write, whatever comes from the peer.
    CloseAfterWrite,
    /// Closes after so many octets were read.
    CloseAfterRead(u64),
    /// Resets after so many octets were written.
    AbortAfterWrite(u64),
}

/// What a program does. Chances are per mille.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Plan {
    pub to_write: u64,
    pub write_max: u64,
    pub write_gap: Time,
    pub read_max: u64,
    pub read_gap: Time,
    /// Stops reading for so long after so many octets.
    pub stall: Option<(u64, Time)>,
    /// How often a write announces more.
    pub more: u64,
    /// How often a write comes with a change of cork, Nagle or quick-ACK.
    pub tune: u64,
    pub keepalive: Option<KeepAlive>,
    pub user_timeout: Option<Time>,
    pub leave: Leave,
    /// Keeps the descriptor until the connection is over.
    pub lingers: bool,
    /// How long the program waits while nothing happens before it gives up.
    pub patience: Time,
}

impl Plan {
    /// Writes nothing and reads all.
    pub const QUIET: Plan = Plan {
        to_write: 0,
        write_max: 65_536,
        write_gap: 0,
        read_max: 1 << 20,
        read_gap: 0,
        stall: None,
        more: 0,
        tune: 0,
        keepalive: None,
        user_timeout: None,
        leave: Leave::ShutdownAndRead,
        lingers: false,
        patience: 3_600_000_000_000,
    };

    /// Returns whether the program takes part to the end.
    pub fn is_graceful(&self) -> bool {
        matches!(self.leave, Leave::ShutdownAndRead | Leave::AfterPeer)
            && self.user_timeout.is_none()
    }
}

/// A program that runs.
#[derive(Debug)]
pub struct Program {
    pub plan: Plan,
    pub written: u64,
    pub read: u64,
    /// It has shut its half down: `written` is all there is.
    pub finished: bool,
    /// It has let the descriptor go.
    pub left: bool,
    /// It gave up for want of patience.
    pub impatient: bool,
    pub got_eof: bool,
    rng: Rng,
    started: bool,
    next_write: Time,
    next_read: Time,
    stalled: bool,
    progress: (u64, Time),
}

impl Program {
    pub fn new(plan: Plan, rng: Rng) -> Program {
        Program {
            plan,
            written: 0,
            read: 0,
            finished: false,
            left: false,
            impatient: false,
            got_eof: false,
            rng,
            started: false,
            next_write: 0,
            next_read: 0,
            stalled: false,
            progress: (0, 0),
        }
    }

    /// Does what can be done now, and returns when to be called again at the latest.
    pub fn run(&mut self, now: Time, end: &mut dyn End) -> Option<Time> {
        if self.left {
            return None;
        }
        let status = end.status();
        if !self.started && status.established {
            self.started = true;
            if let Some(times) = self.plan.keepalive {
                end.tune(now, Tune::KeepAlive(Some(times)));
            }
            if let Some(limit) = self.plan.user_timeout {
                end.tune(now, Tune::UserTimeout(Some(limit)));
            }
        }
        let mut next = self.do_read(now, end);
        if self.started {
            let write = self.do_write(now, end);
            next = earlier(next, write);
        }
        self.leave(now, end);
        if self.left {
            return None;
        }
        let patience = self.watch_progress(now, end);
        if self.left {
            return None;
        }
        earlier(next, patience)
    }

    fn do_read(&mut self, now: Time, end: &mut dyn End) -> Option<Time> {
        let status = end.status();
        if status.unread == 0 {
            self.got_eof |= status.eof;
            return None;
        }
        if now < self.next_read {
            return Some(self.next_read);
        }
        let most = self.rng.range(1, self.plan.read_max);
        self.read += end.read(now, most.min(status.unread));
        self.next_read = now + self.plan.read_gap;
        if let Some((after, time)) = self.plan.stall {
            if self.read >= after && !self.stalled {
                self.stalled = true;
                self.next_read = now + time;
            }
        }
        let status = end.status();
        if status.unread == 0 {
            self.got_eof |= status.eof;
            return None;
        }
        Some(self.next_read.max(now + 1))
    }

    fn do_write(&mut self, now: Time, end: &mut dyn End) -> Option<Time> {
        let left = self.plan.to_write - self.written;
        let room = end.status().room;
        if left == 0 || room == 0 || self.finished {
            return None;
        }
        if now < self.next_write {
            return Some(self.next_write);
        }
        if self.rng.chance(self.plan.tune) {
            let on = self.rng.chance(500);
            let tune = self
                .rng
                .pick(&[Tune::Cork(on), Tune::NoDelay(on), Tune::QuickAck(on)]);
            end.tune(now, tune);
        }
        let len = left.min(room).min(self.rng.range(1, self.plan.write_max));
        let more = self.rng.chance(self.plan.more);
        self.written += end.write(now, len, more);
        self.next_write = now + self.plan.write_gap;
        Some(self.next_write.max(now + 1))
    }

    fn leave(&mut self, now: Time, end: &mut dyn End) {
        let done = self.started && self.written == self.plan.to_write;
        let status = end.status();
        match self.plan.leave {
            Leave::ShutdownAndRead if done && !self.finished => self.shutdown(now, end),
            Leave::AfterPeer if done && !self.finished && self.got_eof => self.shutdown(now, end),
            Leave::CloseAfterWrite if done => self.close(now, end),
            Leave::CloseAfterRead(n) if self.read >= n && self.started => self.close(now, end),
            Leave::AbortAfterWrite(n) if self.written >= n && self.started => {
                self.left = true;
                end.abort(now);
            }
            _ => {}
        }
        // Who has read all and shut down has nothing left to do.
        let done = self.finished && self.got_eof && end.status().unread == 0 && !self.left;
        if done && !self.plan.lingers {
            self.close(now, end);
        }
        if status.over.is_some() && end.status().unread == 0 {
            self.left = true;
        }
    }

    fn shutdown(&mut self, now: Time, end: &mut dyn End) {
        self.finished = true;
        end.tune(now, Tune::Cork(false));
        end.shutdown(now);
    }

    fn close(&mut self, now: Time, end: &mut dyn End) {
        self.finished = true;
        self.left = true;
        end.close(now);
    }

    fn watch_progress(&mut self, now: Time, end: &mut dyn End) -> Option<Time> {
        let sum = self.written + self.read + end.status().acked + u64::from(self.started);
        if sum != self.progress.0 || self.progress.1 == 0 {
            self.progress = (sum, now);
        }
        let limit = self.progress.1 + self.plan.patience;
        if now >= limit {
            self.impatient = true;
            self.close(now, end);
            return None;
        }
        Some(limit)
    }
}

fn earlier(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
