// SPDX-License-Identifier: GPL-2.0

//! Waiting under the socket lock.
//!
//! Every function here gives the lock up while it sleeps and takes it again: whatever the caller
//! knew of the socket may have changed. That is why they take the lock by `&mut`, so that no reference
//! into the state lives across them; and only of a task, since a softirq cannot sleep.
//!
//! C headers: [`include/net/sock.h`](srctree/include/net/sock.h),
//! [`include/linux/wait.h`](srctree/include/linux/wait.h)

use super::{
    bindings,
    errno::ENOTCONN,
    proto::Protocol,
    sock::UserLock, //
};
use kernel::{
    error::{
        to_result,
        Error, //
    },
    prelude::*,
    types::Opaque, //
};

/// Whether a signal waits for the current task.
pub fn signal_pending() -> bool {
    // SAFETY: Looks at the current task.
    unsafe { bindings::signal_pending_current() != 0 }
}

/// What a call that a signal interrupted returns: to be restarted, unless it had a timeout of its
/// own.
pub fn interrupted(timeout: isize) -> Error {
    // SAFETY: A pure function.
    Error::from_errno(unsafe { bindings::sock_intr_errno(timeout) })
}

/// Whether the next wait of `wait_until` wakes alone among several waiters.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    /// All waiters wake.
    All,
    /// One waiter wakes for each event.
    One,
}

impl<P: Protocol> UserLock<'_, P> {
    /// Sees to it that there is a queue to wait in, which is that of the socket's file. The caller came
    /// through it, so that it stays.
    pub(super) fn check_file(&self) -> Result {
        if self.sock().is_unowned() {
            return Err(ENOTCONN);
        }
        Ok(())
    }

    /// Waits until the connection is established.
    pub fn wait_connected(&mut self, timeout: &mut isize) -> Result {
        self.check_file()?;
        let mut left = *timeout as kernel::ffi::c_long;
        // SAFETY: This task owns the socket lock; the socket has a file.
        let r = unsafe { bindings::sk_stream_wait_connect(self.sock().as_raw(), &mut left) };
        *timeout = left as isize;
        to_result(r)
    }

    /// Waits until there is room in the send buffer.
    pub fn wait_send_room(&mut self, timeout: &mut isize) -> Result {
        self.check_file()?;
        let mut left = *timeout as kernel::ffi::c_long;
        // SAFETY: This task owns the socket lock; the socket has a file.
        let r = unsafe { bindings::sk_stream_wait_memory(self.sock().as_raw(), &mut left) };
        *timeout = left as isize;
        to_result(r)
    }

    /// Waits until the receive queue grows or something else happens to the socket.
    pub fn wait_data(&mut self, timeout: &mut isize) -> Result {
        self.check_file()?;
        let mut left = *timeout as kernel::ffi::c_long;
        let sk = self.sock().as_raw();
        // SAFETY: This task owns the socket lock; the socket has a file. The tail is only compared, never followed.
        let r = unsafe {
            bindings::sk_wait_data(
                sk,
                &mut left,
                bindings::skb_peek_tail(&(*sk).sk_receive_queue),
            )
        };
        *timeout = left as isize;
        if r < 0 {
            return Err(Error::from_errno(r));
        }
        Ok(())
    }

    /// Takes in the packets that have come meanwhile.
    pub fn take_backlog(&mut self) {
        let sk = self.sock().as_raw();
        // SAFETY: This task owns the socket lock.
        unsafe {
            bindings::release_sock(sk);
            bindings::lock_sock(sk);
        }
    }

    /// Waits until `done` is true, a signal comes (`Err` of [`interrupted`]) or the time is up
    /// (`EAGAIN`).
    pub fn wait_until(
        &mut self,
        timeout: &mut isize,
        wake: Wake,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result {
        self.check_file()?;
        let sk = self.sock().as_raw();
        let entry = Opaque::<bindings::wait_queue_entry>::uninit();
        // SAFETY: The entry lives on this stack until `finish_wait` has taken it off the queue; the
        // queue is that of the socket's file.
        unsafe { bindings::init_wait_entry(entry.get(), 0) };
        let result = loop {
            // SAFETY: As above, and this task owns the socket lock when it gives it up.
            unsafe {
                let queue = bindings::sk_sleep(sk);
                match wake {
                    Wake::One => {
                        bindings::prepare_to_wait_exclusive(
                            queue,
                            entry.get(),
                            bindings::TASK_INTERRUPTIBLE as i32,
                        );
                    }
                    Wake::All => bindings::prepare_to_wait(
                        queue,
                        entry.get(),
                        bindings::TASK_INTERRUPTIBLE as i32,
                    ),
                }
            }
            if done(self) {
                break Ok(());
            }
            if signal_pending() {
                break Err(interrupted(*timeout));
            }
            if *timeout == 0 {
                break Err(EAGAIN);
            }
            // SAFETY: As above.
            unsafe {
                bindings::release_sock(sk);
                *timeout = bindings::schedule_timeout(*timeout);
                bindings::sched_annotate_sleep();
                bindings::lock_sock(sk);
            }
        };
        // SAFETY: As above.
        unsafe { bindings::finish_wait(bindings::sk_sleep(sk), entry.get()) };
        result
    }
}
