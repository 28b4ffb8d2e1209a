// SPDX-License-Identifier: GPL-2.0

use crate::engine::options::Timestamps;
use crate::engine::segment::DataRange;
use crate::engine::segment::Flags;
use crate::engine::segment::Malformed;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::SeqNum;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(seq: u32, ack: u32, flags: u8, window: u16, stamp: Option<(u32, u32)>) {
        let mut out = SegmentOut::bare(SeqNum(seq), SeqNum(ack), Flags(flags));
        out.window = window;
        out.options.timestamps = stamp.map(|(value, echo)| Timestamps { value, echo });
        let mut bytes = [0xEE; 60];
        let len = out.write_header(1, 0x1234, &mut bytes);
        prop_assert_eq!(len, out.header_len());
        prop_assert_eq!(&bytes[..4], &[0, 1, 0x12, 0x34]);
        prop_assert_eq!(&bytes[16..20], &[0; 4]);
        let read = SegmentIn::parse(&bytes[..len], 9).unwrap();
        prop_assert_eq!((read.seq, read.ack), (out.seq, out.ack));
        prop_assert_eq!((read.flags, read.window), (out.flags, window));
        prop_assert_eq!(read.options, out.options);
        prop_assert_eq!((read.len, read.wire_len), (9, 9));
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = SegmentIn::parse(&bytes, u32::MAX);
    }
}

#[test]
fn malformed_headers() {
    let mut bytes = [0u8; 60];
    assert_eq!(SegmentIn::parse(&bytes[..19], 0), Err(Malformed::Short));
    for (offset, len, good) in [
        (4, 60, false),
        (5, 20, true),
        (6, 20, false),
        (6, 24, true),
        (15, 60, true),
        (15, 59, false),
    ] {
        bytes[12] = offset << 4;
        let result = SegmentIn::parse(&bytes[..len], 0);
        assert_eq!(result.is_ok(), good, "offset {offset} of {len}");
    }
}

#[test]
fn lengths() {
    let mut segment = SegmentIn {
        flags: Flags::SYN.with(Flags::FIN),
        len: 10,
        ..SegmentIn::default()
    };
    assert_eq!(segment.seq_len(), 12);
    segment.len = u32::MAX;
    assert_eq!(segment.seq_len(), u32::MAX);
    let mut out = SegmentOut::bare(SeqNum(0), SeqNum(0), Flags::ACK);
    assert_eq!(out.wire_segments(), 1);
    out.data = Some(DataRange {
        offset: 0,
        len: 2001,
    });
    out.mss = 1000;
    assert_eq!(out.wire_segments(), 3);
}
