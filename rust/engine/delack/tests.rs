// SPDX-License-Identifier: GPL-2.0

use crate::engine::delack::DelayedAck;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

const MSS: u32 = 1_000;
const WINDOW: u32 = 64_000;
const RTO: Duration = Duration::from_millis(300);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(1_000_000_000).saturating_add(Duration::from_millis(ms))
}

/// Returns the state after the quick acknowledgments of the start.
fn seasoned() -> DelayedAck {
    let mut delack = DelayedAck::new();
    for _ in 0..20 {
        delack.on_data(at(0), WINDOW, MSS, RTO);
        let _ = delack.decide(at(0), 1, MSS);
        delack.on_sent(at(0), false);
    }
    delack
}

#[test]
fn decide__second_full_segment_at_once() {
    let mut delack = seasoned();
    delack.on_data(at(1), WINDOW, MSS, RTO);
    assert_eq!(delack.decide(at(1), 1_000, MSS), Some(at(41)));
    assert!(!delack.is_urgent());
    delack.on_data(at(2), WINDOW, MSS, RTO);
    assert_eq!(delack.decide(at(2), 1_001, MSS), None);
    assert!(delack.is_urgent());
}

#[test]
fn on_data__quick_again_after_a_long_pause() {
    let mut delack = seasoned();
    delack.on_data(at(5_000), WINDOW, MSS, RTO);
    assert_eq!(delack.decide(at(5_000), 1, MSS), None);
    assert!(delack.is_urgent());
}

#[test]
fn on_sent__data_soon_after_data_is_a_dialogue() {
    let mut delack = DelayedAck::new();
    delack.on_data(at(0), WINDOW, MSS, RTO);
    delack.on_sent(at(1), true);
    delack.on_data(at(2), WINDOW, MSS, RTO);
    assert!(delack.decide(at(2), 1, MSS).is_some(), "no quick answers");
    delack.on_deadline(RTO);
    assert!(delack.is_urgent());
    delack.on_sent(at(50), false);
    delack.on_data(at(51), WINDOW, MSS, RTO);
    assert_eq!(delack.decide(at(51), 1, MSS), None, "one-sided after all");
}

#[test]
fn decide__never_waits_longer_than_200_ms() {
    let mut delack = seasoned();
    let rto = Duration::from_secs(100);
    for _ in 0..20 {
        delack.on_data(at(0), WINDOW, MSS, rto);
        delack.on_deadline(rto);
        delack.on_sent(at(0), false);
    }
    delack.on_data(at(0), WINDOW, MSS, rto);
    let deadline = delack.decide(at(0), 1, MSS).unwrap();
    assert!(deadline <= at(200));
}
