// SPDX-License-Identifier: GPL-2.0

//! CLOSED and LISTEN: segments for which there is no connection.

use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::SeqNum;

/// Returns the RST that answers a segment for which there is no connection (RFC 9293, 3.10.7.1).
pub fn on_closed(segment: &SegmentIn) -> Option<SegmentOut> {
    if segment.flags.rst() {
        return None;
    }
    Some(if segment.flags.ack() {
        SegmentOut::bare(segment.ack, SeqNum(0), Flags::RST)
    } else {
        let ack = segment.seq.add(segment.seq_len());
        SegmentOut::bare(SeqNum(0), ack, Flags::RST.with(Flags::ACK))
    })
}

/// What a listener does with a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum ListenVerdict {
    /// Drop it.
    Ignore,
    /// Drop it and send this.
    Reset(SegmentOut),
    /// It asks for a connection: make a [`crate::engine::HalfOpen`].
    Syn,
}

/// Judges a segment that arrived at a listener (RFC 9293, 3.10.7.2).
pub fn on_listen(segment: &SegmentIn) -> ListenVerdict {
    if segment.flags.rst() {
        return ListenVerdict::Ignore;
    }
    if segment.flags.ack() {
        return on_closed(segment).map_or(ListenVerdict::Ignore, ListenVerdict::Reset);
    }
    // As Linux: SYN with FIN is a probe of firewalls, not a request.
    if segment.flags.syn() && !segment.flags.fin() {
        return ListenVerdict::Syn;
    }
    ListenVerdict::Ignore
}
