// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Config;
use crate::engine::config::RTO_MIN;
use crate::engine::rtt::Estimator;
use crate::engine::time::Duration;
use proptest::prelude::*;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn rto__before_and_after_the_first_sample() {
    let config = Config::default();
    let mut estimator = Estimator::new();
    assert_eq!(estimator.rto(&config), ms(1000), "RFC 6298, 2.1");
    estimator.on_sample(ms(100), 0, 10, RTO_MIN);
    assert_eq!(estimator.srtt(), Some(ms(100)));
    assert_eq!(estimator.rttvar, ms(50));
    assert_eq!(estimator.rto(&config), ms(300));
    let mut estimator = Estimator::new();
    estimator.on_sample(ms(10), 0, 10, RTO_MIN);
    assert_eq!(
        estimator.rto(&config),
        ms(210),
        "the bound is the deviation's"
    );
    estimator.on_sample(Duration::from_secs(9_999), 11, 20, RTO_MIN);
    assert_eq!(estimator.rto(&config), config.rto_max);
}

#[test]
fn rto__settles_on_a_steady_path() {
    let config = Config::default();
    let mut estimator = Estimator::new();
    for sample in 0..200 {
        estimator.on_sample(ms(80), sample * 10, sample * 10 + 5, RTO_MIN);
    }
    let srtt = estimator.srtt().unwrap();
    assert!(srtt > ms(79) && srtt <= ms(80));
    assert_eq!(estimator.rto(&config).as_millis(), srtt.as_millis() + 200);
}

#[test]
fn rttvar__keeps_the_peak_of_a_window() {
    let mut estimator = Estimator::new();
    estimator.on_sample(ms(100), 0, 1_000, RTO_MIN);
    estimator.on_sample(ms(500), 10, 1_000, RTO_MIN);
    let peak = estimator.rttvar;
    for una in 20..60 {
        estimator.on_sample(ms(150), una, 1_000, RTO_MIN);
    }
    assert_eq!(estimator.rttvar, peak);
    estimator.on_sample(ms(150), 1_001, 2_000, RTO_MIN);
    assert!(estimator.rttvar <= peak);
}

#[test]
fn rto__follows_a_new_bound_window_by_window() {
    let config = Config::default();
    let mut estimator = Estimator::new();
    estimator.on_sample(ms(20), 0, 0, RTO_MIN);
    estimator.on_sample(ms(20), 1, 1, RTO_MIN);
    assert_eq!(estimator.rto(&config), ms(220));
    for (una, rto) in [(2, 220), (3, 180), (4, 150)] {
        estimator.on_sample(ms(20), una, una, ms(40));
        assert_eq!(estimator.rto(&config).as_millis(), rto);
    }
    // As Linux: a higher bound raises nothing by itself.
    for una in 5..8 {
        estimator.on_sample(ms(20), una, una, RTO_MIN);
    }
    assert_eq!(estimator.rto(&config).as_millis(), 127);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rto__is_always_within_bounds(samples in prop::collection::vec(any::<u64>(), 1..50)) {
        let config = Config::default();
        let mut estimator = Estimator::new();
        for (una, sample) in samples.iter().enumerate() {
            estimator.on_sample(Duration::from_nanos(*sample), una as u64, una as u64, RTO_MIN);
            let rto = estimator.rto(&config);
            prop_assert!(rto >= config.rto_min && rto <= config.rto_max);
        }
    }
}
