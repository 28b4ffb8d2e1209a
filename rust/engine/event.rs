// SPDX-License-Identifier: GPL-2.0

//! What a connection tells its owner.

use crate::engine::time_wait::TimeWait;

/// Something the owner should act on; a connection hands them out in this order, each at most once
/// per drain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// The handshake is complete.
    Established,
    /// The peer announced urgent data.
    Urgent,
    /// `readable()` grew.
    Readable,
    /// `acked()` grew.
    Acked,
    /// The peer's FIN is in order: nothing follows `readable()`.
    PeerClosed,
    /// Something on the path seems to swallow what belongs to Fast Open: leave it for a while.
    FastOpenBlackhole(Blackhole),
    /// The connection is over for its owner; the record must be kept and given the connection's
    /// segments until it ends.
    TimeWait(TimeWait),
    /// The connection is over.
    Closed(Reason),
}

/// What makes Fast Open suspect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blackhole {
    /// Nothing is acknowledged any more.
    TimedOut,
    /// A RST or a FIN is all that came, and it is not in order.
    OutOfOrder,
}

/// Why a connection is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Both sides closed and the peer knows, or nobody waits for its FIN any more.
    Finished,
    /// A RST answered our SYN (`ECONNREFUSED`).
    Refused,
    /// A RST arrived (`ECONNRESET`).
    Reset,
    /// A RST arrived after the peer's FIN (`EPIPE`).
    ResetInCloseWait,
    /// The peer did not answer (`ETIMEDOUT`).
    TimedOut,
    /// The owner has left, and the host cannot bear more connections of that kind.
    OutOfResources,
    /// The owner gave the connection up, or left while the peer had more to say.
    Aborted,
}

/// What a time-out without any answer makes of the way to the peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doubt {
    /// Nothing but that the route may have changed: the peer's window is closed.
    Nothing,
    /// One of several equal paths may be broken: another may be tried.
    Path,
    /// The route may be gone: it is to be looked up again (R1 of RFC 9293, 3.8.3).
    Route,
}

/// The events that were not handed out yet: one of each at most.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Events {
    pub(crate) established: bool,
    pub(crate) urgent: bool,
    pub(crate) readable: bool,
    pub(crate) acked: bool,
    pub(crate) peer_closed: bool,
    pub(crate) blackhole: Option<Blackhole>,
    pub(crate) time_wait: Option<TimeWait>,
    pub(crate) closed: Option<Reason>,
    pub(crate) doubt: Option<Doubt>,
}

impl Events {
    /// None.
    pub(crate) const NONE: Events = Events {
        established: false,
        urgent: false,
        readable: false,
        acked: false,
        peer_closed: false,
        blackhole: None,
        time_wait: None,
        closed: None,
        doubt: None,
    };

    /// Takes the next event.
    pub(crate) fn take(&mut self) -> Option<Event> {
        if core::mem::take(&mut self.established) {
            return Some(Event::Established);
        }
        if core::mem::take(&mut self.urgent) {
            return Some(Event::Urgent);
        }
        if core::mem::take(&mut self.readable) {
            return Some(Event::Readable);
        }
        if core::mem::take(&mut self.acked) {
            return Some(Event::Acked);
        }
        if core::mem::take(&mut self.peer_closed) {
            return Some(Event::PeerClosed);
        }
        if let Some(blackhole) = self.blackhole.take() {
            return Some(Event::FastOpenBlackhole(blackhole));
        }
        if let Some(record) = self.time_wait.take() {
            return Some(Event::TimeWait(record));
        }
        self.closed.take().map(Event::Closed)
    }
}
