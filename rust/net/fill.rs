// SPDX-License-Identifier: GPL-2.0

//! From a message to the send buffer: by copying, or by taking the pages that the message brings.
//!
//! C header: [`include/linux/uio.h`](srctree/include/linux/uio.h)

use super::{
    bindings,
    msg::{
        Msg,
        MSG_NO_SHARED_FRAGS,
        MSG_SPLICE_PAGES, //
    },
    proto::Protocol,
    rope::{
        Rope,
        Source, //
    },
    sock::{
        Sock,
        UserLock, //
    },
    zerocopy::{
        Pledge,
        Zerocopy, //
    }, //
};
use core::ptr::{
    self,
    NonNull, //
};
use kernel::prelude::*;

/// Pages that are taken from a message at once.
const PAGES: usize = 16;

/// The way from messages into the send buffer of a socket.
///
/// # Invariants
///
/// A task owns the lock of the socket for as long as this lives.
pub struct Intake<'a, P: Protocol>(&'a Sock<P>);

impl<P: Protocol> UserLock<'_, P> {
    /// The way into the send buffer, beside the state, of which the buffer is a part. Only a task has
    /// messages, and may sleep.
    pub fn intake(&mut self) -> (Intake<'_, P>, &mut P::State) {
        // INVARIANT: This task owns the lock, and not less while `self` is borrowed.
        (Intake(self.sock()), self.state())
    }
}

impl<'a, P: Protocol> Intake<'a, P> {
    /// The socket.
    pub(super) fn sock(&self) -> &'a Sock<P> {
        self.0
    }

    /// Brings up to `room` bytes of the message to the end of the send buffer and accounts for them.
    /// May sleep. With `zerocopy` its caller is told when they are not needed any more, as if they
    /// were not copied.
    ///
    /// Fails with `EAGAIN` where memory is short and the caller should wait, and with `EFAULT`; then
    /// nothing of the message is taken.
    pub fn fill(
        &self,
        rope: &mut Rope,
        msg: &mut Msg<'_>,
        room: u32,
        zerocopy: Option<&Zerocopy>,
    ) -> Result<u32> {
        let sk = self.sock().as_raw();
        let len = msg.left_within(room);
        // SAFETY: The socket is live.
        let taken = if msg.has(MSG_SPLICE_PAGES) && unsafe { bindings::sk_has_scatter_gather(sk) } {
            self.take_pages(rope, msg, len)?
        } else {
            self.copy(rope, msg, len, zerocopy.map(Zerocopy::pledge))?
        };
        // SAFETY: A task owns the lock by the type invariant.
        unsafe {
            bindings::sk_wmem_queued_add(sk, taken as i32);
            bindings::sk_mem_charge(sk, taken as i32);
        }
        Ok(taken)
    }

    /// Reserves memory of the socket's for `len` bytes, and says for how many there is some. Where the
    /// limits allow none the socket may owe for as much as each may have (`tcp_wmem[0]`), so that
    /// something goes on. As `tcp_wmem_schedule`, but that it is counted later.
    fn schedule(&self, len: u32) -> Result<u32> {
        let sk = self.sock().as_raw();
        // SAFETY: A task owns the lock, by the type invariant.
        let (granted, left) = unsafe {
            let granted = bindings::sk_wmem_schedule(sk, len as i32);
            (granted, (*sk).sk_forward_alloc)
        };
        if granted {
            return Ok(len);
        }
        let (_, queued) = self.sock().send_memory();
        let least = self.sock().net().wmem().min;
        let room = least
            .saturating_sub(queued)
            .max(u32::try_from(left).unwrap_or(0));
        match len.min(room) {
            0 => Err(EAGAIN),
            room => Ok(room),
        }
    }

    fn copy(
        &self,
        rope: &mut Rope,
        msg: &mut Msg<'_>,
        len: u32,
        owner: Option<&Pledge>,
    ) -> Result<u32> {
        let sk = self.sock().as_raw();
        rope.reserve(1, GFP_KERNEL).map_err(|_| EAGAIN)?;
        // SAFETY: A task owns the lock. The page fragment is that of the task or of the socket, and
        // nobody else's meanwhile; bytes of it from `offset` to `size` are free.
        unsafe {
            let frag = bindings::sk_page_frag(sk);
            if !bindings::sk_page_frag_refill(sk, frag) {
                bindings::sk_stream_moderate_sndbuf(sk);
                return Err(EAGAIN);
            }
            let page = NonNull::new((*frag).page).ok_or(EAGAIN)?;
            let len = self.schedule(len.min((*frag).size - (*frag).offset))?;
            let to = bindings::page_address(page.as_ptr())
                .cast::<u8>()
                .add((*frag).offset as usize);
            if !msg.copy_to(to, len as usize) {
                return Err(EFAULT);
            }
            rope.append(page, (*frag).offset, len, Source::Own, owner, GFP_KERNEL)?;
            (*frag).offset += len;
            Ok(len)
        }
    }

    /// As `skb_splice_from_iter`: the bytes stay where they are, and are who knows whose.
    fn take_pages(&self, rope: &mut Rope, msg: &mut Msg<'_>, len: u32) -> Result<u32> {
        rope.reserve(PAGES, GFP_KERNEL).map_err(|_| EAGAIN)?;
        let source = if msg.has(MSG_NO_SHARED_FRAGS) {
            Source::Own
        } else {
            Source::Shared
        };
        let len = self.schedule(len)?;
        let mut pages = [ptr::null_mut::<bindings::page>(); PAGES];
        let mut first = pages.as_mut_ptr();
        let mut offset = 0usize;
        // SAFETY: The iterator is the message's; the array has room for as many pages as are asked
        // for.
        let got = unsafe {
            bindings::iov_iter_extract_pages(
                msg.iter(),
                &mut first,
                len as usize,
                PAGES as u32,
                0,
                &mut offset,
            )
        };
        if got <= 0 {
            return Err(if got == 0 {
                EIO
            } else {
                Error::from_errno(got as i32)
            });
        }
        let mut left = got as u32;
        let mut at = offset as u32;
        for page in pages {
            let part = left.min(bindings::PAGE_SIZE as u32 - at);
            let Some(page) = NonNull::new(page).filter(|_| part != 0) else {
                break;
            };
            // SAFETY: Whoever sends pages keeps them until the call returns, and knows that they are
            // shared; one without a count of references, of a slab's, is not taken. Room was made above.
            unsafe {
                if !bindings::sendpage_ok(page.as_ptr()) {
                    break;
                }
                rope.append(page, at, part, source, None, GFP_KERNEL)?;
            }
            left -= part;
            at = 0;
        }
        let taken = got as u32 - left;
        if left != 0 {
            // SAFETY: The iterator is the message's, and was moved over these bytes.
            unsafe { bindings::iov_iter_revert(msg.iter(), left as usize) };
        }
        match taken {
            0 => Err(EIO),
            taken => Ok(taken),
        }
    }
}
