// SPDX-License-Identifier: GPL-2.0

//! Segments on their way in.
//!
//! C header: [`include/net/ip.h`](srctree/include/net/ip.h)

use super::{
    from_be,
    from_in6,
    Endpoints,
    IpOptions, //
};
use crate::net::{
    bindings,
    inet_sock::peer6,
    net_namespace::Net,
    proto::Protocol,
    skbuff::{
        DropReason,
        Skb, //
    },
    sock::Sock, //
};
use core::{
    net::{
        IpAddr,
        Ipv6Addr,
        SocketAddr, //
    },
    ops::Deref,
    ptr, //
};
use kernel::prelude::*;

/// Bytes of a TCP header without options.
const TCP_HEADER_MIN: u32 = 20;
/// The same with all options.
const TCP_HEADER_MAX: usize = 60;
/// Where its length is in it.
const TCP_DATA_OFFSET: usize = 12;

impl Skb {
    /// Whether the packet is one of IPv6.
    pub(in crate::net) fn is_ipv6(&self) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::skb_is_ipv6(self.as_raw()) }
    }

    /// Source and destination of a packet at the LOCAL_IN hook, if it is a TCP segment for this host
    /// alone: neither its frame nor its address is for many.
    pub fn tcp_endpoints(&self) -> Option<Endpoints> {
        if self.is_ipv6() {
            self.tcp6_endpoints()
        } else {
            self.tcp4_endpoints()
        }
    }

    fn tcp6_endpoints(&self) -> Option<Endpoints> {
        let upper = self.upper_v6()?;
        if upper.protocol != bindings::IPPROTO_TCP {
            return None;
        }
        let [s0, s1, d0, d1] = self.copied(upper.at)?;
        // SAFETY: At the hook the IPv6 header is complete and in one piece, the packet routed, and
        // IPv6's control block still in place.
        unsafe {
            let raw = self.as_raw();
            if bindings::skb_pkt_type(raw) != bindings::PACKET_HOST
                || !bindings::ipv6_unicast_destination(raw)
            {
                return None;
            }
            let (source, destination) = addresses_v6(raw);
            let ports = [u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1])];
            Some(Endpoints {
                source: peer6(source, ports[0], bindings::IP6CB_iif(raw)).into(),
                destination: SocketAddr::new(destination.into(), ports[1]),
            })
        }
    }

    fn tcp4_endpoints(&self) -> Option<Endpoints> {
        let mut ports = [0u8; 4];
        // SAFETY: At the hook the IP header is complete and in one piece, its length checked, the packet
        // routed; `skb_header_pointer` checks the rest and gives a pointer to 4 readable bytes or null.
        unsafe {
            let raw = self.as_raw();
            let ip = &*bindings::ip_hdr(raw);
            if u32::from(ip.protocol) != bindings::IPPROTO_TCP
                || bindings::skb_pkt_type(raw) != bindings::PACKET_HOST
                || bindings::ip_is_fragment(ip)
                || (*bindings::skb_rtable(raw)).rt_flags
                    & (bindings::RTCF_MULTICAST | bindings::RTCF_BROADCAST)
                    != 0
            {
                return None;
            }
            let at = bindings::skb_header_pointer(
                raw,
                bindings::skb_network_offset(raw) + i32::from(ip.ihl()) * 4,
                4,
                ports.as_mut_ptr().cast(),
            )
            .cast::<[u8; 4]>();
            if at.is_null() {
                return None;
            }
            let [s0, s1, d0, d1] = *at;
            let addrs = ip.__bindgen_anon_1.addrs.as_ref();
            Some(Endpoints {
                source: SocketAddr::new(from_be(addrs.saddr).into(), u16::from_be_bytes([s0, s1])),
                destination: SocketAddr::new(
                    from_be(addrs.daddr).into(),
                    u16::from_be_bytes([d0, d1]),
                ),
            })
        }
    }

    /// Whether the device that a packet at the LOCAL_IN hook came through is one that `sk` hears:
    /// that it is bound to; if to none, any that is in no VRF, or all where `tcp_l3mdev_accept` is set.
    pub fn is_heard_by<P: Protocol>(&self, sk: &Sock<P>) -> bool {
        self.is_heard_at(sk.net(), sk.bound_device())
    }

    /// What the IPsec policy of a socket says, or for null that of the host.
    pub(in crate::net) fn policy_allows(&self, sk: *mut bindings::sock) -> bool {
        let (raw, input) = (self.as_raw(), bindings::XFRM_POLICY_IN as i32);
        // SAFETY: Valid by the type invariant, still with its IP header, and the socket live or null.
        unsafe {
            if self.is_ipv6() {
                bindings::xfrm6_policy_check(sk, input, raw) != 0
            } else {
                bindings::xfrm4_policy_check(sk, input, raw) != 0
            }
        }
    }

    /// The same for what is bound to the device of this index, or to none for 0.
    pub fn is_heard_at(&self, net: &Net, device: i32) -> bool {
        let [iif, sdif] = self.devices();
        // SAFETY: The namespace is valid.
        unsafe { bindings::inet_sk_bound_dev_eq(net.as_raw(), device, iif, sdif) }
    }

    /// The index of the device that a packet at the LOCAL_IN hook counts as received by, which is the
    /// virtual router if there is one, and then that of the device within the router, or else 0.
    pub fn devices(&self) -> [i32; 2] {
        // SAFETY: Valid by the type invariant, with a route, and IP's control block still in place.
        unsafe {
            let raw = self.as_raw();
            if self.is_ipv6() {
                [bindings::inet6_iif(raw), bindings::inet6_sdif(raw)]
            } else {
                [bindings::inet_iif(raw), bindings::inet_sdif(raw)]
            }
        }
    }

    /// Of these the virtual router, 0 for none.
    pub fn router(&self) -> i32 {
        match self.devices() {
            [_, 0] => 0,
            [router, _] => router,
        }
    }

    /// A copy of the TCP header of a packet at the LOCAL_IN hook, as far as there is one.
    pub fn tcp_header(&self) -> TcpHeader {
        let at = if self.is_ipv6() {
            self.upper_v6().map_or(0, |upper| upper.at)
        } else {
            // SAFETY: At the hook the IP header is complete and in one piece.
            unsafe {
                let ihl = (*bindings::ip_hdr(self.as_raw())).ihl();
                bindings::skb_network_offset(self.as_raw()).max(0) as usize + usize::from(ihl) * 4
            }
        };
        let mut header = TcpHeader {
            bytes: [0; TCP_HEADER_MAX],
            len: 0,
        };
        if let Some([offset]) = self.copied(at + TCP_DATA_OFFSET) {
            let len = usize::from(offset >> 4) * 4;
            // SAFETY: The callee checks that the packet has so many bytes, and there is room.
            let r = unsafe {
                let to = header.bytes.as_mut_ptr().cast();
                bindings::skb_copy_bits(self.as_raw(), at as i32, to, len as i32)
            };
            header.len = if r == 0 { len } else { 0 };
        }
        header
    }

    /// Takes a segment out of the IP layer's hands, as `ip_local_deliver_finish` and then
    /// `tcp_v4_rcv` do before they look for a socket: connection tracking is told, borrowed memory is
    /// copied, lengths and checksum are right. What is left begins with the TCP header.
    ///
    /// # Errors
    ///
    /// Why the packet was dropped.
    pub fn into_segment(self, net: &Net, now_ns: u64) -> core::result::Result<Segment, DropReason> {
        // SAFETY: At the hook, under RCU; the packet is ours from here on.
        unsafe {
            let raw = self.as_raw();
            // The hook that confirms a tracked connection may stand behind ours, and a packet that
            // does not reach it leaves the connection unknown. Only the first packet confirms: over
            // loopback even that one was, on its way out.
            if bindings::skb_nfct_is_unconfirmed(raw) {
                if let Some(confirm) = bindings::nf_ct_hook_get().as_ref().and_then(|h| h.confirm) {
                    if confirm(raw) != bindings::NF_ACCEPT as i32 {
                        return Err(DropReason::Unspecified);
                    }
                }
            }
            // Memory that the sender may still write must not enter a receive queue.
            if bindings::skb_orphan_frags_rx(raw, bindings::GFP_ATOMIC) != 0 {
                return Err(DropReason::Unspecified);
            }
            bindings::skb_clear_delivery_time(raw);
        }
        let mut skb = self;
        let is_ipv6 = skb.is_ipv6();
        if is_ipv6 {
            skb.pull_headers_v6(net)?;
        } else {
            // SAFETY: The packet is ours, and its IP header complete and in one piece.
            unsafe {
                let raw = skb.as_raw();
                bindings::__IP_INC_STATS(net.as_raw(), bindings::IPSTATS_MIB_INDELIVERS as i32);
                bindings::__skb_pull(raw, bindings::skb_network_header_len(raw));
            }
        }
        // SAFETY: The packet is ours, and its data begins with the TCP header.
        unsafe { bindings::skb_reset_transport_header(skb.as_raw()) };
        if !skb.pull_linear(TCP_HEADER_MIN) {
            skb.drop_because(DropReason::TooSmall);
            return Err(DropReason::TooSmall);
        }
        let header_len = skb.linear().get(12).map_or(0, |b| u32::from(b >> 4) * 4);
        if header_len < TCP_HEADER_MIN || !skb.pull_linear(header_len) {
            skb.drop_because(DropReason::TooSmall);
            return Err(DropReason::TooSmall);
        }
        // SAFETY: The transport header is set, and the network header still there.
        let bad = unsafe {
            let init = if is_ipv6 {
                bindings::skb_checksum_init_v6(skb.as_raw())
            } else {
                bindings::skb_checksum_init_v4(skb.as_raw())
            };
            init != 0 || bindings::skb_checksum_complete(skb.as_raw()) != 0
        };
        if bad {
            skb.drop_because(DropReason::Checksum);
            return Err(DropReason::Checksum);
        }
        Ok(Segment {
            skb,
            header_len,
            now_ns,
        })
    }
}

impl Skb {
    /// Takes the IPv6 header and its extension headers from the front, as `ip6_protocol_deliver_rcu`.
    fn pull_headers_v6(&mut self, net: &Net) -> core::result::Result<(), DropReason> {
        let len = self.upper_v6().map_or(0, |upper| upper.at as u32);
        if len == 0 || !self.pull_linear(len) {
            return Err(DropReason::TooSmall);
        }
        // SAFETY: The packet is ours, its first `len` bytes are in one piece, and RCU is held.
        unsafe {
            let raw = self.as_raw();
            let field = bindings::IPSTATS_MIB_INDELIVERS as i32;
            bindings::__IP6_INC_STATS_in(net.as_raw(), raw, field);
            bindings::__skb_pull(raw, len);
            bindings::skb_postpull_rcsum(raw, bindings::ipv6_hdr(raw).cast(), len);
        }
        Ok(())
    }

    /// Counts and frees a packet whose IPv6 header no host sends.
    pub fn drop_header_error(self, net: &Net) {
        let field = bindings::IPSTATS_MIB_INHDRERRORS as i32;
        // SAFETY: The packet is one of IPv6 at the hook, under RCU.
        unsafe { bindings::__IP6_INC_STATS_in(net.as_raw(), self.as_raw(), field) };
        self.drop_because(DropReason::Header);
    }
}

/// Source and destination of a packet of IPv6.
///
/// # Safety
///
/// `raw` must be valid, with its network header in one piece.
unsafe fn addresses_v6(raw: *mut bindings::sk_buff) -> (Ipv6Addr, Ipv6Addr) {
    // SAFETY: By the requirement.
    let addrs = unsafe { (*bindings::ipv6_hdr(raw)).__bindgen_anon_1.addrs.as_ref() };
    (from_in6(&addrs.saddr), from_in6(&addrs.daddr))
}

/// A copy of a TCP header, which may be cut short.
pub struct TcpHeader {
    bytes: [u8; TCP_HEADER_MAX],
    len: usize,
}

impl Deref for TcpHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// A TCP segment with a right checksum; the packet's data begins with its header.
pub struct Segment {
    skb: Skb,
    header_len: u32,
    now_ns: u64,
}

/// What a program may ask for of a packet; see [`Segment::seen`].
pub(in crate::net) struct Seen {
    /// The index of the device that it came through.
    pub(in crate::net) device: i32,
    /// Its TTL or hop limit.
    pub(in crate::net) hops: u8,
    /// Traffic class and flow label, as in the header.
    pub(in crate::net) flow_info: u32,
    /// The flow label alone.
    pub(in crate::net) flow_label: u32,
}

impl Segment {
    /// The TCP header with its options.
    pub fn header(&self) -> &[u8] {
        self.skb
            .linear()
            .get(..self.header_len as usize)
            .unwrap_or_default()
    }

    /// The packet.
    pub(super) fn raw(&self) -> *mut bindings::sk_buff {
        self.skb.as_raw()
    }

    /// The headers up to the payload, from that of IP on, or that of the link layer; `None` without
    /// memory.
    pub fn headers(&self, link: bool) -> Option<KVec<u8>> {
        let raw = self.skb.as_raw();
        if self.header().is_empty() {
            return None;
        }
        // SAFETY: The packet is ours; what was pulled stays in front of the TCP header, in one piece.
        let bytes = unsafe {
            let from = match link && bindings::skb_mac_header_was_set(raw) {
                true => bindings::skb_mac_header(raw),
                false => bindings::skb_network_header(raw),
            };
            let before = self.header().as_ptr().offset_from(from);
            let before = usize::try_from(before).ok()?;
            core::slice::from_raw_parts(from, before + self.header().len())
        };
        let mut copy = KVec::new();
        copy.extend_from_slice(bytes, GFP_ATOMIC | __GFP_NOWARN)
            .ok()?;
        Some(copy)
    }

    /// Bytes behind the header.
    pub fn payload_len(&self) -> u32 {
        self.skb.len().saturating_sub(self.header_len)
    }

    /// Payload of one segment on the wire, where several were merged into this one on the way in.
    pub fn merged_from(&self) -> Option<u16> {
        // SAFETY: The packet is ours.
        let size = unsafe { (*bindings::skb_shinfo(self.skb.as_raw())).gso_size };
        (size != 0).then_some(size)
    }

    /// The TOS field of the IP header, or its traffic class.
    pub fn tos(&self) -> u8 {
        let raw = self.skb.as_raw();
        // SAFETY: The packet is ours; the IP header stays in front of what was pulled.
        unsafe {
            if self.skb.is_ipv6() {
                bindings::ipv6_get_dsfield(bindings::ipv6_hdr(raw))
            } else {
                (*bindings::ip_hdr(raw)).tos
            }
        }
    }

    /// Whether the segment came by IPv6.
    pub(in crate::net) fn is_ipv6(&self) -> bool {
        self.skb.is_ipv6()
    }

    /// What else of the packet a program may ask for.
    pub(in crate::net) fn seen(&self) -> Seen {
        let raw = self.skb.as_raw();
        // SAFETY: The packet is ours; the IP header stays in front of what was pulled.
        unsafe {
            let device = bindings::skb_iif(raw);
            if self.skb.is_ipv6() {
                let ip = bindings::ipv6_hdr(raw);
                Seen {
                    device,
                    hops: (*ip).hop_limit,
                    flow_info: bindings::ip6_flowinfo(ip),
                    flow_label: bindings::ip6_flowlabel(ip),
                }
            } else {
                Seen {
                    device,
                    hops: (*bindings::ip_hdr(raw)).ttl,
                    flow_info: 0,
                    flow_label: 0,
                }
            }
        }
    }

    /// Whether the packet passed more routers than the socket allows.
    fn is_from_afar<P: Protocol>(&self, sk: &Sock<P>) -> bool {
        self.seen().hops < sk.min_ttl(self.is_ipv6())
    }

    /// When the segment came.
    pub fn arrival_ns(&self) -> u64 {
        self.now_ns
    }

    /// Asks what may forbid a socket to see a segment on this way: minimal TTL and IPsec policy.
    /// `None`: it is dropped.
    pub fn pass_way<P: Protocol>(self, sk: &Sock<P>) -> Option<Self> {
        let reason = if self.is_from_afar(sk) {
            DropReason::MinTtl
        } else if !self.skb.policy_allows(sk.as_raw()) {
            DropReason::Policy
        } else {
            return Some(self);
        };
        self.skb.drop_of(sk, reason);
        None
    }

    /// Asks what else may forbid a socket to see this segment: the cgroup's and the security module's
    /// filters, the socket's own. `None`: it is dropped.
    ///
    /// The filter may shorten the payload.
    pub fn pass_filters<P: Protocol>(self, sk: &Sock<P>) -> Option<Self> {
        let mut this = self;
        // SAFETY: The socket is live, the packet ours; we run under RCU with bottom halves disabled, as
        // `tcp_v4_rcv`.
        let refused = unsafe {
            let raw = this.skb.as_raw();
            bindings::nf_reset_ct(raw);
            bindings::sk_filter_trim_cap(sk.as_raw(), raw, this.header_len) != 0
        };
        if refused {
            this.skb.drop_of(sk, DropReason::Filter);
            return None;
        }
        // SAFETY: The packet does not outlive the device that it came from by this pointer.
        unsafe { bindings::skb_clear_dev(this.skb.as_raw()) };
        this.skb.set_arrival(this.now_ns);
        Some(this)
    }

    /// The packet; [`Skb::is_heard_by`] may be asked until [`Segment::pass_filters`].
    pub fn as_skb(&mut self) -> &mut Skb {
        &mut self.skb
    }

    /// The same for a segment that no socket will see.
    pub fn pass_policy(&self) -> bool {
        self.skb.policy_allows(ptr::null_mut())
    }

    /// Whether the segment comes from and goes to these ends; through which device is not asked.
    pub fn is_between(&self, ends: &Endpoints) -> bool {
        let raw = self.skb.as_raw();
        // SAFETY: The network header is still in front of the TCP header.
        let (source, destination): (IpAddr, IpAddr) = unsafe {
            if self.skb.is_ipv6() {
                let (source, destination) = addresses_v6(raw);
                (source.into(), destination.into())
            } else {
                let addrs = (*bindings::ip_hdr(raw)).__bindgen_anon_1.addrs.as_ref();
                (from_be(addrs.saddr).into(), from_be(addrs.daddr).into())
            }
        };
        let port = |at: usize| match self.header().get(at..at + 2) {
            Some(&[high, low]) => u16::from_be_bytes([high, low]),
            _ => 0,
        };
        (source, port(0)) == (ends.source.ip(), ends.source.port())
            && (destination, port(2)) == (ends.destination.ip(), ends.destination.port())
    }

    pub(in crate::net) fn as_raw(&self) -> *mut bindings::sk_buff {
        self.skb.as_raw()
    }

    /// The IP options of an answer to this segment that no connected socket sends.
    pub fn answering(&self, net: &Net) -> IpOptions {
        IpOptions::answering(net, &self.skb)
    }

    /// The packet, its data beginning with the TCP header.
    pub fn into_skb(self) -> Skb {
        self.skb
    }

    /// The segment that [`Segment::into_skb`] made a packet of; `None` where it does not begin with a
    /// whole TCP header.
    pub fn from_skb(skb: Skb) -> Option<Self> {
        let header_len = u32::from(skb.linear().get(12)? >> 4) * 4;
        if header_len < TCP_HEADER_MIN || skb.linear().len() < header_len as usize {
            return None;
        }
        let now_ns = skb.arrival_ns();
        Some(Self {
            skb,
            header_len,
            now_ns,
        })
    }
}
