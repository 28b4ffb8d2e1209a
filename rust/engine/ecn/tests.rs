// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Algorithm;
use crate::engine::config::Config;
use crate::engine::ecn;
use crate::engine::ecn::Codepoint;
use crate::engine::ecn::Ecn;
use crate::engine::ecn::Hurry;
use crate::engine::ecn::Past;
use crate::engine::segment::DataRange;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::SeqNum;

const NONE: Hurry = Hurry {
    quick: false,
    now: false,
};
const QUICK: Hurry = Hurry {
    quick: true,
    now: false,
};
const NOW: Hurry = Hurry {
    quick: false,
    now: true,
};

fn asking() -> Config {
    Config {
        ecn_request: true,
        ..Config::default()
    }
}

/// One whose congestion control wants each mark.
fn exact() -> Ecn {
    Ecn {
        exact: true,
        ..Ecn::new(true, &asking())
    }
}

fn incoming(flags: Flags, codepoint: Codepoint, reserved: u8) -> SegmentIn {
    SegmentIn {
        flags,
        codepoint,
        reserved,
        ..SegmentIn::default()
    }
}

fn outgoing(len: u32, retransmission: bool) -> SegmentOut {
    let mut segment = SegmentOut::bare(SeqNum(1), SeqNum(1), Flags::ACK);
    segment.data = (len > 0).then_some(DataRange { offset: 0, len });
    segment.retransmission = retransmission;
    segment
}

#[test]
fn codepoint__low_bits_of_tos() {
    assert_eq!(Codepoint::from_tos(0xfc), Codepoint::NotEct);
    assert_eq!(Codepoint::from_tos(0xfd), Codepoint::Ect1);
    assert_eq!(Codepoint::from_tos(0x02), Codepoint::Ect0);
    assert_eq!(Codepoint::from_tos(0x2b), Codepoint::Ce);
}

#[test]
fn accepts__both_bits_and_no_mark() {
    let config = Config::default();
    let setup = Flags::SYN.with(Flags::ECE).with(Flags::CWR);
    let one = Flags::SYN.with(Flags::ECE);
    let accepts = |syn| ecn::accepts(&config, &syn);
    assert!(accepts(incoming(setup, Codepoint::NotEct, 0)));
    assert!(!accepts(incoming(one, Codepoint::NotEct, 0)));
    assert!(!accepts(incoming(setup, Codepoint::Ect0, 0)));
    assert!(accepts(incoming(setup, Codepoint::Ect0, 1)));
    let config = Config {
        ecn_accept: false,
        ..config
    };
    let syn = incoming(setup, Codepoint::NotEct, 0);
    assert!(!ecn::accepts(&config, &syn));
}

#[test]
fn is_answered__ece_alone_in_a_syn_ack_and_both_in_a_syn() {
    let syn_ack = Flags::SYN.with(Flags::ACK);
    let answers = |config: &Config, flags, reserved| {
        ecn::is_answered(config, &incoming(flags, Codepoint::NotEct, reserved))
    };
    let echo = syn_ack.with(Flags::ECE);
    assert!(answers(&asking(), echo, 0));
    assert!(answers(&asking(), echo, 1));
    assert!(!answers(&asking(), syn_ack, 0));
    assert!(!answers(&asking(), echo.with(Flags::CWR), 0));
    assert!(!answers(&asking(), echo.with(Flags::CWR), 1));
    assert!(!answers(&Config::default(), echo, 0));
    let setup = Flags::SYN.with(Flags::ECE).with(Flags::CWR);
    assert!(answers(&asking(), setup, 0));
    assert!(!answers(&asking(), Flags::SYN.with(Flags::ECE), 0));
    assert!(!answers(&Config::default(), setup, 0));
}

#[test]
fn on_data__mark_is_echoed_until_cwr() {
    let mut ecn = Ecn::new(true, &asking());
    assert_eq!(ecn.on_data(Codepoint::Ect0, 10, false), NONE);
    assert_eq!(ecn.on_data(Codepoint::Ce, 20, true), QUICK);
    assert_eq!(ecn.on_data(Codepoint::Ce, 30, true), NONE);
    assert_eq!(ecn.take_past(), None);
    let mut segment = outgoing(0, false);
    ecn.mark(&mut segment);
    assert_eq!(segment.flags, Flags::ACK.with(Flags::ECE));
    let cwr = Flags::ACK.with(Flags::CWR);
    let mut data = incoming(cwr, Codepoint::Ect0, 0);
    assert!(!ecn.on_flags(&data));
    data.len = 1;
    assert!(ecn.on_flags(&data));
    let mut segment = outgoing(0, false);
    ecn.mark(&mut segment);
    assert_eq!(segment.flags, Flags::ACK);
}

#[test]
fn on_data__without_mark_after_ecn_was_seen_it_came_again() {
    let mut ecn = Ecn::new(true, &asking());
    assert_eq!(ecn.on_data(Codepoint::NotEct, 10, false), NONE);
    assert_eq!(ecn.on_data(Codepoint::Ect1, 20, false), NONE);
    assert_eq!(ecn.on_data(Codepoint::NotEct, 30, false), QUICK);
}

#[test]
fn on_data__not_agreed_nothing_is_said() {
    let mut ecn = Ecn::new(false, &asking());
    assert_eq!(ecn.on_data(Codepoint::Ce, 10, false), NONE);
    ecn.on_reduction();
    let mut segment = outgoing(10, false);
    ecn.mark(&mut segment);
    assert_eq!(segment.flags, Flags::ACK);
    assert_eq!(segment.codepoint, Codepoint::NotEct);
    assert!(!ecn.is_echo(Flags::ECE));
}

#[test]
fn exact__each_change_is_told_with_what_came_before() {
    // RFC 8257, 3.2, figure 1.
    let mut ecn = exact();
    assert_eq!(ecn.on_data(Codepoint::Ect0, 10, false), NONE);
    assert_eq!(ecn.on_data(Codepoint::Ce, 20, true), NOW);
    let unmarked = Past {
        nxt: 10,
        echo: false,
    };
    assert_eq!(ecn.take_past(), Some(unmarked));
    assert_eq!(ecn.take_past(), None);
    let mut segment = outgoing(0, false);
    ecn.mark(&mut segment);
    assert_eq!(segment.flags, Flags::ACK.with(Flags::ECE));
    assert_eq!(segment.codepoint, Codepoint::Ect0);
    assert_eq!(ecn.on_data(Codepoint::Ce, 30, true), NONE);
    assert_eq!(ecn.take_past(), None);
    // No acknowledgment waits, so none is due for the past.
    assert_eq!(ecn.on_data(Codepoint::Ect0, 40, false), NOW);
    assert_eq!(ecn.take_past(), None);
    assert_eq!(ecn.on_data(Codepoint::Ect0, 50, true), NONE);
    assert_eq!(ecn.on_data(Codepoint::Ce, 60, true), NOW);
    assert_eq!(
        ecn.take_past(),
        Some(Past {
            nxt: 50,
            echo: false
        })
    );
    assert_eq!(ecn.on_data(Codepoint::Ect0, 70, true), NOW);
    assert_eq!(
        ecn.take_past(),
        Some(Past {
            nxt: 60,
            echo: true
        })
    );
}

#[test]
fn mark__only_new_data_is_capable() {
    let mut ecn = Ecn::new(true, &asking());
    for (len, again, codepoint) in [
        (10, false, Codepoint::Ect0),
        (10, true, Codepoint::NotEct),
        (0, false, Codepoint::NotEct),
    ] {
        let mut segment = outgoing(len, again);
        ecn.mark(&mut segment);
        assert_eq!(segment.codepoint, codepoint);
    }
    let mut segment = outgoing(10, true);
    exact().mark(&mut segment);
    assert_eq!(segment.codepoint, Codepoint::Ect0);
}

#[test]
fn mark__cwr_once_with_new_data() {
    let mut ecn = Ecn::new(true, &asking());
    ecn.on_reduction();
    let cwr = |ecn: &mut Ecn, len, again| {
        let mut segment = outgoing(len, again);
        ecn.mark(&mut segment);
        segment.flags.contains(Flags::CWR)
    };
    assert!(!cwr(&mut ecn, 0, false));
    assert!(!cwr(&mut ecn, 10, true));
    assert!(cwr(&mut ecn, 10, false));
    assert!(!cwr(&mut ecn, 10, false));
}

#[test]
fn count__by_codepoint() {
    let mut ecn = Ecn::new(false, &Config::default());
    let data = |codepoint, len, wire_len| SegmentIn {
        codepoint,
        len,
        wire_len,
        ..SegmentIn::default()
    };
    ecn.count(&data(Codepoint::NotEct, 50, 50));
    assert!(!ecn.was_seen());
    ecn.count(&data(Codepoint::Ce, 30, 10));
    ecn.count(&data(Codepoint::Ce, 0, 0));
    ecn.count(&data(Codepoint::Ect1, 7, 7));
    ecn.count(&data(Codepoint::Ect0, 8, 8));
    assert!(ecn.was_seen());
    assert_eq!(ecn.received().ce, 4);
    assert_eq!(ecn.received().octets, [7, 8, 30]);
}

#[test]
fn of_handshake__only_for_dctcp() {
    // RFC 3168, 6.1.1; RFC 8257, 3.3.
    let dctcp = Config {
        congestion: Algorithm::Dctcp,
        ..Config::default()
    };
    assert_eq!(ecn::of_handshake(&asking(), true), Codepoint::NotEct);
    assert_eq!(ecn::of_handshake(&dctcp, true), Codepoint::Ect0);
    assert_eq!(ecn::of_handshake(&dctcp, false), Codepoint::NotEct);
}
