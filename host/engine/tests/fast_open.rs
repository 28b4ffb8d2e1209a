// SPDX-License-Identifier: GPL-2.0

//! TCP Fast Open (RFC 7413), as client and as server.

use crate::common::script::*;
use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;

fn cookie() -> FastOpenCookie {
    FastOpenCookie::new(&[1, 2, 3, 4, 5, 6, 7, 8], false).unwrap()
}

/// An active open whose SYN may carry `room` octets.
fn client(room: u32) -> Script {
    let mut script = Script::connect(&plain());
    script.connection.use_fast_open(&FastOpenSyn {
        cookie: Some(cookie()),
        room,
    });
    script
}

/// The connection that a SYN with `len` octets and a right cookie begins.
fn server(len: u32) -> Script {
    let config = plain();
    let mut script = Script::connect(&config);
    let mut syn = segment(SYN, 0, 0, len);
    syn.options.mss = Some(1000);
    let half_open = HalfOpen::new(script.instant(), &config, &syn, isn());
    script.connection = Connection::accept(script.instant(), &config, &half_open);
    script
        .connection
        .complete_early(&config, &half_open, 6, None);
    let payload = script.give(&syn);
    let wanted = if len > 0 {
        Payload::Append { skip: 0, len }
    } else {
        Payload::Discard
    };
    assert_eq!(payload, wanted);
    assert_eq!(script.connection.state(), State::SynReceived);
    script
}

#[test]
fn client_data_goes_with_the_syn() {
    let mut script = client(400);
    let sent = script.write(1_000);
    assert_eq!(shape(&sent[0]), (0, 400, SYN));
    assert_eq!(sent[0].options.fast_open, Some(cookie()));
    assert_eq!(sent.len(), 1);
    script.pass(100);
    let sent = script.answer(SYN_ACK, 0, 401, 0);
    assert_eq!(shapes(&sent), [(401, 600)], "the rest follows");
    assert_eq!(script.connection.acked(), 400);
    let info = script.connection.info(script.instant());
    assert!(info.counters.syn_data_acked);
    assert_eq!(info.srtt, Some(Duration::from_millis(100)));
    let outcome = script.connection.take_fast_open_outcome().unwrap();
    assert!(outcome.had_data && outcome.data_acked && !outcome.retransmitted);
    assert_eq!(
        script.events(),
        [Event::Established, Event::Acked],
        "the owner may free what was acknowledged"
    );
}

#[test]
fn client_data_that_is_not_acknowledged_is_sent_again_at_once() {
    for acked in [0, 150] {
        let mut script = client(400);
        script.write(400);
        let sent = script.answer(SYN_ACK, 0, 1 + acked, 0);
        assert_eq!(shapes(&sent), [(1 + acked, 400 - acked)]);
        let counters = script.connection.info(script.instant()).counters;
        assert!(!counters.syn_data_acked);
        assert_eq!(counters.fast_open_fail, FastOpenFail::DataNotAcked);
        let outcome = script.connection.take_fast_open_outcome().unwrap();
        assert!(outcome.had_data && !outcome.data_acked);
    }
}

#[test]
fn client_repeats_its_syn_without_data_and_option() {
    let mut script = client(400);
    script.write(400);
    let (_, sent) = script.expire();
    assert_eq!(shape(&sent[0]), (0, 0, SYN));
    assert_eq!(sent[0].options.fast_open, None);
    let sent = script.answer(SYN_ACK, 0, 1, 0);
    assert_eq!(shapes(&sent), [(1, 400)]);
    let counters = script.connection.info(script.instant()).counters;
    assert_eq!(counters.fast_open_fail, FastOpenFail::SynRetransmitted);
}

#[test]
fn client_believes_no_acknowledgment_of_more_than_it_sent() {
    let mut script = client(400);
    script.write(1_000);
    let sent = script.answer(SYN_ACK, 0, 402, 0);
    assert_eq!((sent[0].flags, sent[0].seq), (RST, SeqNum(ISS + 402)));
    assert_eq!(script.connection.state(), State::SynSent);
}

#[test]
fn client_takes_data_with_the_syn_ack() {
    let mut script = client(400);
    script.write(400);
    let answer = segment(SYN_ACK, 0, 401, 70);
    assert_eq!(script.give(&answer), Payload::Append { skip: 0, len: 70 });
    assert_eq!(script.connection.readable(), 70);
}

#[test]
fn client_suspects_the_path_after_three_time_outs() {
    let mut script = client(400);
    script.write(400);
    for expiries in 1..=3 {
        script.expire();
        let suspects = script
            .events()
            .contains(&Event::FastOpenBlackhole(Blackhole::TimedOut));
        assert_eq!(suspects, expiries == 3, "{expiries}");
    }
}

#[test]
fn server_reads_and_writes_before_the_third_segment() {
    let mut script = server(10);
    assert_eq!(script.connection.readable(), 10);
    let sent = script.sent();
    assert_eq!(shape(&sent[0]), (0, 0, SYN_ACK));
    assert_eq!(sent[0].ack, SeqNum(IRS + 11));
    assert_eq!(sent.len(), 1);
    let sent = script.write(100);
    assert_eq!(shapes(&sent), [(1, 100)]);
    assert_eq!(script.connection.state(), State::SynReceived);
    script.pass(50);
    script.answer(ACK, 11, 101, 0);
    assert_eq!(script.connection.state(), State::Established);
    assert_eq!(script.connection.acked(), 100);
    let info = script.connection.info(script.instant());
    assert_eq!(info.srtt, Some(Duration::from_millis(50)));
    assert!(script.events().contains(&Event::Established));
}

#[test]
fn server_repeats_only_its_syn_ack() {
    let mut script = server(10);
    script.sent();
    script.write(100);
    let mut waits = Vec::new();
    while script.connection.state() != State::Closed {
        let deadline = script.connection.next_deadline();
        assert_eq!(script.connection.next_coarse_deadline(), deadline);
        let (wait, sent) = script.expire();
        waits.push(wait / 1000);
        for segment in sent {
            assert_eq!(shape(&segment), (0, 0, SYN_ACK));
            assert_eq!(segment.ack, SeqNum(IRS + 11));
            assert!(segment.retransmission);
        }
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64]);
    assert!(script.events().contains(&Event::Closed(Reason::TimedOut)));
}

#[test]
fn server_sends_again_what_was_lost_once_its_syn_is_acknowledged() {
    let mut script = server(10);
    script.sent();
    script.write(100);
    script.pass(50);
    assert!(script.answer(ACK, 11, 1, 0).is_empty());
    assert_eq!(script.connection.state(), State::Established);
    let mut again = Vec::new();
    for _ in 0..2 {
        again.extend(script.expire().1);
    }
    assert!(shapes(&again).contains(&(1, 100)), "{again:?}");
}

#[test]
fn server_judges_segments() {
    let mut script = server(10);
    script.sent();
    script.pass(10);
    // The SYN again.
    let sent = script.answer(SYN, 0, 0, 10);
    assert_eq!(shape(&sent[0]), (0, 0, SYN_ACK));
    // An acknowledgment of what was not sent.
    let sent = script.answer(ACK, 11, 9, 0);
    assert_eq!((sent[0].flags, sent[0].seq), (RST, SeqNum(ISS + 9)));
    assert_eq!(script.connection.state(), State::SynReceived);
    // A RST elsewhere than in order.
    script.pass(1_000);
    let sent = script.answer(RST, 12, 0, 0);
    assert_eq!(sent[0].flags, ACK);
    assert_eq!(script.connection.state(), State::SynReceived);
    script.answer(RST, 11, 0, 0);
    assert_eq!(script.events().last(), Some(&Event::Closed(Reason::Reset)));
    assert_eq!(script.connection.readable(), 10, "the data stays");
}

#[test]
fn server_closes_before_the_third_segment() {
    let mut script = server(0);
    script.sent();
    script.connection.close(script.instant());
    assert_eq!(script.connection.state(), State::FinWait1);
    let sent = script.sent();
    assert_eq!(shape(&sent[0]), (1, 0, FIN));
    script.answer(ACK, 1, 2, 0);
    assert_eq!(script.connection.state(), State::FinWait2);
}

#[test]
fn server_shut_before_the_third_segment_sends_fin_after_it() {
    let mut script = server(0);
    script.sent();
    script.write(100);
    script.connection.shutdown_write(script.instant());
    assert_eq!(script.connection.state(), State::SynReceived);
    assert!(script.sent().is_empty());
    let sent = script.answer(ACK, 1, 101, 0);
    assert_eq!(script.connection.state(), State::FinWait1);
    assert_eq!(shape(&sent[0]), (101, 0, FIN));
}
