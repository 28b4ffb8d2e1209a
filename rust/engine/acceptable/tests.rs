// SPDX-License-Identifier: GPL-2.0

use crate::engine::acceptable::*;
use crate::engine::options::Timestamps;
use crate::engine::segment::Flags;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

#[test]
fn in_window__cases() {
    let open = Expected {
        unacked: 100,
        window: 1_000,
        all_read: false,
    };
    let empty = Expected {
        all_read: true,
        ..open
    };
    let shut = Expected {
        unacked: 0,
        window: 0,
        all_read: false,
    };
    let cases = [
        ("next", open, 0, 10, true),
        ("next, no data", open, 0, 0, true),
        ("at the right edge", open, 1_000, 0, true),
        ("beyond", open, 1_001, 0, false),
        ("reaches to the edge", open, 900, 100, true),
        ("reaches over the edge", open, 990, 100, false),
        ("the same, nothing unread", empty, 990, 100, true),
        ("beyond, nothing unread", empty, 1_001, 100, false),
        ("reaches in from below", open, -50, 60, true),
        ("old, but not acknowledged yet", open, -200, 100, true),
        ("old and acknowledged", open, -201, 100, false),
        ("shut: a bare ACK", shut, 0, 0, true),
        ("shut: a probe", shut, -1, 0, false),
        ("shut: beyond", shut, 1, 1, false),
    ];
    for (label, expected, start, len, wanted) in cases {
        assert_eq!(in_window(&expected, start, len, false), wanted, "{label}");
    }
    assert!(in_window(&shut, 0, 1, true), "a FIN needs no room");
}

#[test]
fn disordered_ack__cases() {
    use Disordered::*;
    let rto = Duration::from_millis(200);
    let cases = [
        ("data", false, 0, false, 1, No),
        ("a duplicate", true, 0, false, 240, Acceptable),
        ("too old", true, 0, false, 241, No),
        ("advances", true, 0, true, 1, No),
        ("from before data", true, -10, false, 1, Old),
        ("from beyond", true, 10, false, 1, No),
    ];
    for (label, pure, start, news, older, wanted) in cases {
        let judged = disordered_ack(pure, start, news, older, rto);
        assert_eq!(judged, wanted, "{label}");
    }
}

#[test]
fn paws__cases() {
    let recent = TsRecent {
        value: 100,
        at: Instant::default(),
    };
    let stamp = |value| Some(Timestamps { value, echo: 0 });
    let soon = Instant::default().saturating_add(Duration::from_secs(1));
    let late = Instant::default().saturating_add(Duration::from_secs(2_148));
    assert!(!paws_rejects(Some(recent), stamp(100), soon));
    assert!(!paws_rejects(Some(recent), stamp(101), soon));
    assert!(
        !paws_rejects(Some(recent), stamp(99), soon),
        "a tick is allowed"
    );
    assert!(paws_rejects(Some(recent), stamp(98), soon));
    assert!(paws_rejects(
        Some(recent),
        stamp(100u32.wrapping_sub(1 << 30)),
        soon
    ));
    assert!(!paws_rejects(Some(recent), stamp(100 + (1 << 30)), soon));
    assert!(!paws_rejects(Some(recent), stamp(98), late), "idle");
    assert!(!paws_rejects(Some(recent), None, soon));
    assert!(!paws_rejects(None, stamp(5), soon));
}

#[test]
fn control__cases() {
    let rst = Flags::RST;
    let syn = Flags::SYN;
    assert_eq!(control(rst, 0), Control::Reset);
    assert_eq!(control(rst.with(syn), 0), Control::Reset);
    assert_eq!(control(rst, 1), Control::Challenge);
    assert_eq!(control(rst, -1), Control::Challenge);
    assert_eq!(control(syn, 0), Control::Challenge);
    assert_eq!(control(syn.with(Flags::ACK), 0), Control::Challenge);
    assert_eq!(control(Flags::FIN, 0), Control::Drop);
    assert_eq!(control(Flags::ACK, 5), Control::Pass);
}

#[test]
fn ack__cases() {
    assert_eq!(ack(0, 10, 5), AckCheck::Advances(0));
    assert_eq!(ack(10, 10, 5), AckCheck::Advances(10));
    assert_eq!(ack(11, 10, 5), AckCheck::Challenge);
    assert_eq!(ack(-5, 10, 5), AckCheck::Old);
    assert_eq!(ack(-6, 10, 5), AckCheck::Challenge);
}

#[test]
fn rate_limit__passes_once_per_span() {
    let span = Duration::from_millis(500);
    let at = |ms| Instant::default().saturating_add(Duration::from_millis(ms));
    let mut limit = RateLimit::default();
    let passed = [0, 1, 499, 500, 999, 1_000].map(|ms| limit.allows(at(ms), span));
    assert_eq!(passed, [true, false, false, true, false, true]);
}

#[test]
fn budget__differs_from_second_to_second() {
    let at = |millis: u64| Instant::from_nanos(millis * 1_000_000);
    let spend = |budget: &mut ChallengeBudget, now, random: u32| {
        let mut spent = 0;
        while budget.allows(now, 1000, |below| random.min(below - 1)) {
            spent += 1;
        }
        spent
    };
    let mut budget = ChallengeBudget::from_bits(0);
    assert_eq!(spend(&mut budget, at(0), 0), 500);
    assert_eq!(spend(&mut budget, at(999), 7), 0, "the same second");
    assert_eq!(spend(&mut budget, at(1000), u32::MAX), 1499);
    assert_eq!(ChallengeBudget::from_bits(budget.bits()), budget);
    let unlimited = ChallengeBudget::UNLIMITED;
    assert!(budget.allows(at(1000), unlimited, |_| unreachable!()));
    assert!(!budget.allows(at(2000), 0, |_| 0));
}
