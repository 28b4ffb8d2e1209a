// SPDX-License-Identifier: GPL-2.0

//! The memory in which a connection remembers what is in flight.

use crate::engine::{
    self,
    Record,
    RunMemory,
    Store, //
};
use kernel::prelude::*;

/// A connection with memory of the kernel's.
pub(super) type Connection = engine::Connection<Records>;

/// Records on the heap; it is asked without waiting, since most segments leave in softirqs.
#[derive(Default)]
pub(crate) struct Records(KVec<Record>);

/// Runs on the heap, of what is held out of order.
#[derive(Default)]
pub(crate) struct Runs(KVec<(u32, u32)>);

impl RunMemory for Runs {
    fn runs(&self) -> &[(u32, u32)] {
        &self.0
    }

    fn runs_mut(&mut self) -> &mut [(u32, u32)] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if len > self.0.len() {
            let _ = self.0.resize(len, (0, 0), GFP_ATOMIC | __GFP_NOWARN);
        }
    }
}

impl Store for Records {
    type Held = Runs;

    fn records(&self) -> &[Record] {
        &self.0
    }

    fn records_mut(&mut self) -> &mut [Record] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if len > self.0.len() {
            // A refusal costs precision, see `Store`.
            let flags = GFP_ATOMIC | __GFP_NOWARN;
            let _ = self.0.resize(len, Record::default(), flags);
        }
    }
}
