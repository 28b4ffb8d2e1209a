// SPDX-License-Identifier: GPL-2.0

//! Internet sockets: addresses, ports and the device.
//!
//! C header: [`include/net/inet_sock.h`](srctree/include/net/inet_sock.h)

use super::{
    bindings,
    ip::Endpoints,
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
        SocketAddr, //
    },
    ptr, //
};

fn ipv4(addr: u32) -> IpAddr {
    Ipv4Addr::from(u32::from_be(addr)).into()
}

impl<P: Protocol> Sock<P> {
    /// The address that packets of the socket leave from, and its port. Both are 0 where they are
    /// not chosen yet.
    pub fn local(&self) -> SocketAddr {
        // SAFETY: The socket is live.
        let inet = unsafe { &*self.as_inet() };
        SocketAddr::new(ipv4(inet.inet_saddr), u16::from_be(inet.inet_sport))
    }

    /// The address that packets to the socket must be sent to, unspecified where any will do.
    pub fn receive_address(&self) -> IpAddr {
        // SAFETY: The socket is live; the union holds IPv4 addresses for an AF_INET socket.
        ipv4(unsafe { bindings::inet_rcv_saddr(self.as_raw()) })
    }

    /// The peer's address and port, 0 where there is none.
    pub fn peer(&self) -> SocketAddr {
        // SAFETY: The socket is live.
        let (addr, port) = unsafe {
            (
                bindings::inet_daddr(self.as_raw()),
                bindings::inet_dport(self.as_raw()),
            )
        };
        SocketAddr::new(ipv4(addr), u16::from_be(port))
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

    /// The least time to live that segments to the socket, and those that errors quote, may have.
    pub fn min_ttl(&self) -> u8 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_inet()).min_ttl).read_volatile() }
    }

    /// The index of the device that the socket is bound to, 0 if none.
    pub fn bound_device(&self) -> i32 {
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        unsafe { ptr::addr_of!((*self.as_raw()).__sk_common.skc_bound_dev_if).read_volatile() }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Sets the local address, both for packets out and in.
    pub fn set_local_address(&mut self, addr: IpAddr) {
        let IpAddr::V4(addr) = addr else {
            return;
        };
        let addr = u32::from(addr).to_be();
        // SAFETY: The lock is held.
        unsafe {
            (*self.sock().as_inet()).inet_saddr = addr;
            bindings::inet_set_rcv_saddr(self.raw(), addr);
        }
    }

    /// Forgets the local address: any will do.
    pub fn clear_local_address(&mut self) {
        self.set_local_address(Ipv4Addr::UNSPECIFIED.into());
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

    /// Sets the peer.
    pub fn set_peer(&mut self, peer: SocketAddr) {
        let IpAddr::V4(addr) = peer.ip() else {
            return;
        };
        // SAFETY: The lock is held.
        unsafe {
            bindings::inet_set_daddr(self.raw(), u32::from(addr).to_be());
            bindings::inet_set_dport(self.raw(), peer.port().to_be());
        }
    }

    /// Forgets the peer.
    pub fn clear_peer(&mut self) {
        self.set_peer(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0));
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
