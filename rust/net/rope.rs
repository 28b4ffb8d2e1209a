// SPDX-License-Identifier: GPL-2.0

//! A stream of bytes in page fragments, addressed by offset.
//!
//! This is what a send buffer is made of: bytes are appended as they are written and released as
//! they are acknowledged, and in between any range can be put into a packet by reference, as often
//! as need be.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::bindings;
use core::ptr::NonNull;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

/// Whose the bytes of a page are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The rope's: nobody changes them.
    Own,
    /// Others' too, of a file's cache or of user space: they may change at any time.
    Shared,
}

/// Some bytes in a page.
///
/// # Invariants
///
/// `page` is a page (or the first of a compound page) to which the rope owns a reference, and which
/// has `len` initialised bytes from `offset` on.
#[derive(Clone, Copy)]
struct Piece {
    /// Offset in the stream of the first byte.
    start: u64,
    page: NonNull<bindings::page>,
    offset: u32,
    /// Not 0.
    len: u32,
    source: Source,
    /// A record ends behind it: no packet has bytes from before and after.
    ends: bool,
}

impl Piece {
    /// Offset in the stream of the byte after the last.
    fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }

    /// Whether these bytes would be the next ones in the page.
    fn precedes(
        &self,
        page: NonNull<bindings::page>,
        offset: u32,
        len: u32,
        source: Source,
    ) -> bool {
        !self.ends
            && self.source == source
            && self.page == page
            && self.offset.checked_add(self.len) == Some(offset)
            && offset.checked_add(len).is_some()
    }
}

/// A stream of bytes in page fragments, addressed by offset.
///
/// # Invariants
///
/// - `pieces[..first]` are released. `pieces[first..]` follow one another in the stream without a
///   gap up to `end`; the first of them begins at or below `start`, and the rope owns a reference
///   to the page of each.
/// - `start <= end`.
pub struct Rope {
    pieces: KVec<Piece>,
    first: usize,
    start: u64,
    end: u64,
    /// The end of the last record; nothing of the stream is known to end one beyond it.
    record: u64,
}

// SAFETY: References to pages are not tied to a thread.
unsafe impl Send for Rope {}

// SAFETY: A shared rope can only be read.
unsafe impl Sync for Rope {}

impl Rope {
    /// Makes an empty rope, whose first byte will be at this offset.
    pub const fn new(start: u64) -> Self {
        // INVARIANT: Nothing is in it.
        Self {
            pieces: KVec::new(),
            first: 0,
            start,
            end: start,
            record: start,
        }
    }

    /// Returns the offset of the first byte.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the offset after the last byte, where the next one will be.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Returns how many bytes there are.
    pub fn bytes(&self) -> u64 {
        self.end - self.start
    }

    /// Returns whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Makes room for so many more fragments, after which appending them cannot fail.
    pub fn reserve(&mut self, fragments: usize, flags: Flags) -> Result {
        let room = |pieces: &KVec<Piece>| pieces.capacity() - pieces.len();
        if room(&self.pieces) >= fragments {
            return Ok(());
        }
        if self.first > 0 && self.first >= self.pieces.len() / 2 {
            // At least as many were released as are moved, so this costs no more than they did.
            self.pieces.copy_within(self.first.., 0);
            self.pieces.truncate(self.pieces.len() - self.first);
            // INVARIANT: What is not released begins at 0 now.
            self.first = 0;
            if room(&self.pieces) >= fragments {
                return Ok(());
            }
        }
        Ok(self.pieces.reserve(fragments, flags)?)
    }

    /// Appends bytes of a page, to which a reference is taken where the rope has none yet.
    ///
    /// On failure, which is lack of memory, the rope is as it was.
    ///
    /// # Safety
    ///
    /// - `page` is a page, to which the caller owns a reference (and keeps it).
    /// - It has `len` initialised bytes from `offset` on (with those of the compound page that it
    ///   begins, if it does), and where they are the rope's own they do not change as long as they
    ///   are referenced.
    pub(super) unsafe fn append(
        &mut self,
        page: NonNull<bindings::page>,
        offset: u32,
        len: u32,
        source: Source,
        flags: Flags,
    ) -> Result {
        if len == 0 || self.extend(page, offset, len, source) {
            return Ok(());
        }
        self.reserve(1, flags)?;
        // SAFETY: By the safety requirements the caller owns a reference, so another may be taken.
        unsafe { bindings::get_page(page.as_ptr()) };
        self.add(page, offset, len, source);
        Ok(())
    }

    /// Appends bytes of a page to the last fragment, if they follow it in the same page.
    fn extend(
        &mut self,
        page: NonNull<bindings::page>,
        offset: u32,
        len: u32,
        source: Source,
    ) -> bool {
        if self.first == self.pieces.len() {
            return false;
        }
        match self.pieces.last_mut() {
            Some(last) if last.precedes(page, offset, len, source) => {
                last.len += len;
                // INVARIANT: The last piece ends there now, and the rope owns a reference to its
                // page already.
                self.end += u64::from(len);
                true
            }
            _ => false,
        }
    }

    /// Appends a fragment, whose reference the rope owns from here on, where room was made.
    fn add(&mut self, page: NonNull<bindings::page>, offset: u32, len: u32, source: Source) {
        let piece = Piece {
            start: self.end,
            page,
            offset,
            len,
            source,
            ends: false,
        };
        // INVARIANT: The piece begins where the rope ended, which ends where the piece does now.
        if self.pieces.push_within_capacity(piece).is_ok() {
            self.end = piece.end();
        }
    }

    /// The fragments that are not released.
    fn kept(&self) -> &[Piece] {
        // `first` is never above the length.
        self.pieces.get(self.first..).unwrap_or(&[])
    }

    /// The fragments from the one with the byte at `offset` on; none if there is no such byte.
    fn pieces_from(&self, offset: u64) -> &[Piece] {
        if offset < self.start || offset >= self.end {
            return &[];
        }
        let kept = self.kept();
        let after = kept.partition_point(|piece| piece.start <= offset);
        kept.get(after.saturating_sub(1)..).unwrap_or(&[])
    }

    /// Releases the bytes below `offset`, and the pages that have no others.
    pub fn release_below(&mut self, offset: u64) {
        let offset = offset.min(self.end);
        while let Some(piece) = self.pieces.get(self.first) {
            if piece.end() > offset {
                break;
            }
            let page = piece.page;
            // INVARIANT: The piece is released here.
            self.first += 1;
            // SAFETY: By the type invariants the rope owned a reference, and does no more.
            unsafe { bindings::put_page(page.as_ptr()) };
        }
        if self.first == self.pieces.len() {
            self.pieces.clear();
            self.first = 0;
        }
        // INVARIANT: The first piece that is left has the byte at `offset`, or there is none left.
        self.start = self.start.max(offset);
    }

    /// Ends a record with the last byte.
    pub fn end_record(&mut self) {
        let first = self.first;
        if let Some(last) = self
            .pieces
            .get_mut(first..)
            .and_then(|kept| kept.last_mut())
        {
            last.ends = true;
            self.record = self.end;
        }
    }

    /// Returns the length of the longest prefix of the `len` bytes at `offset` that belongs to one
    /// record.
    pub fn in_record(&self, offset: u64, len: u32) -> u32 {
        if offset >= self.record {
            return len;
        }
        let pieces = self.pieces_from(offset).iter();
        let mut ends = pieces.filter(|piece| piece.ends).map(Piece::end);
        let left = ends
            .next()
            .map_or(u64::MAX, |end| end.saturating_sub(offset));
        u64::from(len).min(left) as u32
    }

    /// Returns the length of the longest prefix of the `len` bytes at `offset` that is in at most
    /// `max_pieces` fragments.
    pub fn fit(&self, offset: u64, len: u32, max_pieces: usize) -> u32 {
        let pieces = self.pieces_from(offset);
        let Some(last) = pieces.get(..max_pieces).unwrap_or(pieces).last() else {
            return 0;
        };
        // The subtraction cannot go below 0: `offset` is in the first piece.
        u64::from(len).min(last.end().saturating_sub(offset)) as u32
    }

    /// Whether some of the `len` bytes at `offset` may be changed by others.
    pub(super) fn is_shared(&self, offset: u64, len: u32) -> bool {
        let end = offset.saturating_add(len.into());
        let pieces = self.pieces_from(offset).iter();
        pieces
            .take_while(|piece| piece.start < end)
            .any(|piece| piece.source == Source::Shared)
    }

    /// Calls `f` with the page, the offset in it and the length of each fragment of the `len` bytes
    /// at `offset`, in order, as far as there are such bytes.
    pub(super) fn for_range(
        &self,
        offset: u64,
        len: u32,
        mut f: impl FnMut(*mut bindings::page, u32, u32),
    ) {
        let mut skip = match self.pieces_from(offset).first() {
            // Less than the length of the piece, which is an `u32`.
            Some(piece) => (offset - piece.start) as u32,
            None => return,
        };
        let mut left = len;
        for piece in self.pieces_from(offset) {
            if left == 0 {
                break;
            }
            let part = left.min(piece.len - skip);
            f(piece.page.as_ptr(), piece.offset + skip, part);
            left -= part;
            skip = 0;
        }
    }
}

impl Drop for Rope {
    fn drop(&mut self) {
        self.release_below(self.end);
    }
}
