// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use super::{
    bindings,
    net_namespace::Net,
    skbuff::Skb, //
};
use core::cell::UnsafeCell;
use kernel::{
    error::to_result,
    pr_warn_once,
    prelude::*, //
};

/// What becomes of a packet.
pub enum Verdict {
    /// It goes on to where it would have gone. It must be the packet that the hook was given.
    Accept(Skb),
    /// The hook has kept it, or dropped it.
    Stolen,
}

/// Sees the packets that a namespace has received for itself.
pub trait LocalIn: Send + Sync + 'static {
    /// Called for each IPv4 packet at `NF_INET_LOCAL_IN`, after all other hooks.
    ///
    /// The packet has passed the firewall and NAT, is reassembled, has a route, and begins with its
    /// IP header. This runs under the RCU read lock, for every packet: what is of no interest must be
    /// accepted at little cost. Softirqs may run meanwhile: a packet that a program has had in its
    /// hands (`NFQUEUE`) comes from that program's task.
    fn local_in(&self, net: &Net, skb: Skb) -> Verdict;
}

/// The hooks of one [`LocalIn`] in one namespace.
///
/// [`net_namespace`](super::net_namespace) registers and unregisters them, since only it knows when
/// a namespace comes and goes.
pub(super) struct Hooks(UnsafeCell<[bindings::nf_hook_ops; 1]>);

impl Hooks {
    /// Registers the hooks. Sleeps.
    ///
    /// # Safety
    ///
    /// - `this` is valid for writes, and neither moved nor freed before a grace period after
    ///   [`Hooks::unregister`]. It is not registered.
    /// - `data` is valid until the same time.
    /// - `net` is there until [`Hooks::unregister`].
    pub(super) unsafe fn register<D: LocalIn>(
        this: *mut Self,
        net: &Net,
        data: *const D,
    ) -> Result {
        let ops = bindings::nf_hook_ops {
            hook: Some(local_in::<D>),
            priv_: data.cast_mut().cast(),
            pf: bindings::NFPROTO_IPV4 as u8,
            hooknum: bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
            priority: bindings::NF_IP_PRI_LAST,
            ..pin_init::zeroed()
        };
        // SAFETY: By the safety requirements `this` is ours to write.
        unsafe { (*this).0.get().write([ops]) };
        // SAFETY: By the safety requirements the hooks and what they point to live for as long as
        // netfilter may use them, and the namespace until they are unregistered.
        to_result(unsafe {
            bindings::nf_register_net_hooks(net.as_raw(), (*this).0.get().cast(), 1)
        })
    }

    /// Unregisters the hooks. Until a grace period later a hook may be running. Sleeps.
    ///
    /// # Safety
    ///
    /// The hooks are registered in `net`.
    pub(super) unsafe fn unregister(this: *mut Self, net: &Net) {
        // SAFETY: By the safety requirements.
        unsafe { bindings::nf_unregister_net_hooks(net.as_raw(), (*this).0.get().cast(), 1) };
    }
}

/// # Safety
///
/// As a netfilter hook only, with `data` pointing to a `D`.
unsafe extern "C" fn local_in<D: LocalIn>(
    data: *mut c_void,
    skb: *mut bindings::sk_buff,
    state: *const bindings::nf_hook_state,
) -> c_uint {
    // SAFETY: By the requirements of `Hooks::register` the data is valid: whoever drops it waits
    // for the RCU read lock that netfilter holds. The namespace is there as long as its hooks are
    // called. The packet is unshared since the IP layer has received it, and ours until we return
    // a verdict.
    let (data, net, owned) = unsafe {
        (
            &*data.cast::<D>(),
            Net::from_raw((*state).net),
            Skb::from_raw(skb),
        )
    };
    match data.local_in(net, owned) {
        Verdict::Accept(accepted) if accepted.as_raw() == skb => {
            _ = accepted.into_raw();
            bindings::NF_ACCEPT
        }
        Verdict::Accept(other) => {
            // The packet is gone, and the kernel must not go on with it.
            pr_warn_once!("a netfilter hook accepted another packet than it was given\n");
            drop(other);
            bindings::NF_STOLEN
        }
        Verdict::Stolen => bindings::NF_STOLEN,
    }
}
