// SPDX-License-Identifier: GPL-2.0

use super::Mib;
use super::Tally;
use std::vec::Vec;

fn taken(tally: &Tally) -> Vec<(usize, u16)> {
    let mut all = Vec::new();
    tally.take(|index, n| all.push((index, n)));
    all
}

#[test]
fn hands_out_once() {
    let tally = Tally::NONE;
    tally.count(Mib::InErrs);
    tally.add(Mib::PawsEstab, 3);
    tally.add(Mib::PawsEstab, 2);
    tally.add(Mib::Timeouts, 0);
    let last = Mib::COUNT - 1;
    assert_eq!(taken(&tally), [(0, 5), (last, 1)]);
    assert_eq!(taken(&tally), []);
}

#[test]
fn stays_at_its_most() {
    let tally = Tally::NONE;
    tally.add(Mib::Delivered, 70_000);
    tally.count(Mib::Delivered);
    assert_eq!(taken(&tally), [(Mib::Delivered as usize, u16::MAX)]);
}
