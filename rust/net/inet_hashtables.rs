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
use core::net::SocketAddr;
use kernel::ffi::c_int;

impl Net {
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
        let device = self.bound_device();
        // SAFETY: The namespace is valid; a device that is gone is in none.
        let master =
            unsafe { bindings::l3mdev_master_ifindex_by_index(self.net().as_raw(), device) };
        let ends = self.endpoints().reversed();
        self.net().has_kernel_connection(&ends, device, master)
    }
}

impl Skb {
    /// Whether a segment at the LOCAL_IN hook, which goes along `ends`, is for a connection of the
    /// kernel's TCP. Those may share a port with a listener of ours.
    pub fn is_for_kernel(&self, net: &Net, ends: &Endpoints) -> bool {
        // SAFETY: At the hook the packet has IP's control block.
        let (dif, sdif) = unsafe {
            match ends.destination {
                SocketAddr::V4(_) => (
                    bindings::inet_iif(self.as_raw()),
                    bindings::inet_sdif(self.as_raw()),
                ),
                SocketAddr::V6(_) => (
                    bindings::inet6_iif(self.as_raw()),
                    bindings::inet6_sdif(self.as_raw()),
                ),
            }
        };
        net.has_kernel_connection(ends, dif, sdif)
    }
}
