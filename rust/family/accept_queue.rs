// SPDX-License-Identifier: GPL-2.0

//! What a listener keeps for connections that nobody has accepted yet.
//!
//! Connections arrive in softirqs, which do not take the listener's socket lock: a queue of its own
//! lock stands between.

use super::{
    socket::TcpSock, //
};
use crate::{
    engine::{
        Duration,
        Instant, //
    },
    net::spinlock::{
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use core::sync::atomic::{
    AtomicU32,
    AtomicU64,
    Ordering, //
};
use kernel::{
    alloc::KVVec,
    prelude::*,
    sync::aref::ARef, //
};

/// The largest backlog that is honoured, whatever `somaxconn` allows: the places are made at once.
const BACKLOG_MAX: u32 = 1 << 18;

/// Whether one more connection with Fast Open may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FastOpenRoom {
    /// The listener does not offer it.
    Off,
    /// There are enough.
    Full,
    Free,
}

/// The queues of one listener. Empty and closed for every other socket.
#[pin_data]
pub(super) struct AcceptQueue {
    #[pin]
    inner: SpinLockBh<Inner>,
    /// Connections that wait for the third ACK.
    half_open: AtomicU32,
    /// Those of them that have seen no time-out.
    young: AtomicU32,
    /// Connections with Fast Open that wait for their third ACK.
    #[pin]
    fast_open: SpinLockBh<FastOpen>,
    /// When a SYN cookie was sent last, in nanoseconds; 0: never.
    cookie_sent: AtomicU64,
}

struct Inner {
    /// A ring: `len` connections from `first` on.
    ring: KVVec<Option<ARef<TcpSock>>>,
    first: usize,
    len: usize,
    /// Places promised to connections that are being made.
    reserved: usize,
    /// Whether the socket listens.
    open: bool,
}

/// What a listener knows of Fast Open.
#[derive(Default)]
struct FastOpen {
    /// How many connections may wait (`TCP_FASTOPEN`); 0: no Fast Open.
    most: u32,
    /// How many do, those that a RST has ended lately included: a defence against clients that
    /// request in others' names.
    len: u32,
    /// When those that a RST has ended are forgotten, in their order.
    resets: KVec<Instant>,
}

/// How long a connection that a RST has ended still counts.
const RESET_COUNTS: Duration = Duration::from_secs(60);

/// A connection with Fast Open that waits for its third ACK, as its listener counts it.
pub(super) struct Ticket {
    listener: ARef<TcpSock>,
    /// `accept` has handed the connection out.
    accepted: bool,
    /// A RST has ended it, so that it counts for longer.
    reset: Option<Instant>,
}

impl Ticket {
    /// Notes that `accept` has handed the connection out.
    pub(super) fn accepted(&mut self) {
        self.accepted = true;
    }

    /// Whether `accept` has handed the connection out.
    pub(super) fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Notes that a RST has ended the connection.
    pub(super) fn reset(&mut self, now: Instant) {
        self.reset = Some(now);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let listening = self.listener.is_listening();
        let mut inner = self.listener.shared().queue.fast_open.lock();
        let until = self
            .reset
            .filter(|_| self.accepted && listening)
            .map(|at| at.saturating_add(RESET_COUNTS));
        let kept = until.is_some_and(|until| {
            let flags = GFP_ATOMIC | __GFP_NOWARN;
            inner.resets.push(until, flags).is_ok()
        });
        if !kept {
            inner.len = inner.len.saturating_sub(1);
        }
    }
}

/// A place in the queue, promised to a connection that is being made. Given back when dropped.
pub(super) struct Place<'a> {
    queue: &'a AcceptQueue,
}

impl AcceptQueue {
    /// A closed queue.
    pub(super) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            inner <- new_spinlock_bh!(
                Inner {
                    ring: KVVec::new(),
                    first: 0,
                    len: 0,
                    reserved: 0,
                    open: false,
                },
                "oxtcp_accept_queue"
            ),
            half_open: AtomicU32::new(0),
            young: AtomicU32::new(0),
            fast_open <- new_spinlock_bh!(FastOpen::default(), "oxtcp_fast_open"),
            cookie_sent: AtomicU64::new(0),
        })
    }

    /// Opens the queue for at most `backlog + 1` connections (as Linux counts), or makes room for more
    /// in an open one. May sleep.
    pub(super) fn open(&self, backlog: u32) -> Result {
        self.grow(backlog.min(BACKLOG_MAX) as usize + 1, true)
    }

    /// Makes one more place in an open queue that is full. May sleep.
    pub(super) fn make_room(&self) -> Result {
        let inner = self.inner.lock();
        let (taken, size) = (inner.len + inner.reserved, inner.ring.len());
        drop(inner);
        if taken < size {
            return Ok(());
        }
        self.grow(taken.saturating_mul(2).max(1), false)
    }

    fn grow(&self, places: usize, open: bool) -> Result {
        let mut ring = KVVec::with_capacity(places, GFP_KERNEL)?;
        while ring.len() < ring.capacity() {
            ring.push(None, GFP_KERNEL)?;
        }
        let mut inner = self.inner.lock();
        if !inner.open && !open {
            return Ok(());
        }
        let Inner {
            ring: old,
            first,
            len,
            ..
        } = &mut *inner;
        if ring.len() > old.len() {
            for (i, slot) in ring.iter_mut().take(*len).enumerate() {
                let at = (*first + i) % old.len().max(1);
                *slot = old.get_mut(at).and_then(Option::take);
            }
            core::mem::swap(old, &mut ring);
            *first = 0;
        }
        inner.open = true;
        drop(inner);
        // The old ring is freed here, outside the lock.
        drop(ring);
        Ok(())
    }

    /// Closes the queue and hands out what is in it, one by one, until `None`.
    pub(super) fn close(&self) -> Option<ARef<TcpSock>> {
        let mut inner = self.inner.lock();
        inner.open = false;
        let next = inner.pop();
        if next.is_none() {
            let ring = core::mem::replace(&mut inner.ring, KVVec::new());
            drop(inner);
            drop(ring);
        } else {
            drop(inner);
        }
        next
    }

    /// Connections that wait for `accept`.
    pub(super) fn len(&self) -> u32 {
        self.inner.lock().len as u32
    }

    /// Whether one more connection would be too many, `backlog` being the listener's.
    pub(super) fn is_full(&self, backlog: u32) -> bool {
        let inner = self.inner.lock();
        inner.len + inner.reserved > backlog as usize
    }

    /// Promises a place, if there is one and the queue is open.
    pub(super) fn reserve(&self, backlog: u32) -> Option<Place<'_>> {
        let mut inner = self.inner.lock();
        if !inner.open
            || inner.len + inner.reserved > backlog as usize
            || inner.len + inner.reserved >= inner.ring.len()
        {
            return None;
        }
        inner.reserved += 1;
        drop(inner);
        Some(Place { queue: self })
    }

    /// Lets as many connections with Fast Open wait (`TCP_FASTOPEN`).
    pub(super) fn set_fast_open(&self, most: u32) {
        self.fast_open.lock().most = most;
    }

    /// How many connections with Fast Open may wait.
    pub(super) fn fast_open(&self) -> u32 {
        self.fast_open.lock().most
    }

    /// Whether Fast Open is allowed, and one more connection may use it (`tcp_fastopen_queue_check`).
    pub(super) fn has_fast_open_room(&self, now: Instant) -> FastOpenRoom {
        let mut inner = self.fast_open.lock();
        if inner.most == 0 {
            return FastOpenRoom::Off;
        }
        if inner.len >= inner.most {
            if inner.resets.first().is_none_or(|&until| until > now) {
                return FastOpenRoom::Full;
            }
            let _ = inner.resets.remove(0);
            inner.len = inner.len.saturating_sub(1);
        }
        FastOpenRoom::Free
    }

    /// Counts a connection with Fast Open of `listener`, whose queue this is.
    pub(super) fn fast_open_new(&self, listener: &TcpSock) -> Ticket {
        let mut inner = self.fast_open.lock();
        inner.len += 1;
        drop(inner);
        Ticket {
            listener: listener.get(),
            accepted: false,
            reset: None,
        }
    }

    /// Takes the first connection, and tells how many are left.
    pub(super) fn pop(&self) -> Option<(ARef<TcpSock>, u32)> {
        let mut inner = self.inner.lock();
        let sock = inner.pop()?;
        let left = inner.len as u32;
        Some((sock, left))
    }

    /// Counts a connection that begins to wait for its third ACK.
    pub(super) fn half_open_new(&self, young: bool) {
        self.half_open.fetch_add(1, Ordering::Relaxed);
        if young {
            self.young.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts one that no longer does.
    pub(super) fn half_open_gone(&self, young: bool) {
        self.half_open.fetch_sub(1, Ordering::Relaxed);
        if young {
            self.grown_old();
        }
    }

    /// Counts one whose first time-out was.
    pub(super) fn grown_old(&self) {
        self.young.fetch_sub(1, Ordering::Relaxed);
    }

    /// Connections that wait for their third ACK and have seen no time-out.
    pub(super) fn young(&self) -> u32 {
        self.young.load(Ordering::Relaxed)
    }

    /// Notes that a SYN cookie is sent.
    pub(super) fn note_cookie(&self, now: Instant) {
        self.cookie_sent
            .store(now.as_nanos().max(1), Ordering::Relaxed);
    }

    /// When a SYN cookie was sent last.
    pub(super) fn last_cookie(&self) -> Option<Instant> {
        let sent = self.cookie_sent.load(Ordering::Relaxed);
        (sent != 0).then(|| Instant::from_nanos(sent))
    }

    /// Connections that wait for their third ACK.
    pub(super) fn half_open(&self) -> u32 {
        self.half_open.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn pop(&mut self) -> Option<ARef<TcpSock>> {
        if self.len == 0 {
            return None;
        }
        let size = self.ring.len();
        let sock = self.ring.get_mut(self.first)?.take();
        self.first = (self.first + 1) % size;
        self.len -= 1;
        sock
    }
}

impl Place<'_> {
    /// Puts the connection in. Gives it back where the listener was closed meanwhile.
    pub(super) fn fill(self, sock: ARef<TcpSock>) -> core::result::Result<u32, ARef<TcpSock>> {
        let mut inner = self.queue.inner.lock();
        // The queue may be another than the place was promised in, and smaller.
        if !inner.open || inner.len >= inner.ring.len() {
            drop(inner);
            return Err(sock);
        }
        let size = inner.ring.len().max(1);
        let at = (inner.first + inner.len) % size;
        match inner.ring.get_mut(at) {
            Some(slot) => *slot = Some(sock),
            None => {
                drop(inner);
                return Err(sock);
            }
        }
        inner.len += 1;
        let waiting = inner.len as u32;
        drop(inner);
        Ok(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut inner = self.queue.inner.lock();
        inner.reserved = inner.reserved.saturating_sub(1);
    }
}
