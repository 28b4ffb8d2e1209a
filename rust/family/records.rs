// SPDX-License-Identifier: GPL-2.0

//! The memory in which a connection remembers what is in flight.

use crate::engine::{
    self,
    Record,
    Store, //
};
use kernel::prelude::*;

/// A connection with memory of the kernel's.
pub(super) type Connection = engine::Connection<Records>;

/// Records on the heap; it is asked without waiting, since most segments leave in softirqs.
#[derive(Default)]
pub(crate) struct Records(KVec<Record>);

impl Store for Records {
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
