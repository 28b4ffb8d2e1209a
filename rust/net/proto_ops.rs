// SPDX-License-Identifier: GPL-2.0

//! The C side of [`Protocol`]: the functions whose pointers the kernel gets. Each only converts its
//! arguments and calls the trait.
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/linux/net.h`](srctree/include/linux/net.h)

mod create;

pub(super) use self::create::create;

use super::{
    bindings,
    bottom_half::BhDisabled,
    ip::from_in6,
    label,
    msg::{
        Msg,
        OptionIn,
        OptionOut, //
    },
    proto::Protocol,
    skbuff::Skb,
    sock::{
        self,
        Held,
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
        SocketAddr,
        SocketAddrV6, //
    },
    ptr, //
};
use kernel::{
    error::from_result,
    ffi::{
        c_int,
        c_long,
        c_uint, //
    },
    prelude::*, //
};

/// The level of the protocol's own options, `SOL_TCP`.
const SOL_TCP: c_int = 6;

/// The least length of a `sockaddr_in6`: RFC 2133's has no scope.
const SIN6_LEN_MIN: usize = 24;

/// Checks a caller's address as `connect` of AF_INET and AF_INET6 does. One of IPv6 has flow label and
/// scope as the caller wrote them.
///
/// # Safety
///
/// `addr` must point at `len` readable bytes, and `len` must be at least 2 (the callers of
/// `proto->connect` see to both).
unsafe fn socket_address<P: Protocol>(
    sk: &Sock<P>,
    addr: *mut bindings::sockaddr_unsized,
    len: c_int,
) -> Result<SocketAddr> {
    if sk.is_inet6() {
        // SAFETY: By the requirement.
        return unsafe { socket_address_v6(addr, len as usize) }.map(SocketAddr::V6);
    }
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

/// # Safety
///
/// As [`socket_address`].
unsafe fn socket_address_v6(
    addr: *mut bindings::sockaddr_unsized,
    len: usize,
) -> Result<SocketAddrV6> {
    if len < SIN6_LEN_MIN {
        return Err(EINVAL);
    }
    let mut sin6 = bindings::sockaddr_in6::default();
    let whole = len.min(size_of::<bindings::sockaddr_in6>());
    // SAFETY: By the requirement; any octets make an address.
    unsafe { ptr::copy_nonoverlapping(addr.cast::<u8>(), (&raw mut sin6).cast::<u8>(), whole) };
    if whole < size_of::<bindings::sockaddr_in6>() {
        sin6.sin6_scope_id = 0;
    }
    if u32::from(sin6.sin6_family) != bindings::AF_INET6 {
        return Err(super::errno::EAFNOSUPPORT);
    }
    Ok(SocketAddrV6::new(
        from_in6(&sin6.sin6_addr),
        u16::from_be(sin6.sin6_port),
        sin6.sin6_flowinfo,
        sin6.sin6_scope_id,
    ))
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
        let mut lock = Sock::<P>::from_raw(sk).lock_bh(BhDisabled::already());
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
    unsafe { P::receive(&mut Held::new(Sock::from_raw(sk)), Skb::from_raw(skb)) };
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
            P::timer(&mut Held::new(Sock::from_raw(sk)));
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
    // SAFETY: The lock is held.
    let is_inet6 = u32::from(unsafe { (*sk).__sk_common.skc_family }) == bindings::AF_INET6;
    let least = if is_inet6 {
        SIN6_LEN_MIN
    } else {
        size_of::<bindings::sockaddr_in>()
    };
    if (len as usize) < least {
        return EINVAL.to_errno();
    }
    // SAFETY: As `tcp_v4_pre_connect` and `tcp_v6_pre_connect`: the lock is held and the address is
    // long enough.
    unsafe {
        if is_inet6 {
            bindings::BPF_CGROUP_RUN_PROG_INET6_CONNECT(sk, addr, &mut len)
        } else {
            bindings::BPF_CGROUP_RUN_PROG_INET4_CONNECT(sk, addr, &mut len)
        }
    }
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
        let sk = Sock::from_raw(sk);
        let peer = socket_address(sk, addr, len)?;
        P::connect(&mut Held::new(sk), peer).map(|()| 0)
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
    from_result(|| unsafe { P::disconnect(&mut Held::new(Sock::from_raw(sk))).map(|()| 0) })
}

/// `proto->get_port`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn get_port<P: Protocol>(sk: *mut bindings::sock, port: u16) -> c_int {
    // SAFETY: The caller owns the socket lock.
    from_result(|| unsafe { P::get_port(&mut Held::new(Sock::from_raw(sk)), port).map(|()| 0) })
}

/// `proto->put_port`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn put_port<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: The caller owns the socket lock.
    unsafe { P::put_port(&mut Held::new(Sock::from_raw(sk))) }
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
            &mut Held::new(Sock::from_raw(sk)),
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
    unsafe { P::keepalive(&mut Held::new(Sock::from_raw(sk)), on != 0) }
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
/// For the kernel, which calls it with a listening `socket` of `P` and a new one.
pub(super) unsafe extern "C" fn accept_socket<P: Protocol>(
    socket: *mut bindings::socket,
    new: *mut bindings::socket,
    arg: *mut bindings::proto_accept_arg,
) -> c_int {
    // SAFETY: The callback's arguments are valid while it runs; `new` is not in a file yet.
    unsafe {
        bindings::socket_set_custom_sockopt(new);
        let code = bindings::inet_accept(socket, new, arg);
        if code == 0 {
            label::name_peer::<P>(new);
        }
        code
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
        // The kernel refuses groups to the connected protocols that it knows; for IPv6 it looks at the
        // value first.
        match (level as u32, name as u32) {
            (bindings::SOL_IP, bindings::IP_ADD_MEMBERSHIP | bindings::IP_DROP_MEMBERSHIP) => {
                return super::errno::EPROTO.to_errno()
            }
            (
                bindings::SOL_IPV6,
                bindings::IPV6_ADD_MEMBERSHIP | bindings::IPV6_DROP_MEMBERSHIP,
            ) if Sock::<P>::from_raw((*socket).sk).is_inet6()
                && len as usize >= size_of::<bindings::ipv6_mreq>() =>
            {
                let readable = OptionIn::new(value, len).int();
                return readable.map_or_else(Error::to_errno, |_| super::errno::EPROTO.to_errno());
            }
            _ => {}
        }
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

/// `proto_ops->set_rcvbuf`
///
/// # Safety
///
/// For the kernel, which calls it with a socket of `P` whose lock it owns.
pub(super) unsafe extern "C" fn set_rcvbuf<P: Protocol>(sk: *mut bindings::sock, bytes: c_int) {
    // SAFETY: The caller owns the socket lock.
    let mut locked = unsafe { Held::new(Sock::from_raw(sk)) };
    P::receive_buffer_set(&mut locked, bytes.max(0) as u32);
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
    let mut locked = unsafe { Held::new(Sock::from_raw(sk)) };
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
            return if Sock::<P>::from_raw(sk).is_inet6() {
                bindings::ipv6_setsockopt(sk, level, name, value, len)
            } else {
                bindings::ip_setsockopt(sk, level, name, value, len)
            };
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
            return if Sock::<P>::from_raw(sk).is_inet6() {
                bindings::ipv6_getsockopt(sk, level, name, value.cast(), len)
            } else {
                bindings::ip_getsockopt(sk, level, name, value.cast(), len)
            };
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
        return unsafe { Sock::<P>::from_raw(sk).receive_error(msg, len) };
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
