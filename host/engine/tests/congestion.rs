// SPDX-License-Identifier: GPL-2.0

//! Congestion control and pacing of a whole connection.

use crate::common::script::plain;
use crate::common::script::shapes;
use crate::common::script::Script;
use crate::common::script::ACK;
use oxtcp_engine::engine::*;

fn with(congestion: Algorithm) -> Config {
    Config {
        congestion,
        ..plain()
    }
}

#[test]
fn names() {
    for (name, algorithm) in [
        ("reno", Algorithm::Reno),
        ("cubic", Algorithm::Cubic),
        ("dctcp", Algorithm::Dctcp),
        ("bbr", Algorithm::Bbr),
    ] {
        assert_eq!(Algorithm::by_name(name.as_bytes()), Some(algorithm));
        let script = Script::established(&with(algorithm));
        let known = if name == "dctcp" { "dctcp-reno" } else { name };
        assert_eq!(script.connection.congestion(), known);
    }
    for name in ["", "ren", "renox", "Cubic", "cubic\0"] {
        assert_eq!(Algorithm::by_name(name.as_bytes()), None, "{name:?}");
    }
    assert_eq!(Algorithm::default(), Algorithm::Cubic);
}

#[test]
fn set_congestion_keeps_the_windows() {
    let mut script = Script::established(&with(Algorithm::Reno));
    script.write(30_000);
    script.pass(100);
    script.answer(ACK, 1, 10_001, 0);
    let before = script.connection.info(script.instant());
    assert_eq!(before.cwnd, 20);
    for algorithm in [
        Algorithm::Cubic,
        Algorithm::Bbr,
        Algorithm::Dctcp,
        Algorithm::Reno,
    ] {
        script
            .connection
            .set_congestion(script.instant(), algorithm);
        let after = script.connection.info(script.instant());
        assert_eq!((after.cwnd, after.ssthresh), (20, None), "{algorithm:?}");
    }
}

#[test]
fn pacing_rate_follows_the_window() {
    // Linux's tcp_update_pacing_rate: 10 segments of 1,000 octets in 100 ms, twice.
    let mut script = Script::established(&plain());
    let info = script.connection.info(script.instant());
    assert_eq!(info.pacing_rate, 200_000);
    assert_eq!(info.max_pacing_rate, u64::MAX);
    script.write(30_000);
    script.pass(100);
    script.answer(ACK, 1, 10_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!((info.cwnd, info.pacing_rate), (20, 400_000));
    script.connection.set_pacing(100_000, Pacer::None);
    let info = script.connection.info(script.instant());
    assert_eq!((info.pacing_rate, info.max_pacing_rate), (100_000, 100_000));
}

#[test]
fn pacing_departures_keep_the_rate() {
    let mut script = Script::established(&plain());
    script.connection.set_pacing(100_000, Pacer::Engine);
    // The first ten segments are free; then a segment every 10 ms.
    assert_eq!(script.write(40_000).len(), 10);
    script.pass(100);
    let sent = script.answer(ACK, 1, 10_001, 0);
    assert_eq!(shapes(&sent), [(10_001, 1_000)], "one, and then it waits");
    for next in 1..8 {
        let at = script.connection.next_fine_deadline().expect("it waits");
        assert_eq!(Some(at), script.connection.next_deadline());
        assert_ne!(script.connection.next_coarse_deadline(), Some(at));
        let (wait, sent) = script.expire();
        // After the pause half of the first wait is made good.
        let due = if next == 1 { 5 } else { 10 };
        let expected = vec![(10_001 + next * 1_000, 1_000)];
        assert_eq!((wait, shapes(&sent)), (due, expected));
    }
    // The queueing discipline paces from now on.
    script.connection.set_pacing(100_000, Pacer::Queue);
    assert!(script.sent().len() > 1);
}

#[test]
fn pacing_nothing_waits_when_nothing_is_to_be_sent() {
    let mut script = Script::established(&plain());
    script.connection.set_pacing(1_000, Pacer::Engine);
    // The tenth segment is paced.
    assert_eq!(script.write(9_000).len(), 9);
    script.pass(100);
    script.answer(ACK, 1, 9_001, 0);
    assert_eq!(script.write(1_000).len(), 1);
    assert_eq!(script.connection.next_fine_deadline(), None);
    assert_eq!(script.write(1_000).len(), 0);
    assert!(script.connection.next_fine_deadline().is_some());
    // An acknowledgment is not held back.
    let sent = script.answer(ACK.with(Flags::PSH), 1, 9_001, 100);
    assert_eq!(shapes(&sent), [(10_001, 0)]);
}

#[test]
fn buffers_are_no_larger_than_a_millisecond_of_the_rate() {
    let mut script = Script::established(&Config {
        min_tso_segs: 2,
        ..plain()
    });
    script.max_len = 64_000;
    // 200,000 octets a second: two segments are the least (tcp_min_tso_segs).
    let sent = script.write(10_000);
    assert!(
        sent.iter().all(|s| s.data_len() == 2_000),
        "{:?}",
        shapes(&sent)
    );
}

#[test]
fn delivery_is_measured() {
    let mut script = Script::established(&plain());
    let info = script.connection.info(script.instant());
    assert_eq!((info.delivery_rate, info.delivered), (0, 1), "the SYN");
    script.write(30_000);
    script.pass(100);
    script.answer(ACK, 1, 10_001, 0);
    let info = script.connection.info(script.instant());
    // 10,000 octets in 100 ms.
    assert_eq!((info.delivery_rate, info.delivered), (100_000, 11));
    assert!(
        info.delivery_rate_app_limited,
        "there was nothing to send before"
    );
    assert_eq!(info.busy_time.as_millis(), 100);
    script.pass(200);
    script.answer(ACK, 1, 30_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!((info.delivery_rate, info.delivered), (100_000, 31));
    assert!(!info.delivery_rate_app_limited);
    assert_eq!(info.busy_time.as_millis(), 300);
    script.pass(1_000);
    let info = script.connection.info(script.instant());
    assert_eq!(info.busy_time.as_millis(), 300, "idle since");
}

#[test]
fn delivery_a_closed_window_is_timed() {
    let mut script = Script::established(&plain());
    script.write(30_000);
    script.window = 0;
    script.pass(100);
    script.answer(ACK, 1, 10_001, 0);
    script.pass(50);
    let info = script.connection.info(script.instant());
    assert_eq!(info.rwnd_limited.as_millis(), 50);
    assert_eq!(info.busy_time.as_millis(), 150);
    assert_eq!(info.sndbuf_limited.as_millis(), 0);
}

#[test]
fn bbr_paces_from_the_start() {
    let mut script = Script::established(&with(Algorithm::Bbr));
    let (rate, pacer) = script.connection.pacing().expect("it is established");
    // 10,000 octets in 100 ms, times 2.89, less one percent.
    assert_eq!((rate, pacer), (285_784, Pacer::Engine));
    let CongestionInfo::Bbr(info) = script.connection.congestion_info() else {
        panic!("{:?}", script.connection.congestion_info());
    };
    assert_eq!((info.pacing_gain, info.cwnd_gain), (739, 739));
    script.write(30_000);
    script.pass(100);
    script.answer(ACK, 1, 10_001, 0);
    let CongestionInfo::Bbr(info) = script.connection.congestion_info() else {
        panic!("{:?}", script.connection.congestion_info());
    };
    assert_eq!(info.bandwidth, 100_000);
    assert_eq!(info.min_rtt, Some(Duration::from_millis(100)));
}

#[test]
fn ten_segments_stay_ten() {
    let mut script = Script::established(&plain());
    let before = script.connection.info(script.instant());
    assert_eq!((before.cwnd, before.snd_mss), (10, 1_000));
    script.connection.set_mss(500);
    let smaller = script.connection.info(script.instant());
    assert_eq!((smaller.cwnd, smaller.snd_mss), (10, 500));
    script.connection.set_mss(1_000);
    let again = script.connection.info(script.instant());
    assert_eq!((again.cwnd, again.snd_mss), (10, 1_000));
}

#[test]
fn pacing_holds_no_tail_probe() {
    // RFC 8985, 7.2: two round trips after the last segment, whatever the rate.
    let mut script = Script::established(&Config {
        sack: true,
        ..plain()
    });
    script.connection.set_pacing(1_000, Pacer::Engine);
    assert_eq!(script.write(9_000).len(), 9);
    script.pass(100);
    script.answer(ACK, 1, 9_001, 0);
    // The segment of 1,000 octets uses the rate up for a second, or half of one after a pause.
    assert_eq!(script.write(1_000).len(), 1);
    let (wait, sent) = script.expire();
    assert!((200..400).contains(&wait), "{wait}");
    assert_eq!(shapes(&sent), [(9_001, 1_000)]);
    assert!(sent[0].retransmission);
}
