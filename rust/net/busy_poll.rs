// SPDX-License-Identifier: GPL-2.0

//! Where a connection's packets come from: the CPU and the queue of the device, so that readers can run
//! there (RFS, `SO_INCOMING_CPU`) or look there for more (`SO_BUSY_POLL`).
//!
//! C headers: [`include/net/busy_poll.h`](srctree/include/net/busy_poll.h),
//! [`include/net/rps.h`](srctree/include/net/rps.h)

use super::{
    bindings,
    ip::Segment,
    proto::Protocol,
    sock::{
        Sock,
        SockState, //
    }, //
};

impl<P: Protocol> Sock<P> {
    /// Notes where a segment came from.
    pub fn note_origin(&self, segment: &Segment) {
        let (sk, skb) = (self.as_raw(), segment.as_raw());
        // SAFETY: Both are live; the kernel writes these fields without a lock as well.
        unsafe {
            bindings::sk_incoming_cpu_update(sk);
            bindings::sock_rps_save_rxhash(sk, skb);
            bindings::sk_mark_napi_id(sk, skb);
        }
    }

    /// Looks for packets in the device's queue for a while, where the user asked for that and there is
    /// nothing to be read. May sleep.
    pub fn busy_poll(&self, nonblocking: bool) {
        let sk = self.as_raw();
        // SAFETY: The socket is live, and a task calls; as `tcp_recvmsg`, without the lock.
        unsafe {
            if bindings::sk_can_busy_loop(sk)
                && bindings::skb_queue_empty_lockless(&(*sk).sk_receive_queue) != 0
                && self.kernel_state() == SockState::Established as u8
            {
                bindings::sk_busy_loop(sk, nonblocking.into());
            }
        }
    }
}
