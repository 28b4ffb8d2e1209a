// SPDX-License-Identifier: GPL-2.0

//! Segments of connections that have no socket: half-open ones, those in TIME-WAIT, and none at all.
//!
//! C headers: [`include/net/ip.h`](srctree/include/net/ip.h),
//! [`include/net/request_sock.h`](srctree/include/net/request_sock.h)

use super::{
    be,
    flow4,
    from_be,
    options::IpOptions,
    output::build,
    path_of,
    v4,
    v6,
    Endpoints,
    Path,
    Segment,
    Versioned, //
};
use crate::net::{
    bindings,
    errno::{
        EAFNOSUPPORT,
        ENETUNREACH, //
    },
    net_namespace::Net,
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
        SocketAddr,
        SocketAddrV4, //
    },
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// The flag "do not fragment" in an IPv4 header.
const IP_DF: u16 = 0x4000;

/// What a socket would say of its segments beside their addresses, for a connection that has none.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Manner {
    /// The device, or the virtual router, that they are bound to, 0 for none.
    pub(super) device: i32,
    /// `SO_MARK`.
    pub(super) mark: u32,
    /// `SO_PRIORITY`.
    pub(super) priority: u32,
    /// The type of service, or traffic class, of which the ECN field means nothing.
    pub(super) tos: u8,
    /// What path, queue and flow label are chosen by, 0 for the addresses.
    pub(super) hash: u32,
    /// The flow label in network byte order; for 0 the host may make one of the hash.
    pub(super) label: u32,
}

impl Manner {
    /// The index of the device, or the virtual router, that the connection is bound to, 0 for none.
    pub fn device(&self) -> i32 {
        self.device
    }
}

impl<P: Protocol> Sock<P> {
    /// How the connection's segments go when the socket is no more.
    pub fn manner(&self) -> Manner {
        self.manner_by(self.goes_by_ipv6())
    }

    /// The same for segments that go by this version of IP.
    fn manner_by(&self, ipv6: bool) -> Manner {
        let (sk, inet, np) = (self.as_raw(), self.as_inet(), self.as_inet6());
        // SAFETY: The socket is live, and so is its IPv6 part if it has one; the kernel reads these
        // fields without a lock as well.
        unsafe {
            let (tos, label) = if ipv6 && !np.is_null() {
                (
                    ptr::addr_of!((*np).tclass).read_volatile(),
                    ptr::addr_of!((*np).flow_label).read_volatile(),
                )
            } else {
                (ptr::addr_of!((*inet).tos).read_volatile(), 0)
            };
            Manner {
                device: self.bound_device(),
                mark: ptr::addr_of!((*sk).sk_mark).read_volatile(),
                priority: ptr::addr_of!((*sk).sk_priority).read_volatile(),
                tos,
                hash: ptr::addr_of!((*sk).sk_txhash).read_volatile(),
                label,
            }
        }
    }

    /// Sends a segment of a connection that has no socket yet, for a listener. `ecn` is the ECN field
    /// of the packet.
    pub fn send_for(
        &self,
        ends: &Endpoints,
        manner: &Manner,
        options: &IpOptions,
        header: &[u8],
        ecn: u8,
    ) -> Result {
        self.check_version(ends)?;
        // SAFETY: The socket is live, and has an IPv6 part if the ends ask for it.
        unsafe { send(self.as_raw(), ends, manner, options, header, ecn) }
    }

    /// Whether the socket has to do with the version of IP that `ends` are of. Fails with
    /// `EAFNOSUPPORT`.
    fn check_version(&self, ends: &Endpoints) -> Result {
        match ends.source {
            SocketAddr::V6(_) if !self.is_inet6() => Err(EAFNOSUPPORT),
            _ => Ok(()),
        }
    }

    /// What the route between `ends` allows.
    pub fn path_for(&self, ends: &Endpoints, manner: &Manner, options: &IpOptions) -> Result<Path> {
        self.check_version(ends)?;
        let sk = self.as_raw();
        // SAFETY: The socket is live, and has an IPv6 part if the ends ask for it; the route is put once
        // it was read.
        unsafe {
            let (source, destination) = match ends.versioned()? {
                Versioned::V4(source, destination) => (source, destination),
                Versioned::V6(source, destination) => {
                    return v6::path_stateless(sk, &source, &destination, manner);
                }
            };
            let fl = Opaque::<bindings::flowi>::zeroed();
            let rt = route(sk, fl.get(), &source, &destination, manner, options)?;
            let path = path_of(ptr::addr_of!((*rt).dst), v4::HEADER, options.header_bytes());
            bindings::ip_rt_put(rt);
            Ok(path)
        }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Gives a new connection the manner that it had without a socket.
    pub fn set_manner(&mut self, manner: &Manner) {
        let inet = self.sock().as_inet();
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held. As `inet_csk_clone_lock` and `tcp_v4_syn_recv_sock`; the priority
        // is not inherited, which `sk_clone` sees to, and the service is the listener's as it is now,
        // unless it is the peer's.
        unsafe {
            (*sk).__sk_common.skc_bound_dev_if = manner.device;
            (*sk).sk_mark = manner.mark;
            (*sk).sk_txhash = manner.hash;
            if !bindings::tcp_reflect_tos(self.sock().net().as_raw()) {
                return;
            }
            if self.sock().goes_by_ipv6() {
                (*self.sock().as_inet6()).tclass = manner.tos;
            } else {
                (*inet).tos = manner.tos;
            }
        }
    }
}

impl Segment {
    /// How the connection with `peer` goes that this segment asks a listener for.
    pub fn manner_for<P: Protocol>(&self, sk: &Sock<P>, peer: &SocketAddr) -> Manner {
        let own = sk.manner_by(self.is_ipv6());
        // SAFETY: Socket and packet are live; a hash is any number but 0.
        unsafe {
            let bound = bindings::inet_request_bound_dev_if(sk.as_raw(), self.raw());
            Manner {
                device: match peer {
                    // As `tcp_v6_init_req`: there is no other way to a peer on the link.
                    SocketAddr::V6(peer) if peer.scope_id() != 0 => peer.scope_id() as i32,
                    _ => bound,
                },
                mark: bindings::inet_request_mark(sk.as_raw(), self.raw()),
                hash: bindings::get_random_u32().max(1),
                label: self.reflected_label(sk),
                tos: if bindings::tcp_reflect_tos(sk.net().as_raw()) {
                    let mask = bindings::INET_ECN_MASK as u8;
                    self.tos() & !mask | own.tos & mask
                } else {
                    own.tos
                },
                ..own
            }
        }
    }

    /// The flow label of this segment, where the socket reflects it (`flowlabel_reflect`), or 0.
    fn reflected_label<P: Protocol>(&self, sk: &Sock<P>) -> u32 {
        // SAFETY: The socket is live; the flag is read atomically.
        if self.is_ipv6() && unsafe { bindings::inet6_test_repflow(sk.as_raw()) } {
            self.seen().flow_label
        } else {
            0
        }
    }

    /// How an answer to this segment goes that no socket sends, as `ip_send_unicast_reply` has it;
    /// `own` is that of the connection, or of the listener.
    pub fn manner_of_answer(&self, net: &Net, own: &Manner) -> Manner {
        // SAFETY: Namespace and packet are live.
        unsafe {
            let (iif, mark) = (
                bindings::skb_iif(self.raw()),
                bindings::skb_mark(self.raw()),
            );
            let reflected = if self.is_ipv6() {
                bindings::IP6_REPLY_MARK(net.as_raw(), mark)
            } else {
                bindings::IP4_REPLY_MARK(net.as_raw(), mark)
            };
            Manner {
                device: if own.device == 0 && bindings::netif_index_is_l3_master(net.as_raw(), iif)
                {
                    iif
                } else {
                    own.device
                },
                mark: if reflected != 0 { reflected } else { own.mark },
                ..*own
            }
        }
    }

    /// The same for a reset, which has the type of service of what it answers.
    pub fn manner_of_reset(&self, net: &Net, own: &Manner) -> Manner {
        Manner {
            tos: self.tos(),
            ..self.manner_of_answer(net, own)
        }
    }
}

/// Finds the route of a segment that belongs to no connected socket.
///
/// # Safety
///
/// `sk` must be a live Internet socket, and `fl` valid.
unsafe fn route(
    sk: *mut bindings::sock,
    fl: *mut bindings::flowi,
    source: &SocketAddrV4,
    destination: &SocketAddrV4,
    manner: &Manner,
    options: &IpOptions,
) -> Result<*mut bindings::rtable> {
    // SAFETY: By the requirement. The flow is an IPv4 one from here on.
    unsafe {
        let fl4 = flow4(fl);
        bindings::flowi4_init_output(
            fl4,
            sk,
            manner.device,
            manner.mark,
            manner.tos,
            be(options.next_hop(*destination.ip())),
            be(*source.ip()),
            destination.port().to_be(),
            source.port().to_be(),
        );
        bindings::security_sk_classify_flow4(sk, fl4);
        let rt = kernel::error::from_err_ptr(bindings::ip_route_output_flow(
            bindings::sock_net(sk),
            fl4,
            sk,
        ))?;
        if options.forbids((*rt).rt_uses_gateway != 0) {
            bindings::ip_rt_put(rt);
            return Err(ENETUNREACH);
        }
        Ok(rt)
    }
}

/// Sends a segment in the name of `sk`, which is not locked, as `ip_build_and_send_pkt`.
///
/// # Safety
///
/// `sk` must be a live Internet socket, and of AF_INET6 if `ends` are of IPv6.
unsafe fn send(
    sk: *mut bindings::sock,
    ends: &Endpoints,
    manner: &Manner,
    options: &IpOptions,
    header: &[u8],
    ecn: u8,
) -> Result {
    let versioned = ends.versioned()?;
    if options.is_refused() {
        return Err(EINVAL);
    }
    let fl = Opaque::<bindings::flowi>::zeroed();
    // SAFETY: By the requirement. The packet is ours until IP takes it, which it does whatever it
    // returns; there is room for all headers.
    unsafe {
        let skb = build(sk, header, None, &versioned)?;
        if manner.hash != 0 {
            bindings::skb_set_hash_l4(skb, manner.hash);
        }
        let (destination, routed) = match &versioned {
            Versioned::V4(source, destination) => (
                *destination.ip(),
                route(sk, fl.get(), source, destination, manner, options),
            ),
            Versioned::V6(source, destination) => {
                return v6::send_stateless(sk, skb, source, destination, manner, ecn);
            }
        };
        let fl4 = flow4(fl.get());
        let rt = match routed {
            Ok(rt) => rt,
            Err(e) => {
                Skb::from_raw(skb).drop_because(DropReason::NoRoute);
                return Err(e);
            }
        };
        let dst = ptr::addr_of_mut!((*rt).dst);
        bindings::skb_dst_set(skb, dst);
        let header_bytes = v4::HEADER + options.header_bytes();
        bindings::__skb_push(skb, header_bytes);
        bindings::skb_reset_network_header(skb);
        options.write(skb, from_be((*fl4).saddr), destination);
        let ip = &mut *bindings::ip_hdr(skb);
        ip.set_version(4);
        ip.set_ihl((header_bytes / 4) as u8);
        let mask = bindings::INET_ECN_MASK as u8;
        ip.tos = manner.tos & !mask | ecn & mask;
        let ttl = ptr::addr_of!((*sk.cast::<bindings::inet_sock>()).uc_ttl).read_volatile();
        ip.ttl = u8::try_from(ttl).unwrap_or(bindings::ip4_dst_hoplimit(dst) as u8);
        ip.protocol = bindings::IPPROTO_TCP as u8;
        // What every link takes whole needs no number.
        let whole = (*skb).len <= bindings::IPV4_MIN_MTU || bindings::ip_dont_fragment(sk, dst);
        (ip.frag_off, ip.id) = if whole {
            (IP_DF.to_be(), 0)
        } else {
            (0, bindings::get_random_u16())
        };
        let addrs = ip.__bindgen_anon_1.addrs.as_mut();
        (addrs.saddr, addrs.daddr) = ((*fl4).saddr, (*fl4).daddr);
        bindings::skb_set_priority(skb, manner.priority);
        bindings::skb_set_mark(skb, manner.mark);
        to_result(bindings::ip_local_out(bindings::sock_net(sk), sk, skb))
    }
}

/// A socket of the kernel's that is not for users.
///
/// # Invariants
///
/// A live control socket, which this owns.
struct OwnedSock(ptr::NonNull<bindings::sock>);

// SAFETY: Used without the socket lock, for what needs none.
unsafe impl Send for OwnedSock {}
// SAFETY: As above.
unsafe impl Sync for OwnedSock {}

impl OwnedSock {
    fn new(net: &Net, family: u32) -> Result<Self> {
        let mut sk = ptr::null_mut();
        // SAFETY: The namespace is valid; on success `sk` is a new socket.
        unsafe {
            to_result(bindings::inet_ctl_sock_create(
                &mut sk,
                family as u16,
                bindings::sock_type_SOCK_RAW as u16,
                bindings::IPPROTO_TCP as u8,
                net.as_raw(),
            ))?;
        }
        // INVARIANT: Made above.
        ptr::NonNull::new(sk).map(Self).ok_or(ENOMEM)
    }
}

impl Drop for OwnedSock {
    fn drop(&mut self) {
        // SAFETY: We own the socket.
        unsafe { bindings::inet_ctl_sock_destroy(self.0.as_ptr()) };
    }
}

/// The sender, of one namespace, of segments that belong to no socket.
pub struct ControlSock {
    v4: OwnedSock,
    /// None where the host does without IPv6.
    v6: Option<OwnedSock>,
}

impl ControlSock {
    /// Makes the sender. May sleep.
    pub fn new(net: &Net) -> Result<Self> {
        let v6 = match OwnedSock::new(net, bindings::PF_INET6) {
            Err(e) if e == EAFNOSUPPORT => None,
            other => Some(other?),
        };
        Ok(Self {
            v4: OwnedSock::new(net, bindings::PF_INET)?,
            v6,
        })
    }

    /// Whether the host has IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.v6.is_some()
    }

    /// Sends a segment.
    pub fn send(
        &self,
        ends: &Endpoints,
        manner: &Manner,
        options: &IpOptions,
        header: &[u8],
    ) -> Result {
        let sock = match ends.source {
            SocketAddr::V4(_) => &self.v4,
            SocketAddr::V6(_) => self.v6.as_ref().ok_or(EAFNOSUPPORT)?,
        };
        // SAFETY: The socket is live by the type invariant, and of the version's family.
        unsafe { send(sock.0.as_ptr(), ends, manner, options, header, 0) }
    }
}
