// SPDX-License-Identifier: GPL-2.0

//! The connections of the kernel's own TCP.
//!
//! C header: [`include/net/inet_hashtables.h`](srctree/include/net/inet_hashtables.h)

use super::{
    bindings,
    ip::Endpoints,
    net_namespace::Net,
    proto::Protocol,
    skbuff::Skb,
    sock::Sock, //
};
use core::{
    net::SocketAddr,
    ptr, //
};
use kernel::{
    ffi::c_int,
    sync::rcu, //
};

impl Net {
    /// The index of the virtual router that a device is in, or is; 0 for none.
    pub fn router_of(&self, device: c_int) -> c_int {
        // SAFETY: The namespace is valid; a device that is gone is in none.
        unsafe { bindings::l3mdev_master_ifindex_by_index(self.as_raw(), device) }
    }

    /// Whether the kernel's TCP has a connection, in whatever state, from `ends.source`, the peer, to
    /// `ends.destination`, that hears the device `dif` or its master `sdif`.
    fn has_kernel_connection(&self, ends: &Endpoints, dif: c_int, sdif: c_int) -> bool {
        let (from, to) = (ends.source, ends.destination);
        let (sport, hnum) = (from.port().to_be(), to.port());
        // SAFETY: The namespace is valid; what is found is a reference of ours, of whatever kind.
        unsafe {
            let sk = match (from, to) {
                (SocketAddr::V4(from), SocketAddr::V4(to)) => {
                    let (from, to) = (from.ip().octets(), to.ip().octets());
                    bindings::__inet_lookup_established(
                        self.as_raw(),
                        u32::from_ne_bytes(from),
                        sport,
                        u32::from_ne_bytes(to),
                        hnum,
                        dif,
                        sdif,
                    )
                }
                (SocketAddr::V6(from), SocketAddr::V6(to)) => {
                    let (from, to) = (from.ip().octets(), to.ip().octets());
                    bindings::__inet6_lookup_established(
                        self.as_raw(),
                        from.as_ptr().cast(),
                        sport,
                        to.as_ptr().cast(),
                        hnum,
                        dif,
                        sdif,
                    )
                }
                _ => return false,
            };
            if sk.is_null() {
                return false;
            }
            bindings::sock_gen_put(sk);
            true
        }
    }
}

impl<P: Protocol> Sock<P> {
    /// Whether the kernel's TCP has a connection between the socket's addresses and ports, which may
    /// be where both have bound the port (`SO_REUSEADDR`).
    pub fn is_taken_by_kernel(&self) -> bool {
        let ends = self.endpoints().reversed();
        let net = self.net();
        net.has_kernel_connection(&ends, self.bound_device(), self.bound_router())
    }

    /// Whether a socket that is bound to no device hears what the one hears that this is bound to: a
    /// connection of both may not have the same ends.
    pub fn meets_unbound(&self) -> bool {
        let (device, router) = (self.bound_device(), self.bound_router());
        // SAFETY: The namespace is valid.
        let heard =
            unsafe { bindings::inet_sk_bound_dev_eq(self.net().as_raw(), 0, device, router) };
        device != 0 && heard
    }

    /// The index of the virtual router whose device the socket is bound to, 0 for none.
    fn bound_router(&self) -> c_int {
        self.net().router_of(self.bound_device())
    }
}

/// A listener of the kernel's TCP.
pub struct KernelListener {
    /// Whether it is bound to an address.
    pub at_address: bool,
    /// How many there are in its group (`SO_REUSEPORT`).
    pub group: u32,
}

impl Skb {
    /// The listener of the kernel's TCP that a segment at the LOCAL_IN hook, which goes along `ends`,
    /// would come to. Both TCPs may listen at one port where all sockets have `SO_REUSEPORT`.
    pub fn kernel_listener(
        &self,
        net: &Net,
        ends: &Endpoints,
        _rcu: &rcu::Guard,
    ) -> Option<KernelListener> {
        let (from, to) = (ends.source, ends.destination);
        let (sport, hnum) = (from.port().to_be(), to.port());
        let [dif, sdif] = self.devices();
        // SAFETY: The namespace is valid; without a packet no program of a group runs. What is found
        // stays while RCU is held.
        unsafe {
            let sk = match (from, to) {
                (SocketAddr::V4(from), SocketAddr::V4(to)) => bindings::__inet_lookup_listener(
                    net.as_raw(),
                    ptr::null_mut(),
                    0,
                    u32::from_ne_bytes(from.ip().octets()),
                    sport,
                    u32::from_ne_bytes(to.ip().octets()),
                    hnum,
                    dif,
                    sdif,
                ),
                (SocketAddr::V6(from), SocketAddr::V6(to)) => {
                    let (from, to) = (from.ip().octets(), to.ip().octets());
                    bindings::inet6_lookup_listener(
                        net.as_raw(),
                        ptr::null_mut(),
                        0,
                        from.as_ptr().cast(),
                        sport,
                        to.as_ptr().cast(),
                        hnum,
                        dif,
                        sdif,
                    )
                }
                _ => return None,
            };
            if sk.is_null() {
                return None;
            }
            let address6 = (*sk).__sk_common.skc_v6_rcv_saddr.in6_u.bindgen_union_field;
            let ipv6 = u32::from((*sk).__sk_common.skc_family) == bindings::AF_INET6;
            Some(KernelListener {
                at_address: bindings::inet_rcv_saddr(sk) != 0 || ipv6 && address6 != [0; 4],
                group: bindings::reuseport_num_socks(sk).into(),
            })
        }
    }

    /// Whether a segment at the LOCAL_IN hook, which goes along `ends`, is for a connection of the
    /// kernel's TCP. Those may share a port with a listener of ours.
    pub fn is_for_kernel(&self, net: &Net, ends: &Endpoints) -> bool {
        let [dif, sdif] = self.devices();
        net.has_kernel_connection(ends, dif, sdif)
    }
}
