// SPDX-License-Identifier: GPL-2.0

//! Headers of segments that leave.

use crate::{
    engine::SegmentOut,
    net::ip::Endpoints, //
};
use core::ops::Deref;

/// Longest TCP header in bytes.
const MAX: usize = 60;

/// The TCP header of one segment.
pub(super) struct Header {
    bytes: [u8; MAX],
    len: usize,
}

impl Header {
    /// The header of `segment` on its way between `ends`.
    pub(super) fn new(segment: &SegmentOut, ends: &Endpoints) -> Self {
        let mut bytes = [0; MAX];
        let len = segment.write_header(ends.source.port(), ends.destination.port(), &mut bytes);
        Self { bytes, len }
    }
}

impl Deref for Header {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}
