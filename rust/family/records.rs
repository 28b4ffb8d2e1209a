// SPDX-License-Identifier: GPL-2.0

//! The memory in which a connection remembers what is in flight and what it holds.

use crate::engine::{
    self,
    Memory,
    Record,
    RunBits,
    Store, //
};
use kernel::prelude::*;

/// A connection with memory of the kernel's.
pub(super) type Connection = engine::Connection<Heap>;

/// The kernel's heap.
pub(crate) struct Heap;

/// A piece of it; it is asked without waiting, since most segments leave and come in softirqs.
pub(crate) struct Piece<T>(KVec<T>);

impl<T> Default for Piece<T> {
    fn default() -> Self {
        Self(KVec::new())
    }
}

impl<T: Clone + Default> Memory<T> for Piece<T> {
    fn slots(&self) -> &[T] {
        &self.0
    }

    fn slots_mut(&mut self) -> &mut [T] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if len > self.0.len() {
            // A refusal costs precision, see `Store`.
            let flags = GFP_ATOMIC | __GFP_NOWARN;
            let _ = self.0.resize(len, T::default(), flags);
        }
    }
}

impl Store for Heap {
    type Sent = Piece<Record>;
    type Held = Piece<RunBits>;
}
