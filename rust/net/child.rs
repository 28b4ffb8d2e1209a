// SPDX-License-Identifier: GPL-2.0

//! Sockets for the connections of a listener.
//!
//! C header: [`include/net/sock.h`](srctree/include/net/sock.h)

use super::{
    bindings,
    ip::Endpoints,
    proto::Protocol,
    proto_ops,
    sock::{
        self,
        Locked,
        Sock, //
    }, //
};
use core::ptr;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

impl<P: Protocol> Sock<P> {
    /// Makes a connection of a listener's, from a softirq. The child comes locked, with the options
    /// of its parent, between `ends`, of which we are the source, and with two references: its life, and the one that is returned.
    ///
    /// Fails without memory.
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
            #[cfg(CONFIG_IPV6)]
            {
                (*inet).pinet6 = ptr::null_mut();
                (*inet).ipv6_fl_list = ptr::null_mut();
            }
            (*sk).__sk_common.skc_cookie = pin_init::zeroed();
            bindings::inet_id_set(sk, bindings::get_random_u16());
            (*inet).inet_opt = ptr::null_mut();
            (*inet).mc_list = ptr::null_mut();
            ptr::addr_of_mut!((*inet).cork).write_bytes(0, 1);
            (*sk).__sk_common.skc_state = sock::SockState::SynRecv as u8;
            (*sk).sk_max_ack_backlog = 0;
            (*sk).sk_ack_backlog = 0;
            (*sk).sk_frag = pin_init::zeroed();
            (*sk).sk_rx_dst = ptr::null_mut();
            bindings::sk_timer_setup(sk, Some(proto_ops::timer::<P>));
            if let Err(e) = sock::init_parts::<P>(sk, shared, state) {
                // As `sk_clone` itself gives a half-made child back.
                (*sk).__sk_common.skc_state = sock::SockState::Close as u8;
                (*sk).sk_destruct = None;
                bindings::sk_sockets_allocated_dec(sk);
                bindings::bh_unlock_sock(sk);
                bindings::sock_put(sk);
                bindings::sk_free(sk);
                return Err(e);
            }
            let child = Sock::<P>::from_raw(sk);
            let mut lock = sock::BhLock::from_held(Locked::new(child));
            if let Some(locked) = lock.owned() {
                locked.set_local_address(ends.source.ip());
                locked.set_port(ends.source.port());
                locked.set_peer(ends.destination);
                bindings::sk_set_txhash(sk);
                with(locked);
            }
            drop(lock);
            Ok(ARef::from_raw(raw.cast()))
        }
    }
}
