// SPDX-License-Identifier: GPL-2.0

//! The way to and from IP, of both versions.
//!
//! C headers: [`include/net/ip.h`](srctree/include/net/ip.h),
//! [`include/net/ipv6.h`](srctree/include/net/ipv6.h),
//! [`include/net/route.h`](srctree/include/net/route.h)

mod exthdrs;
mod input;
mod options;
mod output;
mod stateless;
mod v4;
mod v6;

pub use self::{
    input::Segment,
    options::IpOptions,
    output::{
        Payload,
        Wire,
        COPY_MAX,
        MAX_FRAGMENTS, //
    },
    stateless::{
        ControlSock,
        Manner, //
    }, //
};

use super::{
    bindings,
    net_namespace::Net,
    proto::Protocol,
    sock::Locked, //
};
use core::{
    net::{
        Ipv4Addr,
        Ipv6Addr,
        SocketAddr,
        SocketAddrV4,
        SocketAddrV6, //
    },
    ptr, //
};
use kernel::prelude::*;

/// Bytes of the TCP header without options.
const TCP_HEADER: u32 = 20;
/// Nanoseconds in a millisecond, in which routes tell times.
const NS_PER_MS: u64 = 1_000_000;

/// `addr` as the kernel's structures hold it.
fn be(addr: Ipv4Addr) -> u32 {
    u32::from(addr).to_be()
}

fn from_be(addr: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from_be(addr))
}

/// `addr` as the kernel's structures hold it.
pub(super) fn in6(addr: Ipv6Addr) -> bindings::in6_addr {
    // SAFETY: `struct in6_addr` is 16 octets, any of which are valid.
    unsafe { core::mem::transmute(addr.octets()) }
}

pub(super) fn from_in6(addr: &bindings::in6_addr) -> Ipv6Addr {
    // SAFETY: As above.
    let octets = unsafe { ptr::from_ref(addr).cast::<[u8; 16]>().read() };
    octets.into()
}

/// The IPv4 part of a flow, which is where the flow is.
fn flow4(fl: *mut bindings::flowi) -> *mut bindings::flowi4 {
    fl.cast()
}

/// The IPv6 part of a flow, which is where the flow is.
fn flow6(fl: *mut bindings::flowi) -> *mut bindings::flowi6 {
    fl.cast()
}

/// Source and destination of a segment, both of one version of IP.
///
/// Version 4 means that the segment goes by IPv4, whatever the family of the socket: one of AF_INET6
/// may have such a connection, and calls the addresses v4-mapped.
///
/// Here and wherever an address finds a connection, a link-local address of a *peer's* has as its scope
/// the index of the device that the peer is reached through; nothing else has a scope, and no address
/// has a flow label. So two addresses are equal where they are the same end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Endpoints {
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes to.
    pub destination: SocketAddr,
}

/// Source and destination of a segment, by the version of IP that carries it.
pub(super) enum Versioned {
    V4(SocketAddrV4, SocketAddrV4),
    V6(SocketAddrV6, SocketAddrV6),
}

impl Endpoints {
    /// The way back.
    pub fn reversed(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
        }
    }

    /// The two, by the version of IP.
    ///
    /// Fails with `EAFNOSUPPORT` where they differ.
    pub(super) fn versioned(&self) -> Result<Versioned> {
        match (self.source, self.destination) {
            (SocketAddr::V4(source), SocketAddr::V4(destination)) => {
                Ok(Versioned::V4(source, destination))
            }
            (SocketAddr::V6(source), SocketAddr::V6(destination)) => {
                Ok(Versioned::V6(source, destination))
            }
            _ => Err(super::errno::EAFNOSUPPORT),
        }
    }
}

/// What the route to the peer allows.
#[derive(Clone, Copy)]
pub struct Path {
    /// The largest packet, in bytes with the IP header.
    pub mtu: u32,
    /// The MSS to announce, for segments without options.
    pub advertised_mss: u32,
    /// Bytes of the IP and the TCP header without options.
    pub headers: u32,
    /// What a segment to there may carry if its receiver says nothing: as much as fits into a packet
    /// that every path of the IP version takes.
    pub default_mss: u16,
    /// Bytes of the IP options or extension headers that the socket's segments carry (`IP_OPTIONS`,
    /// `IPV6_HOPOPTS` and others).
    pub ip_options: u32,
    /// Whether the route says that ECN works (`ip route … features ecn`).
    pub ecn: bool,
    /// The largest window to announce, 0 for no bound (`window` of `ip route`).
    pub window: u32,
    /// The segments that the first window invites, 0 for no bound (`initrwnd` of `ip route`).
    pub initial_rwnd: u32,
    /// Whether SYNs to there may carry data without a cookie (`fastopen_no_cookie` of `ip route`).
    pub fast_open_no_cookie: bool,
    /// What the administrator knows of the way.
    pub hints: Hints,
}

/// What a route says of the connections along it, beside what bounds their segments.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Hints {
    /// Segments of the first congestion window, 0 if it does not say (`initcwnd` of `ip route`).
    pub initial_cwnd: u32,
    /// Whether acknowledgments are not delayed (`quickack`).
    pub quick_ack: bool,
    /// The lower bound of the RTO's variance in nanoseconds, if it is locked (`rto_min`).
    pub rto_min_ns: Option<u64>,
    /// The key of the algorithm of congestion control, 0 if it does not say (`congctl`).
    pub congestion: u32,
    /// Whether the user may not choose another.
    pub congestion_locked: bool,
    /// What connections begin with.
    pub metrics: RouteMetrics,
}

/// What a route says to begin with of what connections learn. Each has a value, 0 if the route does not
/// say, and whether it is locked.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct RouteMetrics {
    /// The round-trip time in eighths of a millisecond (`rtt`).
    pub rtt: (u32, bool),
    /// Segments of the congestion window (`cwnd`).
    pub cwnd: (u32, bool),
    /// Segments at which slow start ends (`ssthresh`).
    pub ssthresh: (u32, bool),
    /// How many segments later than others some may arrive (`reordering`).
    pub reordering: (u32, bool),
}

impl Hints {
    /// Whether the algorithm is that of this name.
    pub fn names(&self, algorithm: &str) -> bool {
        let mut name = [0_u8; bindings::TCP_CA_NAME_MAX as usize];
        let len = algorithm.len();
        let Some(to) = name.get_mut(..len) else {
            return false;
        };
        to.copy_from_slice(algorithm.as_bytes());
        // SAFETY: So many bytes are there. As `tcp_register_congestion_control` makes the key.
        let key = unsafe { bindings::jhash(name.as_ptr().cast(), name.len() as u32, len as u32) };
        self.congestion != 0 && self.congestion == key
    }
}

/// What the path allows for `dst`, behind an IP header of so many bytes and as many of options.
///
/// # Safety
///
/// `dst` must be valid.
unsafe fn path_of(dst: *const bindings::dst_entry, ip_header: u32, ip_options: u32) -> Path {
    let smallest_mtu = if ip_header == v6::HEADER {
        v6::SMALLEST_MTU
    } else {
        v4::SMALLEST_MTU
    };
    // SAFETY: By the requirement.
    unsafe {
        Path {
            mtu: bindings::dst_mtu(dst),
            advertised_mss: bindings::dst_metric_advmss(dst),
            headers: ip_header + TCP_HEADER,
            default_mss: (smallest_mtu - ip_header - TCP_HEADER) as u16,
            ip_options,
            ecn: bindings::dst_feature(dst, bindings::RTAX_FEATURE_ECN) != 0,
            window: bindings::dst_metric(dst, bindings::RTAX_WINDOW as i32),
            initial_rwnd: bindings::dst_metric(dst, bindings::RTAX_INITRWND as i32),
            fast_open_no_cookie: bindings::dst_metric(
                dst,
                bindings::RTAX_FASTOPEN_NO_COOKIE as i32,
            ) != 0,
            hints: hints_of(dst),
        }
    }
}

/// What a route says of connections.
///
/// # Safety
///
/// `dst` must be valid.
unsafe fn hints_of(dst: *const bindings::dst_entry) -> Hints {
    // SAFETY: By the requirement.
    let metric = |metric: u32| unsafe { bindings::dst_metric(dst, metric as i32) };
    let locked = |metric_: u32| metric(bindings::RTAX_LOCK) & 1 << metric_ != 0;
    let both = |metric_: u32| (metric(metric_), locked(metric_));
    let rto_min = || u64::from(metric(bindings::RTAX_RTO_MIN)) * NS_PER_MS;
    Hints {
        initial_cwnd: metric(bindings::RTAX_INITCWND),
        quick_ack: metric(bindings::RTAX_QUICKACK) != 0,
        // As Linux: one that is not locked is no bound.
        rto_min_ns: locked(bindings::RTAX_RTO_MIN).then(rto_min),
        congestion: metric(bindings::RTAX_CC_ALGO),
        congestion_locked: locked(bindings::RTAX_CC_ALGO),
        metrics: RouteMetrics {
            rtt: both(bindings::RTAX_RTT),
            cwnd: both(bindings::RTAX_CWND),
            ssthresh: both(bindings::RTAX_SSTHRESH),
            reordering: both(bindings::RTAX_REORDERING),
        },
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Finds the route to `peer`, as the caller of `connect` names it, for a socket that is about to
    /// connect, and the local address where none was chosen. The route is kept;
    /// [`Locked::route_with_ports`] comes once the port is known.
    pub fn route_to(&mut self, peer: SocketAddr) -> Result<Endpoints> {
        let peer = match peer {
            SocketAddr::V4(_) => peer,
            SocketAddr::V6(_) if !self.sock().is_inet6() => {
                return Err(super::errno::EAFNOSUPPORT);
            }
            SocketAddr::V6(peer) => self.named_peer(peer)?,
        };
        match peer {
            SocketAddr::V4(peer) => self.route_to_v4(peer),
            SocketAddr::V6(peer) => self.route_to_v6(peer),
        }
    }

    /// Looks the route up again now that the local port is known: a policy may select by it.
    pub fn route_with_ports(&mut self) -> Result {
        self.reset_route();
        self.path().map(|_| ())
    }

    /// What the route allows now; a stale route is looked up again.
    pub fn path(&mut self) -> Result<Path> {
        if self.sock().goes_by_ipv6() {
            self.path_v6()
        } else {
            self.path_v4()
        }
    }

    /// A router said that packets on this path may have `mtu` bytes at most.
    pub fn reduce_mtu(&mut self, mtu: u32) {
        if self.sock().goes_by_ipv6() {
            self.reduce_mtu_v6(mtu);
        } else {
            self.reduce_mtu_v4(mtu);
        }
    }

    /// Forgets the route.
    pub fn reset_route(&mut self) {
        // SAFETY: The lock is held.
        unsafe { bindings::__sk_dst_reset(self.sock().as_raw()) };
    }

    /// The largest payload of one packet given to IP, where the device or the kernel cuts it into
    /// segments; `None` where it must be one segment.
    pub fn gso_max(&self) -> Option<u32> {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held.
        unsafe {
            bindings::sk_can_gso(sk).then(|| {
                (*sk)
                    .sk_gso_max_size
                    .saturating_sub(bindings::MAX_TCP_HEADER as u32)
            })
        }
    }
}

/// The first sequence number and timestamp offset of a connection, `ends` as its own segments have
/// them, which only the holder of the kernel's secret can foretell (RFC 6528).
pub fn initial_sequence(net: &Net, ends: &Endpoints) -> (u32, u32) {
    let net = net.as_raw();
    let both = match ends.versioned() {
        // SAFETY: The namespace is valid.
        Ok(Versioned::V4(local, peer)) => unsafe {
            bindings::secure_tcp_seq_and_ts_off(
                net,
                be(*local.ip()),
                be(*peer.ip()),
                local.port().to_be(),
                peer.port().to_be(),
            )
        },
        // SAFETY: The namespace is valid, and the addresses have 16 octets.
        Ok(Versioned::V6(local, peer)) => unsafe {
            let (ours, theirs) = (in6(*local.ip()), in6(*peer.ip()));
            bindings::secure_tcpv6_seq_and_ts_off(
                net,
                (&raw const ours).cast(),
                (&raw const theirs).cast(),
                local.port().to_be(),
                peer.port().to_be(),
            )
        },
        // No connection has such ends.
        Err(_) => return (0, 0),
    };
    // SAFETY: A union of plain integers.
    let halves = unsafe { both.__bindgen_anon_1.as_ref() };
    (halves.seq, halves.ts_off)
}
