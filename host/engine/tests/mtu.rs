// SPDX-License-Identifier: GPL-2.0

//! The path's MTU is found by segments of other sizes (RFC 4821).

use crate::common::script::*;
use oxtcp_engine::engine::*;

fn probing(mtu_probing: MtuProbing) -> Config {
    Config {
        mss: 1400,
        mtu_probing,
        base_mss: 600,
        probe_threshold: 8,
        initial_cwnd: 12,
        ..with_sack()
    }
}

/// Returns an established connection; what is more than 1000 octets is the network's to lose.
fn established(config: &Config) -> Script {
    let mut script = Script::connect(config);
    assert_eq!(script.sent().len(), 1);
    script.pass(100);
    let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
    syn_ack.options.mss = Some(1400);
    syn_ack.options.sack_permitted = true;
    let _ = script.give(&syn_ack);
    script.sent();
    script.events();
    script.max_len = 60_000;
    script.pass(100);
    script
}

fn info(script: &Script) -> Info {
    script.connection.info(script.instant())
}

/// Returns the sequence number, length and segment size of each.
fn sizes(sent: &[SegmentOut]) -> Vec<(u32, u32, u16)> {
    sent.iter()
        .map(|s| (s.seq.0.wrapping_sub(ISS), s.data_len(), s.mss))
        .collect()
}

#[test]
fn nothing_is_probed_unless_asked_for() {
    for mtu_probing in [MtuProbing::Never, MtuProbing::AfterBlackHole] {
        let mut script = established(&probing(mtu_probing));
        assert_eq!(script.connection.send_mss(), 1400);
        let sent = script.write(60_000);
        assert!(sent.iter().all(|s| s.mss == 1400), "{sent:?}");
    }
}

#[test]
fn a_probe_is_one_larger_segment() {
    let mut script = established(&probing(MtuProbing::Always));
    assert_eq!(script.connection.send_mss(), 600);
    let sent = script.write(60_000);
    // RFC 4821, 7.2: the middle of 600 and 1400; as one segment whatever the host would cut.
    assert_eq!(sizes(&sent)[0], (1, 1000, 1000));
    assert_eq!(sent[0].wire_segments(), 1);
    assert!(sent[1..].iter().all(|s| s.mss == 600), "{sent:?}");
    let all: u32 = sent.iter().map(SegmentOut::data_len).sum();
    // cwnd is 12 segments less one.
    assert!((10 * 600..=11 * 600).contains(&all), "{all}");
    assert_eq!(info(&script).cwnd, 11);
}

#[test]
fn a_probe_that_arrives_makes_all_segments_larger() {
    let mut script = established(&probing(MtuProbing::Always));
    script.write(60_000);
    script.pass(100);
    let sent = script.answer(ACK, 1, 1001, 0);
    assert_eq!(script.connection.send_mss(), 1000);
    // 11 packets of 640 octets are as many octets as 6.8 of 1040; what arrived adds 1000.
    assert_eq!(info(&script).cwnd, 7);
    assert_eq!(info(&script).ca_state, CaState::Open);
    assert!(sent.iter().all(|s| s.mss == 1000), "{sent:?}");
}

#[test]
fn the_search_goes_on_to_what_the_route_allows() {
    let mut script = established(&probing(MtuProbing::Always));
    let mut sent = script.write(4_000_000);
    let mut acked = 1;
    for _ in 0..400 {
        script.pass(10);
        for segment in &sent {
            acked = acked.max(segment.seq.0.wrapping_sub(ISS) + segment.data_len());
        }
        sent = script.answer(ACK, 1, acked, 0);
    }
    let mss = script.connection.send_mss();
    assert!((1393..=1400).contains(&mss), "{mss}");
    // Near enough: nothing is tried any more.
    assert!(sent.iter().all(|s| u32::from(s.mss) == mss), "{sent:?}");
}

#[test]
fn a_probe_that_is_lost_alone_is_no_congestion() {
    let mut script = established(&probing(MtuProbing::Always));
    script.write(60_000);
    script.pass(100);
    let before = info(&script);
    // Three segments after the probe arrive.
    for end in [1601, 2201] {
        let _ = script.give(&sacked(1, &[(1001, end)]));
        script.sent();
    }
    let _ = script.give(&sacked(1, &[(1001, 2801)]));
    let sent = script.sent();
    assert_eq!(sizes(&sent)[0], (1, 1000, 600), "again, in small segments");
    assert!(sent[0].retransmission);
    assert_eq!(sent[0].wire_segments(), 2);
    let after = info(&script);
    assert_eq!(after.ssthresh, before.ssthresh, "no reduction");
    assert_eq!(after.cwnd, before.cwnd + 1, "back to what it was");
    assert_eq!(script.connection.send_mss(), 600);
    // Repaired, the search goes on below what failed: between 600 and 999.
    script.pass(100);
    let unsent = 60_000;
    let nxt = 1 + unsent - info(&script).notsent_bytes as u32;
    let mut sent = script.answer(ACK, 1, nxt, 0);
    assert_eq!(info(&script).ca_state, CaState::Open);
    sent.extend(script.write(60_000));
    let probe = sent.iter().find(|s| s.mss != 600).expect("a probe");
    assert_eq!((probe.data_len(), probe.mss), (799, 799));
}

#[test]
fn a_retransmission_leaves_a_probe_inconclusive() {
    let mut script = established(&Config {
        loss_probe: false,
        ..probing(MtuProbing::Always)
    });
    script.write(60_000);
    let (_, sent) = script.expire();
    assert_eq!(sizes(&sent)[0], (1, 600, 600));
    script.pass(100);
    // Whatever arrived, it was not the probe that told.
    script.answer(ACK, 1, 1001, 0);
    assert_eq!(script.connection.send_mss(), 600);
}

#[test]
fn no_time_out_is_taken_for_spurious_while_a_probe_is_out() {
    // RFC 5682 would send new data after the first acknowledgment; a lost probe is no such case.
    for (mtu_probing, mss) in [(MtuProbing::Always, 600), (MtuProbing::Never, 1400)] {
        let mut script = established(&Config {
            loss_probe: false,
            ..probing(mtu_probing)
        });
        script.write(60_000);
        let (_, sent) = script.expire();
        let first = sent[0].data_len();
        assert_eq!(first, mss);
        script.pass(100);
        let sent = script.answer(ACK, 1, 1 + first, 0);
        let again = sent.first().is_some_and(|s| s.retransmission);
        assert_eq!(again, mtu_probing == MtuProbing::Always, "{sent:?}");
    }
}

#[test]
fn a_black_hole_is_left_behind() {
    let mut script = established(&Config {
        loss_probe: false,
        ..probing(MtuProbing::AfterBlackHole)
    });
    let sent = script.write(10_000);
    assert!(sent.iter().all(|s| s.mss == 1400), "{sent:?}");
    // tcp_retries1: 3 tries from 200 ms are 3 s.
    let (mut lens, mut start) = (Vec::new(), None);
    for _ in 0..6 {
        let (_, sent) = script.expire();
        let first = *start.get_or_insert(script.now);
        lens.push((script.now - first >= 2_800, sent[0].data_len()));
    }
    let doubted: Vec<u32> = lens.iter().filter(|l| l.0).map(|l| l.1).collect();
    let before: Vec<u32> = lens.iter().filter(|l| !l.0).map(|l| l.1).collect();
    assert!(before.len() >= 3 && before.iter().all(|&len| len == 1400));
    // First what surely passes, then ever less.
    assert_eq!(doubted, [600, 300, 150]);
    script.pass(10);
    let sent = script.answer(ACK, 1, 151, 0);
    assert_eq!(script.connection.send_mss(), 150);
    assert!(sent.iter().all(|s| s.mss == 150), "{sent:?}");
}

#[test]
fn black_holes_end_at_the_floor() {
    let mut script = established(&Config {
        loss_probe: false,
        mtu_probe_floor: 200,
        ..probing(MtuProbing::AfterBlackHole)
    });
    script.write(10_000);
    for _ in 0..10 {
        script.expire();
    }
    assert_eq!(script.connection.send_mss(), 200);
}

#[test]
fn the_search_begins_anew_after_the_interval() {
    let mut script = established(&probing(MtuProbing::Always));
    // The path takes 700 at most.
    let mut sent = script.write(60_000);
    let mut probes = 0;
    for _ in 0..2_000 {
        script.pass(400);
        let Some(lost) = sent.iter().find(|s| u32::from(s.mss) > 700) else {
            let end = sent
                .iter()
                .map(|s| s.seq.0.wrapping_sub(ISS) + s.data_len())
                .max()
                .unwrap_or(1);
            sent = script.answer(ACK, 1, end, 0);
            script.connection.on_write(script.instant(), 20_000, false);
            sent.extend(script.sent());
            continue;
        };
        if !lost.retransmission {
            probes += 1;
        }
        let (start, len) = shapes(&[*lost])[0];
        let end = sent
            .iter()
            .map(|s| s.seq.0.wrapping_sub(ISS) + s.data_len())
            .max()
            .unwrap_or(1);
        let _ = script.give(&sacked(start, &[(start + len, end)]));
        let again = script.sent();
        let new_end = again
            .iter()
            .map(|s| s.seq.0.wrapping_sub(ISS) + s.data_len())
            .max()
            .unwrap_or(end);
        script.pass(1);
        sent = script.answer(ACK, 1, end.max(new_end), 0);
    }
    let mss = script.connection.send_mss();
    assert!((692..=700).contains(&mss), "{mss}");
    // 800 s: the search was made twice, from 600 and from what was found to 1400.
    assert!(probes >= 8, "{probes}");
}
