// SPDX-License-Identifier: GPL-2.0

//! A sender on a path with one bottleneck, to see what an algorithm makes of it: segments of one
//! size, an acknowledgment for each, losses known three segments later.

use crate::engine::cc::Acked;
use crate::engine::cc::Congestion;
use crate::engine::cc::News;
use crate::engine::cc::Round;
use crate::engine::cc::Start;
use crate::engine::config::Algorithm;
use crate::engine::config::Config;
use crate::engine::info::CaState;
use crate::engine::rate::AckRate;
use crate::engine::rate::Delivered;
use crate::engine::rate::Stamp;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use std::collections::BTreeMap;
use std::collections::VecDeque;

pub(crate) const MSS: u32 = 1_000;

/// What the path does.
#[derive(Clone, Copy)]
pub(crate) struct Link {
    /// Octets per second.
    pub(crate) rate: u64,
    pub(crate) rtt_us: u64,
    /// Segments that the bottleneck's queue holds.
    pub(crate) queue: u64,
    /// Segments in the queue from which on they are marked.
    pub(crate) mark: u64,
    /// Of 1,000 segments so many are lost by chance.
    pub(crate) loss: u64,
    /// Octets of burst that a policer lets pass instead of a queue.
    pub(crate) policer: Option<u64>,
}

impl Link {
    /// 10 Mbit/s, 40 ms: 50 segments in a round trip.
    pub(crate) const CLEAN: Link = Link {
        rate: 1_250_000,
        rtt_us: 40_000,
        queue: 100,
        mark: u64::MAX,
        loss: 0,
        policer: None,
    };
}

struct Segment {
    stamp: Stamp,
    sent_at: Instant,
}

/// What is on its way back: when, which segment, whether marked.
struct Ack {
    at: u64,
    number: u64,
    marked: bool,
}

pub(crate) struct Path {
    pub(crate) link: Link,
    pub(crate) cc: Congestion,
    config: Config,
    /// Microseconds.
    pub(crate) now: u64,
    /// What the user gives per second, if that is the limit.
    pub(crate) user_rate: Option<u64>,
    user_octets: u64,
    free_at: u64,
    tokens_at: u64,
    out: BTreeMap<u64, Segment>,
    acks: VecDeque<Ack>,
    next: u64,
    recovery_end: Option<u64>,
    srtt: Option<u64>,
    min_rtt: u64,
    chance: u64,
    pub(crate) delivered: u64,
    pub(crate) lost: u64,
    /// The least in flight and the longest round trip since this was set anew.
    pub(crate) least_in_flight: u64,
    pub(crate) longest_rtt: u64,
}

fn at(us: u64) -> Instant {
    Instant::default().saturating_add(Duration::from_micros(us))
}

impl Path {
    pub(crate) fn new(algorithm: Algorithm, link: Link) -> Path {
        let config = Config {
            congestion: algorithm,
            ..Config::default()
        };
        let start = Start {
            mss: MSS,
            ecn: true,
            srtt: Duration::from_micros(link.rtt_us),
            min_rtt: Some(Duration::from_micros(link.rtt_us)),
            ..Start::unknown(at(1))
        };
        Path {
            link,
            cc: Congestion::new(&config, &start),
            config,
            now: 1,
            user_rate: None,
            user_octets: 0,
            free_at: 0,
            tokens_at: 0,
            out: BTreeMap::new(),
            acks: VecDeque::new(),
            next: 0,
            recovery_end: None,
            srtt: None,
            min_rtt: link.rtt_us,
            chance: 1,
            delivered: 0,
            lost: 0,
            least_in_flight: u64::MAX,
            longest_rtt: 0,
        }
    }

    pub(crate) fn in_flight(&self) -> u64 {
        self.out.len() as u64 * u64::from(MSS)
    }

    pub(crate) fn is_recovering(&self) -> bool {
        self.recovery_end.is_some()
    }

    /// Runs for `ms`; returns the octets delivered per second.
    pub(crate) fn run(&mut self, ms: u64) -> u64 {
        let end = self.now + ms * 1_000;
        let before = self.delivered;
        self.least_in_flight = u64::MAX;
        self.longest_rtt = 0;
        while self.now < end {
            self.send();
            let ack = self.acks.front().map_or(end, |ack| ack.at);
            let paced = self.cc.pacing.holds(at(self.now));
            let paced = paced.map_or(end, |at| at.as_nanos().div_ceil(1_000));
            let user = if self.user_rate.is_some() {
                self.now + 100
            } else {
                end
            };
            self.now = ack.min(paced).min(user).min(end).max(self.now + 1);
            while self.acks.front().is_some_and(|ack| ack.at <= self.now) {
                let ack = self.acks.pop_front().unwrap();
                self.take(&ack);
            }
        }
        (self.delivered - before) * 1_000 / ms
    }

    fn has_data(&mut self) -> bool {
        self.user_rate
            .is_none_or(|rate| rate * self.now / 1_000_000 >= self.user_octets + u64::from(MSS))
    }

    fn send(&mut self) {
        let mut limited = false;
        let mut ran_dry = false;
        loop {
            if self.in_flight() + u64::from(MSS) > u64::from(self.cc.cwnd()) {
                limited = true;
                break;
            }
            if !self.has_data() {
                ran_dry = true;
                break;
            }
            if self.cc.pacing.holds(at(self.now)).is_some() {
                break;
            }
            self.user_octets += u64::from(MSS);
            self.transmit();
        }
        if ran_dry {
            let in_flight = self.in_flight();
            self.cc.rate.on_app_limited(in_flight);
        }
        let una = self.delivered;
        self.cc.on_round(&Round {
            now: at(self.now),
            una,
            nxt: una + self.in_flight(),
            limited,
            open: self.recovery_end.is_none(),
            blocked: false,
            decays: true,
            rto: Duration::from_millis(200),
        });
    }

    fn transmit(&mut self) {
        let now = at(self.now);
        let idle = self.out.is_empty();
        if idle {
            let srtt = Duration::from_micros(self.srtt.unwrap_or(0));
            self.cc.on_tx_start(&self.config, now, srtt);
        }
        let stamp = self.cc.rate.stamp(now, idle);
        self.cc.on_transmit(now, MSS, 1);
        let number = self.next;
        self.next += 1;
        self.out.insert(
            number,
            Segment {
                stamp,
                sent_at: now,
            },
        );
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        if (self.chance >> 33) % 1_000 < self.link.loss {
            return;
        }
        let service = u64::from(MSS) * 1_000_000 / self.link.rate;
        if let Some(burst) = self.link.policer {
            // A bucket that fills up at `rate` to `burst`, as the time until which it owes.
            let depth = burst * 1_000_000 / self.link.rate;
            let owed = self.tokens_at.max(self.now);
            if owed + service > self.now + depth {
                return;
            }
            self.tokens_at = owed + service;
            self.acks.push_back(Ack {
                at: self.now + self.link.rtt_us,
                number,
                marked: false,
            });
            return;
        }
        let begin = self.free_at.max(self.now);
        let queued = (begin - self.now) / service;
        if queued >= self.link.queue {
            return;
        }
        self.free_at = begin + service;
        self.acks.push_back(Ack {
            at: self.free_at + self.link.rtt_us,
            number,
            marked: queued >= self.link.mark,
        });
    }

    fn take(&mut self, ack: &Ack) {
        let Some(segment) = self.out.get(&ack.number) else {
            return;
        };
        let rtt = self.now - segment.sent_at.as_nanos() / 1_000;
        let delivered = Delivered {
            stamp: segment.stamp,
            sent_at: segment.sent_at,
            end: (ack.number + 1) * u64::from(MSS),
            octets: MSS.into(),
            retransmitted: false,
        };
        self.longest_rtt = self.longest_rtt.max(rtt);
        self.min_rtt = self.min_rtt.min(rtt);
        self.srtt = Some(self.srtt.map_or(rtt, |srtt| (srtt * 7 + rtt) / 8));
        let before = self.in_flight();
        self.cc.rate.begin_ack(before, ack.marked);
        self.cc.rate.on_delivered(&delivered, MSS);
        self.out.remove(&ack.number);
        self.delivered += u64::from(MSS);
        let now = at(self.now);
        let news = News {
            now,
            una: self.delivered,
            nxt: self.delivered + self.in_flight(),
            rtt: Some(Duration::from_micros(rtt)),
        };
        self.cc.on_news(&news);
        let state = self.judge(ack);
        let lost = before - u64::from(MSS) - self.in_flight();
        self.lost += lost;
        self.least_in_flight = self.least_in_flight.min(self.in_flight());
        let sample = self.cc.rate.sample(
            now,
            &AckRate {
                newly_lost: lost,
                rtt: Some(Duration::from_micros(rtt)),
                min_rtt: Some(Duration::from_micros(self.min_rtt)),
                ..AckRate::default()
            },
        );
        let acked = Acked {
            now,
            sample: &sample,
            outstanding: self.in_flight(),
            in_flight: self.in_flight(),
            advanced: true,
            may_raise: true,
            state,
            srtt: Duration::from_micros(self.srtt.unwrap_or(0)),
        };
        self.cc.on_ack(&self.config, &acked);
    }

    /// Finds what is lost, and moves between the states; returns the present one.
    fn judge(&mut self, ack: &Ack) -> CaState {
        let edge = ack.number.saturating_sub(3);
        let rest = self.out.split_off(&edge);
        let lost = !core::mem::replace(&mut self.out, rest).is_empty();
        if self.recovery_end.is_some_and(|end| ack.number >= end) {
            self.recovery_end = None;
            self.cc.end_reduction(at(self.now));
        }
        if self.recovery_end.is_none() && (lost || ack.marked) {
            self.recovery_end = Some(self.next);
            if lost {
                self.cc.enter_recovery(ack.marked);
            } else {
                self.cc.enter_cwr(CaState::Open);
            }
        }
        match (self.recovery_end, self.cc.is_reducing()) {
            (None, _) => CaState::Open,
            (Some(_), _) if ack.marked => CaState::Cwr,
            (Some(_), _) => CaState::Recovery,
        }
    }
}
