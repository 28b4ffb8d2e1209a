// SPDX-License-Identifier: GPL-2.0

use crate::engine::cc::hystart::HyStart;
use crate::engine::cc::hystart::Row;
use crate::engine::cc::News;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// One round: `samples` acknowledgments, the first of which ends the one before.
fn round(hystart: &mut HyStart, samples: u64, rtt: u64) -> bool {
    let begin = hystart.window_end;
    let mut over = false;
    for una in 1..=samples {
        let end = hystart.on_ack(
            &News {
                now: Instant::default(),
                una: begin + una,
                nxt: begin + 1_000,
                rtt: Some(Duration::from_millis(rtt)),
            },
            None,
        );
        over |= end.is_some();
    }
    over
}

fn is_slow(hystart: &HyStart) -> bool {
    hystart.growth(1_000) == 250
}

#[test]
fn on_ack__a_steady_delay_changes_nothing() {
    let mut hystart = HyStart::default();
    for _ in 0..50 {
        assert!(!round(&mut hystart, 20, 50));
        assert_eq!(hystart.growth(1_000), 1_000);
    }
}

#[test]
fn on_ack__a_rise_by_an_eighth_slows_down() {
    // RFC 9406, 4.2: RttThresh = clamp(lastRoundMinRTT / 8, 4 ms, 16 ms).
    for (before, after, slow) in [
        (64, 71, false),
        (64, 72, true),
        (8, 11, false),
        (8, 12, true),
        (800, 815, false),
        (800, 816, true),
    ] {
        let mut hystart = HyStart::default();
        round(&mut hystart, 10, before);
        round(&mut hystart, 10, before);
        round(&mut hystart, 10, after);
        assert_eq!(is_slow(&hystart), slow, "{before} to {after}");
    }
}

#[test]
fn on_ack__eight_samples_are_needed() {
    let mut hystart = HyStart::default();
    round(&mut hystart, 10, 50);
    round(&mut hystart, 10, 50);
    round(&mut hystart, 7, 100);
    assert!(!is_slow(&hystart));
    let mut hystart = HyStart::default();
    round(&mut hystart, 10, 50);
    round(&mut hystart, 10, 50);
    round(&mut hystart, 8, 100);
    assert!(is_slow(&hystart));
}

#[test]
fn on_ack__five_slow_rounds_end_it() {
    let mut hystart = HyStart::default();
    round(&mut hystart, 10, 50);
    round(&mut hystart, 10, 50);
    // The round in which it slows down counts.
    assert!(!round(&mut hystart, 10, 100));
    for _ in 0..4 {
        assert!(!round(&mut hystart, 10, 100));
        assert!(is_slow(&hystart));
    }
    assert!(round(&mut hystart, 1, 100), "CSS_ROUNDS");
}

#[test]
fn on_ack__a_passing_delay_is_forgiven() {
    let mut hystart = HyStart::default();
    round(&mut hystart, 10, 50);
    round(&mut hystart, 10, 50);
    round(&mut hystart, 10, 100);
    assert!(is_slow(&hystart));
    round(&mut hystart, 10, 99);
    assert!(!is_slow(&hystart), "below cssBaselineMinRtt");
    // It starts anew: rises are looked for, and five slow rounds are needed again.
    round(&mut hystart, 10, 150);
    assert!(is_slow(&hystart));
    for _ in 0..4 {
        assert!(!round(&mut hystart, 10, 150));
    }
    assert!(round(&mut hystart, 1, 150));
}

#[test]
fn on_ack__a_round_is_a_row() {
    // The last acknowledgment of a row belongs to it, although all that was sent when the row began
    // is acknowledged then: that the delay rises within each row is no rise between rounds.
    let mut hystart = HyStart::default();
    let (mut una, mut nxt) = (0, 10);
    for _ in 0..6 {
        let end = nxt;
        for rise in 0..end - una {
            una += 1;
            let news = News {
                now: Instant::default(),
                una,
                nxt,
                rtt: Some(Duration::from_millis(50 + rise)),
            };
            assert!(hystart.on_ack(&news, None).is_none());
            nxt += 2;
        }
    }
    assert!(!is_slow(&hystart));
}

/// Gives acknowledgments of one round every `gap` microseconds, with 40 ms round trips; returns when
/// slow start was over, in milliseconds after the first.
fn train(gap: u64, row: Option<Row>) -> Option<u64> {
    let mut hystart = HyStart::default();
    let micros = |at: u64| Instant::from_nanos((1_000_000 + at) * 1_000);
    for count in 0..1_000 {
        let at = count * gap;
        let over = hystart.on_ack(
            &News {
                now: micros(at),
                una: 1 + count,
                nxt: 100_000,
                rtt: Some(Duration::from_millis(40)),
            },
            row,
        );
        // The first acknowledgment ends the round before; all others are of one round.
        if over.is_some() {
            return Some(at / 1_000);
        }
    }
    None
}

#[test]
fn on_ack__a_row_of_half_a_round_trip_ends_it() {
    let row = |paced| {
        let slack = Duration::from_millis(1);
        Some(Row { slack, paced })
    };
    // (40 ms + 1 ms) / 2, or the whole when paced.
    assert_eq!(train(100, row(false)), Some(20));
    assert_eq!(train(100, row(true)), Some(41));
    assert_eq!(train(2_001, row(false)), None, "no row");
    assert_eq!(train(100, None), None, "cwnd is small");
}
