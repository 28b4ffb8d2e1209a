// SPDX-License-Identifier: GPL-2.0

use crate::engine::options::Options;
use crate::engine::options::SackBlock;
use crate::engine::options::Timestamps;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::SeqNum;
use crate::engine::signature::Authentication;
use crate::engine::signature::Signature;
use crate::engine::window::WindowScale;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

/// A header with these options, padded with what no parser minds.
fn header(options: &[u8]) -> Vec<u8> {
    let mut header = vec![0; 20];
    header.extend_from_slice(options);
    header
}

fn signature(first: u8) -> Vec<u8> {
    let mut option = vec![19, 18];
    option.extend((0..16).map(|i| first.wrapping_add(i)));
    option
}

fn of(options: &[u8]) -> Authentication {
    Authentication::of(&header(options))
}

#[test]
fn authentication__is_found_among_other_options() {
    let value: [u8; 16] = core::array::from_fn(|i| 7 + i as u8);
    let signed = Authentication::Md5(value);
    assert_eq!(of(&[&[1, 1], &signature(7)[..]].concat()), signed);
    assert_eq!(
        of(&[&[2, 4, 5, 180, 1, 3, 3, 7], &signature(7)[..], &[1, 1]].concat()),
        signed
    );
    assert_eq!(of(&[29, 6, 1, 2, 3, 4, 1, 1]), Authentication::Ao);
    let none = [
        &[][..],
        &[2, 4, 5, 180],
        &[1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8],
        &[0, 19, 18, 0, 0, 0, 0, 0],
    ];
    for options in none {
        assert_eq!(of(options), Authentication::None, "{options:?}");
    }
}

#[test]
fn authentication__has_the_length_of_its_kind_and_is_alone() {
    let twice = [&signature(1)[..], &signature(1)[..], &[1, 1]].concat();
    let both = [&signature(1)[..], &[29, 5, 1, 1, 1]].concat();
    let malformed = [
        &twice[..],
        &both[..],
        &[19, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        &[29, 4, 0, 0, 1, 1, 1, 1],
        // Of any kind.
        &[77, 0, 0, 0, 0, 0, 0, 0],
        &[77, 1, 0, 0, 0, 0, 0, 0],
        &[77, 9, 0, 0, 0, 0, 0, 0],
    ];
    for options in malformed {
        assert_eq!(of(options), Authentication::Malformed, "{options:?}");
    }
    // In the last four octets there can be none of these, and a length is not looked at.
    assert_eq!(of(&[1, 1, 1, 1, 77, 9, 0, 0]), Authentication::None);
}

#[test]
fn signature__stands_where_linux_has_it() {
    let timestamps = Some(Timestamps { value: 1, echo: 2 });
    let mut syn = SegmentOut::bare(SeqNum(1), SeqNum(0), Flags::SYN);
    syn.options = Options {
        mss: Some(1460),
        window_scale: Some(WindowScale::new(7)),
        sack_permitted: true,
        ..Options::default()
    };
    syn.sign();
    assert_eq!(syn.signature_at(), Some(24));
    let mut bytes = [0; 60];
    assert_eq!(syn.write_header(1, 2, &mut bytes), 52);
    assert_eq!(&bytes[20..24], &[1, 1, 19, 18]);
    assert_eq!(&bytes[40..52], &[2, 4, 5, 180, 1, 1, 4, 2, 1, 3, 3, 7]);

    let mut ack = SegmentOut::bare(SeqNum(1), SeqNum(1), Flags::ACK);
    ack.options.timestamps = timestamps;
    assert_eq!(ack.signature_at(), None);
    ack.sign();
    assert_eq!(ack.signature_at(), Some(36));
    assert_eq!(ack.write_header(1, 2, &mut bytes), 52);
    assert_eq!(&bytes[32..36], &[1, 1, 19, 18]);

    let mut rst = SegmentOut::bare(SeqNum(1), SeqNum(1), Flags::RST);
    rst.sign();
    assert_eq!(rst.signature_at(), Some(24));
    assert_eq!(rst.write_header(1, 2, &mut bytes), 40);
}

#[test]
fn signature__comes_before_the_blocks_that_still_fit() {
    let mut options = Options {
        signature: Signature::First,
        ..Options::default()
    };
    for left in 0..4 {
        options.sack.push(SackBlock {
            left: SeqNum(left * 10),
            right: SeqNum(left * 10 + 5),
        });
    }
    let mut bytes = [0; 40];
    let len = options.write(&mut bytes);
    assert_eq!(len, 40);
    assert_eq!(Options::parse(&bytes[..len]).sack.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_looked_at_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..61)) {
        let _ = Authentication::of(&bytes);
    }
}
