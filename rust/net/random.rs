// SPDX-License-Identifier: GPL-2.0

//! Random numbers that nobody can foretell.
//!
//! C header: [`include/linux/random.h`](srctree/include/linux/random.h)

use super::bindings;

/// A random number below `ceil`, which must not be 0.
pub fn below(ceil: u32) -> u32 {
    // SAFETY: An FFI call with no additional requirements; 0 would be no error in memory.
    unsafe { bindings::__get_random_u32_below(ceil) }
}
