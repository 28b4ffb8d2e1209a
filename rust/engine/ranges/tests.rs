// SPDX-License-Identifier: GPL-2.0

use crate::engine::ranges::Fixed;
use crate::engine::ranges::RangeSet;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::vec::Vec;

#[derive(Clone, Debug)]
enum Operation {
    Insert(u64, u64),
    Discard(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (0u64..200, 1u64..30).prop_map(|(start, len)| Operation::Insert(start, start + len)),
        2 => (0u64..200).prop_map(Operation::Discard),
    ]
}

/// Returns the model's runs above `base`.
fn runs(model: &BTreeSet<u64>) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for &offset in model {
        match runs.last_mut() {
            Some((_, end)) if *end == offset => *end += 1,
            _ => runs.push((offset, offset + 1)),
        }
    }
    runs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_set(
        base in prop_oneof![Just(0u64), Just(u64::from(u32::MAX) - 100), any::<u32>().prop_map(u64::from)],
        operations in prop::collection::vec(operation(), 1..60),
        from in 0u64..250,
        to in 0u64..250,
    ) {
        let mut set: RangeSet<Fixed<6>> = RangeSet::new();
        let mut model = BTreeSet::new();
        let mut floor = base;
        set.discard_below(base);
        for operation in operations {
            match operation {
                Operation::Insert(start, end) => {
                    let (start, end) = (base + start, base + end);
                    let mut wanted = model.clone();
                    wanted.extend(start.max(floor)..end.max(floor));
                    match set.insert(start, end) {
                        Ok(Some(run)) => {
                            model = wanted;
                            prop_assert!(run.start <= start.max(floor) && end <= run.end);
                            prop_assert!(runs(&model).contains(&(run.start, run.end)));
                        }
                        Ok(None) => prop_assert_eq!(&wanted, &model),
                        Err(_) => prop_assert!(runs(&wanted).len() > 6, "refused without need"),
                    }
                }
                Operation::Discard(offset) => {
                    floor = floor.max(base + offset);
                    set.discard_below(base + offset);
                    model = model.split_off(&floor);
                }
            }
            let got: Vec<_> = set.iter().map(|run| (run.start, run.end)).collect();
            prop_assert_eq!(got, runs(&model));
            prop_assert_eq!(set.is_empty(), model.is_empty());
        }
        let (from, to) = (base + from, base + to);
        let within = |offset: &u64| from <= *offset && *offset < to;
        let count = model.iter().filter(|offset| within(offset)).count();
        prop_assert_eq!(set.count_in(from, to), count as u64);
        prop_assert_eq!(set.run_at(from).is_some(), model.contains(&from));
    }
}

#[test]
fn refuses_what_lies_too_far_ahead() {
    let mut set: RangeSet<Fixed<2>> = RangeSet::new();
    assert!(set.insert(1 << 31, (1 << 31) + 1).is_err());
    set.discard_below(100);
    assert!(set.insert((1 << 31) + 50, (1 << 31) + 60).is_ok());
}
