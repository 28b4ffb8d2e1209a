// SPDX-License-Identifier: GPL-2.0

//! Protocols, and the family through which user space reaches them.
//!
//! A type that implements [`Protocol`] becomes a `struct proto`, a `struct proto_ops` and a
//! `struct net_proto_family`. What AF_INET does for every stream protocol (checks of addresses and
//! privileges in `bind`, the states of `struct socket`, the cgroup programs) is left to the kernel's
//! own `inet_*` functions; each callback here only converts its arguments and calls the trait.
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/linux/net.h`](srctree/include/linux/net.h)

use super::{
    bindings,
    mapped_receive,
    msg::{
        Msg,
        OptionIn,
        OptionOut, //
    },
    net_namespace::Net,
    proto_ops,
    skbuff::Skb,
    sock::{
        Locked,
        Object,
        Shutdown,
        Sock,
        SockState, //
    },
    splice::Pipe, //
};
use core::{
    mem::{
        offset_of,
        size_of, //
    },
    net::SocketAddr,
    ptr,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    }, //
};
use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_uint, //
    },
    prelude::*,
    sync::aref::ARef,
    types::Opaque,
    ThisModule, //
};

/// A stream protocol over IP.
pub trait Protocol: Sized + 'static {
    /// What can be reached without the socket lock.
    type Shared: Send + Sync;
    /// What is reached under the socket lock.
    type State: Send;

    /// The family number for `socket(2)`.
    const FAMILY: u32;
    /// The name of the protocol, of its slab cache and of its family; at most 31 bytes.
    const NAME: &'static CStr;
    /// What sockets carry as `sk_protocol`; its low byte goes into the IP header.
    const PROTOCOL: u16;

    /// Where the C tables of this protocol are.
    fn tables() -> &'static Tables;

    /// Whether sockets can be made in a namespace.
    fn is_supported(net: &Net) -> bool;
    /// Makes what a new socket keeps.
    fn shared() -> impl PinInit<Self::Shared, Error>;
    /// Makes what a new socket keeps under its lock.
    ///
    /// Fails while the protocol comes or goes.
    fn state(net: &Net) -> Result<Self::State>;

    /// A socket of AF_INET6 is about to be made. Fails with `EAFNOSUPPORT` where the host does without
    /// IPv6. May sleep.
    fn prepare_inet6(net: &Net) -> Result;
    /// A socket was made; sets what differs from the defaults of sockets.
    fn opened(sk: &mut Locked<'_, Self>);
    /// The state that the rest of the kernel sees is about to change from `old`.
    fn state_changes(sk: &mut Locked<'_, Self>, old: u8, new: SockState);
    /// `connect(2)`: begins to connect.
    fn connect(sk: &mut Locked<'_, Self>, peer: SocketAddr) -> Result;
    /// Gives a connection or a listener up, the socket may be used again.
    fn disconnect(sk: &mut Locked<'_, Self>) -> Result;
    /// `bind(2)`: takes `port`, or a free one for 0, at the socket's receive address.
    fn get_port(sk: &mut Locked<'_, Self>, port: u16) -> Result;
    /// Gives the port back.
    fn put_port(sk: &mut Locked<'_, Self>);

    /// An option was set that has a say in who may share the port (`SO_REUSEADDR`, `SO_REUSEPORT`,
    /// `SO_BINDTODEVICE`). May sleep.
    fn binding_changed(sk: &mut Locked<'_, Self>);
    /// `listen(2)` on a socket that is closed or listens.
    fn listen(sk: &mut Locked<'_, Self>, backlog: u32) -> Result;
    /// `accept(2)`.
    fn accept(sk: &Sock<Self>, nonblock: bool) -> Result<Accepted<Self>>;
    /// The last descriptor is gone; waits at most `linger` jiffies for the end.
    fn close(sk: &Sock<Self>, linger: isize);
    /// `shutdown(2)`; the flags of the socket are already set.
    fn shutdown(sk: &mut Locked<'_, Self>, how: Shutdown);
    /// The sequence number of the next byte to be written, or else to be acknowledged.
    fn stamp_base(sk: &mut Locked<'_, Self>, written: bool) -> u32;
    /// `sendmsg(2)`.
    fn sendmsg(sk: &Sock<Self>, msg: &mut Msg<'_>, len: usize) -> Result<usize>;
    /// `recvmsg(2)`.
    fn recvmsg(sk: &Sock<Self>, msg: &mut Msg<'_>, len: usize) -> Result<usize>;
    /// `splice(2)` into a pipe.
    fn splice_read(sk: &Sock<Self>, to: &mut Pipe, len: usize, nonblock: bool) -> Result<usize>;
    /// `sendfile(2)` or `splice(2)` have come to the end of a file whose bytes were sent with the
    /// promise of more.
    fn splice_eof(sk: &Sock<Self>);
    /// Whether the protocol, beside the memory of the send buffer, lets more be written; where `wake`,
    /// so much that it is worth to wake a writer. The socket need not be locked.
    fn takes_more(sk: &Sock<Self>, wake: bool) -> bool;
    /// The events that are true now, `EPOLL*`.
    fn poll(sk: &Sock<Self>) -> u32;
    /// `ioctl(2)`, the requests that return one integer.
    fn ioctl(sk: &Sock<Self>, request: u32) -> Result<i32>;
    /// `setsockopt(2)` at the protocol's level.
    fn setsockopt(sk: &Sock<Self>, name: i32, value: OptionIn) -> Result;
    /// `getsockopt(2)` at the protocol's level.
    fn getsockopt(sk: &Sock<Self>, name: i32, value: OptionOut) -> Result;
    /// `SO_KEEPALIVE` is about to become `on`.
    fn keepalive(sk: &mut Locked<'_, Self>, on: bool);
    /// `SO_RCVBUF` fixed the size of the receive buffer.
    fn receive_buffer_set(sk: &mut Locked<'_, Self>, bytes: u32);
    /// `SO_RCVLOWAT` of so many bytes.
    fn set_low_water(sk: &mut Locked<'_, Self>, bytes: u32);
    /// A packet, of those that waited while a task owned the socket. It is still that task's; what
    /// [`Locked::defer`] asks for is done once all of them were given.
    fn receive(sk: &mut Locked<'_, Self>, skb: Skb);
    /// A departure that [`Locked::arm_departure`] asked for is due.
    fn departure(sk: &mut Locked<'_, Self>);
    /// The socket's timer fired, a deferred one is due, or [`Locked::defer`] asked for this.
    fn timer(sk: &mut Locked<'_, Self>);
}

/// What [`Protocol::accept`] hands over.
pub struct Accepted<P: Protocol> {
    /// The connection.
    pub sock: ARef<Sock<P>>,
    /// No other one waits.
    pub is_last: bool,
}

/// Storage for the C tables of one protocol, filled in by [`Registration::new`].
pub struct Tables {
    pub(super) proto: Opaque<bindings::proto>,
    pub(super) ops: Opaque<bindings::proto_ops>,
    pub(super) ops6: Opaque<bindings::proto_ops>,
    family: Opaque<bindings::net_proto_family>,
    /// Somebody registers them, or has.
    taken: AtomicBool,
}

// SAFETY: Written by the one who has set `taken`, before anybody else can reach them, then only by the
// kernel, which has its own rules for that.
unsafe impl Sync for Tables {}

impl Default for Tables {
    fn default() -> Self {
        Self::new()
    }
}

impl Tables {
    /// Empty tables.
    pub const fn new() -> Self {
        Self {
            proto: Opaque::zeroed(),
            ops: Opaque::zeroed(),
            ops6: Opaque::zeroed(),
            family: Opaque::zeroed(),
            taken: AtomicBool::new(false),
        }
    }
}

/// A registered protocol and family. Dropping it takes both back; the module's reference count keeps
/// that from happening while a socket exists.
pub struct Registration<P: Protocol>(core::marker::PhantomData<P>);

impl<P: Protocol> Registration<P> {
    /// Registers protocol and family. Fails with `EBUSY` where they are registered.
    pub fn new(module: &'static ThisModule) -> Result<Self> {
        let taken = &P::tables().taken;
        if taken.swap(true, Ordering::Acquire) {
            return Err(EBUSY);
        }
        Self::register(module)
            .inspect_err(|_| taken.store(false, Ordering::Release))
            .map(|()| Self(core::marker::PhantomData))
    }

    fn register(module: &'static ThisModule) -> Result {
        let tables = P::tables();
        // SAFETY: The tables are the caller's alone and not registered yet, so nobody else looks at
        // them.
        unsafe {
            Self::fill_proto(tables.proto.get(), module);
            Self::fill_ops(tables.ops.get(), module);
            Self::fill_ops(tables.ops6.get(), module);
            Self::make_ops_inet6(tables.ops6.get());
            *tables.family.get() = bindings::net_proto_family {
                family: P::FAMILY as c_int,
                create: Some(proto_ops::create::<P>),
                owner: module.as_ptr(),
            };
            to_result(bindings::proto_register(tables.proto.get(), 1))?;
            if let Err(e) = to_result(bindings::sock_register(tables.family.get())) {
                bindings::proto_unregister(tables.proto.get());
                return Err(e);
            }
        }
        Ok(())
    }

    /// # Safety
    ///
    /// `proto` must be valid for writes.
    unsafe fn fill_proto(proto: *mut bindings::proto, module: &'static ThisModule) {
        // SAFETY: `tcp_prot` is a live object of the kernel; we copy the pointers to TCP's memory
        // counters, which exist as long as the kernel.
        let tcp = unsafe { &*ptr::addr_of!(bindings::tcp_prot) };
        let mut name = [0; 32];
        for (to, from) in name.iter_mut().zip(P::NAME.to_bytes()) {
            *to = *from;
        }
        // SAFETY: By the requirement.
        unsafe {
            *proto = bindings::proto {
                close: Some(proto_ops::close::<P>),
                pre_connect: Some(proto_ops::pre_connect),
                connect: Some(proto_ops::connect::<P>),
                disconnect: Some(proto_ops::disconnect::<P>),
                accept: Some(proto_ops::accept::<P>),
                ioctl: Some(proto_ops::ioctl::<P>),
                shutdown: Some(proto_ops::shutdown::<P>),
                setsockopt: Some(proto_ops::setsockopt::<P>),
                getsockopt: Some(proto_ops::getsockopt::<P>),
                keepalive: Some(proto_ops::keepalive::<P>),
                sendmsg: Some(proto_ops::sendmsg::<P>),
                recvmsg: Some(proto_ops::recvmsg::<P>),
                backlog_rcv: Some(proto_ops::backlog_rcv::<P>),
                release_cb: Some(proto_ops::release_cb::<P>),
                unhash: Some(proto_ops::unhash),
                get_port: Some(proto_ops::get_port::<P>),
                put_port: Some(proto_ops::put_port::<P>),
                enter_memory_pressure: tcp.enter_memory_pressure,
                leave_memory_pressure: tcp.leave_memory_pressure,
                memory_allocated: tcp.memory_allocated,
                per_cpu_fw_alloc: tcp.per_cpu_fw_alloc,
                sockets_allocated: tcp.sockets_allocated,
                memory_pressure: tcp.memory_pressure,
                sysctl_mem: tcp.sysctl_mem,
                sysctl_wmem_offset: tcp.sysctl_wmem_offset,
                sysctl_rmem_offset: tcp.sysctl_rmem_offset,
                max_header: tcp.max_header,
                stream_memory_free: Some(proto_ops::stream_memory_free::<P>),
                no_autobind: true,
                obj_size: size_of::<Object<P>>() as c_uint,
                ipv6_pinfo_offset: offset_of!(Object<P>, inet6) as c_uint,
                owner: module.as_ptr(),
                name,
                ..pin_init::zeroed()
            };
        }
    }

    /// # Safety
    ///
    /// `ops` must be valid for writes.
    unsafe fn fill_ops(ops: *mut bindings::proto_ops, module: &'static ThisModule) {
        // SAFETY: By the requirement.
        unsafe {
            *ops = bindings::proto_ops {
                family: bindings::PF_INET as c_int,
                owner: module.as_ptr(),
                release: Some(bindings::inet_release),
                bind: Some(bindings::inet_bind),
                connect: Some(bindings::inet_stream_connect),
                socketpair: Some(bindings::sock_no_socketpair),
                accept: Some(proto_ops::accept_socket::<P>),
                getname: Some(bindings::inet_getname),
                poll: Some(proto_ops::poll::<P>),
                ioctl: Some(bindings::inet_ioctl),
                gettstamp: Some(bindings::sock_gettstamp),
                listen: Some(proto_ops::listen::<P>),
                shutdown: Some(bindings::inet_shutdown),
                setsockopt: Some(proto_ops::set_any_option::<P>),
                getsockopt: Some(bindings::sock_common_getsockopt),
                sendmsg: Some(bindings::inet_sendmsg),
                recvmsg: Some(bindings::inet_recvmsg),
                splice_eof: Some(proto_ops::splice_eof::<P>),
                splice_read: Some(proto_ops::splice_read::<P>),
                set_peek_off: Some(bindings::sk_set_peek_off),
                mmap: Some(mapped_receive::mmap),
                set_rcvbuf: Some(proto_ops::set_rcvbuf::<P>),
                set_rcvlowat: Some(proto_ops::set_rcvlowat::<P>),
                ..pin_init::zeroed()
            };
        }
    }
}

impl<P: Protocol> Registration<P> {
    /// Makes the operations of an AF_INET socket those of one of AF_INET6.
    ///
    /// # Safety
    ///
    /// `ops` must be valid for writes.
    unsafe fn make_ops_inet6(ops: *mut bindings::proto_ops) {
        // SAFETY: By the requirement.
        unsafe {
            (*ops).family = bindings::PF_INET6 as c_int;
            (*ops).release = Some(bindings::inet6_release);
            (*ops).bind = Some(bindings::inet6_bind);
            (*ops).getname = Some(bindings::inet6_getname);
            (*ops).ioctl = Some(bindings::inet6_ioctl);
        }
    }
}

impl<P: Protocol> Drop for Registration<P> {
    fn drop(&mut self) {
        // SAFETY: Both were registered by `new`, and no socket of the protocol exists: sockets hold
        // a reference on the module.
        unsafe {
            bindings::sock_unregister(P::FAMILY as c_int);
            bindings::proto_unregister(P::tables().proto.get());
        }
        P::tables().taken.store(false, Ordering::Release);
    }
}
