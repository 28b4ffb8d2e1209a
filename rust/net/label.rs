// SPDX-License-Identifier: GPL-2.0

//! Labels of Linux security modules: on packets, on sockets, and of peers.
//!
//! Smack, and SELinux with NetLabel, label IPv4 packets by an option of the IP header (CIPSO). Packets
//! carry it because their socket has it among its IP options: the module puts it there when a socket
//! is made, if the family that `socket(2)` was given is AF_INET, or leaves it in the `struct
//! request_sock` of a connection that a peer asks for. What is done here gives both to our sockets.
//!
//! C headers: [`include/linux/security.h`](srctree/include/linux/security.h),
//! [`include/net/request_sock.h`](srctree/include/net/request_sock.h),
//! [`include/net/cipso_ipv4.h`](srctree/include/net/cipso_ipv4.h)

use super::{
    bindings,
    ip::{
        in6,
        Endpoints,
        IpOptions,
        Segment,
        Versioned, //
    },
    proto::Protocol,
    skbuff::Skb,
    sock::{
        self,
        Locked,
        Sock, //
    }, //
};
use core::{
    ptr,
    sync::atomic::{
        AtomicU32,
        Ordering, //
    }, //
};
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};

/// What the security module made of a connection that a peer asks a listener for.
#[derive(Clone, Copy)]
pub struct Admission {
    options: IpOptions,
    /// The peer's label, as a number; 0 for none.
    peer: u32,
}

impl Admission {
    /// The options of the connection's own packets: its label, or what answers the peer's.
    pub fn options(&self) -> &IpOptions {
        &self.options
    }
}

/// All that a security module looks at of `struct request_sock_ops`.
struct RequestOps(Opaque<bindings::request_sock_ops>);

// SAFETY: Never written.
unsafe impl Sync for RequestOps {}

impl RequestOps {
    const fn new(family: u32) -> Self {
        let mut ops: bindings::request_sock_ops = pin_init::zeroed();
        ops.family = family as i32;
        Self(Opaque::new(ops))
    }
}

static REQUEST4: RequestOps = RequestOps::new(bindings::AF_INET);
static REQUEST6: RequestOps = RequestOps::new(bindings::AF_INET6);

impl Segment {
    /// Asks the security module whether a listener may have the connection that begins with this
    /// segment. `ends` are the connection's, of which we are the source.
    ///
    /// Fails with what the module says; the segment is then to be dropped, as `tcp_conn_request` does.
    // Not to burden the stack of what is not a SYN.
    #[inline(never)]
    pub fn ask_admission<P: Protocol>(
        &self,
        listener: &Sock<P>,
        ends: &Endpoints,
    ) -> Result<Admission> {
        let versioned = ends.versioned()?;
        let request = Opaque::<bindings::inet_request_sock>::zeroed();
        let request = request.get();
        // SAFETY: Listener and packet are live, we run under RCU; the request lives until we return, and
        // has what the hook of any module reads: family, namespace and ends. What it has of options is
        // ours before and after.
        unsafe {
            let req = &raw mut (*request).req;
            let common = &raw mut (*req).__req_common;
            (*common).skc_net.net = listener.net().as_raw();
            (*common).skc_state = bindings::TCP_NEW_SYN_RECV as u8;
            let sk = req.cast::<bindings::sock>();
            bindings::inet_set_dport(sk, ends.destination.port().to_be());
            let opt = &raw mut (*request).__bindgen_anon_1.ireq_opt;
            match &versioned {
                Versioned::V4(source, destination) => {
                    (*common).skc_family = bindings::AF_INET as u16;
                    (*req).rsk_ops = REQUEST4.0.get();
                    bindings::inet_set_rcv_saddr(sk, u32::from(*source.ip()).to_be());
                    bindings::inet_set_daddr(sk, u32::from(*destination.ip()).to_be());
                    // As `tcp_v4_init_req`: the module may put its own in the place.
                    *opt = self.answering(listener.net()).to_raw()?;
                }
                Versioned::V6(source, destination) => {
                    (*common).skc_family = bindings::AF_INET6 as u16;
                    (*req).rsk_ops = REQUEST6.0.get();
                    (*common).skc_v6_rcv_saddr = in6(*source.ip());
                    (*common).skc_v6_daddr = in6(*destination.ip());
                }
            }
            let asked = to_result(bindings::security_inet_conn_request(
                listener.as_raw(),
                self.as_raw(),
                req,
            ));
            let options = match &versioned {
                Versioned::V4(..) => IpOptions::of_raw(*opt),
                // The label of IPv6 (CALIPSO) is in extension headers.
                Versioned::V6(..) => IpOptions::NONE,
            };
            // Of either version there is one object at this place, which nobody else knows.
            bindings::kfree((*opt).cast());
            asked.map(|()| Admission {
                options,
                peer: (*req).peer_secid,
            })
        }
    }
}

impl<P: Protocol> Locked<'_, P> {
    /// Gives a new connection of a listener's what the security module made of it when the peer asked;
    /// `segment` is one of the peer's.
    ///
    /// Fails without memory: no packet must leave without its label.
    // Not to burden the stack of who makes the child.
    #[inline(never)]
    pub fn take_admission(&mut self, admission: &Admission, segment: &Segment) -> Result {
        if admission.peer != 0 {
            self.sock()
                .peer_label()
                .store(admission.peer, Ordering::Relaxed);
            // Linux uses a hook here that modules cannot reach (`security_inet_csk_clone`). What this
            // one learns of the peer's label (SELinux) any of its packets tells.
            // SAFETY: The lock is held, the packet ours.
            unsafe { bindings::security_inet_conn_established(self.raw(), segment.as_raw()) };
        }
        if !self.sock().goes_by_ipv6() {
            let inet = self.sock().as_inet();
            // SAFETY: The lock is held; options that others may read are left alone.
            unsafe {
                if (*inet).inet_opt.is_null() {
                    (*inet).inet_opt = admission.options.to_raw()?;
                }
            }
        }
        Ok(())
    }

    /// Tells the security module of a connection of ours that this packet, a SYN-ACK, has established.
    pub fn tell_established(&mut self, skb: &Skb) {
        // SAFETY: The lock is held, the packet ours, its IP header in front of that of TCP.
        unsafe { bindings::security_inet_conn_established(self.raw(), skb.as_raw()) };
    }
}

impl<P: Protocol> Sock<P> {
    /// The peer's label, as a number; 0 for none.
    fn peer_label(&self) -> &AtomicU32 {
        // SAFETY: The object is live; the field is only used through shared references.
        unsafe { &(*self.as_raw().cast::<sock::Object<P>>()).peer_label }
    }
}

/// Whether a security module labels what the running task does, and packets by it (Smack).
#[cfg(CONFIG_SECURITY_SMACK)]
fn is_labelling() -> bool {
    let mut seen: bindings::lsm_prop = pin_init::zeroed();
    // SAFETY: `seen` is valid for a write.
    unsafe { bindings::security_current_getlsmprop_subj(&mut seen) };
    !seen.smack.skp.is_null()
}

#[cfg(not(CONFIG_SECURITY_SMACK))]
fn is_labelling() -> bool {
    false
}

/// A TCP socket of AF_INET for the running task.
///
/// # Invariants
///
/// A live socket of the kernel's, which this owns.
struct Native(*mut bindings::socket);

impl Native {
    /// # Safety
    ///
    /// `net` must be valid until the socket is dropped. May sleep.
    unsafe fn new(net: *mut bindings::net) -> Result<Self> {
        let mut socket = ptr::null_mut();
        // SAFETY: By the requirement.
        to_result(unsafe {
            bindings::sock_create_kern(
                net,
                bindings::PF_INET as i32,
                bindings::sock_type_SOCK_STREAM as i32,
                bindings::IPPROTO_TCP as i32,
                &mut socket,
            )
        })?;
        // INVARIANT: Made above.
        Ok(Self(socket))
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // SAFETY: We own the socket.
        unsafe { bindings::sock_release(self.0) };
    }
}

/// Gives a new socket the label that a new one of AF_INET has: it is taken from one.
///
/// Fails where that one cannot be made, as `socket(2)` would.
///
/// # Safety
///
/// `net` must be valid, and `sk` a new socket of AF_INET that nobody else knows. May sleep.
pub(super) unsafe fn label_as_native(net: *mut bindings::net, sk: *mut bindings::sock) -> Result {
    if !is_labelling() {
        return Ok(());
    }
    // SAFETY: By the requirements. Both sockets are ours, and the options change their owner.
    unsafe {
        let native = Native::new(net)?;
        let from = (*native.0).sk;
        bindings::security_sk_clone(from, sk);
        let options = &raw mut (*from.cast::<bindings::inet_sock>()).inet_opt;
        (*sk.cast::<bindings::inet_sock>()).inet_opt = options.replace(ptr::null_mut());
    }
    Ok(())
}

/// Lets the user of an accepted socket ask for the peer's label (`SO_PEERSEC`). Without memory the
/// answer is empty.
///
/// Linux tells the security module by `security_inet_csk_clone`, which is not exported. Here a socket
/// with the peer's label is made, and the two are told of each other, as those of `socketpair(2)`.
///
/// # Safety
///
/// `socket` must be a new one that nobody else knows, its `sk` a socket of `P`. May sleep.
pub(super) unsafe fn name_peer<P: Protocol>(socket: *mut bindings::socket) {
    // SAFETY: By the requirement.
    let sk = unsafe { Sock::<P>::from_raw((*socket).sk) };
    let peer = sk.peer_label().load(Ordering::Relaxed);
    if peer == 0 || !is_labelling() {
        return;
    }
    // SAFETY: The credentials are new and ours until `put_cred`, and those of the running task while
    // one socket is made. `socket` is valid by the requirement.
    unsafe {
        // What a kernel thread makes is labelled as such whatever its credentials are.
        if (*bindings::get_current()).flags & bindings::PF_KTHREAD != 0 {
            return;
        }
        let cred = bindings::prepare_creds();
        if cred.is_null() {
            return;
        }
        if bindings::set_security_override(cred, peer) == 0 {
            let own = bindings::override_creds(cred);
            let twin = Native::new(sk.net().as_raw());
            bindings::revert_creds(own);
            if let Ok(twin) = twin {
                bindings::security_socket_socketpair(socket, twin.0);
            }
        }
        bindings::put_cred(cred);
    }
}
