// SPDX-License-Identifier: GPL-2.0

//! Received packets: those in order, which wait for the reader, and those behind a hole.
//!
//! A peer chooses how its bytes are cut, so the memory of a packet may be many times its payload.
//! Packets are joined when they come, and copied together when memory runs out.

use super::{
    bindings,
    msg::Msg,
    proto::Protocol,
    rx_stamp::RxStamp,
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
    mem::ManuallyDrop,
    ptr, //
};
use kernel::types::Opaque;

/// Moves the bytes of `from` to the end of `to`, if they follow there and nothing needs to be copied
/// for it; gives `from` back otherwise. As `tcp_try_coalesce`.
///
/// # Safety
///
/// `to` must be a valid packet that is charged to `sk`, as `from` is; the lock of `sk` must be held.
unsafe fn join(
    sk: *mut bindings::sock,
    to: *mut bindings::sk_buff,
    from: Skb,
) -> core::result::Result<(), Skb> {
    let mut stolen = false;
    let mut delta = 0;
    // SAFETY: By the requirements. What `from` was charged is given back when it is freed, and what
    // of it goes on living in `to` is charged anew.
    unsafe {
        let into = ManuallyDrop::new(Skb::from_raw(to));
        let (into_control, from_control) = (into.control(), *from.control());
        let whole = from_control.skip == 0 && from_control.len == from.len();
        let open = (*into_control).skip + (*into_control).len == into.len();
        if !whole || !open || into.range().1 != from_control.offset {
            return Err(from);
        }
        if !bindings::skb_try_coalesce(to, from.as_raw(), &mut stolen, &mut delta) {
            return Err(from);
        }
        (*into_control).len += from_control.len;
        if let Some(stamp) = RxStamp::of(from.as_raw()) {
            stamp.write(to);
        }
        bindings::sk_rmem_alloc_add(sk, delta);
        bindings::sk_mem_charge(sk, delta);
        bindings::kfree_skb_partial(from.into_raw(), stolen);
    }
    Ok(())
}

/// Whether a packet's memory is more than twice its payload.
fn is_bloated(skb: &Skb) -> bool {
    let (start, end) = skb.range();
    u64::from(skb.truesize()) > (end - start).saturating_mul(2)
}

/// Copies the packets of a list that waste memory together, in pieces of a page, and drops what is
/// there twice or before `from`; stops where memory is refused. Returns how many are gone. As
/// `tcp_collapse`.
///
/// # Safety
///
/// `list` must be a list of valid packets charged to `sk`, ordered by the offset of their ranges; the lock
/// of `sk` must be held.
unsafe fn collapse(sk: *mut bindings::sock, list: *mut bindings::sk_buff_head, from: u64) -> u64 {
    let mut start = from;
    let mut gone = 0;
    // SAFETY: By the requirements; `next` is read before a packet leaves the list. The copied ranges
    // lie within the packets, as their control blocks say.
    unsafe {
        let mut raw = bindings::skb_peek(list);
        let view = |raw| ManuallyDrop::new(Skb::from_raw(raw));
        // Packets that are well filled and do not overlap stay as they are.
        while !raw.is_null() {
            let skb = view(raw);
            let (begin, end) = skb.range();
            let next = bindings::skb_queue_next_or_null(list, raw);
            if end > start {
                let overlaps = !next.is_null() && view(next).range().0 < end;
                if is_bloated(&skb) || begin < start || overlaps {
                    break;
                }
                start = end;
            } else {
                bindings::__skb_unlink(raw, list);
                bindings::__kfree_skb(raw);
                gone += 1;
            }
            raw = next;
        }
        if raw.is_null() {
            return gone;
        }
        start = start.max(view(raw).range().0);
        let mut limit = start;
        let mut walk = raw;
        while !walk.is_null() {
            limit = limit.max(view(walk).range().1);
            walk = bindings::skb_queue_next_or_null(list, walk);
        }
        while start < limit && !raw.is_null() {
            let room = (limit - start).min(bindings::SKB_MAX_HEAD as u64) as u32;
            let new = bindings::alloc_skb(room, bindings::GFP_ATOMIC | bindings::__GFP_NOWARN);
            if new.is_null() {
                return gone;
            }
            let control = view(new).control();
            control.write(*view(raw).control());
            (*control).offset = start;
            (*control).skip = 0;
            (*control).len = 0;
            bindings::__skb_queue_before(list, raw, new);
            bindings::skb_set_owner_r(new, sk);
            let mut left = room;
            while left > 0 && !raw.is_null() {
                let skb = view(raw);
                let (begin, end) = skb.range();
                if begin > start {
                    // A hole, which nobody leaves: what follows stays as it is.
                    return gone;
                }
                if end > start {
                    let n = (end - start).min(left.into()) as u32;
                    let at = (*skb.control()).skip + (start - begin) as u32;
                    let to = bindings::__skb_put(new, n);
                    // Within the packet, so that it cannot fail.
                    bindings::skb_copy_bits(raw, at as i32, to, n as i32);
                    (*control).len += n;
                    start += u64::from(n);
                    left -= n;
                }
                if end <= start {
                    let next = bindings::skb_queue_next_or_null(list, raw);
                    bindings::__skb_unlink(raw, list);
                    bindings::__kfree_skb(raw);
                    gone += 1;
                    raw = next;
                }
            }
        }
    }
    gone
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

    /// Puts a packet in, behind those with the same offset, or joins it to the one before it.
    ///
    /// # Safety
    ///
    /// The packet and those of the tree must be charged to `sk`, whose lock must be held.
    unsafe fn insert_or_join(&mut self, sk: *mut bindings::sock, skb: Skb) {
        let (offset, _) = skb.range();
        let mut node = self.root.rb_node;
        let mut before = ptr::null_mut();
        let mut skb = skb;
        // SAFETY: All nodes of the tree are those of valid packets, by the type invariant.
        unsafe {
            while !node.is_null() {
                let raw = bindings::rb_to_skb(node);
                let here = ManuallyDrop::new(Skb::from_raw(raw));
                if offset < here.range().0 {
                    node = (*node).rb_left;
                } else {
                    before = raw;
                    node = (*node).rb_right;
                }
            }
            if !before.is_null() {
                match join(sk, before, skb) {
                    Ok(()) => return,
                    Err(back) => skb = back,
                }
            }
        }
        self.insert(skb);
    }

    /// Puts a packet in, behind those with the same offset.
    fn insert(&mut self, skb: Skb) {
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

    /// Takes a packet out.
    ///
    /// # Safety
    ///
    /// `raw` must be a packet of the tree.
    unsafe fn remove(&mut self, raw: *mut bindings::sk_buff) -> Skb {
        // SAFETY: By the requirement. The node shares its place with the links of lists, which must
        // be empty.
        unsafe {
            bindings::rb_erase(bindings::skb_rb_node(raw), &mut self.root);
            bindings::skb_mark_not_on_list(raw);
            Skb::from_raw(raw)
        }
    }

    /// Drops the last packets, but none before `above`, until `enough` of the memory dropped says
    /// so. Returns from which offset on nothing is left, if any was dropped.
    fn drop_last<P: Protocol>(
        &mut self,
        sk: &Sock<P>,
        above: u64,
        mut enough: impl FnMut(u32) -> bool,
    ) -> Option<u64> {
        let mut dropped = None;
        loop {
            // SAFETY: The nodes are those of packets in the tree.
            let skb = unsafe {
                let node = bindings::rb_last(&self.root);
                if node.is_null() {
                    return dropped;
                }
                let raw = bindings::rb_to_skb(node);
                if above > ManuallyDrop::new(Skb::from_raw(raw)).range().0 {
                    return dropped;
                }
                self.remove(raw)
            };
            dropped = Some(skb.range().0);
            let memory = skb.truesize();
            skb.drop_of(sk, DropReason::Pruned);
            if enough(memory) {
                return dropped;
            }
        }
    }

    /// Copies packets that follow each other together, where they waste memory. Returns how many are
    /// gone. As `tcp_collapse_ofo_queue`.
    ///
    /// # Safety
    ///
    /// The packets must be charged to `sk`, whose lock must be held.
    unsafe fn collapse(&mut self, sk: *mut bindings::sock, buffer: u32) -> u64 {
        let mut gone = 0;
        let list = Opaque::<bindings::sk_buff_head>::uninit();
        let mut tiny = 0;
        // SAFETY: By the requirement. Packets are moved to the list, which is made here and empty at
        // the end of each turn; `next` stays in the tree meanwhile.
        unsafe {
            let view = |raw| ManuallyDrop::new(Skb::from_raw(raw));
            let after = |raw: *mut bindings::sk_buff| {
                let node = bindings::rb_next(bindings::skb_rb_node(raw));
                if node.is_null() {
                    ptr::null_mut()
                } else {
                    bindings::rb_to_skb(node)
                }
            };
            let first = bindings::rb_first(&self.root);
            if first.is_null() {
                return gone;
            }
            let mut head = bindings::rb_to_skb(first);
            while !head.is_null() {
                let (start, mut end) = view(head).range();
                let mut memory = view(head).truesize();
                let mut next = after(head);
                let mut count = 1;
                while !next.is_null() && view(next).range().0 <= end {
                    end = end.max(view(next).range().1);
                    memory = memory.saturating_add(view(next).truesize());
                    count += 1;
                    next = after(next);
                }
                if count == 1 && end - start < bindings::SKB_MAX_HEAD as u64 {
                    // Nothing to gain; and a peer that makes many of them must not cost time.
                    tiny = memory.saturating_add(tiny);
                    if tiny > buffer >> 3 {
                        return gone;
                    }
                } else {
                    bindings::__skb_queue_head_init(list.get());
                    while head != next {
                        let rest = after(head);
                        let raw = self.remove(head).into_raw();
                        bindings::__skb_queue_tail(list.get(), raw);
                        head = rest;
                    }
                    gone += collapse(sk, list.get(), start);
                    loop {
                        let raw = bindings::skb_peek(list.get());
                        if raw.is_null() {
                            break;
                        }
                        bindings::__skb_unlink(raw, list.get());
                        self.insert(Skb::from_raw(raw));
                    }
                }
                head = next;
            }
        }
        gone
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
    /// Those of them that were in the first packet.
    pub first: usize,
    /// The reader's memory could not be written.
    pub fault: bool,
    /// When the last of them came, if that is known of any.
    pub stamp: Option<RxStamp>,
}

impl<P: Protocol> Locked<'_, P> {
    /// Whether nothing is in the receive queue.
    pub fn is_receive_queue_empty(&self) -> bool {
        // SAFETY: The lock is held.
        unsafe { bindings::skb_queue_empty(&(*self.sock().as_raw()).sk_receive_queue) != 0 }
    }

    /// Appends a charged packet to the receive queue, or to its last packet.
    pub fn queue_received(&mut self, mut skb: Skb) {
        skb.trim_range();
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held; both packets are charged to the socket.
        let skb = unsafe {
            let last = bindings::skb_peek_tail(&(*sk).sk_receive_queue);
            if last.is_null() {
                skb
            } else {
                match join(sk, last, skb) {
                    Ok(()) => return,
                    Err(skb) => skb,
                }
            }
        };
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
        let mut first = 0;
        let mut stamp = None;
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
                                first,
                                fault: true,
                                stamp,
                            };
                        }
                    }
                    if copied == 0 {
                        first = n;
                    }
                    copied += n;
                    stamp = RxStamp::of(raw).or(stamp);
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
            first,
            fault: false,
            stamp,
        }
    }

    /// Puts a charged packet into a tree of the socket's.
    pub fn hold(&mut self, tree: impl FnOnce(&mut P::State) -> &mut SkbTree, mut skb: Skb) {
        skb.trim_range();
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held; the packets of the socket's trees are charged to it.
        unsafe { tree(self.state()).insert_or_join(sk, skb) };
    }

    /// Saves memory without losing anything: copies small packets together, those in order, which
    /// were read up to `read`, and those in the tree. Returns how many packets are gone.
    pub fn collapse_received(
        &mut self,
        tree: impl FnOnce(&mut P::State) -> &mut SkbTree,
        read: u64,
    ) -> u64 {
        let sk = self.sock().as_raw();
        let (buffer, _) = self.sock().receive_memory();
        // SAFETY: The lock is held; all these packets are charged to the socket.
        unsafe {
            let held = tree(self.state()).collapse(sk, buffer);
            held + collapse(sk, ptr::addr_of_mut!((*sk).sk_receive_queue), read)
        }
    }

    /// Drops the last packets of the tree, an eighth of the buffer at a time, until the socket's
    /// memory fits its buffer again; none before stream offset `above`. Returns from which offset on
    /// nothing is left, if any was dropped. As `tcp_prune_ofo_queue`.
    pub fn prune_held(
        &mut self,
        tree: impl FnOnce(&mut P::State) -> &mut SkbTree,
        above: u64,
    ) -> Option<u64> {
        let sock = self.sock();
        let goal = i64::from(sock.receive_memory().0 >> 3);
        let mut left = goal;
        tree(self.state()).drop_last(sock, above, |memory| {
            left -= i64::from(memory);
            if left > 0 {
                return false;
            }
            left = goal;
            let (buffer, used) = sock.receive_memory();
            used <= buffer && !sock.is_memory_short()
        })
    }

    /// Frees all packets of the receive queue.
    pub fn purge_receive_queue(&mut self) {
        let sk = self.sock().as_raw();
        // SAFETY: The lock is held.
        unsafe { bindings::__skb_queue_purge(&mut (*sk).sk_receive_queue) };
    }
}
