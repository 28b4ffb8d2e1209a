// SPDX-License-Identifier: GPL-2.0

//! The making and the end of sockets.
//!
//! C headers: [`include/linux/net.h`](srctree/include/linux/net.h),
//! [`include/net/inet_common.h`](srctree/include/net/inet_common.h)

use crate::net::{
    bindings,
    label,
    net_namespace::Net,
    proto::Protocol,
    sock::{
        self,
        Held,
        Sock, //
    }, //
};
use core::ptr;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    ffi::c_int,
    prelude::*, //
};

/// The protocol of `socket(2)` that stands for AF_INET6, as AF_SMC has it (`SMCPROTO_SMC6`).
const PROTOCOL_INET6: u32 = 1;

/// `net_proto_family->create`: makes a socket, as `inet_create` does.
///
/// # Safety
///
/// For the kernel, which calls it with a valid namespace and a new `socket`.
pub(in crate::net) unsafe extern "C" fn create<P: Protocol>(
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
    use crate::net::errno::{
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
    let family = match protocol as u32 {
        0 | bindings::IPPROTO_TCP => bindings::PF_INET,
        PROTOCOL_INET6 => bindings::PF_INET6,
        _ => return Err(EPROTONOSUPPORT),
    };
    if family == bindings::PF_INET6 {
        P::prepare_inet6(namespace)?;
    }

    let tables = P::tables();
    // SAFETY: `net` is valid, and the tables are registered, or nobody would call us.
    let sk = unsafe {
        bindings::sk_alloc(
            net,
            family as c_int,
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
        (*sk).sk_backlog_rcv = Some(super::backlog_rcv::<P>);
        (*sk).sk_write_space = Some(sock::write_space::<P>);
        let core = bindings::net_core(net);
        bindings::sk_set_txrehash(sk, (&raw const (*core).sysctl_txrehash).read_volatile());
        bindings::inet_set_bit_mc_loop(sk);
        (*inet).uc_ttl = -1;
        (*inet).mc_ttl = 1;
        (*sk).sk_gso_type = bindings::SKB_GSO_TCPV4 as u16;
        bindings::sk_timer_setup(sk, Some(super::timer::<P>));
        bindings::socket_set_custom_sockopt(socket);
        bindings::socket_set_support_zc(socket);
        (*socket).ops = tables.ops.get();
        if family == bindings::PF_INET6 {
            begin_inet6::<P>(net, sk);
            (*socket).ops = tables.ops6.get();
        } else {
            bindings::inet_set_bit_mc_all(sk);
        }

        let mut allowed = Ok(());
        if family == bindings::PF_INET {
            allowed = label::label_as_native(net, sk);
        }
        if kern == 0 && allowed.is_ok() {
            allowed = to_result(bindings::BPF_CGROUP_RUN_PROG_INET_SOCK(sk));
        }
        if let Err(e) = allowed {
            bindings::sk_common_release(sk);
            (*socket).sk = ptr::null_mut();
            return Err(e);
        }
        bindings::sk_sockets_allocated_inc(sk);
        P::opened(&mut Held::new(Sock::from_raw(sk)));
    }
    Ok(())
}

/// Gives a new socket what `inet6_create` gives it beside what all Internet sockets have.
///
/// # Safety
///
/// `net` must be valid, and `sk` a new socket of `P` that nobody else knows.
unsafe fn begin_inet6<P: Protocol>(net: *mut bindings::net, sk: *mut bindings::sock) {
    // SAFETY: By the requirements; the IPv6 part is zeroed.
    unsafe {
        let np = sock::pinet6::<P>(sk);
        (*sk.cast::<bindings::inet_sock>()).pinet6 = np;
        (*np).hop_limit = -1;
        (*np).mcast_hops = bindings::IPV6_DEFAULT_MCASTHOPS as u8;
        (*np).pmtudisc = bindings::IPV6_PMTUDISC_WANT as u8;
        bindings::inet6_set_bit_mc6_loop(sk);
        bindings::inet6_set_bit_mc6_all(sk);
        bindings::inet6_set_repflow(sk, bindings::net_flowlabel_reflect(net));
        let v6only = u8::from(bindings::net_bindv6only(net));
        (*sk).__sk_common.set_skc_ipv6only(v6only);
    }
}

/// `sk->sk_destruct`: the socket's memory is about to be freed.
///
/// # Safety
///
/// For the kernel, which calls it once in the life of a socket of `P`, after its last reference.
pub(in crate::net) unsafe extern "C" fn destruct<P: Protocol>(sk: *mut bindings::sock) {
    // SAFETY: Called once, when the last reference is gone; the kernel's functions free its parts.
    unsafe {
        sock::drop_parts::<P>(sk);
        if (*sk.cast::<bindings::inet_sock>()).pinet6.is_null() {
            bindings::inet_sock_destruct(sk);
        } else {
            bindings::inet6_sock_destruct(sk);
        }
    }
}
