// SPDX-License-Identifier: GPL-2.0

//! The ports that sockets of the family use, in one namespace.
//!
//! A port in use at an address is one [`ReservedPort`], which holds it against AF_INET, and the uses
//! of it by our own sockets and TIME-WAIT records. Whether two of ours may share a port is decided
//! here, with Linux's rule for `SO_REUSEADDR` (`inet_bind_conflict`): both must allow it, and none of
//! them listen.

use crate::net::{
    errno::EADDRINUSE,
    net_namespace::Net,
    port::{
        flush_released,
        ReservedPort, //
    },
    spinlock::{
        new_spinlock_bh,
        SpinLockBh, //
    }, //
};
use core::{
    net::Ipv4Addr,
    sync::atomic::{
        AtomicU64,
        Ordering, //
    }, //
};
use kernel::{
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
    uses: SpinLockBh<RBTree<u64, Reservation>>,
}

/// One port at one address.
struct Reservation {
    reserved: ReservedPort,
    addr: Ipv4Addr,
    /// All uses.
    users: u32,
    /// Uses that do not allow others.
    strict: u32,
    /// Uses that listen.
    listening: u32,
    /// Chosen for a connection that leaves, and bound by nobody.
    outgoing: bool,
}

/// One socket's, or record's, use of a port.
pub(super) struct PortUse {
    ports: Arc<Ports>,
    key: u64,
    reuse: bool,
    listening: bool,
}

fn key(addr: Ipv4Addr, port: u16) -> u64 {
    u64::from(port) << 32 | u64::from(u32::from(addr))
}

fn port_of(key: u64) -> u16 {
    (key >> 32) as u16
}

fn overlap(a: Ipv4Addr, b: Ipv4Addr) -> bool {
    a == b || a.is_unspecified() || b.is_unspecified()
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

    /// Whether a new use of `port` at `addr` must be refused.
    fn conflicts(uses: &RBTree<u64, Reservation>, addr: Ipv4Addr, port: u16, reuse: bool) -> bool {
        Self::at(uses, port, |r| {
            overlap(r.addr, addr) && (!reuse || r.strict != 0 || r.listening != 0)
        })
    }

    /// Whether `f` holds for one of the reservations of `port`.
    fn at(
        uses: &RBTree<u64, Reservation>,
        port: u16,
        mut f: impl FnMut(&Reservation) -> bool,
    ) -> bool {
        let mut next = key(Ipv4Addr::UNSPECIFIED, port);
        while let Some(cursor) = uses.cursor_lower_bound(&next) {
            let (&at, reservation) = cursor.current();
            if port_of(at) != port {
                break;
            }
            if f(reservation) {
                return true;
            }
            next = at + 1;
        }
        false
    }

    /// Joins the first port above `after` at `addr` that only outgoing connections use: they share
    /// it as long as their peers differ, which is for the caller to see.
    pub(super) fn share(
        self: &Arc<Self>,
        addr: Ipv4Addr,
        after: u16,
        reuse: bool,
    ) -> Option<(PortUse, u16)> {
        let mut uses = self.uses.lock();
        let mut next = key(Ipv4Addr::UNSPECIFIED, after.checked_add(1)?);
        loop {
            let cursor = uses.cursor_lower_bound(&next)?;
            let (&at, r) = cursor.current();
            if r.outgoing && r.addr == addr {
                next = at;
                break;
            }
            next = at.checked_add(1)?;
        }
        let r = uses.get_mut(&next)?;
        r.users += 1;
        r.strict += u32::from(!reuse);
        drop(uses);
        Some((PortUse::new(self, next, reuse), port_of(next)))
    }

    /// Takes `port` at `addr`, or a free port for 0. May sleep.
    ///
    /// `outgoing`: the port is for a connection, others may [`share`](Self::share) it.
    pub(super) fn take(
        self: &Arc<Self>,
        net: &Net,
        addr: Ipv4Addr,
        port: u16,
        reuse: bool,
        outgoing: bool,
    ) -> Result<(PortUse, u16)> {
        if port != 0 {
            let mut uses = self.uses.lock();
            if Self::conflicts(&uses, addr, port, reuse) {
                return Err(EADDRINUSE);
            }
            if let Some(r) = uses.get_mut(&key(addr, port)) {
                r.users += 1;
                r.strict += u32::from(!reuse);
                r.outgoing = false;
                drop(uses);
                return Ok((PortUse::new(self, key(addr, port), reuse), port));
            }
        }
        let (reserved, port) = match ReservedPort::new(net, addr, port, reuse) {
            Err(e) if e == EADDRINUSE => {
                // The last use may be over, and the port on its way back.
                flush_released();
                ReservedPort::new(net, addr, port, reuse)?
            }
            other => other?,
        };
        let node = RBTreeNode::new(
            key(addr, port),
            Reservation {
                reserved,
                addr,
                users: 1,
                strict: u32::from(!reuse),
                listening: 0,
                outgoing,
            },
            GFP_KERNEL,
        )?;
        let mut uses = self.uses.lock();
        if Self::conflicts(&uses, addr, port, reuse) {
            drop(uses);
            return Err(EADDRINUSE);
        }
        let spare = match uses.get_mut(&key(addr, port)) {
            // Another task was here meanwhile, which two sockets that allow reuse can: its
            // reservation does for both.
            Some(r) => {
                r.users += 1;
                r.strict += u32::from(!reuse);
                r.outgoing &= outgoing;
                Some(node)
            }
            None => {
                uses.insert(node);
                self.mark(port, true);
                None
            }
        };
        drop(uses);
        // Outside the lock: gives the port back to AF_INET.
        drop(spare);
        Ok((PortUse::new(self, key(addr, port), reuse), port))
    }
}

impl PortUse {
    fn new(ports: &Arc<Ports>, key: u64, reuse: bool) -> Self {
        Self {
            ports: ports.clone(),
            key,
            reuse,
            listening: false,
        }
    }

    /// A use of the same port by a connection of a listener.
    pub(super) fn for_child(&self) -> Self {
        let mut uses = self.ports.uses.lock();
        if let Some(r) = uses.get_mut(&self.key) {
            r.users += 1;
            r.strict += u32::from(!self.reuse);
        }
        drop(uses);
        Self::new(&self.ports, self.key, self.reuse)
    }

    /// The socket begins to listen: no other may that overlaps, nor one that does not allow reuse.
    pub(super) fn listen(&mut self) -> Result {
        let reuse = self.reuse;
        let mut uses = self.ports.uses.lock();
        let addr = uses
            .get(&self.key)
            .map_or(Ipv4Addr::UNSPECIFIED, |r| r.addr);
        let own = self.key;
        let port = port_of(own);
        let busy = Ports::at(&uses, port, |r| {
            let is_own = key(r.addr, port) == own;
            let others = r.users - u32::from(is_own);
            let strict = r.strict - u32::from(is_own && !reuse);
            overlap(r.addr, addr) && (r.listening != 0 || strict != 0 || (others != 0 && !reuse))
        });
        if busy {
            return Err(EADDRINUSE);
        }
        if let Some(r) = uses.get_mut(&self.key) {
            r.listening += 1;
            // Two listeners on one port, ours and one of AF_INET, would hide one another.
            r.reserved.share(false);
        }
        drop(uses);
        self.listening = true;
        Ok(())
    }

    /// The socket no longer listens.
    pub(super) fn stop_listening(&mut self) {
        if core::mem::take(&mut self.listening) {
            if let Some(r) = self.ports.uses.lock().get_mut(&self.key) {
                r.listening -= 1;
                r.reserved.share(r.listening == 0 && r.strict == 0);
            }
        }
    }
}

impl Drop for PortUse {
    fn drop(&mut self) {
        self.stop_listening();
        let mut uses = self.ports.uses.lock();
        let Some(r) = uses.get_mut(&self.key) else {
            return;
        };
        r.users -= 1;
        r.strict -= u32::from(!self.reuse);
        if r.users != 0 {
            return;
        }
        let gone = uses.remove_node(&self.key);
        let port = port_of(self.key);
        if !Ports::at(&uses, port, |_| true) {
            self.ports.mark(port, false);
        }
        drop(uses);
        // Outside the lock: gives the port back to AF_INET.
        drop(gone);
    }
}
