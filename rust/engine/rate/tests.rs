// SPDX-License-Identifier: GPL-2.0

use crate::engine::rate::AckRate;
use crate::engine::rate::Delivered;
use crate::engine::rate::Rate;
use crate::engine::rate::RateSample;
use crate::engine::rate::Stamp;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use std::vec::Vec;

const MSS: u32 = 1_000;
/// Far enough for the microseconds of a stamp to wrap during the tests.
const START_MS: u64 = 4_294_960;

fn at(ms: u64) -> Instant {
    Instant::default().saturating_add(Duration::from_millis(START_MS + ms))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A segment that was sent.
#[derive(Clone, Copy)]
struct Sent(Stamp, u64, u64);

fn send(rate: &mut Rate, now: u64, number: u64, idle: bool) -> Sent {
    Sent(rate.stamp(at(now), idle), now, number)
}

fn deliver(rate: &mut Rate, sent: Sent) {
    let Sent(stamp, when, number) = sent;
    rate.on_delivered(
        &Delivered {
            stamp,
            sent_at: at(when),
            end: (number + 1) * 1_000,
            octets: 1_000,
            retransmitted: false,
        },
        MSS,
    );
}

fn ack(rate: &mut Rate, now: u64, ece: bool, sent: &[Sent]) -> RateSample {
    rate.begin_ack(0, ece);
    for &sent in sent {
        deliver(rate, sent);
    }
    let ack = AckRate {
        min_rtt: Some(ms(10)),
        ..AckRate::default()
    };
    rate.sample(at(now), &ack)
}

#[test]
fn sample__what_was_delivered_in_the_flight_of_a_segment() {
    // A segment a millisecond, 100 ms of flight: 1,000,000 octets a second.
    let mut rate = Rate::new();
    let mut sent = Vec::new();
    let mut last = RateSample::default();
    for now in 0..400 {
        let idle = now == 0;
        sent.push(send(&mut rate, now, now, idle));
        if now >= 100 {
            last = ack(&mut rate, now, false, &[sent[now as usize - 100]]);
        }
    }
    // Sent at 299, delivered at 399; when it left, 199 had arrived, the last of them at 298.
    assert_eq!(last.rate, Some((101_000, ms(101))));
    assert_eq!(last.prior_delivered, Some(199_000));
    assert_eq!(rate.told(), Some((1_000_000, false)));
    assert_eq!(rate.delivered(), 300_000);
    assert_eq!(rate.segments(), (301, 0), "and the SYN");
}

#[test]
fn sample__acknowledgments_in_a_bunch_are_no_speed() {
    // Ten segments a millisecond apart, all acknowledged at once 20 ms after the first left: they
    // took 9 ms to send, and 20 to arrive. Then ten more, the acknowledgments of which come in two
    // bunches a millisecond apart: it took 29 ms to send the last ten after the first of the ten.
    let mut rate = Rate::new();
    let first: Vec<Sent> = (0..10).map(|i| send(&mut rate, i, i, i == 0)).collect();
    let sample = ack(&mut rate, 20, false, &first);
    assert_eq!(sample.rate, Some((10_000, ms(20))));
    assert_eq!(sample.newly_delivered, 10_000);
    let second: Vec<Sent> = (10..20)
        .map(|i| send(&mut rate, 10 + i, i, i == 10))
        .collect();
    let half = ack(&mut rate, 45, false, &second[..5]);
    assert_eq!(half.rate, Some((5_000, ms(25))));
    let rest = ack(&mut rate, 46, false, &second[5..]);
    assert_eq!(rest.rate, Some((10_000, ms(26))));
}

#[test]
fn sample__the_longer_phase_counts() {
    // The sender took 50 ms between the first and the last segment; acknowledgments were held and
    // came together: only the send phase tells the speed.
    let mut rate = Rate::new();
    let a = send(&mut rate, 0, 0, true);
    let b = send(&mut rate, 49, 1, false);
    let _ = ack(&mut rate, 50, false, &[a]);
    let c = send(&mut rate, 51, 2, false);
    let d = send(&mut rate, 90, 3, false);
    // `a` left at 0, so b's sample spans 49 ms of sending; it was stamped before anything arrived.
    let sample = ack(&mut rate, 60, false, &[b]);
    assert_eq!(sample.rate, Some((2_000, ms(60))));
    let sample = ack(&mut rate, 100, false, &[c, d]);
    // `d` was stamped with delivery at 50 and a first transmission at 0.
    assert_eq!(sample.rate, Some((3_000, ms(90))));
    assert_eq!(sample.prior_delivered, Some(1_000));
}

#[test]
fn sample__shorter_than_a_round_trip_is_none() {
    let mut rate = Rate::new();
    let sent = send(&mut rate, 0, 0, true);
    let sample = ack(&mut rate, 9, false, &[sent]);
    assert_eq!((sample.rate, sample.prior_delivered), (None, Some(0)));
    assert_eq!(sample.newly_delivered, 1_000);
    assert_eq!(rate.told(), None);
    let nothing = ack(&mut rate, 50, false, &[]);
    assert_eq!(nothing, RateSample::default());
}

#[test]
fn sample__reneging_gives_none() {
    let mut rate = Rate::new();
    let sent = send(&mut rate, 0, 0, true);
    rate.begin_ack(0, false);
    deliver(&mut rate, sent);
    let ack = AckRate {
        reneged: true,
        newly_lost: 3_000,
        ..AckRate::default()
    };
    let sample = rate.sample(at(50), &ack);
    assert_eq!((sample.rate, sample.prior_delivered), (None, None));
    assert_eq!((sample.newly_lost, rate.lost()), (3_000, 3_000));
}

#[test]
fn on_app_limited__marks_until_the_bubble_is_gone() {
    let mut rate = Rate::new();
    let a = send(&mut rate, 0, 0, true);
    rate.on_app_limited(1_000);
    let b = send(&mut rate, 1, 1, false);
    let sample = ack(&mut rate, 20, false, &[a]);
    assert!(!sample.app_limited, "it left before");
    assert!(rate.is_app_limited(), "what left before is just delivered");
    let c = send(&mut rate, 21, 2, false);
    let sample = ack(&mut rate, 40, false, &[b]);
    assert!(sample.app_limited);
    assert!(!rate.is_app_limited());
    // b: 2,000 octets in 40 ms, after 1,000 in 20 ms: as fast, so it is told.
    assert_eq!(rate.told(), Some((50_000, true)));
    let sample = ack(&mut rate, 80, false, &[c]);
    assert!(sample.app_limited);
    // c: 2,000 octets in 60 ms is slower: not told.
    assert_eq!(rate.told(), Some((50_000, true)));
    let d = send(&mut rate, 90, 3, true);
    let sample = ack(&mut rate, 190, false, &[d]);
    assert_eq!(
        (sample.app_limited, sample.rate),
        (false, Some((1_000, ms(100))))
    );
    assert_eq!(rate.told(), Some((10_000, false)));
}

#[test]
fn count__marks_of_congestion() {
    let mut rate = Rate::new();
    let a = send(&mut rate, 0, 0, true);
    let b = send(&mut rate, 1, 1, false);
    let sample = ack(&mut rate, 20, true, &[a]);
    assert_eq!(sample.delivered_ce, 1_000);
    let c = send(&mut rate, 21, 2, false);
    let sample = ack(&mut rate, 22, false, &[b]);
    assert_eq!(sample.delivered_ce, 1_000, "since b left");
    let sample = ack(&mut rate, 42, false, &[c]);
    assert_eq!(sample.delivered_ce, 0, "since c left");
    assert_eq!((rate.delivered_ce(), rate.segments()), (1_000, (4, 1)));
    rate.begin_ack(0, false);
    rate.count(1_500, MSS);
    assert_eq!(
        rate.sample(at(50), &AckRate::default()).newly_delivered,
        1_500
    );
    assert_eq!(rate.segments().0, 6);
}
