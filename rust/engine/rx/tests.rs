// SPDX-License-Identifier: GPL-2.0

use crate::engine::rx::Payload;
use crate::engine::rx::Rx;
use crate::engine::seq::SeqNum;
use crate::engine::window::WindowScale;
use proptest::prelude::*;
use std::vec::Vec;

fn rx(scale: u8, window: u32) -> Rx {
    Rx::new(SeqNum(7), WindowScale::new(scale), window, 1_460)
}

#[test]
fn on_payload__more_holes_than_are_remembered() {
    let mut rx = rx(7, 60_000);
    let mut held = 0;
    for i in 0..200 {
        let arrival = rx.on_payload(1 + i * 20, 10, false);
        if matches!(arrival.payload, Payload::Hold { .. }) {
            held += 1;
        }
        assert!(arrival.disorder);
    }
    assert_eq!(held, 128);
    let arrival = rx.on_payload(0, 60, false);
    assert_eq!(arrival.payload, Payload::Append { skip: 0, len: 60 });
    assert_eq!(rx.nxt, 60);
}

#[test]
fn on_payload__fin_below_held_data_is_not_believed() {
    // As Linux: what is held follows it, so it is no end.
    let mut rx = rx(7, 60_000);
    let _ = rx.on_payload(10, 50, false);
    let _ = rx.on_payload(20, 0, true);
    let arrival = rx.on_payload(0, 10, false);
    assert!(!arrival.finished);
    assert_eq!(rx.nxt_seq(), SeqNum(7 + 1 + 60), "nothing but what came");
    assert!(rx.on_payload(0, 0, true).finished);
}

#[test]
fn offer__without_scaling_in_whole_segments() {
    let mut rx = rx(0, 10_000);
    let _ = rx.on_payload(0, 10_000, false);
    rx.measure(1_460, false);
    rx.set_room(0);
    assert_eq!(rx.offer(), 0);
    rx.on_read(100);
    rx.set_room(100);
    assert!(!rx.wants_update());
    assert_eq!(rx.offer(), 0, "silly");
    rx.on_read(5_000);
    rx.set_room(5_100);
    assert!(rx.wants_update());
    assert_eq!(rx.offer(), 4_380);
}

#[derive(Clone, Debug)]
enum Step {
    Arrive(i64, u32, bool),
    Read(u32),
    Offer(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (-3_000i64..70_000, 1u32..3_000, prop::bool::weighted(0.02))
            .prop_map(|(start, len, fin)| Step::Arrive(start, len, fin)),
        4 => (1u32..3_000).prop_map(|len| Step::Arrive(0, len, false)),
        2 => (1u32..5_000).prop_map(Step::Read),
        4 => (0u32..100_000).prop_map(Step::Offer),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever arrives: what is taken lies in the window, the edge never moves left, and order is
    /// kept.
    #[test]
    fn any_history__keeps_the_bounds(scale in 0u8..15, steps in prop::collection::vec(step(), 1..200)) {
        let mut rx = rx(scale, 40_000);
        let mut taken: Vec<bool> = Vec::new();
        for step in steps {
            let (nxt, edge, read) = (rx.nxt, rx.edge, rx.read);
            match step {
                Step::Arrive(start, len, fin) => {
                    let arrival = rx.on_payload(start, len, fin);
                    let (offset, skip, took) = match arrival.payload {
                        Payload::Discard => (nxt, 0, 0),
                        Payload::Append { skip, len } => (nxt, skip, len),
                        Payload::Hold { offset, skip, len } => (offset, skip, len),
                    };
                    if took > 0 {
                        prop_assert!(skip + took <= len);
                        prop_assert_eq!(offset as i64, nxt as i64 + start + i64::from(skip));
                        prop_assert!(offset + u64::from(took) <= edge);
                        let end = (offset + u64::from(took)) as usize;
                        taken.resize(taken.len().max(end), false);
                        taken[offset as usize..end].fill(true);
                    }
                    prop_assert_eq!(arrival.advanced, rx.nxt > nxt);
                    prop_assert!(taken[..rx.nxt as usize].iter().all(|&taken| taken));
                    prop_assert!(rx.nxt <= rx.edge);
                }
                Step::Read(len) => rx.on_read(len),
                Step::Offer(room) => {
                    rx.set_room(room);
                    let field = rx.offer();
                    let offered = nxt + u64::from(field) * (1 << scale);
                    prop_assert!(offered >= edge, "moved left");
                    prop_assert_eq!(rx.edge, offered);
                }
            }
            prop_assert!(rx.nxt >= nxt && rx.edge >= edge && rx.read >= read);
            prop_assert!(rx.read <= rx.nxt);
            for block in rx.sack_blocks(3).as_slice() {
                prop_assert!(block.left.before(block.right));
            }
        }
    }
}
