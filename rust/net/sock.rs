// SPDX-License-Identifier: GPL-2.0

//! Sockets.
//!
//! A [`Sock`] is one object of the protocol: the kernel's `struct inet_sock` and room for its IPv6
//! part, then what the protocol keeps in two parts: `Shared`, which anybody who has a reference may
//! read, and `State`, which only the owner of the socket lock reaches, through [`Locked`].
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/net/inet_sock.h`](srctree/include/net/inet_sock.h)

mod lock;

pub(super) use self::lock::Held;
pub use self::lock::{
    BhLock,
    Locked,
    UserLock, //
};

use super::{
    bindings,
    bottom_half::BhDisabled,
    net_namespace::Net,
    pacing,
    proto::Protocol,
    small_queue::{
        self,
        SmallQueue, //
    }, //
};
use core::{
    cell::UnsafeCell,
    mem::MaybeUninit,
    ptr,
    sync::atomic::{
        AtomicBool,
        AtomicU32,
        Ordering, //
    },
};
use kernel::{
    error::{
        to_result,
        Error, //
    },
    prelude::*,
    sync::aref::{
        ARef,
        AlwaysRefCounted, //
    },
    types::Opaque,
};

/// States of a socket as the rest of the kernel knows them (`sk_state`).
///
/// `TIME_WAIT` and `NEW_SYN_RECV` are left out on purpose: code that finds a socket through a
/// packet takes an object in one of these for a smaller structure.
///
/// C header: [`include/net/tcp_states.h`](srctree/include/net/tcp_states.h)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum SockState {
    /// Connection established.
    Established = 1,
    /// SYN sent.
    SynSent = 2,
    /// SYN received, by simultaneous open or before the third ACK is taken in.
    SynRecv = 3,
    /// We closed, our FIN is not yet acknowledged.
    FinWait1 = 4,
    /// Our FIN is acknowledged, the peer's has not come.
    FinWait2 = 5,
    /// No connection.
    Close = 7,
    /// The peer closed, we did not.
    CloseWait = 8,
    /// Both closed, our FIN is not yet acknowledged, the peer closed first.
    LastAck = 9,
    /// Accepts connections.
    Listen = 10,
    /// Both closed at the same time.
    Closing = 11,
}

/// The two directions of `shutdown(2)`, as in `sk_shutdown`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shutdown(u8);

impl Shutdown {
    /// Nothing more is received.
    pub const RECEIVE: Self = Self(1);
    /// Nothing more is sent.
    pub const SEND: Self = Self(2);
    /// Both directions.
    pub const BOTH: Self = Self(3);

    /// The directions that the low two bits of `bits` name.
    pub fn from_bits(bits: u8) -> Self {
        Self(bits & 3)
    }

    /// Whether all directions of `other` are among these.
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The memory of one socket.
#[repr(C)]
pub(super) struct Object<P: Protocol> {
    /// First: the kernel casts between `struct sock` and `struct inet_sock`.
    pub(super) inet: bindings::inet_sock,
    /// What `inet.pinet6` points at in a socket of AF_INET6.
    pub(super) inet6: bindings::ipv6_pinfo,
    /// Work that found the socket owned by a process and waits for its release.
    deferred: AtomicBool,
    /// The reference that the socket's life is was given back.
    ended: AtomicBool,
    /// See [`super::label`].
    pub(super) peer_label: AtomicU32,
    /// The timer for paced departures, see [`super::pacing`].
    pub(super) departure: UnsafeCell<MaybeUninit<bindings::hrtimer>>,
    pub(super) queue: SmallQueue,
    shared: MaybeUninit<P::Shared>,
    state: UnsafeCell<MaybeUninit<P::State>>,
}

/// The place of the IPv6 part in a socket of `P`.
///
/// # Safety
///
/// `sk` must be a socket of `P`.
pub(super) unsafe fn pinet6<P: Protocol>(sk: *mut bindings::sock) -> *mut bindings::ipv6_pinfo {
    // SAFETY: By the requirement; a place in the object.
    unsafe { ptr::addr_of_mut!((*sk.cast::<Object<P>>()).inet6) }
}

/// A socket of protocol `P`.
///
/// # Invariants
///
/// The object is a live socket that was allocated with `P`'s `struct proto`; `shared` and `state`
/// are initialised; `state` is only accessed by the owner of the socket lock.
#[repr(transparent)]
pub struct Sock<P: Protocol>(Opaque<Object<P>>);

// SAFETY: All that is reachable without the socket lock is `P::Shared`, which is `Sync`, and fields
// of `struct sock` that the kernel itself reads without a lock.
unsafe impl<P: Protocol> Sync for Sock<P> {}

// SAFETY: Sockets are not bound to the task that made them, and `P::Shared` and `P::State` are
// `Send`.
unsafe impl<P: Protocol> Send for Sock<P> {}

// SAFETY: `sk_refcnt` keeps a socket alive, and all sockets have it.
unsafe impl<P: Protocol> AlwaysRefCounted for Sock<P> {
    fn inc_ref(&self) {
        // SAFETY: The socket is live by the type invariant.
        unsafe { bindings::sock_hold(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: ptr::NonNull<Self>) {
        // SAFETY: The caller gives up a reference that it owns.
        unsafe { bindings::sock_put(obj.cast().as_ptr()) };
    }
}

impl<P: Protocol> Sock<P> {
    /// Borrows the socket at `sk`.
    ///
    /// # Safety
    ///
    /// `sk` must be a socket of `P` that satisfies the type invariant and stays referenced for `'a`.
    pub(super) unsafe fn from_raw<'a>(sk: *mut bindings::sock) -> &'a Self {
        // SAFETY: `struct sock` is the first member of the first member of `Object`; the caller
        // promises the rest.
        unsafe { &*sk.cast() }
    }

    /// The kernel's socket.
    pub(super) fn as_raw(&self) -> *mut bindings::sock {
        self.0.get().cast()
    }

    /// The kernel's Internet socket.
    pub(super) fn as_inet(&self) -> *mut bindings::inet_sock {
        self.0.get().cast()
    }

    /// Takes a reference.
    pub fn get(&self) -> ARef<Self> {
        self.into()
    }

    /// What is reachable without the lock.
    pub fn shared(&self) -> &P::Shared {
        // SAFETY: Initialised and never mutably borrowed, by the type invariant.
        unsafe { (*self.0.get()).shared.assume_init_ref() }
    }

    fn deferred(&self) -> &AtomicBool {
        // SAFETY: The object is live; the field is only used through shared references.
        unsafe { &(*self.0.get()).deferred }
    }

    /// The namespace of the socket.
    pub fn net(&self) -> &Net {
        // SAFETY: A socket of user space holds its namespace; this pointer does not change in the
        // socket's life.
        unsafe { Net::from_raw(bindings::sock_net(self.as_raw())) }
    }

    /// Takes the socket lock for the calling task. May sleep.
    pub fn lock(&self) -> UserLock<'_, P> {
        // SAFETY: The socket is live, and the caller is in process context (it may sleep). The lock
        // is released when the result is dropped.
        unsafe {
            bindings::lock_sock(self.as_raw());
            UserLock(Held::new(self))
        }
    }

    /// Takes the lock as softirqs take it, or reports that a task owns it.
    pub fn lock_bh<'a>(&'a self, _bh: &'a BhDisabled) -> BhLock<'a, P> {
        // SAFETY: The socket is live, and softirqs are off until the lock is released, which is when
        // the result is dropped; `BhLock` lets nobody at the value while a task owns the socket.
        unsafe {
            bindings::bh_lock_sock_nested(self.as_raw());
            BhLock(Held::new(self))
        }
    }

    /// Runs `f` as a softirq would, from a task: under the spinlock, bottom halves disabled.
    ///
    /// For a socket that no task can own any more (or not yet); `None` where one does.
    pub fn with_bh_lock<R>(&self, f: impl FnOnce(&mut Locked<'_, P>) -> R) -> Option<R> {
        let bh = BhDisabled::new();
        let mut lock = self.lock_bh(&bh);
        lock.owned().map(f)
    }

    /// The state that the rest of the kernel sees.
    pub fn kernel_state(&self) -> u8 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).__sk_common.skc_state).read_volatile() }
    }

    /// Whether the socket listens.
    pub fn is_listening(&self) -> bool {
        self.kernel_state() == SockState::Listen as u8
    }

    /// The directions that are shut.
    pub fn shutdown(&self) -> Shutdown {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        Shutdown(unsafe { ptr::addr_of!((*self.as_raw()).sk_shutdown).read_volatile() })
    }

    /// Whether no file refers to the socket any more.
    pub fn is_dead(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::sock_flag(self.as_raw(), bindings::sock_flags_SOCK_DEAD) }
    }

    /// Whether the peer's FIN was taken in.
    pub fn is_done(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::sock_flag(self.as_raw(), bindings::sock_flags_SOCK_DONE) }
    }

    /// Whether `SO_OOBINLINE` is set.
    pub fn is_urgent_inline(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::sock_flag(self.as_raw(), bindings::sock_flags_SOCK_URGINLINE) }
    }

    /// Sends SIGURG to whoever asked for it.
    pub fn send_sigurg(&self) {
        // SAFETY: The socket is live.
        unsafe { bindings::sk_send_sigurg(self.as_raw()) };
    }

    /// Whether `SO_KEEPALIVE` is set.
    pub fn keeps_alive(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::sock_flag(self.as_raw(), bindings::sock_flags_SOCK_KEEPOPEN) }
    }

    /// `SO_LINGER` with a time of zero: a close resets the connection.
    pub fn resets_on_close(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe {
            bindings::sock_flag(self.as_raw(), bindings::sock_flags_SOCK_LINGER)
                && (*self.as_raw()).sk_lingertime == 0
        }
    }

    /// The pending error, 0 if none.
    pub fn error(&self) -> i32 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).sk_err).read_volatile() }
    }

    /// Takes the pending error.
    pub fn take_error(&self) -> Result {
        // SAFETY: The socket is live.
        to_result(unsafe { bindings::sock_error(self.as_raw()) })
    }

    /// Whether the error queue holds something.
    pub fn has_queued_error(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::skb_queue_empty_lockless(&(*self.as_raw()).sk_error_queue) == 0 }
    }

    /// The largest number of connections that may wait for `accept`.
    pub fn max_ack_backlog(&self) -> u32 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).sk_max_ack_backlog).read_volatile() }
    }

    /// Sets what [`Sock::max_ack_backlog`] returns.
    pub fn set_max_ack_backlog(&self, backlog: u32) {
        // SAFETY: The socket is live; the kernel writes this field without a lock as well.
        unsafe { ptr::addr_of_mut!((*self.as_raw()).sk_max_ack_backlog).write_volatile(backlog) };
    }

    /// Tells the rest of the kernel how many connections wait for `accept`.
    pub fn set_ack_backlog(&self, waiting: u32) {
        // SAFETY: The socket is live; the kernel writes this field without a lock as well.
        unsafe { ptr::addr_of_mut!((*self.as_raw()).sk_ack_backlog).write_volatile(waiting) };
    }

    /// Notes an error that may explain it if the connection fails later.
    pub fn set_soft_error(&self, error: Error) {
        // SAFETY: The socket is live; the kernel writes this field without a lock as well.
        unsafe {
            (&raw mut (*self.as_raw()).sk_err_soft).write_volatile(-error.to_errno());
        }
    }

    /// Whether there is one.
    pub fn has_soft_error(&self) -> bool {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { (&raw const (*self.as_raw()).sk_err_soft).read_volatile() != 0 }
    }

    /// Whether the user wants to hear of errors at once (`IP_RECVERR`, `IPV6_RECVERR`).
    pub fn wants_errors(&self) -> bool {
        // SAFETY: The socket is live, and an Internet one; the flag is read atomically.
        unsafe {
            if self.goes_by_ipv6() {
                bindings::inet6_test_recverr(self.as_raw())
            } else {
                bindings::ip_recverr(self.as_raw())
            }
        }
    }

    /// Tells whoever waits that data can be read.
    pub fn data_ready(&self) {
        // SAFETY: The socket is live and `sk_data_ready` is always set.
        unsafe {
            if let Some(f) = ptr::addr_of!((*self.as_raw()).sk_data_ready).read_volatile() {
                f(self.as_raw());
            }
        }
    }

    /// Tells whoever waits that the state changed.
    pub fn state_changed(&self) {
        // SAFETY: The socket is live and `sk_state_change` is always set.
        unsafe {
            if let Some(f) = (*self.as_raw()).sk_state_change {
                f(self.as_raw());
            }
        }
    }

    /// Sends SIGIO for a connection that was established.
    pub fn wake_async_out(&self) {
        // SAFETY: The socket is live.
        unsafe {
            bindings::sk_wake_async(
                self.as_raw(),
                bindings::SOCK_WAKE_IO as i32,
                bindings::POLL_OUT as i32,
            )
        };
    }

    /// Sends SIGIO for the peer's FIN.
    pub fn wake_async_hup(&self) {
        let band =
            if self.shutdown() == Shutdown::BOTH || self.kernel_state() == SockState::Close as u8 {
                bindings::POLL_HUP
            } else {
                bindings::POLL_IN
            };
        // SAFETY: The socket is live.
        unsafe {
            bindings::sk_wake_async(self.as_raw(), bindings::SOCK_WAKE_WAITD as i32, band as i32)
        };
    }

    /// Tells whoever waits that an error is pending.
    pub fn report_error(&self) {
        // SAFETY: The socket is live.
        unsafe { bindings::sk_error_report(self.as_raw()) };
    }

    /// Tells whoever waits for room in the send buffer, if there is some now.
    pub fn write_space(&self) {
        // SAFETY: The socket is live.
        unsafe { wake_writers(self.as_raw()) };
    }

    /// The number of bytes that `SO_RCVLOWAT` asks for before a reader wakes, at most `len`.
    pub fn receive_low_water(&self, wait_all: bool, len: usize) -> usize {
        // SAFETY: The socket is live.
        let n = unsafe {
            bindings::sock_rcvlowat(
                self.as_raw(),
                i32::from(wait_all),
                len.min(i32::MAX as usize) as i32,
            )
        };
        n.max(1) as usize
    }

    /// How many of the bytes that can be read the next peek passes over (`SO_PEEK_OFF`).
    pub fn peek_offset(&self) -> u32 {
        // SAFETY: The socket is live.
        unsafe { bindings::sk_peek_offset(self.as_raw(), bindings::MSG_PEEK as i32) }.max(0) as u32
    }

    /// Moves what [`Sock::peek_offset`] tells by so many bytes, if the user has set it.
    pub fn move_peek_offset(&self, by: i64) {
        const MOST: i64 = i32::MAX as i64;
        // SAFETY: The socket is live.
        unsafe { bindings::sk_peek_offset_fwd(self.as_raw(), by.clamp(-MOST, MOST) as i32) };
    }

    /// How long a reader waits, in jiffies; 0 for a call that must not.
    pub fn receive_timeout(&self, nonblock: bool) -> isize {
        // SAFETY: The socket is live.
        unsafe { bindings::sock_rcvtimeo(self.as_raw(), nonblock) }
    }

    /// How long a writer waits, in jiffies; 0 for a call that must not.
    pub fn send_timeout(&self, nonblock: bool) -> isize {
        // SAFETY: The socket is live.
        unsafe { bindings::sock_sndtimeo(self.as_raw(), nonblock) }
    }

    /// Whether there is room in the send buffer, with `wake` as a poller asks (a third must be
    /// free).
    pub fn is_writeable(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::__sk_stream_is_writeable(self.as_raw(), 1) }
    }

    /// Bytes of packets, with their overhead, that the host has not sent yet.
    pub fn queued(&self) -> u32 {
        // SAFETY: The socket is live.
        let bytes = unsafe { bindings::sk_wmem_alloc_get(self.as_raw()) };
        u32::try_from(bytes).unwrap_or(0)
    }

    /// Whether the user waits for room in the send buffer.
    pub fn awaits_write_space(&self) -> bool {
        let _rcu = kernel::sync::rcu::read_lock();
        // Pairs with a poller's order: it sets the flag first and then looks for room.
        kernel::sync::barrier::smp_mb();
        // SAFETY: The socket is live; `sk_socket` belongs to an inode that RCU frees.
        unsafe {
            let socket = ptr::addr_of!((*self.as_raw()).sk_socket).read_volatile();
            !socket.is_null() && bindings::socket_test_nospace(socket)
        }
    }

    /// Asks for a wake-up when there is room in the send buffer again, as a poller does.
    pub fn want_write_space(&self) {
        let _rcu = kernel::sync::rcu::read_lock();
        // SAFETY: The socket is live; `sk_socket` belongs to an inode that RCU frees.
        unsafe {
            let sk = self.as_raw();
            bindings::sk_set_async_nospace(sk);
            let socket = ptr::addr_of!((*sk).sk_socket).read_volatile();
            if !socket.is_null() {
                bindings::socket_set_nospace(socket);
            }
            // Pairs with the order of the writer's side: room first, then the look at the flag.
            kernel::sync::barrier::smp_mb();
        }
    }

    /// Size of the receive buffer and bytes of memory in it, both as the kernel counts.
    pub fn receive_memory(&self) -> (u32, u32) {
        // SAFETY: The socket is live; both fields are read without a lock by the kernel as well.
        unsafe {
            let sk = self.as_raw();
            (
                ptr::addr_of!((*sk).sk_rcvbuf).read_volatile().max(0) as u32,
                bindings::sk_rmem_alloc_get(sk).max(0) as u32,
            )
        }
    }

    /// Counts a packet that was for the socket and came to nothing (`SO_MEMINFO`).
    pub fn count_drop(&self) {
        // SAFETY: The socket is live; the counter is atomic.
        unsafe { bindings::sk_drops_inc(self.as_raw()) };
    }

    /// Bytes of memory in packets that wait for the task that owns the socket.
    pub fn backlog_memory(&self) -> u32 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).sk_backlog.len).read_volatile() }.max(0) as u32
    }

    /// Whether memory is short for the protocol, or for the socket's control group.
    pub fn is_memory_short(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::sk_under_memory_pressure(self.as_raw()) }
    }

    /// Whether the protocol's memory is used up and the socket has more than the least of it.
    pub fn is_memory_out(&self) -> bool {
        // SAFETY: The socket is live.
        unsafe { bindings::tcp_out_of_memory(self.as_raw()) }
    }

    /// Whether no file has the socket: not yet, or not any more.
    pub fn is_unowned(&self) -> bool {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).sk_socket).read_volatile() }.is_null()
    }

    /// `SO_RCVLOWAT`.
    pub fn low_water(&self) -> u32 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).sk_rcvlowat).read_volatile() }.max(1) as u32
    }

    /// Sets what [`Sock::low_water`] tells.
    pub fn set_low_water(&self, bytes: i32) {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of_mut!((*self.as_raw()).sk_rcvlowat).write_volatile(bytes) };
    }

    /// Whether `SO_RCVBUF` fixed the size of the receive buffer.
    pub fn is_receive_buffer_fixed(&self) -> bool {
        // SAFETY: The socket is live; a byte that `setsockopt` writes.
        let locks = unsafe { ptr::addr_of!((*self.as_raw()).sk_userlocks).read_volatile() };
        u32::from(locks) & bindings::SOCK_RCVBUF_LOCK != 0
    }

    /// Size of the send buffer and bytes in it.
    pub fn send_memory(&self) -> (u32, u32) {
        // SAFETY: The socket is live; both fields are read without a lock by the kernel as well.
        unsafe {
            let sk = self.as_raw();
            (
                ptr::addr_of!((*sk).sk_sndbuf).read_volatile().max(0) as u32,
                ptr::addr_of!((*sk).sk_wmem_queued).read_volatile().max(0) as u32,
            )
        }
    }

    /// Marks the end of the socket's life; true for the first who does.
    pub(super) fn end(&self) -> bool {
        // SAFETY: The object is live; the field is only used through shared references.
        let ended = unsafe { &(*self.0.get()).ended };
        !ended.swap(true, Ordering::Relaxed)
    }

    /// Leaves what is due to the task that owns the socket, for when it releases it.
    pub(super) fn defer(&self) {
        self.deferred().store(true, Ordering::Release);
    }
}

/// Wakes writers of `sk` that asked for it, where there is room, as `sk_stream_write_space` does.
///
/// # Safety
///
/// `sk` must be a live socket.
unsafe fn wake_writers(sk: *mut bindings::sock) {
    let _rcu = kernel::sync::rcu::read_lock();
    // SAFETY: `sk` is live. `sk_socket` and `sk_wq` belong to an inode that is freed after an RCU
    // grace period, so both can be followed under RCU once they are read.
    unsafe {
        let socket = ptr::addr_of!((*sk).sk_socket).read_volatile();
        if socket.is_null()
            || !bindings::socket_test_nospace(socket)
            || !bindings::__sk_stream_is_writeable(sk, 1)
        {
            return;
        }
        bindings::socket_clear_nospace(socket);
        let wq = bindings::sk_wq_dereference(sk);
        if bindings::skwq_has_sleeper(wq) {
            bindings::wake_up_interruptible_poll(
                &mut (*wq).wait,
                bindings::EPOLLOUT | bindings::EPOLLWRNORM | bindings::EPOLLWRBAND,
            );
        }
        if !wq.is_null() && !(*wq).fasync_list.is_null() && (*sk).sk_shutdown & 2 == 0 {
            bindings::sock_wake_async(
                wq,
                bindings::SOCK_WAKE_SPACE as i32,
                bindings::POLL_OUT as i32,
            );
        }
    }
}

/// `sk->sk_write_space`: a packet has left, or the send buffer has room.
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose memory is there.
pub(super) unsafe extern "C" fn write_space<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: By the requirement.
    unsafe {
        small_queue::completed::<P>(sk);
        wake_writers(sk);
    }
}

/// Initialises what the protocol keeps, in a socket that nobody else can lock yet.
///
/// # Safety
///
/// `sk` must be a socket of `P`; its `shared` and `state` must be uninitialised, and nobody else
/// may access them meanwhile.
pub(super) unsafe fn init_parts<P: Protocol>(
    sk: *mut bindings::sock,
    shared: impl PinInit<P::Shared, Error>,
    state: P::State,
) -> Result {
    let object: *mut Object<P> = sk.cast();
    // SAFETY: By the requirements; the object is never moved, so `shared` is pinned, and `shared`'s
    // slot is not dropped where the initialiser fails.
    unsafe {
        ptr::addr_of_mut!((*object).deferred).write(AtomicBool::new(false));
        ptr::addr_of_mut!((*object).ended).write(AtomicBool::new(false));
        ptr::addr_of_mut!((*object).peer_label).write(AtomicU32::new(0));
        pacing::init(object);
        SmallQueue::init::<P>(ptr::addr_of_mut!((*object).queue));
        shared.__pinned_init(ptr::addr_of_mut!((*object).shared).cast())?;
        (*ptr::addr_of!((*object).state))
            .get()
            .write(MaybeUninit::new(state));
    }
    Ok(())
}

/// Drops what the protocol keeps.
///
/// # Safety
///
/// `sk` must be a socket of `P` whose last reference is gone, with initialised parts.
pub(super) unsafe fn drop_parts<P: Protocol>(sk: *mut bindings::sock) {
    let object: *mut Object<P> = sk.cast();
    // SAFETY: Nobody else has a reference, by the requirements.
    unsafe {
        (*(*object).state.get()).assume_init_drop();
        (*object).shared.assume_init_drop();
    }
}

/// Takes the deferred mark of a socket away.
///
/// # Safety
///
/// `sk` must be a live socket of `P`.
pub(super) unsafe fn take_deferred<P: Protocol>(sk: *mut bindings::sock) -> bool {
    // SAFETY: By the requirements.
    let sk = unsafe { Sock::<P>::from_raw(sk) };
    // The plain load keeps the cache line shared in the usual case.
    sk.deferred().load(Ordering::Relaxed) && sk.deferred().swap(false, Ordering::AcqRel)
}
