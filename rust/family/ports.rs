// SPDX-License-Identifier: GPL-2.0

//! The ports that sockets of the family use, in one namespace.
//!
//! Who may have a port is the kernel's to decide, see [`crate::net::port`]. A socket that binds has a
//! [`Holder`] of its own, since what it asks for changes (it listens, its options are set). All
//! connections of one port that the kernel would treat alike share one: a listener's, and those that
//! leave from one address to different peers. A record in TIME-WAIT keeps the use that its
//! connection had.

use super::socket::TcpSock;
use crate::net::{
    errno::EADDRINUSE,
    net_namespace::Net,
    port::{
        Binding,
        Claim,
        Holder, //
    },
    spinlock::{
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use core::sync::atomic::{
    AtomicU64,
    Ordering, //
};
use kernel::{
    alloc::Flags,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode, //
    },
    sync::Arc, //
};

const BITS: usize = u64::BITS as usize;

/// The ports of one namespace.
#[pin_data]
pub(super) struct Ports {
    /// One bit for each port that is in use: the first thing that is asked for every segment.
    bitmap: [AtomicU64; 65536 / BITS],
    #[pin]
    uses: SpinLockBh<RBTree<Place, Users>>,
}

/// Where the users of a port stand. In this order, since a port that somebody has bound, or that
/// connections of a listener have, is not one to leave from: the first place of a port tells.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    port: u16,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// Each has a holder of its own.
    Own,
    /// Connections of a listener.
    Inherited(Binding),
    /// Connections that leave, and whose port nobody chose.
    Outgoing(Binding),
}

impl Kind {
    /// The same as of another binding; [`Kind::Own`] tells of none.
    fn with(self, binding: Binding) -> Self {
        match self {
            Self::Own => self,
            Self::Inherited(_) => Self::Inherited(binding),
            Self::Outgoing(_) => Self::Outgoing(binding),
        }
    }
}

/// The users in one place, and the holder that they share.
struct Users {
    count: u32,
    _holder: Option<Holder>,
}

type Node = RBTreeNode<Place, Users>;

/// One socket's, or record's, use of a port.
pub(super) struct PortUse {
    ports: Arc<Ports>,
    place: Place,
    /// For [`Kind::Own`].
    holder: Option<Holder>,
}

impl Ports {
    /// No port in use.
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                bitmap: [const { AtomicU64::new(0) }; 65536 / BITS],
                uses <- new_spinlock_bh!(RBTree::new(), "oxtcp_ports"),
            }),
            GFP_KERNEL,
        )
    }

    /// Whether a socket of ours uses `port`, at any address.
    #[inline]
    pub(super) fn is_used(&self, port: u16) -> bool {
        let port = usize::from(port);
        self.bitmap
            .get(port / BITS)
            .is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (port % BITS)) != 0)
    }

    fn mark(&self, port: u16, used: bool) {
        let port = usize::from(port);
        let bit = 1 << (port % BITS);
        if let Some(word) = self.bitmap.get(port / BITS) {
            if used {
                word.fetch_or(bit, Ordering::Relaxed);
            } else {
                word.fetch_and(!bit, Ordering::Relaxed);
            }
        }
    }

    /// Takes `port` for the socket at the address that it receives at, or a free one for 0. May sleep.
    pub(super) fn bind(self: &Arc<Self>, sk: &TcpSock, port: u16, claim: Claim) -> Result<PortUse> {
        let mut holder = Holder::of(sk, GFP_KERNEL)?;
        holder.take(port, claim)?;
        self.own(holder, GFP_KERNEL)
    }

    /// A use of a port by one with a holder of its own.
    fn own(self: &Arc<Self>, holder: Holder, flags: Flags) -> Result<PortUse> {
        let place = Place {
            port: holder.port(),
            kind: Kind::Own,
        };
        self.enter(&place, Users::first(place, None, flags)?);
        Ok(PortUse {
            ports: self.clone(),
            place,
            holder: Some(holder),
        })
    }

    /// The port of a listener's connection.
    pub(super) fn inherit(self: &Arc<Self>, child: &TcpSock) -> Result<PortUse> {
        let flags = GFP_ATOMIC | __GFP_NOWARN;
        let kind = Kind::Inherited(Binding::of(child).shared());
        self.share(child.net(), child.port(), kind, flags)
    }

    /// The port of a connection in TIME-WAIT whose socket stays bound to it.
    pub(super) fn wait_beside(self: &Arc<Self>, sk: &TcpSock) -> Result<PortUse> {
        let flags = GFP_ATOMIC | __GFP_NOWARN;
        let kind = Kind::Inherited(Binding::of(sk).shared().in_time_wait());
        self.share(sk.net(), sk.port(), kind, flags)
    }

    /// Whether a connection may leave from `port`: nobody has bound it.
    fn is_for_leaving(&self, port: u16) -> bool {
        let first = Place {
            port,
            kind: Kind::Own,
        };
        let uses = self.uses.lock();
        let cursor = uses.cursor_lower_bound(&first);
        cursor.is_none_or(|cursor| {
            let (place, _) = cursor.current();
            place.port != port || matches!(place.kind, Kind::Outgoing(_))
        })
    }

    /// Takes `port` for a connection that leaves. Others may leave from it too, as long as their peers
    /// differ, which is for the caller to see.
    ///
    /// Fails with `EADDRINUSE` where somebody has bound the port, or AF_INET uses it.
    ///
    /// `spare` is what is left of an attempt that failed, for the next.
    pub(super) fn leave_from(
        self: &Arc<Self>,
        sk: &TcpSock,
        port: u16,
        spare: &mut Option<Holder>,
    ) -> Result<PortUse> {
        if self.is_used(port) && !self.is_for_leaving(port) {
            return Err(EADDRINUSE);
        }
        let binding = Binding::of(sk).shared();
        let place = Place {
            port,
            kind: Kind::Outgoing(binding),
        };
        if !self.join(&place) {
            let mut holder = match spare.take() {
                Some(holder) => holder,
                None => Holder::new(sk.net(), &binding, GFP_KERNEL)?,
            };
            match holder.take(port, Claim::Connect) {
                Ok(_) => self.enter(&place, Users::first(place, Some(holder), GFP_KERNEL)?),
                // Perhaps because of one who was here meanwhile.
                Err(_) if self.join(&place) => *spare = Some(holder),
                Err(e) => {
                    *spare = Some(holder);
                    return Err(e);
                }
            }
        }
        Ok(self.shared(place))
    }

    /// Joins those who have `port` in the same way, or is the first, where the port is the caller's
    /// already.
    fn share(self: &Arc<Self>, net: &Net, port: u16, kind: Kind, flags: Flags) -> Result<PortUse> {
        let place = Place { port, kind };
        if !self.join(&place) {
            let (Kind::Inherited(binding) | Kind::Outgoing(binding)) = kind else {
                return Err(EINVAL);
            };
            let mut holder = Holder::new(net, &binding, flags)?;
            holder.take(port, Claim::Inherit)?;
            self.enter(&place, Users::first(place, Some(holder), flags)?);
        }
        Ok(self.shared(place))
    }

    fn shared(self: &Arc<Self>, place: Place) -> PortUse {
        PortUse {
            ports: self.clone(),
            place,
            holder: None,
        }
    }

    /// Counts one more in a place where somebody is.
    fn join(&self, place: &Place) -> bool {
        let mut uses = self.uses.lock();
        let users = uses.get_mut(place);
        let found = users.is_some();
        if let Some(users) = users {
            users.count += 1;
        }
        found
    }

    /// Counts one more in a place. The node is for the first.
    fn enter(&self, place: &Place, node: Node) {
        let mut uses = self.uses.lock();
        let spare = match uses.get_mut(place) {
            Some(users) => {
                users.count += 1;
                Some(node)
            }
            None => {
                uses.insert(node);
                self.mark(place.port, true);
                None
            }
        };
        drop(uses);
        // Outside the lock: the kernel's table has its own.
        drop(spare);
    }

    /// Counts one less in a place.
    fn quit(&self, place: &Place) {
        let mut uses = self.uses.lock();
        let Some(users) = uses.get_mut(place) else {
            return;
        };
        users.count -= 1;
        if users.count != 0 {
            return;
        }
        let gone = uses.remove_node(place);
        let first = Place {
            port: place.port,
            kind: Kind::Own,
        };
        let next = uses.cursor_lower_bound(&first);
        if next.is_none_or(|next| next.current().0.port != place.port) {
            self.mark(place.port, false);
        }
        drop(uses);
        // Outside the lock: the kernel's table has its own.
        drop(gone);
    }
}

impl Users {
    /// The first in a place.
    fn first(place: Place, holder: Option<Holder>, flags: Flags) -> Result<Node> {
        let users = Self {
            count: 1,
            _holder: holder,
        };
        RBTreeNode::new(place, users, flags)
    }
}

impl PortUse {
    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.place.port
    }

    /// The socket begins to listen. Fails with `EADDRINUSE` where that is more than its port allows.
    pub(super) fn listen(&mut self) -> Result {
        let port = self.port();
        // Who listens has bound before, or took the port for that.
        let holder = self.holder.as_mut().ok_or(EINVAL)?;
        holder.take(port, Claim::Listen).map(drop)
    }

    /// The socket no longer listens.
    pub(super) fn stop_listening(&mut self) {
        if let Some(holder) = &mut self.holder {
            holder.stop_listening();
        }
    }

    /// Follows what became of the socket: its address was chosen or forgotten, or an option set.
    pub(super) fn follow(&mut self, sk: &TcpSock) -> Result {
        let binding = Binding::of(sk);
        let port = self.port();
        let new = match (&mut self.holder, self.place.kind) {
            (Some(holder), _) => {
                if holder.is_at(&binding) {
                    holder.look_like(&binding);
                    return Ok(());
                }
                let mut moved = Holder::new(sk.net(), &binding, GFP_KERNEL)?;
                moved.take(port, Claim::Inherit)?;
                self.ports.own(moved, GFP_KERNEL)?
            }
            (None, old) => {
                let kind = old.with(binding.shared());
                if kind == old {
                    return Ok(());
                }
                let ports = &self.ports;
                ports.share(sk.net(), port, kind, GFP_KERNEL)?
            }
        };
        *self = new;
        Ok(())
    }

    /// The port of a connection that is in TIME-WAIT now. Where memory is short it stays as it was,
    /// which only keeps other users from it for longer.
    pub(super) fn into_time_wait(mut self, net: &Net) -> Self {
        if let Some(holder) = &mut self.holder {
            holder.wait();
            return self;
        }
        let (Kind::Inherited(binding) | Kind::Outgoing(binding)) = self.place.kind else {
            return self;
        };
        let kind = self.place.kind.with(binding.in_time_wait());
        if kind == self.place.kind {
            return self;
        }
        let flags = GFP_ATOMIC | __GFP_NOWARN;
        let ports = &self.ports;
        let waiting = ports.share(net, self.port(), kind, flags);
        waiting.unwrap_or(self)
    }
}

impl Drop for PortUse {
    fn drop(&mut self) {
        self.ports.quit(&self.place);
    }
}
