// SPDX-License-Identifier: GPL-2.0

//! The settings that Linux has not, `net.oxtcp.*`.
//!
//! C header: [`include/linux/sysctl.h`](srctree/include/linux/sysctl.h)

use super::{
    bindings,
    net_namespace::Net, //
};
use core::{
    cell::UnsafeCell,
    ffi::CStr,
    mem::size_of,
    ptr, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// The bounds of the settings.
static ZERO: c_int = 0;
static ONE: c_int = 1;

/// `net.oxtcp.max_orphans`: one for the whole system, as `net.ipv4.tcp_max_orphans`.
static MAX_ORPHANS: Atomic<i32> = Atomic::new(0);

/// How many connections without a descriptor there may be, `net.oxtcp.max_orphans`.
///
/// It begins with what `net.ipv4.tcp_max_orphans` begins with, which a module can neither read nor
/// follow.
pub fn max_orphans() -> u32 {
    MAX_ORPHANS.load(Relaxed).max(0) as u32
}

/// The settings of a namespace.
///
/// # Invariants
///
/// `table` and `header` are used by the core, which calls [`Settings::register`] and
/// [`Settings::unregister`] one after the other. `header` is null, or what is registered.
pub struct Settings {
    enabled: Atomic<i32>,
    table: Opaque<[bindings::ctl_table; 2]>,
    header: UnsafeCell<*mut bindings::ctl_table_header>,
}

// SAFETY: A registration is not tied to a thread.
unsafe impl Send for Settings {}

// SAFETY: `enabled` is atomic; the other fields are used as the type invariants say.
unsafe impl Sync for Settings {}

impl Settings {
    /// The settings of a new namespace.
    pub fn new(enabled: bool) -> Self {
        // INVARIANT: Nothing is registered.
        Self {
            enabled: Atomic::new(enabled.into()),
            table: Opaque::zeroed(),
            header: UnsafeCell::new(ptr::null_mut()),
        }
    }

    /// Whether sockets can be made, `net.oxtcp.enabled`.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Relaxed) != 0
    }

    /// Makes the files of the settings.
    ///
    /// # Safety
    ///
    /// Must be called once, and [`Settings::unregister`] before `self` moves, or the namespace or the
    /// code goes away.
    pub(super) unsafe fn register(&self, net: &Net) -> Result {
        let entry = |name: &'static CStr, data: *mut i32, most: Option<&'static c_int>| {
            bindings::ctl_table {
                procname: name.as_char_ptr(),
                data: data.cast(),
                maxlen: size_of::<c_int>() as c_int,
                mode: 0o644,
                proc_handler: Some(bindings::proc_dointvec_minmax),
                extra1: (&raw const ZERO).cast_mut().cast(),
                extra2: most.map_or(ptr::null_mut(), |most| {
                    ptr::from_ref(most).cast_mut().cast()
                }),
                ..pin_init::zeroed()
            }
        };
        let table = [
            entry(c"enabled", self.enabled.as_ptr(), Some(&ONE)),
            entry(c"max_orphans", MAX_ORPHANS.as_ptr(), None),
        ];
        let is_first = ptr::eq(net.as_raw(), &raw const bindings::init_net);
        if is_first {
            // As tcp_init().
            // SAFETY: The first namespace is there, and has its table of connections.
            let buckets = unsafe { bindings::tcp_ehash_size(net.as_raw()) };
            MAX_ORPHANS.store((buckets / 2) as i32, Relaxed);
        }
        let count = if is_first { table.len() } else { 1 };
        // SAFETY: Nobody else uses the table yet, by the safety requirements. It and what it points to
        // stay where they are until it is unregistered. The name is copied.
        let header = unsafe {
            self.table.get().write(table);
            bindings::register_net_sysctl_sz(
                net.as_raw(),
                c"net/oxtcp".as_char_ptr(),
                self.table.get().cast(),
                count,
            )
        };
        if header.is_null() && cfg!(CONFIG_SYSCTL) {
            return Err(ENOMEM);
        }
        // SAFETY: By the type invariants nobody else uses it.
        // INVARIANT: That is what is registered.
        unsafe { *self.header.get() = header };
        Ok(())
    }

    /// Takes them away again, and waits until nobody uses them. Sleeps.
    ///
    /// # Safety
    ///
    /// Not while [`Settings::register`] runs, nor another call of this.
    pub(super) unsafe fn unregister(&self) {
        // SAFETY: By the safety requirements nobody else uses it.
        let header = unsafe { ptr::replace(self.header.get(), ptr::null_mut()) };
        if !header.is_null() {
            // SAFETY: By the type invariants it was registered, and is not unregistered twice.
            unsafe { bindings::unregister_net_sysctl_table(header) };
        }
    }
}
