// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Config;
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
    estimator.on_sample(ms(100), 0, 10);
    assert_eq!(estimator.srtt(), Some(ms(100)));
    assert_eq!(estimator.rttvar, ms(50));
    assert_eq!(estimator.rto(&config), ms(300));
    let mut estimator = Estimator::new();
    estimator.on_sample(ms(10), 0, 10);
    assert_eq!(
        estimator.rto(&config),
        ms(210),
        "the bound is the deviation's"
    );
    estimator.on_sample(Duration::from_secs(9_999), 11, 20);
    assert_eq!(estimator.rto(&config), config.rto_max);
}

#[test]
fn rto__settles_on_a_steady_path() {
    let config = Config::default();
    let mut estimator = Estimator::new();
    for sample in 0..200 {
        estimator.on_sample(ms(80), sample * 10, sample * 10 + 5);
    }
    let srtt = estimator.srtt().unwrap();
    assert!(srtt > ms(79) && srtt <= ms(80));
    assert_eq!(estimator.rto(&config).as_millis(), srtt.as_millis() + 200);
}

#[test]
fn rttvar__keeps_the_peak_of_a_window() {
    let mut estimator = Estimator::new();
    estimator.on_sample(ms(100), 0, 1_000);
    estimator.on_sample(ms(500), 10, 1_000);
    let peak = estimator.rttvar;
    for una in 20..60 {
        estimator.on_sample(ms(150), una, 1_000);
    }
    assert_eq!(estimator.rttvar, peak);
    estimator.on_sample(ms(150), 1_001, 2_000);
    assert!(estimator.rttvar <= peak);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rto__is_always_within_bounds(samples in prop::collection::vec(any::<u64>(), 1..50)) {
        let config = Config::default();
        let mut estimator = Estimator::new();
        for (una, sample) in samples.iter().enumerate() {
            estimator.on_sample(Duration::from_nanos(*sample), una as u64, una as u64);
            let rto = estimator.rto(&config);
            prop_assert!(rto >= config.rto_min && rto <= config.rto_max);
        }
    }
}
