// SPDX-License-Identifier: GPL-2.0

//! Keeping softirqs off.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)

use super::bindings;
use kernel::types::NotThreadSafe;

/// Softirqs do not run on this CPU while this lives. May be nested.
pub struct BhDisabled(NotThreadSafe);

impl Default for BhDisabled {
    fn default() -> Self {
        Self::new()
    }
}

impl BhDisabled {
    /// Keeps softirqs off.
    pub fn new() -> Self {
        // SAFETY: An FFI call with no additional requirements, undone when the result is dropped.
        unsafe { bindings::local_bh_disable() };
        Self(NotThreadSafe)
    }
}

impl Drop for BhDisabled {
    fn drop(&mut self) {
        // SAFETY: Undoes what `new` did on this CPU: the value is not sent elsewhere.
        unsafe { bindings::local_bh_enable() };
    }
}
