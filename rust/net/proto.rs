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
    msg::{
        Msg,
        OptionIn,
        OptionOut, //
    },
    net_namespace::Net,
    skbuff::Skb,
    sock::{
        self,
        Locked,
        Object,
        Shutdown,
        Sock, //
    }, //
};
use core::{
    mem::{
        offset_of,
        size_of, //
    },
    net::{
        Ipv4Addr,
        SocketAddrV4, //
    },
    ptr, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::{
        c_int,
        c_long,
        c_uint, //
    },
    prelude::*,
    sync::aref::ARef,
    types::Opaque,
    ThisModule, //
};

/// A stream protocol over IPv4.
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

    /// Makes what a new socket keeps.
    fn shared() -> impl PinInit<Self::Shared, Error>;
    /// Makes what a new socket keeps under its lock.
    ///
    /// Fails while the protocol comes or goes.
    fn state(net: &Net) -> Result<Self::State>;

    /// A socket was made; sets what differs from the defaults of sockets.
    fn opened(sk: &mut Locked<'_, Self>);
    /// `connect(2)`: begins to connect.
    fn connect(sk: &mut Locked<'_, Self>, peer: SocketAddrV4) -> Result;
    /// Gives a connection or a listener up, the socket may be used again.
    fn disconnect(sk: &mut Locked<'_, Self>) -> Result;
    /// `bind(2)`: takes `port`, or a free one for 0, at the socket's receive address.
    fn get_port(sk: &mut Locked<'_, Self>, port: u16) -> Result;
    /// Gives the port back.
    fn put_port(sk: &mut Locked<'_, Self>);
    /// `listen(2)` on a socket that is closed or listens.
    fn listen(sk: &mut Locked<'_, Self>, backlog: u32) -> Result;
    /// `accept(2)`.
    fn accept(sk: &Sock<Self>, nonblock: bool) -> Result<Accepted<Self>>;
    /// The last descriptor is gone; waits at most `linger` jiffies for the end.
    fn close(sk: &Sock<Self>, linger: isize);
    /// `shutdown(2)`; the flags of the socket are already set.
    fn shutdown(sk: &mut Locked<'_, Self>, how: Shutdown);
    /// `sendmsg(2)`.
    fn sendmsg(sk: &Sock<Self>, msg: &mut Msg<'_>, len: usize) -> Result<usize>;
    /// `recvmsg(2)`.
    fn recvmsg(sk: &Sock<Self>, msg: &mut Msg<'_>, len: usize) -> Result<usize>;
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
    /// A packet, of those that waited while a task owned the socket or straight from the network.
    fn receive(sk: &mut Locked<'_, Self>, skb: Skb);
    /// The socket's timer fired, or a deferred one is due.
    fn timer(sk: &mut Locked<'_, Self>);
}

/// What [`Protocol::accept`] hands over.
pub struct Accepted<P: Protocol> {
    /// The connection.
    pub sock: ARef<Sock<P>>,
    /// No other one waits.
    pub is_last: bool,
}

/// The level of the protocol's own options, `SOL_TCP`.
const SOL_TCP: c_int = 6;

/// Storage for the C tables of one protocol, filled in by [`Registration::new`].
pub struct Tables {
    proto: Opaque<bindings::proto>,
    ops: Opaque<bindings::proto_ops>,
    family: Opaque<bindings::net_proto_family>,
}

// SAFETY: Written once, before anybody else can reach them, then only by the kernel, which has its
// own rules for that.
unsafe impl Sync for Tables {}

impl Tables {
    /// Empty tables.
    pub const fn new() -> Self {
        Self {
            proto: Opaque::zeroed(),
            ops: Opaque::zeroed(),
            family: Opaque::zeroed(),
        }
    }
}

/// A registered protocol and family. Dropping it takes both back; the module's reference count keeps
/// that from happening while a socket exists.
pub struct Registration<P: Protocol>(core::marker::PhantomData<P>);

impl<P: Protocol> Registration<P> {
    /// Registers protocol and family.
    pub fn new(module: &'static ThisModule) -> Result<Self> {
        let tables = P::tables();
        // SAFETY: The tables are not registered yet, so nobody else looks at them. (A second
        // registration of the same family is refused by `sock_register` below; it would be a bug.)
        unsafe {
            Self::fill_proto(tables.proto.get(), module);
            Self::fill_ops(tables.ops.get(), module);
            *tables.family.get() = bindings::net_proto_family {
                family: P::FAMILY as c_int,
                create: Some(create::<P>),
                owner: module.as_ptr(),
            };
            to_result(bindings::proto_register(tables.proto.get(), 1))?;
            if let Err(e) = to_result(bindings::sock_register(tables.family.get())) {
                bindings::proto_unregister(tables.proto.get());
                return Err(e);
            }
        }
        Ok(Self(core::marker::PhantomData))
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
            *to = *from as _;
        }
        // SAFETY: By the requirement.
        unsafe {
            *proto = bindings::proto {
                close: Some(close::<P>),
                pre_connect: Some(pre_connect),
                connect: Some(connect::<P>),
                disconnect: Some(disconnect::<P>),
                accept: Some(accept::<P>),
                ioctl: Some(ioctl::<P>),
                shutdown: Some(shutdown::<P>),
                setsockopt: Some(setsockopt::<P>),
                getsockopt: Some(getsockopt::<P>),
                keepalive: Some(keepalive::<P>),
                sendmsg: Some(sendmsg::<P>),
                recvmsg: Some(recvmsg::<P>),
                backlog_rcv: Some(backlog_rcv::<P>),
                release_cb: Some(release_cb::<P>),
                unhash: Some(unhash),
                get_port: Some(get_port::<P>),
                put_port: Some(put_port::<P>),
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
                accept: Some(bindings::inet_accept),
                getname: Some(bindings::inet_getname),
                poll: Some(poll::<P>),
                ioctl: Some(bindings::inet_ioctl),
                gettstamp: Some(bindings::sock_gettstamp),
                listen: Some(listen::<P>),
                shutdown: Some(bindings::inet_shutdown),
                setsockopt: Some(bindings::sock_common_setsockopt),
                getsockopt: Some(bindings::sock_common_getsockopt),
                sendmsg: Some(bindings::inet_sendmsg),
                recvmsg: Some(bindings::inet_recvmsg),
                mmap: Some(bindings::sock_no_mmap),
                ..pin_init::zeroed()
            };
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
    }
}

/// Checks a caller's address as `connect` of AF_INET does.
///
/// # Safety
///
/// `addr` must point at `len` readable bytes, and `len` must be at least 2 (the callers of
/// `proto->connect` see to both).
unsafe fn socket_address(
    addr: *mut bindings::sockaddr_unsized,
    len: c_int,
) -> Result<SocketAddrV4> {
    if (len as usize) < size_of::<bindings::sockaddr_in>() {
        return Err(EINVAL);
    }
    // SAFETY: Long enough, by the check above and the requirement; alignment is not assumed.
    let sin = unsafe { addr.cast::<bindings::sockaddr_in>().read_unaligned() };
    if u32::from(sin.sin_family) != bindings::AF_INET {
        return Err(super::errno::EAFNOSUPPORT);
    }
    Ok(SocketAddrV4::new(
        Ipv4Addr::from(u32::from_be(sin.sin_addr.s_addr)),
        u16::from_be(sin.sin_port),
    ))
}

/// Makes a socket, as `inet_create` does.
unsafe extern "C" fn create<P: Protocol>(
    net: *mut bindings::net,
    socket: *mut bindings::socket,
    protocol: c_int,
    kern: c_int,
) -> c_int {
    // SAFETY: The callback's arguments are valid while it runs.
    from_result(|| unsafe { create_sock::<P>(net, socket, protocol, kern) }.map(|()| 0))
}

/// # Safety
///
/// As `net_proto_family::create`.
unsafe fn create_sock<P: Protocol>(
    net: *mut bindings::net,
    socket: *mut bindings::socket,
    protocol: c_int,
    kern: c_int,
) -> Result {
    use super::errno::{
        EPROTONOSUPPORT,
        ESOCKTNOSUPPORT, //
    };
    if !(0..bindings::IPPROTO_MAX as c_int).contains(&protocol) {
        return Err(EINVAL);
    }
    // SAFETY: Valid while the callback runs.
    let kind = u32::from(unsafe { (*socket).type_ } as u16);
    if kind != bindings::sock_type_SOCK_STREAM {
        return Err(ESOCKTNOSUPPORT);
    }
    if protocol != 0 && protocol != bindings::IPPROTO_TCP as c_int {
        return Err(EPROTONOSUPPORT);
    }

    let tables = P::tables();
    // SAFETY: `net` is valid, and the tables are registered, or nobody would call us.
    let sk = unsafe {
        bindings::sk_alloc(
            net,
            bindings::PF_INET as c_int,
            bindings::GFP_KERNEL,
            tables.proto.get(),
            kern,
        )
    };
    if sk.is_null() {
        return Err(ENOMEM);
    }
    // SAFETY: The namespace is valid; the object is new and of our size, and nobody else knows it.
    let made = P::state(unsafe { Net::from_raw(net) })
        .and_then(|state| unsafe { sock::init_parts::<P>(sk, P::shared(), state) });
    if let Err(e) = made {
        // SAFETY: The only reference, and `sk_destruct` is not set yet.
        unsafe { bindings::sk_free(sk) };
        return Err(e);
    }

    // SAFETY: The socket is ours alone. The values are those of `inet_create`.
    unsafe {
        let inet: *mut bindings::inet_sock = sk.cast();
        (*inet).pmtudisc = if bindings::ip_no_pmtu_disc(net) != 0 {
            bindings::IP_PMTUDISC_DONT as u8
        } else {
            bindings::IP_PMTUDISC_WANT as u8
        };
        bindings::sock_init_data(socket, sk);
        (*sk).sk_destruct = Some(destruct::<P>);
        (*sk).sk_protocol = P::PROTOCOL;
        (*sk).sk_backlog_rcv = Some(backlog_rcv::<P>);
        (*sk).sk_write_space = Some(sock::write_space);
        bindings::inet_set_bit_mc_loop(sk);
        bindings::inet_set_bit_mc_all(sk);
        (*inet).uc_ttl = -1;
        (*inet).mc_ttl = 1;
        (*sk).sk_gso_type = bindings::SKB_GSO_TCPV4 as u16;
        bindings::sk_timer_setup(sk, Some(timer::<P>));
        (*socket).ops = tables.ops.get();

        if kern == 0 {
            if let Err(e) = to_result(bindings::BPF_CGROUP_RUN_PROG_INET_SOCK(sk)) {
                bindings::sk_common_release(sk);
                (*socket).sk = ptr::null_mut();
                return Err(e);
            }
        }
        bindings::sk_sockets_allocated_inc(sk);
        P::opened(&mut Locked::new(Sock::from_raw(sk)));
    }
    Ok(())
}

impl<P: Protocol> Sock<P> {
    /// Makes a connection of a listener's, from a softirq. The child comes locked, with the options
    /// of its parent, and with two references: its life, and the one that is returned.
    ///
    /// Fails without memory.
    pub fn clone_child(
        &self,
        shared: impl PinInit<P::Shared, Error>,
        state: P::State,
        local: SocketAddrV4,
        peer: SocketAddrV4,
        with: impl FnOnce(&mut Locked<'_, P>),
    ) -> Result<ARef<Self>> {
        // SAFETY: The listener is live; `sk_clone` does not change it.
        let sk = unsafe { bindings::sk_clone(self.as_raw(), bindings::GFP_ATOMIC, true) };
        let raw = ptr::NonNull::new(sk).ok_or(ENOMEM)?;
        // SAFETY: The child is a copy of the listener, byte by byte: everything of it that owns
        // something is written anew before anybody can see it (it is locked, and in no table). Its
        // parts are copies that must not be dropped, so they count as uninitialised.
        unsafe {
            let inet: *mut bindings::inet_sock = sk.cast();
            #[cfg(CONFIG_IPV6)]
            {
                (*inet).pinet6 = ptr::null_mut();
                (*inet).ipv6_fl_list = ptr::null_mut();
            }
            (*sk).__sk_common.skc_cookie = pin_init::zeroed();
            bindings::inet_id_set(sk, bindings::get_random_u16());
            (*inet).inet_opt = ptr::null_mut();
            (*inet).mc_list = ptr::null_mut();
            ptr::addr_of_mut!((*inet).cork).write_bytes(0, 1);
            (*sk).__sk_common.skc_state = sock::SockState::SynRecv as u8;
            (*sk).sk_max_ack_backlog = 0;
            (*sk).sk_ack_backlog = 0;
            (*sk).sk_frag = pin_init::zeroed();
            (*sk).sk_rx_dst = ptr::null_mut();
            bindings::sk_timer_setup(sk, Some(timer::<P>));
            if let Err(e) = sock::init_parts::<P>(sk, shared, state) {
                // As `sk_clone` itself gives a half-made child back.
                (*sk).__sk_common.skc_state = sock::SockState::Close as u8;
                (*sk).sk_destruct = None;
                bindings::sk_sockets_allocated_dec(sk);
                bindings::bh_unlock_sock(sk);
                bindings::sock_put(sk);
                bindings::sk_free(sk);
                return Err(e);
            }
            let child = Sock::<P>::from_raw(sk);
            let mut lock = sock::BhLock::from_held(Locked::new(child));
            if let Some(locked) = lock.owned() {
                locked.set_local_address(*local.ip());
                locked.set_port(local.port());
                locked.set_peer(peer);
                bindings::sk_set_txhash(sk);
                with(locked);
            }
            drop(lock);
            Ok(ARef::from_raw(raw.cast()))
        }
    }
}

/// The socket's memory is about to be freed.
unsafe extern "C" fn destruct<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: Called once, when the last reference is gone; `inet_sock_destruct` frees the kernel's
    // part.
    unsafe {
        sock::drop_parts::<P>(sk);
        bindings::inet_sock_destruct(sk);
    }
}

unsafe extern "C" fn timer<P: Protocol>(timer: *mut bindings::timer_list) {
    // SAFETY: The timer of a live socket: a pending timer holds a reference, given back below.
    unsafe {
        let sk = bindings::sk_from_timer(timer);
        let mut lock = Sock::<P>::from_raw(sk).lock_bh();
        match lock.owned() {
            Some(locked) => P::timer(locked),
            None => lock.defer(),
        }
        drop(lock);
        bindings::sock_put(sk);
    }
}

unsafe extern "C" fn backlog_rcv<P: Protocol>(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: The caller owns the socket lock and gives the packet away.
    unsafe { P::receive(&mut Locked::new(Sock::from_raw(sk)), Skb::from_raw(skb)) };
    0
}

unsafe extern "C" fn release_cb<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: The caller owns the socket lock.
    unsafe {
        if sock::take_deferred::<P>(sk) {
            P::timer(&mut Locked::new(Sock::from_raw(sk)));
        }
    }
}

/// Called by `sk_common_release`; our tables are left by the protocol itself.
unsafe extern "C" fn unhash(_sk: *mut bindings::sock) {}

unsafe extern "C" fn pre_connect(
    sk: *mut bindings::sock,
    addr: *mut bindings::sockaddr_unsized,
    mut len: c_int,
) -> c_int {
    if (len as usize) < size_of::<bindings::sockaddr_in>() {
        return EINVAL.to_errno();
    }
    // SAFETY: As `tcp_v4_pre_connect`: the lock is held and the address is long enough.
    unsafe { bindings::BPF_CGROUP_RUN_PROG_INET4_CONNECT(sk, addr, &mut len) }
}

unsafe extern "C" fn connect<P: Protocol>(
    sk: *mut bindings::sock,
    addr: *mut bindings::sockaddr_unsized,
    len: c_int,
) -> c_int {
    // SAFETY: The caller owns the socket lock and has checked that `len` is at least 2.
    from_result(|| unsafe {
        P::connect(
            &mut Locked::new(Sock::from_raw(sk)),
            socket_address(addr, len)?,
        )
        .map(|()| 0)
    })
}

unsafe extern "C" fn disconnect<P: Protocol>(sk: *mut bindings::sock, _flags: c_int) -> c_int {
    // SAFETY: The caller owns the socket lock.
    from_result(|| unsafe { P::disconnect(&mut Locked::new(Sock::from_raw(sk))).map(|()| 0) })
}

unsafe extern "C" fn get_port<P: Protocol>(sk: *mut bindings::sock, port: u16) -> c_int {
    // SAFETY: The caller owns the socket lock.
    from_result(|| unsafe { P::get_port(&mut Locked::new(Sock::from_raw(sk)), port).map(|()| 0) })
}

unsafe extern "C" fn put_port<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: The caller owns the socket lock.
    unsafe { P::put_port(&mut Locked::new(Sock::from_raw(sk))) }
}

unsafe extern "C" fn shutdown<P: Protocol>(sk: *mut bindings::sock, how: c_int) {
    // SAFETY: The caller owns the socket lock.
    unsafe { P::shutdown(&mut Locked::new(Sock::from_raw(sk)), Shutdown::from_bits(how as u8)) }
}

unsafe extern "C" fn keepalive<P: Protocol>(sk: *mut bindings::sock, on: c_int) {
    // SAFETY: The caller owns the socket lock.
    unsafe { P::keepalive(&mut Locked::new(Sock::from_raw(sk)), on != 0) }
}

unsafe extern "C" fn close<P: Protocol>(sk: *mut bindings::sock, timeout: c_long) {
    // SAFETY: The caller's reference on the socket's life becomes the protocol's.
    P::close(unsafe { Sock::from_raw(sk) }, timeout as isize);
}

unsafe extern "C" fn accept<P: Protocol>(
    sk: *mut bindings::sock,
    arg: *mut bindings::proto_accept_arg,
) -> *mut bindings::sock {
    // SAFETY: The caller has a reference on the socket, and `arg` is valid while we run.
    unsafe {
        let nonblock = (*arg).flags & bindings::O_NONBLOCK as c_int != 0;
        match P::accept(Sock::from_raw(sk), nonblock) {
            Ok(accepted) => {
                (*arg).is_empty = accepted.is_last as _;
                // The child's life keeps it: a connection lives until its file closes it.
                accepted.sock.as_raw()
            }
            Err(e) => {
                (*arg).err = e.to_errno();
                ptr::null_mut()
            }
        }
    }
}

unsafe extern "C" fn listen<P: Protocol>(socket: *mut bindings::socket, backlog: c_int) -> c_int {
    // SAFETY: The caller has a reference on the file, hence on the socket.
    let sk = unsafe { Sock::<P>::from_raw((*socket).sk) };
    from_result(|| {
        let mut lock = sk.lock();
        // SAFETY: Read under the socket lock, as `inet_listen` does.
        if unsafe { (*socket).state } != bindings::socket_state_SS_UNCONNECTED {
            return Err(EINVAL);
        }
        P::listen(&mut lock, backlog as u32).map(|()| 0)
    })
}

unsafe extern "C" fn poll<P: Protocol>(
    file: *mut bindings::file,
    socket: *mut bindings::socket,
    table: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: The arguments are valid while the callback runs.
    unsafe {
        bindings::sock_poll_wait(file, socket, table);
        P::poll(Sock::from_raw((*socket).sk))
    }
}

unsafe extern "C" fn ioctl<P: Protocol>(
    sk: *mut bindings::sock,
    request: c_int,
    value: *mut c_int,
) -> c_int {
    // SAFETY: The caller has a reference; `value` is a kernel integer.
    from_result(|| unsafe {
        *value = P::ioctl(Sock::from_raw(sk), request as u32)?;
        Ok(0)
    })
}

unsafe extern "C" fn setsockopt<P: Protocol>(
    sk: *mut bindings::sock,
    level: c_int,
    name: c_int,
    value: bindings::sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: The caller has a reference on the socket; `value` is what it got from user space.
    unsafe {
        if level != SOL_TCP {
            return bindings::ip_setsockopt(sk, level, name, value, len);
        }
        from_result(|| {
            P::setsockopt(Sock::from_raw(sk), name, OptionIn::new(value, len)).map(|()| 0)
        })
    }
}

unsafe extern "C" fn getsockopt<P: Protocol>(
    sk: *mut bindings::sock,
    level: c_int,
    name: c_int,
    value: *mut kernel::ffi::c_char,
    len: *mut c_int,
) -> c_int {
    // SAFETY: The caller has a reference on the socket; both pointers are user space's.
    unsafe {
        if level != SOL_TCP {
            return bindings::ip_getsockopt(sk, level, name, value.cast(), len);
        }
        from_result(|| {
            P::getsockopt(Sock::from_raw(sk), name, OptionOut::new(value.cast(), len)).map(|()| 0)
        })
    }
}

unsafe extern "C" fn sendmsg<P: Protocol>(
    sk: *mut bindings::sock,
    msg: *mut bindings::msghdr,
    len: usize,
) -> c_int {
    // SAFETY: The caller has a reference; `msg` is a message to send for as long as we run.
    from_result(|| unsafe {
        let sent = P::sendmsg(Sock::from_raw(sk), &mut Msg::from_raw(msg), len)?;
        Ok(sent.min(c_int::MAX as usize) as c_int)
    })
}

unsafe extern "C" fn recvmsg<P: Protocol>(
    sk: *mut bindings::sock,
    msg: *mut bindings::msghdr,
    len: usize,
    flags: c_int,
) -> c_int {
    if flags & bindings::MSG_ERRQUEUE as c_int != 0 {
        // SAFETY: As the callback.
        return unsafe { bindings::inet_recv_error(sk, msg, len as c_int) };
    }
    // SAFETY: The caller has a reference; `msg` is a message to fill for as long as we run.
    from_result(|| unsafe {
        let mut msg = Msg::for_receive(msg, flags);
        let got = P::recvmsg(Sock::from_raw(sk), &mut msg, len)?;
        Ok(got.min(c_int::MAX as usize) as c_int)
    })
}
