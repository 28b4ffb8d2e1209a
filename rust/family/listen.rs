// SPDX-License-Identifier: GPL-2.0

//! Listeners: how they begin and end.

use super::{
    connect::take_port,
    counters::Counter,
    entry::{
        retire,
        Record, //
    },
    fast_open,
    flush::leave,
    migrate::Heirs,
    namespace::Namespace,
    socket::{
        Role,
        Tcp,
        TcpSock, //
    }, //
};
use crate::net::{
    port::Claim,
    sock::{
        Locked,
        SockState, //
    }, //
};
use kernel::prelude::*;

/// `listen(2)`: opens the queues and enters the table.
pub(super) fn listen(sk: &mut Locked<'_, Tcp>, backlog: u32) -> Result {
    let sock = sk.sock();
    let state = sock.kernel_state();
    if state != SockState::Close as u8 && !sock.is_listening() {
        return Err(EINVAL);
    }
    let backlog = backlog.min(sock.net().somaxconn());
    sock.set_max_ack_backlog(backlog);
    if sock.is_listening() {
        return sock.shared().queue.open(backlog);
    }
    if fast_open::is_offered_unasked(sock.net().fast_open()) && sock.shared().queue.fast_open() == 0
    {
        sock.shared().queue.set_fast_open(backlog);
    }
    match sk.state().port.as_mut() {
        Some(port) => port.listen()?,
        None => take_port(sk, 0, Claim::Listen)?,
    }
    if let Err(e) = begin(sk, backlog) {
        if let Some(port) = sk.state().port.as_mut() {
            port.stop_listening();
        }
        return Err(e);
    }
    Ok(())
}

fn begin(sk: &mut Locked<'_, Tcp>, backlog: u32) -> Result {
    let sock = sk.sock();
    let namespace = sk.state().namespace.clone();
    sock.shared().queue.open(backlog)?;
    sk.reset_route();
    // As `inet_csk_listen_start`, which forgets what is known of acknowledgments.
    sock.shared().options.lock().interactive = false;
    sk.state().role = Role::Listener;
    sk.set_kernel_state(SockState::Listen);
    let listening = namespace.listeners.add(&namespace, sk);
    match listening {
        Ok(place) => sk.state().place = Some(place),
        Err(_) => stop(sk),
    }
    listening.map(drop)
}

/// Ends listening: connections that nobody accepted are reset, unless another listener takes them.
pub(super) fn stop(sk: &mut Locked<'_, Tcp>) {
    let sock = sk.sock();
    sk.set_kernel_state(SockState::Close);
    sk.state().role = Role::Idle;
    if let Some(port) = sk.state().port.as_mut() {
        port.stop_listening();
    }
    let grouped = sock.is_in_group();
    let namespace = sk.state().namespace.clone();
    let heirs = sk.state().place.take().map(|place| {
        namespace.listeners.remove(&namespace, &place, sock);
        Heirs::of(&namespace, &place, sock, grouped)
    });
    leave(sk);
    let queue = &sock.shared().queue;
    while let Some(child) = queue.close() {
        match &heirs {
            Some(heirs) => heirs.pass_on(child),
            None => forget(&child),
        }
    }
    sock.set_ack_backlog(0);
    if queue.half_open() != 0 {
        namespace.table.for_each(|node| {
            let mut record = node.value().record.lock();
            let ours = matches!(
                &*record,
                Record::HalfOpen(h) if core::ptr::eq(&*h.listener, sock)
            );
            let orphaned = ours && !heirs.as_ref().is_some_and(|heirs| heirs.adopt(&mut record));
            drop(record);
            if orphaned {
                if let Some(node) = node.get() {
                    drop(retire(&node));
                }
            }
        });
    }
}

/// Counts a connection that a listener does not take. As `tcp_listendrop`.
pub(super) fn count_drop(namespace: &Namespace, listener: &TcpSock) {
    namespace.counters.count(Counter::ListenDrops);
    listener.count_drop();
}

/// Resets a connection that will never be accepted.
pub(super) fn forget(child: &TcpSock) {
    child.with_bh_lock(|child| {
        child.orphan();
        super::close::abort(child);
    });
}
