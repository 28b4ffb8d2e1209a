// SPDX-License-Identifier: GPL-2.0

//! Sets of stream offsets as few disjoint runs: data held out of order, and the SACK scoreboard.

use crate::engine::store::Memory;

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

/// A run in memory: the low 32 bits of its start and end.
pub type RunBits = (u32, u32);

/// Room for `N` runs, no more.
#[cfg(test)]
#[derive(Clone, Debug)]
pub(crate) struct Fixed<const N: usize>([RunBits; N]);

#[cfg(test)]
impl<const N: usize> Default for Fixed<N> {
    fn default() -> Fixed<N> {
        Fixed([(0, 0); N])
    }
}

#[cfg(test)]
impl<const N: usize> Memory<RunBits> for Fixed<N> {
    fn slots(&self) -> &[RunBits] {
        &self.0
    }

    fn slots_mut(&mut self) -> &mut [RunBits] {
        &mut self.0
    }

    fn grow(&mut self, _len: usize) {}
}

/// The most runs of a set: its operations take time in proportion.
const MOST: usize = 4096;

/// Runs of offsets, sorted, neither overlapping nor touching, as many as the memory holds.
///
/// # Invariants
///
/// - The first `len` pairs of `runs` hold runs, each the low 32 bits of its start and end.
/// - All offsets lie in `floor .. floor + 2^31`, so the low bits tell the offset: half the memory
///   of `u64` pairs.
#[derive(Clone, Debug)]
pub(crate) struct RangeSet<M> {
    floor: u64,
    len: usize,
    memory: M,
}

const REACH: u64 = 1 << 31;

impl<M: Memory<RunBits>> RangeSet<M> {
    /// Makes an empty set.
    pub(crate) fn new() -> RangeSet<M> {
        RangeSet {
            floor: 0,
            len: 0,
            memory: M::default(),
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

    fn wide(&self, (start, end): (u32, u32)) -> Run {
        Run {
            start: self.widen(start),
            end: self.widen(end),
        }
    }

    /// Returns the number of runs.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Returns the runs from the lowest.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Run> + '_ {
        self.iter_from(0)
    }

    fn iter_from(&self, index: usize) -> impl DoubleEndedIterator<Item = Run> + '_ {
        let runs = self.memory.slots().get(index..self.len);
        runs.unwrap_or_default().iter().map(|&run| self.wide(run))
    }

    /// Returns the number of runs at the front for which `test` holds, as for no later one.
    fn count_while(&self, test: impl Fn(Run) -> bool) -> usize {
        let runs = self.memory.slots().get(..self.len).unwrap_or_default();
        runs.partition_point(|&run| test(self.wide(run)))
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
        let first = self.count_while(|run| run.end <= offset);
        self.iter_from(first)
            .next()
            .filter(|run| run.start <= offset)
    }

    /// Returns how many offsets of `start..end` are in the set.
    pub(crate) fn count_in(&self, start: u64, end: u64) -> u64 {
        let mut count = 0u64;
        let first = self.count_while(|run| run.end <= start);
        for run in self.iter_from(first).take_while(|run| run.start < end) {
            let overlap = run.end.min(end).saturating_sub(run.start.max(start));
            count = count.saturating_add(overlap);
        }
        count
    }

    /// Returns the lowest offsets of `start..end` that are in the set, as far as they touch.
    pub(crate) fn overlap(&self, start: u64, end: u64) -> Option<Run> {
        let first = self.count_while(|run| run.end <= start);
        let run = self.iter_from(first).next()?;
        let start = run.start.max(start);
        let end = run.end.min(end);
        (start < end).then_some(Run { start, end })
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
        let first = self.count_while(|run| run.end < start);
        let beyond = self.count_while(|run| run.start <= end);
        let touched = beyond.saturating_sub(first);
        let mut merged = Run { start, end };
        for run in self.iter_from(first).take(touched) {
            merged.start = merged.start.min(run.start);
            merged.end = merged.end.max(run.end);
        }
        if touched == 0 {
            if self.len >= self.memory.slots().len() {
                let wanted = self.len.saturating_mul(2).clamp(16, MOST);
                self.memory.grow(wanted);
            }
            if self.len >= self.memory.slots().len() {
                return Err(Full);
            }
            self.len = self.len.saturating_add(1);
            if let Some(tail) = self.memory.slots_mut().get_mut(first..self.len) {
                tail.rotate_right(1);
            }
        } else {
            let surplus = touched.saturating_sub(1);
            self.remove(first.saturating_add(1), surplus);
        }
        if let Some(slot) = self.memory.slots_mut().get_mut(first) {
            *slot = (merged.start as u32, merged.end as u32);
        }
        Ok(Some(merged))
    }

    /// Removes all offsets below `offset`, which becomes the floor.
    pub(crate) fn discard_below(&mut self, offset: u64) {
        if offset <= self.floor {
            return;
        }
        let gone = self.count_while(|run| run.end <= offset);
        self.remove(0, gone);
        let cut = self.first().is_some_and(|run| run.start < offset);
        self.floor = offset;
        if cut {
            if let Some((start, _)) = self.memory.slots_mut().first_mut() {
                *start = offset as u32;
            }
        }
    }

    /// Removes all offsets from `offset` on.
    pub(crate) fn discard_from(&mut self, offset: u64) {
        self.len = self.count_while(|run| run.start < offset);
        let Some(last) = self.len.checked_sub(1) else {
            return;
        };
        let beyond = self.last().is_some_and(|run| run.end > offset);
        if let (true, Some((_, end))) = (beyond, self.memory.slots_mut().get_mut(last)) {
            *end = offset as u32;
        }
    }

    fn remove(&mut self, at: usize, count: usize) {
        if let Some(tail) = self.memory.slots_mut().get_mut(at..self.len) {
            let count = count.min(tail.len());
            tail.rotate_left(count);
            self.len = self.len.saturating_sub(count);
        }
    }
}

#[cfg(test)]
mod tests;
