// SPDX-License-Identifier: GPL-2.0

//! Sets of stream offsets as few disjoint runs: data held out of order, and the SACK scoreboard.

/// A half-open run of stream offsets, `start` before `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// The first offset.
    pub(crate) start: u64,
    /// The offset after the last.
    pub(crate) end: u64,
}

impl Run {
    /// Returns the number of offsets.
    pub(crate) fn len(self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// What a [`RangeSet`] could not take: it is full, or the run lies 2^31 or more above its floor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

/// At most `N` runs of offsets, sorted, neither overlapping nor touching.
///
/// # Invariants
///
/// - The first `len` pairs of `runs` hold runs, each the low 32 bits of its start and end.
/// - All offsets lie in `floor .. floor + 2^31`, so the low bits tell the offset: half the memory
///   of `u64` pairs.
#[derive(Clone, Debug)]
pub(crate) struct RangeSet<const N: usize> {
    floor: u64,
    len: usize,
    runs: [(u32, u32); N],
}

const REACH: u64 = 1 << 31;

impl<const N: usize> RangeSet<N> {
    /// Makes an empty set.
    pub(crate) const fn new() -> RangeSet<N> {
        RangeSet {
            floor: 0,
            len: 0,
            runs: [(0, 0); N],
        }
    }

    /// Returns whether the set is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets all runs.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    fn widen(&self, low: u32) -> u64 {
        let above = low.wrapping_sub(self.floor as u32);
        self.floor.saturating_add(u64::from(above))
    }

    /// Returns the runs from the lowest.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Run> + '_ {
        let runs = self.runs.get(..self.len).unwrap_or_default();
        runs.iter().map(|&(start, end)| Run {
            start: self.widen(start),
            end: self.widen(end),
        })
    }

    /// Returns the lowest run.
    pub(crate) fn first(&self) -> Option<Run> {
        self.iter().next()
    }

    /// Returns the highest run.
    pub(crate) fn last(&self) -> Option<Run> {
        self.iter().next_back()
    }

    /// Returns the run that contains `offset`.
    pub(crate) fn run_at(&self, offset: u64) -> Option<Run> {
        self.iter()
            .find(|run| run.start <= offset && offset < run.end)
    }

    /// Returns how many offsets of `start..end` are in the set.
    pub(crate) fn count_in(&self, start: u64, end: u64) -> u64 {
        let mut count = 0u64;
        for run in self.iter() {
            let overlap = run.end.min(end).saturating_sub(run.start.max(start));
            count = count.saturating_add(overlap);
        }
        count
    }

    /// Returns the first run of offsets in `from..limit` that are not in the set.
    pub(crate) fn gap_from(&self, from: u64, limit: u64) -> Option<Run> {
        let mut start = from;
        for run in self.iter() {
            if run.start > start {
                let end = run.start.min(limit);
                return (start < end).then_some(Run { start, end });
            }
            start = start.max(run.end);
        }
        (start < limit).then_some(Run { start, end: limit })
    }

    /// Adds `start..end` and returns the run that now contains it; what lies below the floor is
    /// ignored.
    pub(crate) fn insert(&mut self, start: u64, end: u64) -> Result<Option<Run>, Full> {
        let start = start.max(self.floor);
        if start >= end {
            return Ok(None);
        }
        if end.saturating_sub(self.floor) >= REACH {
            return Err(Full);
        }
        // Runs `first .. beyond` touch the new one and melt into it.
        let first = self.iter().filter(|run| run.end < start).count();
        let beyond = self.iter().filter(|run| run.start <= end).count();
        let touched = beyond.saturating_sub(first);
        let mut merged = Run { start, end };
        for run in self.iter().skip(first).take(touched) {
            merged.start = merged.start.min(run.start);
            merged.end = merged.end.max(run.end);
        }
        if touched == 0 {
            if self.len >= N {
                return Err(Full);
            }
            self.len = self.len.saturating_add(1);
            if let Some(tail) = self.runs.get_mut(first..self.len) {
                tail.rotate_right(1);
            }
        } else {
            let surplus = touched.saturating_sub(1);
            self.remove(first.saturating_add(1), surplus);
        }
        if let Some(slot) = self.runs.get_mut(first) {
            *slot = (merged.start as u32, merged.end as u32);
        }
        Ok(Some(merged))
    }

    /// Removes all offsets below `offset`, which becomes the floor.
    pub(crate) fn discard_below(&mut self, offset: u64) {
        if offset <= self.floor {
            return;
        }
        let gone = self.iter().filter(|run| run.end <= offset).count();
        self.remove(0, gone);
        let cut = self.first().is_some_and(|run| run.start < offset);
        self.floor = offset;
        if cut {
            if let Some((start, _)) = self.runs.first_mut() {
                *start = offset as u32;
            }
        }
    }

    fn remove(&mut self, at: usize, count: usize) {
        if let Some(tail) = self.runs.get_mut(at..self.len) {
            let count = count.min(tail.len());
            tail.rotate_left(count);
            self.len = self.len.saturating_sub(count);
        }
    }
}

#[cfg(test)]
mod tests;
