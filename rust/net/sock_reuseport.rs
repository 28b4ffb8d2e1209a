// SPDX-License-Identifier: GPL-2.0

//! Listeners that share a port (`SO_REUSEPORT`), and which of them a segment is for.
//!
//! The groups are the kernel's own, so that its options act on them: a program that chooses
//! (`SO_ATTACH_REUSEPORT_CBPF`), and `SO_INCOMING_CPU`.
//!
//! C header: [`include/net/sock_reuseport.h`](srctree/include/net/sock_reuseport.h)

use super::{
    bindings,
    port::Binding,
    proto::Protocol,
    skbuff::Skb,
    sock::{
        Locked,
        Sock, //
    }, //
};
use core::ptr;
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    sync::rcu, //
};

/// Where a TCP header says how long it is, in its upper half.
const DATA_OFFSET: i32 = 12;

impl<P: Protocol> Sock<P> {
    /// Whether `SO_REUSEPORT` is set.
    pub fn reuses_port(&self) -> bool {
        // SAFETY: The socket is live. A bit-field of the common part, written by setsockopt.
        unsafe { (*self.as_raw()).__sk_common.skc_reuseport() != 0 }
    }

    /// Whether two listeners at one address and port are of one group.
    pub fn is_grouped_with(&self, other: &Self) -> bool {
        let (own, other) = (Binding::of(self), Binding::of(other));
        own.is_grouped_with(&other)
    }

    /// How many there are in the socket's group; 0 for none.
    pub fn group_size(&self, _rcu: &rcu::Guard) -> u32 {
        // SAFETY: The socket is live, and RCU held.
        unsafe { bindings::reuseport_num_socks(self.as_raw()) }.into()
    }

    /// The listener of the socket's group that `hash` chooses, if it is in one.
    pub fn member<'g>(&self, hash: u32, _rcu: &'g rcu::Guard) -> Option<&'g Self> {
        // SAFETY: The socket is live. Groups of our sockets have no others in them, and what is in one
        // is not freed while RCU is held, see `join_group`.
        unsafe {
            let chosen = bindings::reuseport_select_sock(self.as_raw(), hash, ptr::null_mut(), 0);
            let chosen = from_err_ptr(chosen).ok()?;
            (!chosen.is_null()).then(|| Sock::from_raw(chosen))
        }
    }

    /// Whether the socket is in a group.
    pub fn is_in_group(&self) -> bool {
        // SAFETY: The socket is live.
        !unsafe { bindings::sk_reuseport_cb(self.as_raw()) }.is_null()
    }

    /// Leaves the group, if the socket is in one.
    pub fn leave_group(&self) {
        if self.is_in_group() {
            // SAFETY: The socket is live; groups have a lock of their own.
            unsafe { bindings::reuseport_detach_sock(self.as_raw()) };
        }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Joins the group of `other`, or begins one. From then on the socket is freed only after a grace
    /// period, as are all listeners of Linux.
    pub fn join_group(&mut self, other: Option<&Sock<P>>) -> Result {
        let at_any = self.sock().receive_address().is_unspecified();
        let sk = self.raw();
        // SAFETY: Both sockets are live, and the lock of the one that joins is held, for the flag;
        // groups have a lock of their own.
        to_result(unsafe {
            bindings::sock_set_flag(sk, bindings::sock_flags_SOCK_RCU_FREE);
            match other {
                Some(other) => bindings::reuseport_add_sock(sk, other.as_raw(), at_any),
                None => bindings::reuseport_alloc(sk, at_any),
            }
        })
    }
}

impl Skb {
    /// How well a listener at the right address suits a segment, as `compute_score`; 0 if not at all.
    /// `ipv4`: the segment came by version 4.
    pub fn score<P: Protocol>(&self, sk: &Sock<P>, ipv4: bool) -> u32 {
        // SAFETY: The socket is live; the kernel reads these fields without a lock as well.
        let (cpu, v6only) = unsafe {
            let common = &raw const (*sk.as_raw()).__sk_common;
            let cpu = bindings::sk_incoming_cpu(sk.as_raw());
            (cpu, (*common).skc_ipv6only() != 0)
        };
        // One that is bound to the address that stands for all of IPv4 has nothing to do with IPv6.
        let other_version = if ipv4 {
            v6only
        } else {
            sk.receive_address().is_ipv4()
        };
        if other_version || !self.is_heard_by(sk) {
            return 0;
        }
        // SAFETY: An FFI call with no additional requirements: the caller is in a softirq.
        let here = cpu >= 0 && cpu as u32 == unsafe { bindings::raw_smp_processor_id() };
        1 + u32::from(sk.bound_device() != 0) + u32::from(ipv4 && !sk.is_inet6()) + u32::from(here)
    }

    /// The listener that a segment is for, of the group of `sk`, if it has one: the group's program
    /// chooses, or else `hash`. For the program the header may be brought into one piece.
    pub fn choose<'g, P: Protocol>(
        &mut self,
        sk: &Sock<P>,
        hash: u32,
        _rcu: &'g rcu::Guard,
    ) -> Option<&'g Sock<P>> {
        let mut byte = 0_u8;
        // SAFETY: The packet's transport header is found; `skb_header_pointer` checks that it is all
        // there. Nobody looks into the packet meanwhile, so it may be pulled. Groups of our sockets have
        // no others in them, and what is in one is not freed while RCU is held, see `join_group`.
        unsafe {
            let raw = self.as_raw();
            let begin = if bindings::skb_network_offset(raw) < 0 {
                // A segment out of IP's hands: its data begin with the TCP header.
                0
            } else if self.is_ipv6() {
                self.upper_v6()?.at as i32
            } else {
                bindings::skb_network_offset(raw) + bindings::skb_network_header_len(raw) as i32
            };
            let at = begin + DATA_OFFSET;
            let place = ptr::from_mut(&mut byte).cast();
            let found = bindings::skb_header_pointer(raw, at, 1, place).cast::<u8>();
            let header_len = i32::from(*found.as_ref()? >> 4) * 4;
            let chosen =
                bindings::reuseport_select_sock(sk.as_raw(), hash, raw, begin + header_len);
            let chosen = from_err_ptr(chosen).ok()?;
            (!chosen.is_null()).then(|| Sock::from_raw(chosen))
        }
    }
}
