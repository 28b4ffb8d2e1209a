// SPDX-License-Identifier: GPL-2.0

//! The memory of connections on the host.

use crate::engine;
use crate::engine::Record;
use crate::engine::RunMemory;
use crate::engine::Store;
use alloc::vec::Vec;

/// A connection whose records lie on the heap.
pub type Connection = engine::Connection<Heap>;

/// Memory from the heap, never refused.
#[derive(Clone, Debug, Default)]
pub struct Heap(Vec<Record>);

/// Runs on the heap, never refused.
#[derive(Clone, Debug, Default)]
pub struct Runs(Vec<(u32, u32)>);

impl RunMemory for Runs {
    fn runs(&self) -> &[(u32, u32)] {
        &self.0
    }

    fn runs_mut(&mut self) -> &mut [(u32, u32)] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if len > self.0.len() {
            self.0.resize(len, (0, 0));
        }
    }
}

impl Store for Heap {
    type Held = Runs;

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
