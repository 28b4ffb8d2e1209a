// SPDX-License-Identifier: GPL-2.0

//! RFC 7323: window scale, timestamps, and what they keep out.

use crate::common::script::*;
use oxtcp_engine::engine::*;

/// Returns a connection with timestamps; the peer's clock stands at `value`.
fn stamped(value: u32) -> Script {
    let config = Config {
        timestamps: true,
        ..plain()
    };
    let mut script = Script::connect(&config);
    script.sent();
    script.pass(100);
    let mut syn_ack = at(SYN_ACK, 0, 1, 0, value);
    syn_ack.options.mss = Some(1_000);
    let _ = script.give(&syn_ack);
    script.sent();
    assert_eq!(script.events(), [Event::Established]);
    script
}

/// Returns a segment of the peer with a timestamp that echoes nothing.
fn at(flags: Flags, seq: u32, ack: u32, len: u32, value: u32) -> SegmentIn {
    let mut segment = segment(flags, seq, ack, len);
    segment.options.timestamps = Some(Timestamps { value, echo: 0 });
    segment
}

/// Returns what the acknowledgment that is sent within 200 ms echoes.
fn echo(script: &mut Script) -> u32 {
    let mut sent = script.sent();
    if sent.is_empty() {
        sent = script.expire().1;
    }
    sent[0].options.timestamps.unwrap().echo
}

/// Lets the quick acknowledgments of a new connection pass; returns the next sequence number.
fn past_quick_acks(script: &mut Script, value: u32) -> u32 {
    for i in 0..40 {
        let _ = script.give(&at(ACK, 1 + i * 1_000, 1, 1_000, value));
        script.connection.on_read(script.instant(), 1_000);
        script.sent();
        script.pass(1);
    }
    if script.connection.next_deadline().is_some() {
        script.expire();
    }
    40_001
}

// Window scale.

#[test]
fn a_scale_above_14_counts_as_14() {
    // Section 2.3.
    for shift in [15, 31, 32, 255] {
        let mut script = Script::connect(&Config {
            window_scaling: true,
            ..plain()
        });
        script.sent();
        let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
        syn_ack.options = Options::parse(&[1, 3, 3, shift]);
        let _ = script.give(&syn_ack);
        script.sent();
        let _ = script.give(&segment(ACK, 1, 1, 0));
        let info = script.connection.info(script.instant());
        assert_eq!(info.snd_wnd, 65_535 << 14);
    }
}

#[test]
fn windows_of_syns_are_not_scaled() {
    // Section 2.2.
    let mut script = Script::connect(&Config {
        window_scaling: true,
        ..plain()
    });
    assert_eq!(script.sent()[0].window, 65_000);
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.window = 3_000;
    syn_ack.options.window_scale = Some(WindowScale::new(5));
    let _ = script.give(&syn_ack);
    let info = script.connection.info(script.instant());
    assert_eq!(info.snd_wnd, 3_000);
}

#[test]
fn no_scale_where_one_end_offers_none() {
    // Section 1.3.
    for (ours, theirs) in [(true, false), (false, true)] {
        let mut script = Script::connect(&Config {
            window_scaling: ours,
            ..plain()
        });
        assert_eq!(script.sent()[0].options.window_scale.is_some(), ours);
        let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
        syn_ack.options.window_scale = theirs.then(|| WindowScale::new(5));
        let _ = script.give(&syn_ack);
        let answer = script.answer(ACK, 1, 1, 10);
        assert!(answer[0].window > 60_000, "ours");
        let info = script.connection.info(script.instant());
        assert_eq!((info.snd_wnd, info.window_scales), (65_535, None));
    }
}

// Timestamps.

#[test]
fn the_timestamps_of_a_handshake() {
    // Section 3.2: no echo without ACK; an answer only to an offer.
    let config = Config {
        timestamps: true,
        ..plain()
    };
    let mut script = Script::connect(&config);
    assert_eq!(script.sent()[0].options.timestamps.unwrap().echo, 0);
    let _ = script.give(&segment(SYN_ACK, 0, 1, 0));
    assert_eq!(script.sent()[0].options.timestamps, None, "not agreed");

    let mut half_open = HalfOpen::new(ms(0), &config, &at(SYN, 0, 0, 0, 321), isn());
    let answer = half_open.syn_ack(ms(0));
    assert_eq!(answer.options.timestamps.unwrap().echo, 321);
    let mut half_open = HalfOpen::new(ms(0), &config, &segment(SYN, 0, 0, 0), isn());
    assert_eq!(half_open.syn_ack(ms(0)).options.timestamps, None);
}

#[test]
fn agreed_timestamps_are_in_every_segment() {
    // Section 3.2; also in a RST.
    let mut script = stamped(500);
    let mut sent = script.write(1_500);
    sent.extend(script.answer(ACK, 5_000, 1, 10));
    sent.extend(script.expire().1);
    script.connection.shutdown_write(script.instant());
    sent.extend(script.sent());
    script.connection.abort(script.instant());
    sent.extend(script.sent());
    assert!(sent.last().unwrap().flags.rst());
    assert!(sent.len() >= 4);
    for segment in sent {
        assert_eq!(segment.options.timestamps.unwrap().echo, 500);
    }
}

#[test]
fn the_clock_is_of_milliseconds() {
    // Section 5.4: between 1 ms and 1 s per tick, never backwards.
    let mut script = stamped(500);
    let mut last = script.write(10)[0].options.timestamps.unwrap().value;
    for gap in [0, 1, 10, 1_000, 100_000] {
        script.pass(gap);
        let mut next = last;
        for segment in script.answer(ACK, 5_000, 1, 10) {
            next = segment.options.timestamps.unwrap().value;
        }
        assert_eq!(u64::from(next.wrapping_sub(last)), gap);
        last = next;
    }
}

#[test]
fn a_delayed_acknowledgment_echoes_the_first_segment() {
    // Section 4.3, situation A.
    let mut script = stamped(500);
    let next = past_quick_acks(&mut script, 500);
    script.pass(10);
    assert!(script.give(&at(ACK, next, 1, 400, 600)) != Payload::Discard);
    assert!(script.sent().is_empty(), "delayed");
    let _ = script.give(&at(ACK, next + 400, 1, 400, 650));
    assert_eq!(echo(&mut script), 600);
}

#[test]
fn behind_a_hole_the_last_in_order_is_echoed() {
    // Section 4.3, situation B, and C: what fills the hole.
    let mut script = stamped(500);
    let _ = script.give(&at(ACK, 1, 1, 100, 510));
    assert_eq!(echo(&mut script), 510);
    let _ = script.give(&at(ACK, 201, 1, 100, 520));
    assert_eq!(echo(&mut script), 510);
    let _ = script.give(&at(ACK, 101, 1, 100, 530));
    assert_eq!(echo(&mut script), 530);
}

#[test]
fn an_echo_times_only_new_data() {
    // Section 4.1: nothing but an acknowledgment of new data gives a sample.
    let mut script = stamped(500);
    let before = script.connection.info(script.instant()).srtt;
    let first = script.write(1_000)[0].options.timestamps.unwrap().value;
    script.pass(30_000);
    let mut duplicate = at(ACK, 1, 1, 0, 510);
    duplicate.options.timestamps.as_mut().unwrap().echo = first;
    let _ = script.give(&duplicate);
    assert_eq!(script.connection.info(script.instant()).srtt, before);
}

#[test]
fn an_echo_ends_the_back_off_within_a_tick() {
    // RFC 6298, section 5, with timestamps in place of Karn's rule: also where the path is shorter
    // than a tick of the clock.
    let mut script = stamped(500);
    script.write(1_000);
    script.expire();
    let (_, sent) = script.expire();
    assert_eq!(script.connection.info(script.instant()).backoff, 2);
    let mut answer = at(ACK, 1, 1_001, 0, 510);
    answer.options.timestamps.as_mut().unwrap().echo = sent[0].options.timestamps.unwrap().value;
    let _ = script.give(&answer);
    assert_eq!(script.connection.info(script.instant()).backoff, 0);
}

// PAWS.

#[test]
fn what_is_old_is_acknowledged_and_dropped() {
    // Section 5.3, R1 and R3: also where its sequence number is right.
    let mut script = stamped(5_000);
    assert_eq!(script.give(&at(ACK, 1, 1, 10, 4_000)), Payload::Discard);
    let sent = script.sent();
    assert_eq!(shape(&sent[0]), (1, 0, ACK));
    assert_eq!(sent[0].options.timestamps.unwrap().echo, 5_000);
    let payload = script.give(&at(ACK, 1, 1, 10, 5_001));
    assert_eq!(payload, Payload::Append { skip: 0, len: 10 });
}

#[test]
fn a_reset_need_not_be_new() {
    // Section 5.2.
    let mut script = stamped(5_000);
    let _ = script.give(&at(RST, 1, 0, 0, 4_000));
    assert_eq!(script.events(), [Event::Closed(Reason::Reset)]);
}

#[test]
fn an_idle_connection_forgets_the_timestamp() {
    // Section 5.5: after 24 days the peer's clock may have gone round.
    let mut script = stamped(5_000);
    script.pass(25 * 24 * 3_600_000);
    let payload = script.give(&at(ACK, 1, 1, 10, 4_000));
    assert_eq!(payload, Payload::Append { skip: 0, len: 10 });
}

#[test]
fn segments_without_timestamp_are_taken() {
    // Section 3.2 would drop them; Linux does not.
    let mut script = stamped(5_000);
    let payload = script.give(&segment(ACK, 1, 1, 10));
    assert_eq!(payload, Payload::Append { skip: 0, len: 10 });
}
