// SPDX-License-Identifier: GPL-2.0

//! The way to and from IPv4.
//!
//! C headers: [`include/net/ip.h`](srctree/include/net/ip.h),
//! [`include/net/route.h`](srctree/include/net/route.h)

use super::{
    bindings,
    msg::Msg,
    net_namespace::Net,
    proto::Protocol,
    rope::Rope,
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
        Ipv4Addr,
        SocketAddrV4, //
    },
    ptr, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// Bytes of a TCP header without options.
const TCP_HEADER_MIN: u32 = 20;
/// Where the checksum is in a TCP header.
const TCP_CHECKSUM_OFFSET: u16 = 16;
/// Pieces of memory that one packet can refer to beside its own.
pub const MAX_FRAGMENTS: usize = bindings::MAX_SKB_FRAGS as usize;

/// `addr` as the kernel's structures hold it.
fn be(addr: Ipv4Addr) -> u32 {
    u32::from(addr).to_be()
}

fn from_be(addr: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from_be(addr))
}

/// The IPv4 part of a flow, which is where the flow is.
fn flow4(fl: *mut bindings::flowi) -> *mut bindings::flowi4 {
    fl.cast()
}

/// Source and destination of a segment.
#[derive(Clone, Copy)]
pub struct Endpoints {
    /// Where it comes from.
    pub source: SocketAddrV4,
    /// Where it goes to.
    pub destination: SocketAddrV4,
}

impl Skb {
    /// Source and destination of a packet at the LOCAL_IN hook, if it is a TCP segment for this host
    /// alone: neither its frame nor its address is for many.
    pub fn tcp4_endpoints(&self) -> Option<Endpoints> {
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
                source: SocketAddrV4::new(from_be(addrs.saddr), u16::from_be_bytes([s0, s1])),
                destination: SocketAddrV4::new(from_be(addrs.daddr), u16::from_be_bytes([d0, d1])),
            })
        }
    }

    /// Whether the device that a packet at the LOCAL_IN hook came through is one that `sk` hears:
    /// that it is bound to; if to none, any that is in no VRF, or all where `tcp_l3mdev_accept` is set.
    pub fn is_heard_by<P: Protocol>(&self, sk: &Sock<P>) -> bool {
        // SAFETY: Valid by the type invariant, with a route, and IP's control block still in place.
        unsafe {
            bindings::inet_sk_bound_dev_eq(
                sk.net().as_raw(),
                sk.bound_device(),
                bindings::inet_iif(self.as_raw()),
                bindings::inet_sdif(self.as_raw()),
            )
        }
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
            bindings::__IP_INC_STATS(net.as_raw(), bindings::IPSTATS_MIB_INDELIVERS as i32);
            let header_len = bindings::skb_network_header_len(raw);
            bindings::__skb_pull(raw, header_len);
            bindings::skb_reset_transport_header(raw);
        }
        let mut skb = self;
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
            bindings::skb_checksum_init_v4(skb.as_raw()) != 0
                || bindings::skb_checksum_complete(skb.as_raw()) != 0
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

/// A TCP segment with a right checksum; the packet's data begins with its header.
pub struct Segment {
    skb: Skb,
    header_len: u32,
    now_ns: u64,
}

impl Segment {
    /// The TCP header with its options.
    pub fn header(&self) -> &[u8] {
        self.skb
            .linear()
            .get(..self.header_len as usize)
            .unwrap_or_default()
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

    /// When the segment came.
    pub fn arrival_ns(&self) -> u64 {
        self.now_ns
    }

    /// Asks all that may forbid a socket to see this segment: minimal TTL, IPsec policy, the cgroup's
    /// and the security module's filters, the socket's own. `None`: it is dropped.
    ///
    /// The filter may shorten the payload.
    pub fn pass_filters<P: Protocol>(self, sk: &Sock<P>) -> Option<Self> {
        let mut this = self;
        // SAFETY: The socket is live, the packet ours; we run under RCU with bottom halves
        // disabled, as `tcp_v4_rcv`.
        let reason = unsafe {
            let raw = this.skb.as_raw();
            if (*bindings::ip_hdr(raw)).ttl < ptr::addr_of!((*sk.as_inet()).min_ttl).read_volatile()
            {
                Some(DropReason::MinTtl)
            } else if bindings::xfrm4_policy_check(
                sk.as_raw(),
                bindings::XFRM_POLICY_IN as i32,
                raw,
            ) == 0
            {
                Some(DropReason::Policy)
            } else {
                bindings::nf_reset_ct(raw);
                (bindings::sk_filter_trim_cap(sk.as_raw(), raw, this.header_len) != 0)
                    .then_some(DropReason::Filter)
            }
        };
        if let Some(reason) = reason {
            this.skb.drop_because(reason);
            return None;
        }
        // SAFETY: The packet does not outlive the device that it came from by this pointer.
        unsafe { bindings::skb_clear_dev(this.skb.as_raw()) };
        this.skb.set_arrival(this.now_ns);
        Some(this)
    }

    /// As [`Skb::is_heard_by`], until [`Segment::pass_filters`].
    pub fn is_heard_by<P: Protocol>(&self, sk: &Sock<P>) -> bool {
        self.skb.is_heard_by(sk)
    }

    /// The same for a segment that no socket will see.
    pub fn pass_policy(&self) -> bool {
        // SAFETY: The packet is ours; a null socket means the host's own policy.
        unsafe {
            bindings::xfrm4_policy_check(
                ptr::null_mut(),
                bindings::XFRM_POLICY_IN as i32,
                self.skb.as_raw(),
            ) != 0
        }
    }

    /// The packet, its data beginning with the TCP header.
    pub fn into_skb(self) -> Skb {
        self.skb
    }

    /// The segment that [`Segment::into_skb`] made a packet of.
    pub fn from_skb(skb: Skb) -> Option<Self> {
        let header_len = u32::from(skb.linear().get(12)? >> 4) * 4;
        let now_ns = skb.arrival_ns();
        Some(Self {
            skb,
            header_len,
            now_ns,
        })
    }
}

/// What the route to the peer allows.
#[derive(Clone, Copy)]
pub struct Path {
    /// The largest packet, in bytes with the IP header.
    pub mtu: u32,
    /// The MSS to announce, for segments without options.
    pub advertised_mss: u32,
}

/// What the path allows for `dst`.
///
/// # Safety
///
/// `dst` must be valid.
unsafe fn path_of(dst: *const bindings::dst_entry) -> Path {
    // SAFETY: By the requirement.
    unsafe {
        Path {
            mtu: bindings::dst_mtu(dst),
            advertised_mss: bindings::dst_metric_advmss(dst),
        }
    }
}

/// The payload of one transmission: a range of the send buffer.
pub struct Payload<'a> {
    /// The send buffer.
    pub rope: &'a Rope,
    /// Offset in the stream of the first byte.
    pub offset: u64,
    /// Number of bytes.
    pub len: u32,
    /// Bytes in one segment on the wire.
    pub mss: u16,
}

/// The largest payload that is copied where the send buffer has it in too many pieces.
pub const COPY_MAX: u32 = 8192;

/// Makes a packet of a TCP header and a payload, ready for IP.
///
/// # Safety
///
/// `sk` must be a live socket.
unsafe fn build(
    sk: *mut bindings::sock,
    header: &[u8],
    payload: Option<&Payload<'_>>,
    source: u32,
    destination: u32,
) -> Result<*mut bindings::sk_buff> {
    let fits = payload
        .map(|p| p.rope.fit(p.offset, p.len, MAX_FRAGMENTS) >= p.len)
        .unwrap_or(true);
    let copy = if fits {
        0
    } else {
        payload.map_or(0, |p| p.len)
    };
    // SAFETY: The packet is new and ours; it has room for the headers of all layers below, and for
    // the bytes to copy. The rope calls back at most `MAX_FRAGMENTS` times where `fits`.
    unsafe {
        let skb = bindings::alloc_skb(
            (bindings::MAX_TCP_HEADER as u32).saturating_add(copy),
            bindings::GFP_ATOMIC | bindings::__GFP_NOWARN,
        );
        if skb.is_null() {
            return Err(ENOMEM);
        }
        bindings::skb_reserve(skb, bindings::MAX_TCP_HEADER as i32);
        if let Some(p) = payload {
            let mut i = 0;
            p.rope.for_range(p.offset, p.len, |page, at, len| {
                if fits {
                    bindings::get_page(page);
                    bindings::skb_fill_page_desc(skb, i, page, at as i32, len as i32);
                    bindings::skb_len_add(skb, len as i32);
                    i += 1;
                } else {
                    let to = bindings::__skb_put(skb, len).cast::<u8>();
                    let from = bindings::page_address(page).cast::<u8>().add(at as usize);
                    ptr::copy_nonoverlapping(from, to, len as usize);
                }
            });
            if p.len > u32::from(p.mss) && p.mss != 0 {
                let shared = &mut *bindings::skb_shinfo(skb);
                shared.gso_size = p.mss;
                shared.gso_segs = p.len.div_ceil(u32::from(p.mss)) as u16;
                shared.gso_type = bindings::SKB_GSO_TCPV4 as u32;
            }
        }
        let at = bindings::__skb_push(skb, header.len() as u32).cast::<u8>();
        ptr::copy_nonoverlapping(header.as_ptr(), at, header.len());
        bindings::skb_reset_transport_header(skb);
        bindings::skb_set_owner_w(skb, sk);

        // The device, or the kernel in its place, makes the checksum of header and data out of that
        // of the pseudo-header (RFC 9293 section 3.1).
        let th = &mut *bindings::tcp_hdr(skb);
        th.check = !bindings::tcp_v4_check((*skb).len as i32, source, destination, 0);
        bindings::skb_partial_csum_set(skb, 0, TCP_CHECKSUM_OFFSET);
        Ok(skb)
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Finds the route to `peer` for a socket that is about to connect, and the local address where
    /// none was chosen. The route is kept; [`Locked::route_with_ports`] comes once the port is known.
    pub fn route_to(&mut self, peer: SocketAddrV4) -> Result<Endpoints> {
        let inet = self.sock().as_inet();
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held. An `Ok` route is ours to put, or to give to the socket.
        unsafe {
            let fl4 = flow4(ptr::addr_of_mut!((*inet).cork.fl));
            let rt = kernel::error::from_err_ptr(bindings::ip_route_connect(
                fl4,
                be(*peer.ip()),
                (*inet).inet_saddr,
                (*sk).__sk_common.skc_bound_dev_if,
                (*sk).sk_protocol as u8,
                (*inet).inet_sport,
                peer.port().to_be(),
                sk,
            ))
            .inspect_err(|e| {
                if *e == super::errno::ENETUNREACH {
                    bindings::IP_INC_STATS(
                        self.sock().net().as_raw(),
                        bindings::IPSTATS_MIB_OUTNOROUTES as i32,
                    );
                }
            })?;
            let flags = (*rt).rt_flags;
            if flags & (bindings::RTCF_MULTICAST | bindings::RTCF_BROADCAST) != 0 {
                bindings::ip_rt_put(rt);
                return Err(super::errno::ENETUNREACH);
            }
            let endpoints = Endpoints {
                source: SocketAddrV4::new(from_be((*fl4).saddr), self.sock().port()),
                destination: SocketAddrV4::new(from_be((*fl4).daddr), peer.port()),
            };
            bindings::sk_setup_caps(sk, ptr::addr_of_mut!((*rt).dst));
            Ok(endpoints)
        }
    }

    /// Looks the route up again now that the local port is known: a policy may select by it.
    pub fn route_with_ports(&mut self) -> Result {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held.
        unsafe { bindings::__sk_dst_reset(sk) };
        self.path().map(|_| ())
    }

    /// What the route allows now; a stale route is looked up again.
    pub fn path(&mut self) -> Result<Path> {
        let inet = self.sock().as_inet();
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held, the socket has its addresses.
        unsafe {
            let mut dst = bindings::__sk_dst_check(sk, 0);
            if dst.is_null() {
                let fl4 = flow4(ptr::addr_of_mut!((*inet).cork.fl));
                bindings::inet_sk_init_flowi4(inet, fl4);
                let rt = kernel::error::from_err_ptr(bindings::ip_route_output_flow(
                    bindings::sock_net(sk),
                    fl4,
                    sk,
                ))?;
                dst = ptr::addr_of_mut!((*rt).dst);
                bindings::sk_setup_caps(sk, dst);
            }
            Ok(path_of(dst))
        }
    }

    /// A router said that packets on this path may have `mtu` bytes at most.
    pub fn reduce_mtu(&mut self, mtu: u32) {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held; `update_pmtu` is set for every IPv4 route, and checks `mtu`.
        unsafe {
            let dst = bindings::__sk_dst_check(sk, 0);
            if dst.is_null() || !bindings::ip_sk_accept_pmtu(sk) {
                return;
            }
            if let Some(update) = (*(*dst).ops).update_pmtu {
                update(dst, sk, ptr::null_mut(), mtu, true);
            }
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

    /// The way out for segments, beside the state that says what they are.
    pub fn parts(&mut self) -> (Wire<'_, P>, &mut P::State) {
        (Wire(self.sock()), self.state())
    }
}

/// The way out of a socket whose lock is held.
///
/// # Invariants
///
/// The lock of the socket is held for as long as this lives.
pub struct Wire<'a, P: Protocol>(&'a Sock<P>);

impl<P: Protocol> Wire<'_, P> {
    /// We and the peer.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints {
            source: self.0.local(),
            destination: self.0.peer(),
        }
    }

    /// Sends one segment, or a range that is cut into segments below. What becomes of it further
    /// down is not known: a loss anywhere looks the same.
    pub fn transmit(&self, header: &[u8], payload: Option<&Payload<'_>>) -> Result {
        let sk = self.0.as_raw();
        let inet = self.0.as_inet();
        // SAFETY: The lock is held; `ip_queue_xmit` takes the packet, whatever it returns.
        unsafe {
            let skb = build(
                sk,
                header,
                payload,
                (*inet).inet_saddr,
                bindings::inet_daddr(sk),
            )?;
            to_result(bindings::ip_queue_xmit(
                sk,
                skb,
                ptr::addr_of_mut!((*inet).cork.fl),
            ))
        }
    }

    /// Copies up to `room` bytes of the message to the end of the send buffer and accounts for them.
    /// May sleep.
    ///
    /// Fails with `EAGAIN` where memory is short and the caller should wait, and with `EFAULT`.
    pub fn fill(&self, rope: &mut Rope, msg: &mut Msg<'_>, room: u32) -> Result<u32> {
        let sk = self.0.as_raw();
        let left = u32::try_from(msg.left()).unwrap_or(u32::MAX).min(room);
        rope.reserve(GFP_KERNEL).map_err(|_| EAGAIN)?;
        // SAFETY: A task owns the lock (it has a message). The page fragment is that of the task or
        // of the socket, and nobody else's meanwhile; bytes of it from `offset` to `size` are free.
        unsafe {
            let frag = bindings::sk_page_frag(sk);
            if !bindings::sk_page_frag_refill(sk, frag) {
                return Err(EAGAIN);
            }
            let page = ptr::NonNull::new((*frag).page).ok_or(EAGAIN)?;
            let len = left.min((*frag).size - (*frag).offset);
            if !bindings::sk_wmem_schedule(sk, len as i32) {
                return Err(EAGAIN);
            }
            let to = bindings::page_address(page.as_ptr())
                .cast::<u8>()
                .add((*frag).offset as usize);
            let out = core::slice::from_raw_parts_mut(to, len as usize);
            let copied = msg.source().copy_from_iter(out) as u32;
            if copied == 0 {
                return Err(EFAULT);
            }
            rope.append(page, (*frag).offset, copied, GFP_KERNEL)?;
            (*frag).offset += copied;
            bindings::sk_wmem_queued_add(sk, copied as i32);
            bindings::sk_mem_charge(sk, copied as i32);
            Ok(copied)
        }
    }
}

/// Finds a route for a segment that belongs to no connected socket.
///
/// # Safety
///
/// `sk` must be a live socket, and `fl` valid.
unsafe fn route_stateless(
    sk: *mut bindings::sock,
    fl: *mut bindings::flowi,
    ends: &Endpoints,
) -> Result<*mut bindings::rtable> {
    // SAFETY: By the requirement. The flow is an IPv4 one from here on.
    unsafe {
        kernel::error::from_err_ptr(bindings::ip_route_output_ports(
            bindings::sock_net(sk),
            flow4(fl),
            sk,
            be(*ends.destination.ip()),
            be(*ends.source.ip()),
            ends.destination.port().to_be(),
            ends.source.port().to_be(),
            bindings::IPPROTO_TCP as u8,
            (*sk.cast::<bindings::inet_sock>()).tos,
            ptr::addr_of!((*sk).__sk_common.skc_bound_dev_if).read_volatile(),
        ))
    }
}

/// Sends a segment on behalf of `sk`, which is not locked.
///
/// # Safety
///
/// `sk` must be a live Internet socket.
unsafe fn send_stateless(sk: *mut bindings::sock, ends: &Endpoints, header: &[u8]) -> Result {
    let fl = Opaque::<bindings::flowi>::zeroed();
    // SAFETY: By the requirement. The packet brings its route, so that `ip_queue_xmit` looks at
    // nothing of the socket that the lock protects.
    unsafe {
        let rt = route_stateless(sk, fl.get(), ends)?;
        let fl4 = flow4(fl.get());
        let skb = match build(sk, header, None, (*fl4).saddr, (*fl4).daddr) {
            Ok(skb) => skb,
            Err(e) => {
                bindings::ip_rt_put(rt);
                return Err(e);
            }
        };
        bindings::skb_dst_set(skb, ptr::addr_of_mut!((*rt).dst));
        to_result(bindings::ip_queue_xmit(sk, skb, fl.get()))
    }
}

impl<P: Protocol> Sock<P> {
    /// Sends a segment of a connection that has no socket yet, for a listener.
    pub fn send_for(&self, ends: &Endpoints, header: &[u8]) -> Result {
        // SAFETY: The socket is live.
        unsafe { send_stateless(self.as_raw(), ends, header) }
    }

    /// What the route between `ends` allows.
    pub fn path_for(&self, ends: &Endpoints) -> Result<Path> {
        let fl = Opaque::<bindings::flowi>::zeroed();
        // SAFETY: The socket is live; the route is put once it was read.
        unsafe {
            let rt = route_stateless(self.as_raw(), fl.get(), ends)?;
            let path = path_of(ptr::addr_of!((*rt).dst));
            bindings::ip_rt_put(rt);
            Ok(path)
        }
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
    pub fn send(&self, ends: &Endpoints, header: &[u8]) -> Result {
        // SAFETY: The socket is live by the type invariant.
        unsafe { send_stateless(self.0.as_ptr(), ends, header) }
    }
}

impl Drop for ControlSock {
    fn drop(&mut self) {
        // SAFETY: We own the socket.
        unsafe { bindings::inet_ctl_sock_destroy(self.0.as_ptr()) };
    }
}

/// The first sequence number and timestamp offset of a connection, which only the holder of the
/// kernel's secret can foretell (RFC 6528).
pub fn initial_sequence(net: &Net, local: SocketAddrV4, peer: SocketAddrV4) -> (u32, u32) {
    // SAFETY: The namespace is valid; a union of plain integers.
    unsafe {
        let both = bindings::secure_tcp_seq_and_ts_off(
            net.as_raw(),
            be(*local.ip()),
            be(*peer.ip()),
            local.port().to_be(),
            peer.port().to_be(),
        );
        let halves = both.__bindgen_anon_1.as_ref();
        (halves.seq, halves.ts_off)
    }
}
