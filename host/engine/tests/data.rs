// SPDX-License-Identifier: GPL-2.0

//! Moving data, segment by segment: windows, probes, Nagle, acknowledgments, keepalive.

use crate::common::script::*;
use oxtcp_engine::engine::*;

#[test]
fn nagle_lets_one_small_segment_out() {
    let mut script = Script::established(&plain());
    assert_eq!(shapes(&script.write(100)), [(1, 100)]);
    assert_eq!(shapes(&script.write(100)), []);
    assert_eq!(
        shapes(&script.write(900)),
        [(101, 1000)],
        "full ones may go"
    );
    assert_eq!(shapes(&script.write(50)), []);
    assert_eq!(shapes(&script.answer(ACK, 1, 101, 0)), [(1101, 50)]);
}

#[test]
fn nodelay_lets_all_out() {
    let mut script = Script::established(&plain());
    script.write(100);
    script.write(100);
    script.connection.set_nodelay(script.instant(), true);
    assert_eq!(shapes(&script.sent()), [(101, 100)]);
    assert_eq!(shapes(&script.write(100)), [(201, 100)]);
}

#[test]
fn cork_holds_for_a_while() {
    let mut script = Script::established(&plain());
    script.connection.set_cork(script.instant(), true);
    assert_eq!(shapes(&script.write(1_100)), [(1, 1000)]);
    script.answer(ACK, 1, 1001, 0);
    let (wait, sent) = script.expire();
    assert!((200..=300).contains(&wait), "{wait}");
    assert_eq!(shapes(&sent), [(1001, 100)]);
    assert_eq!(shapes(&script.write(10)), []);
    script.connection.set_cork(script.instant(), false);
    assert_eq!(shapes(&script.sent()), [(1101, 10)]);
}

#[test]
fn more_holds_the_tail() {
    let mut script = Script::established(&plain());
    script.connection.on_write(script.instant(), 1_500, true);
    assert_eq!(shapes(&script.sent()), [(1, 1000)]);
    let sent = script.write(100);
    assert_eq!(shapes(&sent), [(1001, 600)]);
    assert!(sent[0].flags.psh());
}

#[test]
fn push_marks_the_end_of_a_write() {
    let mut script = Script::established(&plain());
    let sent = script.write(2_500);
    let pushes: Vec<bool> = sent.iter().map(|s| s.flags.psh()).collect();
    assert_eq!(pushes, [false, false, true]);
}

#[test]
fn a_range_carries_many_segments() {
    let mut script = Script::established(&plain());
    script.max_len = 4_500;
    let sent = script.write(6_500);
    assert_eq!(shapes(&sent), [(1, 4000), (4001, 2500)]);
    assert_eq!(sent[0].mss, 1000);
    assert_eq!(sent[0].wire_segments(), 4);
}

#[test]
fn the_window_limits() {
    let mut script = Script::established(&plain());
    script.window = 2_500;
    script.answer(ACK, 1, 1, 0);
    script.window = 2_500;
    let mut ack = segment(ACK, 2, 1, 0);
    ack.window = 2_500;
    let _ = script.give(&segment(ACK, 1, 1, 1));
    let _ = script.give(&ack);
    script.sent();
    assert_eq!(shapes(&script.write(5_000)), [(1, 1000), (1001, 1000)]);
    let sent = script.answer(ACK, 2, 1001, 0);
    assert_eq!(shapes(&sent), [(2001, 1000)]);
}

#[test]
fn closed_window_is_probed_with_back_off() {
    let mut script = Script::established(&plain());
    script.window = 0;
    script.answer(ACK, 1, 1, 0);
    assert_eq!(shapes(&script.write(3_000)), []);
    let mut waits = Vec::new();
    for _ in 0..6 {
        let (wait, sent) = script.expire();
        waits.push(wait);
        // Linux's probe: an old sequence number and no data.
        assert_eq!(shape(&sent[0]), (0, 0, ACK));
        assert_eq!(sent.len(), 1);
    }
    assert_eq!(waits, [300, 600, 1200, 2400, 4800, 9600]);
    // Answers keep the connection alive for ever.
    for _ in 0..50 {
        script.answer(ACK, 1, 1, 0);
        let (wait, _) = script.expire();
        assert!(wait <= 120_000);
    }
    assert_eq!(script.connection.state(), State::Established);
    script.window = 65_535;
    let sent = script.answer(ACK, 1, 1, 0);
    assert_eq!(shapes(&sent), [(1, 1000), (1001, 1000), (2001, 1000)]);
    assert_eq!(script.connection.info(script.instant()).backoff, 0);
}

#[test]
fn unanswered_probes_end_the_connection() {
    let mut script = Script::established(&plain());
    script.window = 0;
    script.answer(ACK, 1, 1, 0);
    script.write(1);
    let mut probes = 0;
    while script.connection.state() != State::Closed {
        probes += script.expire().1.len();
    }
    assert_eq!(probes, 15);
    assert_eq!(script.events(), [Event::Closed(Reason::TimedOut)]);
}

#[test]
fn small_windows_are_used_at_last() {
    let mut script = Script::established(&plain());
    script.window = 100;
    let mut small = segment(ACK, 1, 1, 1);
    small.window = 100;
    let _ = script.give(&small);
    script.sent();
    assert_eq!(shapes(&script.write(1_000)), [], "silly");
    // That the owner takes nothing for a moment does not stop the clock.
    let deadline = script.connection.next_deadline();
    assert!(deadline.is_some());
    script.max_len = 0;
    script.sent();
    assert_eq!(script.connection.next_deadline(), deadline);
    script.max_len = 1_000;
    let (wait, sent) = script.expire();
    assert!(wait <= 300);
    assert_eq!(shapes(&sent), [(1, 100)]);
}

#[test]
fn the_fin_needs_window_too() {
    let mut script = Script::established(&plain());
    script.window = 0;
    script.answer(ACK, 1, 1, 0);
    script.connection.shutdown_write(script.instant());
    assert_eq!(shapes(&script.sent()), []);
    let (_, sent) = script.expire();
    assert_eq!(shape(&sent[0]), (0, 0, ACK));
    script.window = 10;
    let sent = script.answer(ACK, 1, 1, 0);
    assert_eq!(shape(&sent[0]), (1, 0, FIN));
}

#[test]
fn first_segments_are_acknowledged_at_once_then_every_second() {
    let mut script = Script::established(&plain());
    let mut acks = Vec::new();
    for i in 0..40 {
        script.pass(1);
        acks.push(script.answer(ACK, 1 + i * 1000, 1, 1000).len());
        script.connection.on_read(script.instant(), 1000);
    }
    assert!(acks[..16].iter().all(|&n| n == 1), "{acks:?}");
    assert!(
        acks[20..]
            .chunks(2)
            .all(|pair| pair == [0, 1] || pair == [1, 0]),
        "{acks:?}"
    );
}

#[test]
fn a_lone_segment_is_acknowledged_after_a_delay() {
    let mut script = Script::established(&plain());
    for i in 0..20 {
        script.pass(1);
        script.answer(ACK, 1 + i * 1000, 1, 1000);
    }
    let owed = script.connection.next_deadline().is_some();
    let seq = 20_001;
    if !owed {
        assert_eq!(script.answer(ACK, seq, 1, 1000).len(), 0);
    }
    let (wait, sent) = script.expire();
    assert!((40..=200).contains(&wait), "{wait}");
    assert_eq!(shape(&sent[0]), (1, 0, ACK));
    assert_eq!(script.connection.next_deadline(), None);
}

#[test]
fn a_small_segment_is_acknowledged_when_it_is_read() {
    let mut script = Script::established(&plain());
    for i in 0..20 {
        script.pass(1);
        script.answer(ACK, 1 + i * 1000, 1, 1000);
    }
    script.connection.on_read(script.instant(), 20_000);
    script.sent();
    script.pass(1);
    let mut acks = script.answer(ACK, 20_001, 1, 1000).len();
    script.connection.on_read(script.instant(), 1_000);
    acks += script.sent().len();
    script.pass(1);
    acks += script.answer(ACK, 21_001, 1, 1000).len();
    script.connection.on_read(script.instant(), 1_000);
    acks += script.sent().len();
    assert_eq!(acks, 1, "full segments wait for the second");
    script.pass(50);
    script.connection.on_deadline(script.instant());
    script.sent();
    assert!(script.answer(ACK, 22_001, 1, 10).is_empty());
    script.connection.on_read(script.instant(), 9);
    assert!(script.sent().is_empty(), "not all is read");
    script.connection.on_read(script.instant(), 1);
    assert_eq!(script.sent().len(), 1);
}

#[test]
fn an_answer_carries_the_acknowledgment() {
    let mut script = Script::established(&plain());
    for i in 0..20 {
        script.pass(1);
        script.answer(ACK, 1 + i * 100, 1, 100);
    }
    let sent = script.write(10);
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].ack, SeqNum(IRS + 2001));
    let timer = script.connection.next_deadline().unwrap();
    assert!(
        timer >= ms(script.now + 200),
        "only the retransmission timer"
    );
}

#[test]
fn disorder_is_held_and_reported() {
    let mut script = Script::established(&Config {
        sack: true,
        ..plain()
    });
    let payload = script.give(&segment(ACK, 1001, 1, 500));
    assert_eq!(
        payload,
        Payload::Hold {
            offset: 1000,
            skip: 0,
            len: 500
        }
    );
    let blocks = |sent: &[SegmentOut]| -> Vec<(u32, u32)> {
        let to = |seq: SeqNum| seq.0.wrapping_sub(IRS);
        sent[0]
            .options
            .sack
            .as_slice()
            .iter()
            .map(|b| (to(b.left), to(b.right)))
            .collect()
    };
    assert_eq!(blocks(&script.sent()), [(1001, 1501)]);
    let sent = script.answer(ACK, 3001, 1, 500);
    assert_eq!(blocks(&sent), [(3001, 3501), (1001, 1501)], "latest first");
    let sent = script.answer(ACK, 1501, 1, 500);
    assert_eq!(blocks(&sent), [(1001, 2001), (3001, 3501)]);
    // A repeated segment is reported as such (RFC 2883).
    let sent = script.answer(ACK, 3001, 1, 500);
    assert_eq!(blocks(&sent), [(3001, 3501), (3001, 3501), (1001, 2001)]);
    let payload = script.give(&segment(ACK, 1, 1, 1000));
    assert_eq!(payload, Payload::Append { skip: 0, len: 1000 });
    assert_eq!(script.connection.readable(), 2000);
    let sent = script.sent();
    assert_eq!(
        sent[0].ack,
        SeqNum(IRS + 2001),
        "at once: a hole was filled"
    );
    assert_eq!(blocks(&sent), [(3001, 3501)]);
}

#[test]
fn overlaps_are_trimmed() {
    let mut script = Script::established(&plain());
    let _ = script.give(&segment(ACK, 1, 1, 100));
    assert_eq!(
        script.give(&segment(ACK, 51, 1, 100)),
        Payload::Append { skip: 50, len: 50 }
    );
    assert_eq!(script.give(&segment(ACK, 1, 1, 150)), Payload::Discard);
    assert_eq!(script.connection.readable(), 150);
}

#[test]
fn data_beyond_the_window_is_taken_once() {
    let mut script = Script::established(&Config {
        receive_window: 1_000,
        ..plain()
    });
    let payload = script.give(&segment(ACK, 1, 1, 1_400));
    assert_eq!(payload, Payload::Append { skip: 0, len: 1400 });
    script.room = 0;
    let _ = script.sent();
    let acks = script.answer(ACK, 1401, 1, 100);
    assert_eq!(acks[0].ack, SeqNum(IRS + 1401), "no room, but an answer");
    assert_eq!(acks[0].window, 0);
}

#[test]
fn the_reader_opens_the_window() {
    let mut script = Script::established(&Config {
        receive_window: 10_000,
        ..plain()
    });
    script.room = 0;
    let mut edge = 10_000;
    for i in 0..10 {
        script.room = 10_000 - (i + 1) * 1_000;
        for ack in script.answer(ACK, 1 + i * 1_000, 1, 1_000) {
            let new = ack.ack.0 - IRS - 1 + u32::from(ack.window);
            assert!(new >= edge, "the right edge moved left");
            edge = new;
        }
    }
    assert_eq!(edge, 10_000);
    script.pass(1_000);
    script.connection.on_deadline(script.instant());
    script.sent();
    script.room = 400;
    script.connection.on_read(script.instant(), 400);
    assert!(script.sent().is_empty(), "too little to tell");
    script.room = 6_000;
    script.connection.on_read(script.instant(), 5_600);
    let sent = script.sent();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].window >= 5_000);
}

#[test]
fn keepalive_probes_and_gives_up() {
    let mut script = Script::established(&Config {
        keepalive: Some(KeepAlive::default()),
        ..plain()
    });
    let start = script.now;
    let mut waits = Vec::new();
    for _ in 0..9 {
        let (wait, sent) = script.expire();
        waits.push(wait / 1000);
        assert_eq!(shape(&sent[0]), (0, 0, ACK));
    }
    assert_eq!(waits, [7200, 75, 75, 75, 75, 75, 75, 75, 75]);
    let (_, sent) = script.expire();
    assert!(sent[0].flags.rst());
    assert_eq!(script.events(), [Event::Closed(Reason::TimedOut)]);
    assert_eq!((script.now - start) / 1000, 7200 + 9 * 75);
}

#[test]
fn keepalive_answers_count() {
    let mut script = Script::established(&Config {
        keepalive: Some(KeepAlive::default()),
        ..plain()
    });
    for _ in 0..50 {
        let (_, sent) = script.expire();
        if !sent.is_empty() {
            script.pass(10);
            script.answer(ACK, 1, 1, 0);
        }
    }
    assert_eq!(script.connection.state(), State::Established);
    script.connection.set_keepalive(script.instant(), None);
    assert_eq!(script.connection.next_deadline(), None);
}

#[test]
fn keepalive_probe_of_the_peer_is_answered_at_a_limited_rate() {
    let mut script = Script::established(&plain());
    assert_eq!(script.answer(ACK, 0, 1, 0).len(), 1);
    assert_eq!(script.answer(ACK, 0, 1, 0).len(), 0);
    script.pass(500);
    assert_eq!(script.answer(ACK, 0, 1, 0).len(), 1);
}

#[test]
fn old_timestamps_are_refused() {
    // RFC 7323, 5.3.
    let mut script = Script::connect(&Config::default());
    script.sent();
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options.timestamps = Some(Timestamps {
        value: 1_000,
        echo: 0,
    });
    let _ = script.give(&syn_ack);
    script.sent();
    let mut data = segment(ACK, 1, 1, 10);
    data.options.timestamps = Some(Timestamps {
        value: 990,
        echo: 0,
    });
    assert_eq!(script.give(&data), Payload::Discard);
    let sent = script.sent();
    assert_eq!(sent[0].options.timestamps.unwrap().echo, 1_000);
    data.options.timestamps = Some(Timestamps {
        value: 1_020,
        echo: 0,
    });
    assert_eq!(script.give(&data), Payload::Append { skip: 0, len: 10 });
    let sent = script.sent();
    assert_eq!(sent[0].options.timestamps.unwrap().echo, 1_020);
}

#[test]
fn control_segments_leave_when_data_cannot() {
    let mut script = Script::established(&plain());
    script.max_len = 0;
    assert!(script.write(100).is_empty());
    assert_eq!(script.answer(ACK, 1, 1, 10).len(), 1);
    script.max_len = 1_000;
    assert_eq!(shapes(&script.sent()), [(1, 100)]);
}

#[test]
fn a_smaller_route_cuts_smaller() {
    let mut script = Script::established(&plain());
    script.write(1_000);
    script.connection.set_mss(500);
    let sent = script.sent();
    assert_eq!(shapes(&sent), [(1, 1000)], "at once");
    assert!(sent.iter().all(|s| s.retransmission && s.mss == 500));
    assert_eq!(
        script.connection.info(script.instant()).cwnd,
        10,
        "as many as before"
    );
    script.connection.set_mss(1_000);
    assert_eq!(shapes(&script.sent()), []);
}

/// RFC 9293, 3.8.5; RFC 6093, 3: the pointer names the octet after the urgent one.
#[test]
fn urgent_data_is_announced_until_it_is_acknowledged() {
    let mut script = Script::established(&plain());
    script.max_len = 64_000;
    script.connection.on_write(script.instant(), 2_500, false);
    script.connection.mark_urgent();
    let sent = script.sent();
    let urgent = |s: &SegmentOut| (shape(s).0, s.data_len(), s.flags.urg(), s.urgent);
    let sent: Vec<_> = sent.iter().map(urgent).collect();
    // Each by itself, and the small one in spite of Nagle.
    let wanted = [
        (1, 1_000, true, 2_500),
        (1_001, 1_000, true, 1_500),
        (2_001, 500, true, 500),
    ];
    assert_eq!(sent, wanted);
    script.pass(100);
    script.answer(ACK, 1, 2_501, 0);
    let sent = script.write(100);
    assert_eq!(urgent(&sent[0]), (2_501, 100, false, 0));
    let mut header = [0; 60];
    let mut segment = sent[0];
    segment.flags = segment.flags.with(Flags::URG);
    segment.urgent = 0x0102;
    segment.write_header(1, 2, &mut header);
    assert_eq!(header[18..20], [1, 2]);
}

#[test]
fn urgent_data_is_heard_of_once_and_kept_apart() {
    let mut script = Script::established(&plain());
    let mut first = segment(ACK.with(Flags::URG), 1, 1, 100);
    first.urgent = 150;
    let _ = script.give(&first);
    assert_eq!(script.events(), [Event::Urgent, Event::Readable]);
    assert_eq!(script.connection.urgent_in(&first), None);
    assert_eq!(
        script.connection.urgent(),
        Some((149, UrgentOctet::Awaited))
    );
    let mut second = segment(ACK.with(Flags::URG), 101, 1, 100);
    second.urgent = 50;
    let _ = script.give(&second);
    assert_eq!(script.events(), [Event::Readable], "the same");
    assert_eq!(script.connection.urgent_in(&second), Some(49));
    script.connection.set_urgent_octet(7);
    assert_eq!(
        script.connection.urgent(),
        Some((149, UrgentOctet::Here(7)))
    );
    script.connection.on_read(script.instant(), 149);
    assert!(script.connection.urgent().is_some());
    script.connection.on_read(script.instant(), 1);
    assert_eq!(script.connection.urgent(), None);
}
