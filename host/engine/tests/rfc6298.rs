// SPDX-License-Identifier: GPL-2.0

//! RFC 6298 and RFC 6069: round-trip samples and the retransmission timer.

use crate::common::script::*;
use oxtcp_engine::engine::*;

fn srtt(script: &Script) -> Duration {
    script.connection.info(script.instant()).srtt.unwrap()
}

fn rto(script: &Script) -> u64 {
    script.connection.info(script.instant()).rto.as_millis()
}

#[test]
fn what_was_sent_again_is_not_timed() {
    // Section 3, Karn's rule; RFC 9293, MUST-18. Round trips took 100 ms.
    let mut script = Script::established(&plain());
    script.write(1_000);
    let before = srtt(&script);
    script.expire();
    script.pass(3);
    script.answer(ACK, 1, 1_001, 0);
    assert_eq!(srtt(&script), before, "3 ms or 303 ms, nobody knows");
}

#[test]
fn back_off_lasts_until_a_sample() {
    // Section 5, the end: the doubled time-out is kept for what is sent next.
    let mut script = Script::established(&plain());
    script.write(1_000);
    let first = rto(&script);
    script.expire();
    script.expire();
    assert_eq!(rto(&script), 4 * first);
    script.answer(ACK, 1, 1_001, 0);
    script.write(1_000);
    assert_eq!(rto(&script), 4 * first, "an ambiguous acknowledgment");
    script.pass(100);
    script.answer(ACK, 1, 2_001, 0);
    assert!(rto(&script) <= first);
}

#[test]
fn where_there_is_no_way_the_time_out_does_not_double() {
    // RFC 6069, 4.2.
    let mut script = Script::established(&plain());
    script.write(1_000);
    let first = rto(&script);
    let tell = |script: &mut Script, seq| {
        let now = script.instant();
        script.connection.on_unreachable(now, SeqNum(ISS + seq));
    };
    tell(&mut script, 1);
    assert_eq!(rto(&script), first, "nothing was sent again");
    for _ in 0..3 {
        script.expire();
    }
    tell(&mut script, 2);
    assert_eq!(rto(&script), 8 * first, "another segment");
    tell(&mut script, 1);
    assert_eq!(rto(&script), 4 * first);
    script.pass(3 * first);
    tell(&mut script, 1);
    let (wait, sent) = script.expire();
    assert!(wait <= 1, "due by now, not after {wait} ms");
    assert_eq!(shapes(&sent), [(1, 1_000)]);
    assert_eq!(rto(&script), 4 * first);
    for _ in 0..4 {
        tell(&mut script, 1);
    }
    assert_eq!(rto(&script), first, "no more than all back-offs");
    script.answer(ACK, 1, 1_001, 0);
    assert_eq!(script.connection.next_deadline(), None);
}

#[test]
fn the_timer_runs_while_data_is_in_flight() {
    // Section 5.1 to 5.3.
    let mut script = Script::established(&plain());
    assert_eq!(script.connection.next_deadline(), None);
    script.write(3_000);
    let armed = script.connection.next_deadline().unwrap();
    script.pass(50);
    script.write(1_000);
    assert_eq!(
        script.connection.next_deadline(),
        Some(armed),
        "5.1: it runs already"
    );
    script.answer(ACK, 1, 1_001, 0);
    let anew = script.connection.next_deadline().unwrap();
    assert!(anew > armed, "5.3");
    script.answer(ACK, 1, 4_001, 0);
    assert_eq!(script.connection.next_deadline(), None, "5.2");
}

#[test]
fn the_earliest_is_sent_again_and_the_time_out_doubles() {
    // Section 5.4 to 5.6, and the upper bound of 2.5.
    let mut script = Script::established(&plain());
    script.write(5_000);
    let mut expected = rto(&script);
    for _ in 0..12 {
        let (wait, sent) = script.expire();
        assert_eq!(wait, expected);
        assert_eq!(shapes(&sent), [(1, 1_000)]);
        expected = (2 * expected).min(120_000);
    }
    assert_eq!(expected, 120_000);
}

#[test]
fn without_a_sample_the_time_out_is_a_second_and_then_three() {
    // Section 2.1; and 5.7 after a SYN that was lost.
    let mut script = Script::connect(&plain());
    assert_eq!(script.sent().len(), 1);
    assert_eq!(rto(&script), 1_000);
    script.expire();
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options.mss = Some(1_000);
    let _ = script.give(&syn_ack);
    script.sent();
    let info = script.connection.info(script.instant());
    assert_eq!((info.srtt, info.rto.as_millis()), (None, 3_000));
}

#[test]
fn the_lower_bound_is_linuxs() {
    // Section 2.4 would have it at a second.
    let mut script = Script::established(&plain());
    for i in 0..200 {
        script.write(1_000);
        script.pass(10);
        script.answer(ACK, 1, 1_001 + i * 1_000, 0);
    }
    assert!((209..=212).contains(&rto(&script)), "{}", rto(&script));
}
