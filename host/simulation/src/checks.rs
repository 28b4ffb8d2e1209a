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
}

impl Flight {
    pub fn of(connection: &Connection, now: Instant) -> Flight {
        Flight {
            pipe: connection.pipe(),
            cwnd: u64::from(connection.cwnd()),
            sent: connection.sent(),
            mss: u64::from(connection.info(now).snd_mss.max(1)),
        }
    }

    /// RFC 5681, 3.1: new data leaves only while less than cwnd is in flight. One segment may always
    /// leave into an empty network, and one after the timer as a `probe` of the tail (RFC 8985, 7.3).
    pub fn check(&self, connection: &Connection, segment: &SegmentOut, probe: bool) {
        let new = connection.sent() - self.sent;
        if probe && new <= self.mss {
            return;
        }
        if new == 0 || segment.retransmission || self.cwnd == 0 {
            return;
        }
        assert!(
            self.pipe + new <= self.cwnd + self.mss,
            "{} octets in flight and {new} leave, but cwnd is {}",
            self.pipe,
            self.cwnd
        );
    }
}
