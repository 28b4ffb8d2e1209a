// SPDX-License-Identifier: GPL-2.0

//! `shutdown(2)`, `close(2)`, and giving a connection up.

use super::{
    counters::Counter,
    fast_open_client,
    flush::{
        destroy,
        flush,
        forget_addresses,
        leave,
        retune, //
    },
    listen,
    orphan::{
        self,
        Orphan, //
    },
    records::Connection,
    socket::{
        Role,
        Tcp,
        TcpSock, //
    },
    urgent, //
};
use crate::{
    engine,
    net::{
        errno::ECONNRESET,
        sock::{
            Locked,
            Shutdown,
            SockState, //
        },
        wait::Wake, //
    }, //
};

/// `shutdown(2)`: a FIN behind what is queued.
pub(super) fn shutdown(sk: &mut Locked<'_, Tcp>, how: Shutdown) {
    if !how.contains(Shutdown::SEND) {
        return;
    }
    let now = super::now();
    if let Some(conn) = sk.state().connection() {
        conn.shutdown_write(now);
        flush(sk, now);
    }
}

/// Resets the connection, if there is one.
pub(super) fn abort(sk: &mut Locked<'_, Tcp>) {
    let now = super::now();
    if let Some(conn) = sk.state().connection() {
        conn.abort(now);
        flush(sk, now);
    }
    if sk.sock().is_dead() && is_closed(sk) {
        destroy(sk);
    }
}

/// Whether no connection is left that would need the socket.
fn is_closed(sk: &mut Locked<'_, Tcp>) -> bool {
    match &sk.state().role {
        Role::Idle => true,
        Role::Listener => false,
        Role::Connection(conn) => is_over(conn),
    }
}

/// Whether a connection does not need the socket any more: in TIME-WAIT a record stands for it.
fn is_over(conn: &Connection) -> bool {
    matches!(
        conn.state(),
        engine::State::Closed | engine::State::TimeWait
    )
}

/// `close(2)`: the last descriptor is gone.
pub(super) fn close(sk: &TcpSock, linger: isize) {
    // The socket's life may end below.
    let _keep = sk.get();
    let mut lock = sk.lock();
    lock.add_shutdown(Shutdown::BOTH);
    retune(&mut lock);
    let now = super::now();
    let state = lock.state();
    match &mut state.role {
        // Perhaps its SYN waited for a first write.
        Role::Idle => lock.set_kernel_state(SockState::Close),
        Role::Listener => listen::stop(&mut lock),
        Role::Connection(conn) => {
            let unread = conn.readable() > conn.read();
            // RFC 2525 section 2.17: data that nobody will read is not to be acknowledged as if
            // somebody had.
            if unread || sk.resets_on_close() {
                if !is_over(conn) {
                    let cause = if unread {
                        Counter::AbortOnClose
                    } else {
                        Counter::AbortOnData
                    };
                    state.namespace.counters.count(cause);
                }
                conn.abort(now);
            } else {
                conn.close(now);
            }
            flush(&mut lock, now);
            lock.purge_receive_queue();
        }
    }
    if linger > 0 {
        let mut timeout = linger;
        let _ = lock.wait_until(&mut timeout, Wake::All, |lock| !is_closing(lock));
    }
    lock.orphan();
    // From here on whoever ends the connection destroys the socket.
    if is_closed(&mut lock) {
        destroy(&mut lock);
    } else {
        let_go(&mut lock);
    }
}

/// Leaves the connection to itself, if the host can bear that.
fn let_go(sk: &mut Locked<'_, Tcp>) {
    if sk.sock().kernel_state() == SockState::FinWait2 as u8 {
        return;
    }
    sk.state().orphan = Some(Orphan::new());
    orphan::tell(sk);
    let now = super::now();
    if let Some(conn) = sk.state().connection() {
        conn.on_orphaned(now);
        if is_over(conn) {
            flush(sk, now);
        }
    }
}

/// Whether our FIN still waits for its ACK.
fn is_closing(sk: &mut Locked<'_, Tcp>) -> bool {
    [SockState::FinWait1, SockState::Closing, SockState::LastAck]
        .iter()
        .any(|state| *state as u8 == sk.sock().kernel_state())
}

/// Gives a connection or a listener up; the socket is as new, but for what the user bound.
pub(super) fn disconnect(sk: &mut Locked<'_, Tcp>) {
    let deferred = sk.sock().is_connect_deferred();
    match &sk.state().role {
        // As if the SYN had been sent.
        Role::Idle if deferred => sk.set_error(ECONNRESET),
        Role::Idle => {}
        Role::Listener => listen::stop(sk),
        Role::Connection(conn) => {
            // As `tcp_disconnect`: an error is left where the peer had to be told, or was being
            // called.
            let reset = !matches!(
                conn.state(),
                engine::State::Closed
                    | engine::State::Closing
                    | engine::State::LastAck
                    | engine::State::TimeWait
            );
            abort(sk);
            if reset {
                sk.set_error(ECONNRESET);
            }
        }
    }
    leave(sk);
    fast_open_client::forget(sk);
    let mut options = sk.sock().shared().options.lock();
    options.rto_min = engine::Config::LINUX.rto_min;
    options.delack_max = None;
    options.window_clamp = 0;
    options.max_segment = 0;
    drop(options);
    sk.state().role = Role::Idle;
    sk.state().saved_syn = None;
    sk.sock().shared().set_unread(0);
    sk.sock().shared().set_urgent(urgent::Seen::default());
    sk.purge_receive_queue();
    sk.set_kernel_state(SockState::Close);
    forget_addresses(sk);
    sk.clear_shutdown();
    sk.sock().report_error();
}
