// SPDX-License-Identifier: GPL-2.0

//! Tables of what paths yield: goodput and octets sent again, by loss, round trip and congestion
//! control. They are kept in the repository, so that a change of the engine shows in a diff.

use crate::engine_end::Owner;
use crate::link::LinkConfig;
use crate::link::MS;
use crate::link::SECOND;
use crate::program::Plan;
use crate::scenario::Pairing;
use crate::scenario::Scenario;
use crate::scenario::ALGORITHMS;
use crate::trace::Trace;
use crate::wire::Time;
use oxtcp_engine::engine::Algorithm;
use oxtcp_engine::engine::Config;
use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;

/// Where the tables are kept.
pub const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/goodput.txt");

/// Octets of one transfer, and worlds for each figure.
const OCTETS: u64 = 4_000_000;
const SEEDS: u64 = 3;
/// Octets per second of the bottleneck: 50 Mbit/s.
const RATE: u64 = 6_250_000;

/// Makes the scenario of one transfer from side 0, whose owners want nothing but speed.
pub fn transfer(seed: u64, octets: u64, config: Config, link: LinkConfig) -> Scenario {
    let owner = Owner {
        send_buffer: 8 << 20,
        receive_buffer: 8 << 20,
        ..Owner::PLAIN
    };
    let plan = Plan {
        to_write: octets,
        ..Plan::QUIET
    };
    let mut scenario = Scenario::new(seed);
    scenario.pairing = Pairing::Engines;
    scenario.configs = [config; 2];
    scenario.owners = [owner; 2];
    scenario.plans = [plan, Plan::QUIET];
    scenario.links = [
        link,
        // Acknowledgments have the way back for themselves.
        LinkConfig {
            rate: 0,
            reorder: 0,
            ..link
        },
    ];
    scenario.changes.clear();
    scenario
}

/// What a transfer came to.
#[derive(Clone, Copy, Debug)]
pub struct Yield {
    /// Octets per second that the program got.
    pub rate: u64,
    /// Octets sent again, per mille of those written.
    pub again: u64,
}

/// Makes a transfer and measures it.
pub fn measure(scenario: &Scenario) -> Yield {
    let mut world = scenario.world(Rc::new(RefCell::new(Trace::new(false))));
    scenario.live(&mut world);
    let octets = scenario.plans[0].to_write;
    let end: Time = world.sides[1].eof_at.expect("the end of the stream");
    Yield {
        rate: octets * 1000 / ((end - SECOND) / MS).max(1),
        again: world.watch.seen[0].again * 1000 / octets,
    }
}

fn mean(config: Config, link: LinkConfig) -> Yield {
    let all: Vec<Yield> = (0..SEEDS)
        .map(|seed| measure(&transfer(seed, OCTETS, config, link)))
        .collect();
    Yield {
        rate: all.iter().map(|one| one.rate).sum::<u64>() / SEEDS,
        again: all.iter().map(|one| one.again).sum::<u64>() / SEEDS,
    }
}

fn config(congestion: Algorithm) -> Config {
    Config {
        congestion,
        receive_window: 65_535,
        ecn_request: congestion == Algorithm::Dctcp,
        ..Config::default()
    }
}

/// A bottleneck with a queue of one round trip, at least 40 packets.
fn bottleneck(round_trip: Time) -> LinkConfig {
    LinkConfig {
        delay: round_trip / 2,
        rate: RATE,
        queue: (RATE * (round_trip / MS) / 1000).max(60_000),
        ..LinkConfig::CLEAN
    }
}

fn row(out: &mut String, name: &str, link: LinkConfig) {
    let _ = write!(out, "{name:<34}");
    for congestion in ALGORITHMS {
        let Yield { rate, again } = mean(config(congestion), link);
        let mbit = rate * 8 / 10_000;
        let _ = write!(
            out,
            "  {:>3}.{:02} {:>3}.{}",
            mbit / 100,
            mbit % 100,
            again / 10,
            again % 10
        );
    }
    out.push('\n');
}

fn head(out: &mut String, title: &str) {
    let _ = write!(out, "{title:<34}");
    for congestion in ALGORITHMS {
        let _ = write!(out, "  {:>12}", congestion.name());
    }
    out.push('\n');
}

/// Makes the tables.
pub fn tables() -> String {
    let mut out = String::from(
        "Goodput in Mbit/s and octets sent again in percent, of 4 MB from one engine to another over a bottleneck of\n\
         50 Mbit/s whose queue holds one round trip; the mean of three worlds. Made by\n\n    \
         cargo run --profile simulation -p oxtcp-simulation -- goodput --write\n\n\
         and compared by `make test`: a change here belongs to the commit that causes it, with its reason.\n\n",
    );
    head(&mut out, "loss, round trip");
    for loss in [0, 1, 10, 30, 100] {
        for round_trip in [2, 20, 100, 300] {
            let link = LinkConfig {
                loss,
                ..bottleneck(round_trip * MS)
            };
            let name = format!("{}.{} %, {round_trip} ms", loss / 10, loss % 10);
            row(&mut out, &name, link);
        }
    }
    out.push('\n');
    head(&mut out, "other paths, 40 ms");
    let path = bottleneck(40 * MS);
    let others = [
        (
            "a queue of 40 packets",
            LinkConfig {
                queue: 60_000,
                ..path
            },
        ),
        (
            "a queue of 10 packets",
            LinkConfig {
                queue: 15_000,
                ..path
            },
        ),
        (
            "25 % up to 10 ms late",
            LinkConfig {
                reorder: 250,
                reorder_by: 10 * MS,
                ..path
            },
        ),
        (
            "25 % up to 40 ms late",
            LinkConfig {
                reorder: 250,
                reorder_by: 40 * MS,
                ..path
            },
        ),
        (
            "jitter of 5 ms",
            LinkConfig {
                jitter: 5 * MS,
                ..path
            },
        ),
        (
            "bursts of about 10, every 500",
            LinkConfig {
                burst_begin: 2,
                burst_end: 100,
                burst_loss: 1000,
                ..path
            },
        ),
        (
            "5 % arrive twice",
            LinkConfig {
                duplicate: 50,
                ..path
            },
        ),
        ("1 % marked", LinkConfig { mark: 10, ..path }),
    ];
    for (name, link) in others {
        row(&mut out, name, link);
    }
    out
}
