// SPDX-License-Identifier: GPL-2.0

//! Routes of IPv6, and packets that take them.
//!
//! C headers: [`include/net/ip6_route.h`](srctree/include/net/ip6_route.h),
//! [`include/net/ipv6.h`](srctree/include/net/ipv6.h)

use super::{
    flow6,
    from_in6,
    in6,
    path_of,
    Endpoints,
    Manner,
    Path,
    Versioned, //
};
use crate::net::{
    bindings,
    errno::{
        EAFNOSUPPORT,
        ENETUNREACH, //
    },
    inet_sock::peer6,
    proto::Protocol,
    skbuff::{
        DropReason,
        Skb, //
    },
    sock::{
        Locked,
        Sock, //
    }, //
};
use core::{
    net::{
        IpAddr,
        Ipv4Addr,
        Ipv6Addr,
        SocketAddr,
        SocketAddrV6, //
    },
    ptr, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::rcu, //
};

/// Bytes of the header without extension headers.
pub(super) const HEADER: u32 = 40;
/// What every path takes (RFC 8200, 5).
pub(super) const SMALLEST_MTU: u32 = 1280;
/// The least MTU that a link may have (RFC 8200 section 5).
const MTU_MIN: u32 = bindings::IPV6_MIN_MTU;

/// What of `sin6_flowinfo` is no version: traffic class and flow label.
const FLOWINFO_MASK: u32 = 0x0fff_ffff;
/// The flow label in it.
const FLOWLABEL_MASK: u32 = 0x000f_ffff;
/// The ECN field in it.
const ECN_MASK: u32 = 0x0030_0000;

/// Traffic class and flow label as they stand in a header.
fn flow_info(tclass: u8, label: u32) -> u32 {
    (u32::from(tclass) << 20).to_be() | label
}

/// Finds the route between two ends. The flow is then that of the packets: an unspecified source is
/// the chosen one.
///
/// # Safety
///
/// `sk` must be a live socket of AF_INET6, and `fl6` valid for writes.
unsafe fn find_route(
    sk: *mut bindings::sock,
    fl6: *mut bindings::flowi6,
    source: &SocketAddrV6,
    destination: &SocketAddrV6,
    manner: &Manner,
) -> Result<*mut bindings::dst_entry> {
    // SAFETY: By the requirement. The options are there while RCU is held, and the final
    // destination is copied.
    unsafe {
        let net = bindings::sock_net(sk);
        fl6.write_bytes(0, 1);
        (*fl6).__fl_common.flowic_proto = bindings::IPPROTO_TCP as u8;
        (*fl6).__fl_common.flowic_oif = match destination.scope_id() {
            0 => manner.device,
            scope => scope as i32,
        };
        (*fl6).__fl_common.flowic_mark = manner.mark;
        bindings::flowi6_set_uid(fl6, sk);
        (*fl6).saddr = in6(*source.ip());
        (*fl6).daddr = in6(*destination.ip());
        (*fl6).flowlabel = flow_info(manner.tos, manner.label);
        let ports = (*fl6).uli.ports.as_mut();
        ports.sport = source.port().to_be();
        ports.dport = destination.port().to_be();
        if source.port() == 0 {
            (*fl6).__fl_common.flowic_flags = bindings::FLOWI_FLAG_ANY_SPORT as u8;
        }
        bindings::security_sk_classify_flow6(sk, fl6);
        bindings::ip6_ecmp_set_mp_hash(net, fl6, manner.hash);
        let mut destination = in6(Ipv6Addr::UNSPECIFIED);
        let by = {
            let _rcu = rcu::read_lock();
            let np = (*sk.cast::<bindings::inet_sock>()).pinet6;
            bindings::fl6_update_dst(fl6, bindings::np_opt(np), &mut destination)
        };
        from_err_ptr(bindings::ip6_dst_lookup_flow(net, sk, fl6, by))
    }
}

/// Gives a packet to IPv6, by a route that it brings.
///
/// # Safety
///
/// `sk` must be a live socket of AF_INET6, `skb` a packet of TCP that is the caller's to give, and
/// `fl6` the flow of its route, which lives until the call returns.
unsafe fn send(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
    fl6: *mut bindings::flowi6,
    manner: &Manner,
    ecn: u8,
) -> i32 {
    let mask = bindings::INET_ECN_MASK as u8;
    let _rcu = rcu::read_lock();
    // SAFETY: By the requirement; the options are there while RCU is held.
    unsafe {
        bindings::ip6_xmit(
            sk,
            skb,
            fl6,
            manner.mark,
            bindings::np_opt((*sk.cast::<bindings::inet_sock>()).pinet6),
            (manner.tos & !mask | ecn & mask).into(),
            manner.priority,
        )
    }
}

/// Looks the route of a socket's connection up, and keeps it (`inet6_csk_route_socket`).
///
/// # Safety
///
/// The lock of `sock` must be held.
unsafe fn look_up<P: Protocol>(
    sock: &Sock<P>,
    source: &SocketAddrV6,
    destination: &SocketAddrV6,
) -> Result<*mut bindings::dst_entry> {
    let sk = sock.as_raw();
    // SAFETY: By the requirement, for the socket is one of AF_INET6; it takes the route.
    unsafe {
        let fl6 = flow6(ptr::addr_of_mut!((*sock.as_inet()).cork.fl));
        let dst = find_route(sk, fl6, source, destination, &sock.manner())?;
        (*sk).sk_gso_type = bindings::SKB_GSO_TCPV6 as u16;
        bindings::ip6_dst_store(sk, dst);
        Ok(dst)
    }
}

/// The route of a connected socket; a stale one is looked up again.
///
/// # Safety
///
/// The lock of `sock` must be held.
unsafe fn route<P: Protocol>(
    sock: &Sock<P>,
    source: &SocketAddrV6,
    destination: &SocketAddrV6,
) -> Result<*mut bindings::dst_entry> {
    // SAFETY: By the requirement; the route is the socket's.
    unsafe {
        let dst = bindings::__sk_dst_check(sock.as_raw(), (*sock.as_inet6()).dst_cookie);
        if dst.is_null() {
            look_up(sock, source, destination)
        } else {
            Ok(dst)
        }
    }
}

/// Bytes of the extension headers that a socket's packets carry.
///
/// # Safety
///
/// `sk` must be a live socket of AF_INET6.
unsafe fn options_len(sk: *mut bindings::sock) -> u32 {
    let _rcu = rcu::read_lock();
    // SAFETY: By the requirement; the options are there while RCU is held.
    let opt = unsafe { bindings::np_opt((*sk.cast::<bindings::inet_sock>()).pinet6).as_ref() };
    opt.map_or(0, |opt| u32::from(opt.opt_flen) + u32::from(opt.opt_nflen))
}

/// Sends a packet of a socket's connection, as `inet6_csk_xmit`. `ecn` is the ECN field of the packet;
/// the rest of the traffic class is the socket's.
///
/// # Safety
///
/// The lock of `sk` must be held, and `skb` be the caller's to give.
pub(super) unsafe fn queue_xmit<P: Protocol>(
    sock: &Sock<P>,
    skb: *mut bindings::sk_buff,
    source: &SocketAddrV6,
    destination: &SocketAddrV6,
    ecn: u8,
) -> i32 {
    let sk = sock.as_raw();
    // SAFETY: By the requirement. The route is the socket's, and stays while RCU is held.
    unsafe {
        let _rcu = rcu::read_lock();
        let dst = match route(sock, source, destination) {
            Ok(dst) => dst,
            Err(e) => {
                sock.set_soft_error(e);
                (*sk).sk_route_caps = 0;
                Skb::from_raw(skb).drop_because(DropReason::NoRoute);
                return e.to_errno();
            }
        };
        bindings::skb_dst_set_noref(skb, dst);
        let fl6 = flow6(ptr::addr_of_mut!((*sock.as_inet()).cork.fl));
        send(sk, skb, fl6, &sock.manner(), ecn)
    }
}

/// Sends a packet of no connected socket's on behalf of `sk`, which is not locked.
///
/// # Safety
///
/// `sk` must be a live socket of AF_INET6, and `skb` be the caller's to give.
pub(super) unsafe fn send_stateless(
    sk: *mut bindings::sock,
    skb: *mut bindings::sk_buff,
    source: &SocketAddrV6,
    destination: &SocketAddrV6,
    manner: &Manner,
    ecn: u8,
) -> Result {
    let mut fl6 = bindings::flowi6::default();
    // SAFETY: By the requirement. The packet brings its route, so that nothing of the socket is
    // looked at that the lock protects.
    unsafe {
        match find_route(sk, &mut fl6, source, destination, manner) {
            Ok(dst) => bindings::skb_dst_set(skb, dst),
            Err(e) => {
                Skb::from_raw(skb).drop_because(DropReason::NoRoute);
                return Err(e);
            }
        }
        to_result(send(sk, skb, &mut fl6, manner, ecn))
    }
}

/// What the route allows for segments that belong to no connected socket.
///
/// # Safety
///
/// `sk` must be a live socket of AF_INET6.
pub(super) unsafe fn path_stateless(
    sk: *mut bindings::sock,
    source: &SocketAddrV6,
    destination: &SocketAddrV6,
    manner: &Manner,
) -> Result<Path> {
    let mut fl6 = bindings::flowi6::default();
    // SAFETY: By the requirement; the route is put once it was read.
    unsafe {
        let dst = find_route(sk, &mut fl6, source, destination, manner)?;
        let path = path_of(dst, HEADER, options_len(sk));
        bindings::dst_release(dst);
        Ok(path)
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// What the caller of `connect` means by an address, and what follows from it for the socket, as
    /// `tcp_v6_connect`.
    pub(super) fn named_peer(&mut self, peer: SocketAddrV6) -> Result<SocketAddr> {
        let label = self.flow_label_to(peer.flowinfo())?;
        let addr = match peer.ip() {
            // BSD's habit: whoever connects to no address means this host.
            addr if !addr.is_unspecified() => *addr,
            _ if matches!(self.sock().receive_address(), IpAddr::V4(_)) => {
                Ipv4Addr::LOCALHOST.to_ipv6_mapped()
            }
            _ => Ipv6Addr::LOCALHOST,
        };
        if addr.is_multicast() {
            return Err(ENETUNREACH);
        }
        if addr.is_unicast_link_local() {
            let scope = peer.scope_id() as i32;
            if scope != 0 {
                // SAFETY: The lock is held.
                if !unsafe { bindings::sk_dev_equal_l3scope(self.raw(), scope) } {
                    return Err(EINVAL);
                }
                self.bind_device(scope);
            }
            if self.sock().bound_device() == 0 {
                return Err(EINVAL);
            }
        }
        // SAFETY: The lock is held.
        unsafe { (*self.sock().as_inet6()).flow_label = label };
        match addr.to_canonical() {
            IpAddr::V4(_) if self.sock().is_ipv6_only() => Err(ENETUNREACH),
            IpAddr::V4(addr) => Ok(SocketAddr::new(addr.into(), peer.port())),
            IpAddr::V6(addr) => Ok(peer6(addr, peer.port(), self.sock().bound_device()).into()),
        }
    }

    /// The flow label of `sin6_flowinfo`, where the socket sends one (`IPV6_FLOWINFO_SEND`).
    fn flow_label_to(&mut self, flowinfo: u32) -> Result<u32> {
        let sk = self.raw();
        // SAFETY: The lock is held; what the lookup finds is given back.
        unsafe {
            if !bindings::inet6_test_sndflow(sk) {
                return Ok(0);
            }
            let label = flowinfo & FLOWINFO_MASK.to_be() & !ECN_MASK.to_be();
            if label & FLOWLABEL_MASK.to_be() != 0 {
                let known = from_err_ptr(bindings::fl6_sock_lookup(sk, label));
                bindings::fl6_sock_release(known.map_err(|_| EINVAL)?);
            }
            Ok(label)
        }
    }

    /// As [`Locked::route_to`].
    pub(super) fn route_to_v6(&mut self, peer: SocketAddrV6) -> Result<Endpoints> {
        // A mapped address is none that IPv6 packets can leave from, which the kernel says.
        let IpAddr::V6(addr) = self.sock().local().ip() else {
            return Err(EAFNOSUPPORT);
        };
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held.
        unsafe { bindings::sk_set_txhash(sk) };
        let source = SocketAddrV6::new(addr, self.sock().port(), 0, 0);
        // SAFETY: The lock is held; the flow is the socket's.
        let chosen = unsafe {
            look_up(self.sock(), &source, &peer)?;
            from_in6(&(*flow6(ptr::addr_of_mut!((*self.sock().as_inet()).cork.fl))).saddr)
        };
        Ok(Endpoints {
            source: SocketAddr::new(chosen.into(), source.port()),
            destination: peer.into(),
        })
    }

    fn route_v6(&mut self) -> Result<*mut bindings::dst_entry> {
        match self.sock().endpoints().versioned()? {
            // SAFETY: The lock is held.
            Versioned::V6(local, peer) => unsafe { route(self.sock(), &local, &peer) },
            Versioned::V4(..) => Err(EAFNOSUPPORT),
        }
    }

    /// As [`Locked::path`].
    pub(super) fn path_v6(&mut self) -> Result<Path> {
        let dst = self.route_v6()?;
        // SAFETY: The lock is held, which keeps the route.
        unsafe { Ok(path_of(dst, HEADER, options_len(self.raw()))) }
    }

    /// As [`Locked::reduce_mtu`], as `tcp_v6_mtu_reduced`.
    pub(super) fn reduce_mtu_v6(&mut self, mtu: u32) {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held.
        if mtu < MTU_MIN || unsafe { !bindings::ip6_sk_accept_pmtu(sk) } {
            return;
        }
        let Ok(dst) = self.route_v6() else {
            return;
        };
        // SAFETY: The route is the socket's, whose lock is held.
        unsafe {
            // Nobody may say that a path became wider.
            if mtu >= bindings::dst_mtu(dst) {
                return;
            }
            if let Some(update) = (*(*dst).ops).update_pmtu {
                update(dst, sk, ptr::null_mut(), mtu, true);
            }
        }
        // What was learned is an exception beside the route.
        self.reset_route();
    }
}
