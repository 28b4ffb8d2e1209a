// SPDX-License-Identifier: GPL-2.0

//! Ports, held against AF_INET.
//!
//! A port that one of our sockets uses must be busy for AF_INET, and the other way round. The kernel
//! offers modules no way into its table of bound ports but a bound socket: so each port in use has
//! one socket of the kernel's that is bound to it and does nothing else.
//!
//! C header: [`include/linux/net.h`](srctree/include/linux/net.h)

use super::{
    bindings,
    net_namespace::Net, //
};
use core::{
    net::Ipv4Addr,
    ptr::{
        self,
        NonNull, //
    },
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};
use kernel::{
    error::to_result,
    impl_has_work,
    new_work,
    prelude::*,
    workqueue::{
        Queue,
        Work,
        WorkItem, //
    }, //
};

/// Where sockets that hold a port are released: that may sleep, and the last user of a port may be a
/// softirq.
static QUEUE: AtomicPtr<bindings::workqueue_struct> = AtomicPtr::new(ptr::null_mut());

/// The work queue that gives ports back, for as long as this lives. The module has one.
pub struct ReleaseQueue(());

impl ReleaseQueue {
    /// Makes the queue.
    pub fn new() -> Result<Self> {
        // SAFETY: A plain allocation; the name is a constant.
        let queue = unsafe { bindings::alloc_workqueue_unbound(c"oxtcp_ports".as_char_ptr()) };
        if queue.is_null() {
            return Err(ENOMEM);
        }
        QUEUE.store(queue, Ordering::Release);
        Ok(Self(()))
    }
}

impl Drop for ReleaseQueue {
    fn drop(&mut self) {
        let queue = QUEUE.swap(ptr::null_mut(), Ordering::AcqRel);
        // SAFETY: Made by `new`, and nothing is queued any more by anybody: the module's sockets and
        // namespaces are gone when it drops its queue.
        unsafe { bindings::destroy_workqueue(queue) };
    }
}

/// Waits until all ports that were dropped so far are free for others. Sleeps.
pub fn flush_released() {
    let queue = QUEUE.load(Ordering::Acquire);
    if !queue.is_null() {
        // SAFETY: The queue lives as long as sockets or namespaces of the module do, and this is
        // called for one of them.
        unsafe { bindings::__flush_workqueue(queue) };
    }
}

/// # Invariants
///
/// `socket` is a live socket of the kernel's, owned by this.
#[pin_data]
struct Holder {
    socket: NonNull<bindings::socket>,
    #[pin]
    work: Work<Holder>,
}

impl_has_work! {
    impl HasWork<Self> for Holder { self.work }
}

// SAFETY: Nothing is done with the socket but to release it, once.
unsafe impl Send for Holder {}

impl WorkItem for Holder {
    type Pointer = Pin<KBox<Holder>>;

    fn run(this: Self::Pointer) {
        // SAFETY: We own the socket, by the type invariant, and its owner ends here.
        unsafe { bindings::sock_release(this.socket.as_ptr()) };
    }
}

/// A port that is busy for AF_INET while this lives. It is given back some time after the drop, see
/// [`flush_released`].
pub struct ReservedPort(Option<Pin<KBox<Holder>>>);

// SAFETY: As for `Holder`; shared references allow nothing.
unsafe impl Sync for ReservedPort {}

impl ReservedPort {
    /// Reserves `port` at `addr`, or a free port for 0, and tells which. May sleep.
    ///
    /// `reuse`: sockets of AF_INET that allow it too may bind the port, as with `SO_REUSEADDR`.
    /// Fails with `EADDRINUSE` where the port is busy, or none is free.
    pub fn new(net: &Net, addr: Ipv4Addr, port: u16, reuse: bool) -> Result<(Self, u16)> {
        let mut socket = ptr::null_mut();
        // SAFETY: The namespace is valid; on success `socket` is new and ours.
        unsafe {
            to_result(bindings::sock_create_kern(
                net.as_raw(),
                bindings::PF_INET as i32,
                bindings::sock_type_SOCK_STREAM as i32,
                bindings::IPPROTO_TCP as i32,
                &mut socket,
            ))?;
        }
        let socket = NonNull::new(socket).ok_or(ENOMEM)?;
        let holder = match KBox::pin_init(
            pin_init!(Holder {
                socket,
                work <- new_work!("oxtcp_port"),
            }),
            GFP_KERNEL,
        ) {
            Ok(holder) => holder,
            Err(e) => {
                // SAFETY: The socket is ours.
                unsafe { bindings::sock_release(socket.as_ptr()) };
                return Err(e);
            }
        };
        let reserved = Self(Some(holder));
        let mut name = bindings::sockaddr_in {
            sin_family: bindings::AF_INET as u16,
            sin_port: port.to_be(),
            sin_addr: bindings::in_addr {
                s_addr: u32::from(addr).to_be(),
            },
            ..pin_init::zeroed()
        };
        // SAFETY: The socket is ours; the address lies on this stack. An address that is not local
        // was already let through, or refused, for the socket that the port is for.
        unsafe {
            let sk = (*socket.as_ptr()).sk;
            (*sk).__sk_common.set_skc_reuse(u8::from(reuse));
            bindings::inet_set_bit_freebind(sk);
            to_result(bindings::kernel_bind(
                socket.as_ptr(),
                (&raw mut name).cast(),
                size_of::<bindings::sockaddr_in>() as i32,
            ))?;
            Ok((reserved, bindings::inet_num(sk)))
        }
    }
}

impl ReservedPort {
    /// Whether sockets of AF_INET that allow reuse may listen at the port. One that is bound to it
    /// already finds out when it does.
    pub fn share(&self, share: bool) {
        if let Some(holder) = &self.0 {
            // SAFETY: The socket is live while its holder is. The bit-field is the only one of its
            // byte that anybody writes: nothing else is done with this socket.
            unsafe {
                (*(*holder.socket.as_ptr()).sk)
                    .__sk_common
                    .set_skc_reuse(u8::from(share))
            };
        }
    }
}

impl Drop for ReservedPort {
    fn drop(&mut self) {
        let queue = QUEUE.load(Ordering::Acquire);
        if let (Some(holder), false) = (self.0.take(), queue.is_null()) {
            // SAFETY: The queue lives as long as sockets or namespaces of the module do, and ports
            // are only held for them.
            unsafe { Queue::from_raw(queue.cast_const().cast()) }.enqueue(holder);
        }
    }
}
