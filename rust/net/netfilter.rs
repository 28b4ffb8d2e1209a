// SPDX-License-Identifier: GPL-2.0

//! Netfilter hooks.
//!
//! C header: [`include/linux/netfilter.h`](srctree/include/linux/netfilter.h)

use super::{
    bindings,
    net_namespace::Net,
    skbuff::Skb, //
};
use core::{
    cell::UnsafeCell,
    ptr,
    sync::atomic::{
        AtomicBool,
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::{
    error::to_result,
    pr_warn_once,
    prelude::*,
    sync::rcu, //
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
    /// Called for each packet of IPv4 and IPv6 at `NF_INET_LOCAL_IN`, after all other hooks.
    ///
    /// The packet has passed the firewall and NAT, has a route, and begins with its IP header. It is
    /// reassembled, if it is one of IPv4 or [`Defragmentation`] was asked for. This runs under the RCU
    /// read lock, for every packet: what is of no interest must be accepted at little cost. Softirqs may
    /// run meanwhile: a packet that a program has had in its hands (`NFQUEUE`) comes from that
    /// program's task.
    fn local_in(&self, net: &Net, skb: Skb) -> Verdict;
}

/// IPv4 and IPv6.
const HOOKS: usize = 2;

/// The hooks of one [`LocalIn`] in one namespace.
///
/// [`net_namespace`](super::net_namespace) registers and unregisters them, since only it knows when
/// a namespace comes and goes.
pub(super) struct Hooks(UnsafeCell<[bindings::nf_hook_ops; HOOKS]>);

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
        let ops = |version| bindings::nf_hook_ops {
            hook: Some(local_in::<D>),
            priv_: data.cast_mut().cast(),
            pf: version as u8,
            hooknum: bindings::nf_inet_hooks_NF_INET_LOCAL_IN,
            priority: bindings::NF_IP_PRI_LAST,
            ..pin_init::zeroed()
        };
        let all = [bindings::NFPROTO_IPV4, bindings::NFPROTO_IPV6].map(ops);
        // SAFETY: By the safety requirements `this` is ours to write.
        unsafe { (*this).0.get().write(all) };
        // SAFETY: By the safety requirements the hooks and what they point to live for as long as
        // netfilter may use them, and the namespace until they are unregistered.
        to_result(unsafe {
            bindings::nf_register_net_hooks(net.as_raw(), (*this).0.get().cast(), HOOKS as u32)
        })
    }

    /// Unregisters the hooks. Until a grace period later a hook may be running. Sleeps.
    ///
    /// # Safety
    ///
    /// The hooks are registered in `net`.
    pub(super) unsafe fn unregister(this: *mut Self, net: &Net) {
        // SAFETY: By the safety requirements.
        unsafe {
            bindings::nf_unregister_net_hooks(net.as_raw(), (*this).0.get().cast(), HOOKS as u32)
        };
    }
}

/// The reassembly of IPv6 fragments before the hooks, in one namespace: without it they are
/// reassembled behind [`LocalIn`], which then never sees what they make. It costs every IPv6 packet a
/// look, so nobody should ask for it without need.
///
/// # Invariants
///
/// Where there is a hook, it was enabled once by this, and its module is referenced.
#[derive(Default)]
pub struct Defragmentation {
    /// Whether anybody asked.
    asked: AtomicBool,
    hook: AtomicPtr<bindings::nf_defrag_hook>,
}

impl Defragmentation {
    /// Asks for it, if nobody has. Sleeps. Without the kernel's module for it fragments are not heard.
    pub fn enable(&self, net: &Net) {
        if self.asked.swap(true, Ordering::Relaxed) {
            return;
        }
        // SAFETY: The kernel's pointer is followed under RCU, or with its module referenced.
        unsafe {
            let find = || {
                let _rcu = rcu::read_lock();
                let hook = bindings::nf_defrag_v6_hook_get();
                (!hook.is_null() && bindings::try_module_get((*hook).owner)).then_some(hook)
            };
            let found = find().or_else(|| {
                bindings::request_module(c"nf_defrag_ipv6".as_char_ptr());
                find()
            });
            let Some(hook) = found else {
                return;
            };
            if (*hook)
                .enable
                .is_some_and(|enable| enable(net.as_raw()) == 0)
            {
                // INVARIANT: Enabled, and the reference is this value's.
                self.hook.store(hook.cast_mut(), Ordering::Release);
            } else {
                bindings::module_put((*hook).owner);
            }
        }
    }

    /// Gives it up; nobody asks at the same time. Sleeps.
    pub fn disable(&self, net: &Net) {
        let hook = self.hook.swap(ptr::null_mut(), Ordering::Acquire);
        // SAFETY: By the type invariant.
        unsafe {
            if let Some(hook) = hook.as_ref() {
                if let Some(disable) = hook.disable {
                    disable(net.as_raw());
                }
                bindings::module_put(hook.owner);
            }
        }
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
