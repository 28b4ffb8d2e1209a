// SPDX-License-Identifier: GPL-2.0

use crate::engine::options::Options;
use crate::engine::options::SackBlock;
use crate::engine::options::SackBlocks;
use crate::engine::options::Timestamps;
use crate::engine::seq::SeqNum;
use crate::engine::signature::Signature;
use crate::engine::window::WindowScale;
use proptest::prelude::*;
use std::vec::Vec;

fn options() -> impl Strategy<Value = Options> {
    (
        prop::option::of(any::<u16>()),
        prop::option::of(0u8..=14),
        any::<bool>(),
        prop::option::of(any::<(u32, u32)>()),
        prop::collection::vec(any::<(u32, u32)>(), 0..4),
    )
        .prop_map(|(mss, scale, sack_permitted, timestamps, blocks)| {
            let mut sack = SackBlocks::new();
            for (left, right) in blocks {
                sack.push(SackBlock {
                    left: SeqNum(left),
                    right: SeqNum(right),
                });
            }
            Options {
                mss,
                window_scale: scale.map(WindowScale::new),
                sack_permitted,
                timestamps: timestamps.map(|(value, echo)| Timestamps { value, echo }),
                sack,
                fast_open: None,
                signature: Signature::None,
            }
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(options in options()) {
        let mut bytes = [0xEE; 40];
        let len = options.write(&mut bytes);
        prop_assert!(len <= 40 && len % 4 == 0);
        prop_assert_eq!(len, options.space());
        let read = Options::parse(&bytes[..len]);
        let fits = read.sack.len();
        prop_assert_eq!(read.sack.as_slice(), &options.sack.as_slice()[..fits]);
        prop_assert!(fits == options.sack.len() || len > 40 - 12, "left out without need");
        prop_assert_eq!(Options { sack: options.sack, ..read }, options);
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..41)) {
        let options = Options::parse(&bytes);
        prop_assert!(options.sack.len() <= SackBlocks::CAPACITY);
    }

    #[test]
    fn what_precedes_damage_is_kept(mss: u16, rest in prop::collection::vec(any::<u8>(), 0..36)) {
        let mut bytes: Vec<u8> = Vec::from([2, 4]);
        bytes.extend(mss.to_be_bytes());
        // A length of 0 or 1 would never end.
        bytes.extend([9, 1]);
        bytes.extend(rest);
        let options = Options::parse(&bytes);
        prop_assert_eq!(options, Options { mss: Some(mss), ..Options::default() });
    }
}

#[test]
fn damaged_options() {
    let none = Options::default();
    let cases: &[(&str, &[u8])] = &[
        ("nothing", &[]),
        ("the end, then more", &[0, 2, 4, 5, 0xB4]),
        ("no length", &[1, 1, 1, 2]),
        ("length 0", &[2, 0, 5, 0xB4]),
        ("length beyond the end", &[2, 5, 5, 0xB4]),
        ("MSS of a wrong length", &[2, 3, 5, 0]),
        ("SACK of a wrong length", &[5, 9, 0, 0, 0, 1, 0, 0, 0, 0]),
        ("timestamps cut", &[8, 10, 0, 0, 0, 1]),
    ];
    for (label, bytes) in cases {
        assert_eq!(Options::parse(bytes), none, "{label}");
    }
    let scale = Options::parse(&[3, 3, 200]).window_scale;
    assert_eq!(scale, Some(WindowScale::MAX), "RFC 7323, 2.3");
    let unknown = Options::parse(&[254, 4, 1, 2, 4, 2]);
    assert!(unknown.sack_permitted, "an unknown option is skipped");
}

#[test]
fn linux_layout() {
    let options = Options {
        mss: Some(1460),
        window_scale: Some(WindowScale::new(7)),
        sack_permitted: true,
        timestamps: Some(Timestamps { value: 1, echo: 0 }),
        sack: SackBlocks::new(),
        ..Options::default()
    };
    let mut bytes = [0; 40];
    let len = options.write(&mut bytes);
    assert_eq!(
        bytes[..len],
        [2, 4, 5, 0xB4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7]
    );
}
