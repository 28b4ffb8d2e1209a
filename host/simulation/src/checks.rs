// SPDX-License-Identifier: GPL-2.0

//! What must hold inside an engine, between two calls.

use oxtcp_engine::engine::Instant;
use oxtcp_engine::engine::SegmentOut;
use oxtcp_engine::engine::State;
use oxtcp_engine::Connection;

/// Returns whether the state may have become `new` between two looks (RFC 9293, 3.3.2, figure 5).
pub fn may_follow(old: State, new: State) -> bool {
    use State::*;
    if old == new || new == Closed {
        return true;
    }
    match old {
        Closed => matches!(new, SynSent),
        SynSent => !matches!(new, Listen | TimeWait | Closing | LastAck),
        SynReceived => !matches!(new, Listen | SynSent),
        Established => matches!(
            new,
            FinWait1 | FinWait2 | CloseWait | Closing | TimeWait | LastAck
        ),
        FinWait1 => matches!(new, FinWait2 | Closing | TimeWait),
        FinWait2 | Closing => matches!(new, TimeWait),
        CloseWait => matches!(new, LastAck),
        LastAck | TimeWait | Listen => false,
    }
}

/// What was in flight before a segment left.
#[derive(Clone, Copy, Debug)]
pub struct Flight {
    pipe: u64,
    cwnd: u64,
    sent: u64,
    mss: u64,
    sack: bool,
}

impl Flight {
    pub fn of(connection: &Connection, now: Instant) -> Flight {
        let info = connection.info(now);
        let outside = u64::from(info.sacked) + u64::from(info.lost);
        let pipe = u64::from(info.unacked).saturating_sub(outside);
        Flight {
            pipe,
            cwnd: u64::from(info.cwnd),
            sent: connection.sent(),
            mss: u64::from(info.snd_mss.max(1)),
            sack: info.sack,
        }
    }

    /// RFC 5681, 3.1: new data leaves only while less than cwnd is in flight. Counted in segments, so
    /// that one may be cut short at both ends.
    pub fn check(&self, connection: &Connection, segment: &SegmentOut) {
        let new = connection.sent() - self.sent;
        // Without SACK the snapshot does not tell how many segments duplicates have reported.
        if new == 0 || segment.retransmission || self.cwnd == 0 || !self.sack {
            return;
        }
        let after = self.pipe + new / self.mss;
        assert!(
            after <= self.cwnd + 3,
            "{} segments in flight and {new} octets leave, but cwnd is {}",
            self.pipe,
            self.cwnd
        );
    }
}
