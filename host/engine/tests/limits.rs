// SPDX-License-Identifier: GPL-2.0

//! Long streams, tiny buffers, and owners and peers that give little.

use crate::common::script::*;
use oxtcp_engine::engine::*;

const GIB: u64 = 1 << 30;

/// Returns an active open with the largest window scales both ways.
fn wide(receive_window: u32) -> Script {
    let config = Config {
        window_scaling: true,
        sack: true,
        receive_window,
        max_receive_window: u32::MAX,
        ..plain()
    };
    let mut script = Script::connect(&config);
    script.sent();
    script.pass(100);
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options.mss = Some(1_000);
    syn_ack.options.sack_permitted = true;
    syn_ack.options.window_scale = Some(WindowScale::MAX);
    let _ = script.give(&syn_ack);
    assert_eq!(script.sent().len(), 1);
    script
}

#[test]
fn sending_goes_on_beyond_4_gib() {
    let mut script = wide(u32::MAX);
    script.max_len = 1 << 28;
    let mut lost = 0;
    let mut end = 0u64;
    while script.connection.acked() < 9 * GIB {
        let connection = &mut script.connection;
        let queued = connection.written() - connection.acked();
        if queued < 2 * GIB {
            connection.on_write(ms(script.now), 1 << 31, false);
        }
        let una = script.connection.acked();
        let sent = script.sent();
        assert!(!sent.is_empty(), "stalled at {una}");
        for segment in &sent {
            let data = segment.data.unwrap();
            assert_eq!(data.offset, end, "new data in order");
            assert_eq!(segment.seq, SeqNum(ISS + 1).add(data.offset as u32));
            end = data.offset + u64::from(data.len);
        }
        script.pass(100);
        let mut ack = segment(ACK, 1, 1, 0);
        if una > (1 + lost) * 4 * GIB - GIB && end - una > 8_000 {
            // The first segment is lost; the rest is reported.
            lost += 1;
            ack.ack = SeqNum(ISS + 1).add(una as u32);
            ack.options.sack.push(SackBlock {
                left: ack.ack.add(1_000),
                right: SeqNum(ISS + 1).add(end as u32),
            });
            let _ = script.give(&ack);
            let again = script.sent();
            assert!(again[0].retransmission);
            assert_eq!(
                again[0].data,
                Some(DataRange {
                    offset: una,
                    len: 1_000
                })
            );
            end = script.connection.sent();
            script.pass(100);
        }
        ack.options.sack = SackBlocks::new();
        ack.ack = SeqNum(ISS + 1).add(end as u32);
        let _ = script.give(&ack);
        assert_eq!(script.connection.acked(), end);
    }
    assert_eq!(lost, 2);
}

#[test]
fn receiving_goes_on_beyond_4_gib() {
    let mut script = wide(u32::MAX);
    script.room = 1 << 30;
    let seq = |offset: u64| offset as u32 + 1;
    let mut edge = 65_535u64;
    while script.connection.readable() < 9 * GIB {
        let next = script.connection.readable();
        assert!(edge > next + 4_000, "the window opens");
        let len = u32::try_from(edge - next).unwrap().min(1 << 29);
        // The second half comes first.
        let half = len / 2;
        let late = segment(ACK, seq(next + u64::from(half)), 1, len - half);
        let held = Payload::Hold {
            offset: next + u64::from(half),
            skip: 0,
            len: len - half,
        };
        assert_eq!(script.give(&late), held);
        script.room -= len - half;
        let acks = script.sent();
        let block = acks[0].options.sack.as_slice()[0];
        assert_eq!(
            block.left,
            SeqNum(IRS + 1).add((next as u32).wrapping_add(half))
        );
        // So does an old octet with the first.
        let overlap = u64::from(next > 0);
        let first = segment(ACK, seq(next - overlap), 1, half + overlap as u32);
        let append = Payload::Append {
            skip: overlap as u32,
            len: half,
        };
        assert_eq!(script.give(&first), append);
        assert_eq!(script.connection.readable(), next + u64::from(len));
        script.connection.on_read(script.instant(), len);
        script.room = 1 << 30;
        script.pass(1);
        for ack in script.sent() {
            let next = script.connection.readable();
            assert_eq!(ack.ack, SeqNum(IRS + 1).add(next as u32));
            let new = next + (u64::from(ack.window) << 14);
            assert!(new >= edge, "the right edge moved left");
            edge = new;
        }
    }
}

#[test]
fn what_is_written_before_the_handshake_may_be_long() {
    let mut script = Script::connect(&plain());
    script
        .connection
        .on_write(script.instant(), u32::MAX, false);
    script.connection.on_write(script.instant(), 10, false);
    script.sent();
    let _ = script.give(&segment(SYN_ACK, 0, 1, 0));
    assert_eq!(script.connection.written(), u64::from(u32::MAX) + 10);
}

#[test]
fn buffers_below_a_segment_delay_nothing() {
    let mut script = Script::established(&plain());
    script.connection.on_write(script.instant(), 2_500, false);
    let limits = Limits { max_len: 1_000 };
    let poll = |script: &mut Script| {
        let now = script.instant();
        let connection = &mut script.connection;
        let next = || connection.poll_transmit(now, &limits, |_, len| len.min(300));
        shapes(&std::iter::from_fn(next).collect::<Vec<_>>())
    };
    let sent = poll(&mut script);
    assert_eq!(sent.iter().map(|&(_, len)| len).sum::<u32>(), 2_500);
    assert!(sent.iter().all(|&(_, len)| len <= 300));
    // The peer is silent: a segment's worth leaves again, in pieces.
    let deadline = script.connection.next_deadline().unwrap();
    script.now = deadline.as_nanos().div_ceil(1_000_000);
    script.connection.on_deadline(script.instant());
    assert_eq!(poll(&mut script)[0], (1, 300));
    let mut una = 301;
    for _ in 0..20 {
        let mut ack = segment(ACK, 1, una, 0);
        ack.window = 65_535;
        let _ = script.give(&ack);
        for (seq, len) in poll(&mut script) {
            una = una.max(seq + len);
        }
    }
    assert_eq!(script.connection.acked(), 2_500);
}

#[test]
fn a_buffer_below_the_unit_of_the_window_field_is_offered() {
    let mut script = wide(4_000);
    let mut edge = 4_000u64;
    let mut next = 0u64;
    for _ in 0..100 {
        let len = (edge - next) as u32;
        assert!(len > 0, "the window stays closed at {next}");
        script.room = 0;
        let mut acks = script.answer(ACK, next as u32 + 1, 1, len);
        next = script.connection.readable();
        script.connection.on_read(script.instant(), len);
        script.room = 4_000;
        acks.append(&mut script.sent());
        script.pass(200);
        script.connection.on_deadline(script.instant());
        acks.append(&mut script.sent());
        for ack in acks {
            let acked = u64::from(ack.ack.0 - IRS - 1);
            let new = acked + (u64::from(ack.window) << 14);
            assert!(new >= edge, "the right edge moved left");
            edge = new;
        }
    }
    // Nothing is offered that the buffer cannot hold but for one unit.
    assert!(edge < next + 2 * 16_384);
}

#[test]
fn a_window_closed_over_data_in_flight_is_probed_while_the_peer_answers() {
    // RFC 9293, 3.8.6, MUST-35, and 3.8.6.1, MUST-37.
    let mut script = Script::established(&plain());
    script.write(3_000);
    script.window = 0;
    assert!(script.answer(ACK, 1, 1_001, 0).is_empty());
    let start = script.now;
    while script.now < start + 7_200_000 {
        let (wait, sent) = script.expire();
        assert_eq!(shapes(&sent), [(1_001, 1_000)], "a probe");
        assert!(wait <= 120_000);
        script.answer(ACK, 1, 1_001, 0);
    }
    // Then it falls silent.
    let start = script.now;
    while script.connection.state() != State::Closed {
        script.expire();
    }
    assert!((240_000..=480_000).contains(&(script.now - start)));
    let events = script.events();
    assert_eq!(events.last(), Some(&Event::Closed(Reason::TimedOut)));
}
