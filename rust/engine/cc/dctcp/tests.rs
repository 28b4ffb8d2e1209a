// SPDX-License-Identifier: GPL-2.0

use crate::engine::cc::dctcp::Dctcp;
use crate::engine::cc::News;
use crate::engine::rate::Rate;
use crate::engine::time::Instant;

const MSS: u32 = 1_000;

/// A window of `segments`, of which `marked` are echoed with a mark.
fn window(dctcp: &mut Dctcp, rate: &mut Rate, segments: u64, marked: u64) {
    for (count, ece) in [(marked, true), (segments - marked, false)] {
        rate.begin_ack(0, ece);
        rate.count(count * u64::from(MSS), MSS);
    }
    let una = rate.delivered();
    dctcp.on_ack(
        &News {
            now: Instant::default(),
            una,
            nxt: una + 100_000,
            rtt: None,
        },
        rate,
    );
    dctcp.window_end = 0;
}

#[test]
fn on_ack__alpha_follows_the_share_of_marks() {
    // RFC 8257, 3.3: alpha = alpha * (1 - g) + g * M, g = 1/16, from 1.
    let mut rate = Rate::new();
    let mut dctcp = Dctcp::new(&rate, 0);
    let mut exact = 1.0f64;
    for (marked, windows) in [(0, 20), (5, 60), (10, 60), (1, 200)] {
        for _ in 0..windows {
            window(&mut dctcp, &mut rate, 10, marked);
            exact = exact * 15.0 / 16.0 + marked as f64 / 10.0 / 16.0;
            let ours = f64::from(dctcp.alpha()) / 1024.0;
            assert!((ours - exact).abs() < 0.017, "{ours}, not {exact}");
        }
    }
    for _ in 0..200 {
        window(&mut dctcp, &mut rate, 10, 0);
    }
    assert_eq!(dctcp.alpha(), 0, "no remainder that never fades");
}

#[test]
fn on_ack__once_per_window() {
    let mut rate = Rate::new();
    let mut dctcp = Dctcp::new(&rate, 10_000);
    rate.begin_ack(0, false);
    rate.count(9_999, MSS);
    let mut news = News {
        now: Instant::default(),
        una: 9_999,
        nxt: 20_000,
        rtt: None,
    };
    dctcp.on_ack(&news, &rate);
    assert_eq!(dctcp.alpha(), 1_024);
    assert_eq!(dctcp.window(&rate), (0, 9_999));
    news.una = 10_000;
    dctcp.on_ack(&news, &rate);
    assert_eq!(dctcp.alpha(), 960, "15/16");
    assert_eq!(dctcp.window(&rate), (0, 0));
    news.una = 19_999;
    dctcp.on_ack(&news, &rate);
    assert_eq!(dctcp.alpha(), 960);
}

#[test]
fn on_mark__by_half_of_alpha() {
    let rate = Rate::new();
    let mut dctcp = Dctcp::new(&rate, 0);
    assert_eq!(dctcp.on_mark(100 * MSS, MSS), 50 * MSS, "alpha is 1");
    dctcp.alpha = 256;
    assert_eq!(dctcp.on_mark(100 * MSS, MSS), 87_500, "1 - 1/8");
    assert_eq!(dctcp.on_loss(100 * MSS, MSS), 50 * MSS, "RFC 8257, 3.5");
    dctcp.alpha = 0;
    assert_eq!(dctcp.on_mark(100 * MSS, MSS), 100 * MSS);
    assert_eq!(dctcp.on_mark(MSS, MSS), 2 * MSS);
    assert_eq!(dctcp.loss_cwnd(), MSS);
}
