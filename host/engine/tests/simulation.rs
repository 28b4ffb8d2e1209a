// SPDX-License-Identifier: GPL-2.0

//! Whole transfers between two engines over bad links: every byte arrives, in order, and both ends finish.

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
