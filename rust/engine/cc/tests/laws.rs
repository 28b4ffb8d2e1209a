// SPDX-License-Identifier: GPL-2.0

//! Algorithms on a path.

use crate::engine::cc::tests::acked;
use crate::engine::cc::tests::path::Link;
use crate::engine::cc::tests::path::Path;
use crate::engine::cc::tests::path::MSS;
use crate::engine::cc::tests::round;
use crate::engine::cc::Congestion;
use crate::engine::cc::News;
use crate::engine::cc::Start;
use crate::engine::cc::NO_SSTHRESH;
use crate::engine::config::Algorithm;
use crate::engine::config::Config;
use crate::engine::info::CaState;
use crate::engine::info::CongestionInfo;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// 100 Mbit/s, 50 ms: 625 segments in a round trip, and a queue of a dozen times as many: conservative
/// slow start trebles cwnd before it ends.
const LONG: Link = Link {
    rate: 12_500_000,
    rtt_us: 50_000,
    queue: 8_000,
    ..Link::CLEAN
};

#[test]
fn hystart__leaves_slow_start_before_the_queue_overflows() {
    let [cubic, reno] = [Algorithm::Cubic, Algorithm::Reno].map(|law| {
        let mut path = Path::new(law, LONG);
        while path.cc.ssthresh() == NO_SSTHRESH {
            path.run(10);
        }
        (path.lost, path.cc.cwnd() / MSS)
    });
    // What the path holds without queue is 625 segments.
    assert_eq!(cubic.0, 0);
    assert!((625..LONG.queue as u32).contains(&cubic.1), "{cubic:?}");
    assert!(reno.0 > 0 && reno.1 > LONG.queue as u32, "{reno:?}");
}

#[test]
fn cubic__keeps_a_long_path_full() {
    let link = Link { queue: 400, ..LONG };
    let mut path = Path::new(Algorithm::Cubic, link);
    path.run(3_000);
    let rate = path.run(20_000);
    assert!(rate * 100 >= link.rate * 95, "{rate}");
    assert!(path.lost > 0, "it probes");
}

#[test]
fn dctcp__keeps_the_queue_at_the_mark() {
    // RFC 8257, 4.2 and 5.3: 10 Gbit/s would be marked from 65 segments on; here a seventh of the
    // bandwidth-delay product of 50 segments.
    let link = Link {
        rate: 12_500_000,
        rtt_us: 4_000,
        mark: 10,
        queue: 300,
        ..Link::CLEAN
    };
    let mut path = Path::new(Algorithm::Dctcp, link);
    path.run(500);
    let lost = path.lost;
    let rate = path.run(2_000);
    assert_eq!(path.lost, lost);
    assert!(rate * 100 >= link.rate * 95, "{rate}");
    // 80 us for each segment in the queue.
    assert!(path.longest_rtt < 4_000 + 25 * 80, "{}", path.longest_rtt);
    let CongestionInfo::Dctcp(Some(info)) = path.cc.law_info(false) else {
        panic!("{:?}", path.cc.law_info(false));
    };
    assert!((50..700).contains(&info.alpha), "{}", info.alpha);
    // Reno answers each mark in full, and is the slower for it.
    let mut reno = Path::new(Algorithm::Reno, link);
    reno.run(500);
    let slower = reno.run(2_000);
    assert!(slower < rate, "{slower}");
}

#[test]
fn dctcp__without_ecn_is_reno() {
    let config = Config {
        congestion: Algorithm::Dctcp,
        ..Config::default()
    };
    let start = Start::unknown(Instant::default());
    let mut cc = Congestion::new(&config, &start);
    assert_eq!(cc.name(), "dctcp-reno");
    assert_eq!(cc.law_info(false), CongestionInfo::Dctcp(None));
    cc.set_law(&config, &Start { ecn: true, ..start });
    assert_eq!(cc.name(), "dctcp");
    cc.set_law(&Config::default(), &start);
    assert_eq!(cc.name(), "cubic");
}

#[test]
fn hystart__only_in_the_first_slow_start() {
    // RFC 9406, 4.3: later ones end at ssthresh.
    let config = Config::default();
    let start = Start {
        mss: MSS,
        ..Start::unknown(Instant::default())
    };
    let mut cc = Congestion::new(&config, &start);
    let mut nxt = 0;
    for rtt in [50, 50, 100] {
        nxt += 100;
        for una in 0..10 {
            cc.on_news(&News {
                now: Instant::default(),
                una: nxt - 10 + una,
                nxt: nxt + 10,
                rtt: Some(Duration::from_millis(rtt)),
            });
        }
    }
    let grown = |cc: &mut Congestion| {
        let before = cc.cwnd();
        cc.on_round(&round(0, 0, before.into(), true));
        acked(cc, 4 * MSS);
        cc.cwnd() - before
    };
    assert_eq!(grown(&mut cc), MSS, "a quarter");
    cc.enter_loss(&config, Instant::default(), 0, true);
    assert_eq!(grown(&mut cc), 4 * MSS);
}

#[test]
fn dctcp__loss_counts_in_full() {
    // RFC 8257, 3.5: also while cwnd comes down for a mark.
    let config = Config {
        congestion: Algorithm::Dctcp,
        ..Config::default()
    };
    let start = Start {
        mss: MSS,
        ecn: true,
        ..Start::unknown(Instant::default())
    };
    let mut cc = Congestion::new(&config, &start);
    let half = cc.cwnd() / 2;
    cc.enter_cwr(CaState::Open);
    cc.enter_recovery(true);
    assert_eq!(cc.ssthresh(), half);
}
