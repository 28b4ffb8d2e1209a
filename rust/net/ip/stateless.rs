// SPDX-License-Identifier: GPL-2.0

//! Segments of connections that have no socket: half-open ones, those in TIME-WAIT, and none at all.
//!
//! C headers: [`include/net/ip.h`](srctree/include/net/ip.h),
//! [`include/net/request_sock.h`](srctree/include/net/request_sock.h)

use super::{
    be,
    flow4,
    output::build,
    path_of,
    Endpoints,
    Path,
    Segment,
    Versioned, //
};
use crate::net::{
    bindings,
    errno::EAFNOSUPPORT,
    net_namespace::Net,
    proto::Protocol,
    sock::{
        Locked,
        Sock, //
    }, //
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// The flag "do not fragment" in an IPv4 header.
const IP_DF: u16 = 0x4000;

/// What a socket would say of its segments beside their addresses, for a connection that has none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// The device, or the virtual router, that they are bound to, 0 for none.
    device: i32,
    /// `SO_MARK`.
    mark: u32,
    /// `SO_PRIORITY`.
    priority: u32,
    /// The type of service, of which the ECN field means nothing.
    tos: u8,
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
        let (sk, inet) = (self.as_raw(), self.as_inet());
        // SAFETY: The socket is live; the kernel reads these fields without a lock as well.
        unsafe {
            Manner {
                device: self.bound_device(),
                mark: ptr::addr_of!((*sk).sk_mark).read_volatile(),
                priority: ptr::addr_of!((*sk).sk_priority).read_volatile(),
                tos: ptr::addr_of!((*inet).tos).read_volatile(),
            }
        }
    }

    /// Sends a segment of a connection that has no socket yet, for a listener. `ecn` is the ECN field
    /// of the packet.
    pub fn send_for(&self, ends: &Endpoints, manner: &Manner, header: &[u8], ecn: u8) -> Result {
        // SAFETY: The socket is live.
        unsafe { send(self.as_raw(), ends, manner, header, ecn) }
    }

    /// What the route between `ends` allows.
    pub fn path_for(&self, ends: &Endpoints, manner: &Manner) -> Result<Path> {
        let fl = Opaque::<bindings::flowi>::zeroed();
        // SAFETY: The socket is live; the route is put once it was read.
        unsafe {
            let rt = route(self.as_raw(), fl.get(), ends, manner)?;
            let path = path_of(ptr::addr_of!((*rt).dst));
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
        // is not inherited, which `sk_clone` sees to.
        unsafe {
            (*sk).__sk_common.skc_bound_dev_if = manner.device;
            (*sk).sk_mark = manner.mark;
            (*inet).tos = manner.tos;
        }
    }
}

impl Segment {
    /// How the connection goes that this segment asks a listener for.
    pub fn manner_for<P: Protocol>(&self, sk: &Sock<P>) -> Manner {
        let own = sk.manner();
        // SAFETY: Socket and packet are live.
        unsafe {
            Manner {
                device: bindings::inet_request_bound_dev_if(sk.as_raw(), self.raw()),
                mark: bindings::inet_request_mark(sk.as_raw(), self.raw()),
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

    /// How an answer to this segment goes that no socket sends, as `ip_send_unicast_reply` has it;
    /// `own` is that of the connection, or of the listener.
    pub fn manner_of_answer(&self, net: &Net, own: &Manner) -> Manner {
        // SAFETY: Namespace and packet are live.
        unsafe {
            let (iif, mark) = (
                bindings::skb_iif(self.raw()),
                bindings::skb_mark(self.raw()),
            );
            let reflected = bindings::IP4_REPLY_MARK(net.as_raw(), mark);
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
    ends: &Endpoints,
    manner: &Manner,
) -> Result<*mut bindings::rtable> {
    let Versioned::V4(source, destination) = ends.versioned()? else {
        return Err(EAFNOSUPPORT);
    };
    // SAFETY: By the requirement. The flow is an IPv4 one from here on.
    unsafe {
        let fl4 = flow4(fl);
        bindings::flowi4_init_output(
            fl4,
            sk,
            manner.device,
            manner.mark,
            manner.tos,
            be(*destination.ip()),
            be(*source.ip()),
            destination.port().to_be(),
            source.port().to_be(),
        );
        bindings::security_sk_classify_flow4(sk, fl4);
        kernel::error::from_err_ptr(bindings::ip_route_output_flow(
            bindings::sock_net(sk),
            fl4,
            sk,
        ))
    }
}

/// Sends a segment in the name of `sk`, which is not locked, as `ip_build_and_send_pkt`.
///
/// # Safety
///
/// `sk` must be a live Internet socket.
unsafe fn send(
    sk: *mut bindings::sock,
    ends: &Endpoints,
    manner: &Manner,
    header: &[u8],
    ecn: u8,
) -> Result {
    let fl = Opaque::<bindings::flowi>::zeroed();
    // SAFETY: By the requirement. The packet is ours until IP takes it, which it does whatever it
    // returns; there is room for all headers.
    unsafe {
        let rt = route(sk, fl.get(), ends, manner)?;
        let fl4 = flow4(fl.get());
        let skb = match build(sk, header, None, (*fl4).saddr, (*fl4).daddr) {
            Ok(skb) => skb,
            Err(e) => {
                bindings::ip_rt_put(rt);
                return Err(e);
            }
        };
        let dst = ptr::addr_of_mut!((*rt).dst);
        bindings::skb_dst_set(skb, dst);
        let len = core::mem::size_of::<bindings::iphdr>() as u32;
        bindings::__skb_push(skb, len);
        bindings::skb_reset_network_header(skb);
        let ip = &mut *bindings::ip_hdr(skb);
        ip.set_version(4);
        ip.set_ihl(5);
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

/// A socket of the kernel's, of one namespace, for segments that belong to no socket.
///
/// # Invariants
///
/// A live control socket, which this owns.
pub struct ControlSock(ptr::NonNull<bindings::sock>);

// SAFETY: Used without the socket lock, for what needs none.
unsafe impl Send for ControlSock {}
// SAFETY: As above.
unsafe impl Sync for ControlSock {}

impl ControlSock {
    /// Makes the socket. May sleep.
    pub fn new(net: &Net) -> Result<Self> {
        let mut sk = ptr::null_mut();
        // SAFETY: The namespace is valid; on success `sk` is a new socket.
        unsafe {
            to_result(bindings::inet_ctl_sock_create(
                &mut sk,
                bindings::PF_INET as u16,
                bindings::sock_type_SOCK_RAW as u16,
                bindings::IPPROTO_TCP as u8,
                net.as_raw(),
            ))?;
        }
        ptr::NonNull::new(sk).map(Self).ok_or(ENOMEM)
    }

    /// Sends a segment.
    pub fn send(&self, ends: &Endpoints, manner: &Manner, header: &[u8]) -> Result {
        // SAFETY: The socket is live by the type invariant.
        unsafe { send(self.0.as_ptr(), ends, manner, header, 0) }
    }
}

impl Drop for ControlSock {
    fn drop(&mut self) {
        // SAFETY: We own the socket.
        unsafe { bindings::inet_ctl_sock_destroy(self.0.as_ptr()) };
    }
}
