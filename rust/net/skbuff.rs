// SPDX-License-Identifier: GPL-2.0

//! Packets.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    bindings,
    msg::Msg,
    proto::Protocol,
    sock::Locked, //
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
    /// It is for no socket.
    NoSocket = bindings::skb_drop_reason_SKB_DROP_REASON_NO_SOCKET,
    /// The header is cut short.
    TooSmall = bindings::skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL,
    /// The TTL is below what the socket demands.
    MinTtl = bindings::skb_drop_reason_SKB_DROP_REASON_TCP_MINTTL,
    /// The receive buffer is full.
    ReceiveBuffer = bindings::skb_drop_reason_SKB_DROP_REASON_SOCKET_RCVBUFF,
    /// The backlog is full.
    Backlog = bindings::skb_drop_reason_SKB_DROP_REASON_SOCKET_BACKLOG,
    /// The protocol's memory is used up.
    Memory = bindings::skb_drop_reason_SKB_DROP_REASON_PROTO_MEM,
}

/// What this module keeps in the control block of a received packet.
#[repr(C)]
#[derive(Clone, Copy)]
struct Control {
    /// When it came, in nanoseconds of the monotonic clock.
    arrival_ns: u64,
    /// Offset in the stream of the first byte that is kept.
    offset: u64,
    /// Where that byte is, counted from `skb->data`.
    skip: u32,
    /// How many bytes are kept.
    len: u32,
}

const _: () = {
    assert!(size_of::<Control>() <= 48);
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

    fn control(&self) -> *mut Control {
        // SAFETY: Valid by the type invariant; the control block is 48 bytes, aligned to 8.
        unsafe { ptr::addr_of_mut!((*self.as_raw()).cb).cast() }
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

    /// The bytes from `skb->data` on that lie in one piece.
    pub fn linear(&self) -> &[u8] {
        // SAFETY: Valid by the type invariant, and nobody else writes the packet meanwhile.
        unsafe {
            core::slice::from_raw_parts(
                (*self.as_raw()).data,
                bindings::skb_headlen(self.as_raw()) as usize,
            )
        }
    }

    /// Brings the first `len` bytes into one piece; false if there are not so many.
    pub fn pull_linear(&mut self, len: u32) -> bool {
        // SAFETY: Valid by the type invariant.
        unsafe { bindings::pskb_may_pull(self.as_raw(), len) }
    }

    /// Frees the packet and says why.
    pub fn drop_because(self, reason: DropReason) {
        // SAFETY: We own the packet.
        unsafe { bindings::sk_skb_reason_drop(ptr::null_mut(), self.into_raw(), reason as u32) };
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

    /// Notes when the packet came. What the IP layer kept in the control block is gone after this.
    pub fn set_arrival(&mut self, now_ns: u64) {
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
        // SAFETY: Valid by the type invariant.
        unsafe {
            let control = &mut *self.control();
            control.offset = offset;
            control.skip = skip;
            control.len = len;
        }
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

    /// Charges the packet's memory to the socket, if its buffer and the protocol's limits allow.
    ///
    /// The window that was offered counts payload, and what it invited must be taken: packets may use
    /// `factor` times the buffer's size. With 2 that is enough for packets that are at least a quarter
    /// full.
    pub fn charge<P: Protocol>(
        self,
        sk: &mut Locked<'_, P>,
        factor: u32,
    ) -> core::result::Result<Self, (Self, DropReason)> {
        let (room, used) = sk.sock().receive_memory();
        if used > room.saturating_mul(factor) {
            return Err((self, DropReason::ReceiveBuffer));
        }
        let raw = sk.sock().as_raw();
        // SAFETY: The socket is locked and the packet is ours. The route that the packet may borrow
        // must not outlive this RCU section.
        unsafe {
            if !bindings::sk_rmem_schedule(raw, self.as_raw(), self.truesize() as i32) {
                return Err((self, DropReason::Memory));
            }
            bindings::skb_dst_drop(self.as_raw());
            bindings::secpath_reset(self.as_raw());
            bindings::skb_set_owner_r(self.as_raw(), raw);
        }
        Ok(self)
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

/// A tree of packets, ordered by the offset of their range in the stream.
///
/// # Invariants
///
/// The nodes are those of packets that the tree owns.
pub struct SkbTree {
    root: bindings::rb_root,
}

// SAFETY: The tree owns packets, which are `Send`.
unsafe impl Send for SkbTree {}

impl Default for SkbTree {
    fn default() -> Self {
        Self::new()
    }
}

impl SkbTree {
    /// An empty tree.
    pub const fn new() -> Self {
        Self {
            root: bindings::rb_root {
                rb_node: ptr::null_mut(),
            },
        }
    }

    /// Whether the tree is empty.
    pub fn is_empty(&self) -> bool {
        self.root.rb_node.is_null()
    }

    /// Puts a packet in, behind those with the same offset.
    pub fn insert(&mut self, skb: Skb) {
        let (offset, _) = skb.range();
        let mut link: *mut *mut bindings::rb_node = &mut self.root.rb_node;
        let mut parent = ptr::null_mut();
        // SAFETY: All nodes of the tree are those of valid packets, by the type invariant; the tree
        // is borrowed mutably. The new packet is in no list, so its node is free.
        unsafe {
            while !(*link).is_null() {
                parent = *link;
                let here = ManuallyDrop::new(Skb::from_raw(bindings::rb_to_skb(parent)));
                link = if offset < here.range().0 {
                    &mut (*parent).rb_left
                } else {
                    &mut (*parent).rb_right
                };
            }
            let node = bindings::skb_rb_node(skb.into_raw());
            bindings::rb_link_node(node, parent, link);
            bindings::rb_insert_color(node, &mut self.root);
        }
    }

    /// Takes the first packet out if its range begins at `offset` or before.
    pub fn pop_until(&mut self, offset: u64) -> Option<Skb> {
        // SAFETY: By the type invariant; the node leaves the tree before its packet is given away.
        unsafe {
            let node = bindings::rb_first(&self.root);
            if node.is_null() {
                return None;
            }
            let raw = bindings::rb_to_skb(node);
            if ManuallyDrop::new(Skb::from_raw(raw)).range().0 > offset {
                return None;
            }
            bindings::rb_erase(node, &mut self.root);
            // The node shares its place with the links of lists, which must be empty.
            bindings::skb_mark_not_on_list(raw);
            Some(Skb::from_raw(raw))
        }
    }

    /// Frees all packets.
    pub fn clear(&mut self) {
        while self.pop_until(u64::MAX).is_some() {}
    }
}

impl Drop for SkbTree {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What [`Locked::read_queue`] did.
pub struct ReadOut {
    /// Bytes that went to the reader.
    pub copied: usize,
    /// The reader's memory could not be written.
    pub fault: bool,
}

impl<P: Protocol> Locked<'_, P> {
    /// Whether nothing is in the receive queue.
    pub fn is_receive_queue_empty(&self) -> bool {
        // SAFETY: The lock is held.
        unsafe { bindings::skb_queue_empty(&(*self.sock().as_raw()).sk_receive_queue) != 0 }
    }

    /// Appends a charged packet to the receive queue.
    pub fn queue_received(&mut self, skb: Skb) {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held, the packet is ours. Nobody takes packets from this queue but
        // under the socket lock.
        unsafe { bindings::__skb_queue_tail(&mut (*sk).sk_receive_queue, skb.into_raw()) };
    }

    /// Copies up to `len` bytes from offset `from` of the stream on to the reader (none where
    /// `msg` is `None`: they are thrown away). Unless `keep`, packets that are read out are freed.
    ///
    /// The queue must hold the stream from `from` on without a gap; packets may overlap.
    pub fn read_queue(
        &mut self,
        mut msg: Option<&mut Msg<'_>>,
        from: u64,
        len: usize,
        keep: bool,
    ) -> ReadOut {
        let sk = self.sock().as_raw();
        let mut copied = 0usize;
        // SAFETY: The lock is held. The queue is walked by hand since packets stay in it when
        // peeked at; `next` is read before a packet is freed.
        unsafe {
            let head: *mut bindings::sk_buff_head = ptr::addr_of_mut!((*sk).sk_receive_queue);
            let mut raw = bindings::skb_peek(head);
            while !raw.is_null() && copied < len {
                let next = bindings::skb_queue_next_or_null(head, raw);
                let skb = ManuallyDrop::new(Skb::from_raw(raw));
                let at = from + copied as u64;
                let (start, end) = skb.range();
                if end > at && start <= at {
                    let n = ((end - at) as usize).min(len - copied);
                    let skip = (*skb.control()).skip + (at - start) as u32;
                    if let Some(msg) = msg.as_deref_mut() {
                        if bindings::skb_copy_datagram_iter(raw, skip as i32, msg.iter(), n as i32)
                            != 0
                        {
                            return ReadOut {
                                copied,
                                fault: true,
                            };
                        }
                    }
                    copied += n;
                }
                if !keep && end <= from + copied as u64 {
                    bindings::__skb_unlink(raw, head);
                    bindings::__kfree_skb(raw);
                }
                raw = next;
            }
        }
        ReadOut {
            copied,
            fault: false,
        }
    }

    /// Frees all packets of the receive queue.
    pub fn purge_receive_queue(&mut self) {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held.
        unsafe { bindings::__skb_queue_purge(&mut (*sk).sk_receive_queue) };
    }
}
