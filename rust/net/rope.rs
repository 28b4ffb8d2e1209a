// SPDX-License-Identifier: GPL-2.0

//! A stream of bytes in page fragments, addressed by offset.
//!
//! This is what a send buffer is made of: bytes are appended as they are written and released as
//! they are acknowledged, and in between any range can be put into a packet by reference, as often
//! as need be.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::{
    bindings,
    zerocopy::Pledge, //
};
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
    /// Who is told when nobody uses the bytes any more; holds one of its references. A packet can
    /// have one, so that none has bytes of two.
    owner: Option<Pledge>,
    /// The memory that the piece keeps from its owner, as packets count it, until the last byte is
    /// released. `None` where the bytes lie in memory that is charged to the socket.
    pinned: Option<u32>,
}

impl Piece {
    /// Offset in the stream of the byte after the last.
    fn end(&self) -> u64 {
        self.start + u64::from(self.len)
    }

    /// Whether these bytes would be the next ones in the page.
    fn precedes(&self, next: &Self) -> bool {
        !self.ends
            && self.page == next.page
            && self.source == next.source
            && self.owner == next.owner
            && self.pinned.is_some() == next.pinned.is_some()
            && self.offset.checked_add(self.len) == Some(next.offset)
            && next.offset.checked_add(next.len).is_some()
    }
}

/// Memory of a send buffer, in bytes.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// What is charged to the socket.
    pub charged: u64,
    /// What belongs to others, who get it back: counts only against the size of the buffer.
    pub pinned: u64,
}

impl Memory {
    /// What was there before and is no more.
    pub fn freed_since(self, before: Self) -> Self {
        Self {
            charged: before.charged.saturating_sub(self.charged),
            pinned: before.pinned.saturating_sub(self.pinned),
        }
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
    /// How many of `pieces[first..]` have an owner.
    owned: usize,
    memory: Memory,
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
            owned: 0,
            memory: Memory {
                charged: 0,
                pinned: 0,
            },
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

    /// Returns the memory that the bytes take.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// Returns whether there is no byte.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Makes room for so many more fragments, after which appending them cannot fail.
    pub fn reserve(&mut self, count: usize, flags: Flags) -> Result {
        if self.pieces.capacity() - self.pieces.len() >= count {
            return Ok(());
        }
        if self.first > 0 && self.first >= self.pieces.len() / 2 {
            // At least as many were released as are moved, so this costs no more than they did.
            self.pieces.rotate_left(self.first);
            self.pieces.truncate(self.pieces.len() - self.first);
            // INVARIANT: What is not released begins at 0 now.
            self.first = 0;
        }
        Ok(self.pieces.reserve(count, flags)?)
    }

    /// Appends bytes of a page, to which a reference is taken where the rope has none yet. Who is
    /// `owner` is told when they are not used any more.
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
        owner: Option<&Pledge>,
        flags: Flags,
    ) -> Result {
        if len == 0 {
            return Ok(());
        }
        self.reserve(1, flags)?;
        let piece = Piece {
            source,
            ..self.next(page, offset, len, owner, None)
        };
        if !self.add(piece) {
            // SAFETY: By the safety requirements the caller owns a reference, so another may be
            // taken.
            unsafe { bindings::get_page(page.as_ptr()) };
        }
        self.memory.charged += u64::from(len);
        Ok(())
    }

    /// Appends bytes of a page that belongs to whom `owner` tells, and whose reference the rope takes
    /// over. Of the owner's memory `pinned` bytes cannot be used elsewhere meanwhile. Room must have
    /// been made.
    ///
    /// # Safety
    ///
    /// As of [`Rope::append`], but that the reference is given up; and `len` must not be 0.
    pub(super) unsafe fn append_owned(
        &mut self,
        page: NonNull<bindings::page>,
        offset: u32,
        len: u32,
        owner: &Pledge,
        pinned: u32,
    ) {
        let piece = self.next(page, offset, len, Some(owner), Some(pinned));
        if self.add(piece) {
            // SAFETY: By the requirement; the rope owns another reference.
            unsafe { bindings::put_page(page.as_ptr()) };
        }
        self.memory.pinned += u64::from(pinned);
    }

    fn next(
        &self,
        page: NonNull<bindings::page>,
        offset: u32,
        len: u32,
        owner: Option<&Pledge>,
        pinned: Option<u32>,
    ) -> Piece {
        Piece {
            start: self.end,
            page,
            offset,
            len,
            source: Source::Shared,
            ends: false,
            owner: owner.cloned(),
            pinned,
        }
    }

    /// Appends a fragment where room was made, and returns whether it became part of the last one.
    /// Otherwise it needs the reference to its page.
    fn add(&mut self, piece: Piece) -> bool {
        let end = piece.end();
        let last = self.pieces.get_mut(self.first..).unwrap_or_default();
        match last.last_mut() {
            Some(last) if last.precedes(&piece) => {
                last.len += piece.len;
                if let (Some(pinned), Some(more)) = (&mut last.pinned, piece.pinned) {
                    *pinned = pinned.saturating_add(more);
                }
                // INVARIANT: The last piece ends there now, and the rope owns a reference to its
                // page already.
                self.end = end;
                true
            }
            _ => {
                let owned = piece.owner.is_some();
                // INVARIANT: The piece begins where the rope ended, which ends where the piece does
                // now.
                if self.pieces.push_within_capacity(piece).is_ok() {
                    self.end = end;
                    self.owned += usize::from(owned);
                }
                false
            }
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

    /// Whom the last byte belongs to, if it is not below `offset` and anybody's.
    pub(super) fn last_owner(&self, offset: u64) -> Option<&Pledge> {
        let last = self.kept().last().filter(|_| offset < self.end)?;
        last.owner.as_ref()
    }

    /// Whom a packet of the `len` bytes at `offset` has bytes of, at least some; of more than one it
    /// cannot have any.
    pub(super) fn owner(&self, offset: u64, len: u32) -> Option<&Pledge> {
        if self.owned == 0 {
            return None;
        }
        let end = offset.saturating_add(len.into());
        let mut pieces = self
            .pieces_from(offset)
            .iter()
            .take_while(|piece| piece.start < end);
        pieces.find_map(|piece| piece.owner.as_ref())
    }

    /// Releases the bytes below `offset`, and the pages that have no others.
    pub fn release_below(&mut self, offset: u64) {
        let offset = offset.min(self.end);
        while let Some(piece) = self.pieces.get_mut(self.first) {
            let begin = self.start.max(piece.start);
            let charged = offset.min(piece.end()).saturating_sub(begin);
            if piece.pinned.is_none() {
                self.memory.charged = self.memory.charged.saturating_sub(charged);
            }
            if piece.end() > offset {
                break;
            }
            let page = piece.page;
            let pinned = piece.pinned.unwrap_or(0);
            self.memory.pinned = self.memory.pinned.saturating_sub(pinned.into());
            if piece.owner.take().is_some() {
                self.owned -= 1;
            }
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
    /// `max_pieces` fragments, which belong to at most one owner. Bytes that are not there yet count as
    /// if they fitted.
    pub fn fit(&self, offset: u64, len: u32, max_pieces: usize) -> u32 {
        let pieces = self.pieces_from(offset);
        let mut most = pieces.len().min(max_pieces);
        if self.owned > 0 {
            let mut owner = None;
            let strange = pieces.iter().take(most).position(|piece| {
                let own = piece.owner.as_ref();
                let first = *owner.get_or_insert(own);
                owner = Some(first.or(own));
                own.is_some() && first.is_some() && own != first
            });
            most = strange.unwrap_or(most);
        }
        match pieces.get(most) {
            // `offset` is in the first piece, so that the subtraction cannot go below 0.
            Some(next) => u64::from(len).min(next.start.saturating_sub(offset)) as u32,
            None => len,
        }
    }

    /// Whether somebody wants some of the pages back.
    pub fn has_owners(&self) -> bool {
        self.owned > 0
    }

    /// Whether some of the `len` bytes at `offset` belong to somebody who wants them back.
    pub fn is_owned(&self, offset: u64, len: u32) -> bool {
        self.owner(offset, len).is_some()
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
