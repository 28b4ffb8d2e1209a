// SPDX-License-Identifier: GPL-2.0

//! Ending a connection, segment by segment (RFC 9293, 3.6 and 3.10; RFC 5961).

use crate::common::script::*;
use oxtcp_engine::engine::*;

fn time_wait(events: &[Event]) -> TimeWait {
    let record = events.iter().find_map(|event| match event {
        Event::TimeWait(record) => Some(*record),
        _ => None,
    });
    record.expect("a TIME-WAIT record")
}

#[test]
fn active_close_through_fin_wait() {
    let mut script = Script::established(&plain());
    script.write(10);
    script.connection.shutdown_write(script.instant());
    assert_eq!(script.connection.state(), State::FinWait1);
    let sent = script.sent();
    assert_eq!(shape(&sent[0]), (11, 0, FIN));
    assert!(script.answer(ACK, 1, 12, 0).is_empty());
    assert_eq!(script.connection.state(), State::FinWait2);
    assert_eq!(script.connection.next_deadline(), None, "owned: no limit");
    // Half close: the peer may still send.
    let payload = script.give(&segment(ACK, 1, 12, 5));
    assert_eq!(payload, Payload::Append { skip: 0, len: 5 });
    let sent = script.answer(FIN, 6, 12, 0);
    assert_eq!(script.connection.state(), State::TimeWait);
    assert_eq!(sent.last().unwrap().ack, SeqNum(IRS + 7));
    let events = script.events();
    assert!(events.contains(&Event::PeerClosed));
    let record = time_wait(&events);
    assert_eq!(record.deadline(), ms(script.now + 60_000));
    assert_eq!(
        script.connection.readable(),
        5,
        "unread data stays readable"
    );
    script.connection.on_read(script.instant(), 5);
    assert_eq!(script.connection.read(), 5);
}

#[test]
fn passive_close_through_last_ack() {
    let mut script = Script::established(&plain());
    assert_eq!(script.answer(FIN, 1, 1, 0), [], "an answer may follow");
    assert_eq!(script.connection.state(), State::CloseWait);
    let (wait, sent) = script.expire();
    assert_eq!(wait, 1, "no data came to wait for");
    assert_eq!(sent[0].ack, SeqNum(IRS + 2));
    assert_eq!(script.events(), [Event::PeerClosed]);
    assert_eq!(shapes(&script.write(7)), [(1, 7)]);
    script.connection.close(script.instant());
    assert_eq!(script.connection.state(), State::LastAck);
    assert_eq!(shape(&script.sent()[0]), (8, 0, FIN));
    script.answer(ACK, 2, 9, 0);
    assert_eq!(script.connection.state(), State::Closed);
    assert_eq!(
        script.events(),
        [Event::Acked, Event::Closed(Reason::Finished)]
    );
}

#[test]
fn the_last_acknowledgment_shows_when_it_leaves() {
    // Taken from a backlog, a FIN keeps the time of its arrival, and something may have left since.
    let mut script = Script::connect(&Config::default());
    script.sent();
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options.timestamps = Some(Timestamps::default());
    let _ = script.give(&syn_ack);
    script.connection.shutdown_write(script.instant());
    script.sent();
    let mut fin = segment(FIN, 1, 2, 0);
    fin.options.timestamps = Some(Timestamps::default());
    let _ = script.give(&fin);
    script.pass(5);
    let sent = script.sent();
    let clock = (script.now as u32).wrapping_add(isn().ts_offset);
    assert_eq!(sent[0].options.timestamps.unwrap().value, clock);
}

#[test]
fn simultaneous_close_through_closing() {
    // RFC 9293, 3.6, figure 13.
    let mut script = Script::established(&plain());
    script.connection.shutdown_write(script.instant());
    script.sent();
    let sent = script.answer(FIN, 1, 1, 0);
    assert_eq!(script.connection.state(), State::Closing);
    assert_eq!(sent[0].ack, SeqNum(IRS + 2));
    script.answer(ACK, 2, 2, 0);
    assert_eq!(script.connection.state(), State::TimeWait);
    time_wait(&script.events());
}

#[test]
fn fin_with_the_ack_of_ours_goes_to_time_wait_at_once() {
    let mut script = Script::established(&plain());
    script.connection.shutdown_write(script.instant());
    script.sent();
    let sent = script.answer(FIN, 1, 2, 0);
    assert_eq!(script.connection.state(), State::TimeWait);
    assert_eq!(sent[0].ack, SeqNum(IRS + 2));
}

#[test]
fn fin_follows_queued_data_and_is_repeated() {
    let mut script = Script::established(&plain());
    script.connection.on_write(script.instant(), 1_500, false);
    script.connection.shutdown_write(script.instant());
    assert_eq!(script.connection.state(), State::FinWait1);
    let sent = script.sent();
    assert_eq!(shapes(&sent), [(1, 1000), (1001, 500)]);
    assert!(!sent[0].flags.fin() && sent[1].flags.fin());
    script.answer(ACK, 1, 1001, 0);
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(1001, 500)]);
    assert!(sent[0].flags.fin() && sent[0].retransmission);
    script.answer(ACK, 1, 1501, 0);
    let (_, sent) = script.expire();
    assert_eq!(shape(&sent[0]), (1501, 0, FIN));
}

#[test]
fn fin_out_of_order_waits_for_the_hole() {
    let mut script = Script::established(&plain());
    let payload = script.give(&segment(FIN, 101, 1, 50));
    assert_eq!(
        payload,
        Payload::Hold {
            offset: 100,
            skip: 0,
            len: 50
        }
    );
    script.sent();
    assert_eq!(script.connection.state(), State::Established);
    let payload = script.give(&segment(ACK, 1, 1, 100));
    assert_eq!(payload, Payload::Append { skip: 0, len: 100 });
    assert_eq!(script.connection.readable(), 150);
    assert_eq!(script.connection.state(), State::CloseWait);
    assert_eq!(script.sent()[0].ack, SeqNum(IRS + 152));
}

#[test]
fn fin_below_held_data_is_not_believed() {
    let mut script = Script::established(&plain());
    script.answer(ACK, 101, 1, 100);
    let sent = script.answer(FIN, 1, 1, 50);
    assert_eq!(sent[0].ack, SeqNum(IRS + 51));
    let sent = script.answer(ACK, 51, 1, 50);
    assert_eq!(sent[0].ack, SeqNum(IRS + 201), "nothing but what came");
    assert_eq!(script.connection.state(), State::Established);
}

#[test]
fn close_with_unread_data_resets() {
    let mut script = Script::established(&plain());
    script.answer(ACK, 1, 1, 100);
    script.connection.close(script.instant());
    let sent = script.sent();
    assert_eq!(shape(&sent[0]), (1, 0, RST.with(ACK)));
    assert_eq!(script.connection.state(), State::Closed);
}

#[test]
fn data_after_close_resets() {
    let mut script = Script::established(&plain());
    script.connection.close(script.instant());
    script.sent();
    let sent = script.answer(ACK, 1, 2, 100);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].flags.rst());
    assert_eq!(script.events(), [Event::Closed(Reason::Aborted)]);
}

#[test]
fn orphaned_fin_wait_2_ends() {
    let mut script = Script::established(&plain());
    script.connection.close(script.instant());
    script.sent();
    script.answer(ACK, 1, 2, 0);
    assert_eq!(script.connection.state(), State::FinWait2);
    let (wait, sent) = script.expire();
    assert_eq!((wait, sent.len()), (60_000, 0));
    assert_eq!(script.events(), [Event::Closed(Reason::Finished)]);
}

#[test]
fn orphaned_fin_wait_2_lasts_a_few_time_outs() {
    let mut script = Script::established(&Config {
        fin_timeout: Duration::ZERO,
        ..plain()
    });
    script.connection.close(script.instant());
    script.sent();
    script.answer(ACK, 1, 2, 0);
    let rto = script.connection.info(script.instant()).rto.as_nanos();
    let (wait, _) = script.expire();
    assert_eq!(wait, (rto * 7 / 2).div_ceil(1_000_000));
    assert_eq!(script.events(), [Event::Closed(Reason::Finished)]);
}

#[test]
fn abort_sends_rst() {
    let mut script = Script::established(&plain());
    script.write(30);
    script.connection.abort(script.instant());
    let sent = script.sent();
    assert_eq!(shape(&sent[0]), (31, 0, RST.with(ACK)));
    assert_eq!(script.events(), [Event::Closed(Reason::Aborted)]);
    assert_eq!(script.connection.next_deadline(), None);
    assert_eq!(script.give(&segment(ACK, 1, 31, 5)), Payload::Discard);
    assert!(script.sent().is_empty());
}

#[test]
fn rst_must_be_exactly_in_order() {
    // RFC 5961, 3.2.
    let mut script = Script::established(&plain());
    let sent = script.answer(RST, 2, 0, 0);
    assert_eq!(sent.len(), 1, "challenge");
    assert_eq!(shape(&sent[0]), (1, 0, ACK));
    assert!(script.answer(RST, 3, 0, 0).is_empty(), "rate-limited");
    script.pass(500);
    assert_eq!(script.answer(RST, 4, 0, 0).len(), 1);
    assert!(script.answer(RST, 66_000, 0, 0).is_empty(), "outside");
    assert_eq!(script.connection.state(), State::Established);
    script.answer(RST, 1, 0, 0);
    assert_eq!(script.events(), [Event::Closed(Reason::Reset)]);
}

#[test]
fn rst_in_close_wait_has_its_own_reason() {
    let mut script = Script::established(&plain());
    script.answer(FIN, 1, 1, 0);
    script.events();
    script.answer(RST, 2, 0, 0);
    assert_eq!(script.events(), [Event::Closed(Reason::ResetInCloseWait)]);
}

#[test]
fn syn_in_the_window_is_challenged() {
    // RFC 5961, 4.2.
    let mut script = Script::established(&plain());
    let sent = script.answer(SYN, 5, 0, 0);
    assert_eq!(shape(&sent[0]), (1, 0, ACK));
    assert_eq!(script.connection.state(), State::Established);
}

#[test]
fn rst_may_be_where_the_fin_was_or_the_held_data_ends() {
    let mut script = Script::established(&plain());
    script.answer(FIN, 1, 1, 0);
    script.events();
    script.connection.shutdown_write(script.instant());
    script.answer(RST, 1, 0, 0);
    assert_eq!(script.events(), [Event::Closed(Reason::Reset)]);

    let config = Config {
        sack: true,
        ..plain()
    };
    let mut script = Script::established(&config);
    script.answer(ACK, 1_001, 1, 1_000);
    script.answer(ACK, 3_001, 1, 1_000);
    script.answer(RST, 2_001, 0, 0);
    assert_eq!(script.connection.state(), State::Established);
    script.answer(RST, 4_001, 0, 0);
    assert_eq!(script.events(), [Event::Closed(Reason::Reset)]);
}

#[test]
fn acks_outside_are_challenged_and_their_data_dropped() {
    // RFC 5961, 5.2.
    let mut script = Script::established(&plain());
    script.write(10);
    assert_eq!(script.give(&segment(ACK, 1, 12, 5)), Payload::Discard);
    assert_eq!(script.sent().len(), 1);
    let old = 1u32.wrapping_sub(70_000);
    assert_eq!(script.give(&segment(ACK, 1, old, 5)), Payload::Discard);
    // Old but possible: the data counts.
    let old = 1u32.wrapping_sub(60_000);
    let payload = script.give(&segment(ACK, 1, old, 5));
    assert_eq!(payload, Payload::Append { skip: 0, len: 5 });
    assert_eq!(script.connection.acked(), 0);
}

#[test]
fn time_wait_judges_segments() {
    let mut script = Script::established(&Config {
        timestamps: false,
        ..plain()
    });
    script.connection.shutdown_write(script.instant());
    script.sent();
    script.answer(FIN, 1, 2, 0);
    let record = time_wait(&script.events());
    let later = ms(script.now + 1_000);

    let mut tw = record;
    let TimeWaitVerdict::Reply(ack) = tw.on_segment(later, &segment(FIN, 1, 2, 0), |_| {}) else {
        panic!("a repeated FIN is answered");
    };
    assert_eq!((ack.seq, ack.ack), (SeqNum(ISS + 2), SeqNum(IRS + 2)));
    assert_eq!(tw.deadline(), later.saturating_add(TIME_WAIT));

    let mut tw = record;
    assert_eq!(
        tw.on_segment(later, &segment(RST, 2, 0, 0), |_| {}),
        TimeWaitVerdict::Remove
    );
    let mut tw = record;
    assert_eq!(
        tw.on_segment(later, &segment(RST, 3, 0, 0), |_| {}),
        TimeWaitVerdict::Ignore
    );
    let mut tw = record;
    assert_eq!(
        tw.on_segment(later, &segment(ACK, 2, 2, 0), |_| {}),
        TimeWaitVerdict::Ignore
    );
    let mut tw = record;
    assert_eq!(
        tw.on_segment(later, &segment(SYN, 3, 0, 0), |_| {}),
        TimeWaitVerdict::Reopen {
            isn_after: SeqNum(ISS + 2 + 65_537)
        }
    );
    let mut tw = record;
    assert!(
        matches!(
            tw.on_segment(later, &segment(SYN, 0, 0, 0), |_| {}),
            TimeWaitVerdict::Reply(_)
        ),
        "an old SYN is not a new connection"
    );
}

#[test]
fn time_wait_reopens_by_timestamp() {
    // RFC 6191: an old sequence number with a newer clock.
    let mut script = Script::connect(&Config::default());
    script.sent();
    let stamped = |flags, seq, ack, value| {
        let mut segment = segment(flags, seq, ack, 0);
        segment.options.timestamps = Some(Timestamps { value, echo: 0 });
        segment
    };
    let _ = script.give(&stamped(SYN_ACK, 0, 1, 500));
    script.sent();
    script.connection.shutdown_write(script.instant());
    script.sent();
    let _ = script.give(&stamped(FIN, 1, 2, 510));
    script.sent();
    let record = time_wait(&script.events());
    let successor = record.successor(ms(0), None).unwrap();
    assert_eq!(successor.ts_echo, 510);
    let mut tw = record;
    assert!(matches!(
        tw.on_segment(ms(script.now + 5), &stamped(SYN, 0, 0, 511), |_| {}),
        TimeWaitVerdict::Reopen { .. }
    ));
    let mut tw = record;
    assert!(matches!(
        tw.on_segment(ms(script.now + 5), &stamped(SYN, 0, 0, 100), |_| {}),
        TimeWaitVerdict::Reply(_)
    ));
}

#[test]
fn shutdown_in_syn_received_waits_for_established() {
    let mut script = Script::connect(&plain());
    script.sent();
    script.answer(SYN, 0, 0, 0);
    script.connection.shutdown_write(script.instant());
    assert_eq!(script.connection.state(), State::SynReceived);
    let sent = script.answer(ACK, 1, 1, 0);
    assert_eq!(script.connection.state(), State::FinWait1);
    assert_eq!(shape(&sent[0]), (1, 0, FIN));
}
