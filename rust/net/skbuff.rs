// SPDX-License-Identifier: GPL-2.0

//! Packets.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    bindings,
    proto::Protocol,
    sock::{
        Locked,
        Sock, //
    }, //
};
use core::{
    mem::{
        align_of,
        size_of,
        ManuallyDrop, //
    },
    ptr::{
        self,
        NonNull, //
    }, //
};

/// An owned packet.
///
/// # Invariants
///
/// The pointer is valid, in no list, and this is the only reference that uses it.
#[repr(transparent)]
pub struct Skb(NonNull<bindings::sk_buff>);

// SAFETY: A packet is not bound to the task that has it.
unsafe impl Send for Skb {}

/// Why a packet is dropped, as `dropwatch` and its like show it.
#[derive(Clone, Copy)]
#[repr(u32)]
pub enum DropReason {
    /// Not told.
    Unspecified = bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
    /// Wrong checksum.
    Checksum = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_CSUM,
    /// The IPsec policy forbids it.
    Policy = bindings::skb_drop_reason_SKB_DROP_REASON_XFRM_POLICY,
    /// The socket's filter, a cgroup's or a security module forbids it.
    Filter = bindings::skb_drop_reason_SKB_DROP_REASON_SOCKET_FILTER,
    /// There is no way to where it goes.
    NoRoute = bindings::skb_drop_reason_SKB_DROP_REASON_IP_OUTNOROUTES,
    /// What proves who sent it is twice there, or an option has an impossible length.
    BadAuthentication = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_AUTH_HDR,
    /// It is not signed as it should be.
    SignatureMissing = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_MD5NOTFOUND,
    /// It is signed and nobody knows a key.
    SignatureUnexpected = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_MD5UNEXPECTED,
    /// The signature is wrong.
    SignatureWrong = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_MD5FAILURE,
    /// It has an authentication option, for which there are no keys.
    AoUnexpected = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_AOUNEXPECTED,
    /// The same where the SYN had none.
    AoWrong = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_AOFAILURE,
    /// Its IP header is wrong.
    Header = bindings::skb_drop_reason_SKB_DROP_REASON_IP_INHDR,
    /// It is for no socket.
    NoSocket = bindings::skb_drop_reason_SKB_DROP_REASON_NO_SOCKET,
    /// The header is cut short.
    TooSmall = bindings::skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL,
    /// The TTL is below what the socket demands.
    MinTtl = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_MINTTL,
    /// The backlog is full.
    Backlog = bindings::skb_drop_reason_SKB_DROP_REASON_SOCKET_BACKLOG,
    /// Its data is for nobody.
    AbortOnData = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_ABORT_ON_DATA,
    /// Dropped to make room for what comes before it.
    Pruned = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_OFO_QUEUE_PRUNE,
    /// The protocol's memory is used up.
    Memory = bindings::skb_drop_reason_SKB_DROP_REASON_PROTO_MEM,
}

/// Where in the control block this module's part is: as in Linux behind that of IPv4, which says what
/// options the packet has.
const CONTROL_AT: usize = size_of::<bindings::inet_skb_parm>().next_multiple_of(8);

/// What this module keeps in the control block of a received packet.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Control {
    /// When it came, in nanoseconds of the monotonic clock.
    pub(super) arrival_ns: u64,
    /// Offset in the stream of the first byte that is kept.
    pub(super) offset: u64,
    /// Where that byte is, counted from `skb->data`.
    pub(super) skip: u32,
    /// How many bytes are kept.
    pub(super) len: u32,
}

const _: () = {
    assert!(CONTROL_AT + size_of::<Control>() <= 48);
    assert!(align_of::<Control>() <= 8);
};

/// The memory that a packet with a segment of `len` bytes takes in the worst case, as
/// `tcp_sndbuf_expand` counts it.
pub fn segment_memory(len: u32) -> u32 {
    let buffer = len
        .saturating_add(bindings::MAX_TCP_HEADER as u32)
        .saturating_add(bindings::SKB_SHARED_INFO_SIZE as u32);
    let buffer = buffer.checked_next_power_of_two().unwrap_or(buffer);
    buffer.saturating_add(bindings::SKB_SIZE as u32)
}

impl Skb {
    /// Takes over a packet.
    ///
    /// # Safety
    ///
    /// `skb` must be valid, and the caller gives it up.
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // SAFETY: By the requirement.
        Self(unsafe { NonNull::new_unchecked(skb) })
    }

    /// Gives the packet up.
    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).0.as_ptr()
    }

    /// The kernel's packet.
    pub(super) fn as_raw(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    pub(super) fn control(&self) -> *mut Control {
        // SAFETY: Valid by the type invariant; the control block is 48 bytes, aligned to 8.
        unsafe { (&raw mut (*self.as_raw()).cb).byte_add(CONTROL_AT).cast() }
    }

    /// All bytes from `skb->data` on, in whatever pieces.
    #[expect(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { (*self.as_raw()).len }
    }

    /// The memory that the packet takes.
    pub fn truesize(&self) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe { (*self.as_raw()).truesize }
    }

    /// The part of [`Skb::truesize`] that is gone when the pages of the packet's payload join
    /// another's: none where the first `header` bytes are not all that lies outside of pages.
    pub fn spare_memory(&self, header: u32) -> u32 {
        // SAFETY: Valid by the type invariant.
        unsafe {
            if bindings::skb_headlen(self.as_raw()) > header {
                return 0;
            }
            let overhead = bindings::skb_overhead(self.as_raw()).max(0) as u32;
            // Some drivers count too little.
            if self.truesize().saturating_sub(overhead) < self.len() {
                return 0;
            }
            overhead
        }
    }

    /// The bytes from `skb->data` on that lie in one piece.
    pub(super) fn linear(&self) -> &[u8] {
        // SAFETY: Valid by the type invariant, and nobody else writes the packet meanwhile.
        unsafe {
            core::slice::from_raw_parts(
                (*self.as_raw()).data,
                bindings::skb_headlen(self.as_raw()) as usize,
            )
        }
    }

    /// The byte `at` bytes after `skb->data`.
    pub fn byte_at(&self, at: u32) -> Option<u8> {
        self.copied(at as usize).map(|[byte]| byte)
    }

    /// Copies `N` bytes from `at` on, counted from `skb->data`.
    pub(super) fn copied<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        // SAFETY: Valid by the type invariant; the callee checks the length, and `bytes` has room.
        let r = unsafe {
            bindings::skb_copy_bits(
                self.as_raw(),
                i32::try_from(at).ok()?,
                bytes.as_mut_ptr().cast(),
                N as i32,
            )
        };
        (r == 0).then_some(bytes)
    }

    /// Brings the first `len` bytes into one piece; false if there are not so many.
    pub(super) fn pull_linear(&mut self, len: u32) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::pskb_may_pull(self.as_raw(), len) }
    }

    /// Frees the packet and says why.
    pub fn drop_because(self, reason: DropReason) {
        // SAFETY: We own the packet.
        unsafe { bindings::sk_skb_reason_drop(ptr::null_mut(), self.into_raw(), reason as u32) };
    }

    /// The same of a packet that was for `sk`, which counts it (`SO_MEMINFO`). As `tcp_drop_reason`.
    pub fn drop_of<P: Protocol>(self, sk: &Sock<P>, reason: DropReason) {
        let sk = sk.as_raw();
        // SAFETY: We own the packet, and the socket is live.
        unsafe {
            bindings::sk_drops_skbadd(sk, self.as_raw());
            bindings::sk_skb_reason_drop(sk, self.into_raw(), reason as u32);
        }
    }

    /// Frees a packet that did what it came for.
    pub fn consume(self) {
        // SAFETY: We own the packet.
        unsafe { bindings::consume_skb(self.into_raw()) };
    }

    /// When the packet came, see [`Skb::set_arrival`].
    pub fn arrival_ns(&self) -> u64 {
        // SAFETY: Valid by the type invariant; any bytes are a valid value.
        unsafe { (*self.control()).arrival_ns }
    }

    /// Notes when the packet came. What IPv6 kept in the control block is gone after this.
    pub(super) fn set_arrival(&mut self, now_ns: u64) {
        // SAFETY: Valid by the type invariant; the packet is out of the IP layer's hands.
        unsafe {
            self.control().write(Control {
                arrival_ns: now_ns,
                offset: 0,
                skip: 0,
                len: 0,
            })
        };
    }

    /// Marks `len` bytes after the first `skip` as those from `offset` of the stream on. They must be
    /// in the packet: what is not, is cut off.
    pub fn set_range(&mut self, offset: u64, skip: u32, len: u32) {
        let skip = skip.min(self.len());
        let len = len.min(self.len() - skip);
        // SAFETY: Valid by the type invariant; no more is pulled than lies in one piece.
        unsafe {
            let pulled = skip.min(bindings::skb_headlen(self.as_raw()));
            bindings::__skb_pull(self.as_raw(), pulled);
            let skip = skip - pulled;
            let control = &mut *self.control();
            control.offset = offset;
            control.skip = skip;
            control.len = len;
        }
    }

    /// Cuts off what of the marked bytes is not in the packet: nothing, where [`Skb::set_range`] has
    /// marked them.
    pub(super) fn trim_range(&mut self) {
        let len = self.len();
        // SAFETY: Valid by the type invariant; any bytes are a valid value.
        let control = unsafe { &mut *self.control() };
        control.skip = control.skip.min(len);
        control.len = control.len.min(len - control.skip);
    }

    /// The range of the stream that the packet holds: first offset, and the offset beyond its end.
    pub fn range(&self) -> (u64, u64) {
        // SAFETY: Valid by the type invariant.
        let control = unsafe { *self.control() };
        (
            control.offset,
            control.offset.saturating_add(control.len.into()),
        )
    }

    /// Puts the packet into the backlog of `sk`, which the caller has locked. Gives it back where the
    /// backlog holds more than `limit` bytes.
    pub(super) fn add_to_backlog(
        self,
        sk: *mut bindings::sock,
        limit: u32,
    ) -> core::result::Result<(), Self> {
        let skb = self.into_raw();
        // SAFETY: The route is dropped, since the backlog may outlive the RCU section that it is
        // borrowed for. The caller holds the socket's spinlock.
        unsafe {
            bindings::skb_dst_drop(skb);
            bindings::secpath_reset(skb);
            if bindings::sk_add_backlog(sk, skb, limit) != 0 {
                return Err(Self::from_raw(skb));
            }
        }
        Ok(())
    }

    /// Charges the packet's memory to the socket, if the protocol's limits allow.
    pub fn charge<P: Protocol>(self, sk: &mut Locked<'_, P>) -> core::result::Result<Self, Self> {
        let raw = sk.sock().as_raw();
        // SAFETY: The socket is locked and the packet is ours.
        if !unsafe { bindings::sk_rmem_schedule(raw, self.as_raw(), self.truesize() as i32) } {
            return Err(self);
        }
        Ok(self.charge_on_credit(sk))
    }

    /// Charges the packet's memory to the socket, which the limits do not allow: the socket owes it, and
    /// pays before it gets more. As `sk_forced_mem_schedule`, but that it is counted later.
    pub fn charge_on_credit<P: Protocol>(self, sk: &mut Locked<'_, P>) -> Self {
        let raw = sk.sock().as_raw();
        // SAFETY: The socket is locked and the packet is ours. The route that the packet may borrow
        // must not outlive this RCU section.
        unsafe {
            bindings::skb_dst_drop(self.as_raw());
            bindings::secpath_reset(self.as_raw());
            bindings::skb_set_owner_r(self.as_raw(), raw);
        }
        self
    }

    /// Copies a small payload to where the headers were, so that the packet needs no page for it.
    /// To be called before the packet is charged.
    pub fn condense(&mut self) {
        // SAFETY: Valid by the type invariant, and nobody is charged for it yet.
        unsafe { bindings::skb_condense(self.as_raw()) };
    }
}

impl Drop for Skb {
    fn drop(&mut self) {
        // SAFETY: We own the packet.
        unsafe {
            bindings::sk_skb_reason_drop(
                ptr::null_mut(),
                self.as_raw(),
                DropReason::Unspecified as u32,
            )
        };
    }
}
