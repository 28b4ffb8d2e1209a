// SPDX-License-Identifier: GPL-2.0

//! One direction of a link: what becomes of each packet, and when it arrives.

use crate::rng::Rng;
use crate::wire;
use crate::wire::Packet;
use crate::wire::Time;

pub const US: Time = 1_000;
pub const MS: Time = 1_000_000;
pub const SECOND: Time = 1_000_000_000;

/// How one direction of a link treats packets. Chances are per mille.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkConfig {
    pub loss: u64,
    /// Loss in the bad state of the Gilbert-Elliott model.
    pub burst_loss: u64,
    /// Chance of each packet to find the good state turned bad.
    pub burst_begin: u64,
    /// Chance of each packet to find the bad state turned good.
    pub burst_end: u64,
    pub duplicate: u64,
    pub corrupt: u64,
    /// How often a packet that is ECN-capable is marked.
    pub mark: u64,
    pub reorder: u64,
    /// How much later a reordered packet arrives, at most.
    pub reorder_by: Time,
    pub delay: Time,
    pub jitter: Time,
    /// Octets per second; 0: no limit.
    pub rate: u64,
    /// Octets that may wait for the link.
    pub queue: u64,
    /// The longest packet.
    pub mtu: u32,
    /// Whether the sender is told of packets that are too long.
    pub icmp: bool,
    /// Nothing arrives any more.
    pub dead: bool,
}

impl LinkConfig {
    /// 5 ms each way and nothing else.
    pub const CLEAN: LinkConfig = LinkConfig {
        loss: 0,
        burst_loss: 0,
        burst_begin: 0,
        burst_end: 1000,
        duplicate: 0,
        corrupt: 0,
        mark: 0,
        reorder: 0,
        reorder_by: 0,
        delay: 5 * MS,
        jitter: 0,
        rate: 0,
        queue: u64::MAX,
        mtu: 65_535,
        icmp: true,
        dead: false,
    };
}

/// What a link did to packets, in packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LinkStats {
    pub sent: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub late: u64,
}

/// What becomes of one packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Arrives,
    Late,
    Corrupted,
    Lost,
    Burst,
    QueueFull,
    TooLong,
    Dead,
}

/// A copy of a packet that arrives.
#[derive(Debug)]
pub struct Arrival {
    pub at: Time,
    pub packet: Packet,
}

/// One direction of a link.
#[derive(Debug)]
pub struct Link {
    pub config: LinkConfig,
    pub stats: LinkStats,
    rng: Rng,
    free_at: Time,
    bad: bool,
    last: Time,
}

impl Link {
    pub fn new(config: LinkConfig, seed: u64) -> Link {
        Link {
            config,
            stats: LinkStats::default(),
            rng: Rng::new(seed),
            free_at: 0,
            bad: false,
            last: 0,
        }
    }

    /// Sends a packet, and tells the fate of each copy.
    pub fn send(
        &mut self,
        now: Time,
        packet: &Packet,
        out: &mut Vec<Arrival>,
    ) -> Vec<(Fate, Time)> {
        self.stats.sent += 1;
        let mut fates = vec![self.copy(now, packet, out)];
        if self.rng.chance(self.config.duplicate) {
            self.stats.duplicated += 1;
            fates.push(self.copy(now, packet, out));
        }
        fates
    }

    fn copy(&mut self, now: Time, packet: &Packet, out: &mut Vec<Arrival>) -> (Fate, Time) {
        let config = self.config;
        let fate = self.fate(now, packet);
        if !matches!(fate, Fate::Arrives | Fate::Late | Fate::Corrupted) {
            self.stats.lost += 1;
            return (fate, now);
        }
        let mut at = now;
        if let Some(takes) = (packet.bytes.len() as u64 * SECOND).checked_div(config.rate) {
            self.free_at = self.free_at.max(now) + takes;
            at = self.free_at;
        }
        at += config.delay + self.rng.below(config.jitter + 1);
        if fate == Fate::Late {
            self.stats.late += 1;
            at += self.rng.below(config.reorder_by + 1);
        }
        let mut packet = packet.clone();
        if self.rng.chance(config.mark) {
            wire::mark(&mut packet.bytes);
        }
        if fate == Fate::Corrupted {
            self.stats.lost += 1;
            self.corrupt(&mut packet.bytes);
        }
        out.push(Arrival { at, packet });
        (fate, at)
    }

    fn fate(&mut self, now: Time, packet: &Packet) -> Fate {
        let config = self.config;
        // A burst does not outlast a silence: it is congestion or a fade of some milliseconds, while
        // a back-off may be minutes.
        if now - self.last > 200 * MS {
            self.bad = false;
        }
        self.last = now;
        let turn = if self.bad {
            config.burst_end
        } else {
            config.burst_begin
        };
        if self.rng.chance(turn) {
            self.bad = !self.bad;
        }
        if config.dead {
            Fate::Dead
        } else if packet.longest > config.mtu {
            Fate::TooLong
        } else if self.bad && self.rng.chance(config.burst_loss) {
            Fate::Burst
        } else if self.rng.chance(config.loss) {
            Fate::Lost
        } else if config.rate > 0
            && self.free_at.saturating_sub(now) / MS * config.rate / 1000 > config.queue
        {
            Fate::QueueFull
        } else if self.rng.chance(config.corrupt) {
            Fate::Corrupted
        } else if self.rng.chance(config.reorder) {
            Fate::Late
        } else {
            Fate::Arrives
        }
    }

    /// Flips bits of one 16-bit word, which no checksum misses, or cuts the packet.
    fn corrupt(&mut self, bytes: &mut Vec<u8>) {
        if self.rng.chance(100) {
            let len = self.rng.below(bytes.len() as u64);
            bytes.truncate(len as usize);
            return;
        }
        let at = self.rng.below(bytes.len() as u64 / 2) as usize * 2;
        let flips = self.rng.range(1, 0xFFFE) as u16;
        let [high, low] = flips.to_be_bytes();
        bytes[at] ^= high;
        bytes[at + 1] ^= low;
    }
}
