// SPDX-License-Identifier: GPL-2.0

//! What the fuzz targets play, with chance instead of a fuzzer.

use oxtcp_simulation::hostile;
use oxtcp_simulation::model;
use oxtcp_simulation::records;
use oxtcp_simulation::rng::Rng;

fn play(game: fn(&[u8])) {
    // SEED=7 TRACE=1 shows one of them.
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let only = number("SEED");
    for seed in only.map_or(0..number("SEEDS").unwrap_or(2_000), |seed| seed..seed + 1) {
        let mut rng = Rng::new(seed);
        let len = rng.range(50, 3_000);
        let data: Vec<u8> = (0..len).map(|_| rng.bits() as u8).collect();
        let result = std::panic::catch_unwind(|| game(&data));
        assert!(result.is_ok(), "seed {seed}");
    }
}

#[test]
fn hostile_peers() {
    play(hostile::play);
}

#[test]
fn small_records() {
    play(records::play);
}

#[test]
fn calls_against_a_model() {
    play(model::play);
}
