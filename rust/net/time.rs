// SPDX-License-Identifier: GPL-2.0

//! Clocks.
//!
//! C headers: [`include/linux/timekeeping.h`](srctree/include/linux/timekeeping.h),
//! [`include/linux/jiffies.h`](srctree/include/linux/jiffies.h)

use super::bindings;
use kernel::ffi::c_ulong;

/// Nanoseconds of one tick of the kernel's timers.
pub const TICK_NS: u64 = 1_000_000_000 / bindings::HZ as u64;

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub fn now_ns() -> u64 {
    // SAFETY: Always callable.
    unsafe { bindings::ktime_get_ns() }
}

/// The time of the jiffies clock `delay_ns` nanoseconds from now, rounded up to a whole tick.
///
/// A timer set to it may fire up to one tick early, since the current tick has begun.
pub(super) fn jiffies_after(delay_ns: u64) -> c_ulong {
    let ticks = delay_ns.div_ceil(TICK_NS).clamp(1, i32::MAX as u64);
    // SAFETY: Always callable.
    unsafe { bindings::jiffies_now() }.wrapping_add(ticks as c_ulong)
}
