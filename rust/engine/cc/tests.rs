// SPDX-License-Identifier: GPL-2.0

use crate::engine::cc::Acked;
use crate::engine::cc::Congestion;
use crate::engine::cc::NO_SSTHRESH;
use crate::engine::config::Config;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

const MSS: u32 = 1_000;

fn acked(octets: u32) -> Acked {
    Acked {
        now: Instant::default(),
        octets,
        mss: MSS,
        srtt: Duration::ZERO,
    }
}

fn limited() -> Congestion {
    let mut cc = Congestion::new(&Config::default(), MSS, false);
    cc.on_sent(0, u64::from(cc.cwnd()), cc.cwnd(), true);
    cc
}

#[test]
fn new__rfc_6928() {
    assert_eq!(limited().cwnd(), 10 * MSS);
    assert_eq!(limited().ssthresh(), NO_SSTHRESH);
    let cc = Congestion::new(&Config::default(), MSS, true);
    assert_eq!(cc.cwnd(), MSS, "the SYN was lost twice");
}

#[test]
fn on_ack__slow_start_then_one_segment_per_window() {
    let mut cc = limited();
    cc.on_ack(&acked(10 * MSS));
    assert_eq!(cc.cwnd(), 20 * MSS);
    cc.on_fast_retransmit(20 * MSS, MSS);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, 10 * MSS));
    for _ in 0..9 {
        cc.on_ack(&acked(MSS));
        assert_eq!(cc.cwnd(), 10 * MSS);
    }
    cc.on_ack(&acked(MSS));
    assert_eq!(cc.cwnd(), 11 * MSS);
}

#[test]
fn on_ack__crossing_ssthresh_spends_the_rest_in_avoidance() {
    let mut cc = limited();
    cc.on_fast_retransmit(10 * MSS, MSS);
    cc.on_timeout(10 * MSS, MSS, false);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 5 * MSS));
    cc.on_ack(&acked(9 * MSS));
    assert_eq!(cc.cwnd(), 6 * MSS);
}

#[test]
fn on_ack__nothing_grows_that_was_not_the_limit() {
    let mut cc = Congestion::new(&Config::default(), MSS, false);
    cc.on_sent(0, 2_000, 2_000, false);
    cc.on_ack(&acked(2_000));
    assert_eq!(cc.cwnd(), 10 * MSS);
    cc.on_sent(2_000, 10_000, 6_000, false);
    cc.on_ack(&acked(6_000));
    assert_eq!(cc.cwnd(), 16 * MSS, "more than half of cwnd, in slow start");
}

#[test]
fn loss__ssthresh_is_never_below_two_segments() {
    let mut cc = limited();
    cc.on_timeout(MSS, MSS, true);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 2 * MSS));
}

#[test]
fn on_idle__halves_per_rto_down_to_the_initial_window() {
    let mut cc = limited();
    cc.on_ack(&acked(70 * MSS));
    assert_eq!(cc.cwnd(), 80 * MSS);
    let rto = Duration::from_millis(200);
    let mut twice = cc;
    twice.on_idle(Duration::from_millis(500), rto);
    assert_eq!(twice.cwnd(), 20 * MSS);
    cc.on_idle(Duration::from_secs(100), rto);
    assert_eq!(cc.cwnd(), 10 * MSS);
}
