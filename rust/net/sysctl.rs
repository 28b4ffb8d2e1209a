// SPDX-License-Identifier: GPL-2.0

//! The settings of the whole system, `net.oxtcp.*`.
//!
//! C header: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h)

use super::bindings;
use kernel::prelude::*;

/// How many connections without a descriptor there may be, `net.oxtcp.max_orphans`.
///
/// It begins with what `net.ipv4.tcp_max_orphans` begins with, which a module can neither read nor
/// follow.
pub fn max_orphans() -> u32 {
    // SAFETY: An FFI call with no additional requirements.
    unsafe { bindings::oxtcp_max_orphans() }.max(0) as u32
}

/// The settings are there for as long as this value is.
///
/// # Invariants
///
/// What registration returned: null where the kernel has no sysctl.
pub struct Registration(*mut bindings::ctl_table_header);

// SAFETY: A registration is not tied to a thread.
unsafe impl Send for Registration {}

// SAFETY: Nothing can be done with a shared reference.
unsafe impl Sync for Registration {}

impl Registration {
    /// Registers them.
    pub fn new() -> Result<Self> {
        // SAFETY: An FFI call that may sleep, as this function may.
        let header = unsafe { bindings::oxtcp_sysctl_register() };
        if header.is_null() && cfg!(CONFIG_SYSCTL) {
            return Err(ENOMEM);
        }
        // INVARIANT: That is it.
        Ok(Self(header))
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: By the type invariants it was registered, and is not unregistered twice.
            unsafe { bindings::unregister_net_sysctl_table(self.0) };
        }
    }
}
