// SPDX-License-Identifier: GPL-2.0

use crate::engine::ack::AckInfo;
use crate::engine::loss::Phase;
use crate::engine::loss::Recovery;
use crate::engine::loss::Verdict;
use crate::engine::ranges::Run;
use proptest::prelude::*;

const MSS: u32 = 100;

fn run(start: u64, end: u64) -> Run {
    Run { start, end }
}

fn info(acked: u64, una: u64, nxt: u64, newly_sacked: u64, duplicate: bool) -> AckInfo {
    AckInfo {
        acked,
        una,
        nxt,
        newly_sacked,
        duplicate,
    }
}

#[test]
fn sack__three_runs_or_more_than_two_segments_mean_loss() {
    // RFC 6675, 4: IsLost.
    let mut few = Recovery::new(true);
    let news = few.on_sack_block(run(100, 300));
    assert_eq!(news, 200);
    assert_eq!(
        few.on_ack(&info(0, 0, 1_000, news, true), MSS),
        Verdict::Nothing
    );
    assert_eq!(few.pipe(0, 1_000), 800);
    let mut octets = Recovery::new(true);
    let news = octets.on_sack_block(run(100, 301));
    let verdict = octets.on_ack(&info(0, 0, 1_000, news, true), MSS);
    assert_eq!(verdict, Verdict::FastRetransmit);
    let mut runs = Recovery::new(true);
    let mut news = 0;
    for start in [100, 120, 140] {
        news += runs.on_sack_block(run(start, start + 10));
    }
    let verdict = runs.on_ack(&info(0, 0, 1_000, news, true), MSS);
    assert_eq!(verdict, Verdict::FastRetransmit);
    assert_eq!(runs.next_lost(0, 1_000), Some(run(0, 100)));
}

#[test]
fn sack__what_is_known_is_no_news() {
    let mut recovery = Recovery::new(true);
    assert_eq!(recovery.on_sack_block(run(100, 200)), 100);
    assert_eq!(recovery.on_sack_block(run(100, 200)), 0);
    assert_eq!(recovery.on_sack_block(run(150, 250)), 50);
}

#[test]
fn timeout__all_is_lost_but_what_was_sacked() {
    let mut recovery = Recovery::new(true);
    recovery.on_sack_block(run(300, 400));
    recovery.on_timeout(0, 1_000);
    assert_eq!(recovery.pipe(0, 1_000), 0);
    assert_eq!(recovery.lost(0, 1_000), 900);
    assert_eq!(recovery.next_lost(0, 1_000), Some(run(0, 300)));
    recovery.on_retransmitted(300);
    assert_eq!(recovery.next_lost(0, 1_000), Some(run(400, 1_000)));
    assert_eq!(recovery.pipe(0, 1_000), 300);
    let verdict = recovery.on_ack(&info(1_000, 1_000, 1_000, 0, false), MSS);
    assert_eq!(verdict, Verdict::Recovered);
    assert_eq!(recovery.phase(), Phase::Open);
}

#[test]
fn guess__fills_holes_below_the_highest_report_then_rescues_once() {
    let mut recovery = Recovery::new(true);
    let news = recovery.on_sack_block(run(100, 400)) + recovery.on_sack_block(run(500, 550));
    let verdict = recovery.on_ack(&info(0, 0, 1_000, news, true), MSS);
    assert_eq!(verdict, Verdict::FastRetransmit);
    assert_eq!(recovery.next_lost(0, 1_000), Some(run(0, 100)));
    recovery.on_retransmitted(100);
    assert_eq!(recovery.next_lost(0, 1_000), None);
    assert_eq!(recovery.next_guess(0), Some(run(400, 500)));
    recovery.on_retransmitted(500);
    assert_eq!(recovery.next_guess(0), None);
    assert_eq!(recovery.take_rescue(0, 1_000, MSS), Some(run(900, 1_000)));
    assert_eq!(recovery.take_rescue(0, 1_000, MSS), None);
}

#[test]
fn reno__a_partial_ack_leaves_a_segment_in_flight() {
    let mut recovery = Recovery::new(false);
    for _ in 0..9 {
        let _ = recovery.on_ack(&info(0, 0, 1_000, 0, true), MSS);
    }
    assert_eq!(recovery.sacked(0, 1_000), 900);
    let _ = recovery.on_ack(&info(150, 150, 1_000, 0, false), MSS);
    assert_eq!(recovery.sacked(150, 1_000), 750);
    let _ = recovery.on_ack(&info(800, 950, 1_000, 0, false), MSS);
    assert_eq!(recovery.sacked(950, 1_000), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Ack(u64),
    Sack(u64, u64),
    Duplicate,
    Timeout,
    Send(u64),
    Repeat,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0u64..300).prop_map(Step::Ack),
        4 => (0u64..3_000, 1u64..400).prop_map(|(start, len)| Step::Sack(start, start + len)),
        3 => Just(Step::Duplicate),
        1 => Just(Step::Timeout),
        4 => (1u64..500).prop_map(Step::Send),
        4 => Just(Step::Repeat),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a peer reports: counts stay within what is in flight, and only unreported octets in
    /// flight are repeated.
    #[test]
    fn any_history__keeps_the_bounds(sack: bool, steps in prop::collection::vec(step(), 1..200)) {
        let mut recovery = Recovery::new(sack);
        let (mut una, mut nxt) = (0u64, 0u64);
        for step in steps {
            let mut ack = info(0, una, nxt, 0, false);
            let mut acks = true;
            match step {
                Step::Ack(octets) => {
                    ack.acked = octets.min(nxt - una);
                    una += ack.acked;
                    ack.una = una;
                }
                Step::Sack(start, end) if sack && una + end <= nxt => {
                    ack.newly_sacked = recovery.on_sack_block(run(una + start, una + end));
                    ack.duplicate = ack.newly_sacked > 0;
                }
                Step::Duplicate if !sack && una < nxt => ack.duplicate = true,
                Step::Timeout if una < nxt => {
                    recovery.on_timeout(una, nxt);
                    acks = false;
                }
                Step::Send(octets) => {
                    nxt += octets;
                    acks = false;
                }
                Step::Repeat => {
                    acks = false;
                    if recovery.phase() != Phase::Open {
                        if let Some(lost) = recovery.next_lost(una, nxt) {
                            prop_assert!(una <= lost.start && lost.start < lost.end && lost.end <= nxt);
                            let before = recovery.pipe(una, nxt);
                            let end = lost.end.min(lost.start + u64::from(MSS));
                            recovery.on_retransmitted(end);
                            prop_assert!(recovery.pipe(una, nxt) >= before);
                            let next = recovery.next_lost(una, nxt);
                            prop_assert!(next.is_none_or(|next| next.start >= end));
                        }
                    }
                }
                _ => acks = false,
            }
            if acks {
                let _ = recovery.on_ack(&ack, MSS);
            }
            let flight = nxt - una;
            prop_assert!(recovery.pipe(una, nxt) <= flight);
            prop_assert!(recovery.lost(una, nxt) <= flight);
            prop_assert!(recovery.sacked(una, nxt) <= flight);
            if recovery.phase() == Phase::Open && una == nxt {
                prop_assert_eq!(recovery.pipe(una, nxt), 0);
            }
        }
    }
}
