// SPDX-License-Identifier: GPL-2.0

//! Connections that nobody owns any more: how many there are, and may be.

use super::socket::Tcp;
use crate::{
    engine::Resources,
    net::{
        sock::Locked,
        sysctl, //
    }, //
};
use core::sync::atomic::{
    AtomicU32,
    Ordering, //
};

/// How many there are, in all namespaces.
static ORPHANS: AtomicU32 = AtomicU32::new(0);

/// One of them, for as long as it counts. As in Linux it does not in FIN-WAIT-2, where nothing is left
/// to deliver, nor in TIME-WAIT.
pub(super) struct Orphan(());

impl Orphan {
    pub(super) fn new() -> Self {
        ORPHANS.fetch_add(1, Ordering::Relaxed);
        Self(())
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        ORPHANS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Tells the engine what is left, if that concerns the connection.
pub(super) fn tell(sk: &mut Locked<'_, Tcp>) {
    let sock = sk.sock();
    if !sock.is_dead() {
        return;
    }
    let resources = Resources {
        orphans: ORPHANS.load(Ordering::Relaxed),
        max_orphans: sysctl::max_orphans(),
        memory_out: sock.is_memory_out(),
        soft_error: sock.has_soft_error(),
    };
    if let Some(conn) = sk.state().connection() {
        conn.set_resources(resources);
    }
}
