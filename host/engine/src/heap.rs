// SPDX-License-Identifier: GPL-2.0

//! The memory of connections on the host.

use crate::engine;
use crate::engine::Record;
use crate::engine::Store;
use alloc::vec::Vec;

/// A connection whose records lie on the heap.
pub type Connection = engine::Connection<Heap>;

/// Memory from the heap, never refused.
#[derive(Clone, Debug, Default)]
pub struct Heap(Vec<Record>);

impl Store for Heap {
    fn records(&self) -> &[Record] {
        &self.0
    }

    fn records_mut(&mut self) -> &mut [Record] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if len > self.0.len() {
            self.0.resize(len, Record::default());
        }
    }
}
