// SPDX-License-Identifier: GPL-2.0

mod laws;
pub(crate) mod path;

use crate::engine::cc::Acked;
use crate::engine::cc::Congestion;
use crate::engine::cc::Round;
use crate::engine::cc::Start;
use crate::engine::cc::NO_SSTHRESH;
use crate::engine::config::Algorithm;
use crate::engine::config::Config;
use crate::engine::info::CaState;
use crate::engine::rate::RateSample;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

const MSS: u32 = 1_000;

fn at(ms: u64) -> Instant {
    Instant::default().saturating_add(Duration::from_millis(ms))
}

fn config(congestion: Algorithm) -> Config {
    Config {
        congestion,
        ..Config::default()
    }
}

fn begin(law: Algorithm, mss: u32, syn_lost: bool) -> Congestion {
    let start = Start {
        mss,
        syn_lost,
        ..Start::unknown(at(0))
    };
    Congestion::new(&config(law), &start)
}

fn new() -> Congestion {
    begin(Algorithm::Reno, MSS, false)
}

/// A round of sending that left `outstanding` octets from `una` on unacknowledged.
fn round(ms: u64, una: u64, outstanding: u64, limited: bool) -> Round {
    Round {
        now: at(ms),
        una,
        nxt: una + outstanding,
        limited,
        open: true,
        blocked: false,
        decays: true,
        rto: Duration::from_millis(200),
    }
}

fn limited() -> Congestion {
    let mut cc = new();
    cc.on_round(&round(0, 0, cc.cwnd().into(), true));
    cc
}

/// Takes an acknowledgment that delivers `octets` and leaves `in_flight`.
fn ack(cc: &mut Congestion, octets: u32, lost: u32, in_flight: u32, advanced: bool) {
    let sample = RateSample {
        newly_delivered: octets.into(),
        newly_lost: lost.into(),
        ..RateSample::default()
    };
    let acked = Acked {
        now: at(0),
        sample: &sample,
        outstanding: in_flight.into(),
        in_flight: in_flight.into(),
        advanced,
        may_raise: advanced,
        state: CaState::Open,
        srtt: Duration::ZERO,
    };
    cc.on_ack(&Config::default(), &acked);
}

fn acked(cc: &mut Congestion, octets: u32) {
    ack(cc, octets, 0, 0, true);
}

#[test]
fn new__rfc_6928() {
    assert_eq!(new().cwnd(), 10 * MSS);
    assert_eq!(new().ssthresh(), NO_SSTHRESH);
    let cc = begin(Algorithm::Cubic, MSS, true);
    assert_eq!(cc.cwnd(), MSS, "the SYN was lost twice");
}

#[test]
fn on_ack__slow_start_then_one_segment_per_window() {
    let mut cc = limited();
    acked(&mut cc, 10 * MSS);
    assert_eq!(cc.cwnd(), 20 * MSS);
    cc.enter_recovery(false);
    cc.end_reduction(at(0));
    assert_eq!((cc.cwnd(), cc.ssthresh()), (10 * MSS, 10 * MSS));
    for _ in 0..9 {
        acked(&mut cc, MSS);
        assert_eq!(cc.cwnd(), 10 * MSS);
    }
    acked(&mut cc, MSS);
    assert_eq!(cc.cwnd(), 11 * MSS);
}

#[test]
fn on_ack__crossing_ssthresh_spends_the_rest_in_avoidance() {
    let mut cc = limited();
    cc.enter_loss(&Config::default(), at(0), 0, true);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 5 * MSS));
    acked(&mut cc, 9 * MSS);
    assert_eq!(cc.cwnd(), 6 * MSS);
}

#[test]
fn on_ack__nothing_grows_that_was_not_the_limit() {
    let mut cc = new();
    cc.on_transmit(at(0), 2_000, 2);
    cc.on_round(&round(0, 0, 2_000, false));
    acked(&mut cc, 2_000);
    assert_eq!(cc.cwnd(), 10 * MSS);
    cc.on_transmit(at(0), 6_000, 6);
    cc.on_round(&round(0, 2_000, 6_000, false));
    acked(&mut cc, 6_000);
    assert_eq!(cc.cwnd(), 16 * MSS, "more than half of cwnd, in slow start");
}

#[test]
fn on_round__an_unused_window_shrinks_after_an_rto() {
    // Linux's tcp_cwnd_application_limited: half-way to what was used, but at least the initial
    // window, once per RTO; ssthresh remembers three quarters.
    let grown = || {
        let mut cc = limited();
        acked(&mut cc, 70 * MSS);
        assert_eq!(cc.cwnd(), 80 * MSS);
        cc
    };
    let used = |cc: &mut Congestion, ms: u64, segments: u64| {
        cc.on_transmit(at(0), MSS, 1);
        cc.on_round(&round(ms, ms * 1_000_000, segments * 1_000, false));
    };
    let mut cc = grown();
    used(&mut cc, 100, 30);
    assert_eq!(cc.cwnd(), 80 * MSS, "too early");
    used(&mut cc, 200, 4);
    assert_eq!(cc.cwnd(), 55 * MSS);
    assert_eq!(cc.ssthresh(), NO_SSTHRESH);
    used(&mut cc, 300, 4);
    assert_eq!(cc.cwnd(), 55 * MSS, "once per RTO");
    used(&mut cc, 400, 4);
    assert_eq!(cc.cwnd(), 32_500, "10 segments count as used");

    // With a send buffer that holds no more, the buffer is the limit, not the user.
    let mut cc = grown();
    cc.on_transmit(at(0), MSS, 1);
    cc.on_round(&Round {
        blocked: true,
        ..round(500, 1_000_000, 1_000, false)
    });
    assert_eq!(cc.cwnd(), 80 * MSS);

    // Nothing was sent: nothing was judged.
    let mut cc = grown();
    cc.on_round(&round(500, 1_000_000, 1_000, false));
    assert_eq!(cc.cwnd(), 80 * MSS);
}

#[test]
fn loss__ssthresh_is_never_below_two_segments() {
    let mut cc = new();
    cc.enter_loss(&Config::default(), at(0), 0, true);
    cc.enter_loss(&Config::default(), at(0), 0, true);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 2 * MSS));
}

#[test]
fn enter_loss__one_segment_more_than_is_in_flight() {
    let mut cc = new();
    cc.enter_loss(&Config::default(), at(0), 2_000, true);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (3 * MSS, 5 * MSS));
    cc.enter_loss(&Config::default(), at(0), 0, false);
    assert_eq!((cc.cwnd(), cc.ssthresh()), (MSS, 5 * MSS), "held");
}

#[test]
fn on_ack__recovery_comes_down_to_ssthresh() {
    // 20 segments in flight, the first lost, 19 duplicates: RFC 6937, 4: half of them are sent.
    let mut cc = limited();
    acked(&mut cc, 10 * MSS);
    cc.enter_recovery(false);
    assert!(cc.is_reducing());
    let mut in_flight = 19 * MSS;
    let mut sent = 0;
    for _ in 0..19 {
        in_flight -= MSS;
        ack(&mut cc, MSS, 0, in_flight, false);
        while cc.cwnd() >= in_flight + MSS {
            cc.on_transmit(at(0), MSS, 1);
            in_flight += MSS;
            sent += 1;
        }
    }
    assert_eq!(cc.ssthresh(), 10 * MSS);
    assert_eq!((sent, in_flight), (10, 10 * MSS));
    cc.end_reduction(at(0));
    assert_eq!(cc.cwnd(), 10 * MSS);
}

#[test]
fn undo__goes_back() {
    let mut cc = limited();
    acked(&mut cc, 10 * MSS);
    cc.enter_recovery(false);
    ack(&mut cc, MSS, 0, 5 * MSS, false);
    assert!(cc.cwnd() < 10 * MSS);
    cc.undo(at(0));
    assert_eq!((cc.cwnd(), cc.ssthresh()), (20 * MSS, NO_SSTHRESH));
    assert!(!cc.is_reducing());
    cc.end_reduction(at(0));
    assert_eq!(cc.cwnd(), 20 * MSS, "nothing is left to end");

    cc.enter_loss(&Config::default(), at(0), 0, true);
    cc.enter_loss(&Config::default(), at(0), 0, false);
    cc.undo(at(0));
    assert_eq!((cc.cwnd(), cc.ssthresh()), (20 * MSS, NO_SSTHRESH));
}

#[test]
fn undo__not_when_congestion_is_proven() {
    let mut cc = limited();
    cc.enter_recovery(true);
    cc.undo(at(0));
    assert_eq!(cc.ssthresh(), 5 * MSS);

    let mut cc = limited();
    cc.enter_cwr(CaState::Open);
    assert!(cc.is_reducing());
    cc.enter_recovery(false);
    assert_eq!(cc.ssthresh(), 5 * MSS, "not reduced again");
    cc.undo(at(0));
    assert_eq!(cc.ssthresh(), 5 * MSS);

    let mut cc = limited();
    cc.enter_recovery(false);
    cc.enter_cwr(CaState::Recovery);
    cc.undo(at(0));
    assert_eq!(cc.ssthresh(), 5 * MSS, "the echo came later");
}

#[test]
fn on_idle__halves_per_rto_down_to_the_initial_window() {
    let mut cc = limited();
    acked(&mut cc, 70 * MSS);
    assert_eq!(cc.cwnd(), 80 * MSS);
    let rto = Duration::from_millis(200);
    let mut twice = cc;
    twice.on_idle(at(500), Duration::from_millis(500), rto);
    assert_eq!(twice.cwnd(), 20 * MSS);
    cc.on_idle(at(100_000), Duration::from_secs(100), rto);
    assert_eq!(cc.cwnd(), 10 * MSS);
}

#[test]
fn on_mss__windows_stay_the_same_in_segments() {
    for law in [Algorithm::Reno, Algorithm::Cubic] {
        let mut cc = begin(law, 500, false);
        cc.on_mss(1_460);
        assert_eq!(cc.cwnd(), 14_600);
        assert_eq!(cc.ssthresh(), NO_SSTHRESH);
        cc.on_mss(146);
        assert_eq!(cc.cwnd(), 1_460);
        cc.enter_loss(&Config::default(), at(0), 0, true);
        cc.on_mss(1_460);
        let segments = if law == Algorithm::Reno { 5 } else { 7 };
        assert_eq!((cc.cwnd(), cc.ssthresh()), (1_460, segments * 1_460));
    }
}
