// SPDX-License-Identifier: GPL-2.0

//! Memory that the owner lends to a connection.

use crate::engine::ranges::RunBits;
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

/// Memory for values of one kind, side by side.
pub trait Memory<T>: Default {
    /// Returns the values.
    fn slots(&self) -> &[T];

    /// Returns the values for writing.
    fn slots_mut(&mut self) -> &mut [T];

    /// Asks for `len` values, of which the first stay what they are. May be refused, then nothing
    /// changes.
    fn grow(&mut self, len: usize);
}

/// The kinds of memory that an owner lends to a connection: the engine has no heap.
pub trait Store {
    /// For the records of what is in flight. Without it the engine takes neighbours for one
    /// transmission, and repairs losses more coarsely.
    type Sent: Memory<Record>;

    /// For the runs of octets that arrived out of order. Without it such octets are dropped, and the
    /// peer sends them again.
    type Held: Memory<RunBits>;
}
