// SPDX-License-Identifier: GPL-2.0

//! Keeping softirqs off.
//!
//! C header: [`include/linux/bottom_half.h`](srctree/include/linux/bottom_half.h)

use super::bindings;
use core::ptr::NonNull;
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

    /// The proof of who has them off already, as in a softirq.
    ///
    /// # Safety
    ///
    /// Softirqs must not run on this CPU for `'a`.
    pub(super) unsafe fn already<'a>() -> &'a Self {
        // SAFETY: A type of no size is everywhere, and means what the caller promises. It is not
        // dropped.
        unsafe { NonNull::dangling().as_ref() }
    }
}

impl Drop for BhDisabled {
    fn drop(&mut self) {
        // SAFETY: Undoes what `new` did on this CPU: the value is not sent elsewhere.
        unsafe { bindings::local_bh_enable() };
    }
}
