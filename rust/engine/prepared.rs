// SPDX-License-Identifier: GPL-2.0

//! A segment that waits for the owner to ask for it.

use crate::engine::segment::SegmentOut;
use crate::engine::time::Instant;

/// A whole segment, made when something arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    segment: SegmentOut,
    made: Instant,
}

impl Prepared {
    /// Keeps a segment that was made at `now`.
    pub(crate) fn new(now: Instant, segment: SegmentOut) -> Prepared {
        Prepared { segment, made: now }
    }

    /// Returns the segment as it leaves at `now`.
    ///
    /// Its clock shows that time: it may answer a segment that had to wait in a backlog, and what
    /// left meanwhile would make it look old to PAWS.
    pub(crate) fn leave(self, now: Instant) -> SegmentOut {
        let mut segment = self.segment;
        if let Some(timestamps) = &mut segment.options.timestamps {
            let waited = now.tick().wrapping_sub(self.made.tick());
            timestamps.value = timestamps.value.wrapping_add(waited);
        }
        segment
    }
}
