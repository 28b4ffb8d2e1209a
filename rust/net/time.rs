// SPDX-License-Identifier: GPL-2.0

//! Clocks.
//!
//! C headers: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h),
//! [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h)

use super::bindings;
use kernel::ffi::c_ulong;

/// Nanoseconds of one tick of the kernel's timers.
pub const TICK_NS: u64 = 1_000_000_000 / bindings::HZ as u64;

const NS_PER_MS: i64 = 1_000_000;
const MS_PER_DAY: i64 = 86_400_000;

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn now_ns() -> u64 {
    // SAFETY: Always callable.
    unsafe { bindings::ktime_get_ns() }
}

/// Milliseconds since midnight UTC, as IP tells the time (`inet_current_timestamp`).
pub(super) fn since_midnight_ms() -> u32 {
    // SAFETY: Always callable.
    let ns = unsafe { bindings::ktime_get_real() };
    (ns.div_euclid(NS_PER_MS) % MS_PER_DAY) as u32
}

/// The time of the jiffies clock `delay_ns` nanoseconds from now, rounded up to a whole tick.
///
/// A timer set to it may fire up to one tick early, since the current tick has begun.
pub(super) fn jiffies_after(delay_ns: u64) -> c_ulong {
    let ticks = delay_ns.div_ceil(TICK_NS).clamp(1, i32::MAX as u64);
    // SAFETY: Always callable.
    unsafe { bindings::jiffies_now() }.wrapping_add(ticks as c_ulong)
}
