// SPDX-License-Identifier: GPL-2.0

//! Packets of a socket in the queues below it: how many bytes they are, and a call when there are
//! fewer.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::{
    bindings,
    bottom_half::BhDisabled,
    proto::Protocol,
    sock::{
        Object,
        Sock, //
    }, //
};
use core::{
    mem::offset_of,
    ptr,
    sync::atomic::{
        AtomicBool,
        Ordering, //
    }, //
};
use kernel::types::Opaque;

/// What a socket keeps to be called when its packets have left.
#[repr(C)]
pub(super) struct SmallQueue {
    /// Pending only with a reference to the socket.
    work: Opaque<bindings::work_struct>,
    /// The protocol waits.
    waits: AtomicBool,
}

impl SmallQueue {
    /// Initialises the part of a new socket.
    ///
    /// # Safety
    ///
    /// `queue` must be the part of a socket of `P`, which nobody else can see yet.
    pub(super) unsafe fn init<P: Protocol>(queue: *mut Self) {
        // SAFETY: By the requirement; the work stays where it is for the socket's life.
        unsafe {
            ptr::addr_of_mut!((*queue).waits).write(AtomicBool::new(false));
            let work = Opaque::cast_into(ptr::addr_of!((*queue).work));
            bindings::init_work(work, Some(run::<P>));
        }
    }
}

/// A packet of `sk` has left. A destructor calls, perhaps from within the transmission of another
/// packet: what is to be done is left to a softirq.
///
/// # Safety
///
/// `sk` must be a socket of `P` whose memory is there; its last reference may be gone.
pub(super) unsafe fn completed<P: Protocol>(sk: *mut bindings::sock) {
    let object: *mut Object<P> = sk.cast();
    // SAFETY: By the requirement. The work takes over the reference.
    unsafe {
        let waits = &(*object).queue.waits;
        // The plain load keeps the cache line shared in the usual case.
        if !waits.load(Ordering::Relaxed) || !waits.swap(false, Ordering::AcqRel) {
            return;
        }
        if !bindings::sock_hold_not_zero(sk) {
            return;
        }
        let work = Opaque::cast_into(ptr::addr_of!((*object).queue.work));
        if !bindings::queue_work(bindings::system_bh_wq, work) {
            bindings::sock_put(sk);
        }
    }
}

/// # Safety
///
/// As the function of a socket's work only.
unsafe extern "C" fn run<P: Protocol>(work: *mut bindings::work_struct) {
    // SAFETY: The work is that of a socket's part, and came with a reference.
    unsafe {
        let object: *mut Object<P> = work.byte_sub(offset_of!(Object<P>, queue)).cast();
        let sk: *mut bindings::sock = object.cast();
        let mut lock = Sock::<P>::from_raw(sk).lock_bh(BhDisabled::already());
        match lock.owned() {
            Some(locked) => P::timer(locked),
            None => lock.defer(),
        }
        drop(lock);
        bindings::sock_put(sk);
    }
}

impl<P: Protocol> Sock<P> {
    /// Asks to be called as by the timer when a packet has left, if more than `limit` bytes are on
    /// their way down, and tells whether they are.
    pub fn wait_below(&self, limit: u32) -> bool {
        if self.queued() <= limit {
            return false;
        }
        let object: *mut Object<P> = self.as_raw().cast();
        // SAFETY: The object is live; the field is only used through shared references.
        unsafe { (*object).queue.waits.store(true, Ordering::Relaxed) };
        // They may have left before the flag was set: whoever takes bytes off looks at it after.
        kernel::sync::barrier::smp_mb();
        self.queued() > limit
    }
}
