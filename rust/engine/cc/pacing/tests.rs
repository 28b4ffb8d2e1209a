// SPDX-License-Identifier: GPL-2.0

use crate::engine::cc::pacing::divide_wide;
use crate::engine::cc::pacing::Flow;
use crate::engine::cc::pacing::Pacer;
use crate::engine::cc::pacing::Pacing;
use crate::engine::cc::pacing::UNLIMITED;
use crate::engine::cc::NO_SSTHRESH;
use crate::engine::config::Config;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

fn at(us: u64) -> Instant {
    Instant::default().saturating_add(Duration::from_micros(us))
}

fn followed(cwnd: u32, ssthresh: u32, outstanding: u64, srtt_us: u64, most: u64) -> u64 {
    let config = Config {
        max_pacing_rate: most,
        ..Config::default()
    };
    let mut pacing = Pacing::new();
    let flow = Flow {
        cwnd,
        ssthresh,
        outstanding,
        srtt: Duration::from_micros(srtt_us),
    };
    pacing.follow(&flow, &config);
    pacing.rate()
}

fn paced(rate: u64) -> Pacing {
    let mut pacing = Pacing::new();
    pacing.set_rate(rate, UNLIMITED);
    pacing.set_pacer(Pacer::Engine);
    // The first nine segments are free.
    pacing.on_transmit(at(0), 9_000, 9);
    pacing
}

#[test]
fn follow__a_window_per_round_trip_and_more() {
    // 100,000 octets in 50 ms are 2,000,000 a second.
    assert_eq!(
        followed(100_000, NO_SSTHRESH, 0, 50_000, UNLIMITED),
        4_000_000
    );
    assert_eq!(followed(100_000, 200_002, 0, 50_000, UNLIMITED), 4_000_000);
    // Half of ssthresh is near enough to its end.
    assert_eq!(followed(100_000, 200_000, 0, 50_000, UNLIMITED), 2_400_000);
    // In recovery more can be out than cwnd allows.
    assert_eq!(
        followed(100_000, 1_000, 150_000, 50_000, UNLIMITED),
        3_600_000
    );
    assert_eq!(followed(100_000, 1_000, 0, 50_000, 1_000_000), 1_000_000);
    // No round trip is known: as good as no limit, 14,600 * 2 in an eighth of a microsecond.
    assert_eq!(
        followed(14_600, NO_SSTHRESH, 0, 0, UNLIMITED),
        233_600_000_000
    );
}

#[test]
fn on_transmit__keeps_the_rate() {
    let mut pacing = paced(1_000_000);
    assert_eq!(pacing.holds(at(0)), None, "the burst at the beginning");
    pacing.on_transmit(at(0), 3_000, 3);
    assert_eq!(pacing.holds(at(0)), Some(at(3_000)));
    assert_eq!(pacing.holds(at(2_999)), Some(at(3_000)));
    assert_eq!(pacing.holds(at(3_000)), None);
    // On time: the next is due 3 ms later.
    pacing.on_transmit(at(3_000), 3_000, 3);
    assert_eq!(pacing.next(), at(6_000));
    // A millisecond late: made good. Ten late: half of a departure is.
    pacing.on_transmit(at(7_000), 3_000, 3);
    assert_eq!(pacing.next(), at(9_000));
    pacing.on_transmit(at(19_000), 3_000, 3);
    assert_eq!(pacing.next(), at(20_500));
}

#[test]
fn holds__only_where_the_engine_paces() {
    let mut pacing = Pacing::new();
    pacing.set_rate(1_000, UNLIMITED);
    pacing.on_transmit(at(0), 20_000, 20);
    pacing.on_transmit(at(0), 20_000, 20);
    assert_eq!(pacing.holds(at(0)), None, "nobody paces");
    pacing.set_pacer(Pacer::Engine);
    pacing.on_transmit(at(0), 1_000, 1);
    assert_eq!(pacing.holds(at(0)), Some(at(1_000_000)));
    pacing.set_pacer(Pacer::None);
    assert!(pacing.holds(at(0)).is_some(), "once paced, always paced");
    pacing.set_pacer(Pacer::Queue);
    assert_eq!(pacing.holds(at(0)), None);
    pacing.need();
    assert_eq!(pacing.pacer(), Pacer::Queue);
}

#[test]
fn buffer_len__a_millisecond_of_the_rate() {
    let config = Config::default();
    let far = Some(Duration::from_millis(100));
    let len = |rate, min_rtt| {
        let mut pacing = Pacing::new();
        pacing.set_rate(rate, UNLIMITED);
        pacing.buffer_len(&config, min_rtt, 1_000, config.min_tso_segs, 64_000)
    };
    // Linux shifts by ten: 10,240,000 / 1,024 is ten segments.
    assert_eq!(len(10_240_000, far), 10_000);
    assert_eq!(len(10_240_000 + 1_000_000, far), 10_000, "whole segments");
    assert_eq!(len(1_000, far), 2_000, "two at least");
    assert_eq!(len(UNLIMITED, far), 64_000);
    assert_eq!(len(1_000, None), 2_000);
    // Below 512 us (2^9) all, and a half for each 512 us more (tcp_tso_rtt_log).
    assert_eq!(len(1_000, Some(Duration::from_micros(511))), 64_000);
    assert_eq!(len(1_000, Some(Duration::from_micros(512))), 32_000);
    assert_eq!(len(1_000, Some(Duration::from_micros(1_024))), 16_000);
    assert_eq!(len(1_000, Some(Duration::from_micros(1_535))), 16_000);
    // Never more than the owner takes.
    let mut pacing = Pacing::new();
    pacing.set_rate(1, UNLIMITED);
    assert_eq!(pacing.buffer_len(&config, far, 1_000, 2, 1_000), 1_000);
}

#[test]
fn divide_wide__is_near_the_exact_value() {
    for (value, factor, by) in [
        (7u64, 3u64, 2u64),
        (u64::MAX, 1, 1),
        (u64::MAX / 2, 1_000_000_000, u64::MAX),
        (125_000_000_000, 10_000_000_000, 1_000_000_000),
        (12_345_678_901_234, 987_654_321, 1_000_000_000),
        (u64::from(u32::MAX), 1_000_000_000, 41_999_999),
    ] {
        let exact = u128::from(value) * u128::from(factor) / u128::from(by);
        let ours = u128::from(divide_wide(value, factor, by));
        assert!(
            exact.abs_diff(ours) <= exact >> 30,
            "{value} {factor} {by}: {ours}, {exact}"
        );
    }
    for value in [0, 1, u64::MAX] {
        for factor in [0, 1, u64::MAX] {
            for by in [0, 1, u64::MAX] {
                let _ = divide_wide(value, factor, by);
            }
        }
    }
}
