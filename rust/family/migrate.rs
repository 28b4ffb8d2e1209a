// SPDX-License-Identifier: GPL-2.0

//! What becomes of the connections that a listener leaves behind.
//!
//! Where others share its port (`SO_REUSEPORT`) and `tcp_migrate_req` says so, each goes to one of
//! them, as in `inet_csk_listen_stop` and `reqsk_timer_handler`; but that those that are half-open
//! go at once, and not with their next segment or timer.

use super::{
    counters::Counter,
    entry::Record,
    listen::forget,
    listeners::Place,
    namespace::Namespace,
    socket::TcpSock, //
};
use crate::net::ip::Endpoints;
use kernel::sync::{
    aref::ARef,
    rcu,
    Arc, //
};

/// Who inherits from a listener.
pub(super) struct Heirs {
    namespace: Arc<Namespace>,
    /// Whether connections are to be passed on.
    wanted: bool,
    /// One of the group that the listener was in.
    member: Option<ARef<TcpSock>>,
}

impl Heirs {
    /// Those of `sk`, which was found at `place`, in a group if `grouped`, and is there no more.
    pub(super) fn of(
        namespace: &Arc<Namespace>,
        place: &Place,
        sk: &TcpSock,
        grouped: bool,
    ) -> Self {
        let wanted = grouped && sk.net().migrates_requests();
        Self {
            namespace: namespace.clone(),
            wanted,
            member: wanted
                .then(|| namespace.listeners.grouped_with(place, sk))
                .flatten(),
        }
    }

    fn count(&self, counter: Counter) {
        self.namespace.counters.count(counter);
    }

    /// Who inherits the connection between `ends`, of which we are the source.
    fn heir(&self, ends: &Endpoints) -> Option<ARef<TcpSock>> {
        if !self.wanted {
            return None;
        }
        let rcu = rcu::read_lock();
        let hash = self.namespace.listeners.hash(&ends.reversed());
        let heir = self.member.as_ref().and_then(|one| one.member(hash, &rcu));
        if heir.is_none() {
            self.count(Counter::MigrateReqFailure);
        }
        heir.map(|heir| heir.get())
    }

    /// Passes on a connection that nobody has accepted, or resets it. May sleep.
    pub(super) fn pass_on(&self, child: ARef<TcpSock>) {
        let Some(heir) = self.heir(&child.endpoints()) else {
            return forget(&child);
        };
        let queue = &heir.shared().queue;
        // As Linux, beyond the backlog of who inherits.
        let place = queue
            .make_room()
            .ok()
            .and_then(|()| queue.reserve(u32::MAX));
        let passed = match place {
            Some(place) => {
                child.with_bh_lock(|child| {
                    if child.state().ticket.is_some() {
                        child.state().ticket = Some(queue.fast_open_new(&heir));
                    }
                });
                place.fill(child)
            }
            None => Err(child),
        };
        match passed {
            Ok(waiting) => {
                heir.set_ack_backlog(waiting);
                self.count(Counter::MigrateReqSuccess);
                heir.data_ready();
            }
            Err(child) => {
                self.count(Counter::MigrateReqFailure);
                forget(&child);
            }
        }
    }

    /// Passes a half-open connection on. Returns whether it has a listener again.
    pub(super) fn adopt(&self, record: &mut Record) -> bool {
        let Record::HalfOpen(half_open) = record else {
            return false;
        };
        let Some(heir) = self.heir(&half_open.ends) else {
            return false;
        };
        half_open.follow(heir);
        self.count(Counter::MigrateReqSuccess);
        true
    }
}
