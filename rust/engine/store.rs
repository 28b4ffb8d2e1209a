// SPDX-License-Identifier: GPL-2.0

//! Memory that the owner lends to a connection.

use crate::engine::ranges::RunMemory;
use crate::engine::rate::Stamp;
use crate::engine::time::Instant;

/// What is remembered of one transmission: its place in the stream, when it left, and what became
/// of it. Only the engine looks inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// The stream offset of the first octet.
    pub(crate) start: u64,
    /// Octets, a FIN counted as one.
    pub(crate) len: u32,
    /// Payload octets per segment when it left; never 0 in a live record.
    pub(crate) segment: u16,
    pub(crate) flags: u8,
    /// When it left last.
    pub(crate) sent_at: Instant,
    /// What was delivered by then.
    pub(crate) stamp: Stamp,
}

/// Memory for the records of what is in flight, and of what is held out of order.
///
/// The engine has no heap. Without memory it remembers less: it takes neighbours for one
/// transmission, and repairs losses more coarsely.
pub trait Store: Default {
    /// Memory for the runs of octets that arrived out of order. Without it such octets are dropped,
    /// and the peer sends them again.
    type Held: RunMemory;

    /// Returns the records.
    fn records(&self) -> &[Record];

    /// Returns the records for writing.
    fn records_mut(&mut self) -> &mut [Record];

    /// Asks for `len` records, of which the first keep their values. May be refused, then nothing
    /// changes.
    fn grow(&mut self, len: usize);
}
