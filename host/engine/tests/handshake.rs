// SPDX-License-Identifier: GPL-2.0

//! Opening a connection, segment by segment (RFC 9293, 3.5 and 3.10.7).

use crate::common::script::*;
use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;

#[test]
fn active_open_offers_what_is_configured() {
    let config = Config::default();
    let mut script = Script::connect(&config);
    let sent = script.sent();
    let [syn] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(syn.flags, SYN);
    assert_eq!(syn.seq, SeqNum(ISS));
    assert_eq!(syn.window, 64_240, "whole segments");
    assert_eq!(syn.options.mss, Some(1460));
    // 6 MiB need a shift of 7: 65535 << 7 is the first that reaches.
    assert_eq!(syn.options.window_scale, Some(WindowScale::new(7)));
    assert!(syn.options.sack_permitted);
    let timestamps = syn.options.timestamps.unwrap();
    assert_eq!((timestamps.value, timestamps.echo), (10_000 + 77, 0));
    assert_eq!(script.connection.state(), State::SynSent);
}

#[test]
fn syn_is_repeated_linearly_then_with_back_off() {
    // Linux's documentation of tcp_syn_retries: the last SYN after 67 s, the end after 131 s.
    let mut script = Script::connect(&Config::default());
    script.sent();
    let mut waits = Vec::new();
    loop {
        let (wait, sent) = script.expire();
        waits.push(wait / 1000);
        if script.connection.state() == State::Closed {
            assert!(sent.is_empty());
            break;
        }
        assert_eq!(sent.len(), 1);
        assert!(sent[0].retransmission && sent[0].flags == SYN);
    }
    assert_eq!(waits, [1, 1, 1, 1, 1, 2, 4, 8, 16, 32, 64]);
    assert_eq!(waits.iter().sum::<u64>(), 131);
    assert_eq!(script.events(), [Event::Closed(Reason::TimedOut)]);
}

#[test]
fn syn_ack_completes_and_queued_data_carries_the_ack() {
    let mut script = Script::connect(&plain());
    assert!(script.write(300).iter().all(|s| s.flags.syn()));
    let sent = script.answer(SYN_ACK, 0, 1, 0);
    assert_eq!(shapes(&sent), [(1, 300)]);
    assert_eq!(sent[0].ack, SeqNum(IRS + 1));
    assert_eq!(script.events(), [Event::Established]);
}

#[test]
fn rst_refuses_only_with_the_right_ack() {
    let mut script = Script::connect(&plain());
    script.sent();
    assert!(script.answer(RST, 0, 0, 0).is_empty());
    assert!(script.answer(RST.with(ACK), 0, 2, 0).is_empty());
    assert_eq!(script.connection.state(), State::SynSent);
    assert!(script.answer(RST.with(ACK), 0, 1, 0).is_empty());
    assert_eq!(script.connection.state(), State::Closed);
    assert_eq!(script.events(), [Event::Closed(Reason::Refused)]);
    assert_eq!(script.connection.next_deadline(), None);
}

#[test]
fn wrong_ack_in_syn_sent_is_reset() {
    let mut script = Script::connect(&plain());
    script.sent();
    let sent = script.answer(SYN_ACK, 0, 5, 0);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].flags, sent[0].seq), (RST, SeqNum(ISS + 5)));
    assert_eq!(script.connection.state(), State::SynSent);
}

#[test]
fn foreign_timestamp_echo_is_reset() {
    let mut script = Script::connect(&Config::default());
    script.sent();
    script.pass(50);
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options.timestamps = Some(Timestamps {
        value: 5,
        echo: 10_000 + 77 - 1,
    });
    let _ = script.give(&syn_ack);
    assert_eq!(script.sent()[0].flags, RST);
    syn_ack.options.timestamps = Some(Timestamps {
        value: 5,
        echo: 10_000 + 77,
    });
    let _ = script.give(&syn_ack);
    assert_eq!(script.connection.state(), State::Established);
    assert_eq!(script.sent()[0].options.timestamps.unwrap().echo, 5);
}

#[test]
fn simultaneous_open() {
    // RFC 9293, 3.5, figure 7.
    let mut script = Script::connect(&plain());
    script.sent();
    let sent = script.answer(SYN, 0, 0, 0);
    assert_eq!(script.connection.state(), State::SynReceived);
    assert_eq!(sent.len(), 1);
    assert_eq!((sent[0].flags, sent[0].ack), (SYN_ACK, SeqNum(IRS + 1)));
    let sent = script.answer(SYN_ACK, 0, 1, 0);
    assert_eq!(script.connection.state(), State::Established);
    assert!(sent.is_empty());
    assert_eq!(script.events(), [Event::Established]);
}

#[test]
fn simultaneous_open_scales_no_window_of_a_syn() {
    // RFC 7323, 2.2.
    let mut script = Script::connect(&Config {
        window_scaling: true,
        ..plain()
    });
    script.sent();
    let scaled = |flags, ack| {
        let mut syn = segment(flags, 0, ack, 0);
        syn.window = 1_200;
        syn.options.mss = Some(1000);
        syn.options.window_scale = Some(WindowScale::new(7));
        syn
    };
    let _ = script.give(&scaled(SYN, 0));
    script.sent();
    let _ = script.give(&scaled(SYN_ACK, 1));
    assert_eq!(script.connection.state(), State::Established);
    let sent: u32 = script.write(5_000).iter().map(SegmentOut::data_len).sum();
    assert!((500..=1_200).contains(&sent), "{sent}");
}

#[test]
fn simultaneous_open_repeats_its_syn_ack() {
    let mut script = Script::connect(&plain());
    script.sent();
    script.answer(SYN, 0, 0, 0);
    let (wait, sent) = script.expire();
    assert_eq!(wait, 1000);
    assert_eq!(sent[0].flags, SYN_ACK);
    script.answer(ACK, 1, 1, 0);
    assert_eq!(script.connection.state(), State::Established);
}

fn half_open(config: &Config) -> (HalfOpen, SegmentOut) {
    let mut syn = segment(SYN, 0, 0, 0);
    syn.window = 8_000;
    syn.options.mss = Some(900);
    syn.options.window_scale = Some(WindowScale::new(3));
    assert_eq!(on_listen(&syn), ListenVerdict::Syn);
    let mut half_open = HalfOpen::new(ms(0), config, &syn, isn());
    let syn_ack = half_open.syn_ack(ms(0));
    (half_open, syn_ack)
}

#[test]
fn passive_open() {
    let config = Config::default();
    let (mut half_open, syn_ack) = half_open(&config);
    assert_eq!(syn_ack.flags, SYN_ACK);
    assert_eq!((syn_ack.seq, syn_ack.ack), (SeqNum(ISS), SeqNum(IRS + 1)));
    // Only what the SYN offered is answered.
    assert_eq!(syn_ack.options.window_scale, Some(WindowScale::new(7)));
    assert_eq!(syn_ack.options.timestamps, None);
    assert!(!syn_ack.options.sack_permitted);
    let third = segment(ACK, 1, 1, 10);
    assert_eq!(
        half_open.on_segment(ms(80), &third, &Patience::LINUX, |_| {}),
        HalfOpenVerdict::Established
    );
    let mut connection = Connection::accept(ms(80), &config, &half_open);
    assert_eq!(connection.state(), State::SynReceived);
    assert_eq!(
        connection.on_segment(ms(80), &third),
        Payload::Append { skip: 0, len: 10 }
    );
    assert_eq!(connection.state(), State::Established);
    assert_eq!(connection.readable(), 10);
    let info = connection.info(ms(80));
    assert_eq!(info.srtt, Some(Duration::from_millis(80)));
    assert_eq!(info.snd_wnd, 65_535 << 3);
    assert_eq!(info.snd_mss, 900);
    assert_eq!(connection.poll_event(), Some(Event::Established));
    assert_eq!(connection.poll_event(), Some(Event::Readable));
    assert_eq!(connection.poll_event(), None);
}

#[test]
fn syn_ack_is_repeated_five_times() {
    let (mut half_open, _) = half_open(&Config::default());
    let mut times = Vec::new();
    loop {
        let deadline = half_open.next_deadline();
        times.push(deadline.as_nanos() / 1_000_000_000);
        match half_open.on_deadline(deadline, &Patience::LINUX) {
            HalfOpenDeadline::Early | HalfOpenDeadline::Wait => panic!("its own deadline is early"),
            HalfOpenDeadline::Retransmit(syn_ack) => assert!(syn_ack.retransmission),
            HalfOpenDeadline::Expired => break,
        }
    }
    assert_eq!(times, [1, 3, 7, 15, 31, 63]);
}

#[test]
fn half_open_judges_segments() {
    let config = plain();
    let cases: &[(&str, Flags, u32, u32, u64, &str)] = &[
        ("wrong ack", ACK, 1, 2, 1, "reset"),
        ("old ack", ACK, 1, 0, 1, "reset"),
        ("right ack", ACK, 1, 1, 1, "established"),
        ("ack with a FIN", FIN, 1, 1, 1, "established"),
        ("no ack", Flags(0), 1, 0, 1, "ignore"),
        ("RST in order", RST, 1, 0, 1, "remove"),
        ("RST in the window", RST, 100, 0, 1, "reply"),
        ("RST outside", RST, 70_000, 0, 1, "ignore"),
        ("SYN again", SYN, 0, 0, 1, "reply"),
        ("SYN in the window", SYN, 9, 0, 1, "reset and remove"),
        ("ack beyond the window", ACK, 66_000, 1, 1, "reply"),
    ];
    for &(label, flags, seq, ack, at, wanted) in cases {
        let (mut half_open, _) = half_open(&config);
        let verdict = half_open.on_segment(
            ms(at),
            &segment(flags, seq, ack, 0),
            &Patience::LINUX,
            |_| {},
        );
        let got = match verdict {
            HalfOpenVerdict::Ignore => "ignore",
            HalfOpenVerdict::Reply(_) => "reply",
            HalfOpenVerdict::Reset(_) => "reset",
            HalfOpenVerdict::Deferred => "deferred",
            HalfOpenVerdict::Remove(None) => "remove",
            HalfOpenVerdict::Remove(Some(_)) => "reset and remove",
            HalfOpenVerdict::Established => "established",
        };
        assert_eq!(got, wanted, "{label}");
    }
}

#[test]
fn listener_and_closed_port() {
    // RFC 9293, 3.10.7.1 and 3.10.7.2.
    assert_eq!(on_listen(&segment(RST, 0, 0, 0)), ListenVerdict::Ignore);
    assert_eq!(
        on_listen(&segment(Flags(0), 0, 0, 0)),
        ListenVerdict::Ignore
    );
    assert_eq!(
        on_listen(&segment(SYN.with(Flags::FIN), 0, 0, 0)),
        ListenVerdict::Ignore
    );
    let ListenVerdict::Reset(reset) = on_listen(&segment(ACK, 0, 9, 0)) else {
        panic!("an ACK to a listener is reset");
    };
    assert_eq!((reset.flags, reset.seq), (RST, SeqNum(ISS + 9)));
    assert_eq!(on_closed(&segment(RST, 0, 0, 0)), None);
    let reset = on_closed(&segment(SYN, 0, 0, 4)).unwrap();
    assert_eq!(reset.flags, RST.with(ACK));
    assert_eq!((reset.seq, reset.ack), (SeqNum(0), SeqNum(IRS + 5)));
}

#[test]
fn giving_up_before_the_handshake() {
    let mut script = Script::connect(&plain());
    script.sent();
    script.connection.close(script.instant());
    assert!(script.sent().is_empty());
    assert_eq!(script.events(), [Event::Closed(Reason::Aborted)]);
}
