// SPDX-License-Identifier: GPL-2.0

use crate::engine::cc::tests::path::Link;
use crate::engine::cc::tests::path::Path;
use crate::engine::cc::tests::path::MSS;
use crate::engine::cc::NO_SSTHRESH;
use crate::engine::config::Algorithm;
use crate::engine::info::BbrInfo;
use crate::engine::info::CongestionInfo;

fn info(path: &Path) -> BbrInfo {
    match path.cc.law_info(false) {
        CongestionInfo::Bbr(info) => info,
        other => panic!("{other:?}"),
    }
}

#[test]
fn startup__finds_the_bandwidth() {
    let mut path = Path::new(Algorithm::Bbr, Link::CLEAN);
    assert_eq!(info(&path).pacing_gain, 739, "2885/1000");
    // Ten segments in 40 ms, times the gain, less one percent.
    let begin = 250_000 * 739 / 256 * 99 / 100;
    assert!(
        path.cc.pacing.rate().abs_diff(begin) < 10,
        "{}",
        path.cc.pacing.rate()
    );
    path.run(2_000);
    let BbrInfo {
        bandwidth,
        min_rtt,
        cwnd_gain,
        ..
    } = info(&path);
    let error = bandwidth.abs_diff(Link::CLEAN.rate) * 100 / Link::CLEAN.rate;
    assert!(error <= 3, "{bandwidth}");
    // 40 ms and the 0.8 ms that a segment takes.
    assert_eq!(
        min_rtt.unwrap().as_micros(),
        40_000,
        "what the handshake told"
    );
    assert_eq!(cwnd_gain, 512, "PROBE_BW");
    assert_ne!(path.cc.ssthresh(), NO_SSTHRESH, "STARTUP is over");
}

#[test]
fn probe_bw__fills_the_pipe_and_not_the_queue() {
    let mut path = Path::new(Algorithm::Bbr, Link::CLEAN);
    path.run(2_000);
    let startup = path.lost;
    let rate = path.run(6_000);
    assert!(rate * 100 >= Link::CLEAN.rate * 95, "{rate}");
    // A probe of 5/4 leaves a quarter of the pipe in the queue.
    assert!(path.longest_rtt < 60_000, "{}", path.longest_rtt);
    assert_eq!(path.lost, startup);
}

#[test]
fn probe_bw__cycles_through_eight_phases() {
    let mut path = Path::new(Algorithm::Bbr, Link::CLEAN);
    path.run(2_000);
    let mut seen = [0u32; 3];
    for _ in 0..200 {
        path.run(4);
        match info(&path).pacing_gain {
            320 => seen[0] += 1,
            192 => seen[1] += 1,
            256 => seen[2] += 1,
            other => panic!("{other}"),
        }
    }
    // Each phase lasts about a round trip, the draining one no longer than it must.
    assert!(seen[0] >= 15 && seen[1] >= 5 && seen[2] >= 100, "{seen:?}");
}

#[test]
fn probe_rtt__empties_the_queue_every_ten_seconds() {
    let mut path = Path::new(Algorithm::Bbr, Link::CLEAN);
    path.run(9_000);
    path.run(500);
    assert!(path.least_in_flight > 20 * u64::from(MSS));
    path.run(3_000);
    assert!(
        path.least_in_flight <= 4 * u64::from(MSS),
        "{}",
        path.least_in_flight
    );
    // And is back afterwards.
    path.run(500);
    let rate = path.run(1_000);
    assert!(rate * 100 >= Link::CLEAN.rate * 95, "{rate}");
}

#[test]
fn loss__by_chance_slows_nobody_down() {
    let link = Link {
        loss: 20,
        ..Link::CLEAN
    };
    let mut rates = [Algorithm::Bbr, Algorithm::Reno].map(|law| {
        let mut path = Path::new(law, link);
        path.run(3_000);
        path.run(6_000)
    });
    let [bbr, reno] = &mut rates;
    assert!(*bbr * 100 >= link.rate * 85, "{bbr}");
    assert!(
        *reno * 2 < *bbr,
        "the link would not slow anybody down: {reno}"
    );
}

#[test]
fn bandwidth__a_slow_user_does_not_spoil_it() {
    let mut path = Path::new(Algorithm::Bbr, Link::CLEAN);
    path.run(3_000);
    let before = info(&path).bandwidth;
    path.user_rate = Some(1);
    path.run(200);
    // A tenth of the bandwidth from now on: the count of what the user gives starts here.
    path.user_rate = Some(Link::CLEAN.rate);
    let rate = path.run(2_000);
    assert!(rate <= Link::CLEAN.rate);
    let after = info(&path).bandwidth;
    assert!(after * 100 >= before * 97, "{before} became {after}");
}

#[test]
fn bandwidth__follows_a_path_that_becomes_slower() {
    let mut path = Path::new(Algorithm::Bbr, Link::CLEAN);
    path.run(3_000);
    path.link.rate /= 2;
    path.run(4_000);
    let bandwidth = info(&path).bandwidth;
    let error = bandwidth.abs_diff(path.link.rate) * 100 / path.link.rate;
    assert!(error <= 5, "{bandwidth}");
}

#[test]
fn policer__is_found_and_obeyed() {
    // A bucket of 100 segments: bursts pass, and then a good fifth is lost.
    let link = Link {
        policer: Some(100_000),
        rtt_us: 80_000,
        ..Link::CLEAN
    };
    let mut path = Path::new(Algorithm::Bbr, link);
    let is_found = |path: &Path| {
        let info = info(path);
        info.pacing_gain == 256 && info.bandwidth.abs_diff(link.rate) * 8 < link.rate
    };
    while !is_found(&path) {
        assert!(path.now < 10_000_000, "{:?}", info(&path));
        path.run(20);
    }
    // It is believed in for 48 round trips, which are nearly four seconds.
    path.run(200);
    let before = (path.delivered, path.lost);
    for _ in 0..30 {
        path.run(100);
        assert!(is_found(&path), "{:?}", info(&path));
    }
    let (delivered, lost) = (path.delivered - before.0, path.lost - before.1);
    assert!(lost * 20 < delivered, "{lost} lost, {delivered} delivered");
    // Then it is put to the test.
    let mut doubted = false;
    for _ in 0..20 {
        path.run(100);
        doubted |= info(&path).pacing_gain != 256;
    }
    assert!(doubted);
}

#[test]
fn recovery__replaces_what_arrives_and_comes_back() {
    let mut path = Path::new(Algorithm::Bbr, Link::CLEAN);
    path.run(3_000);
    let before = path.cc.cwnd();
    path.link.loss = 1_000;
    path.run(10);
    path.link.loss = 0;
    let mut least = before;
    while !path.is_recovering() {
        path.run(1);
    }
    while path.is_recovering() {
        path.run(1);
        least = least.min(path.cc.cwnd());
    }
    assert!(least * 100 < before * 70, "{before}, at least {least}");
    assert!(
        path.cc.cwnd() * 100 >= before * 90,
        "{before} became {}",
        path.cc.cwnd()
    );
}
