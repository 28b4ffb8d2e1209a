// SPDX-License-Identifier: GPL-2.0

//! Sequence numbers on the wire.
//!
//! Inside the engine a place in a stream is a `u64` offset that never wraps; a [`SeqNum`] appears
//! only where a header is read or written.

/// A sequence number: modulo 2^32, compared by distance (RFC 9293, 3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SeqNum(pub u32);

impl SeqNum {
    /// Returns whether `self` precedes `other` by less than half the number space.
    pub const fn before(self, other: SeqNum) -> bool {
        self.distance_from(other) < 0
    }

    /// Returns whether `self` follows `other` by less than half the number space.
    pub const fn after(self, other: SeqNum) -> bool {
        other.before(self)
    }

    /// Returns the number that is `octets` further on.
    pub const fn add(self, octets: u32) -> SeqNum {
        SeqNum(self.0.wrapping_add(octets))
    }

    /// Returns the number that is `octets` further back.
    pub const fn sub(self, octets: u32) -> SeqNum {
        SeqNum(self.0.wrapping_sub(octets))
    }

    /// Returns the signed distance from `origin` to `self`, in octets.
    pub const fn distance_from(self, origin: SeqNum) -> i32 {
        self.0.wrapping_sub(origin.0) as i32
    }
}

/// The initial numbers of a connection, made by the owner with a keyed hash (RFC 6528; RFC 7323,
/// 5.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Isn {
    /// ISS: the sequence number of our SYN.
    pub seq: SeqNum,
    /// What is added to the millisecond clock in our timestamps, so that they tell no uptime.
    pub ts_offset: u32,
}

#[cfg(test)]
mod tests;
