// SPDX-License-Identifier: GPL-2.0

//! The largest value of late, in constant space.

/// A maximum over a window of rounds that slides: the best value and two that come next in line when
/// it grows old, each from a later part of the window (K. Nichols' filter; Linux's `lib/win_minmax`).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MaxFilter {
    best: [Entry; 3],
}

/// A value and the round it is from.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    round: u64,
    value: u64,
}

impl MaxFilter {
    /// Returns the largest value.
    pub(crate) fn get(&self) -> u64 {
        let [first, ..] = self.best;
        first.value
    }

    /// Takes the value of `round`, and forgets those that are more than `window` rounds old.
    pub(crate) fn update(&mut self, window: u64, round: u64, value: u64) {
        let new = Entry { round, value };
        let [first, second, third] = self.best;
        let age = |entry: Entry| round.saturating_sub(entry.round);
        if value >= first.value || age(third) > window {
            self.best = [new; 3];
            return;
        }
        let (second, third) = if value >= second.value {
            (new, new)
        } else if value >= third.value {
            (second, new)
        } else {
            (second, third)
        };
        self.best = if age(first) > window {
            // The first is too old: those in line move up, twice if the next one is old as well.
            if age(second) > window {
                [third, new, new]
            } else {
                [second, third, new]
            }
        } else if second.round == first.round && age(first) > window / 4 {
            // A quarter of the window has brought nothing better: a second one from there.
            [first, new, new]
        } else if third.round == second.round && age(second) > window / 2 {
            // Half of the window: a third one.
            [first, second, new]
        } else {
            [first, second, third]
        };
    }
}

#[cfg(test)]
mod tests;
