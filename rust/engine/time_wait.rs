// SPDX-License-Identifier: GPL-2.0

//! TIME-WAIT: a small record that keeps old segments out of a new connection.

use crate::engine::acceptable;
use crate::engine::acceptable::RateLimit;
use crate::engine::acceptable::TsRecent;
use crate::engine::options::Timestamps;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::SeqNum;
use crate::engine::tally::Mib;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// How long TIME-WAIT lasts: Linux's `TCP_TIMEWAIT_LEN`, against the 4 minutes of RFC 9293, 3.6.1.
pub const TIME_WAIT: Duration = Duration::from_secs(60);

/// What remains of a connection that both ends have closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TimeWait {
    /// SND.NXT, our FIN counted.
    pub(crate) snd_nxt: SeqNum,
    /// RCV.NXT, the peer's FIN counted.
    pub(crate) rcv_nxt: SeqNum,
    /// The window field of our last acknowledgment.
    pub(crate) window: u16,
    /// The octets it meant.
    pub(crate) rcv_wnd: u32,
    pub(crate) ts_recent: Option<TsRecent>,
    pub(crate) ts_offset: u32,
    pub(crate) invalid_ratelimit: Duration,
    /// It was counted when its owner had left and FIN-WAIT-2 begun.
    pub(crate) counted: bool,
    pub(crate) rfc1337: bool,
    /// When TIME-WAIT began.
    pub(crate) entered: Instant,
    pub(crate) deadline: Instant,
    pub(crate) answers: RateLimit,
}

const _: () = assert!(core::mem::size_of::<TimeWait>() <= 128);

/// What a segment means to a TIME-WAIT record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum TimeWaitVerdict {
    /// Drop it.
    Ignore,
    /// Drop it and send this.
    Reply(SegmentOut),
    /// Forget the record.
    Remove,
    /// A SYN that cannot be an old duplicate: forget the record and give the segment to the
    /// listener.
    Reopen {
        /// The ISN of the new connection must not precede this number.
        isn_after: SeqNum,
    },
}

/// Records that live no longer count as killed, as in Linux.
pub(crate) const SHORT: Duration = Duration::from_secs(4);

/// What a connection begins with that takes the place of one in TIME-WAIT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Successor {
    /// ISS, beyond all that was sent.
    pub seq: SeqNum,
    /// TS.Recent of the old connection: what the SYN echoes.
    pub ts_echo: u32,
}

impl TimeWait {
    /// Returns whether it was counted already, in FIN-WAIT-2.
    pub fn was_counted(&self) -> bool {
        self.counted
    }

    /// Returns when the record ends; [`TimeWait::on_segment`] may have moved it.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Returns how a new connection of ours may take this one's place, if it may: only timestamps
    /// tell its segments from those of the old one (RFC 6191; Linux's `tcp_twsk_unique`).
    ///
    /// `delay` is how long TIME-WAIT must have lasted (`tcp_tw_reuse_delay`), `None` for a socket
    /// whose user chose the port: it does not wait.
    pub fn successor(&self, now: Instant, delay: Option<Duration>) -> Option<Successor> {
        let recent = self.ts_recent?;
        let lasted = now.since(self.entered);
        if delay.is_some_and(|delay| lasted <= delay) {
            return None;
        }
        Some(Successor {
            seq: self.beyond(),
            ts_echo: recent.value,
        })
    }

    /// Returns the first number of a connection that follows this one.
    ///
    /// As Linux: so far beyond what was sent that no window without scaling reaches it.
    fn beyond(&self) -> SeqNum {
        match self.snd_nxt.add(65_537) {
            SeqNum(0) => SeqNum(1),
            seq => seq,
        }
    }

    /// Returns the last acknowledgment.
    pub fn ack(&self, now: Instant) -> SegmentOut {
        let mut segment = SegmentOut::bare(self.snd_nxt, self.rcv_nxt, Flags::ACK);
        segment.window = self.window;
        segment.options.timestamps = self.ts_recent.map(|recent| Timestamps {
            value: now.tick().wrapping_add(self.ts_offset),
            echo: recent.value,
        });
        segment
    }

    /// Judges a segment (RFC 9293, 3.10.7.4, in TIME-WAIT; Linux's `tcp_timewait_state_process`).
    /// `count` is told what happens.
    pub fn on_segment(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        mut count: impl FnMut(Mib),
    ) -> TimeWaitVerdict {
        let flags = segment.flags;
        let timestamps = segment
            .options
            .timestamps
            .filter(|_| self.ts_recent.is_some());
        let paws = acceptable::paws_rejects(self.ts_recent, timestamps, now);
        let in_order = segment.seq == self.rcv_nxt;
        if !paws && in_order && (segment.seq_len() == 0 || flags.rst()) {
            if flags.rst() {
                // RFC 1337: a RST may be as old as any segment; Linux believes it unless
                // `tcp_rfc1337` is set.
                if !self.rfc1337 {
                    return TimeWaitVerdict::Remove;
                }
            } else {
                self.restart(now);
            }
            if let (Some(recent), Some(timestamps)) = (&mut self.ts_recent, timestamps) {
                recent.value = timestamps.value;
                recent.at = now;
            }
            return TimeWaitVerdict::Ignore;
        }
        // RFC 9293, 3.10.7.4 (MAY-2) and RFC 6191: a SYN beyond the old connection opens a new one.
        let newer_clock = match (self.ts_recent, timestamps) {
            (Some(recent), Some(ts)) => (recent.value.wrapping_sub(ts.value) as i32) < 0,
            _ => false,
        };
        if flags.syn()
            && !flags.rst()
            && !flags.ack()
            && !paws
            && (segment.seq.after(self.rcv_nxt) || newer_clock)
        {
            let isn_after = self.beyond();
            return TimeWaitVerdict::Reopen { isn_after };
        }
        if paws {
            count(Mib::PawsTimeWait);
        }
        if flags.rst() {
            return TimeWaitVerdict::Ignore;
        }
        // RFC 9293, 3.10.7.4, eighth check: a repeated FIN restarts the time; Linux extends that to
        // all that acknowledges.
        if paws || flags.ack() {
            self.restart(now);
        }
        let span = self.invalid_ratelimit;
        if !self.answers.allows_for(segment, now, span) {
            count(Mib::AckSkippedTimeWait);
            return TimeWaitVerdict::Ignore;
        }
        TimeWaitVerdict::Reply(self.ack(now))
    }

    fn restart(&mut self, now: Instant) {
        self.deadline = now.saturating_add(TIME_WAIT);
    }
}
