// SPDX-License-Identifier: GPL-2.0

//! RFC 2385: the room that signatures take.

use crate::common::script::*;
use oxtcp_engine::engine::*;

fn signed(config: Config) -> Config {
    Config {
        signed: true,
        ..config
    }
}

fn is_signed(segment: &SegmentOut) -> bool {
    segment.signature_at() == Some(24)
}

#[test]
fn a_signed_syn_offers_no_timestamps() {
    let config = Config {
        timestamps: true,
        sack: true,
        window_scaling: true,
        ..signed(plain())
    };
    let mut script = Script::connect(&config);
    let [syn] = script.sent()[..] else {
        panic!("no SYN")
    };
    assert!(is_signed(&syn));
    assert_eq!(syn.options.timestamps, None);
    assert!(syn.options.sack_permitted && syn.options.window_scale.is_some());
    assert_eq!(syn.options.mss, Some(1000), "the MSS option knows of none");
    // The user took the key away.
    script.connection.set_signed(false);
    let (_, again) = script.expire();
    assert_eq!(again[0].signature_at(), None);
    assert!(again[0].options.timestamps.is_some());
}

#[test]
fn all_segments_are_signed_and_20_octets_shorter() {
    let mut script = Script::established(&signed(plain()));
    script.max_len = 10_000;
    let sent = script.write(3_000);
    assert_eq!(
        shapes(&sent),
        [(1, 980), (981, 980), (1961, 980), (2941, 60)]
    );
    assert!(sent.iter().all(is_signed));
    assert!(sent.iter().all(|segment| segment.wire_segments() == 1));
    assert_eq!(
        script.connection.send_mss(),
        1_000,
        "TCP_MAXSEG is as without"
    );
    // As the retransmission, the FIN and a reset.
    let (_, again) = script.expire();
    assert!(!again.is_empty() && again.iter().all(is_signed));
    assert!(again.iter().all(|segment| segment.data_len() <= 980));
    script.connection.shutdown_write(script.instant());
    let all = script.answer(ACK, 1, 3_001, 0);
    assert!(all.iter().any(|s| s.flags.fin()) && all.iter().all(is_signed));
    script.connection.abort(script.instant());
    let reset = script.sent();
    assert!(reset[0].flags.rst() && is_signed(&reset[0]));
}

#[test]
fn a_key_that_comes_later_makes_what_follows_shorter() {
    let mut script = Script::established(&plain());
    assert_eq!(shapes(&script.write(1_000)), [(1, 1_000)]);
    script.connection.set_signed(true);
    assert_eq!(shapes(&script.write(1_960)), [(1_001, 980), (1_981, 980)]);
    script.connection.set_signed(false);
    let sent = script.write(1_000);
    assert_eq!(shapes(&sent), [(2_961, 1_000)]);
    assert_eq!(sent[0].signature_at(), None);
}

#[test]
fn two_blocks_have_room_beside_a_signature_and_none_beside_timestamps_too() {
    for (timestamps, most) in [(false, 2), (true, 0)] {
        let config = Config {
            timestamps,
            ..signed(with_sack())
        };
        let mut script = Script::established(&config);
        let mut last = None;
        for hole in 1..5 {
            let mut ahead = segment(ACK, hole * 2_000, 1, 500);
            ahead.options.timestamps = timestamps.then_some(Timestamps { value: 1, echo: 0 });
            let _ = script.give(&ahead);
            last = script.sent().pop().or(last);
        }
        let last = last.expect("an acknowledgment");
        assert_eq!(last.options.sack.len(), most);
        assert!(last.header_len() <= 60);
    }
}

#[test]
fn a_signed_syn_ack_gives_timestamps_up_for_sack() {
    let mut syn = segment(SYN, 0, 0, 0);
    syn.options.timestamps = Some(Timestamps { value: 5, echo: 0 });
    for sack in [false, true] {
        syn.options.sack_permitted = sack;
        let config = Config {
            timestamps: true,
            ..signed(with_sack())
        };
        let mut half_open = HalfOpen::new(ms(0), &config, &syn, isn());
        half_open.prepare_signature();
        let mut answer = half_open.syn_ack(ms(0));
        answer.sign();
        assert_eq!(answer.options.timestamps.is_some(), !sack);
        assert_eq!(answer.signature_at(), Some(24));
        let third = segment(ACK, 1, 1, 0);
        let verdict = half_open.on_segment(ms(1), &third, &Patience::LINUX, |_| {});
        assert_eq!(verdict, HalfOpenVerdict::Established);
    }
}
