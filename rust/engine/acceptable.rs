// SPDX-License-Identifier: GPL-2.0

//! Whether a segment belongs to the connection: pure decisions of RFC 9293, RFC 7323 and RFC 5961.

use crate::engine::options::Timestamps;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// What the receive half knows, relative to RCV.NXT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// RCV.NXT minus the acknowledgment last sent, in octets.
    pub(crate) unacked: i64,
    /// Octets from RCV.NXT to the rightmost edge of the window that was ever offered.
    pub(crate) window: i64,
    /// The reader has consumed all there is.
    pub(crate) all_read: bool,
}

/// Returns whether `start..start + len` (relative to RCV.NXT, SYN and FIN counted) may be looked
/// at; `fin` tells that a FIN is counted.
///
/// RFC 9293, 3.10.7.4, first check. As Linux (`tcp_sequence`) a little wider at the left: from the
/// acknowledgment last sent, because the peer may not know a later one. At the right one segment
/// may go beyond the window if no other waits for the reader; ACK and RST are taken at the edge even
/// when the window is zero.
pub(crate) fn in_window(expected: &Expected, start: i64, len: u32, fin: bool) -> bool {
    let end = start.saturating_add(i64::from(len));
    if end < expected.unacked.saturating_neg() {
        return false;
    }
    end.saturating_sub(i64::from(fin)) <= expected.window
        || (start <= expected.window && expected.all_read)
}

/// TS.Recent: the peer's clock and when it was last seen to move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TsRecent {
    pub(crate) value: u32,
    pub(crate) at: Instant,
}

/// How long TS.Recent says something: as Linux (`TCP_PAWS_WRAP`), whose peers' clocks may tick in
/// microseconds; RFC 7323, 5.5 thinks of milliseconds and allows 24 days.
const TS_RECENT_LIFE: Duration = Duration::from_secs(2_147);

impl TsRecent {
    /// Returns whether a timestamp of `value` is older than this by more than `slack` ticks (RFC
    /// 7323, 5.3, R1; Linux's `tcp_paws_check`).
    pub(crate) fn rejects(&self, value: u32, slack: i32, now: Instant) -> bool {
        let older = self.value.wrapping_sub(value) as i32;
        // A clock that was at 0 may have been none: some peers put 0 into their SYN only.
        older > slack && now.since(self.at) < TS_RECENT_LIFE && self.value != 0
    }
}

/// Returns whether the segment is an old duplicate by its timestamp (RFC 7323, 5.3, R1).
///
/// As Linux one tick of disorder is allowed (`TCP_PAWS_WINDOW`).
pub(crate) fn paws_rejects(
    recent: Option<TsRecent>,
    timestamps: Option<Timestamps>,
    now: Instant,
) -> bool {
    let (Some(recent), Some(timestamps)) = (recent, timestamps) else {
        return false;
    };
    recent.rejects(timestamps.value, 1, now)
}

/// What an acknowledgment with an old timestamp is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Disordered {
    /// It may have been overtaken on the way: it is taken.
    Acceptable,
    /// It comes from before the data that we have: it is dropped without an answer.
    Old,
    /// It is rejected, and answered.
    No,
}

/// Judges a segment that PAWS rejects and that starts `start` octets after RCV.NXT (Linux's
/// `tcp_disordered_ack_check`).
///
/// Acknowledgments may overtake each other, and fast retransmit counts duplicates; RFC 7323 would
/// drop them. `news` tells that it acknowledges or offers something new, `older` by how much its
/// timestamp is too old, in ticks.
pub(crate) fn disordered_ack(
    pure: bool,
    start: i64,
    news: bool,
    older: u32,
    rto: Duration,
) -> Disordered {
    if !pure {
        return Disordered::No;
    }
    if start < 0 {
        return Disordered::Old;
    }
    // What a peer's clock of at most 1200 Hz can have moved in an RTO.
    let replay = rto.as_millis().saturating_mul(1200) / 1000;
    if start > 0 || news || u64::from(older) > replay {
        return Disordered::No;
    }
    Disordered::Acceptable
}

/// What the control bits of a segment in the window ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Control {
    /// The connection is reset.
    Reset,
    /// Perhaps forged: answer with an acknowledgment and drop.
    Challenge,
    /// No ACK flag: drop.
    Drop,
    /// Go on.
    Pass,
}

/// Judges RST, SYN and the ACK flag of a segment in the window that starts `start` octets after
/// RCV.NXT.
pub(crate) fn control(flags: Flags, start: i64) -> Control {
    if flags.rst() {
        // RFC 5961, 3.2: only a RST exactly at RCV.NXT resets.
        return if start == 0 {
            Control::Reset
        } else {
            Control::Challenge
        };
    }
    if flags.syn() {
        // RFC 5961, 4.2: whatever its sequence number.
        return Control::Challenge;
    }
    if !flags.ack() {
        // RFC 9293, 3.10.7.4, fifth check.
        return Control::Drop;
    }
    Control::Pass
}

/// What an acknowledgment number is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AckCheck {
    /// It acknowledges this many octets more.
    Advances(u64),
    /// It is older than SND.UNA but may be genuine: its number is ignored, the segment is not.
    Old,
    /// It cannot be genuine: challenge and drop.
    Challenge,
}

/// Judges an acknowledgment `ack` octets after SND.UNA (RFC 9293, 3.10.7.4; RFC 5961, 5.2).
pub(crate) fn ack(ack: i64, in_flight: u64, max_window: u32) -> AckCheck {
    match u64::try_from(ack) {
        Ok(advance) if advance <= in_flight => AckCheck::Advances(advance),
        Ok(_) => AckCheck::Challenge,
        Err(_) if ack.saturating_neg() <= i64::from(max_window) => AckCheck::Old,
        Err(_) => AckCheck::Challenge,
    }
}

/// Lets an answer to invalid segments pass once per span (Linux's `tcp_invalid_ratelimit`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct RateLimit {
    last: Option<Instant>,
}

impl RateLimit {
    /// Returns whether an answer may leave now, and remembers it.
    pub(crate) fn allows(&mut self, now: Instant, span: Duration) -> bool {
        let soon = self.last.is_some_and(|last| now.since(last) < span);
        if !soon {
            self.last = Some(now);
        }
        !soon
    }

    /// Returns whether an answer to `segment` may leave now, and remembers it.
    ///
    /// As Linux (`tcp_oow_rate_limited`): what carries data or a FIN cannot take part in a loop of
    /// acknowledgments and is always answered.
    pub(crate) fn allows_for(&mut self, segment: &SegmentIn, now: Instant, span: Duration) -> bool {
        (segment.seq_len() != 0 && !segment.flags.syn()) || self.allows(now, span)
    }
}

/// The challenges that all connections of an owner together may send in a second (RFC 5961, 7;
/// Linux's `tcp_challenge_ack_limit`).
///
/// How many are left must not be a way to learn of other connections (CVE-2016-5696), so that the
/// number is another in each second: half of the limit to one and a half of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ChallengeBudget {
    /// One more than the second that the budget is for; 0 at first.
    second: u32,
    left: u32,
}

impl ChallengeBudget {
    /// A limit that is none.
    pub const UNLIMITED: u32 = i32::MAX as u32;

    /// Returns a budget that [`ChallengeBudget::bits`] has told, so that an owner can keep it in one
    /// word. Nothing was spent of 0.
    pub const fn from_bits(bits: u64) -> ChallengeBudget {
        ChallengeBudget {
            second: (bits >> 32) as u32,
            left: bits as u32,
        }
    }

    /// Returns the budget as one word.
    pub const fn bits(self) -> u64 {
        ((self.second as u64) << 32) | self.left as u64
    }

    /// Returns whether a challenge may leave now, and counts it. `random(n)` is a random number
    /// below `n`.
    pub fn allows(&mut self, now: Instant, limit: u32, random: impl FnOnce(u32) -> u32) -> bool {
        if limit == Self::UNLIMITED {
            return true;
        }
        let second = ((now.as_nanos() / 1_000_000_000) as u32).wrapping_add(1);
        if second != self.second {
            self.second = second;
            let half = limit.div_ceil(2);
            self.left = half.saturating_add(random(limit.max(1)));
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests;
