// SPDX-License-Identifier: GPL-2.0

//! The memory of connections on the host.

use crate::engine;
use crate::engine::Memory;
use crate::engine::Record;
use crate::engine::RunBits;
use crate::engine::Store;
use alloc::vec::Vec;

/// A connection with memory from the heap.
pub type Connection = engine::Connection<Heap>;

/// The heap, which never refuses.
#[derive(Clone, Debug, Default)]
pub struct Heap;

/// A piece of it.
#[derive(Clone, Debug, Default)]
pub struct Piece<T>(Vec<T>);

impl<T: Clone + Default> Memory<T> for Piece<T> {
    fn slots(&self) -> &[T] {
        &self.0
    }

    fn slots_mut(&mut self) -> &mut [T] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if len > self.0.len() {
            self.0.resize(len, T::default());
        }
    }
}

impl Store for Heap {
    type Sent = Piece<Record>;
    type Held = Piece<RunBits>;
}
