// SPDX-License-Identifier: GPL-2.0

//! What of a connection is seen without its lock, for `/proc/net/oxtcp`.
//!
//! Each value is one of the last flush; two of them may be of different ones.

use crate::engine::{
    Duration,
    Instant,
    Outline, //
};
use core::sync::atomic::{
    AtomicU32,
    AtomicU64,
    AtomicU8,
    Ordering, //
};

/// What stands for a slow-start threshold that was never set.
const NO_SSTHRESH: u32 = u32::MAX;

/// The timer that a connection waits for, as `/proc/net/tcp` numbers them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pending {
    /// None that is shown.
    None = 0,
    /// Retransmission.
    Retransmit = 1,
    /// Keepalive, or the end of FIN-WAIT-2.
    KeepAlive = 2,
    /// TIME-WAIT.
    TimeWait = 3,
    /// Probe of a closed window.
    Persist = 4,
}

/// The values as they were published last.
#[derive(Default)]
pub(super) struct Published {
    unacked: AtomicU32,
    pending: AtomicU8,
    retransmits: AtomicU8,
    probes: AtomicU8,
    acks: AtomicU8,
    deadline: AtomicU64,
    rto: AtomicU64,
    ato: AtomicU64,
    mss: AtomicU32,
    cwnd: AtomicU32,
    ssthresh: AtomicU32,
}

/// A copy of the values.
pub(super) struct Values {
    /// Sequence numbers written and not acknowledged.
    pub(super) unacked: u32,
    /// The timer, of [`Pending`].
    pub(super) pending: u8,
    /// When it expires.
    pub(super) deadline: Instant,
    /// How often it did in vain.
    pub(super) retransmits: u8,
    /// Probes without answer.
    pub(super) probes: u8,
    /// The retransmission time-out.
    pub(super) rto: Duration,
    /// The delay of acknowledgments.
    pub(super) ato: Duration,
    /// Twice the number of acknowledgments that leave at once, and 1 for an interactive connection.
    pub(super) acks: u8,
    /// The congestion window, in segments.
    pub(super) cwnd: u32,
    /// The slow-start threshold, in segments.
    pub(super) ssthresh: Option<u32>,
}

/// The timer to show: what Linux would have in its one timer of sending, before the other.
fn pending(outline: &Outline) -> (Pending, Instant) {
    match (outline.retransmit, outline.persist, outline.keepalive) {
        (Some(at), _, _) => (Pending::Retransmit, at),
        (None, Some(at), _) => (Pending::Persist, at),
        (None, None, Some(at)) => (Pending::KeepAlive, at),
        (None, None, None) => (Pending::None, Instant::default()),
    }
}

impl Published {
    /// Publishes what is in `outline`.
    pub(super) fn set(&self, outline: &Outline) {
        let (pending, deadline) = pending(outline);
        let acks = (outline.quick_acks.min(127) as u8) << 1 | u8::from(outline.interactive);
        let unacked = u32::try_from(outline.unacked).unwrap_or(u32::MAX);
        self.unacked.store(unacked, Ordering::Relaxed);
        self.pending.store(pending as u8, Ordering::Relaxed);
        self.retransmits
            .store(outline.retransmits, Ordering::Relaxed);
        self.probes.store(outline.probes, Ordering::Relaxed);
        self.acks.store(acks, Ordering::Relaxed);
        self.deadline.store(deadline.as_nanos(), Ordering::Relaxed);
        self.rto.store(outline.rto.as_nanos(), Ordering::Relaxed);
        self.ato.store(outline.ato.as_nanos(), Ordering::Relaxed);
        self.mss.store(outline.mss, Ordering::Relaxed);
        self.cwnd.store(outline.cwnd, Ordering::Relaxed);
        let ssthresh = outline.ssthresh.unwrap_or(NO_SSTHRESH);
        self.ssthresh.store(ssthresh, Ordering::Relaxed);
    }

    /// What was published last.
    pub(super) fn get(&self) -> Values {
        let mss = self.mss.load(Ordering::Relaxed).max(1);
        let ssthresh = self.ssthresh.load(Ordering::Relaxed);
        Values {
            unacked: self.unacked.load(Ordering::Relaxed),
            pending: self.pending.load(Ordering::Relaxed),
            deadline: Instant::from_nanos(self.deadline.load(Ordering::Relaxed)),
            retransmits: self.retransmits.load(Ordering::Relaxed),
            probes: self.probes.load(Ordering::Relaxed),
            rto: Duration::from_nanos(self.rto.load(Ordering::Relaxed)),
            ato: Duration::from_nanos(self.ato.load(Ordering::Relaxed)),
            acks: self.acks.load(Ordering::Relaxed),
            cwnd: (self.cwnd.load(Ordering::Relaxed) / mss).max(1),
            ssthresh: (ssthresh != NO_SSTHRESH).then(|| (ssthresh / mss).max(1)),
        }
    }
}
