// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Config;
use crate::engine::recovery::rack::Rack;
use crate::engine::recovery::rack::PERSIST;
use crate::engine::recovery::Rtts;
use crate::engine::scoreboard::RETRANS;
use crate::engine::store::Record;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn at(millis: u64) -> Instant {
    Instant::default().saturating_add(ms(millis))
}

fn sent(millis: u64, start: u64, flags: u8) -> Record {
    Record {
        start,
        len: 1_000,
        segment: 1_000,
        flags,
        sent_at: at(millis),
        ..Record::default()
    }
}

const RTTS: Rtts = Rtts {
    srtt: Some(Duration::from_millis(100)),
    min: Some(Duration::from_millis(80)),
};

#[test]
fn on_delivered__what_left_last_and_not_too_soon() {
    let mut rack = Rack::new();
    rack.on_delivered(&sent(20, 1_000, 0), at(120), RTTS.min);
    rack.on_delivered(&sent(10, 5_000, 0), at(121), RTTS.min);
    assert_eq!((rack.sent_at, rack.end), (at(20), 2_000));
    // Of one flush what lies further on left later.
    rack.on_delivered(&sent(20, 3_000, 0), at(122), RTTS.min);
    assert_eq!((rack.sent_at, rack.end), (at(20), 4_000));
    // Sent again at 100 and answered at 150: by the original.
    rack.on_delivered(&sent(100, 0, RETRANS), at(150), RTTS.min);
    assert_eq!(rack.sent_at, at(20));
    rack.on_delivered(&sent(100, 0, RETRANS), at(180), RTTS.min);
    assert_eq!((rack.sent_at, rack.rtt), (at(100), ms(80)));
}

#[test]
fn adapt__widens_once_per_round_trip_and_narrows_again() {
    let config = Config::default();
    let mut rack = Rack::new();
    assert_eq!(rack.window(RTTS), ms(20));
    rack.on_dsack();
    rack.adapt(&config, Some(0), 50_000);
    assert_eq!(rack.window(RTTS), ms(40));
    // Another one of the same round.
    rack.on_dsack();
    rack.adapt(&config, Some(49_999), 60_000);
    assert_eq!(rack.window(RTTS), ms(40));
    rack.on_dsack();
    rack.adapt(&config, Some(50_000), 90_000);
    assert_eq!(rack.window(RTTS), ms(60));
    for i in 0..10 {
        rack.on_dsack();
        rack.adapt(&config, Some(90_000 + i * 10_000), 100_000 + i * 10_000);
    }
    assert_eq!(rack.window(RTTS), ms(100), "never above SRTT");
    assert_eq!(rack.persist, PERSIST);
    rack.persist = 1;
    rack.adapt(&config, Some(900_000), 900_000);
    assert_eq!(rack.window(RTTS), ms(100));
    rack.persist = 0;
    rack.adapt(&config, Some(900_000), 900_000);
    assert_eq!(rack.window(RTTS), ms(20));
}

#[test]
fn adapt__not_where_it_is_forbidden() {
    let config = Config {
        rack_adapts: false,
        ..Config::default()
    };
    let mut rack = Rack::new();
    rack.on_dsack();
    rack.adapt(&config, Some(0), 50_000);
    assert_eq!(rack.window(RTTS), ms(20));
}

#[test]
fn remaining__round_trip_and_window() {
    let mut rack = Rack::new();
    rack.on_delivered(&sent(20, 1_000, 0), at(120), RTTS.min);
    let before = sent(10, 0, 0);
    assert_eq!(rack.remaining(&before, at(120), ms(20)), ms(10));
    assert_eq!(rack.remaining(&before, at(130), ms(20)), Duration::ZERO);
}
