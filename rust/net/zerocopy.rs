// SPDX-License-Identifier: GPL-2.0

//! Sending from the caller's own pages (`MSG_ZEROCOPY`): who is told when they are used no more.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    bindings,
    fill::Intake,
    ip::MAX_FRAGMENTS,
    msg::{
        Msg,
        MSG_ZEROCOPY, //
    },
    proto::Protocol,
    rope::Rope,
    sock::UserLock, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::prelude::*;

/// A promise to tell the owner of pages when nobody uses them any more (`struct ubuf_info`).
///
/// # Invariants
///
/// Owns a reference.
#[derive(PartialEq, Eq)]
pub(super) struct Pledge(NonNull<bindings::ubuf_info>);

// SAFETY: Its references are counted atomically, and the last one may go in any context.
unsafe impl Send for Pledge {}
// SAFETY: As above.
unsafe impl Sync for Pledge {}

impl Pledge {
    pub(super) fn as_raw(&self) -> *mut bindings::ubuf_info {
        self.0.as_ptr()
    }
}

impl Clone for Pledge {
    fn clone(&self) -> Self {
        // SAFETY: Live by the type invariant.
        unsafe { bindings::net_zcopy_get(self.as_raw()) };
        // INVARIANT: The new reference.
        Self(self.0)
    }
}

impl Drop for Pledge {
    fn drop(&mut self) {
        // SAFETY: The reference is ours, by the type invariant.
        unsafe { bindings::net_zcopy_put(self.as_raw()) };
    }
}

/// The use of the caller's pages by one call, whose caller is told when it is over, unless
/// [`Zerocopy::in_vain`] says that there was none.
///
/// # Invariants
///
/// Where the call is counted, that is by `sk`.
pub struct Zerocopy {
    pledge: Pledge,
    sk: *const bindings::sock,
    /// The call has a number of its own in what is told.
    is_counted: bool,
    is_pinning: bool,
}

impl Zerocopy {
    /// Whether the bytes are to stay in the caller's pages; otherwise they are copied after all.
    pub fn is_pinning(&self) -> bool {
        self.is_pinning
    }

    /// No byte was taken: the caller, who has the lock of the socket still, is told nothing.
    pub fn in_vain<P: Protocol>(self, lock: &mut UserLock<'_, P>) {
        if self.is_counted && ptr::eq(self.sk, lock.sock().as_raw()) {
            // SAFETY: The lock of the socket that counts the call is held, by the type invariant. We own
            // a reference, which stays ours.
            unsafe { bindings::msg_zerocopy_put_abort(self.pledge.as_raw(), false) };
        }
    }

    pub(super) fn pledge(&self) -> &Pledge {
        &self.pledge
    }
}

impl<P: Protocol> Intake<'_, P> {
    /// Begins to send a message from its caller's pages, if the call and the socket want that. What
    /// lies in the send buffer from `unsent` on was not sent yet: the caller can be told of it and of
    /// this call at once.
    ///
    /// Fails with `ENOBUFS` where the user may pin no more memory.
    pub fn zerocopy(
        &self,
        rope: &Rope,
        unsent: u64,
        msg: &mut Msg<'_>,
    ) -> Result<Option<Zerocopy>> {
        if !msg.has(MSG_ZEROCOPY) || msg.left() == 0 {
            return Ok(None);
        }
        let sk = self.sock().as_raw();
        // SAFETY: A task owns the lock, by the type invariant, and the message is valid. A new pledge
        // comes with a reference.
        unsafe {
            let scatters = bindings::sk_has_scatter_gather(sk);
            if let Some(given) = msg.pledge() {
                bindings::net_zcopy_get(given.as_ptr());
                return Ok(Some(Zerocopy {
                    pledge: Pledge(given),
                    sk,
                    is_counted: false,
                    is_pinning: scatters,
                }));
            }
            if !bindings::sock_flag(sk, bindings::sock_flags_SOCK_ZEROCOPY) {
                return Ok(None);
            }
            let last = rope
                .last_owner(unsent)
                .map_or(ptr::null_mut(), Pledge::as_raw);
            let new = bindings::msg_zerocopy_realloc(sk, msg.left(), last, false);
            let pledge = NonNull::new(new).ok_or(super::errno::ENOBUFS)?;
            if !scatters {
                bindings::msg_zerocopy_copied(new);
            }
            // INVARIANT: This socket has counted it.
            Ok(Some(Zerocopy {
                pledge: Pledge(pledge),
                sk,
                is_counted: true,
                is_pinning: scatters,
            }))
        }
    }

    /// Appends up to `room` bytes of the message to the send buffer, where they lie in their caller's
    /// pages. May sleep.
    ///
    /// Fails with `EAGAIN` without memory, and with `EFAULT`.
    pub fn pin(
        &self,
        rope: &mut Rope,
        msg: &mut Msg<'_>,
        room: u32,
        zerocopy: &Zerocopy,
    ) -> Result<u32> {
        let sk = self.sock().as_raw();
        let len = msg.left_within(room);
        rope.reserve(MAX_FRAGMENTS, GFP_KERNEL)
            .map_err(|_| EAGAIN)?;
        // SAFETY: A task owns the lock by the type invariant. The packet is new and ours, and only takes
        // the references to the pages; `MAX_FRAGMENTS` pieces at most, for which room was made.
        unsafe {
            let skb = bindings::alloc_skb(0, bindings::GFP_KERNEL | bindings::__GFP_NOWARN);
            if skb.is_null() {
                return Err(EAGAIN);
            }
            // The memory is the user's: not charged to the socket.
            (*bindings::skb_shinfo(skb)).flags |= bindings::SKBFL_PURE_ZEROCOPY as u8;
            let before = (*sk).sk_wmem_queued;
            let pledge = zerocopy.pledge();
            let taken = bindings::skb_zerocopy_iter_stream(
                sk,
                skb,
                msg.as_raw(),
                len as i32,
                pledge.as_raw(),
                ptr::null_mut(),
            );
            let pinned = (*sk).sk_wmem_queued - before;
            if taken <= 0 {
                bindings::sk_wmem_queued_add(sk, -pinned);
                bindings::consume_skb(skb);
                return Err(if taken == 0 {
                    EFAULT
                } else {
                    Error::from_errno(taken)
                });
            }
            bindings::skb_zcopy_downgrade_managed(skb);
            let shared = bindings::skb_shinfo(skb);
            let count = u32::from((*shared).nr_frags);
            let mut left = pinned.max(0) as u32;
            for i in 0..count {
                let frag = &(*shared).frags[i as usize];
                let page = NonNull::new_unchecked(bindings::skb_frag_page(frag));
                let share = left / (count - i);
                left -= share;
                rope.append_owned(
                    page,
                    bindings::skb_frag_off(frag),
                    bindings::skb_frag_size(frag),
                    pledge,
                    share,
                );
            }
            // The references are the rope's now.
            (*shared).nr_frags = 0;
            (*skb).len = 0;
            (*skb).data_len = 0;
            bindings::consume_skb(skb);
            Ok(taken as u32)
        }
    }
}
