// SPDX-License-Identifier: GPL-2.0

use crate::engine::cc::prr::Prr;
use crate::engine::cc::prr::Step;
use std::vec::Vec;

const MSS: u32 = 1_000;

fn step(delivered: u64, lost: u64, in_flight: u64, advanced: bool) -> Step {
    Step {
        newly_delivered: delivered * 1_000,
        newly_lost: lost * 1_000,
        in_flight: in_flight * 1_000,
        advanced,
        mss: MSS,
    }
}

#[test]
fn step__the_example_of_rfc_6937() {
    // RFC 6937, 4, figure 1: FlightSize 20, ssthresh 10, the first segment lost. With the rounding
    // up of PRR one segment leaves for the first duplicate and for every second one after it.
    let mut prr = Prr::new(20 * MSS);
    let mut flight = 19u64;
    let mut pattern = Vec::new();
    for _ in 0..19 {
        flight -= 1;
        let cwnd = prr.step(10 * MSS, &step(1, 0, flight, false)).unwrap();
        let room = (u64::from(cwnd) - flight * 1_000) / 1_000;
        prr.on_transmit(room as u32 * MSS);
        flight += room;
        pattern.push(room);
    }
    // The figure's line "sent" (R for the retransmission, N for new data), RFC 6937, 4.
    assert_eq!(pattern[..5], [1, 0, 1, 0, 1]);
    assert_eq!(pattern.iter().sum::<u64>(), 10);
    assert_eq!(flight, 10);
}

#[test]
fn step__below_ssthresh_no_more_than_slow_start() {
    // RFC 6937, 4, figure 2: segments 1 to 16 of 20 are lost, so that 4 duplicates come.
    let mut prr = Prr::new(20 * MSS);
    let mut flight = 3u64;
    let cwnd = prr.step(10 * MSS, &step(1, 16, flight, false)).unwrap();
    assert_eq!(cwnd, 4 * MSS, "as much as was delivered");
    prr.on_transmit(MSS);
    // The hole is filled and nothing more is lost: one segment on top (SSRB).
    flight = 3;
    let cwnd = prr.step(10 * MSS, &step(1, 0, flight, true)).unwrap();
    assert_eq!(cwnd, 5 * MSS);
    prr.on_transmit(2 * MSS);
    let cwnd = prr.step(10 * MSS, &step(1, 1, 4, true)).unwrap();
    assert_eq!(cwnd, 5 * MSS, "not when more is lost");
    prr.on_transmit(MSS);
    let cwnd = prr.step(10 * MSS, &step(9, 0, 9, true)).unwrap();
    assert_eq!(cwnd, 10 * MSS, "never above ssthresh");
}

#[test]
fn step__the_first_retransmission_is_free() {
    // As many are in flight as ssthresh allows.
    let mut prr = Prr::new(20 * MSS);
    assert_eq!(prr.step(10 * MSS, &step(1, 0, 10, false)), Some(11 * MSS));
    prr.on_transmit(MSS);
    assert_eq!(prr.step(10 * MSS, &step(1, 0, 10, false)), Some(10 * MSS));
    // More are.
    let mut prr = Prr::new(20 * MSS);
    assert_eq!(prr.step(2 * MSS, &step(1, 0, 10, false)), Some(11 * MSS));
    prr.on_transmit(MSS);
    assert_eq!(prr.step(2 * MSS, &step(1, 0, 10, false)), Some(10 * MSS));
    assert_eq!(prr.step(2 * MSS, &step(0, 5, 5, false)), None);
}

#[test]
fn step__extremes() {
    for window in [0, 1, u32::MAX] {
        for octets in [0, 1, u64::MAX] {
            let mut prr = Prr::new(window);
            for _ in 0..3 {
                prr.on_transmit(u32::MAX);
                prr.rescale(u32::MAX, 1);
                let _ = prr.step(
                    window,
                    &Step {
                        newly_delivered: octets,
                        newly_lost: octets,
                        in_flight: octets,
                        advanced: true,
                        mss: window,
                    },
                );
            }
        }
    }
}
