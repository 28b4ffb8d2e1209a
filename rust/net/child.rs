// SPDX-License-Identifier: GPL-2.0

//! Sockets for the connections of a listener.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::{
    bindings,
    ip::{
        Endpoints,
        Segment, //
    },
    proto::Protocol,
    proto_ops,
    sock::{
        self,
        Held,
        Locked,
        Sock, //
    }, //
};
use core::ptr;
use kernel::{
    prelude::*,
    sync::{
        aref::ARef,
        rcu, //
    }, //
};

impl<P: Protocol> Sock<P> {
    /// Makes a connection of a listener's, from a softirq. The child comes locked, between `ends`
    /// of which we are the source, with the options of its parent, and with two references: its life,
    /// and the one that is returned.
    ///
    /// Fails without memory.
    // Not to burden the stack of who says what it is made of.
    #[inline(never)]
    pub fn clone_child(
        &self,
        shared: impl PinInit<P::Shared, Error>,
        state: P::State,
        ends: &Endpoints,
        with: impl FnOnce(&mut Locked<'_, P>),
    ) -> Result<ARef<Self>> {
        // SAFETY: The listener is live; `sk_clone` does not change it.
        let sk = unsafe { bindings::sk_clone(self.as_raw(), bindings::GFP_ATOMIC, true) };
        let raw = ptr::NonNull::new(sk).ok_or(ENOMEM)?;
        // SAFETY: The child is a copy of the listener, byte by byte: everything of it that owns
        // something is written anew before anybody can see it (it is locked, and in no table). Its
        // parts are copies that must not be dropped, so they count as uninitialised.
        unsafe {
            let inet: *mut bindings::inet_sock = sk.cast();
            (*inet).ipv6_fl_list = ptr::null_mut();
            if self.is_inet6() {
                let np = sock::pinet6::<P>(sk);
                (*inet).pinet6 = np;
                (*np).opt = ptr::null_mut();
                (*np).pktoptions = ptr::null_mut();
                (*np).rxpmtu = ptr::null_mut();
                (*np).ipv6_mc_list = ptr::null_mut();
                (*np).ipv6_ac_list = ptr::null_mut();
            }
            (*sk).__sk_common.skc_cookie = pin_init::zeroed();
            bindings::inet_id_set(sk, bindings::get_random_u16());
            (*inet).inet_opt = ptr::null_mut();
            (*inet).mc_list = ptr::null_mut();
            ptr::addr_of_mut!((*inet).cork).write_bytes(0, 1);
            (*sk).__sk_common.skc_state = sock::SockState::SynRecv as u8;
            // Only listeners are looked up without a reference.
            bindings::sock_reset_flag(sk, bindings::sock_flags_SOCK_RCU_FREE);
            (*sk).sk_max_ack_backlog = 0;
            (*sk).sk_ack_backlog = 0;
            (*sk).sk_frag = pin_init::zeroed();
            (*sk).sk_rx_dst = ptr::null_mut();
            bindings::sk_timer_setup(sk, Some(proto_ops::timer::<P>));
            if let Err(e) = sock::init_parts::<P>(sk, shared, state) {
                // As `sk_clone` itself gives a half-made child back.
                (*sk).__sk_common.skc_state = sock::SockState::Close as u8;
                (*sk).sk_destruct = None;
                bindings::xfrm_sk_free_policy(sk);
                bindings::sk_sockets_allocated_dec(sk);
                bindings::bh_unlock_sock(sk);
                bindings::sock_put(sk);
                bindings::sk_free(sk);
                return Err(e);
            }
            let child = Sock::<P>::from_raw(sk);
            let mut lock = sock::BhLock::from_held(Held::new(child));
            if let Some(locked) = lock.owned() {
                locked.set_local_address(ends.source.ip());
                locked.set_port(ends.source.port());
                locked.set_peer(ends.destination);
                if locked.sock().goes_by_ipv6() {
                    self.pass_on_headers(locked);
                }
                with(locked);
            }
            drop(lock);
            Ok(ARef::from_raw(raw.cast()))
        }
    }

    /// Gives a child the extension headers that packets of its parent carry. Without memory it does
    /// without them, as in Linux.
    fn pass_on_headers(&self, child: &mut Locked<'_, P>) {
        let _rcu = rcu::read_lock();
        // SAFETY: Both are of AF_INET6. The parent's are there while RCU is held, the child is locked
        // and has none.
        unsafe {
            let opt = bindings::np_opt(self.as_inet6());
            if !opt.is_null() {
                (*child.sock().as_inet6()).opt = bindings::ipv6_dup_options(child.raw(), opt);
            }
        }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Keeps of the packet that made the connection what a program may ask for later
    /// (`IP_PKTOPTIONS`, `IPV6_2292PKTOPTIONS`), and its flow label if it is to be reflected.
    pub fn remember(&mut self, segment: &Segment) {
        let (sk, inet, np) = (self.raw(), self.sock().as_inet(), self.sock().as_inet6());
        let seen = segment.seen();
        // SAFETY: The lock is held, and the IPv6 part is live where there is one.
        unsafe {
            if segment.is_ipv6() && !np.is_null() {
                (*np).mcast_oif = seen.device;
                (*np).mcast_hops = seen.hops;
                (*np).rcv_flowinfo = seen.flow_info;
            } else {
                (*inet).mc_index = seen.device;
                (*inet).mc_ttl = seen.hops;
                (*inet).rcv_tos = segment.tos();
            }
            if !np.is_null() && bindings::inet6_test_repflow(sk) {
                (*np).flow_label = seen.flow_label;
            }
        }
    }
}
