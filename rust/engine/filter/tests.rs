// SPDX-License-Identifier: GPL-2.0

use crate::engine::filter::MaxFilter;
use std::vec::Vec;

#[test]
fn update__a_plain_maximum() {
    let mut filter = MaxFilter::default();
    assert_eq!(filter.get(), 0);
    for (round, value, most) in [(0, 5, 5), (1, 3, 5), (2, 9, 9), (3, 9, 9), (4, 1, 9)] {
        filter.update(10, round, value);
        assert_eq!(filter.get(), most, "round {round}");
    }
}

#[test]
fn update__an_old_maximum_gives_way_to_a_later_one() {
    // 100 in round 0; then 60 in round 5, else 10: when 100 is more than ten rounds old it is 60,
    // and when that is, 10.
    let mut filter = MaxFilter::default();
    for round in 0..=30 {
        let value = match round {
            0 => 100,
            5 => 60,
            _ => 10,
        };
        filter.update(10, round, value);
        let most = match round {
            0..=10 => 100,
            11..=15 => 60,
            _ => 10,
        };
        assert_eq!(filter.get(), most, "round {round}");
    }
}

#[test]
fn update__is_never_below_the_window_by_much() {
    // Against a maximum that remembers all: never above the true one, and never below that of the
    // last quarter of the window.
    let mut filter = MaxFilter::default();
    let mut values: Vec<u64> = Vec::new();
    let mut state = 1u64;
    for round in 0..2_000u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let value = state >> 54;
        values.push(value);
        filter.update(20, round, value);
        let last = |rounds: usize| {
            let from = values.len().saturating_sub(rounds);
            values[from..].iter().copied().max().unwrap()
        };
        assert!(filter.get() <= last(21), "round {round}");
        assert!(filter.get() >= last(5), "round {round}");
    }
}
