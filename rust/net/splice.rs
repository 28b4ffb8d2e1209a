// SPDX-License-Identifier: GPL-2.0

//! From the receive queue to a pipe, by reference.
//!
//! C header: [`include/linux/splice.h`](srctree/include/linux/splice.h)

use super::{
    bindings,
    proto::Protocol,
    skbuff::Skb,
    sock::Locked, //
};
use core::mem::ManuallyDrop;
use kernel::prelude::*;

/// A pipe that one call of `splice(2)` fills.
///
/// # Invariants
///
/// `pipe` is valid and locked by the caller.
pub struct Pipe {
    pipe: *mut bindings::pipe_inode_info,
    flags: u32,
}

impl Pipe {
    /// # Safety
    ///
    /// `pipe` must be valid and locked for as long as the result lives.
    pub(super) unsafe fn from_raw(pipe: *mut bindings::pipe_inode_info, flags: u32) -> Self {
        // INVARIANT: By the requirement.
        Self { pipe, flags }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Puts up to `len` bytes from offset `from` of the stream on into the pipe, as many as it has
    /// room for, and frees the packets that are read out.
    ///
    /// The queue must hold the stream from `from` on without a gap. Fails, where no byte could be
    /// put, as `splice_to_pipe` does.
    pub fn splice_queue(&mut self, to: &mut Pipe, from: u64, len: usize) -> Result<usize> {
        let sk = self.raw();
        let mut copied = 0usize;
        // SAFETY: The lock is held, so that the queue is ours; `next` is read before a packet is
        // freed.
        unsafe {
            let head = &raw mut (*sk).sk_receive_queue;
            let mut raw = bindings::skb_peek(head);
            while !raw.is_null() && copied < len {
                let next = bindings::skb_queue_next_or_null(head, raw);
                let skb = ManuallyDrop::new(Skb::from_raw(raw));
                let (start, end) = skb.range();
                while copied < len {
                    let at = from + copied as u64;
                    if end <= at || at < start {
                        break;
                    }
                    let n = ((end - at) as usize).min(len - copied) as u32;
                    let skip = (*skb.control()).skip + (at - start) as u32;
                    let put = bindings::skb_splice_bits(raw, sk, skip, to.pipe, n, to.flags);
                    if put <= 0 {
                        return match (copied, put) {
                            (0, put) if put < 0 => Err(Error::from_errno(put)),
                            _ => Ok(copied),
                        };
                    }
                    copied += put as usize;
                }
                if end <= from + copied as u64 {
                    bindings::__skb_unlink(raw, head);
                    bindings::__kfree_skb(raw);
                }
                raw = next;
            }
        }
        Ok(copied)
    }
}
