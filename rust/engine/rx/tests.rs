// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Config;
use crate::engine::ranges::Fixed;
use crate::engine::rx::Due;
use crate::engine::rx::Payload;
use crate::engine::rx::ReceiveMemory;
use crate::engine::rx::Rx;
use crate::engine::segment::SegmentIn;
use crate::engine::seq::SeqNum;
use crate::engine::time::Instant;
use crate::engine::window::WindowScale;
use proptest::prelude::*;
use std::vec::Vec;

const IRS: SeqNum = SeqNum(7);

fn config(window: u32) -> Config {
    Config {
        receive_window: window,
        app_win: 0,
        ..Config::LINUX
    }
}

fn rx(scale: u8, window: u32) -> Rx<Fixed<128>> {
    let scale = WindowScale::new(scale);
    let mut rx = Rx::new(
        Instant::default(),
        &config(window),
        IRS,
        Some(scale),
        false,
        0,
    );
    rx.edge = window.into();
    rx.tuning.set_clamp(u32::MAX, u32::MAX);
    rx
}

fn tell(rx: &mut Rx<Fixed<128>>, room: u32) {
    let unread = u32::try_from(rx.unread()).unwrap();
    rx.tuning
        .set_memory(ReceiveMemory::of_payload(room, unread));
}

/// Returns the SACK blocks as offsets.
fn blocks(rx: &Rx<Fixed<128>>) -> Vec<(u32, u32)> {
    let offset = |seq: SeqNum| seq.0.wrapping_sub(IRS.0).wrapping_sub(1);
    let blocks = rx.sack_blocks(4, true);
    let blocks = blocks.as_slice().iter();
    blocks.map(|b| (offset(b.left), offset(b.right))).collect()
}

#[test]
fn on_payload__more_holes_than_memory_for_them() {
    let mut rx = rx(7, 60_000);
    let mut held = 0;
    for i in 0..200 {
        let arrival = rx.on_payload(1 + i * 20, 10, false);
        if matches!(arrival.payload, Payload::Hold { .. }) {
            held += 1;
        }
        assert_eq!(arrival.due, Due::Soon);
    }
    assert_eq!(held, 128);
    let arrival = rx.on_payload(0, 60, false);
    assert_eq!(arrival.payload, Payload::Append { skip: 0, len: 60 });
    assert_eq!(rx.nxt, 60);
}

#[test]
fn on_payload__fin_inside_what_is_held_is_no_fin() {
    let mut rx = rx(7, 60_000);
    let _ = rx.on_payload(10, 50, false);
    let _ = rx.on_payload(20, 0, true);
    let arrival = rx.on_payload(0, 10, false);
    assert!(!arrival.finished);
    assert_eq!(rx.nxt, 60);
    assert!(rx.on_payload(0, 0, true).finished);
}

#[test]
fn on_payload__nothing_follows_a_fin() {
    let mut rx = rx(7, 60_000);
    let _ = rx.on_payload(20, 0, true);
    assert_eq!(blocks(&rx), [(20, 21)], "a FIN is an octet");
    let arrival = rx.on_payload(0, 50, false);
    assert_eq!(arrival.payload, Payload::Append { skip: 0, len: 20 });
    assert!(arrival.finished);
    assert_eq!(rx.nxt_seq(), SeqNum(7 + 1 + 20 + 1));
    assert_eq!(rx.on_payload(0, 10, false).due, Due::Nothing);
    assert_eq!(rx.on_payload(-11, 10, false).due, Due::Quick);
    assert_eq!(blocks(&rx), [(10, 20)]);
    assert_eq!(rx.on_payload(-1, 0, true).due, Due::Quick);
    assert_eq!(blocks(&rx), [(20, 21)], "the FIN again");
    assert_eq!(rx.nxt, 20);
}

/// The acknowledgments of Linux's packetdrill script `tcp_dsack_mult`.
#[test]
fn sack_blocks__of_duplicates_and_of_runs() {
    let mut rx = rx(7, 60_000);
    let mut arrive = |from: i64, to: i64, due: Due, wanted: &[(u32, u32)]| {
        let start = from - rx.nxt as i64;
        let arrival = rx.on_payload(start, (to - from) as u32, false);
        assert_eq!(arrival.due, due, "{from}..{to}");
        assert_eq!(blocks(&rx), wanted, "{from}..{to}");
        rx.offer(&config(60_000));
    };
    arrive(1000, 2000, Due::Soon, &[(1000, 2000)]);
    arrive(2000, 3000, Due::Soon, &[(1000, 3000)]);
    arrive(4000, 5000, Due::Soon, &[(4000, 5000), (1000, 3000)]);
    arrive(
        7000,
        8000,
        Due::Soon,
        &[(7000, 8000), (4000, 5000), (1000, 3000)],
    );
    arrive(0, 6000, Due::Soon, &[(1000, 3000), (7000, 8000)]);
    arrive(6000, 8000, Due::Now, &[(7000, 8000)]);
    arrive(0, 1000, Due::Quick, &[(0, 1000)]);
    arrive(9000, 10_000, Due::Soon, &[(9000, 10_000)]);
    arrive(9500, 9600, Due::Soon, &[(9500, 9600), (9000, 10_000)]);
    arrive(9500, 10_500, Due::Soon, &[(9500, 10_000), (9000, 10_500)]);
    arrive(7500, 8200, Due::Soon, &[(7500, 8000), (9000, 10_500)]);
}

#[test]
fn on_payload__one_segment_may_exceed_the_window() {
    let mut rx = rx(0, 1_000);
    let arrival = rx.on_payload(0, 1_400, false);
    assert_eq!(
        arrival.payload,
        Payload::Append {
            skip: 0,
            len: 1_400
        }
    );
    assert_eq!(rx.on_payload(0, 10, false).due, Due::Quick, "closed");
    assert_eq!(rx.on_payload(5, 10, false).payload, Payload::Discard);
    assert!(rx.on_payload(0, 0, true).finished, "only a FIN gets in");
}

#[test]
fn forget_held_from__only_the_top() {
    let mut rx = rx(7, 60_000);
    for start in [100, 300, 500] {
        let _ = rx.on_payload(start, 100, false);
    }
    rx.forget_held_from(350);
    assert_eq!(blocks(&rx), [(300, 350), (100, 200)]);
    rx.forget_held_from(0);
    assert!(!rx.has_holes());
}

#[test]
fn offer__without_scaling_in_whole_segments() {
    let config = config(10_000);
    let mut rx = rx(0, 10_000);
    let segment = SegmentIn {
        wire_len: 1_460,
        len: 1_460,
        ..SegmentIn::default()
    };
    let _ = rx.on_payload(0, 10_000, false);
    rx.measure(&segment);
    tell(&mut rx, 0);
    assert_eq!(rx.offer(&config), 0);
    rx.on_read(&config, 100);
    tell(&mut rx, 100);
    assert!(!rx.wants_update(&config));
    assert_eq!(rx.offer(&config), 0, "silly");
    rx.on_read(&config, 5_000);
    tell(&mut rx, 5_100);
    assert!(rx.wants_update(&config));
    assert_eq!(rx.offer(&config), 4_380);
}

#[test]
fn offer__zero_after_data_was_lost_for_want_of_memory() {
    let config = config(60_000);
    let mut rx = rx(7, 60_000);
    let _ = rx.on_payload(0, 1_000, false);
    let window = rx.largest_window();
    rx.on_no_memory();
    assert_eq!(rx.offer(&config), 0);
    assert_eq!(rx.window(), 0);
    assert_eq!(rx.largest_window(), window, "what it was is remembered");
    tell(&mut rx, 59_000);
    assert!(rx.offer(&config) > 0);
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

    /// Whatever arrives: what is taken begins in the window, the edge never moves left, and order
    /// is kept.
    #[test]
    fn any_history__keeps_the_bounds(scale in 0u8..15, steps in prop::collection::vec(step(), 1..200)) {
        let config = config(40_000);
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
                        prop_assert!(offset < edge);
                        let end = (offset + u64::from(took)) as usize;
                        taken.resize(taken.len().max(end), false);
                        taken[offset as usize..end].fill(true);
                    }
                    prop_assert_eq!(arrival.advanced, rx.nxt > nxt);
                    prop_assert!(taken[..rx.nxt as usize].iter().all(|&taken| taken));
                }
                Step::Read(len) => rx.on_read(&config, len),
                Step::Offer(room) => {
                    tell(&mut rx, room);
                    let end = rx.nxt_seq().0.wrapping_sub(IRS.0 + 1);
                    let field = rx.offer(&config);
                    let offered = u64::from(end) + u64::from(field) * (1 << scale);
                    prop_assert!(offered >= edge, "moved left");
                    prop_assert_eq!(rx.edge, offered);
                }
            }
            prop_assert!(rx.nxt >= nxt && rx.edge >= edge && rx.read >= read);
            prop_assert!(rx.read <= rx.nxt);
            for block in rx.sack_blocks(3, true).as_slice() {
                prop_assert!(block.left.before(block.right));
            }
        }
    }
}
