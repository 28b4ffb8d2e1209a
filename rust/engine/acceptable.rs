// SPDX-License-Identifier: GPL-2.0

//! Whether a segment belongs to the connection: pure decisions of RFC 9293, RFC 7323 and RFC 5961.

use crate::engine::options::Timestamps;
use crate::engine::segment::Flags;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// What the receive half knows, relative to RCV.NXT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// RCV.NXT minus the acknowledgment last sent, in octets.
    pub(crate) unacked: i64,
    /// Octets from RCV.NXT to the right edge of the window.
    pub(crate) window: i64,
}

/// Returns whether `start..start + len` (relative to RCV.NXT, SYN and FIN counted) may be looked
/// at.
///
/// RFC 9293, 3.10.7.4, first check. As Linux (`tcp_sequence`) a little wider: from the
/// acknowledgment last sent, because the peer may not know a later one, and up to the right edge
/// even when the window is zero, because ACK and RST must be taken then too.
pub(crate) fn in_window(expected: &Expected, start: i64, len: u32) -> bool {
    let end = start.saturating_add(i64::from(len));
    end >= expected.unacked.saturating_neg() && start <= expected.window
}

/// TS.Recent: the peer's clock and when it was last seen to move.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct TsRecent {
    pub(crate) value: u32,
    pub(crate) at: Instant,
}

/// RFC 7323, 5.5: TS.Recent says nothing after 24 days.
const TS_RECENT_LIFE: Duration = Duration::from_secs(24 * 24 * 3600);

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
    let older = recent.value.wrapping_sub(timestamps.value) as i32;
    older > 1 && now.since(recent.at) < TS_RECENT_LIFE
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
        (self.second as u64) << 32 | self.left as u64
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
