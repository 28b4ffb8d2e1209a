// SPDX-License-Identifier: GPL-2.0

//! Requirements of RFC 9293, Appendix B, that no other test is about. Documentation/rfc9293.rst says
//! which test stands for which.

use crate::common::script::*;
use oxtcp_engine::engine::*;

/// Returns a connection whose cwnd never matters.
fn without_cwnd() -> Config {
    Config {
        initial_cwnd: 1_000,
        ..plain()
    }
}

/// Returns an established active open whose peer sent `options` in its SYN-ACK.
fn established_with(config: &Config, options: Options) -> Script {
    let mut script = Script::connect(config);
    script.sent();
    script.pass(100);
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options = options;
    let _ = script.give(&syn_ack);
    assert_eq!(script.sent().len(), 1);
    assert_eq!(script.events(), [Event::Established]);
    script
}

/// Returns the octets that leave when `len` are written.
fn octets(sent: &[SegmentOut]) -> u32 {
    sent.iter().map(SegmentOut::data_len).sum()
}

// PSH.

#[test]
fn successive_pushes_become_one() {
    // SHLD-27: what several calls wrote leaves in one segment with one PSH.
    let mut script = Script::established(&plain());
    script.max_len = 0;
    for _ in 0..5 {
        script.write(100);
    }
    script.max_len = 1_000;
    let sent = script.sent();
    assert_eq!(shapes(&sent), [(1, 500)]);
    assert!(sent[0].flags.psh());
}

#[test]
fn a_push_inside_a_segment_is_not_lost() {
    // MUST-61: the last segment of a write has PSH even where another write follows in it.
    let mut script = Script::established(&plain());
    script.max_len = 0;
    script.write(1_500);
    script.write(1_500);
    script.max_len = 1_000;
    let sent = script.sent();
    let pushes: Vec<bool> = sent.iter().map(|s| s.flags.psh()).collect();
    assert_eq!(pushes, [false, false, true]);
    script.max_len = 0;
    script.write(500);
    script.connection.on_write(script.instant(), 600, true);
    script.max_len = 1_000;
    let sent = script.answer(ACK, 1, 3_001, 0);
    assert_eq!(shapes(&sent), [(3_001, 1_000), (4_001, 100)]);
    assert!(sent[0].flags.psh(), "the first of the two ends in it");
}

// Window.

#[test]
fn the_window_is_unsigned() {
    // MUST-1: 65,535 is no small negative number.
    let mut script = Script::established(&without_cwnd());
    script.max_len = 1 << 20;
    assert_eq!(octets(&script.write(100_000)), 65_000);
    assert_eq!(script.connection.info(script.instant()).snd_wnd, 65_535);
}

#[test]
fn windows_have_32_bits() {
    // REC-1: both windows at the largest scale.
    let config = Config {
        window_scaling: true,
        receive_window: u32::MAX,
        max_receive_window: u32::MAX,
        ..plain()
    };
    let options = Options {
        mss: Some(1_000),
        window_scale: Some(WindowScale::MAX),
        ..Options::default()
    };
    let mut script = established_with(&config, options);
    script.room = 1 << 30;
    let sent = script.answer(ACK, 1, 1, 10);
    assert_eq!(u32::from(sent[0].window) << 14, 65_535 << 14);
    let info = script.connection.info(script.instant());
    assert_eq!((info.snd_wnd, info.rcv_wnd), (65_535 << 14, 65_535 << 14));
}

#[test]
fn a_shrunk_window_is_obeyed() {
    // MUST-34, SHLD-15, SHLD-16: no new data beyond it, but old data within is sent again.
    let mut script = Script::established(&plain());
    script.write(8_000);
    script.window = 2_000;
    assert!(script.answer(ACK, 1, 3_001, 0).is_empty());
    assert!(script.write(5_000).is_empty(), "nothing new");
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(3_001, 1_000)], "as after any time-out");
    let sent = script.answer(ACK, 1, 4_001, 0);
    assert_eq!(shapes(&sent), [(4_001, 1_000), (5_001, 1_000)]);
    assert!(script
        .answer(ACK, 1, 5_001, 0)
        .iter()
        .all(|s| s.seq.0 + s.data_len() <= ISS + 7_001));
    // The window opens again: what was beyond it leaves.
    script.window = 65_535;
    let mut una = 7_001;
    for _ in 0..20 {
        for segment in script.answer(ACK, 1, una, 0) {
            una = una.max(segment.seq.0 - ISS + segment.data_len());
        }
    }
    assert_eq!(script.connection.acked(), 13_000);
}

#[test]
fn data_beyond_a_shrunk_window_does_not_end_the_connection() {
    // SHLD-17: an hour with the right edge left of what was sent, the peer answering.
    let mut script = Script::established(&plain());
    script.write(3_000);
    script.window = 0;
    script.answer(ACK, 1, 1, 0);
    let end = script.now + 3_600_000;
    while script.now < end {
        let (_, sent) = script.expire();
        assert!(octets(&sent) <= 1_000, "one segment at a time, as a probe");
        script.answer(ACK, 1, 1, 0);
        assert_eq!(script.connection.state(), State::Established);
    }
}

#[test]
fn a_closed_window_hides_no_control() {
    // MUST-66: our window is zero; ACK, and RST behind it, still count.
    let mut script = Script::established(&Config {
        receive_window: 1_000,
        ..plain()
    });
    script.room = 0;
    script.answer(ACK, 1, 1, 1_000);
    assert_eq!(script.connection.info(script.instant()).rcv_wnd, 0);
    script.write(100);
    script.answer(ACK, 1_001, 101, 0);
    assert_eq!(script.connection.acked(), 100);
    script.answer(RST, 1_001, 0, 0);
    assert_eq!(script.events().last(), Some(&Event::Closed(Reason::Reset)));
}

#[test]
fn the_first_probe_comes_after_a_time_out() {
    // SHLD-29, SHLD-30.
    let mut script = Script::established(&plain());
    script.window = 0;
    script.answer(ACK, 1, 1, 0);
    let rto = script.connection.info(script.instant()).rto;
    script.write(100);
    let (first, sent) = script.expire();
    assert_eq!(first, rto.as_millis());
    assert_eq!(sent.len(), 1);
    let (second, _) = script.expire();
    assert_eq!(second, 2 * first);
}

// Options.

#[test]
fn options_are_read_in_any_segment() {
    // MUST-5: also with data and with FIN; options of a SYN mean nothing elsewhere (MUST-65).
    let config = Config {
        timestamps: true,
        ..plain()
    };
    let timestamps = |value, echo| Some(Timestamps { value, echo });
    let options = Options {
        mss: Some(1_000),
        timestamps: timestamps(500, 0),
        ..Options::default()
    };
    let mut script = established_with(&config, options);
    let before = script.connection.send_mss();
    for (seq, flags, len) in [(1, ACK, 0), (1, ACK, 10), (11, FIN, 0)] {
        let mut segment = segment(flags, seq, 1, len);
        segment.options.timestamps = timestamps(600 + seq, 0);
        segment.options.mss = Some(77);
        segment.options.window_scale = Some(WindowScale::new(9));
        let _ = script.give(&segment);
        script.pass(40);
        script.connection.on_deadline(script.instant());
        if let Some(answer) = script.sent().last() {
            assert_eq!(answer.options.timestamps.unwrap().echo, 600 + seq);
            assert_eq!(answer.options.mss, None);
        }
    }
    assert_eq!(script.connection.state(), State::CloseWait);
    assert_eq!(script.connection.send_mss(), before);
    assert_eq!(script.connection.info(script.instant()).snd_wnd, 65_535);
}

#[test]
fn options_need_no_alignment() {
    // MUST-64.
    let mut bytes = vec![1];
    bytes.extend([
        2, 4, 5, 180, 1, 1, 3, 3, 7, 8, 10, 0, 0, 1, 0, 0, 0, 0, 9, 4, 2,
    ]);
    let options = Options::parse(&bytes);
    assert_eq!(options.mss, Some(1_460));
    assert_eq!(options.window_scale, Some(WindowScale::new(7)));
    let timestamps = Timestamps {
        value: 256,
        echo: 9,
    };
    assert_eq!(options.timestamps, Some(timestamps));
    assert!(options.sack_permitted);
}

#[test]
fn the_segment_size_leaves_room_for_options() {
    // MUST-16: the peer's MSS less what the options of this very segment take.
    let config = Config {
        sack: true,
        timestamps: true,
        ..plain()
    };
    let options = Options {
        mss: Some(1_000),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 5, echo: 0 }),
        ..Options::default()
    };
    let mut script = established_with(&config, options);
    let whole = |sent: &[SegmentOut]| {
        let first = sent.first().expect("data");
        (usize::from(first.mss) + first.options.space(), first.mss)
    };
    assert_eq!(whole(&script.write(1_000)), (1_000, 988));
    // Data behind a hole: a block has to be told.
    let mut late = segment(ACK, 500, 1, 10);
    late.options.timestamps = Some(Timestamps { value: 5, echo: 0 });
    let _ = script.give(&late);
    assert_eq!(whole(&script.write(1_000)), (1_000, 976));
}

#[test]
fn without_an_option_the_segment_size_is_536() {
    // MUST-15.
    let mut script = established_with(&plain(), Options::default());
    assert_eq!(script.connection.send_mss(), 536);
    assert_eq!(script.write(1_000)[0].mss, 536);
}

#[test]
fn over_ipv6_it_is_1220() {
    // MUST-15.
    let config = Config {
        mss: 1440,
        default_mss: 1220,
        ..plain()
    };
    let script = established_with(&config, Options::default());
    assert_eq!(script.connection.send_mss(), 1220);
}

// Opening.

#[test]
fn syn_received_remembers_who_opened() {
    // MUST-11: a RST ends an active open; a record of a listener just goes.
    let mut script = Script::connect(&plain());
    script.sent();
    script.answer(SYN, 0, 0, 0);
    assert_eq!(script.connection.state(), State::SynReceived);
    script.answer(RST, 1, 0, 0);
    assert_eq!(script.events(), [Event::Closed(Reason::Refused)]);

    let mut record = HalfOpen::new(ms(0), &plain(), &segment(SYN, 0, 0, 0), isn());
    let _ = record.syn_ack(ms(0));
    let verdict = record.on_segment(ms(1), &segment(RST, 1, 0, 0), &Patience::LINUX, |_| {});
    assert_eq!(verdict, HalfOpenVerdict::Remove(None));
}

#[test]
fn data_of_a_simultaneous_open_waits() {
    // MUST-10: what was written before both SYNs met leaves with the handshake's end.
    let mut script = Script::connect(&plain());
    script.sent();
    assert!(script.write(10).is_empty());
    script.answer(SYN, 0, 0, 0);
    let sent = script.answer(ACK, 1, 1, 0);
    assert_eq!(shapes(&sent), [(1, 10)]);
}

#[test]
fn a_half_open_connection_is_discovered() {
    // RFC 9293, 3.5.1, figure 9: we crashed and open anew; the peer still knows the old connection.
    let mut script = Script::connect(&plain());
    script.sent();
    // The peer challenges our SYN with an acknowledgment of the old one.
    let reset = script.answer(ACK, 5_000, 9_000, 0);
    assert_eq!(shape(&reset[0]), (9_000, 0, RST));
    assert_eq!(script.connection.state(), State::SynSent);
    let (_, syn) = script.expire();
    assert_eq!(syn[0].flags, SYN);
    script.answer(SYN_ACK, 0, 1, 0);
    assert_eq!(script.connection.state(), State::Established);
}

// Closing.

#[test]
fn a_reset_may_carry_data() {
    // SHLD-2.
    let mut script = Script::established(&plain());
    assert_eq!(script.give(&segment(RST, 1, 0, 20)), Payload::Discard);
    assert_eq!(script.events(), [Event::Closed(Reason::Reset)]);
    assert_eq!(script.connection.readable(), 0);
}

#[test]
fn data_after_the_peers_fin_is_not_delivered() {
    // RFC 9293, 3.10.7.4, seventh check.
    let mut script = Script::established(&plain());
    script.answer(FIN, 1, 1, 10);
    assert_eq!(script.connection.state(), State::CloseWait);
    assert_eq!(script.give(&segment(ACK, 12, 1, 10)), Payload::Discard);
    assert_eq!(script.connection.readable(), 10);
}

#[test]
fn urgent_segments_without_ack_are_dropped() {
    // RFC 9293, 3.10.7.4, fifth check: no ACK, nothing counts.
    let mut script = Script::established(&plain());
    let segment = segment(Flags::URG.with(Flags::PSH), 1, 0, 10);
    assert_eq!(script.give(&segment), Payload::Discard);
    assert!(script.sent().is_empty());
}

// Acknowledging.

#[test]
fn two_segments_are_acknowledged_once() {
    // MUST-58, MUST-59: what arrived together is answered together.
    let mut script = Script::established(&plain());
    for i in 0..5 {
        let _ = script.give(&segment(ACK, 1 + i * 1_000, 1, 1_000));
    }
    let sent = script.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].ack, SeqNum(IRS + 5_001));
}

#[test]
fn nothing_is_acknowledged_that_did_not_arrive() {
    // RFC 9293, 3.4: the acknowledgment is the next octet expected, whatever the peer says.
    let mut script = Script::established(&plain());
    for (seq, len) in [(2_001, 500), (65_000, 2_000), (4_000_000_000, 10), (1, 0)] {
        for answer in script.answer(ACK, seq, 1, len) {
            assert_eq!(answer.ack, SeqNum(IRS + 1));
        }
        script.pass(600);
    }
}

// Failures.

#[test]
fn a_syn_is_given_up_like_data() {
    // MUST-22, MUST-23: repeated with back-off until the limit, then the user is told.
    let mut script = Script::connect(&plain());
    let mut syns = script.sent().len();
    let start = script.now;
    while script.connection.state() != State::Closed {
        syns += script.expire().1.len();
    }
    assert_eq!(script.events(), [Event::Closed(Reason::TimedOut)]);
    assert!(syns >= 7, "{syns}");
    assert!(script.now - start >= 120_000, "{}", script.now - start);
}

// Keepalive.

/// Returns a connection with keepalive of the usual times.
fn kept_alive() -> Script {
    let mut script = Script::established(&plain());
    let now = script.instant();
    script
        .connection
        .set_keepalive(now, Some(KeepAlive::default()));
    script
}

#[test]
fn keepalive_defaults() {
    // MUST-28: two hours.
    let mut script = kept_alive();
    let (wait, sent) = script.expire();
    assert_eq!(wait, 7_200_000);
    assert_eq!(shape(&sent[0]), (0, 0, ACK));
}

#[test]
fn nothing_is_sent_unasked_in_silence() {
    // MUST-25.
    let mut script = Script::established(&plain());
    assert_eq!(script.connection.next_deadline(), None);
    script.pass(24 * 3_600_000);
    script.connection.on_deadline(script.instant());
    assert!(script.sent().is_empty());
}

#[test]
fn keepalive_waits_for_silence() {
    // MUST-26, MUST-27: what arrives starts the time anew, and data in flight needs no probes.
    let mut script = Script::established(&plain());
    let keepalive = KeepAlive {
        idle: Duration::from_secs(10),
        interval: Duration::from_secs(1),
        probes: 3,
    };
    let now = script.instant();
    script.connection.set_keepalive(now, Some(keepalive));
    for _ in 0..5 {
        script.pass(9_000);
        script.answer(ACK, 1, 1, 0);
        script.connection.on_deadline(script.instant());
        assert!(script.sent().is_empty());
    }
    let silent_since = script.now;
    while script.sent().is_empty() {
        let deadline = script.connection.next_deadline().unwrap();
        script.now = deadline.as_nanos().div_ceil(1_000_000);
        script.connection.on_deadline(script.instant());
    }
    assert_eq!(script.now - silent_since, 10_000);
    script.answer(ACK, 1, 1, 0);
    script.write(10);
    while script.now - silent_since < 60_000 {
        for segment in script.expire().1 {
            assert_eq!(segment.data_len(), 10, "only the data, again");
        }
    }
}

#[test]
fn user_timeout_bounds_keepalive() {
    // RFC 5482, 4.2: it decides, not the number of probes.
    let mut script = kept_alive();
    let limit = Duration::from_secs(7_200 + 200);
    script.connection.set_user_timeout(Some(limit));
    let start = script.now;
    let mut probes = 0;
    while script.connection.state() != State::Closed {
        probes += script.expire().1.iter().filter(|s| !s.flags.rst()).count();
    }
    assert_eq!(probes, 3, "after 7200, 7275 and 7350 seconds");
    assert_eq!(script.now - start, 7_425_000);
    assert_eq!(script.events(), [Event::Closed(Reason::TimedOut)]);
}

#[test]
fn time_wait_ignores_rst_by_rfc_1337() {
    for (rfc1337, expected) in [
        (true, TimeWaitVerdict::Ignore),
        (false, TimeWaitVerdict::Remove),
    ] {
        let mut script = Script::established(&Config { rfc1337, ..plain() });
        script.connection.shutdown_write(script.instant());
        script.sent();
        script.answer(FIN, 1, 2, 0);
        let Some(Event::TimeWait(mut record)) = script.events().pop() else {
            panic!("no record");
        };
        let deadline = record.deadline();
        let verdict = record.on_segment(ms(script.now + 1), &segment(RST, 2, 0, 0), |_| {});
        assert_eq!((verdict, record.deadline()), (expected, deadline));
    }
}

#[test]
fn user_timeout_bounds_probing() {
    // RFC 5482, 3.1: also while a closed window is probed, whatever the peer answers.
    let mut script = Script::established(&plain());
    script.window = 0;
    script.answer(ACK, 1, 1, 0);
    let limit = Duration::from_secs(30);
    script.connection.set_user_timeout(Some(limit));
    script.write(100);
    let start = script.now;
    while script.connection.state() != State::Closed {
        if !script.expire().1.is_empty() {
            script.answer(ACK, 1, 1, 0);
        }
    }
    let lasted = script.now - start;
    assert!((30_000..=60_000).contains(&lasted), "{lasted}");
    assert_eq!(
        script.events().last(),
        Some(&Event::Closed(Reason::TimedOut))
    );
}

#[test]
fn at_r1_the_route_is_doubted() {
    // MUST-20: after three retransmissions the owner is to look for another route, and again after
    // each that follows; before, only for another of several equal paths.
    let mut script = Script::established(&plain());
    script.write(1_000);
    let mut doubts = Vec::new();
    for _ in 0..7 {
        assert_eq!(script.expire().1.len(), 1);
        doubts.extend(script.connection.take_doubt());
    }
    assert_eq!(doubts[..3], [Doubt::Path; 3]);
    assert_eq!(doubts[4..], [Doubt::Route; 3]);
    script.answer(ACK, 1, 1_001, 0);
    script.write(1_000);
    script.expire();
    assert_eq!(script.connection.take_doubt(), Some(Doubt::Path));
}

#[test]
fn a_closed_window_hides_no_urgent_data() {
    // MUST-66: the peer announces it with what it probes the window with.
    let mut script = Script::established(&Config {
        receive_window: 1_000,
        ..plain()
    });
    script.room = 0;
    script.answer(ACK, 1, 1, 1_000);
    script.events();
    let mut urgent = segment(ACK.with(Flags::URG), 1_001, 1, 0);
    urgent.urgent = 1;
    assert_eq!(script.give(&urgent), Payload::Discard);
    assert_eq!(script.events(), [Event::Urgent]);
    let mark = script.connection.urgent();
    assert_eq!(mark, Some((1_000, UrgentOctet::Awaited)));
}
