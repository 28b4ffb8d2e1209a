// SPDX-License-Identifier: GPL-2.0

//! What a segment can be for: the entries of the table of connections.
//!
//! A connection is in the table by its addresses and ports. Before the third ACK and in TIME-WAIT it
//! is a small record; between, it is a socket. A change from one to another replaces the entry in one
//! step, so that a segment always finds exactly one.

use super::{
    namespace::Namespace,
    ports::PortUse,
    socket::TcpSock, //
};
use crate::{
    engine,
    net::{
        ip::{
            Endpoints,
            Manner, //
        },
        label::Admission,
        md5::Key as Md5Key,
        rhashtable::{
            self,
            Node,
            NodeRef, //
        },
        spinlock::{
            new_spinlock_bh,
            SpinLockBh, //
        }, //
    }, //
};
use core::{
    cell::Cell,
    net::{
        IpAddr,
        Ipv6Addr,
        SocketAddr,
        SocketAddrV6, //
    },
    sync::atomic::Ordering, //
};
use kernel::{
    alloc::Flags,
    prelude::*,
    sync::{
        aref::ARef,
        Arc, //
    }, //
};

/// What an entry is found by. IPv4 addresses stand here in the form that IPv6 maps them to.
#[derive(Clone, Copy, PartialEq, Eq, IntoBytes, zerocopy_derive::Immutable)]
#[repr(C)]
pub(crate) struct Key {
    local: [u8; 16],
    remote: [u8; 16],
    ports: u32,
    /// The device that the connection is bound to, as one with a link-local peer always is: two links,
    /// and two virtual routers, may have peers of one address.
    scope: u32,
}

/// An address in the form of IPv6.
pub(super) fn mapped(addr: IpAddr) -> [u8; 16] {
    match addr {
        IpAddr::V4(addr) => addr.to_ipv6_mapped().octets(),
        IpAddr::V6(addr) => addr.octets(),
    }
}

/// What [`mapped`] made the octets of, with a port and a scope.
fn unmapped(octets: [u8; 16], port: u16, scope: u32) -> SocketAddr {
    let addr = Ipv6Addr::from(octets);
    match addr.to_ipv4_mapped() {
        Some(addr) => SocketAddr::new(addr.into(), port),
        None => SocketAddrV6::new(addr, port, 0, scope).into(),
    }
}

impl Key {
    /// Our address and port.
    pub(super) fn local(&self) -> SocketAddr {
        unmapped(self.local, (self.ports >> 16) as u16, 0)
    }

    /// The peer's address and port.
    pub(super) fn remote(&self) -> SocketAddr {
        unmapped(self.remote, self.ports as u16, self.scope)
    }

    /// The connection between `ends`, of which we are the source.
    pub(super) fn connection(ends: &Endpoints) -> Self {
        let (local, remote) = (&ends.source, &ends.destination);
        Self {
            local: mapped(local.ip()),
            remote: mapped(remote.ip()),
            ports: u32::from(local.port()) << 16 | u32::from(remote.port()),
            scope: match remote {
                SocketAddr::V4(_) => 0,
                SocketAddr::V6(remote) => remote.scope_id(),
            },
        }
    }

    /// The same between the same ends, but bound to the device of this index, if it is not 0.
    pub(super) fn bound_to(self, device: i32) -> Self {
        Self {
            scope: if device == 0 {
                self.scope
            } else {
                device as u32
            },
            ..self
        }
    }

    /// The index of the device that the connection is bound to, 0 for none.
    pub(super) fn device(&self) -> i32 {
        self.scope as i32
    }

    /// The connection that a received segment belongs to.
    pub(super) fn of_segment(ends: &Endpoints) -> Self {
        Self::connection(&ends.reversed())
    }
}

/// A connection that is not established yet.
pub(super) struct HalfOpen {
    pub(super) half: engine::HalfOpen,
    pub(super) listener: ARef<TcpSock>,
    /// The headers of its SYN, where the listener keeps them.
    pub(super) syn: Cell<Option<KVec<u8>>>,
    /// Source is we.
    pub(super) ends: Endpoints,
    pub(super) manner: Manner,
    pub(super) admission: Admission,
    /// The listener's `TCP_MAXSEG` when the SYN came, 0 if not set.
    pub(super) max_segment: u16,
}

impl HalfOpen {
    /// The connection is another listener's from now on.
    pub(super) fn follow(&mut self, heir: ARef<TcpSock>) {
        let young = self.half.timeouts() == 0;
        heir.shared().queue.half_open_new(young);
        let old = core::mem::replace(&mut self.listener, heir);
        old.shared().queue.half_open_gone(young);
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        let young = self.half.timeouts() == 0;
        self.listener.shared().queue.half_open_gone(young);
    }
}

/// A connection in TIME-WAIT.
pub(super) struct Waiting {
    pub(super) record: engine::TimeWait,
    pub(super) manner: Manner,
    /// What its answers are signed by.
    pub(super) key: Option<KBox<Md5Key>>,
    /// The port stays busy.
    _port: Option<PortUse>,
    _counted: Counted,
}

impl Waiting {
    /// `None` where the namespace has as many as it may (`tcp_max_tw_buckets`).
    pub(super) fn new(
        record: engine::TimeWait,
        manner: Manner,
        port: Option<PortUse>,
        namespace: &Arc<Namespace>,
        most: u32,
    ) -> Option<Self> {
        // Counted before it is compared, so that no two get the last place.
        namespace.time_waits.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(namespace.clone());
        (counted.0.time_waits.load(Ordering::Relaxed) <= most).then(|| Self {
            record,
            manner,
            key: None,
            _port: port,
            _counted: counted,
        })
    }

    /// The same with a key.
    pub(super) fn signed_by(self, key: Option<KBox<Md5Key>>) -> Self {
        Self { key, ..self }
    }
}

/// One of the namespace's connections in TIME-WAIT.
struct Counted(Arc<Namespace>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.time_waits.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One of the namespace's entries that are bound to a device.
struct Bound(Arc<Namespace>);

impl Bound {
    fn new(namespace: &Arc<Namespace>) -> Self {
        namespace.bound.fetch_add(1, Ordering::Relaxed);
        Self(namespace.clone())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        self.0.bound.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection without a socket.
pub(super) enum Record {
    /// It is gone, or became a socket.
    None,
    HalfOpen(HalfOpen),
    TimeWait(Waiting),
}

/// An entry of the table.
#[pin_data]
pub(crate) struct Entry {
    /// The namespace that the table belongs to.
    pub(super) namespace: Arc<Namespace>,
    /// A connection with a socket.
    pub(super) socket: Option<ARef<TcpSock>>,
    _bound: Option<Bound>,
    #[pin]
    pub(super) record: SpinLockBh<Record>,
}

impl Entry {
    /// An entry for a socket.
    pub(super) fn socket(
        ns: &Arc<Namespace>,
        key: Key,
        socket: ARef<TcpSock>,
        flags: Flags,
    ) -> Result<NodeRef<Self>> {
        Self::node(ns, key, Some(socket), Record::None, flags)
    }

    /// An entry for a record.
    pub(super) fn record(
        ns: &Arc<Namespace>,
        key: Key,
        record: Record,
        flags: Flags,
    ) -> Result<NodeRef<Self>> {
        Self::node(ns, key, None, record, flags)
    }

    fn node(
        ns: &Arc<Namespace>,
        key: Key,
        socket: Option<ARef<TcpSock>>,
        record: Record,
        flags: Flags,
    ) -> Result<NodeRef<Self>> {
        let namespace = ns.clone();
        let bound = (key.device() != 0).then(|| Bound::new(ns));
        Node::try_new(
            key,
            pin_init!(Self {
                namespace,
                socket,
                _bound: bound,
                record <- new_spinlock_bh!(record, "oxtcp_record"),
            }),
            flags,
        )
    }
}

impl rhashtable::Entry for Entry {
    type Key = Key;

    fn on_timer(node: NodeRef<Self>) {
        super::minisock::on_timer(&node);
    }
}

/// Takes a record out of the table for good, and what it holds out of the record.
pub(super) fn retire(node: &NodeRef<Entry>) -> Record {
    let record = core::mem::replace(&mut *node.value().record.lock(), Record::None);
    node.value().namespace.table.remove(node);
    node.retire();
    record
}
