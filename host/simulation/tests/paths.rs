// SPDX-License-Identifier: GPL-2.0

//! What a transfer must yield on paths whose answer is known.

use oxtcp_engine::engine::Algorithm;
use oxtcp_engine::engine::Config;
use oxtcp_simulation::end::Outcome;
use oxtcp_simulation::goodput::measure;
use oxtcp_simulation::goodput::transfer;
use oxtcp_simulation::link::LinkConfig;
use oxtcp_simulation::link::MS;
use oxtcp_simulation::link::SECOND;
use oxtcp_simulation::trace::Trace;
use oxtcp_simulation::world::Change;
use std::cell::RefCell;
use std::rc::Rc;

fn config(congestion: Algorithm, sack: bool) -> Config {
    Config {
        congestion,
        sack,
        receive_window: 65_535,
        ..Config::default()
    }
}

#[test]
fn a_clean_path_sends_nothing_again() {
    let config = config(Algorithm::Cubic, true);
    let result = measure(&transfer(1, 1_000_000, config, LinkConfig::CLEAN));
    assert_eq!(result.again, 0);
}

#[test]
fn a_bottleneck_is_filled() {
    // 10 Mbit/s, 20 ms of round trip, a queue of one bandwidth-delay product and a half.
    let link = LinkConfig {
        delay: 10 * MS,
        rate: 1_250_000,
        queue: 37_500,
        ..LinkConfig::CLEAN
    };
    let full = 1_250_000 * 1448 / 1500;
    for congestion in [Algorithm::Reno, Algorithm::Cubic] {
        for (sack, share) in [(true, 85), (false, 60)] {
            let result = measure(&transfer(7, 5_000_000, config(congestion, sack), link));
            let rate = result.rate;
            assert!(
                rate * 100 / full >= share,
                "{congestion:?}, sack {sack}: {rate} of {full} octets per second"
            );
        }
    }
}

#[test]
fn cubic_fills_a_long_path_sooner() {
    // 100 Mbit/s and 100 ms: 833 packets, of which Reno regains one in a round trip.
    let link = LinkConfig {
        delay: 50 * MS,
        rate: 12_500_000,
        queue: 120_000,
        ..LinkConfig::CLEAN
    };
    let [reno, cubic] = [Algorithm::Reno, Algorithm::Cubic]
        .map(|law| measure(&transfer(7, 200_000_000, config(law, true), link)).rate);
    assert!(
        cubic > reno + reno / 10,
        "{reno} and {cubic} octets per second"
    );
}

#[test]
fn random_loss_costs_no_time_out_with_sack() {
    let link = LinkConfig {
        loss: 5,
        delay: 10 * MS,
        ..LinkConfig::CLEAN
    };
    // Mathis: 1448 octets * 1.22 / (20 ms * sqrt(0.005)) is 1.25 MB/s; delayed ACKs and chance take
    // some.
    let config = config(Algorithm::Reno, true);
    let rate = measure(&transfer(7, 10_000_000, config, link)).rate;
    assert!(rate > 500_000, "{rate}");
}

#[test]
fn a_vanished_peer_is_noticed() {
    let mut scenario = transfer(3, 5_000_000, Config::default(), LinkConfig::CLEAN);
    scenario.plans[0].lingers = true;
    scenario.changes = vec![(30 * MS, Change::Vanish(1))];
    let mut world = scenario.world(Rc::new(RefCell::new(Trace::new(false))));
    scenario.live(&mut world);
    let status = world.sides[0].end.status();
    assert_eq!(status.over, Some(Outcome::TimedOut));
    // `tcp_retries2`: 15 tries of a path whose RTO is least are 924.6 s.
    let waited = world.sides[0].over_at.expect("it ended") / SECOND;
    assert!((900..960).contains(&waited), "{waited}");
}
