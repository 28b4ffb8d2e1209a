// SPDX-License-Identifier: GPL-2.0

//! Where a SYN finds its listener.
//!
//! All listeners at one address and port stand in one list, found by a hash: those of several
//! devices, of both versions of IP, and those that share the port (`SO_REUSEPORT`). A list never
//! changes; a listener that comes or goes puts another in its place, in one step. As in Linux a
//! segment goes to the first of those that suit it best, or to one of that one's group.

use super::{
    entry::Key,
    namespace::Namespace,
    socket::{
        Tcp,
        TcpSock, //
    }, //
};
use crate::net::{
    ip::Endpoints,
    net_namespace::Net,
    rhashtable::{
        self,
        Node,
        NodeRef,
        Table, //
    },
    siphash,
    skbuff::Skb,
    sock::Locked, //
};
use core::net::{
    IpAddr,
    Ipv6Addr, //
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        rcu,
        Arc,
        Mutex, //
    }, //
};

/// An address and a port. Both unspecified addresses are the same here.
#[derive(Clone, Copy, PartialEq, Eq, IntoBytes, zerocopy_derive::Immutable)]
#[repr(C)]
pub(crate) struct Place {
    address: [u8; 16],
    port: u32,
}

impl Place {
    fn new(address: IpAddr, port: u16) -> Self {
        let address = match address {
            _ if address.is_unspecified() => Ipv6Addr::UNSPECIFIED,
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        Self {
            address: address.octets(),
            port: port.into(),
        }
    }
}

/// The listeners in one place.
#[pin_data]
pub(crate) struct List {
    namespace: Arc<Namespace>,
    sockets: KVec<ARef<TcpSock>>,
}

/// The first of `sockets` that is a listener of the group of `sk`, and not that itself.
fn fellow<'l>(sockets: &'l [ARef<TcpSock>], sk: &TcpSock) -> Option<&'l ARef<TcpSock>> {
    sockets.iter().find(|other| {
        !core::ptr::eq(&***other, sk) && other.is_listening() && other.is_grouped_with(sk)
    })
}

impl rhashtable::Entry for List {
    type Key = Place;

    fn on_timer(_node: NodeRef<Self>) {}
}

/// The listeners of one namespace.
#[pin_data]
pub(super) struct Listeners {
    lists: Pin<KBox<Table<List>>>,
    /// Held by whoever puts another list in the place of one.
    #[pin]
    changes: Mutex<()>,
    /// Shares segments out among a group.
    key: siphash::Key,
}

/// A listener that was found.
pub(super) struct Found<'g> {
    pub(super) namespace: &'g Arc<Namespace>,
    pub(super) socket: &'g TcpSock,
}

impl Listeners {
    /// None yet.
    pub(super) fn new() -> Result<Arc<Self>> {
        Arc::pin_init(
            try_pin_init!(Self {
                lists: Table::try_new()?,
                changes <- new_mutex!((), "oxtcp_listeners"),
                key: siphash::Key::random(),
            }? Error),
            GFP_KERNEL,
        )
    }

    fn list(&self, place: &Place) -> Option<NodeRef<List>> {
        let rcu = rcu::read_lock();
        self.lists.lookup(place, &rcu).and_then(Node::get)
    }

    /// Makes a socket be found at the address and port that it has, and tells where that is. May
    /// sleep.
    pub(super) fn add(
        &self,
        namespace: &Arc<Namespace>,
        lock: &mut Locked<'_, Tcp>,
    ) -> Result<Place> {
        let sk = lock.sock();
        let place = Place::new(sk.receive_address(), sk.port());
        let _changes = self.changes.lock();
        let old = self.list(&place);
        let others = old.as_ref().map_or(&[][..], |old| &old.value().sockets);
        let mut sockets = KVec::with_capacity(others.len() + 1, GFP_KERNEL)?;
        // As Linux: the last comes first, but for those of a group on IPv6.
        let at_end = sk.is_inet6() && sk.reuses_port();
        if !at_end {
            sockets.push(sk.get(), GFP_KERNEL)?;
        }
        for other in others.iter().filter(|other| !core::ptr::eq(&***other, sk)) {
            sockets.push(other.clone(), GFP_KERNEL)?;
        }
        if at_end {
            sockets.push(sk.get(), GFP_KERNEL)?;
        }
        self.put(namespace, &place, old.as_deref(), sockets)?;
        if sk.reuses_port() {
            let fellow = fellow(others, sk);
            if let Err(e) = lock.join_group(fellow.map(|fellow| &**fellow)) {
                self.without(namespace, &place, sk)?;
                return Err(e);
            }
        }
        Ok(place)
    }

    /// Lets a socket be found at `place` no more. Without memory its list stays as it is until the next
    /// change: nobody takes one there that does not listen.
    pub(super) fn remove(&self, namespace: &Arc<Namespace>, place: &Place, sk: &TcpSock) {
        sk.leave_group();
        let _changes = self.changes.lock();
        let _ = self.without(namespace, place, sk);
    }

    fn without(&self, namespace: &Arc<Namespace>, place: &Place, sk: &TcpSock) -> Result {
        let Some(old) = self.list(place) else {
            return Ok(());
        };
        let others = || {
            let sockets = old.value().sockets.iter();
            sockets.filter(|other| !core::ptr::eq(&***other, sk))
        };
        if others().next().is_none() {
            self.lists.remove(&old);
            return Ok(());
        }
        let mut sockets = KVec::with_capacity(others().count(), GFP_KERNEL)?;
        for other in others() {
            sockets.push(other.clone(), GFP_KERNEL)?;
        }
        self.put(namespace, place, Some(&old), sockets)
    }

    fn put(
        &self,
        namespace: &Arc<Namespace>,
        place: &Place,
        old: Option<&Node<List>>,
        sockets: KVec<ARef<TcpSock>>,
    ) -> Result {
        let namespace = namespace.clone();
        let list = pin_init!(List { namespace, sockets });
        let node = Node::try_new(*place, list, GFP_KERNEL)?;
        match old {
            Some(old) => self.lists.replace(old, node),
            None => self.lists.insert(node),
        }
    }

    /// The listener for a segment along `ends`: one that is bound to its address before one that is
    /// not.
    pub(super) fn find<'g>(
        &self,
        skb: &mut Skb,
        ends: &Endpoints,
        rcu: &'g rcu::Guard,
    ) -> Option<Found<'g>> {
        let to = ends.destination;
        [to.ip(), Ipv6Addr::UNSPECIFIED.into()]
            .into_iter()
            .find_map(|address| {
                let place = Place::new(address, to.port());
                let list = self.lists.lookup(&place, rcu)?.value();
                Some(Found {
                    namespace: &list.namespace,
                    socket: self.best(list, skb, ends, rcu)?,
                })
            })
    }

    /// Whether a segment for `found` is rather for a listener of the kernel's TCP: both may listen at
    /// one port where all have `SO_REUSEPORT`. The one that is bound to the address has it, or else each
    /// has its share, as if all were of one group.
    pub(super) fn is_for_kernel(
        &self,
        net: &Net,
        skb: &Skb,
        ends: &Endpoints,
        found: &Found<'_>,
        rcu: &rcu::Guard,
    ) -> bool {
        if !found.socket.reuses_port() {
            return false;
        }
        let Some(kernel) = skb.kernel_listener(net, ends, rcu) else {
            return false;
        };
        let at_address = !found.socket.receive_address().is_unspecified();
        if kernel.at_address != at_address {
            return kernel.at_address;
        }
        let ours = found.socket.group_size(rcu);
        // Another part of the hash than chooses in the group.
        let hash = u64::from(self.hash(ends).rotate_left(16));
        let chosen = hash * u64::from(ours + kernel.group) >> 32;
        chosen >= u64::from(ours)
    }

    fn best<'g>(
        &self,
        list: &'g List,
        skb: &mut Skb,
        ends: &Endpoints,
        rcu: &'g rcu::Guard,
    ) -> Option<&'g TcpSock> {
        let mut best = None;
        let mut high = 0;
        let port = ends.destination.port();
        for sk in &list.sockets {
            // It may be on its way out, or listen elsewhere by now.
            if !sk.is_listening() || sk.port() != port {
                continue;
            }
            let score = skb.score(sk, ends.destination.is_ipv4());
            if score <= high {
                continue;
            }
            if sk.reuses_port() {
                let chosen = skb.choose(sk, self.hash(ends), rcu);
                if chosen.is_some() {
                    return chosen;
                }
            }
            best = Some(&**sk);
            high = score;
        }
        best
    }

    /// A listener of the group that `sk`, which was at `place`, has left.
    pub(super) fn grouped_with(&self, place: &Place, sk: &TcpSock) -> Option<ARef<TcpSock>> {
        fellow(&self.list(place)?.value().sockets, sk).cloned()
    }

    /// A hash of both ends, of which we are the destination, that nobody can foretell.
    pub(super) fn hash(&self, ends: &Endpoints) -> u32 {
        self.key.hash(Key::of_segment(ends).as_bytes()) as u32
    }

    /// Calls `f` for each listener. The walk needs process context, and `f` must not sleep.
    pub(super) fn for_each(&self, mut f: impl FnMut(&TcpSock)) {
        self.lists.for_each(|list| {
            for sk in &list.value().sockets {
                f(sk);
            }
        });
    }
}
