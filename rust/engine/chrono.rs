// SPDX-License-Identifier: GPL-2.0

//! How long what was the limit of sending (`TCP_INFO`; Linux's `tcp_chrono`).

use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// What limits the sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Limit {
    /// There is nothing to send and nothing to be acknowledged.
    #[default]
    Idle,
    /// The network, or the user's pace.
    Busy,
    /// The peer's window.
    Window,
    /// Our send buffer, of which the user waits for room.
    Buffer,
}

/// The stopwatches of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Chrono {
    limit: Limit,
    since: Instant,
    busy: Duration,
    window: Duration,
    buffer: Duration,
}

impl Chrono {
    /// From `now` on `limit` holds.
    pub(crate) fn set(&mut self, now: Instant, limit: Limit) {
        if limit != self.limit {
            *self = self.at(now);
            self.limit = limit;
        }
    }

    /// Returns the stopwatches as they stand at `now`.
    fn at(mut self, now: Instant) -> Chrono {
        let span = now.since(self.since);
        self.since = now;
        let watch = match self.limit {
            Limit::Idle => return self,
            Limit::Busy => &mut self.busy,
            Limit::Window => &mut self.window,
            Limit::Buffer => &mut self.buffer,
        };
        *watch = watch.saturating_add(span);
        self
    }

    /// Returns for how long the sender was busy, and how much of that the peer's window and the
    /// send buffer were the limit.
    pub(crate) fn read(&self, now: Instant) -> (Duration, Duration, Duration) {
        let Chrono {
            busy,
            window,
            buffer,
            ..
        } = self.at(now);
        let all = busy.saturating_add(window).saturating_add(buffer);
        (all, window, buffer)
    }
}

#[cfg(test)]
mod tests;
