// SPDX-License-Identifier: GPL-2.0

use crate::engine::urgent::*;

#[test]
fn announced__cases() {
    let place = |start| Place {
        read: 90,
        nxt: 100,
        start,
    };
    let mark = |at| {
        Some(Mark {
            at,
            octet: UrgentOctet::Taken,
        })
    };
    assert_eq!(announced(&place(0), 5, false, None), Some(104));
    assert_eq!(announced(&place(0), 5, true, None), Some(105));
    assert_eq!(announced(&place(0), 0, false, None), Some(100));
    assert_eq!(announced(&place(-3), 5, false, None), Some(101));
    assert_eq!(announced(&place(-5), 5, false, None), None, "received");
    assert_eq!(announced(&place(0), 5, false, mark(104)), None, "again");
    assert_eq!(announced(&place(0), 6, false, mark(104)), Some(105));
    assert_eq!(announced(&place(0), 3, false, mark(104)), None, "older");
}

#[test]
fn pointer__cases() {
    assert_eq!(pointer(1, false), 1);
    assert_eq!(pointer(65_535, false), 65_535);
    assert_eq!(pointer(65_536, false), 0);
    assert_eq!(pointer(65_536, true), 65_535);
}
