// SPDX-License-Identifier: GPL-2.0

//! Whole transfers between two engines over bad links: every byte arrives, in order, and both ends
//! finish.

mod common;

use common::*;
use oxtcp_engine::engine::*;

fn transfer(seed: u64, configs: [Config; 2], apps: [App; 2], link: LinkConfig) -> World {
    let mut world = World::new(seed, configs, apps, link);
    world.listen(1);
    world.connect(0);
    world.run(3_600_000_000);
    for side in 0..2 {
        let peer = 1 - side;
        let s = &world.sides[side];
        if s.received != world.sides[peer].app.to_write {
            for side in &world.sides {
                let info = side.connection.as_ref().map(|c| c.info(at(world.now)));
                eprintln!("at {}: {:?} {:#?}", world.now, side.closed, info);
            }
        }
        assert_eq!(
            s.received, world.sides[peer].app.to_write,
            "seed {seed}: side {side} misses data"
        );
        assert!(s.peer_closed, "seed {seed}: side {side} saw no FIN");
        assert_eq!(s.closed, Some(Reason::Finished), "seed {seed}: side {side}");
    }
    world
}

#[test]
fn clean_transfer() {
    let mut apps = [App::BULK; 2];
    apps[0].to_write = 1_000_000;
    apps[1].to_write = 1_000_000;
    let world = transfer(1, [Config::default(); 2], apps, LinkConfig::CLEAN);
    assert_eq!(world.sides[0].retransmissions, 0);
    assert_eq!(world.sides[1].retransmissions, 0);
}

/// Returns a random but repeatable world for a seed.
fn arbitrary(seed: u64) -> ([Config; 2], [App; 2], LinkConfig) {
    let mut rng = Rng::new(seed ^ 0x5EED);
    let mut config = || Config {
        mss: [536, 1220, 1460, 1460, 8960][rng.below(5) as usize],
        window_scaling: rng.chance(750),
        timestamps: rng.chance(700),
        sack: rng.chance(600),
        nodelay: rng.chance(300),
        congestion: [Algorithm::Reno, Algorithm::Cubic][rng.below(2) as usize],
        receive_window: rng.range(2_000, 100_000) as u32,
        ..Config::default()
    };
    let configs = [config(), config()];
    let mut app = |config: &Config| App {
        to_write: [0, 1, 3_000, 60_000, 300_000][rng.below(5) as usize] + rng.below(500),
        write_max: [10, 1_000, 65_536][rng.below(3) as usize].max(1),
        write_gap_us: [0, 0, 50, 3_000][rng.below(4) as usize],
        send_buffer: rng.range(4_000, 300_000),
        read_max: [1 << 20, 5_000, 1 << 20][rng.below(3) as usize],
        read_gap_us: [0, 0, 200, 20_000][rng.below(4) as usize],
        receive_buffer: u64::from(config.receive_window) + rng.below(50_000),
        more: rng.chance(200),
        gso: [1_500, 20_000, 65_536][rng.below(3) as usize],
        short: [0, 0, 100, 300][rng.below(4) as usize],
    };
    let mut apps = [app(&configs[0]), app(&configs[1])];
    for app in &mut apps {
        if app.write_max == 10 {
            app.to_write = app.to_write.min(20_000);
        }
        if app.write_gap_us == 3_000 {
            app.to_write = app.to_write.min(60_000);
        }
    }
    let link = LinkConfig {
        loss: [0, 1, 10, 50, 150][rng.below(5) as usize],
        duplicate: [0, 0, 20][rng.below(3) as usize],
        reorder: [0, 0, 20, 200][rng.below(4) as usize],
        delay_us: [50, 1_000, 10_000, 80_000][rng.below(4) as usize],
        jitter_us: [0, 0, 100, 5_000][rng.below(4) as usize],
        us_per_packet: [0, 0, 12, 1_000][rng.below(4) as usize],
        queue: [20, 100, 1_000][rng.below(3) as usize],
        whole: rng.chance(250),
    };
    (configs, apps, link)
}

#[test]
fn arbitrary_links() {
    // More seeds by hand: SEEDS=4000 cargo test --release; one in full: SEED=7 TRACE=1.
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let only = number("SEED");
    let seeds = only.map_or(0..number("SEEDS").unwrap_or(400), |seed| seed..seed + 1);
    for seed in seeds {
        let (configs, apps, link) = arbitrary(seed);
        if only.is_some() {
            eprintln!("{configs:?}\n{apps:?}\n{link:?}");
        }
        let world = transfer(seed, configs, apps, link);
        if std::env::var_os("STATS").is_some() {
            eprintln!(
                "seed {seed}: {} steps, {} us, {} packets",
                world.steps,
                world.now,
                world.sides[0].sent_packets + world.sides[1].sent_packets
            );
        }
    }
}

/// Returns the payload rate of a transfer from side 0, in bytes per second.
fn rate(link: LinkConfig, congestion: Algorithm, sack: bool, bytes: u64) -> u64 {
    let config = Config {
        congestion,
        sack,
        receive_window: 65_535,
        ..Config::default()
    };
    let mut apps = [App::BULK; 2];
    apps[0].to_write = bytes;
    apps[0].send_buffer = 4 << 20;
    apps[1].receive_buffer = 4 << 20;
    let world = transfer(7, [config; 2], apps, link);
    let done = world.sides[1].done_at.expect("it ended") - 1_000_000;
    bytes * 1_000_000 / done
}

#[test]
fn a_bottleneck_is_filled() {
    // 10 Mbit/s, 20 ms of round trip, a queue of one bandwidth-delay product and a half.
    let link = LinkConfig {
        delay_us: 10_000,
        us_per_packet: 1_200,
        queue: 25,
        ..LinkConfig::CLEAN
    };
    let full = 1448 * 1_000_000 / 1_200;
    for congestion in [Algorithm::Reno, Algorithm::Cubic] {
        for (sack, share) in [(true, 84), (false, 60)] {
            let rate = rate(link, congestion, sack, 5_000_000);
            assert!(
                rate * 100 / full >= share,
                "{congestion:?}, sack {sack}: {rate} of {full} bytes per second"
            );
        }
    }
}

#[test]
fn cubic_fills_a_long_path_sooner() {
    // 100 Mbit/s and 100 ms: 833 packets, of which Reno regains one in a round trip.
    let link = LinkConfig {
        delay_us: 50_000,
        us_per_packet: 120,
        queue: 200,
        ..LinkConfig::CLEAN
    };
    let rates = [Algorithm::Reno, Algorithm::Cubic].map(|law| rate(link, law, true, 50_000_000));
    let [reno, cubic] = rates;
    assert!(
        cubic > reno + reno / 10,
        "{reno} and {cubic} bytes per second"
    );
}

#[test]
fn random_loss_costs_no_time_out_with_sack() {
    let link = LinkConfig {
        loss: 5,
        delay_us: 10_000,
        ..LinkConfig::CLEAN
    };
    // Mathis: 1448 bytes * 1.22 / (20 ms * sqrt(0.005)) is 1.25 MB/s; delayed ACKs and chance take
    // some.
    let rate = rate(link, Algorithm::Reno, true, 10_000_000);
    assert!(rate > 500_000, "{rate}");
}

#[test]
fn simultaneous_open_transfers() {
    for seed in 0..20 {
        let mut apps = [App::BULK; 2];
        apps[0].to_write = 50_000;
        apps[1].to_write = 50_000;
        let link = LinkConfig {
            loss: if seed % 2 == 0 { 0 } else { 100 },
            ..LinkConfig::CLEAN
        };
        let mut world = World::new(seed, [Config::default(); 2], apps, link);
        world.connect(0);
        world.connect(1);
        world.run(600_000_000);
        for side in &world.sides {
            assert!(side.established, "seed {seed}");
            assert_eq!(side.received, 50_000, "seed {seed}");
            assert_eq!(side.closed, Some(Reason::Finished), "seed {seed}");
        }
    }
}

#[test]
fn a_vanished_peer_is_noticed() {
    let mut apps = [App::BULK; 2];
    apps[0].to_write = 5_000_000;
    let mut world = World::new(3, [Config::default(); 2], apps, LinkConfig::CLEAN);
    world.listen(1);
    world.connect(0);
    world.run(30_000);
    world.link[0].loss = 1000;
    world.link[1].loss = 1000;
    world.run(2_000_000_000);
    assert_eq!(world.sides[0].closed, Some(Reason::TimedOut));
    assert_eq!(
        world.sides[1].closed, None,
        "it only listens, and has no keepalive"
    );
}
