// SPDX-License-Identifier: GPL-2.0

//! What a connection without an owner's descriptor may cost the host.

use crate::engine::config::Config;
use crate::engine::event::Reason;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::time_wait::TIME_WAIT;

/// What the host has left for connections whose owner's descriptor is gone (Linux's
/// `tcp_check_oom`), and what it knows of the way to the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resources {
    /// Connections without a descriptor, on the whole host.
    pub orphans: u32,
    /// How many of them there may be (`tcp_max_orphans`).
    pub max_orphans: u32,
    /// The protocol's memory is used up, and this connection has its share in that (`tcp_mem`).
    pub memory_out: bool,
    /// The network has said that the peer may be out of reach (an ICMP error).
    pub soft_error: bool,
}

impl Resources {
    /// No lack of anything.
    pub(crate) const PLENTY: Resources = Resources {
        orphans: 0,
        max_orphans: u32::MAX,
        memory_out: false,
        soft_error: false,
    };

    /// Returns whether a connection is too much that counts for 2 to the power of `weight` ones.
    fn are_short(&self, weight: u32) -> bool {
        let orphans = u64::from(self.orphans) << weight.min(32);
        orphans > self.max_orphans.into() || self.memory_out
    }
}

impl<S: Store> Synchronized<S> {
    /// The owner has let go of the connection. As Linux (`__tcp_close`): beyond what the host can
    /// bear it is not delivered in the background, as RFC 9293, 3.10.4 would have it, but reset.
    pub(crate) fn on_orphaned(&self) -> Fate {
        // FIN-WAIT-2 has nothing left to deliver.
        if self.orphan && self.state != State::FinWait2 && self.resources.are_short(0) {
            Fate::Reset(Reason::OutOfResources)
        } else {
            Fate::Alive
        }
    }

    /// A time-out found nobody who owns the connection (Linux's `tcp_out_of_resources`): those that
    /// are unlikely to make it are the first to go. `promising` tells that the peer has answered not
    /// long ago.
    pub(super) fn out_of_resources(&self, cx: &Context<'_>, promising: bool) -> Option<Fate> {
        let idle = cx.now.since(self.last_data_sent);
        let stale = idle > cx.config.rto_max.saturating_mul(2) || !promising;
        let weight = u32::from(stale).saturating_add(self.resources.soft_error.into());
        if !self.resources.are_short(weight) {
            return None;
        }
        // The peer is told where it may still be there.
        let stuck = self.tx.wnd == 0 && self.tx.in_flight() == 0;
        Some(if promising || idle <= TIME_WAIT || stuck {
            Fate::Reset(Reason::OutOfResources)
        } else {
            Fate::Closed(Reason::OutOfResources)
        })
    }

    /// Returns how many times the data of a connection without a descriptor is sent again (Linux's
    /// `tcp_orphan_retries`).
    pub(super) fn orphan_tries(&self, config: &Config, alive: bool) -> u8 {
        if self.resources.soft_error && !alive {
            0
        } else {
            config.orphan_tries(alive)
        }
    }
}
