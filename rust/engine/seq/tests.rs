// SPDX-License-Identifier: GPL-2.0

use crate::engine::seq::SeqNum;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_survives_wrap_around(start: u32, ahead in 1..i32::MAX) {
        let a = SeqNum(start);
        let b = a.add(ahead as u32);
        prop_assert!(a.before(b) && b.after(a));
        prop_assert!(!b.before(a) && !a.after(b));
        prop_assert_eq!(b.distance_from(a), ahead);
        prop_assert_eq!(a.distance_from(b), -ahead);
        prop_assert_eq!(b.sub(ahead as u32), a);
    }
}

#[test]
fn a_number_is_neither_before_nor_after_itself() {
    let a = SeqNum(u32::MAX);
    assert!(!a.before(a) && !a.after(a));
    assert_eq!(a.add(1), SeqNum(0));
}
