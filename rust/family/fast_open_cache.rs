// SPDX-License-Identifier: GPL-2.0

//! What clients of Fast Open remember between connections (RFC 7413, 4.1.3): the servers' cookies,
//! and that it had better not be used for a while.

use crate::{
    engine::{
        Duration,
        FastOpenCookie,
        Instant, //
    },
    net::spinlock::{
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use core::{
    net::IpAddr,
    sync::atomic::{
        AtomicU32,
        AtomicU64,
        Ordering, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The most pairs of addresses that are remembered; the one that was used longest ago makes room.
const PAIRS_MAX: usize = 256;
/// How often the pause doubles at most.
const DOUBLINGS_MAX: u32 = 6;

/// Our address and the server's: a cookie is good for both only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) local: IpAddr,
    pub(super) server: IpAddr,
}

/// What option the next request for a cookie uses, after one that brought none (Linux's `try_exp`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum NextRequest {
    /// Nothing was tried.
    #[default]
    Standard,
    /// The standard one was.
    Experimental,
    /// Both were: the standard one again.
    StandardAgain,
}

/// What is known of a server.
#[derive(Clone, Copy, Default)]
pub(super) struct Known {
    /// Its MSS option, 0 if unknown.
    pub(super) mss: u16,
    pub(super) cookie: Option<FastOpenCookie>,
    pub(super) next_request: NextRequest,
}

struct Entry {
    pair: Pair,
    known: Known,
    used: Instant,
}

/// The servers of one namespace that sockets used Fast Open with.
#[pin_data]
pub(super) struct Cache {
    #[pin]
    entries: SpinLockBh<KVec<Entry>>,
}

impl Cache {
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                entries <- new_spinlock_bh!(KVec::new(), "oxtcp_fast_open_cache"),
            }),
            GFP_KERNEL,
        )
    }

    /// What is known of a server.
    pub(super) fn get(&self, pair: Pair, now: Instant) -> Known {
        let mut entries = self.entries.lock();
        let entry = entries.iter_mut().find(|entry| entry.pair == pair);
        entry.map_or(Known::default(), |entry| {
            entry.used = now;
            entry.known
        })
    }

    /// Learns from a handshake (`tcp_fastopen_cache_set`). Without memory nothing is learned.
    pub(super) fn learn(&self, pair: Pair, now: Instant, news: &Known) {
        let mut entries = self.entries.lock();
        let found = entries.iter().position(|entry| entry.pair == pair);
        let place = match found {
            Some(place) => place,
            None => {
                let entry = Entry {
                    pair,
                    known: Known::default(),
                    used: now,
                };
                if entries.len() < PAIRS_MAX {
                    if entries.push(entry, GFP_ATOMIC | __GFP_NOWARN).is_err() {
                        return;
                    }
                    entries.len() - 1
                } else {
                    let oldest = entries.iter().enumerate().min_by_key(|(_, e)| e.used);
                    let place = oldest.map_or(0, |(place, _)| place);
                    if let Some(old) = entries.get_mut(place) {
                        *old = entry;
                    }
                    place
                }
            }
        };
        let Some(entry) = entries.get_mut(place) else {
            return;
        };
        entry.used = now;
        let known = &mut entry.known;
        if news.mss != 0 {
            known.mss = news.mss;
        }
        if news.cookie.is_some() {
            known.cookie = news.cookie;
        } else if known.cookie.is_none() {
            known.next_request = known.next_request.max(news.next_request);
        }
    }
}

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
