// SPDX-License-Identifier: GPL-2.0

//! The socket lock and what may be done under it.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::{
    Shutdown,
    Sock,
    SockState, //
};
use crate::net::{
    bindings,
    proto::Protocol,
    rope::Memory,
    skbuff::Skb,
    time::jiffies_after, //
};
use core::{
    ops::{
        Deref,
        DerefMut, //
    },
    ptr, //
};
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// Proof that the caller has the socket lock, and the way to the state under it.
///
/// # Invariants
///
/// The lock of `sk` is held, and is this value's alone, for as long as it lives; a wait gives it up
/// and takes it again before it returns.
///
/// Everybody but the holder of the lock sees it by reference and as a type without a size known in
/// advance: what lies behind two references cannot be swapped then, which would part a guard from
/// its lock.
pub struct Locked<'a, P: Protocol, S: ?Sized = [()]> {
    sk: &'a Sock<P>,
    _not_send: NotThreadSafe,
    _unsized: S,
}

/// A [`Locked`] in its place, of a size.
pub(in crate::net) type Held<'a, P> = Locked<'a, P, [(); 0]>;

impl<'a, P: Protocol> Held<'a, P> {
    /// # Safety
    ///
    /// The caller must have the lock of `sk`, and nobody else may make use of it, for as long as the
    /// result lives.
    pub(in crate::net) unsafe fn new(sk: &'a Sock<P>) -> Self {
        // INVARIANT: By the requirement.
        Self {
            sk,
            _not_send: NotThreadSafe,
            _unsized: [],
        }
    }
}

impl<'a, P: Protocol, S: ?Sized> Locked<'a, P, S> {
    /// The socket.
    pub fn sock(&self) -> &'a Sock<P> {
        self.sk
    }

    pub(in super::super) fn raw(&self) -> *mut bindings::sock {
        self.sk.as_raw()
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// The state under the lock.
    pub fn state(&mut self) -> &mut P::State {
        // SAFETY: The lock is held, so nobody else has a reference; `&mut self` keeps this from
        // giving out a second one. Initialised by the type invariant of `Sock`.
        unsafe { (*(*self.sk.0.get()).state.get()).assume_init_mut() }
    }

    /// Publishes a change of state.
    pub fn set_kernel_state(&mut self, state: SockState) {
        let old = self.sk.kernel_state();
        if old != state as u8 {
            P::state_changes(self, old, state);
            // SAFETY: The lock is held.
            unsafe { bindings::inet_sk_set_state(self.raw(), state as i32) };
        }
    }

    /// Shuts directions down.
    pub fn add_shutdown(&mut self, how: Shutdown) {
        let value = self.sk.shutdown().0 | how.0;
        // SAFETY: The lock is held.
        unsafe { ptr::addr_of_mut!((*self.raw()).sk_shutdown).write_volatile(value) };
    }

    /// Opens both directions again, for a socket that may connect once more.
    pub fn clear_shutdown(&mut self) {
        // SAFETY: The lock is held.
        unsafe {
            ptr::addr_of_mut!((*self.raw()).sk_shutdown).write_volatile(0);
            bindings::sock_reset_flag(self.raw(), bindings::sock_flags_SOCK_DONE);
        }
    }

    /// Notes that the peer's FIN was taken in.
    pub fn set_done(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::sock_set_flag(self.raw(), bindings::sock_flags_SOCK_DONE) };
    }

    /// Asks the task that owns the socket to look at its deadlines when it releases it.
    pub fn defer(&mut self) {
        self.sk.defer();
    }

    /// Leaves an error for the next call.
    pub fn set_error(&mut self, error: Error) {
        // SAFETY: The lock is held.
        unsafe {
            ptr::addr_of_mut!((*self.raw()).sk_err).write_volatile(-error.to_errno());
            // Pairs with the barrier of poll, between its reads of the state and of the error.
            kernel::sync::barrier::smp_wmb();
        }
    }

    /// Takes the error that was noted in case that the connection fails, see
    /// [`Sock::set_soft_error`].
    pub fn take_soft_error(&mut self) -> Option<Error> {
        // SAFETY: The lock is held; a plain integer, which others only write as a whole.
        let error = unsafe {
            let place = &raw mut (*self.raw()).sk_err_soft;
            let error = place.read_volatile();
            place.write_volatile(0);
            error
        };
        (error != 0).then(|| Error::from_errno(-error))
    }

    /// Cuts the socket from its file.
    pub fn orphan(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::sock_orphan(self.raw()) };
    }

    /// Whether `SO_SNDBUF`, or `SO_RCVBUF`, fixed the size of a buffer.
    pub fn buffers_fixed(&self) -> (bool, bool) {
        // SAFETY: The lock is held.
        let locks = u32::from(unsafe { (*self.raw()).sk_userlocks });
        (
            locks & bindings::SOCK_SNDBUF_LOCK != 0,
            locks & bindings::SOCK_RCVBUF_LOCK != 0,
        )
    }

    /// Sets the size of the send buffer.
    pub fn set_send_buffer(&mut self, bytes: u32) {
        // SAFETY: The lock is held.
        unsafe {
            ptr::addr_of_mut!((*self.raw()).sk_sndbuf)
                .write_volatile(bytes.min(i32::MAX as u32) as i32)
        };
    }

    /// Whether there is memory for a larger send buffer, as `tcp_should_expand_sndbuf` asks. Under
    /// pressure it becomes what the socket has reserved.
    pub fn may_expand_send_buffer(&mut self) -> bool {
        // SAFETY: The lock is held.
        unsafe {
            if bindings::sk_under_memory_pressure(self.raw()) {
                let reserved = bindings::sk_unused_reserved_mem(self.raw());
                if reserved > bindings::SOCK_MIN_SNDBUF {
                    self.set_send_buffer(reserved as u32);
                }
                return false;
            }
            bindings::sk_memory_allocated(self.raw()) < bindings::sk_prot_mem_limits(self.raw(), 0)
        }
    }

    /// Sets the size of the receive buffer.
    pub fn set_receive_buffer(&mut self, bytes: u32) {
        // SAFETY: The lock is held.
        unsafe {
            ptr::addr_of_mut!((*self.raw()).sk_rcvbuf)
                .write_volatile(bytes.min(i32::MAX as u32) as i32)
        };
    }

    /// Arms the socket's timer to fire after `delay_ns` nanoseconds, at the earliest.
    pub fn arm_timer(&mut self, delay_ns: u64) {
        let expires = jiffies_after(delay_ns);
        // SAFETY: The lock is held and `sk_timer` was set up when the socket was made.
        unsafe { bindings::sk_reset_timer(self.raw(), bindings::sk_timer(self.raw()), expires) };
    }

    /// Stops the socket's timers.
    pub fn stop_timer(&mut self) {
        // SAFETY: The lock is held and `sk_timer` was set up when the socket was made.
        unsafe { bindings::sk_stop_timer(self.raw(), bindings::sk_timer(self.raw())) };
        self.stop_departure();
    }

    /// Accounts for memory that left the send buffer.
    pub fn uncharge_send(&mut self, memory: Memory) {
        let Memory { charged, pinned } = memory;
        // SAFETY: The lock is held, and the bytes were counted when they came.
        unsafe {
            bindings::sk_wmem_queued_add(self.raw(), -((charged + pinned) as i32));
            bindings::sk_mem_uncharge(self.raw(), charged as i32);
        }
    }

    /// Tells the routing layer that the route may be at fault.
    pub fn doubt_route(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::__dst_negative_advice(self.raw()) };
    }

    /// Changes the hash of the flow, by which switches choose among equal paths, unless the user forbids
    /// that; returns whether it was changed.
    pub fn choose_other_path(&mut self) -> bool {
        // SAFETY: The lock is held.
        unsafe { bindings::__sk_rethink_txhash_reset_dst(self.raw()) }
    }

    /// Tells the routing layer that the peer is alive.
    pub fn confirm_route(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::sk_dst_confirm(self.raw()) };
    }

    /// Frees what the kernel's part of a closed socket holds, and the reference that the socket's
    /// life was.
    ///
    /// The caller must not use the connection any more; it still has a reference of its own.
    pub fn destroy(&mut self) {
        self.stop_timer();
        if !self.sk.end() {
            return;
        }
        // SAFETY: The lock is held, and nobody was here before for this socket.
        unsafe {
            bindings::sk_stream_kill_queues(self.raw());
            bindings::xfrm_sk_free_policy(self.raw());
            bindings::sk_sockets_allocated_dec(self.raw());
            bindings::sock_put(self.raw());
        }
    }
}

/// The socket lock, owned by a task.
pub struct UserLock<'a, P: Protocol>(pub(super) Held<'a, P>);

impl<'a, P: Protocol> Deref for UserLock<'a, P> {
    type Target = Locked<'a, P>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<P: Protocol> DerefMut for UserLock<'_, P> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<P: Protocol> Drop for UserLock<'_, P> {
    fn drop(&mut self) {
        // SAFETY: This task owns the lock.
        unsafe { bindings::release_sock(self.0.raw()) };
    }
}

/// The socket's spinlock, held by a softirq, with or without a task that owns the socket.
pub struct BhLock<'a, P: Protocol>(pub(super) Held<'a, P>);

impl<'a, P: Protocol> BhLock<'a, P> {
    /// Takes over a spinlock that is held.
    ///
    /// # Safety
    ///
    /// The lock must be the spinlock, and softirqs be off for as long as the result lives.
    pub(in crate::net) unsafe fn from_held(locked: Held<'a, P>) -> Self {
        Self(locked)
    }

    /// The socket.
    pub fn sock(&self) -> &'a Sock<P> {
        self.0.sk
    }

    /// Exclusive access, if no task owns the socket.
    pub fn owned(&mut self) -> Option<&mut Locked<'a, P>> {
        // SAFETY: The spinlock is held.
        if unsafe { bindings::sock_owned_by_user(self.0.raw()) } {
            None
        } else {
            Some(&mut self.0)
        }
    }

    /// Asks the task that owns the socket to look at its deadlines when it releases it.
    pub fn defer(&mut self) {
        self.0.sk.defer();
    }

    /// Leaves a packet for the task that owns the socket. Gives it back where the backlog is full.
    pub fn add_backlog(&mut self, skb: Skb) -> core::result::Result<(), Skb> {
        let (rcvbuf, _) = self.0.sk.receive_memory();
        let (sndbuf, _) = self.0.sk.send_memory();
        // The kernel's own limit: room for the buffers and for the ACKs of what is in flight.
        let limit = rcvbuf
            .saturating_mul(2)
            .saturating_add(sndbuf / 2)
            .saturating_add(64 * 1024);
        skb.add_to_backlog(self.0.raw(), limit)
    }
}

impl<P: Protocol> Drop for BhLock<'_, P> {
    fn drop(&mut self) {
        // SAFETY: The spinlock is held.
        unsafe { bindings::bh_unlock_sock(self.0.raw()) };
    }
}
