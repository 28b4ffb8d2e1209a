// SPDX-License-Identifier: GPL-2.0

//! Internet sockets: addresses, ports and the device.
//!
//! A socket of AF_INET6 has its addresses in the IPv6 fields, where IPv4 ones stand in the form that
//! IPv6 maps them to (RFC 4291, 2.5.5.2). What is given here is always the address that packets have.
//!
//! C headers: [`include/net/inet_sock.h`](srctree/include/net/inet_sock.h),
//! [`include/linux/ipv6.h`](srctree/include/linux/ipv6.h)

use super::{
    bindings,
    ip::{
        from_in6,
        in6,
        Endpoints, //
    },
    proto::Protocol,
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

/// What stands in the IPv4 fields of a socket that has IPv6 addresses (`LOOPBACK4_IPV6`).
const NOT_IPV4: u32 = 0x7f00_0006;

fn ipv4(addr: u32) -> IpAddr {
    Ipv4Addr::from(u32::from_be(addr)).into()
}

impl<P: Protocol> Sock<P> {
    /// Whether this is a socket of AF_INET6.
    pub fn is_inet6(&self) -> bool {
        // SAFETY: The socket is live. The kernel reads this field without a lock as well.
        let family = unsafe { ptr::addr_of!((*self.as_raw()).__sk_common.skc_family).read() };
        u32::from(family) == bindings::AF_INET6
    }

    /// The IPv6 part of a socket of AF_INET6, null for others.
    pub(super) fn as_inet6(&self) -> *mut bindings::ipv6_pinfo {
        // SAFETY: The socket is live, and the field does not change before somebody else knows it.
        unsafe { (*self.as_inet()).pinet6 }
    }

    /// Whether segments of the socket's connection go by IPv6.
    pub(super) fn goes_by_ipv6(&self) -> bool {
        self.is_inet6() && !matches!(self.peer().ip(), IpAddr::V4(_))
    }

    /// Whether a socket of AF_INET6 has nothing to do with IPv4 (`IPV6_V6ONLY`).
    pub(super) fn is_ipv6_only(&self) -> bool {
        // SAFETY: The socket is live. A bit-field of the common part, which the kernel reads without
        // a lock as well.
        self.is_inet6() && unsafe { (*self.as_raw()).__sk_common.skc_ipv6only() != 0 }
    }

    /// The address that packets of the socket leave from, and its port. Both are 0 where they are
    /// not chosen yet.
    pub fn local(&self) -> SocketAddr {
        // SAFETY: The socket is live, and has an IPv6 part if it is one of AF_INET6.
        unsafe {
            let port = u16::from_be((*self.as_inet()).inet_sport);
            let addr = if self.is_inet6() {
                from_in6(&(*self.as_inet6()).saddr).to_canonical()
            } else {
                ipv4((*self.as_inet()).inet_saddr)
            };
            SocketAddr::new(addr, port)
        }
    }

    /// The address that packets to the socket must be sent to, unspecified where any will do.
    pub fn receive_address(&self) -> IpAddr {
        // SAFETY: The socket is live.
        unsafe {
            if self.is_inet6() {
                from_in6(&(*self.as_raw()).__sk_common.skc_v6_rcv_saddr).to_canonical()
            } else {
                ipv4(bindings::inet_rcv_saddr(self.as_raw()))
            }
        }
    }

    /// The peer's address and port, 0 where there is none.
    pub fn peer(&self) -> SocketAddr {
        // SAFETY: The socket is live.
        let (addr, port) = unsafe {
            let addr = if self.is_inet6() {
                from_in6(&(*self.as_raw()).__sk_common.skc_v6_daddr).to_canonical()
            } else {
                ipv4(bindings::inet_daddr(self.as_raw()))
            };
            (addr, u16::from_be(bindings::inet_dport(self.as_raw())))
        };
        match addr {
            IpAddr::V4(_) => SocketAddr::new(addr, port),
            IpAddr::V6(addr) => peer6(addr, port, self.bound_device()).into(),
        }
    }

    /// We and the peer.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            source: self.local(),
            destination: self.peer(),
        }
    }

    /// The bound port in host order, 0 if none.
    pub fn port(&self) -> u16 {
        // SAFETY: The socket is live.
        unsafe { bindings::inet_num(self.as_raw()) }
    }

    /// The least time to live, or hop limit, that segments to the socket and what goes with errors may
    /// have.
    pub fn min_ttl(&self, ipv6: bool) -> u8 {
        let np = self.as_inet6();
        // SAFETY: The socket is live, and so is its IPv6 part if it has one; the kernel reads these
        // fields without a lock as well.
        unsafe {
            if ipv6 && !np.is_null() {
                (&raw const (*np).min_hopcount).read_volatile()
            } else {
                (&raw const (*self.as_inet()).min_ttl).read_volatile()
            }
        }
    }

    /// The index of the device that the socket is bound to, 0 if none.
    pub fn bound_device(&self) -> i32 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).__sk_common.skc_bound_dev_if).read_volatile() }
    }
}

/// The address of a peer that is reached through the device of this index; see [`Endpoints`].
pub(super) fn peer6(addr: Ipv6Addr, port: u16, device: i32) -> SocketAddrV6 {
    let scope = if addr.is_unicast_link_local() {
        device as u32
    } else {
        0
    };
    SocketAddrV6::new(addr, port, 0, scope)
}

impl<P: Protocol> Locked<'_, P> {
    /// Sets the local address, both for packets out and in.
    pub fn set_local_address(&mut self, addr: IpAddr) {
        let (addr4, addr6) = match addr {
            IpAddr::V4(addr) => (addr, addr.to_ipv6_mapped()),
            IpAddr::V6(addr) => (Ipv4Addr::from(NOT_IPV4), addr),
        };
        self.set_local(addr4, addr6);
    }

    /// Forgets the local address: any will do.
    pub fn clear_local_address(&mut self) {
        self.set_local(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED);
    }

    fn set_local(&mut self, addr4: Ipv4Addr, addr6: Ipv6Addr) {
        let addr4 = u32::from(addr4).to_be();
        // SAFETY: The lock is held; a socket of AF_INET6 has an IPv6 part.
        unsafe {
            (*self.sock().as_inet()).inet_saddr = addr4;
            bindings::inet_set_rcv_saddr(self.raw(), addr4);
            if self.sock().is_inet6() {
                (*self.raw()).__sk_common.skc_v6_rcv_saddr = in6(addr6);
                (*self.sock().as_inet6()).saddr = in6(addr6);
            }
        }
    }

    /// Sets the local port.
    pub fn set_port(&mut self, port: u16) {
        // SAFETY: The lock is held.
        unsafe {
            bindings::inet_set_num(self.raw(), port);
            (*self.sock().as_inet()).inet_sport = port.to_be();
        }
    }

    /// Gives the port up, but leaves its number for `getsockname`.
    pub fn clear_port_number(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::inet_set_num(self.raw(), 0) };
    }

    /// Chooses where the numbers of the connection's packets begin, and the hash of its flow.
    pub fn seed_packet_ids(&mut self) {
        // SAFETY: The lock is held.
        unsafe {
            bindings::inet_id_set(self.raw(), bindings::get_random_u16());
            bindings::sk_set_txhash(self.raw());
        }
    }

    /// Sets the peer. One on the link binds the socket to the device that leads there.
    pub fn set_peer(&mut self, peer: SocketAddr) {
        let (addr4, addr6) = match peer.ip() {
            IpAddr::V4(addr) => (addr, addr.to_ipv6_mapped()),
            IpAddr::V6(addr) => (Ipv4Addr::UNSPECIFIED, addr),
        };
        if let SocketAddr::V6(peer) = peer {
            if peer.scope_id() != 0 {
                self.bind_device(peer.scope_id() as i32);
            }
        }
        self.set_remote(addr4, addr6, peer.port());
    }

    /// Forgets the peer.
    pub fn clear_peer(&mut self) {
        self.set_remote(Ipv4Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED, 0);
    }

    fn set_remote(&mut self, addr4: Ipv4Addr, addr6: Ipv6Addr, port: u16) {
        // SAFETY: The lock is held.
        unsafe {
            bindings::inet_set_daddr(self.raw(), u32::from(addr4).to_be());
            bindings::inet_set_dport(self.raw(), port.to_be());
            if self.sock().is_inet6() {
                (*self.raw()).__sk_common.skc_v6_daddr = in6(addr6);
            }
        }
    }

    /// Binds the socket to the device of this index.
    pub(super) fn bind_device(&mut self, device: i32) {
        // SAFETY: The lock is held; others only read the field, as a whole.
        unsafe {
            ptr::addr_of_mut!((*self.raw()).__sk_common.skc_bound_dev_if).write_volatile(device)
        };
    }

    /// Whether `bind` chose the address, or the port.
    pub fn bound_by_user(&self) -> (bool, bool) {
        // SAFETY: The lock is held.
        let locks = u32::from(unsafe { (*self.raw()).sk_userlocks });
        (
            locks & bindings::SOCK_BINDADDR_LOCK != 0,
            locks & bindings::SOCK_BINDPORT_LOCK != 0,
        )
    }
}
