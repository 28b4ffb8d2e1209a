// SPDX-License-Identifier: GPL-2.0

use crate::engine::cc::cubic::cube_root;
use crate::engine::cc::cubic::Cubic;
use crate::engine::cc::cubic::Epoch;
use crate::engine::cc::Growth;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

const MSS: u32 = 1_000;

fn at(ms: u64) -> Instant {
    Instant::default().saturating_add(Duration::from_millis(ms))
}

fn acked(ms: u64, octets: u32, rtt: u64) -> Growth {
    Growth {
        now: at(ms),
        octets,
        mss: MSS,
        srtt: Duration::from_millis(rtt),
    }
}

/// Equations 1 and 2 of RFC 9438, in segments and seconds.
fn w_cubic(t: f64, w_max: f64, cwnd_epoch: f64) -> f64 {
    let k = ((w_max - cwnd_epoch) / 0.4).cbrt();
    0.4 * (t - k).powi(3) + w_max
}

/// Acknowledges a window per `rtt` for `span`, a segment at a time; returns cwnd then.
fn avoid(cubic: &mut Cubic, cwnd: u32, start: u64, span: u64, rtt: u64) -> u32 {
    let mut cwnd = cwnd;
    let mut now = start * 1_000;
    while now < (start + span) * 1_000 {
        cwnd = cubic.on_ack(cwnd, &acked(now / 1_000, MSS, rtt));
        now += rtt * 1_000 * u64::from(MSS) / u64::from(cwnd);
    }
    cwnd
}

#[test]
fn cube_root__rounds_down() {
    for root in [0u64, 1, 2, 9, 1_000, 65_535, 2_642_244, 2_642_245] {
        assert_eq!(cube_root(root.pow(3)), root);
        assert_eq!(cube_root(root.pow(3) + 1), root.max(1));
        if root > 1 {
            assert_eq!(cube_root(root.pow(3) - 1), root - 1);
        }
    }
    assert_eq!(cube_root(u64::MAX), 2_642_245);
}

#[test]
fn curve__is_the_formula() {
    for (w_max, cwnd) in [
        (10u32, 7u32),
        (100, 70),
        (5_000, 3_500),
        (1_000_000, 700_000),
    ] {
        let epoch = Epoch::new(cwnd * MSS, w_max * MSS, MSS);
        for ms in [0u64, 1, 10, 500, 2_000, 10_000, 60_000] {
            let exact = w_cubic(ms as f64 / 1e3, w_max.into(), cwnd.into());
            let ours = f64::from(epoch.curve(ms, MSS)) / f64::from(MSS);
            // K is rounded to a millisecond.
            let slope = 1.2 * (ms as f64 / 1e3 - epoch.k as f64 / 1e3).powi(2) * 1e-3;
            let error = (ours - exact.min(4_294_967.0)).abs();
            assert!(
                error <= slope + 0.01,
                "{w_max} at {ms}: {ours}, not {exact}"
            );
        }
    }
}

#[test]
fn on_ack__follows_the_curve() {
    // A long path, so that Reno is far behind.
    let (w_max, rtt) = (1_000u32, 200);
    let mut cubic = Cubic::new();
    let mut cwnd = cubic.on_loss(w_max * MSS, MSS, false);
    assert_eq!(cwnd, 700 * MSS, "beta");
    let mut now = 0;
    for seconds in [1u64, 3, 6, 9, 12, 15] {
        cwnd = avoid(&mut cubic, cwnd, now, seconds * 1_000 - now, rtt);
        now = seconds * 1_000;
        let exact = w_cubic(seconds as f64, w_max.into(), 700.0);
        let ours = f64::from(cwnd) / f64::from(MSS);
        let error = (ours - exact).abs() / exact;
        assert!(error < 0.02, "after {seconds} s: {ours}, not {exact}");
    }
    assert!(cwnd > w_max * MSS, "probing for more");
}

#[test]
fn on_ack__is_no_slower_than_reno() {
    // A short path: alpha segments per round trip, then one (RFC 9438, 4.3).
    let (w_max, rtt) = (20u32, 10);
    let mut cubic = Cubic::new();
    let cwnd = cubic.on_loss(w_max * MSS, MSS, false);
    assert_eq!(cwnd, 14 * MSS);
    let trips = 8;
    let grown = avoid(&mut cubic, cwnd, 0, trips * rtt, rtt);
    let exact = 14.0 + 9.0 / 17.0 * trips as f64;
    let ours = f64::from(grown) / f64::from(MSS);
    assert!((ours - exact).abs() < 0.6, "{ours}, not {exact}");
    let whole = avoid(&mut cubic, grown, trips * rtt, 40 * rtt, rtt);
    let later = avoid(&mut cubic, whole, (trips + 40) * rtt, 10 * rtt, rtt);
    let more = f64::from(later - whole) / f64::from(MSS);
    assert!((9.0..=11.5).contains(&more), "{more} in 10 round trips");
}

#[test]
fn on_loss__gives_way_and_forgets() {
    let mut cubic = Cubic::new();
    cubic.on_loss(100 * MSS, MSS, false);
    assert_eq!(cubic.w_max, 100 * MSS);
    cubic.on_loss(80 * MSS, MSS, false);
    assert_eq!(cubic.w_max, 68 * MSS, "fast convergence");
    let ssthresh = cubic.on_loss(50 * MSS, MSS, true);
    assert_eq!((ssthresh, cubic.w_max), (35 * MSS, 0));
    cubic.on_ack(35 * MSS, &acked(0, MSS, 100));
    let epoch = cubic.epoch.expect("it began");
    assert_eq!((epoch.k, epoch.origin), (0, 35 * MSS), "RFC 9438, 4.8");
    assert_eq!(cubic.on_loss(MSS, MSS, false), 2 * MSS);
}

#[test]
fn on_ack__time_that_the_user_wasted_does_not_count() {
    let mut cubic = Cubic::new();
    let cwnd = cubic.on_loss(1_000 * MSS, MSS, false);
    let cwnd = avoid(&mut cubic, cwnd, 0, 1_000, 200);
    let counted = |cubic: &Cubic| cubic.epoch.map(|epoch| epoch.elapsed.as_millis());
    let before = counted(&cubic);
    cubic.on_unlimited_ack(at(50_000));
    let cwnd = cubic.on_ack(cwnd, &acked(50_000, MSS, 200));
    assert_eq!(counted(&cubic), before);
    cubic.on_idle();
    cubic.on_ack(cwnd, &acked(90_000, MSS, 200));
    assert_eq!(counted(&cubic), before);
    cubic.on_ack(cwnd, &acked(90_010, MSS, 200));
    assert_eq!(counted(&cubic), before.map(|ms| ms + 10));
}

#[test]
fn on_ack__extremes() {
    for mss in [1, 8, 65_535, u32::MAX] {
        for cwnd in [0, 1, 65_535, u32::MAX] {
            for octets in [0, 1, u32::MAX] {
                let mut cubic = Cubic::new();
                let _ = cubic.on_loss(cwnd, mss, false);
                for ms in [0, 1, 1 << 20, 1 << 40, u64::MAX] {
                    let acked = Growth {
                        mss,
                        srtt: Duration::from_millis(ms),
                        ..acked(ms, octets, 0)
                    };
                    assert!(cubic.on_ack(cwnd, &acked) >= cwnd);
                }
            }
        }
    }
}
