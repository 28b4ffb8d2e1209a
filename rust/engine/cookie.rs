// SPDX-License-Identifier: GPL-2.0

//! SYN cookies: a half-open connection that needs no record, since its SYN-ACK carries it.
//!
//! The sequence number of the SYN-ACK holds the minute and the peer's MSS under two keyed hashes
//! (D. J. Bernstein, 1996); the low bits of its timestamp hold the options that only a SYN can
//! negotiate. The third segment brings both back. Format and life are Linux's (`syncookies.c`).
//!
//! Nothing here knows addresses: the owner hashes them, and says which MSS values the address
//! family's cookies can express.

use crate::engine::config::Config;
use crate::engine::half_open::HalfOpen;
use crate::engine::options::Options;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::Isn;
use crate::engine::seq::SeqNum;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use crate::engine::window::WindowScale;

/// The MSS values that a cookie can express, in ascending order; the peer's is rounded down.
pub type MssTable = [u16; 4];

/// Those of IPv4 (Linux's `msstab`).
pub const COOKIE_MSS_IPV4: MssTable = [536, 1300, 1440, 1460];

/// Those of IPv6.
pub const COOKIE_MSS_IPV6: MssTable = [1220, 1420, 1440, 8940];

/// How long after the last cookie was sent one may come back (Linux's `TCP_SYNCOOKIE_VALID`): the
/// time in which every cookie has grown too old.
pub const COOKIE_LIFE: Duration = Duration::from_nanos(PERIOD_NANOS * 2);

/// The time in which the cookie's count goes on by one (`TCP_SYNCOOKIE_PERIOD`).
const PERIOD_NANOS: u64 = 60_000_000_000;
/// A cookie this many counts old is refused (`MAX_SYNCOOKIE_AGE`).
const MAX_AGE: u32 = 2;

/// The low bits of a cookie, under the count.
const DATA_BITS: u32 = 24;
const DATA_MASK: u32 = (1 << DATA_BITS) - 1;

/// The low bits of the timestamp that carry options.
const OPTION_BITS: u32 = 6;
const OPTION_MASK: u32 = (1 << OPTION_BITS) - 1;
const SCALE_MASK: u32 = 0xf;
/// No window scale was offered: no scale has this value.
const NO_SCALE: u32 = 0xf;
const SACK: u32 = 1 << 4;
const ECN: u32 = 1 << 5;

/// What a SYN asks for ECN with (RFC 3168, 6.1.1).
const ECN_SETUP: Flags = Flags::ECE.with(Flags::CWR);

/// The owner's keyed hashes of a connection's addresses and ports.
///
/// The two keys are secrets of their own: who sees cookies must not learn to make them.
pub trait CookieHash {
    /// Returns the hash under the first key.
    fn whole(&self) -> u32;
    /// Returns the hash under the second key of the four-tuple and `count`.
    fn counted(&self, count: u32) -> u32;
}

/// What a third segment's cookie is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum CookieVerdict {
    /// Nobody made it lately.
    Forged,
    /// It is right, but what it negotiated is forbidden by now.
    Disabled,
    /// It is right: make a connection of this record and give it the segment.
    Valid(HalfOpen),
}

fn count(now: Instant) -> u32 {
    (now.as_nanos() / PERIOD_NANOS) as u32
}

/// Returns the sequence number that encodes `data`, in answer to a SYN of number `irs`.
fn encode(now: Instant, hash: &impl CookieHash, irs: SeqNum, data: u32) -> SeqNum {
    let count = count(now);
    let low = hash.counted(count).wrapping_add(data) & DATA_MASK;
    irs.add(hash.whole())
        .add(count.wrapping_shl(DATA_BITS))
        .add(low)
}

/// Returns the data of a cookie, or `None` where it is too old. That of a forged one is arbitrary.
fn decode(now: Instant, hash: &impl CookieHash, irs: SeqNum, cookie: SeqNum) -> Option<u32> {
    let plain = cookie.sub(hash.whole()).sub(irs.0).0;
    let count = count(now);
    let age = count.wrapping_sub(plain >> DATA_BITS) & (u32::MAX >> DATA_BITS);
    let made = count.wrapping_sub(age);
    (age < MAX_AGE).then(|| plain.wrapping_sub(hash.counted(made)) & DATA_MASK)
}

/// Returns the newest clock value not after `tick` that carries `options` in its low bits: the
/// peer must see our clock go forward.
fn stamp(tick: u32, options: u32) -> u32 {
    let stamp = tick & !OPTION_MASK | options;
    if stamp & OPTION_MASK > tick & OPTION_MASK {
        stamp.wrapping_sub(1 << OPTION_BITS)
    } else {
        stamp
    }
}

/// Makes the SYN-ACK that answers `syn` and leaves nothing behind.
///
/// Options other than MSS are only negotiated with a peer that offers timestamps.
pub fn cookie_syn_ack(
    now: Instant,
    config: &Config,
    syn: &SegmentIn,
    ts_offset: u32,
    table: &MssTable,
    hash: &impl CookieHash,
) -> SegmentOut {
    let mut syn = *syn;
    if syn.options.timestamps.is_none() || !config.timestamps {
        syn.options.window_scale = None;
        syn.options.sack_permitted = false;
        syn.flags = syn.flags.without(ECN_SETUP);
    }
    let peer_mss = syn.options.mss.filter(|&mss| mss > 0);
    let peer_mss = peer_mss.unwrap_or(config.default_mss);
    let index = table.iter().rposition(|&mss| mss <= peer_mss);
    let seq = encode(now, hash, syn.seq, index.unwrap_or(0) as u32);
    let mut half_open = HalfOpen::new(now, config, &syn, Isn { seq, ts_offset });
    let mut answer = half_open.syn_ack(now);
    if let Some(timestamps) = &mut answer.options.timestamps {
        let agreed = &half_open.agreed;
        let scale = agreed
            .scales
            .map_or(NO_SCALE, |(_, theirs)| theirs.shift().into());
        let sack = if agreed.sack { SACK } else { 0 };
        let ecn = if agreed.ecn { ECN } else { 0 };
        timestamps.value = stamp(now.tick(), scale | sack | ecn).wrapping_add(ts_offset);
    }
    answer
}

/// Judges a segment that came to a listener, and acknowledges something, by its cookie.
pub fn cookie_check(
    now: Instant,
    config: &Config,
    segment: &SegmentIn,
    ts_offset: u32,
    table: &MssTable,
    hash: &impl CookieHash,
) -> CookieVerdict {
    let irs = segment.seq.sub(1);
    let seq = segment.ack.sub(1);
    let mss = decode(now, hash, irs, seq)
        .and_then(|data| usize::try_from(data).ok())
        .and_then(|index| table.get(index));
    let Some(&mss) = mss else {
        return CookieVerdict::Forged;
    };
    let mut options = Options {
        mss: Some(mss),
        timestamps: segment.options.timestamps.filter(|_| config.timestamps),
        ..Options::default()
    };
    let mut flags = Flags::SYN;
    if let Some(timestamps) = options.timestamps {
        let bits = match timestamps.echo {
            0 => 0,
            echo => echo.wrapping_sub(ts_offset),
        };
        options.sack_permitted = bits & SACK != 0;
        if options.sack_permitted && !config.sack {
            return CookieVerdict::Disabled;
        }
        if bits & ECN != 0 {
            flags = flags.with(ECN_SETUP);
        }
        if bits & SCALE_MASK != NO_SCALE {
            options.window_scale = Some(WindowScale::new((bits & SCALE_MASK) as u8));
            if !config.window_scaling {
                return CookieVerdict::Disabled;
            }
        }
    }
    let syn = SegmentIn {
        seq: irs,
        flags,
        window: segment.window,
        options,
        ..SegmentIn::default()
    };
    CookieVerdict::Valid(HalfOpen::of_cookie(
        now,
        config,
        &syn,
        Isn { seq, ts_offset },
    ))
}

#[cfg(test)]
mod tests;
