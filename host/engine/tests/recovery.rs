// SPDX-License-Identifier: GPL-2.0

//! Loss and its repair, segment by segment (RFC 6298, 5681, 6582, 6675, 2018).

use crate::common::script::*;
use oxtcp_engine::engine::*;

#[test]
fn rto_backs_off_and_restarts_from_one_segment() {
    let mut script = Script::established(&Config {
        frto: false,
        ..plain()
    });
    assert_eq!(script.write(20_000).len(), 10, "initial window");
    let info = script.connection.info(script.instant());
    // One sample of 100 ms: 100 + max(4 * 50, 200) ms (RFC 6298, 2.2, with Linux's bound).
    assert_eq!(info.rto, Duration::from_millis(300));
    let (wait, sent) = script.expire();
    assert_eq!(wait, 300);
    assert_eq!(shapes(&sent), [(1, 1000)]);
    assert!(sent[0].retransmission);
    let info = script.connection.info(script.instant());
    assert_eq!((info.cwnd, info.ssthresh), (1, Some(5)));
    assert_eq!(info.ca_state, CaState::Loss);
    assert_eq!((info.unacked, info.lost, info.retrans), (10, 10, 1));
    for wanted in [600, 1200, 2400] {
        let (wait, sent) = script.expire();
        assert_eq!(wait, wanted);
        assert_eq!(shapes(&sent), [(1, 1000)]);
        let info = script.connection.info(script.instant());
        assert_eq!(
            info.ssthresh,
            Some(5),
            "held while the same data is repeated"
        );
    }
    // Slow start over what is lost: one segment acknowledged, two sent again.
    script.pass(100);
    assert_eq!(
        shapes(&script.answer(ACK, 1, 1001, 0)),
        [(1001, 1000), (2001, 1000)]
    );
    // Karn: the ambiguous acknowledgment leaves the back-off as it is.
    assert_eq!(script.expire().0, 4800);
}

#[test]
fn everything_is_given_up_after_924_seconds() {
    // Linux's documentation of tcp_retries2: 15 are 924.6 s after the first time-out.
    let mut script = Script::established(&plain());
    script.write(1);
    let start = script.now;
    let mut expiries = 0;
    while script.connection.state() != State::Closed {
        script.expire();
        expiries += 1;
    }
    assert_eq!(script.events(), [Event::Closed(Reason::TimedOut)]);
    let seconds = (script.now - start) / 1000;
    assert!((924..924 + 121).contains(&seconds), "{seconds} s");
    assert!((15..=17).contains(&expiries), "{expiries}");
}

#[test]
fn user_timeout_ends_earlier() {
    let mut script = Script::established(&Config {
        user_timeout: Some(Duration::from_secs(5)),
        ..plain()
    });
    script.write(1);
    let start = script.now;
    while script.connection.state() != State::Closed {
        script.expire();
    }
    assert_eq!(
        script.now - start,
        5_300,
        "5 s after the first retransmission, as Linux"
    );
    assert_eq!(script.events(), [Event::Closed(Reason::TimedOut)]);
}

#[test]
fn orphans_end_after_eight_tries() {
    let mut script = Script::established(&plain());
    script.write(1);
    script.connection.close(script.instant());
    script.sent();
    let start = script.now;
    while script.connection.state() != State::Closed {
        script.expire();
    }
    let seconds = (script.now - start) / 1000;
    // 8 tries from 200 ms are 102.2 s.
    assert!((102..102 + 80).contains(&seconds), "{seconds} s");
}

#[test]
fn three_duplicates_repair_one_hole_without_sack() {
    let mut script = Script::established(&plain());
    script.answer(ACK, 1, 1, 0);
    assert_eq!(script.write(20_000).len(), 10);
    script.pass(100);
    // Limited transmit (RFC 3042): each of the first two duplicates lets one new segment out.
    assert_eq!(shapes(&script.answer(ACK, 1, 1, 0)), [(10_001, 1000)]);
    assert_eq!(shapes(&script.answer(ACK, 1, 1, 0)), [(11_001, 1000)]);
    let sent = script.answer(ACK, 1, 1, 0);
    assert_eq!(shapes(&sent), [(1, 1000)]);
    assert!(sent[0].retransmission);
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Recovery);
    // RFC 6937: 8 in flight, and the retransmission.
    assert_eq!((info.cwnd, info.ssthresh), (9, Some(5)));
    // Further duplicates let new data out once half of the window has left.
    let mut new = 0;
    for _ in 0..8 {
        new += script.answer(ACK, 1, 1, 0).len();
    }
    assert!((1..=6).contains(&new), "{new}");
    script.pass(100);
    let sent = 12_001 + 1_000 * u32::try_from(new).unwrap();
    script.answer(ACK, 1, 12_001, 0);
    assert_eq!(
        script.connection.info(script.instant()).ca_state,
        CaState::Recovery
    );
    script.answer(ACK, 1, sent, 0);
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Open);
    assert!(info.cwnd <= 6);
}

#[test]
fn partial_ack_repairs_the_next_hole() {
    // RFC 6582, 3.2, step 3.
    let mut script = Script::established(&plain());
    script.answer(ACK, 1, 1, 0);
    script.write(10_000);
    script.pass(100);
    for _ in 0..5 {
        script.answer(ACK, 1, 1, 0);
    }
    let sent = script.answer(ACK, 1, 3001, 0);
    assert_eq!(shapes(&sent), [(3001, 1000)]);
    assert!(sent[0].retransmission);
    script.answer(ACK, 1, 10_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!(info.unacked, 0);
    assert_eq!(info.counters.total_retrans, 2);
    // RFC 6582, 4: duplicates of this recovery must not begin another, so it ends with new data.
    assert_eq!(info.ca_state, CaState::Recovery);
    script.write(1_000);
    script.answer(ACK, 1, 11_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Open);
}

#[test]
fn duplicates_after_a_time_out_start_no_second_recovery() {
    // RFC 6582, 3.2, step 2.
    let mut script = Script::established(&plain());
    script.write(4_000);
    script.expire();
    script.answer(ACK, 1, 4_001, 0);
    script.write(4_000);
    let retrans = script.connection.info(script.instant()).counters;
    // Duplicates for exactly the recovery point were caused by what was repeated needlessly.
    for _ in 0..4 {
        script.answer(ACK, 1, 4_001, 0);
    }
    let info = script.connection.info(script.instant());
    assert_eq!(info.counters.total_retrans, retrans.total_retrans);
    // Until something above it is acknowledged (RFC 6582, 4).
    assert_eq!(info.ca_state, CaState::Loss);
    script.answer(ACK, 1, 5_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Open);
}

#[test]
fn sack_repairs_only_the_holes() {
    let mut script = Script::established(&with_sack());
    script.max_len = 65_535;
    script.write(10_000);
    script.pass(100);
    // 1 and 4 are lost.
    for end in [3001, 4001] {
        let _ = script.give(&sacked(1, &[(1001, end.min(3001))]));
        script.sent();
    }
    let _ = script.give(&sacked(1, &[(4001, 5001), (1001, 3001)]));
    let sent = script.sent();
    assert_eq!(
        shapes(&sent),
        [(1, 1000)],
        "three segments above the first hole"
    );
    let _ = script.give(&sacked(1, &[(4001, 7001), (1001, 3001)]));
    let sent = script.sent();
    assert_eq!(shapes(&sent), [(3001, 1000)]);
    let _ = script.give(&sacked(1, &[(4001, 10_001), (1001, 3001)]));
    assert_eq!(shapes(&script.sent()), [], "each hole once");
    let info = script.connection.info(script.instant());
    assert_eq!((info.sacked, info.lost, info.retrans), (8, 2, 2));
    script.answer(ACK, 1, 10_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Open);
    assert_eq!(info.counters.total_retrans, 2);
}

#[test]
fn late_data_is_lost_after_a_quarter_of_a_round_trip() {
    // RFC 8985, 6.2: one segment arrived, too few to mean loss by their number.
    let mut script = Script::established(&with_sack());
    script.write(3_000);
    script.pass(100);
    let _ = script.give(&sacked(1, &[(1001, 2001)]));
    assert_eq!(shapes(&script.sent()), []);
    let (wait, sent) = script.expire();
    assert!((25..=28).contains(&wait), "{wait}");
    // What left together with the one that arrived, but after it, may still come.
    assert_eq!(shapes(&sent), [(1, 1000)]);
    let info = script.connection.info(script.instant());
    assert_eq!((info.ca_state, info.lost), (CaState::Recovery, 1));
}

#[test]
fn a_lost_retransmission_is_repaired_without_a_time_out() {
    // RFC 8985, 6.2: what was sent after the retransmission arrives, the retransmission does not.
    let mut script = Script::established(&with_sack());
    script.write(20_000);
    script.pass(100);
    let _ = script.give(&sacked(1, &[(1001, 10_001)]));
    let sent = shapes(&script.sent());
    assert_eq!(sent[..2], [(1, 1000), (10_001, 1000)]);
    script.pass(100);
    let _ = script.give(&sacked(1, &[(1001, 11_001)]));
    assert_eq!(shapes(&script.sent())[0], (1, 1000));
    let info = script.connection.info(script.instant());
    assert_eq!((info.ca_state, info.retransmits), (CaState::Recovery, 0));
}

#[test]
fn a_spurious_time_out_is_undone_by_new_data() {
    // RFC 5682, 2.1: after the time-out only delays end; two acknowledgments of originals show it.
    let mut script = Script::established(&with_sack());
    script.answer(ACK, 1, 1, 0);
    script.write(20_000);
    script.expire();
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(1, 1000)]);
    script.pass(50);
    // Step 2b: new data, and nothing more again.
    let sent = script.answer(ACK, 1, 1001, 0);
    assert!(!sent.is_empty() && sent.iter().all(|sent| !sent.retransmission));
    // Step 3b: what was never sent again is acknowledged.
    let sent = script.answer(ACK, 1, 2001, 0);
    assert!(sent.iter().all(|sent| !sent.retransmission));
    let info = script.connection.info(script.instant());
    assert_eq!((info.ca_state, info.lost), (CaState::Open, 0));
    assert!(info.cwnd >= 10, "{}", info.cwnd);
    assert_eq!(info.counters.total_retrans, 1);
}

#[test]
fn a_real_time_out_is_not_undone() {
    // RFC 5682, 2.1, step 3a: the new data arrives and fills nothing.
    let mut script = Script::established(&with_sack());
    script.write(20_000);
    script.expire();
    script.expire();
    script.pass(50);
    assert!(!script.answer(ACK, 1, 1001, 0).is_empty());
    script.pass(100);
    let _ = script.give(&sacked(1001, &[(11_001, 12_001)]));
    let sent = script.sent();
    assert_eq!(shapes(&sent)[0], (1001, 1000));
    assert!(sent[0].retransmission);
    assert_eq!(
        script.connection.info(script.instant()).ca_state,
        CaState::Loss
    );
}

#[test]
fn dsacks_for_all_that_was_sent_again_undo_a_recovery() {
    // RFC 3708: the path reordered, nothing was lost.
    let mut script = Script::established(&with_sack());
    script.write(10_000);
    script.pass(100);
    let _ = script.give(&sacked(1, &[(1001, 4_001)]));
    assert_eq!(shapes(&script.sent()), [(1, 1000)]);
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Recovery);
    script.pass(2);
    script.answer(ACK, 1, 4_001, 0);
    let _ = script.give(&sacked(4_001, &[(1, 1001)]));
    script.sent();
    let info = script.connection.info(script.instant());
    assert_eq!(info.ca_state, CaState::Open);
    assert_eq!((info.cwnd, info.ssthresh), (10, None));
    assert_eq!(info.counters.dsack_dups, 1);
}

#[test]
fn timestamps_undo_a_recovery() {
    // RFC 3522: the acknowledgment echoes what the original carried, not the retransmission.
    for (delayed, ssthresh) in [(true, None), (false, Some(5))] {
        let mut script = Script::established(&Config {
            timestamps: true,
            ..with_sack()
        });
        let sent = script.write(9_880);
        let original = sent[0].options.timestamps.unwrap().value;
        script.pass(100);
        let _ = script.give(&sacked(1, &[(989, 3_953)]));
        let repair = script.sent()[0];
        assert!(repair.retransmission);
        let again = repair.options.timestamps.unwrap().value;
        script.pass(if delayed { 5 } else { 100 });
        let mut ack = sacked(3_953, &[]);
        ack.options.timestamps = Some(Timestamps {
            value: 2,
            echo: if delayed { original } else { again },
        });
        let _ = script.give(&ack);
        script.sent();
        ack.ack = ack.ack.add(5_928);
        let _ = script.give(&ack);
        let info = script.connection.info(script.instant());
        assert_eq!((info.ca_state, info.ssthresh), (CaState::Open, ssthresh));
    }
}

#[test]
fn a_full_queue_of_the_host_reduces_cwnd_once_per_window() {
    let mut script = Script::established(&with_sack());
    script.write(10_000);
    script.connection.on_local_congestion();
    script.connection.on_local_congestion();
    let info = script.connection.info(script.instant());
    assert_eq!((info.ca_state, info.ssthresh), (CaState::Cwr, Some(5)));
    script.pass(100);
    script.answer(ACK, 1, 10_001, 0);
    script.write(1_000);
    script.pass(100);
    script.answer(ACK, 1, 11_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!((info.ca_state, info.cwnd), (CaState::Open, 5));
    assert_eq!(info.counters.total_retrans, 0);
}

#[test]
fn a_silent_tail_is_probed() {
    // RFC 8985, 7: two round trips, and the least time-out for one segment's delayed answer.
    let mut script = Script::established(&with_sack());
    script.write(3_000);
    let (wait, sent) = script.expire();
    assert!((200..=203).contains(&wait), "{wait}");
    assert_eq!(shapes(&sent), [(2001, 1000)], "the last segment");
    let info = script.connection.info(script.instant());
    assert_eq!(
        (info.ca_state, info.backoff, info.cwnd),
        (CaState::Open, 0, 10)
    );
    // The answer shows that only the tail was lost: the window is halved for it.
    script.pass(100);
    script.answer(ACK, 1, 3_001, 0);
    script.write(1_000);
    script.pass(100);
    script.answer(ACK, 1, 4_001, 0);
    let info = script.connection.info(script.instant());
    assert_eq!((info.ca_state, info.ssthresh), (CaState::Open, Some(5)));
}

#[test]
fn a_probe_of_new_data_ignores_cwnd() {
    let mut script = Script::established(&with_sack());
    assert_eq!(script.write(20_000).len(), 10);
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(10_001, 1000)]);
    assert!(!sent[0].retransmission);
    // Unanswered, the time-out follows; one probe only.
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(1, 1000)]);
    assert_eq!(
        script.connection.info(script.instant()).ca_state,
        CaState::Loss
    );
}

#[test]
fn time_out_keeps_what_was_sacked() {
    let mut script = Script::established(&with_sack());
    script.write(3_000);
    script.pass(100);
    let _ = script.give(&sacked(1, &[(1001, 2001)]));
    script.sent();
    // The reordering timer, then the time-out.
    script.expire();
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(1, 1000)]);
    let sent = script.answer(ACK, 1, 2001, 0);
    assert_eq!(shapes(&sent), [(2001, 1000)]);
}

#[test]
fn reneging_is_believed_at_a_time_out() {
    // RFC 2018, 8: SACKed data that the acknowledgment then excludes was dropped by the peer.
    let mut script = Script::established(&with_sack());
    script.write(3_000);
    let _ = script.give(&sacked(1, &[(1001, 3001)]));
    let _ = script.give(&sacked(1001, &[]));
    script.sent();
    let (_, sent) = script.expire();
    assert_eq!(shapes(&sent), [(1001, 1000)]);
    assert_eq!(shapes(&script.answer(ACK, 1, 2001, 0)), [(2001, 1000)]);
}

#[test]
fn nonsense_sacks_are_ignored() {
    let mut script = Script::established(&with_sack());
    script.write(3_000);
    for blocks in [
        [(9_000, 12_000)],
        [(2001, 2001)],
        [(2001, 1001)],
        [(1, 0x8000_0001)],
        [(0u32.wrapping_sub(5), 3)],
    ] {
        for _ in 0..4 {
            let _ = script.give(&sacked(1, &blocks));
        }
    }
    script.sent();
    let info = script.connection.info(script.instant());
    assert_eq!((info.sacked, info.lost), (0, 0));
    assert_eq!(info.counters.total_retrans, 0);
}

#[test]
fn acknowledged_data_stops_the_timer() {
    let mut script = Script::established(&plain());
    script.write(2_000);
    script.pass(50);
    script.answer(ACK, 1, 1001, 0);
    let (wait, _) = {
        let deadline = script.connection.next_deadline().unwrap();
        (deadline.as_nanos() / 1_000_000 - script.now, ())
    };
    assert!(wait >= 280, "restarted by the acknowledgment: {wait}");
    script.answer(ACK, 1, 2001, 0);
    assert_eq!(script.connection.next_deadline(), None);
    assert_eq!(script.connection.acked(), 2_000);
}

#[test]
fn cwnd_grows_only_when_used() {
    let mut script = Script::established(&plain());
    for round in 0..20 {
        script.write(1_000);
        script.pass(10);
        script.answer(ACK, 1, 1 + (round + 1) * 1_000, 0);
    }
    assert_eq!(script.connection.info(script.instant()).cwnd, 10);
}

#[test]
fn slow_start_doubles() {
    let mut script = Script::established(&plain());
    let mut acked = 1;
    assert_eq!(script.write(1_000_000).len(), 10);
    let mut flight = 10;
    for wanted in [20, 40] {
        script.pass(100);
        let mut sent = 0;
        for _ in 0..flight {
            acked += 1000;
            sent += script.answer(ACK, 1, acked, 0).len();
        }
        assert_eq!(sent, wanted);
        flight = wanted;
    }
    assert_eq!(script.connection.info(script.instant()).cwnd, 40);
}

#[test]
fn idle_time_restarts_cwnd() {
    let mut script = Script::established(&plain());
    script.write(40_000);
    let mut acked = 1;
    for _ in 0..40 {
        script.pass(10);
        acked += 1000;
        script.answer(ACK, 1, acked, 0);
    }
    assert!(script.connection.info(script.instant()).cwnd > 20);
    script.pass(60_000);
    script.write(1);
    assert_eq!(script.connection.info(script.instant()).cwnd, 10);
}
