// SPDX-License-Identifier: GPL-2.0

//! Explicit congestion notification on a connection (RFC 3168).

use crate::common::script::*;
use oxtcp_engine::engine::*;

const SETUP: Flags = Flags::ECE.with(Flags::CWR);

fn asking() -> Config {
    Config {
        ecn_request: true,
        ..plain()
    }
}

/// An active open that the peer answers with these flags.
fn answered(config: &Config, flags: Flags) -> Script {
    let mut script = Script::connect(config);
    assert_eq!(script.sent()[0].flags, SYN.with(SETUP));
    script.pass(100);
    let mut syn_ack = segment(flags, 0, 1, 0);
    syn_ack.options.mss = Some(1000);
    assert_eq!(script.give(&syn_ack), Payload::Discard);
    assert_eq!(script.sent().len(), 1);
    script.events();
    script
}

fn agreed() -> Script {
    answered(&asking(), SYN_ACK.with(Flags::ECE))
}

fn give_marked(script: &mut Script, seq: u32, codepoint: Codepoint) -> Vec<SegmentOut> {
    let mut data = segment(ACK, seq, 1, 1000);
    data.codepoint = codepoint;
    let _ = script.give(&data);
    script.sent()
}

#[test]
fn peer_that_repeats_both_bits_has_no_ecn() {
    // RFC 3168, 6.1.1: a SYN-ACK with both is no ECN-setup SYN-ACK.
    let mut script = answered(&asking(), SYN_ACK.with(SETUP));
    assert!(!script.connection.info(script.instant()).ecn);
    assert_eq!(script.write(1000)[0].codepoint, Codepoint::NotEct);
}

#[test]
fn syn_that_is_sent_again_does_without() {
    for fallback in [true, false] {
        let config = Config {
            ecn_fallback: fallback,
            ..asking()
        };
        let mut script = Script::connect(&config);
        script.sent();
        let (_, sent) = script.expire();
        assert_eq!(sent[0].flags.contains(SETUP), !fallback);
        assert_eq!(sent[0].codepoint, Codepoint::NotEct);
        script.answer(SYN_ACK.with(Flags::ECE), 0, 1, 0);
        assert!(script.connection.info(script.instant()).ecn);
    }
}

#[test]
fn mark_makes_ece_until_cwr() {
    let mut script = agreed();
    let sent = give_marked(&mut script, 1, Codepoint::Ce);
    assert_eq!(sent[0].flags, ACK.with(Flags::ECE));
    let sent = script.write(1000);
    assert_eq!(sent[0].codepoint, Codepoint::Ect0);
    assert!(sent[0].flags.contains(Flags::ECE));
    let mut data = segment(ACK.with(Flags::CWR), 1001, 1001, 1000);
    data.codepoint = Codepoint::Ect0;
    let _ = script.give(&data);
    assert_eq!(script.sent()[0].flags, ACK);
}

#[test]
fn echo_reduces_once_per_window() {
    let mut script = agreed();
    script.write(10_000);
    let threshold = |script: &Script| script.connection.info(script.instant()).ssthresh;
    assert_eq!(threshold(&script), None);
    script.answer(ACK.with(Flags::ECE), 1, 1001, 0);
    let reduced = threshold(&script).unwrap();
    assert!(reduced < 10);
    let state = |script: &Script| script.connection.info(script.instant()).ca_state;
    assert_eq!(state(&script), CaState::Cwr);
    script.answer(ACK.with(Flags::ECE), 1, 2001, 0);
    script.answer(ACK.with(Flags::ECE), 1, 10_001, 0);
    assert_eq!(threshold(&script), Some(reduced));
    assert!(script.connection.cwnd() <= reduced * 1000);
    let sent = script.write(2000);
    assert!(sent[0].flags.contains(Flags::CWR));
    assert!(!sent[1].flags.contains(Flags::CWR));
    assert_eq!(state(&script), CaState::Cwr);
    // The window with CWR in it: an echo in its acknowledgment is new.
    script.answer(ACK.with(Flags::ECE), 1, 11_001, 0);
    assert_eq!(state(&script), CaState::Cwr);
    assert!(threshold(&script).unwrap() < reduced);
}

#[test]
fn echo_without_data_out_means_nothing() {
    let mut script = agreed();
    let cwnd = script.connection.cwnd();
    script.answer(ACK.with(Flags::ECE), 1, 1, 0);
    assert_eq!(script.connection.cwnd(), cwnd);
}

#[test]
fn loss_after_an_echo_reduces_no_further() {
    let mut script = agreed();
    script.write(10_000);
    script.answer(ACK.with(Flags::ECE), 1, 1001, 0);
    let ssthresh = script.connection.info(script.instant()).ssthresh;
    let mut sent = Vec::new();
    for _ in 0..3 {
        sent = script.answer(ACK, 1, 1001, 0);
    }
    assert!(sent[0].retransmission);
    assert_eq!(sent[0].codepoint, Codepoint::NotEct);
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Recovery);
    assert_eq!(info.ssthresh, ssthresh);
}

#[test]
fn time_out_is_told_with_new_data() {
    let mut script = agreed();
    script.write(1000);
    let (_, sent) = script.expire();
    assert!(sent[0].retransmission && !sent[0].flags.contains(Flags::CWR));
    script.answer(ACK, 1, 1001, 0);
    assert!(script.write(1000)[0].flags.contains(Flags::CWR));
}
