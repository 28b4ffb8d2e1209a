// SPDX-License-Identifier: GPL-2.0

//! The order in which ports are tried for a connection that leaves: Linux's (`__inet_hash_connect`),
//! the double-hash selection of RFC 6056 section 3.3.4.
//!
//! Where the search begins depends on a keyed hash of the addresses and the peer's port, and on how
//! often such a search was made before, so that nobody can foretell a port. Half of the ports, those
//! with the parity of the range's first, are tried first: `bind` takes the others.

use crate::net::{
    port::Range,
    random, //
};
use core::sync::atomic::{
    AtomicU32,
    Ordering, //
};

/// How far searches have come, by a part of the hash. RFC 6056 proposes ten counters; with few of
/// them one can be watched through another (as Linux has found).
static PERTURB: [AtomicU32; 1 << 16] = [const { AtomicU32::new(0) }; 1 << 16];

/// A search for a port.
pub(super) struct Search {
    low: u32,
    /// Ports in the range, an even number where half of them are tried first.
    count: u32,
    /// Between two ports that are tried: 2, or 1 for a range that the user chose.
    step: u32,
    /// The same in another order (`ip_local_port_step_width`).
    stride: u32,
    /// The first port of this pass, and the one to try, from `low` on.
    offset: u32,
    next: u32,
    /// How much of the range this pass has seen.
    seen: u32,
    perturb: &'static AtomicU32,
}

impl Search {
    /// A search in `range`, which begins where `hash` says.
    pub(super) fn new(range: &Range, hash: u64, step_width: u32) -> Self {
        let step = if range.own { 1 } else { 2 };
        let low = u32::from(range.low);
        let mut count = (u32::from(range.high) + 1).saturating_sub(low).max(1);
        if !range.own && count > 1 {
            count &= !1;
        }
        let perturb = &PERTURB[hash as usize % PERTURB.len()];
        let before = match perturb.load(Ordering::Relaxed) {
            // Not used yet.
            0 => {
                let begin = 1 + random::below(u32::MAX - 1);
                perturb.store(begin, Ordering::Relaxed);
                begin
            }
            before => before,
        };
        let mut offset = before.wrapping_add((hash >> 32) as u32) % count;
        if !range.own {
            offset &= !1;
        }
        Self {
            low,
            count,
            step,
            stride: stride(count, step, step_width),
            offset,
            next: offset,
            seen: 0,
            perturb,
        }
    }

    /// The next port to try.
    pub(super) fn next(&mut self) -> Option<u16> {
        if self.seen >= self.count {
            let other_half = self.step == 2 && self.offset & 1 == 0 && self.count > 1;
            if !other_half {
                return None;
            }
            self.offset += 1;
            self.next = self.offset;
            self.seen = 0;
        }
        if self.next >= self.count {
            self.next -= self.count;
        }
        let port = self.low + self.next;
        self.next += self.stride;
        self.seen += self.step;
        u16::try_from(port).ok()
    }

    /// The port that was tried last is taken.
    pub(super) fn found(&self) {
        // How far this search went, and at least a bit that nobody knows.
        let went = self.seen.saturating_sub(self.step);
        let went = went.max(random::below(8) * self.step);
        let before = self.perturb.load(Ordering::Relaxed);
        let after = before.wrapping_add(went + self.step);
        self.perturb.store(after, Ordering::Relaxed);
    }
}

/// The distance of two ports that are tried one after the other, such that all are tried.
fn stride(count: u32, step: u32, step_width: u32) -> u32 {
    if step_width == 0 || count <= 1 {
        return step;
    }
    let range = count / step;
    let most = range.min(step_width);
    let mut stride = 1 + random::below(most);
    while gcd(stride, range) != 1 {
        stride += 1;
        // Two even numbers have 2 in common.
        if stride & 1 == 0 && range & 1 == 0 {
            stride += 1;
        }
        if stride > most {
            stride = 1;
            break;
        }
    }
    stride * step
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 {
        a
    } else {
        gcd(b, a % b)
    }
}
