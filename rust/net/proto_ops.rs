// SPDX-License-Identifier: GPL-2.0

//! The C side of [`Protocol`]: the functions whose pointers the kernel gets. Each only converts its
//! arguments and calls the trait.
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
    proto::Protocol,
    skbuff::Skb,
    sock::{
        self,
        Locked,
        Shutdown,
        Sock, //
    },
    socket_level,
    splice::Pipe, //
};
use core::{
    mem::size_of,
    net::{
        Ipv4Addr,
        SocketAddr, //
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
    prelude::*, //
};

/// The level of the protocol's own options, `SOL_TCP`.
const SOL_TCP: c_int = 6;

/// Checks a caller's address as `connect` of AF_INET does.
///
/// # Safety
///
/// `addr` must point at `len` readable bytes, and `len` must be at least 2 (the callers of
/// `proto->connect` see to both).
unsafe fn socket_address(addr: *mut bindings::sockaddr_unsized, len: c_int) -> Result<SocketAddr> {
    if (len as usize) < size_of::<bindings::sockaddr_in>() {
        return Err(EINVAL);
    }
    // SAFETY: Long enough, by the check above and the requirement; alignment is not assumed.
    let sin = unsafe { addr.cast::<bindings::sockaddr_in>().read_unaligned() };
    if u32::from(sin.sin_family) != bindings::AF_INET {
        return Err(super::errno::EAFNOSUPPORT);
    }
    Ok(SocketAddr::new(
        Ipv4Addr::from(u32::from_be(sin.sin_addr.s_addr)).into(),
        u16::from_be(sin.sin_port),
    ))
}

/// `net_proto_family->create`: makes a socket, as `inet_create` does.
///
/// # Safety
///
/// For the kernel, which calls it with a valid namespace and a new `socket`.
pub(super) unsafe extern "C" fn create<P: Protocol>(
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
        EAFNOSUPPORT,
        EPROTONOSUPPORT,
        ESOCKTNOSUPPORT, //
    };
    // SAFETY: The namespace is valid while the callback runs.
    let namespace = unsafe { Net::from_raw(net) };
    if !P::is_supported(namespace) {
        return Err(EAFNOSUPPORT);
    }
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
    let state = P::state(namespace);
    // SAFETY: The object is new and of our size, and nobody else knows it.
    let made = state.and_then(|state| unsafe { sock::init_parts::<P>(sk, P::shared(), state) });
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
        (*sk).sk_write_space = Some(sock::write_space::<P>);
        let core = bindings::net_core(net);
        bindings::sk_set_txrehash(sk, (&raw const (*core).sysctl_txrehash).read_volatile());
        bindings::inet_set_bit_mc_loop(sk);
        bindings::inet_set_bit_mc_all(sk);
        (*inet).uc_ttl = -1;
        (*inet).mc_ttl = 1;
        (*sk).sk_gso_type = bindings::SKB_GSO_TCPV4 as u16;
        bindings::sk_timer_setup(sk, Some(timer::<P>));
        bindings::socket_set_custom_sockopt(socket);
        bindings::socket_set_support_zc(socket);
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

/// `sk->sk_destruct`: the socket's memory is about to be freed.
///
/// # Safety
///
/// For the kernel, which calls it once in the life of a socket of `P`, after its last reference.
pub(super) unsafe extern "C" fn destruct<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: Called once, when the last reference is gone; `inet_sock_destruct` frees the kernel's
    // part.
    unsafe {
        sock::drop_parts::<P>(sk);
        bindings::inet_sock_destruct(sk);
    }
}

/// The function of `sk->sk_timer`.
///
/// # Safety
///
/// For the kernel, which calls it with the timer of a socket of `P` that the timer references.
pub(super) unsafe extern "C" fn timer<P: Protocol>(timer: *mut bindings::timer_list) {
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

/// `proto->backlog_rcv`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn backlog_rcv<P: Protocol>(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
) -> c_int {
    // SAFETY: The caller owns the socket lock and gives the packet away.
    unsafe { P::receive(&mut Locked::new(Sock::from_raw(sk)), Skb::from_raw(skb)) };
    0
}

/// `proto->release_cb`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn release_cb<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: The caller owns the socket lock.
    unsafe {
        if sock::take_deferred::<P>(sk) {
            P::timer(&mut Locked::new(Sock::from_raw(sk)));
        }
    }
}

/// `proto->unhash`, called by `sk_common_release`; the protocol leaves its tables by itself.
///
/// # Safety
///
/// None; the type of the callback asks for it.
pub(super) unsafe extern "C" fn unhash(_sk: *mut bindings::sock) {}

/// `proto->pre_connect`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn pre_connect(
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

/// `proto->connect`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn connect<P: Protocol>(
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

/// `proto->disconnect`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn disconnect<P: Protocol>(
    sk: *mut bindings::sock,
    _flags: c_int,
) -> c_int {
    // SAFETY: The caller owns the socket lock.
    from_result(|| unsafe { P::disconnect(&mut Locked::new(Sock::from_raw(sk))).map(|()| 0) })
}

/// `proto->get_port`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn get_port<P: Protocol>(sk: *mut bindings::sock, port: u16) -> c_int {
    // SAFETY: The caller owns the socket lock.
    from_result(|| unsafe { P::get_port(&mut Locked::new(Sock::from_raw(sk)), port).map(|()| 0) })
}

/// `proto->put_port`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn put_port<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: The caller owns the socket lock.
    unsafe { P::put_port(&mut Locked::new(Sock::from_raw(sk))) }
}

/// `proto->shutdown`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn shutdown<P: Protocol>(sk: *mut bindings::sock, how: c_int) {
    // SAFETY: The caller owns the socket lock.
    unsafe {
        P::shutdown(
            &mut Locked::new(Sock::from_raw(sk)),
            Shutdown::from_bits(how as u8),
        )
    }
}

/// `proto->keepalive`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn keepalive<P: Protocol>(sk: *mut bindings::sock, on: c_int) {
    // SAFETY: The caller owns the socket lock.
    unsafe { P::keepalive(&mut Locked::new(Sock::from_raw(sk)), on != 0) }
}

/// `proto->close`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` that it has a reference on.
pub(super) unsafe extern "C" fn close<P: Protocol>(sk: *mut bindings::sock, timeout: c_long) {
    // SAFETY: The caller's reference on the socket's life becomes the protocol's.
    P::close(unsafe { Sock::from_raw(sk) }, timeout);
}

/// `proto->accept`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` that it has a reference on.
pub(super) unsafe extern "C" fn accept<P: Protocol>(
    sk: *mut bindings::sock,
    arg: *mut bindings::proto_accept_arg,
) -> *mut bindings::sock {
    // SAFETY: The caller has a reference on the socket, and `arg` is valid while we run.
    unsafe {
        let nonblock = (*arg).flags & bindings::O_NONBLOCK as c_int != 0;
        match P::accept(Sock::from_raw(sk), nonblock) {
            Ok(accepted) => {
                (*arg).is_empty = i32::from(accepted.is_last);
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

/// `proto_ops->accept`
///
/// # Safety
///
/// For the kernel, which calls it with a listening `socket` and a new one.
pub(super) unsafe extern "C" fn accept_socket(
    socket: *mut bindings::socket,
    new: *mut bindings::socket,
    arg: *mut bindings::proto_accept_arg,
) -> c_int {
    // SAFETY: The callback's arguments are valid while it runs; `new` is not in a file yet.
    unsafe {
        bindings::socket_set_custom_sockopt(new);
        bindings::inet_accept(socket, new, arg)
    }
}

/// `proto_ops->setsockopt`, for options of all levels.
///
/// # Safety
///
/// For the kernel, which calls it with a `socket` whose `sk` is a socket of `P`.
pub(super) unsafe extern "C" fn set_any_option<P: Protocol>(
    socket: *mut bindings::socket,
    level: c_int,
    name: c_int,
    value: bindings::sockptr_t,
    len: c_uint,
) -> c_int {
    // SAFETY: The caller has a reference on the file, hence on the socket; `value` is what it got.
    unsafe {
        if level != bindings::SOL_SOCKET as c_int {
            return bindings::sock_common_setsockopt(socket, level, name, value, len);
        }
        from_result(|| socket_level::set::<P>(socket, name, value, len).map(|()| 0))
    }
}

/// `proto_ops->listen`
///
/// # Safety
///
/// For the kernel, which calls it with a `socket` whose `sk` is a socket of `P`.
pub(super) unsafe extern "C" fn listen<P: Protocol>(
    socket: *mut bindings::socket,
    backlog: c_int,
) -> c_int {
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

/// `proto_ops->poll`
///
/// # Safety
///
/// For the kernel, which calls it with a `socket` whose `sk` is a socket of `P`.
pub(super) unsafe extern "C" fn poll<P: Protocol>(
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

/// `proto_ops->set_rcvlowat`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn set_rcvlowat<P: Protocol>(
    sk: *mut bindings::sock,
    bytes: c_int,
) -> c_int {
    // SAFETY: The caller owns the socket lock.
    let mut locked = unsafe { Locked::new(Sock::from_raw(sk)) };
    P::set_low_water(&mut locked, bytes.max(0) as u32);
    0
}

/// `proto->stream_memory_free`
///
/// # Safety
///
/// For the kernel, which calls it with a live socket of `P`.
pub(super) unsafe extern "C" fn stream_memory_free<P: Protocol>(
    sk: *const bindings::sock,
    wake: c_int,
) -> bool {
    // SAFETY: The socket is live while the callback runs; what it reads needs no lock.
    P::takes_more(unsafe { Sock::from_raw(sk.cast_mut()) }, wake != 0)
}

/// `proto->ioctl`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` that it has a reference on.
pub(super) unsafe extern "C" fn ioctl<P: Protocol>(
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

/// `proto->setsockopt`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` that it has a reference on.
pub(super) unsafe extern "C" fn setsockopt<P: Protocol>(
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

/// `proto->getsockopt`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` that it has a reference on.
pub(super) unsafe extern "C" fn getsockopt<P: Protocol>(
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

/// `proto->sendmsg`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` that it has a reference on.
pub(super) unsafe extern "C" fn sendmsg<P: Protocol>(
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

/// `proto->recvmsg`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` that it has a reference on.
pub(super) unsafe extern "C" fn recvmsg<P: Protocol>(
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

/// `proto_ops->splice_read`
///
/// # Safety
///
/// For the kernel, which calls it with the `socket` of a file whose `sk` is a socket of `P`, and with
/// a pipe that it has locked.
pub(super) unsafe extern "C" fn splice_read<P: Protocol>(
    socket: *mut bindings::socket,
    position: *mut bindings::loff_t,
    pipe: *mut bindings::pipe_inode_info,
    len: usize,
    flags: c_uint,
) -> isize {
    // SAFETY: The arguments are valid while the callback runs; the file has the socket.
    let result = unsafe {
        if *position != 0 {
            return ESPIPE.to_errno() as isize;
        }
        let nonblock = (*(*socket).file).f_flags & bindings::O_NONBLOCK != 0;
        let mut pipe = Pipe::from_raw(pipe, flags);
        P::splice_read(Sock::from_raw((*socket).sk), &mut pipe, len, nonblock)
    };
    match result {
        // Not above the length of a call, which is a positive `ssize_t`.
        Ok(moved) => moved as isize,
        Err(e) => e.to_errno() as isize,
    }
}

/// `proto_ops->splice_eof`
///
/// # Safety
///
/// For the kernel, which calls it with a `socket` whose `sk` is a socket of `P`.
pub(super) unsafe extern "C" fn splice_eof<P: Protocol>(socket: *mut bindings::socket) {
    // SAFETY: The caller has a reference on the file, hence on the socket.
    P::splice_eof(unsafe { Sock::from_raw((*socket).sk) });
}
