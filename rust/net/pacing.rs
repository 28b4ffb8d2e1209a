// SPDX-License-Identifier: GPL-2.0

//! Pacing: the rate of a socket that queueing disciplines read, and the timer for departures that
//! the protocol times itself.
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)

use super::{
    bindings,
    bottom_half::BhDisabled,
    proto::Protocol,
    sock::{
        Locked,
        Object,
        Sock, //
    }, //
};
use core::{
    mem::offset_of,
    ptr,
    sync::atomic::{
        AtomicU32,
        Ordering, //
    }, //
};

/// Who holds a socket's packets back to its pacing rate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pacer {
    /// Nobody.
    None,
    /// The protocol has to (`SK_PACING_NEEDED`).
    Protocol,
    /// The queueing discipline does (`SK_PACING_FQ`).
    Queue,
}

impl<P: Protocol> Sock<P> {
    /// `SO_MAX_PACING_RATE`, in bytes per second; `u64::MAX` without limit.
    pub fn max_pacing_rate(&self) -> u64 {
        // SAFETY: The socket is live; the field is written as a whole.
        let rate = unsafe { ptr::addr_of!((*self.as_raw()).sk_max_pacing_rate).read_volatile() };
        if rate == usize::MAX {
            u64::MAX
        } else {
            rate as u64
        }
    }

    fn pacing_status(&self) -> &AtomicU32 {
        // SAFETY: The socket is live as long as the reference, and everybody accesses the field
        // atomically.
        unsafe { AtomicU32::from_ptr(ptr::addr_of_mut!((*self.as_raw()).sk_pacing_status)) }
    }

    /// Who paces.
    pub fn pacer(&self) -> Pacer {
        match self.pacing_status().load(Ordering::Acquire) {
            bindings::sk_pacing_SK_PACING_NEEDED => Pacer::Protocol,
            bindings::sk_pacing_SK_PACING_FQ => Pacer::Queue,
            _ => Pacer::None,
        }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Publishes the pacing rate, in bytes per second.
    pub fn set_pacing_rate(&mut self, rate: u64) {
        let rate = usize::try_from(rate).unwrap_or(usize::MAX);
        // SAFETY: The lock is held; readers without it take the field as a whole.
        unsafe { ptr::addr_of_mut!((*self.raw()).sk_pacing_rate).write_volatile(rate) };
    }

    /// From now on somebody has to pace: the protocol, unless a queueing discipline does already.
    pub fn need_pacing(&mut self) {
        let _ = self.sock().pacing_status().compare_exchange(
            bindings::sk_pacing_SK_PACING_NONE,
            bindings::sk_pacing_SK_PACING_NEEDED,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
    }

    fn departure(&self) -> *mut bindings::hrtimer {
        let object: *mut Object<P> = self.raw().cast();
        // SAFETY: By the type invariant of `Sock` the object is there.
        unsafe { ptr::addr_of_mut!((*object).departure).cast() }
    }

    /// Has [`Protocol::departure`] called in `delay_ns` nanoseconds, unless an earlier call waits.
    pub fn arm_departure(&mut self, delay_ns: u64) {
        let timer = self.departure();
        // SAFETY: The timer was set up when the socket was made, and is started only under the lock,
        // which is held. Once started it owns a reference, which its function gives back.
        unsafe {
            if !bindings::hrtimer_is_queued(timer) {
                let delay = i64::try_from(delay_ns).unwrap_or(i64::MAX);
                bindings::sock_hold(self.raw());
                bindings::hrtimer_start_range_ns(timer, delay, 0, MODE);
            }
        }
    }

    /// Takes such a call back.
    pub(super) fn stop_departure(&mut self) {
        // SAFETY: The timer was set up when the socket was made. Where it is stopped before it fired
        // its reference is ours to give back, and not the last one: the caller has another.
        unsafe {
            if bindings::hrtimer_try_to_cancel(self.departure()) == 1 {
                bindings::sock_put(self.raw());
            }
        }
    }
}

const MODE: bindings::hrtimer_mode = bindings::hrtimer_mode_HRTIMER_MODE_REL_PINNED_SOFT;

/// Sets the timer of a new socket up.
///
/// # Safety
///
/// `object` must be new and nobody else's.
pub(super) unsafe fn init<P: Protocol>(object: *mut Object<P>) {
    // SAFETY: By the requirement the place is ours to initialise.
    unsafe {
        bindings::hrtimer_setup(
            ptr::addr_of_mut!((*object).departure).cast(),
            Some(fire::<P>),
            bindings::CLOCK_MONOTONIC as i32,
            MODE,
        );
    }
}

/// The function of the timer.
///
/// # Safety
///
/// For the kernel, which calls it in a softirq with the timer of a socket of `P` that the timer
/// references.
unsafe extern "C" fn fire<P: Protocol>(timer: *mut bindings::hrtimer) -> bindings::hrtimer_restart {
    // SAFETY: The timer is that of a live socket, being a field of its object: a started timer holds
    // a reference, given back below.
    unsafe {
        let object = timer.byte_sub(offset_of!(Object<P>, departure));
        let sk: *mut bindings::sock = object.cast();
        let mut lock = Sock::<P>::from_raw(sk).lock_bh(BhDisabled::already());
        match lock.owned() {
            Some(locked) => P::departure(locked),
            None => lock.defer(),
        }
        drop(lock);
        bindings::sock_put(sk);
    }
    bindings::hrtimer_restart_HRTIMER_NORESTART
}
