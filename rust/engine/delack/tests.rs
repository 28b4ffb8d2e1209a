// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Config;
use crate::engine::delack::Answer;
use crate::engine::delack::DelayedAck;
use crate::engine::delack::Received;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

const MSS: u32 = 1_000;
const WINDOW: u32 = 64_000;
const RTO: Duration = Duration::from_millis(300);

fn at(ms: u64) -> Instant {
    Instant::from_nanos(1_000_000_000).saturating_add(Duration::from_millis(ms))
}

fn received(now: Instant) -> Received {
    Received {
        now,
        nxt: 1_000,
        two_segments: false,
        disorder: false,
        sack: true,
        srtt: None,
        rcv_rtt: Duration::ZERO,
        due: None,
    }
}

fn decide(delack: &mut DelayedAck, received: &Received) -> Answer {
    delack.decide(&Config::LINUX, received)
}

/// Returns the state after the quick acknowledgments of the start.
fn seasoned() -> DelayedAck {
    let mut delack = DelayedAck::new(Instant::default());
    for _ in 0..20 {
        delack.on_data(at(0), WINDOW, MSS, RTO);
        decide(&mut delack, &received(at(0)));
        delack.on_sent(at(0), false);
    }
    delack
}

#[test]
fn decide__second_full_segment_at_once() {
    let mut delack = seasoned();
    delack.on_data(at(1), WINDOW, MSS, RTO);
    assert_eq!(
        decide(&mut delack, &received(at(1))),
        Answer::At(at(41)),
        "the first waits"
    );
    assert!(!delack.is_urgent());
    delack.on_data(at(2), WINDOW, MSS, RTO);
    let second = Received {
        two_segments: true,
        due: Some(at(41)),
        ..received(at(2))
    };
    assert_eq!(decide(&mut delack, &second), Answer::Now);
    assert!(delack.is_urgent());
}

#[test]
fn decide__never_later_than_before_and_not_shortly_before_it_is_due() {
    let mut delack = seasoned();
    delack.on_data(at(1), WINDOW, MSS, RTO);
    let again = |now: u64| Received {
        due: Some(at(41)),
        ..received(at(now))
    };
    assert_eq!(decide(&mut delack, &again(20)), Answer::At(at(41)));
    assert_eq!(decide(&mut delack, &again(31)), Answer::Now);
    assert!(delack.is_urgent());
}

#[test]
fn decide__not_longer_than_a_round_trip() {
    let mut delack = seasoned();
    for i in 1..=10 {
        delack.on_data(at(i * 39), WINDOW, MSS, RTO);
        delack.on_deadline(&Config::LINUX, RTO);
        delack.on_sent(at(i * 39), false);
    }
    assert!(delack.ato() > Duration::from_millis(70));
    delack.on_data(at(420), WINDOW, MSS, RTO);
    let near = Received {
        srtt: Some(Duration::from_millis(60)),
        ..received(at(420))
    };
    assert_eq!(decide(&mut delack, &near), Answer::At(at(480)));
}

#[test]
fn on_data__quick_again_after_a_long_pause() {
    let mut delack = seasoned();
    delack.on_data(at(5_000), WINDOW, MSS, RTO);
    assert_eq!(decide(&mut delack, &received(at(5_000))), Answer::Now);
    assert!(delack.is_urgent());
}

#[test]
fn on_sent__data_soon_after_data_is_a_dialogue() {
    let mut delack = DelayedAck::new(Instant::default());
    delack.on_data(at(0), WINDOW, MSS, RTO);
    delack.on_sent(at(1), true);
    delack.on_data(at(2), WINDOW, MSS, RTO);
    assert!(matches!(
        decide(&mut delack, &received(at(2))),
        Answer::At(_)
    ));
    delack.on_deadline(&Config::LINUX, RTO);
    assert!(delack.is_urgent());
    delack.on_sent(at(50), false);
    delack.on_data(at(51), WINDOW, MSS, RTO);
    let one_sided = decide(&mut delack, &received(at(51)));
    assert_eq!(one_sided, Answer::Now, "one-sided after all");
}

#[test]
fn decide__never_waits_longer_than_200_ms() {
    let mut delack = seasoned();
    let rto = Duration::from_secs(100);
    for _ in 0..20 {
        delack.on_data(at(0), WINDOW, MSS, rto);
        delack.on_deadline(&Config::LINUX, rto);
        delack.on_sent(at(0), false);
    }
    delack.on_data(at(0), WINDOW, MSS, rto);
    let Answer::At(deadline) = decide(&mut delack, &received(at(0))) else {
        panic!("not delayed");
    };
    assert!(deadline <= at(200));
}

#[test]
fn decide__one_acknowledgment_for_a_burst_behind_a_hole() {
    let mut delack = seasoned();
    let hole = |now: u64| Received {
        disorder: true,
        rcv_rtt: Duration::from_millis(2),
        srtt: Some(Duration::from_millis(1)),
        ..received(at(now))
    };
    for _ in 0..3 {
        delack.owe();
        assert_eq!(decide(&mut delack, &hole(10)), Answer::Now, "duplicates");
        delack.on_sent(at(10), false);
    }
    let third_of_rtt = at(10).saturating_add(Duration::from_micros(330));
    for _ in 0..44 {
        delack.owe();
        let answer = decide(&mut delack, &hole(10));
        assert_eq!(answer, Answer::Compress(third_of_rtt));
        assert!(!delack.is_urgent());
    }
    assert_eq!(decide(&mut delack, &hole(10)), Answer::Now, "enough");
    delack.on_sent(at(10), false);
    delack.owe();
    let without = Received {
        sack: false,
        ..hole(10)
    };
    assert_eq!(decide(&mut delack, &without), Answer::Now);
    delack.on_sent(at(10), false);
    delack.owe();
    let onward = Received {
        nxt: 2_000,
        ..hole(11)
    };
    assert_eq!(decide(&mut delack, &onward), Answer::Now, "another hole");
}

#[test]
fn end_compression__only_if_something_was_put_off() {
    let mut delack = seasoned();
    delack.end_compression();
    assert!(!delack.is_urgent());
}

#[test]
fn on_read__answers_the_end_of_a_write() {
    let config = Config::LINUX;
    let mut delack = seasoned();
    delack.on_data(at(1), WINDOW, MSS, RTO);
    delack.on_read(&config, false, true);
    assert!(!delack.is_urgent(), "more may come");
    delack.on_end_of_write(false);
    delack.on_read(&config, false, false);
    assert!(!delack.is_urgent(), "the reader is not through");
    delack.on_read(&config, false, true);
    assert!(delack.is_urgent());
    delack.on_sent(at(1), false);
    delack.enter_interactive(&config);
    delack.on_data(at(2), WINDOW, MSS, RTO);
    delack.on_end_of_write(true);
    delack.on_read(&config, false, true);
    assert!(!delack.is_urgent(), "the answer will carry it");
    delack.on_end_of_write(true);
    delack.on_read(&config, false, true);
    assert!(delack.is_urgent(), "two small ones");
}

#[test]
fn set_quick__values() {
    let config = Config::LINUX;
    let mut delack = seasoned();
    delack.set_quick(&config, 0, false, true);
    assert!(delack.is_interactive(&config));
    delack.on_data(at(1), WINDOW, MSS, RTO);
    delack.set_quick(&config, 2, false, true);
    assert!(delack.is_urgent() && delack.is_interactive(&config));
    delack.set_quick(&config, 1, false, true);
    assert!(!delack.is_interactive(&config));
}
