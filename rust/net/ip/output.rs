// SPDX-License-Identifier: GPL-2.0

//! Segments on their way out.
//!
//! C header: [`include/net/ip.h`](srctree/include/net/ip.h)

use super::{
    be,
    in6,
    v6,
    Endpoints,
    Versioned, //
};
use crate::net::{
    bindings,
    proto::Protocol,
    rope::Rope,
    sock::{
        Locked,
        Sock, //
    },
    tx_stamp::Mark, //
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Where the checksum is in a TCP header.
const TCP_CHECKSUM_OFFSET: u16 = 16;
/// Where the control bits are in a TCP header.
const TCP_FLAGS_OFFSET: usize = 13;
/// The control bit CWR.
const TCP_CWR: u8 = 0x80;
/// Bytes of a TCP header, without and with all options.
const TCP_HEADER: core::ops::RangeInclusive<usize> = 20..=60;
/// Pieces of memory that one packet can refer to beside its own.
pub const MAX_FRAGMENTS: usize = bindings::MAX_SKB_FRAGS as usize;

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
    /// The byte of them whose way is reported.
    pub mark: Option<Mark>,
}

/// The largest payload that is copied where the send buffer has it in too many pieces.
pub const COPY_MAX: u32 = 8192;

/// The TOS for a packet of a socket's, with this ECN field.
///
/// # Safety
///
/// `sk` must be a live Internet socket.
unsafe fn tos(sk: *mut bindings::sock, ecn: u8) -> u8 {
    let mask = bindings::INET_ECN_MASK as u8;
    // SAFETY: By the requirement; the kernel reads this field without a lock as well.
    let tos = unsafe { ptr::addr_of!((*sk.cast::<bindings::inet_sock>()).tos).read_volatile() };
    tos & !mask | ecn & mask
}

/// Makes a packet of a TCP header and a payload, ready for IP. Fails with `EINVAL` where the header has a
/// length that none has.
///
/// # Safety
///
/// `sk` must be a live socket.
pub(super) unsafe fn build(
    sk: *mut bindings::sock,
    header: &[u8],
    payload: Option<&Payload<'_>>,
    ends: &Versioned,
) -> Result<*mut bindings::sk_buff> {
    if !TCP_HEADER.contains(&header.len()) {
        return Err(EINVAL);
    }
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
            if p.rope.is_shared(p.offset, p.len) {
                // Whoever makes a checksum or encrypts takes a copy first.
                (*bindings::skb_shinfo(skb)).flags |= bindings::SKBFL_SHARED_FRAG as u8;
            }
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
            if let Some(owner) = p.rope.owner(p.offset, p.len).filter(|_| fits) {
                bindings::skb_zcopy_set(skb, owner.as_raw(), ptr::null_mut());
            }
            if let Some((seq, flags)) = p.mark.as_ref().map(Mark::key) {
                let shared = &mut *bindings::skb_shinfo(skb);
                (shared.tskey, shared.tx_flags) = (seq, flags);
            }
            if p.len > u32::from(p.mss) && p.mss != 0 {
                let shared = &mut *bindings::skb_shinfo(skb);
                shared.gso_size = p.mss;
                shared.gso_segs = p.len.div_ceil(u32::from(p.mss)) as u16;
                shared.gso_type = match ends {
                    Versioned::V4(..) => bindings::SKB_GSO_TCPV4 as u32,
                    Versioned::V6(..) => bindings::SKB_GSO_TCPV6 as u32,
                };
                // Only the first segment may carry CWR (RFC 3168 section 6.1.2).
                if header
                    .get(TCP_FLAGS_OFFSET)
                    .is_some_and(|f| f & TCP_CWR != 0)
                {
                    shared.gso_type |= bindings::SKB_GSO_TCP_ECN as u32;
                }
            }
        }
        let at = bindings::__skb_push(skb, header.len() as u32).cast::<u8>();
        ptr::copy_nonoverlapping(header.as_ptr(), at, header.len());
        bindings::skb_reset_transport_header(skb);
        bindings::skb_set_owner_w(skb, sk);

        // The device, or the kernel in its place, makes the checksum of header and data out of that
        // of the pseudo-header (RFC 9293 section 3.1).
        let th = &mut *bindings::tcp_hdr(skb);
        let len = (*skb).len as i32;
        th.check = !match ends {
            Versioned::V4(source, destination) => {
                bindings::tcp_v4_check(len, be(*source.ip()), be(*destination.ip()), 0)
            }
            Versioned::V6(source, destination) => {
                bindings::tcp_v6_check(len, &in6(*source.ip()), &in6(*destination.ip()), 0)
            }
        };
        bindings::skb_partial_csum_set(skb, 0, TCP_CHECKSUM_OFFSET);
        Ok(skb)
    }
}

impl<P: Protocol> Locked<'_, P> {
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

impl<'a, P: Protocol> Wire<'a, P> {
    /// The socket.
    pub(in crate::net) fn sock(&self) -> &'a Sock<P> {
        self.0
    }

    /// We and the peer.
    pub fn endpoints(&self) -> Endpoints {
        self.0.endpoints()
    }

    /// Sends one segment, or a range that is cut into segments below. What becomes of it further
    /// down is not known: a loss anywhere looks the same. Returns whether a queue of this host told
    /// of congestion (`NET_XMIT_DROP`, `NET_XMIT_CN`).
    ///
    /// `ecn` is the ECN field of the packet; the rest of the TOS is the socket's.
    pub fn transmit(&self, header: &[u8], payload: Option<&Payload<'_>>, ecn: u8) -> Result<bool> {
        let sk = self.0.as_raw();
        let inet = self.0.as_inet();
        let ends = self.endpoints().versioned()?;
        // SAFETY: The lock is held; IP takes the packet, whatever it returns.
        let code = unsafe {
            let skb = build(sk, header, payload, &ends)?;
            bindings::skb_confirm_dst_of(skb, sk);
            match ends {
                Versioned::V4(..) => bindings::__ip_queue_xmit(
                    sk,
                    skb,
                    ptr::addr_of_mut!((*inet).cork.fl),
                    tos(sk, ecn),
                ),
                Versioned::V6(source, destination) => {
                    v6::queue_xmit(self.0, skb, &source, &destination, ecn)
                }
            }
        };
        to_result(code)?;
        Ok(code > 0)
    }
}
