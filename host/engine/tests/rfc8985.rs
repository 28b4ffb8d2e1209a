// SPDX-License-Identifier: GPL-2.0

//! RFC 8985 and RFC 2883: reordering, and probes that were not needed.

use crate::common::script::*;
use oxtcp_engine::engine::*;

fn info(script: &Script) -> Info {
    script.connection.info(script.instant())
}

/// Gives what repairs a recovery in which the first segment was only late, and reports its
/// repetition as a duplicate. `una` is where SND.UNA is, and four segments are in flight.
fn late_head(script: &mut Script, una: u32) {
    let _ = script.give(&sacked(una, &[(una + 1_000, una + 4_000)]));
    script.sent();
    script.pass(1);
    let _ = script.give(&sacked(una + 4_000, &[(una, una + 1_000)]));
    script.sent();
}

#[test]
fn a_probe_that_arrived_twice_was_no_loss() {
    // RFC 8985, 7.4.2: a DSACK for it, and cwnd stays.
    let mut script = Script::established(&with_sack());
    script.write(3_000);
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(2_001, 1_000)]);
    script.pass(100);
    let _ = script.give(&sacked(3_001, &[(2_001, 3_001)]));
    script.write(1_000);
    script.pass(100);
    script.answer(ACK, 1, 4_001, 0);
    assert_eq!(
        (info(&script).ca_state, info(&script).ssthresh),
        (CaState::Open, None)
    );
}

#[test]
fn the_probe_waits_two_round_trips() {
    // RFC 8985, 7.2: with several segments out no delayed acknowledgment has to be allowed for.
    let mut script = Script::established(&with_sack());
    script.write(20_000);
    let srtt = info(&script).srtt.unwrap().as_millis();
    let (wait, _) = script.expire();
    assert!((2 * srtt..=2 * srtt + 3).contains(&wait), "{wait}");
}

#[test]
fn no_probe_without_sack() {
    // RFC 8985, 7.1: without it the time-out comes first.
    let mut script = Script::established(&plain());
    script.write(3_000);
    let (wait, sent) = script.expire();
    assert!(wait > 202, "{wait}");
    assert_eq!(shapes(&sent), [(1, 1_000)]);
}

#[test]
fn reordering_is_learnt() {
    // RFC 8985, 6.2: once the path was seen to reorder, duplicates by their number mean no loss any
    // more; time decides.
    let mut script = Script::established(&with_sack());
    script.write(4_000);
    script.pass(100);
    // The first arrives last: no retransmission was needed.
    let _ = script.give(&sacked(1, &[(1_001, 3_001)]));
    assert!(script.sent().is_empty());
    script.pass(1);
    script.answer(ACK, 1, 4_001, 0);
    script.write(6_000);
    script.pass(100);
    let _ = script.give(&sacked(4_001, &[(5_001, 9_001)]));
    assert!(script.sent().is_empty(), "four duplicates");
    let (wait, sent) = script.expire();
    assert!(
        (20..=30).contains(&wait),
        "a quarter of a round trip: {wait}"
    );
    assert_eq!(shapes(&sent), [(4_001, 1_000)]);
}

#[test]
fn dsacks_widen_the_reordering_window() {
    // RFC 8985, 6.2, step 4.
    let mut script = Script::established(&with_sack());
    let mut waits = Vec::new();
    let mut una = 1;
    for _ in 0..4 {
        script.write(4_000);
        script.pass(100);
        let _ = script.give(&sacked(una, &[(una + 1_000, una + 2_000)]));
        script.sent();
        let (wait, sent) = script.expire();
        waits.push(wait);
        assert_eq!(shapes(&sent)[0], (una, 1_000));
        // It was late after all.
        script.pass(1);
        let _ = script.give(&sacked(una + 4_000, &[]));
        script.sent();
        let _ = script.give(&sacked(una + 4_000, &[(una, una + 1_000)]));
        script.sent();
        una += 4_000;
    }
    assert!(waits.windows(2).all(|pair| pair[0] < pair[1]), "{waits:?}");
    assert!((20..=30).contains(&waits[0]), "{waits:?}");
}

#[test]
fn duplicates_that_we_did_not_cause_are_ignored() {
    // RFC 2883, 4; as Linux more of them than were sent again undo nothing.
    let mut script = Script::established(&with_sack());
    script.write(4_000);
    script.pass(100);
    let _ = script.give(&sacked(4_001, &[(1, 1_001)]));
    assert_eq!(info(&script).counters.dsack_dups, 1);
    script.write(4_000);
    script.pass(100);
    // Fast recovery is not made less sure by it.
    let _ = script.give(&sacked(4_001, &[(5_001, 8_001)]));
    assert_eq!(shapes(&script.sent()), [(4_001, 1_000)]);
}

#[test]
fn a_needless_recovery_leaves_cwnd_as_it_was() {
    // RFC 4015 by way of RFC 3708, several times in a row.
    let mut script = Script::established(&with_sack());
    for round in 0..3 {
        script.write(4_000);
        script.pass(100);
        late_head(&mut script, 1 + round * 4_000);
        assert_eq!(info(&script).ca_state, CaState::Open);
        assert_eq!(info(&script).ssthresh, None);
    }
}
