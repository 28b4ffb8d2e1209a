// SPDX-License-Identifier: GPL-2.0

use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// Memory that refuses to grow beyond `N` records.
#[derive(Clone, Debug, Default)]
struct Bounded<const N: usize>(Vec<Record>);

impl<const N: usize> Memory<Record> for Bounded<N> {
    fn slots(&self) -> &[Record] {
        &self.0
    }

    fn slots_mut(&mut self) -> &mut [Record] {
        &mut self.0
    }

    fn grow(&mut self, len: usize) {
        if len <= N && len > self.0.len() {
            self.0.resize(len, Record::default());
        }
    }
}

const MSS: u32 = 10;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

fn run(start: u64, end: u64) -> Run {
    Run { start, end }
}

fn board() -> Scoreboard<Bounded<8192>> {
    Scoreboard::new()
}

fn stamp() -> Stamp {
    Stamp::default()
}

#[test]
fn on_sent__one_flush_is_one_record() {
    let mut board = board();
    board.on_sent(run(0, 20), MSS, false, at(1), stamp());
    board.on_sent(run(20, 40), MSS, false, at(1), stamp());
    board.on_sent(run(40, 50), MSS, false, at(2), stamp());
    assert_eq!(board.live().len(), 2);
    assert_eq!((board.out.octets, board.out.segments), (50, 5));
}

#[test]
fn segments__a_fin_adds_none_to_data() {
    let mut board = board();
    board.on_sent(run(0, 11), MSS, true, at(1), stamp());
    assert_eq!((board.out.octets, board.out.segments), (11, 1));
    board.on_acked(10, |_| {});
    assert_eq!((board.out.octets, board.out.segments), (1, 1));
}

#[test]
fn on_sacked__cuts_and_melts() {
    let mut board = board();
    board.on_sent(run(0, 100), MSS, false, at(1), stamp());
    board.on_sacked(run(20, 30), |record| record.flags | SACKED);
    board.on_sacked(run(40, 60), |record| record.flags | SACKED);
    assert_eq!(board.live().len(), 5);
    assert_eq!((board.sacked.octets, board.sacked.segments), (30, 3));
    board.on_sacked(run(30, 40), |record| record.flags | SACKED);
    assert_eq!(board.live().len(), 3);
    assert_eq!((board.sacked.octets, board.pipe()), (40, 60));
}

#[test]
fn next_lost__spans_neighbours_and_skips_what_was_sent_again() {
    let mut board = board();
    for n in 0..5 {
        board.on_sent(run(n * 10, n * 10 + 10), MSS, false, at(n), stamp());
    }
    board.on_sacked(run(20, 30), |record| record.flags | SACKED);
    let marked = board.mark_lost(|_| Scan::Lost);
    assert_eq!((marked.octets, marked.again), (40, 0));
    assert_eq!(board.next_lost(), Some(run(0, 20)));
    assert_eq!(board.pipe(), 0);
    board.on_retransmitted(run(0, 20), MSS, at(9), stamp(), false);
    assert_eq!(board.pipe(), 20);
    assert_eq!(board.next_lost(), Some(run(30, 50)));
    let marked = board.mark_lost(|_| Scan::Lost);
    assert_eq!((marked.octets, marked.again), (20, 2));
    assert_eq!(board.next_lost(), Some(run(0, 20)));
}

#[test]
fn on_retransmitted__a_probe_is_not_a_retransmission_in_flight() {
    let mut board = board();
    board.on_sent(run(0, 30), MSS, false, at(1), stamp());
    board.on_retransmitted(run(20, 30), MSS, at(5), stamp(), true);
    assert_eq!((board.retrans.octets, board.pipe()), (0, 30));
    assert!(board.last().unwrap().has(EVER_RETRANS));
    assert_eq!(board.last().unwrap().sent_at, at(5));
    assert_eq!(board.live().len(), 2);
}

/// What is known of one octet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Octet {
    sacked: bool,
    lost: bool,
    retrans: bool,
}

#[derive(Clone, Debug)]
enum Op {
    Send(u64),
    Ack(u64),
    Sack(u64, u64),
    Lose(u64),
    Repair(u64),
    Forget,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (1u64..45).prop_map(Op::Send),
        2 => (0u64..60).prop_map(Op::Ack),
        4 => (0u64..300, 1u64..40).prop_map(|(start, len)| Op::Sack(start, len)),
        2 => (0u64..300).prop_map(Op::Lose),
        3 => (1u64..40).prop_map(Op::Repair),
        1 => Just(Op::Forget),
    ]
}

/// Runs operations against a model of single octets. With `exact` the board has all the memory it
/// wants, and has to agree.
fn check<const N: usize>(ops: &[Op], exact: bool) -> Result<(), TestCaseError> {
    let mut board: Scoreboard<Bounded<N>> = Scoreboard::new();
    let mut model: Vec<Octet> = vec![];
    let (mut una, mut nxt) = (0u64, 0u64);
    for (step, op) in ops.iter().enumerate() {
        let now = at(step as u64);
        match *op {
            Op::Send(len) => {
                board.on_sent(run(nxt, nxt + len), MSS, false, now, stamp());
                nxt += len;
                model.resize(nxt as usize, Octet::default());
            }
            Op::Ack(len) => {
                una = (una + len).min(nxt);
                let mut shown = 0u64;
                board.on_acked(una, |record| shown += u64::from(record.len));
                prop_assert!(shown <= len);
            }
            Op::Sack(start, len) => {
                let (start, end) = ((una + start).min(nxt), (una + start + len).min(nxt));
                board.on_sacked(run(start, end), |record| {
                    (record.flags | SACKED) & !(LOST | RETRANS)
                });
                for octet in &mut model[start as usize..end as usize] {
                    *octet = Octet {
                        sacked: true,
                        ..Octet::default()
                    };
                }
            }
            Op::Lose(below) => {
                let below = una + below;
                board.mark_lost(|record| {
                    if record.end() <= below {
                        Scan::Lost
                    } else {
                        Scan::Stop
                    }
                });
                // Whole records are lost: ask the board which.
                if exact {
                    let mut all_below = true;
                    for record in board.live() {
                        all_below &= record.has(SACKED) || record.end() <= below;
                        if !all_below || record.has(SACKED) {
                            continue;
                        }
                        for octet in &mut model[record.start as usize..record.end() as usize] {
                            octet.retrans &= !octet.lost;
                            octet.lost = true;
                        }
                    }
                }
            }
            Op::Repair(most) => {
                if let Some(lost) = board.next_lost() {
                    prop_assert!(una <= lost.start && lost.end <= nxt);
                    let end = lost.end.min(lost.start + most);
                    board.on_retransmitted(run(lost.start, end), MSS, now, stamp(), false);
                    for octet in &mut model[lost.start as usize..end as usize] {
                        prop_assert!(!exact || (octet.lost && !octet.retrans && !octet.sacked));
                        octet.retrans = true;
                    }
                }
            }
            Op::Forget => {
                board.forget_losses();
                for octet in &mut model {
                    octet.lost = false;
                }
            }
        }
        let mut next = una;
        for record in board.live() {
            prop_assert_eq!(record.start, next);
            prop_assert!(record.len > 0);
            next = record.end();
        }
        prop_assert_eq!(next, nxt);
        prop_assert_eq!(board.out.octets, nxt - una);
        if exact {
            let live = &model[una as usize..];
            let count = |f: fn(&Octet) -> bool| live.iter().filter(|&o| f(o)).count() as u64;
            prop_assert_eq!(board.sacked.octets, count(|o| o.sacked));
            prop_assert_eq!(board.lost.octets, count(|o| o.lost));
            prop_assert_eq!(board.retrans.octets, count(|o| o.retrans));
            let first = live.iter().position(|o| o.lost && !o.retrans);
            let first = first.map(|index| una + index as u64);
            prop_assert_eq!(board.next_lost().map(|lost| lost.start), first);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn model__agrees(ops in prop::collection::vec(op(), 1..80)) {
        check::<8192>(&ops, true)?;
    }

    #[test]
    fn model__without_memory_keeps_its_invariants(ops in prop::collection::vec(op(), 1..80)) {
        check::<0>(&ops, false)?;
        check::<16>(&ops, false)?;
    }
}
