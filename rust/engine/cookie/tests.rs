// SPDX-License-Identifier: GPL-2.0

use super::*;

struct Fixed;

impl CookieHash for Fixed {
    fn whole(&self) -> u32 {
        0x1234_5678
    }
    fn counted(&self, count: u32) -> u32 {
        count.wrapping_mul(0x9e37_79b9) ^ 0xdead_beef
    }
}

fn minutes(minutes: u64) -> Instant {
    Instant::from_nanos(minutes * PERIOD_NANOS)
}

#[test]
fn cookie__lives_two_counts() {
    let irs = SeqNum(77);
    for data in 0..4 {
        let cookie = encode(minutes(1_000), &Fixed, irs, data);
        assert_eq!(decode(minutes(1_000), &Fixed, irs, cookie), Some(data));
        assert_eq!(decode(minutes(1_001), &Fixed, irs, cookie), Some(data));
        assert_eq!(decode(minutes(1_002), &Fixed, irs, cookie), None);
        assert_eq!(decode(minutes(999), &Fixed, irs, cookie), None);
        // The count's eight bits come round after 256 minutes, but under another hash.
        let later = decode(minutes(1_256), &Fixed, irs, cookie);
        assert!(later.is_none_or(|data| data > 3));
    }
}

#[test]
fn cookie__belongs_to_its_syn() {
    let cookie = encode(minutes(5), &Fixed, SeqNum(77), 2);
    assert_ne!(
        decode(minutes(5), &Fixed, SeqNum(78), cookie),
        Some(2),
        "another SYN"
    );
}

#[test]
fn stamp__never_ahead_of_the_clock() {
    assert_eq!(stamp(0x1000, 0x3f), 0xfff);
    assert_eq!(stamp(0x103f, 0x3f), 0x103f);
    assert_eq!(stamp(0x1020, 0x17), 0x1017);
    assert_eq!(stamp(0x1016, 0x17), 0xfd7);
    assert_eq!(stamp(0, 1), 0xffff_ffc1, "the clock wraps");
}
