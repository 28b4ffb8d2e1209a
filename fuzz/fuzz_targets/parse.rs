// SPDX-License-Identifier: GPL-2.0

//! Any octets as a header: what is read means the same when it is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use oxtcp_engine::engine::Options;
use oxtcp_engine::engine::SegmentIn;

fuzz_target!(|data: &[u8]| {
    if let Ok(segment) = SegmentIn::parse(data, 7) {
        assert!(segment.seq_len() >= 7);
        again(&segment.options);
    }
    again(&Options::parse(data));
});

/// Writes options and reads them back: whole ones are the same, and what did not fit is left out.
fn again(options: &Options) {
    let mut out = [0; 40];
    let len = options.write(&mut out);
    assert!(len <= out.len() && len % 4 == 0 && len == options.space());
    let read = Options::parse(&out[..len]);
    let whole = read.sack.len() == options.sack.len();
    if whole && read.fast_open.is_some() == options.fast_open.is_some() {
        assert_eq!(read, *options);
    }
    let mut second = [0; 40];
    assert_eq!(read.write(&mut second), len);
    assert_eq!(second, out);
}
