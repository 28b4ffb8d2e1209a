// SPDX-License-Identifier: GPL-2.0

//! That clients had better not use Fast Open for a while (RFC 7413, 4.1.3).

use crate::engine::{
    Duration,
    Instant, //
};
use core::sync::atomic::{
    AtomicU32,
    AtomicU64,
    Ordering, //
};

/// How often the pause doubles at most.
const DOUBLINGS_MAX: u32 = 6;

/// Whether, and how long, the clients of a namespace leave Fast Open alone, since something on the
/// path swallows it (`tcp_fastopen_blackhole_timeout_sec`).
#[derive(Default)]
pub(super) struct Pause {
    /// How often in a row.
    times: AtomicU32,
    /// When it began.
    since: AtomicU64,
}

impl Pause {
    /// Begins a pause.
    pub(super) fn begin(&self, now: Instant) {
        self.since.store(now.as_nanos(), Ordering::Relaxed);
        // Whoever sees the number sees the time.
        self.times.fetch_add(1, Ordering::Release);
    }

    /// Where the last pause stands, when the first lasts `first`.
    pub(super) fn state(&self, now: Instant, first: Duration) -> PauseState {
        let times = self.times.load(Ordering::Acquire);
        if times == 0 || first == Duration::ZERO {
            return PauseState::None;
        }
        let doublings = (times - 1).min(DOUBLINGS_MAX);
        let length = first.as_nanos().saturating_mul(1 << doublings);
        let since = Instant::from_nanos(self.since.load(Ordering::Relaxed));
        if now.since(since).as_nanos() < length {
            PauseState::Lasts
        } else {
            PauseState::Over
        }
    }

    /// Fast Open works after all: the next pause is a short one.
    pub(super) fn forget(&self) {
        self.times.store(0, Ordering::Relaxed);
    }
}

/// See [`Pause::state`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PauseState {
    /// There was none.
    None,
    /// Fast Open is not to be used.
    Lasts,
    /// It may be tried again, with an eye on it.
    Over,
}
