// SPDX-License-Identifier: GPL-2.0

//! What a seed means: the two ends, their programs, the link, and what must come of it.

use crate::end::End;
use crate::end::KeepAlive;
use crate::end::Outcome;
use crate::engine_end::EngineEnd;
use crate::engine_end::Owner;
use crate::link::Link;
use crate::link::LinkConfig;
use crate::link::MS;
use crate::link::SECOND;
use crate::link::US;
use crate::program::Leave;
use crate::program::Plan;
use crate::program::Program;
use crate::rng::Rng;
use crate::smoltcp_end::Setup;
use crate::smoltcp_end::SmoltcpEnd;
use crate::trace::Trace;
use crate::wire::Time;
use crate::world::Change;
use crate::world::Side;
use crate::world::World;
use crate::world::DOOMSDAY;
use oxtcp_engine::engine::Algorithm;
use oxtcp_engine::engine::Config;
use std::cell::RefCell;
use std::rc::Rc;

/// Which TCPs meet, and who opens. Side 0 opens always.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pairing {
    Engines,
    /// Both open at the same time.
    Simultaneous,
    /// The engine opens, smoltcp listens.
    ToSmoltcp,
    /// smoltcp opens, the engine listens.
    FromSmoltcp,
}

impl Pairing {
    /// Returns which sides are the engine's.
    pub fn engines(self) -> [bool; 2] {
        match self {
            Pairing::Engines | Pairing::Simultaneous => [true, true],
            Pairing::ToSmoltcp => [true, false],
            Pairing::FromSmoltcp => [false, true],
        }
    }
}

/// What decides cwnd.
pub const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Reno,
    Algorithm::Cubic,
    Algorithm::Dctcp,
    Algorithm::Bbr,
];

/// Everything that a seed decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub pairing: Pairing,
    /// How much later the second end of a simultaneous open opens.
    pub second_opens: Time,
    pub configs: [Config; 2],
    pub owners: [Owner; 2],
    pub setup: Setup,
    pub plans: [Plan; 2],
    pub links: [LinkConfig; 2],
    pub changes: Vec<(Time, Change)>,
}

/// What a world came to.
#[derive(Clone, Debug)]
pub struct Report {
    pub steps: u64,
    pub lasted: Time,
    pub packets: u64,
    pub octets: u64,
    /// Octets sent again, by side.
    pub again: [u64; 2],
    pub lost: u64,
    pub outcomes: [Option<Outcome>; 2],
}

impl Scenario {
    /// Returns the scenario of a seed.
    pub fn new(seed: u64) -> Scenario {
        let mut rng = Rng::new(seed);
        let rng = &mut rng;
        let pairing = match rng.below(100) {
            0..=43 => Pairing::Engines,
            44..=49 => Pairing::Simultaneous,
            50..=74 => Pairing::ToSmoltcp,
            _ => Pairing::FromSmoltcp,
        };
        let configs = [config(rng), config(rng)];
        let mut owners = [owner(rng, &configs[0]), owner(rng, &configs[1])];
        let mut plans = [plan(rng), plan(rng)];
        if plans[0].leave == Leave::AfterPeer && plans[1].leave == Leave::AfterPeer {
            plans[1].leave = Leave::ShutdownAndRead;
        }
        for id in 0..2 {
            if owners[id].send_buffer < 4_000 {
                plans[id].to_write = plans[id].to_write.min(4 * owners[id].send_buffer);
                plans[id].more = 0;
            }
        }
        let links = links(rng);
        if pairing.engines() != [true; 2] {
            // Nobody merges segments for smoltcp.
            owners.iter_mut().for_each(|owner| owner.whole = false);
        }
        let mut setup = setup(rng);
        for config in &configs {
            // smoltcp sends what the peer takes, whatever its MTU, and does not count timestamps.
            setup.mtu = setup.mtu.max(u32::from(config.mss) + 52);
        }
        let mut scenario = Scenario {
            seed,
            pairing,
            // Later the peer's SYN would find nobody.
            second_opens: rng.below(links[0].delay),
            configs,
            owners,
            setup,
            plans,
            links,
            changes: Vec::new(),
        };
        scenario.add_changes(rng);
        scenario
    }

    /// Adds what happens from outside: to one world in three.
    fn add_changes(&mut self, rng: &mut Rng) {
        let when = |rng: &mut Rng| match rng.below(3) {
            0 => rng.below(100 * MS),
            1 => rng.below(3 * SECOND),
            _ => rng.below(60 * SECOND),
        };
        match rng.below(21) {
            0 => self
                .changes
                .push((when(rng), Change::Vanish(rng.below(2) as usize))),
            1 => {
                let by = rng.pick(&[10 * MS, SECOND, 60 * SECOND, 86_400 * SECOND]);
                self.changes
                    .push((when(rng), Change::Jump(rng.below(2) as usize, by)));
            }
            2 => {
                // Away for a while, and back.
                let (from, at) = (rng.below(2) as usize, when(rng));
                let dead = LinkConfig {
                    dead: true,
                    ..self.links[from]
                };
                let away = rng.pick(&[MS, 100 * MS, 3 * SECOND, 20 * SECOND]);
                self.changes.push((at, Change::Link(from, dead)));
                self.changes
                    .push((at + away, Change::Link(from, self.links[from])));
            }
            3 | 4 => {
                let (from, at) = (rng.below(2) as usize, when(rng));
                let narrow = LinkConfig {
                    mtu: rng.pick(&[576, 1280, 1400]),
                    icmp: rng.chance(700),
                    ..self.links[from]
                };
                // smoltcp knows nothing of path MTU discovery.
                if self.pairing.engines()[from] {
                    self.changes.push((at, Change::Link(from, narrow)));
                    if !narrow.icmp {
                        let back = at + rng.below(20 * SECOND);
                        self.changes
                            .push((back, Change::Link(from, self.links[from])));
                    }
                }
            }
            5 => {
                let (from, at) = (rng.below(2) as usize, when(rng));
                let other = LinkConfig {
                    delay: rng.pick(&[100 * US, 30 * MS, 400 * MS]),
                    ..self.links[from]
                };
                self.changes.push((at, Change::Link(from, other)));
            }
            _ => {}
        }
    }

    /// Returns whether all that is written must arrive, and both ends finish in order.
    pub fn must_succeed(&self) -> bool {
        let harmless = |&(_, change): &(Time, Change)| match change {
            Change::Vanish(_) => false,
            Change::Jump(_, by) => by <= 60 * SECOND,
            // A handshake has few tries.
            Change::Link(_, link) => !link.dead || self.loss() < 150,
        };
        // A closed socket is not kept for long: neither against loss nor against a closed window.
        let patient = |plan: &Plan| {
            plan.lingers || (self.loss() == 0 && self.plans.iter().all(|plan| plan.stall.is_none()))
        };
        // RFC 6298, 5.7: without timestamps a back-off lasts until something gets through at the first try.
        // Where little does, the peer may be gone, or `tcp_retries2` be over, before.
        let timestamps = self.configs.iter().all(|config| config.timestamps);
        self.plans.iter().all(Plan::is_graceful)
            && (timestamps || self.loss() < 150)
            && self.plans.iter().all(patient)
            && self.plans.iter().all(|plan| plan.keepalive.is_none())
            && self.changes.iter().all(harmless)
    }

    /// Returns the greater chance of a packet to be lost, per mille.
    fn loss(&self) -> u64 {
        let loss = |link: &LinkConfig| {
            let burst = if link.burst_begin > 0 {
                link.burst_loss / 2
            } else {
                0
            };
            let queue = if link.rate > 0 { 1 } else { 0 };
            link.loss + link.corrupt + burst + queue
        };
        self.links.iter().map(loss).max().unwrap_or(0)
    }

    /// Returns whether smoltcp may wait for ever, until its own limit: the peer's FIN stops its
    /// retransmission timer, whatever is still in flight.
    fn may_hang(&self) -> bool {
        self.pairing.engines() != [true; 2] && !self.is_clean()
    }

    /// Returns whether all that this side writes must arrive. smoltcp does not probe closed windows.
    fn sends_all(&self, id: usize) -> bool {
        let quiet = self.loss() == 0 && self.changes.is_empty();
        self.pairing.engines()[id] || (quiet && self.plans[1 - id].leave == Leave::AfterPeer)
    }

    /// Returns whether nothing is lost, late or doubled, so that nothing needs to be sent again.
    pub fn is_clean(&self) -> bool {
        let clean = |link: &LinkConfig| {
            let chances = [
                link.loss,
                link.burst_begin,
                link.duplicate,
                link.corrupt,
                link.reorder,
            ];
            chances == [0; 5] && link.rate == 0 && link.jitter == 0
        };
        self.links.iter().all(clean)
            && self.changes.is_empty()
            && self
                .owners
                .iter()
                .all(|owner| [owner.no_room, owner.blocked, owner.backlog] == [0; 3])
    }

    fn end(&self, side: usize) -> Box<dyn End> {
        let rng = Rng::new(self.seed ^ (0xE4D + side as u64));
        if self.pairing.engines()[side] {
            let end = EngineEnd::new(side, self.configs[side], self.owners[side], rng);
            Box::new(end)
        } else {
            Box::new(SmoltcpEnd::new(side, self.setup, rng))
        }
    }

    /// Makes the world of this scenario.
    pub fn world(&self, trace: Rc<RefCell<Trace>>) -> World {
        let side = |id: usize| {
            let rng = Rng::new(self.seed ^ (0x9106 + id as u64));
            let link = Link::new(self.links[id], self.seed ^ (0x714 + id as u64));
            Side::new(self.end(id), Program::new(self.plans[id], rng), link)
        };
        let mut world = World::new([side(0), side(1)], self.pairing.engines(), trace);
        world.watch.short_of_memory = [0, 1].map(|side| self.owners[side].no_room > 0);
        for &(at, change) in &self.changes {
            world.plan(at, change);
        }
        world
    }

    /// Lives through the world of this scenario and judges it; panics where something is wrong.
    pub fn run(&self, trace: Rc<RefCell<Trace>>) -> Report {
        let mut world = self.world(trace);
        self.live(&mut world);
        Report {
            steps: world.steps,
            lasted: world.now - SECOND,
            packets: world.watch.seen.iter().map(|seen| seen.segments).sum(),
            octets: world.sides.iter().map(|side| side.program.read).sum(),
            again: [0, 1].map(|side| world.watch.seen[side].again),
            lost: world.sides.iter().map(|side| side.link.stats.lost).sum(),
            outcomes: [0, 1].map(|side| world.sides[side].end.status().over),
        }
    }

    /// Lives through a world that was made for this scenario, and judges it.
    pub fn live(&self, world: &mut World) {
        if self.pairing == Pairing::Simultaneous {
            world.open(0, true);
            world.run(world.now + self.second_opens);
            world.open(1, true);
        } else {
            world.open(1, false);
            world.open(0, true);
        }
        world.run(DOOMSDAY);
        self.judge(world);
    }

    fn judge(&self, world: &World) {
        assert!(
            world.now < DOOMSDAY,
            "it does not end: {} | {}",
            world.sides[0].end.describe(world.now),
            world.sides[1].end.describe(world.now)
        );
        for id in 0..2 {
            let (side, peer) = (&world.sides[id], &world.sides[1 - id]);
            if side.vanished {
                continue;
            }
            let describe = || side.end.describe(world.now);
            assert!(
                side.end.is_idle(),
                "side {id} waits for ever: {}",
                describe()
            );
            assert!(
                side.program.read <= peer.program.written,
                "read more than was written"
            );
            // smoltcp forgets what is unread when its TIME-WAIT ends.
            if side.program.got_eof && self.pairing.engines()[id] {
                assert!(
                    peer.program.finished,
                    "side {id} saw an end that side {} has not made",
                    1 - id
                );
                assert_eq!(
                    side.program.read, peer.program.written,
                    "side {id} saw the end, but not all octets before it"
                );
            }
            let acked = side.end.status().acked;
            assert!(
                acked <= world.watch.delivered(id),
                "side {id} believes {acked} octets acknowledged, {} have arrived",
                world.watch.delivered(id)
            );
            if self.must_succeed() && !self.may_hang() {
                assert!(
                    !side.program.impatient,
                    "side {id} lost its patience: {}",
                    describe()
                );
                assert!(side.program.got_eof, "side {id} saw no end: {}", describe());
                assert_eq!(side.end.status().over, Some(Outcome::Finished), "side {id}");
            }
            if self.must_succeed() && self.sends_all(id) {
                assert!(
                    world.watch.delivered(id) >= side.program.plan.to_write,
                    "of side {id} only {} octets of {} have arrived: {}",
                    world.watch.delivered(id),
                    side.program.plan.to_write,
                    describe()
                );
            }
            if self.is_clean() && self.pairing.engines()[id] {
                assert_eq!(
                    world.watch.seen[id].again, 0,
                    "side {id} sent octets again over a clean link"
                );
            }
            self.judge_repetition(world, id);
        }
    }

    /// What leaves again must have a reason.
    fn judge_repetition(&self, world: &World, id: usize) {
        if !self.pairing.engines()[id] {
            return;
        }
        let (side, peer) = (&world.sides[id], &world.sides[1 - id]);
        let counted = side.end.retransmitted();
        let seen = world.watch.seen[id];
        assert!(
            counted <= seen.data,
            "counts {counted} octets sent again of {}",
            seen.data
        );
        let _ = peer;
    }
}

fn config(rng: &mut Rng) -> Config {
    Config {
        mss: rng.pick(&[88, 536, 1220, 1460, 1460, 8960]),
        window_scaling: rng.chance(750),
        timestamps: rng.chance(700),
        sack: rng.chance(700),
        nodelay: rng.chance(300),
        congestion: rng.pick(&ALGORITHMS),
        max_pacing_rate: rng.pick(&[u64::MAX, u64::MAX, u64::MAX, u64::MAX, 20_000, 1_000_000]),
        frto: rng.chance(800),
        loss_probe: rng.chance(800),
        rack_adapts: rng.chance(800),
        rack_counts: rng.chance(200),
        receive_window: match rng.below(8) {
            0 => rng.range(256, 3_000),
            _ => rng.range(2_000, 100_000),
        } as u32,
        slow_start_after_idle: rng.chance(800),
        ecn_request: rng.chance(400),
        ecn_accept: rng.chance(800),
        ..Config::default()
    }
}

fn owner(rng: &mut Rng, config: &Config) -> Owner {
    Owner {
        send_buffer: match rng.below(10) {
            0 => rng.range(1, 3_000),
            _ => rng.range(4_000, 300_000),
        },
        receive_buffer: u64::from(config.receive_window)
            + rng.pick(&[0, 0, 5_000, 50_000, 400_000]),
        gso: rng.pick(&[1_500, 20_000, 60_000]),
        whole: rng.chance(250),
        short: rng.pick(&[0, 0, 100, 300]),
        blocked: rng.pick(&[0, 0, 0, 50]),
        no_room: rng.pick(&[0, 0, 0, 0, 20]),
        timer_slack: rng.pick(&[0, 0, 4 * MS, 10 * MS]),
        backlog: rng.pick(&[0, 0, 2 * MS]),
    }
}

fn setup(rng: &mut Rng) -> Setup {
    Setup {
        mtu: rng.pick(&[576, 1280, 1500]),
        send_buffer: rng.range(500, 60_000) as usize,
        receive_buffer: rng.range(500, 200_000) as usize,
        timestamps: rng.chance(600),
        nagle: rng.chance(700),
        delayed_ack: rng.chance(700),
        cubic: rng.chance(500),
    }
}

fn plan(rng: &mut Rng) -> Plan {
    let mut plan = Plan {
        to_write: rng.pick(&[0, 1, 3_000, 20_000, 60_000, 200_000]) + rng.below(500),
        write_max: rng.pick(&[10, 1_000, 65_536]),
        write_gap: rng.pick(&[0, 0, 50 * US, 3 * MS]),
        read_max: rng.pick(&[1 << 20, 1 << 20, 5_000]),
        read_gap: rng.pick(&[0, 0, 200 * US, 20 * MS]),
        stall: None,
        more: rng.pick(&[0, 0, 200]),
        tune: rng.pick(&[0, 0, 0, 20]),
        keepalive: None,
        user_timeout: None,
        leave: Leave::ShutdownAndRead,
        lingers: rng.chance(500),
        patience: 3_600 * SECOND,
    };
    if plan.write_max == 10 {
        plan.to_write = plan.to_write.min(10_000);
    }
    if plan.write_gap == 3 * MS {
        plan.to_write = plan.to_write.min(50_000);
    }
    if rng.chance(150) {
        let after = rng.below(plan.to_write.max(20_000));
        let time = rng.pick(&[50 * MS, 2 * SECOND, 30 * SECOND, 600 * SECOND]);
        plan.stall = Some((after, time));
    }
    plan.leave = match rng.below(20) {
        0..=11 => Leave::ShutdownAndRead,
        12..=15 => Leave::AfterPeer,
        16 | 17 => Leave::CloseAfterWrite,
        18 => Leave::CloseAfterRead(rng.below(30_000)),
        _ => Leave::AbortAfterWrite(rng.below(plan.to_write + 1)),
    };
    if rng.chance(80) {
        plan.keepalive = Some(KeepAlive {
            idle: rng.pick(&[SECOND, 10 * SECOND, 7200 * SECOND]),
            interval: rng.pick(&[SECOND, 75 * SECOND]),
            probes: rng.range(1, 9) as u8,
        });
    }
    if rng.chance(50) {
        plan.user_timeout = Some(rng.pick(&[100 * MS, 5 * SECOND, 300 * SECOND]));
    }
    plan
}

fn links(rng: &mut Rng) -> [LinkConfig; 2] {
    let jitter = rng.pick(&[0, 0, 100 * US, 5 * MS, 30 * MS]);
    let delay = rng.pick(&[50 * US, MS, 10 * MS, 80 * MS, 300 * MS]);
    let link = LinkConfig {
        loss: rng.pick(&[0, 0, 1, 10, 50, 100, 200]),
        burst_loss: rng.pick(&[500, 1000]),
        burst_begin: rng.pick(&[0, 0, 0, 5, 20]),
        burst_end: rng.pick(&[50, 200, 500]),
        duplicate: rng.pick(&[0, 0, 0, 20, 200]),
        corrupt: rng.pick(&[0, 0, 0, 10, 50]),
        mark: rng.pick(&[0, 0, 10, 300]),
        reorder: rng.pick(&[0, 0, 0, 20, 250]),
        reorder_by: rng.pick(&[MS, 2 * delay, 300 * MS]),
        delay,
        jitter,
        rate: rng.pick(&[0, 0, 0, 8_000, 125_000, 1_250_000, 125_000_000]),
        queue: rng.pick(&[3_000, 30_000, 150_000, 1_500_000]),
        ..LinkConfig::CLEAN
    };
    // One world in three has two unlike directions.
    let back = if rng.chance(333) {
        LinkConfig {
            loss: rng.pick(&[0, 10, 200]),
            delay: rng.pick(&[50 * US, 10 * MS, 200 * MS]),
            rate: rng.pick(&[0, 125_000]),
            ..link
        }
    } else {
        link
    };
    [link, back]
}
