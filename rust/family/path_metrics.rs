// SPDX-License-Identifier: GPL-2.0

//! What a namespace remembers of paths between connections: what they have learned of them, and the
//! cookies of servers that clients use Fast Open with (RFC 7413, 4.1.3).
//!
//! Linux's own memory of it (`tcp_metrics`) is out of a module's reach. This one is of the same kind: of a
//! pair of addresses, with as many in one place of a hash, of which the oldest makes room, and begun anew
//! from the route after an hour.

use super::{
    entry::mapped,
    socket::Tcp, //
};
use crate::{
    engine::{
        Duration,
        FastOpenCookie,
        Instant,
        Known,
        Learned,
        Metric,
        Metrics, //
    },
    net::{
        ip::{
            Endpoints,
            Hints, //
        },
        net_namespace::Net,
        siphash,
        sock::Locked,
        spinlock::{
            new_spinlock_bh,
            SpinLockBh, //
        }, //
    }, //
};
use core::net::IpAddr;
use kernel::{
    prelude::*,
    sync::Arc, //
};

/// The places of the hash, a power of two.
const PLACES: usize = 256;
/// The most pairs of addresses in one place.
const DEPTH: usize = 6;
/// How long what was learned counts.
const LIFE: Duration = Duration::from_secs(3600);
/// Nanoseconds of the unit in which routes tell round-trip times.
const RTT_UNIT_NS: u64 = 125_000;

/// Our address and the peer's: what was learned, and a cookie, is good for both only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) local: IpAddr,
    pub(super) peer: IpAddr,
}

impl Pair {
    /// That of segments along `ends`, of which we are the source.
    pub(super) fn of(ends: &Endpoints) -> Self {
        Self {
            local: ends.source.ip(),
            peer: ends.destination.ip(),
        }
    }
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

/// What is known of a server for Fast Open.
#[derive(Clone, Copy, Default)]
pub(super) struct Server {
    /// Its MSS option, 0 if unknown.
    pub(super) mss: u16,
    pub(super) cookie: Option<FastOpenCookie>,
    pub(super) next_request: NextRequest,
}

struct Entry {
    pair: Pair,
    server: Server,
    metrics: Metrics,
    /// When the metrics began or were learned last.
    learned: Instant,
}

impl Entry {
    fn begin(&mut self, hints: &Hints, now: Instant) {
        fn metric<T>((value, locked): (T, bool)) -> Metric<T> {
            Metric { value, locked }
        }
        let (rtt, rtt_locked) = hints.metrics.rtt;
        let rtt = Duration::from_nanos(u64::from(rtt) * RTT_UNIT_NS);
        self.metrics = Metrics {
            rtt: metric((rtt, rtt_locked)),
            ssthresh: metric(hints.metrics.ssthresh),
            cwnd: metric(hints.metrics.cwnd),
            reordering: metric(hints.metrics.reordering),
        };
        self.learned = now;
    }

    /// What was learned too long ago does not count (`tcpm_check_stamp`).
    fn refresh(&mut self, hints: &Hints, now: Instant) {
        if now.since(self.learned) > LIFE {
            self.begin(hints, now);
        }
    }
}

/// What one namespace remembers.
#[pin_data]
pub(super) struct Cache {
    #[pin]
    places: SpinLockBh<KVec<KVec<Entry>>>,
    key: siphash::Key,
}

impl Cache {
    /// An empty one.
    pub(super) fn new() -> Result<Arc<Self>> {
        let mut places = KVec::with_capacity(PLACES, GFP_KERNEL)?;
        for _ in 0..PLACES {
            places.push(KVec::new(), GFP_KERNEL)?;
        }
        Arc::pin_init(
            pin_init!(Self {
                places <- new_spinlock_bh!(places, "oxtcp_path_metrics"),
                key: siphash::Key::random(),
            }),
            GFP_KERNEL,
        )
    }

    fn place(&self, pair: &Pair) -> usize {
        let both = [mapped(pair.local), mapped(pair.peer)];
        self.key.hash(both.as_flattened()) as usize % PLACES
    }

    /// Lends what is known of a path, if anything is.
    fn with<T>(&self, pair: &Pair, f: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let mut places = self.places.lock();
        let entries = places.get_mut(self.place(pair))?;
        entries.iter_mut().find(|entry| entry.pair == *pair).map(f)
    }

    /// The same; begins where nothing is. Without memory nothing is learned.
    fn with_new(&self, pair: &Pair, hints: &Hints, now: Instant, f: impl FnOnce(&mut Entry)) {
        let mut places = self.places.lock();
        let Some(entries) = places.get_mut(self.place(pair)) else {
            return;
        };
        let found = entries.iter().position(|entry| entry.pair == *pair);
        let place = found.or_else(|| {
            let mut entry = Entry {
                pair: *pair,
                server: Server::default(),
                metrics: Metrics::default(),
                learned: now,
            };
            entry.begin(hints, now);
            if entries.len() < DEPTH {
                entries.push(entry, GFP_ATOMIC | __GFP_NOWARN).ok()?;
                return entries.len().checked_sub(1);
            }
            let all = entries.iter_mut().enumerate();
            let (place, oldest) = all.min_by_key(|(_, entry)| entry.learned)?;
            *oldest = entry;
            Some(place)
        });
        if let Some(entry) = place.and_then(|place| entries.get_mut(place)) {
            entry.refresh(hints, now);
            f(entry);
        }
    }

    /// What is known of a server (`tcp_fastopen_cache_get`).
    pub(super) fn server(&self, pair: &Pair) -> Server {
        self.with(pair, |entry| entry.server).unwrap_or_default()
    }

    /// Learns from a handshake with Fast Open (`tcp_fastopen_cache_set`).
    pub(super) fn learn_server(&self, pair: &Pair, hints: &Hints, now: Instant, news: &Server) {
        self.with_new(pair, hints, now, |Entry { server, .. }| {
            if news.mss != 0 {
                server.mss = news.mss;
            }
            if news.cookie.is_some() {
                server.cookie = news.cookie;
            } else if server.cookie.is_none() {
                server.next_request = server.next_request.max(news.next_request);
            }
        });
    }

    fn metrics(&self, pair: &Pair, hints: &Hints, now: Instant) -> Metrics {
        let metrics = self.with(pair, |entry| {
            entry.refresh(hints, now);
            entry.metrics
        });
        metrics.unwrap_or_default()
    }

    /// What a new connection goes by; as Linux nothing, not even what the route says, before another
    /// has ended well or used Fast Open.
    // Not to burden the stack of who makes the connection.
    #[inline(never)]
    pub(super) fn known(&self, net: &Net, ends: &Endpoints, hints: &Hints, now: Instant) -> Known {
        self.metrics(&Pair::of(ends), hints, now)
            .known(net.saves_ssthresh())
    }

    /// Whether the peer is known to be alive (`tcp_peer_is_proven`).
    #[inline(never)]
    pub(super) fn is_proven(&self, ends: &Endpoints, hints: &Hints, now: Instant) -> bool {
        self.metrics(&Pair::of(ends), hints, now).rtt.value > Duration::ZERO
    }

    fn learn(&self, net: &Net, pair: &Pair, hints: &Hints, now: Instant, learned: &Learned) {
        if learned.has_rtt() {
            self.with_new(pair, hints, now, |entry| {
                entry.metrics.learn(learned, net.saves_ssthresh());
                entry.learned = now;
            });
        } else {
            self.with(pair, |entry| {
                entry.refresh(hints, now);
                entry.metrics.forget_rtt();
            });
        }
    }
}

/// A connection is over: remembers what it has learned, if it ended well (`tcp_update_metrics`).
pub(super) fn remember(sk: &mut Locked<'_, Tcp>, now: Instant) {
    let (sock, net) = (sk.sock(), sk.sock().net());
    let learned = sk.state().connection();
    let learned = learned.and_then(|conn| conn.take_learned());
    let Some(learned) = learned.filter(|_| net.saves_metrics()) else {
        return;
    };
    let Ok(path) = sk.path() else {
        return;
    };
    let cache = &sk.state().namespace.path_metrics;
    let pair = Pair::of(&sock.endpoints());
    cache.learn(net, &pair, &path.hints, now, &learned);
}
