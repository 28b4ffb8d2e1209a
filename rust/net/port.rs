// SPDX-License-Identifier: GPL-2.0

//! Ports, in the kernel's own table of bound ports.
//!
//! Whether a socket may have a port is decided by the kernel (`inet_csk_get_port`), for our sockets
//! among themselves as well as against those of AF_INET and AF_INET6. Our sockets cannot stand in its
//! table: they lack the fields that it links. So each use of a port has a [`Holder`], an object of
//! the kernel's that does nothing but stand there and look like the socket it is for: same addresses,
//! device, owner and options.
//!
//! C headers: [`include/net/inet_connection_sock.h`](srctree/include/net/inet_connection_sock.h),
//! [`include/net/inet_hashtables.h`](srctree/include/net/inet_hashtables.h)

use super::{
    bindings,
    net_namespace::Net,
    proto::Protocol,
    rhashtable::rcu_barrier,
    sock::{
        Sock,
        SockState, //
    }, //
};
use core::{
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        AtomicBool,
        Ordering, //
    }, //
};
use kernel::{
    alloc::Flags,
    error::to_result,
    ffi::c_int,
    prelude::*,
    types::Opaque, //
};

/// The `struct proto` of holders. It has no owner: a port that a connection in TIME-WAIT still holds
/// does not keep the module from being unloaded.
struct HolderProto(Opaque<bindings::proto>);

// SAFETY: Written once, before it is registered; from then on only the kernel uses it.
unsafe impl Sync for HolderProto {}

static PROTO: HolderProto = HolderProto(Opaque::zeroed());

/// Whether somebody registers [`PROTO`], or has.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Holders can be made while this lives.
pub struct Holders(());

impl Holders {
    /// Registers what holders are made of. Fails with `EBUSY` where it is registered.
    pub fn new() -> Result<Self> {
        if TAKEN.swap(true, Ordering::Acquire) {
            return Err(EBUSY);
        }
        let mut name = [0; 32];
        for (to, from) in name.iter_mut().zip(c"OXTCP_PORT".to_bytes()) {
            *to = *from;
        }
        // SAFETY: Ours alone and not registered yet, so nobody else looks at it.
        let registered = to_result(unsafe {
            *PROTO.0.get() = bindings::proto {
                obj_size: bindings::PORT_HOLDER_SIZE as u32,
                name,
                ..pin_init::zeroed()
            };
            bindings::proto_register(PROTO.0.get(), 1)
        });
        registered
            .inspect_err(|_| TAKEN.store(false, Ordering::Release))
            .map(|()| Self(()))
    }
}

impl Drop for Holders {
    fn drop(&mut self) {
        // Holders with a group of `SO_REUSEPORT` are freed after a grace period.
        rcu_barrier();
        // SAFETY: Registered by `new`; the last holder went with the last socket and namespace.
        unsafe { bindings::proto_unregister(PROTO.0.get()) };
        TAKEN.store(false, Ordering::Release);
    }
}

/// All that the kernel's table asks of a socket: two with equal bindings are treated alike.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Binding {
    family: u16,
    /// As in the socket: in network byte order.
    address: u32,
    address6: [u32; 4],
    v6only: u8,
    device: c_int,
    reuse: u8,
    reuseport: u8,
    user: u32,
    /// Of a connection in TIME-WAIT, with which other users may share a port (`SO_REUSEPORT`).
    time_wait: bool,
}

impl Binding {
    /// The binding of `sk` as it is now.
    pub fn of<P: Protocol>(sk: &Sock<P>) -> Self {
        let raw = sk.as_raw();
        // SAFETY: The socket is live. The fields change under the socket lock, which the caller has
        // or nobody can take yet; a stale option is no worse than one set a moment later.
        unsafe {
            let common = &raw const (*raw).__sk_common;
            Self {
                family: (*common).skc_family,
                address: bindings::inet_rcv_saddr(raw),
                address6: (*common).skc_v6_rcv_saddr.in6_u.bindgen_union_field,
                v6only: (*common).skc_ipv6only(),
                device: sk.bound_device(),
                reuse: (*common).skc_reuse(),
                reuseport: (*common).skc_reuseport(),
                user: (*raw).sk_uid.val,
                time_wait: false,
            }
        }
    }

    /// Whether two listeners at one address and port are of one group (`inet_reuseport_add_sock`).
    pub(super) fn is_grouped_with(&self, other: &Self) -> bool {
        let reuse = other.reuse;
        self.reuseport != 0 && Self { reuse, ..*self } == *other
    }

    /// This binding, as of a connection that many may have in common: what makes no difference is
    /// left out.
    pub fn shared(self) -> Self {
        let user = if self.reuseport == 0 { 0 } else { self.user };
        Self { user, ..self }
    }

    /// This binding, as of a connection in TIME-WAIT.
    pub fn in_time_wait(self) -> Self {
        Self {
            time_wait: self.reuseport != 0,
            ..self
        }
    }
}

/// How a holder asks for a port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// As `bind`.
    Bind,
    /// As `listen`.
    Listen,
    /// As a connection that leaves: at its address the port must be nobody's, whatever the options.
    Connect,
    /// As somebody who has the port already, or inherits it.
    Inherit,
}

/// A port in use. It is free when this is dropped.
///
/// # Invariants
///
/// `sk` is a socket of [`PROTO`], owned by this; nobody else writes to it but the kernel's table of
/// ports.
pub struct Holder {
    sk: NonNull<bindings::sock>,
}

// SAFETY: The socket belongs to no task, and the table of ports has its own locks.
unsafe impl Send for Holder {}

// SAFETY: Shared references only read the port.
unsafe impl Sync for Holder {}

impl Holder {
    /// Makes a holder without a port, that looks like `binding`.
    pub fn new(net: &Net, binding: &Binding, flags: Flags) -> Result<Self> {
        // The kernel crate keeps the number to itself.
        let flags = if flags == GFP_KERNEL {
            bindings::GFP_KERNEL
        } else {
            bindings::GFP_ATOMIC
        };
        // SAFETY: The namespace is valid, and the proto registered while the module has sockets.
        let sk = unsafe {
            bindings::sk_alloc(net.as_raw(), binding.family.into(), flags, PROTO.0.get(), 1)
        };
        let sk = NonNull::new(sk).ok_or(ENOMEM)?;
        // SAFETY: The socket is new and ours.
        unsafe { bindings::sock_init_data(ptr::null_mut(), sk.as_ptr()) };
        // INVARIANT: Made with `PROTO`, and its first reference is ours.
        let mut holder = Self { sk };
        holder.look_like(binding);
        Ok(holder)
    }

    /// Makes a holder without a port for `sk`, with all that the choice of a port depends on.
    pub fn of<P: Protocol>(sk: &Sock<P>, flags: Flags) -> Result<Self> {
        let holder = Self::new(sk.net(), &Binding::of(sk), flags)?;
        // SAFETY: Both sockets are live, and this one is ours. The range is a word that
        // `setsockopt` writes.
        unsafe {
            let range = (&raw const (*sk.as_inet()).local_port_range).read_volatile();
            (*holder.sk.as_ptr().cast::<bindings::inet_sock>()).local_port_range = range;
            // A socket that brings a selection program of its own joins no group.
            if !bindings::sk_reuseport_cb(sk.as_raw()).is_null() {
                to_result(bindings::reuseport_alloc(holder.sk.as_ptr(), false))?;
            }
        }
        Ok(holder)
    }

    /// Takes over what `binding` says, but for addresses: those are where the port is held.
    pub fn look_like(&mut self, binding: &Binding) {
        let held = self.port() != 0;
        // SAFETY: The socket is ours; what reads these fields, under the table's locks, reads those
        // of any socket while `setsockopt` writes them.
        unsafe {
            let sk = self.sk.as_ptr();
            let common = &raw mut (*sk).__sk_common;
            if !held {
                (*common).skc_v6_rcv_saddr.in6_u.bindgen_union_field = binding.address6;
                (*common).set_skc_ipv6only(binding.v6only);
                bindings::inet_set_rcv_saddr(sk, binding.address);
            }
            (*common).skc_bound_dev_if = binding.device;
            (*common).set_skc_reuse(binding.reuse);
            (*common).set_skc_reuseport(binding.reuseport);
            (*sk).sk_uid.val = binding.user;
            if !held {
                // Anything but CLOSE, which `ss` would list.
                (*common).skc_state = SockState::Established as u8;
            }
        }
        if binding.time_wait {
            self.wait();
        }
    }

    /// Whether the port is held at the addresses that `binding` has.
    pub fn is_at(&self, binding: &Binding) -> bool {
        // SAFETY: The socket is ours.
        unsafe {
            let sk = self.sk.as_ptr();
            let address6 = (*sk).__sk_common.skc_v6_rcv_saddr.in6_u.bindgen_union_field;
            bindings::inet_rcv_saddr(sk) == binding.address && address6 == binding.address6
        }
    }

    /// The connection is in TIME-WAIT: other users may share the port (`SO_REUSEPORT`).
    pub fn wait(&mut self) {
        // SAFETY: The socket is ours.
        unsafe {
            let sk = self.sk.as_ptr();
            bindings::twsk_clear_connect_bind(sk);
            (&raw mut (*sk).__sk_common.skc_state).write_volatile(bindings::TCP_TIME_WAIT as u8);
        }
    }

    /// Takes `port`, or one that is free for 0, and tells which.
    ///
    /// Fails with `EADDRINUSE` where the port is not to be had, or none is; may sleep for 0.
    pub fn take(&mut self, port: u16, claim: Claim) -> Result<u16> {
        let sk = self.sk.as_ptr();
        // SAFETY: The socket is ours, and as large as what `inet_csk_get_port` uses.
        unsafe {
            let common = &raw mut (*sk).__sk_common;
            let (reuse, reuseport) = ((*common).skc_reuse(), (*common).skc_reuseport());
            let idle = (*common).skc_state;
            match claim {
                Claim::Bind => {}
                Claim::Listen => (*common).skc_state = SockState::Listen as u8,
                Claim::Connect => {
                    (*common).set_skc_reuse(0);
                    (*common).set_skc_reuseport(0);
                }
                Claim::Inherit => (*common).set_skc_reuse(bindings::SK_FORCE_REUSE as u8),
            }
            let taken = to_result(bindings::inet_csk_get_port(sk, port));
            (*common).set_skc_reuse(reuse);
            (*common).set_skc_reuseport(reuseport);
            if taken.is_err() {
                (*common).skc_state = idle;
            }
            taken.map(|()| self.port())
        }
    }

    /// The port, 0 if none.
    pub fn port(&self) -> u16 {
        // SAFETY: The socket is ours.
        unsafe { bindings::inet_num(self.sk.as_ptr()) }
    }

    /// The socket no longer listens.
    pub fn stop_listening(&mut self) {
        // SAFETY: The socket is ours; the byte is read under the table's locks, as that of any
        // socket that stops listening.
        unsafe {
            (&raw mut (*self.sk.as_ptr()).__sk_common.skc_state)
                .write_volatile(SockState::Established as u8)
        };
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let sk = self.sk.as_ptr();
        // SAFETY: The socket is ours and in the table if it has a port; `tcp_prot` is a live object
        // of the kernel whose `put_port` asks no more of a socket than its counterpart.
        unsafe {
            if bindings::inet_num(sk) != 0 {
                if let Some(put_port) = bindings::tcp_prot.put_port {
                    put_port(sk);
                }
            }
            bindings::sock_put(sk);
        }
    }
}

/// The ports from which one is chosen for `sk`.
#[derive(Clone, Copy)]
pub struct Range {
    /// The first.
    pub low: u16,
    /// The last.
    pub high: u16,
    /// Whether the socket has a range of its own (`IP_LOCAL_PORT_RANGE`).
    pub own: bool,
}

impl<P: Protocol> Sock<P> {
    /// The ports from which one is chosen for the socket.
    pub fn port_range(&self) -> Range {
        let (mut low, mut high) = (0, 0);
        // SAFETY: The socket is live, and an Internet one.
        let own =
            unsafe { bindings::inet_sk_get_local_port_range(self.as_raw(), &mut low, &mut high) };
        Range {
            low: low as u16,
            high: high as u16,
            own,
        }
    }

    /// Where the search for a port to the socket's peer begins: a keyed hash of the addresses and the
    /// peer's port (RFC 6056 section 3.3.3).
    pub fn port_offset(&self) -> u64 {
        let sk = self.as_raw();
        // SAFETY: The socket is live, and its addresses do not change meanwhile: the caller connects
        // it.
        unsafe {
            let common = &raw const (*sk).__sk_common;
            let peer = (*common).skc_v6_daddr.in6_u.bindgen_union_field;
            let mapped = peer.starts_with(&[0, 0, 0xffff_u32.to_be()]);
            if u32::from((*common).skc_family) == bindings::AF_INET6 && !mapped {
                let local = (*common).skc_v6_rcv_saddr.in6_u.bindgen_union_field;
                bindings::secure_ipv6_port_ephemeral(
                    local.as_ptr(),
                    peer.as_ptr(),
                    bindings::inet_dport(sk),
                )
            } else {
                bindings::secure_ipv4_port_ephemeral(
                    bindings::inet_rcv_saddr(sk),
                    bindings::inet_daddr(sk),
                    bindings::inet_dport(sk),
                )
            }
        }
    }
}

impl Net {
    /// Whether `port` is never chosen (`ip_local_reserved_ports`).
    pub fn is_reserved_port(&self, port: u16) -> bool {
        // SAFETY: The namespace is valid.
        unsafe { bindings::inet_is_local_reserved_port(self.as_raw(), port) }
    }

    /// `ip_local_port_step_width`.
    pub fn port_step_width(&self) -> u32 {
        // SAFETY: The namespace is valid; a word that a sysctl writes.
        unsafe {
            let ipv4 = bindings::net_ipv4(self.as_raw());
            (&raw const (*ipv4).sysctl_ip_local_port_step_width).read_volatile()
        }
    }
}
