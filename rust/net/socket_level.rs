// SPDX-License-Identifier: GPL-2.0

//! Options of level `SOL_SOCKET` that the kernel lets nobody but its own TCP set, as it knows that by
//! `sk_protocol`. Reading them cannot be taken over.
//!
//! C source: `net/core/sock.c`, whose `sk_setsockopt` all others go to.

use super::{
    bindings,
    errno::EOPNOTSUPP,
    msg::OptionIn,
    proto::Protocol,
    sock::Sock, //
};
use kernel::{
    ffi::{
        c_int,
        c_uint, //
    },
    page::PAGE_SHIFT,
    prelude::*, //
};

/// What received data is charged as.
const SK_MEM_RECV: c_int = 1;
/// The most that `SO_RESERVE_MEM` takes, `SZ_1G`.
const RESERVE_MAX: i32 = 1 << 30;
/// `SO_TXREHASH`: the namespace's choice, `SOCK_TXREHASH_DEFAULT` as an integer.
const REHASH_DEFAULT: i32 = -1;

/// `ops->setsockopt` for `SOL_SOCKET`.
///
/// # Safety
///
/// `socket` must have a socket of `P` that stays referenced; `value` must be what the option code got,
/// `len` its length.
pub(super) unsafe fn set<P: Protocol>(
    socket: *mut bindings::socket,
    name: c_int,
    value: bindings::sockptr_t,
    len: c_uint,
) -> Result {
    // SAFETY: By the requirement.
    let (sk, value) = unsafe { (Sock::<P>::from_raw((*socket).sk), OptionIn::new(value, len)) };
    match name as u32 {
        bindings::SO_ATTACH_FILTER => {
            // A filter sees what others sent, and can change what TCP takes for its peer's segments.
            value.int()?;
            if !sk.net().may_administrate() {
                return Err(EPERM);
            }
        }
        // A listener that did not begin with SO_REUSEPORT has no group that a program could serve.
        bindings::SO_ATTACH_REUSEPORT_CBPF | bindings::SO_ATTACH_REUSEPORT_EBPF
            if sk.is_listening() && !sk.is_in_group() =>
        {
            return Err(EINVAL);
        }
        bindings::SO_ZEROCOPY => return sk.set_zerocopy(value.int()?),
        bindings::SO_TXREHASH => return sk.set_rehashes(value.int()?),
        bindings::SO_RESERVE_MEM => {
            let bytes = value.int()?;
            if !(0..=RESERVE_MAX).contains(&bytes) {
                return Err(EINVAL);
            }
            if sk.reserve_memory(bytes)? {
                return Ok(());
            }
        }
        _ => {}
    }
    let set = || {
        // SAFETY: By the requirement.
        kernel::error::to_result(unsafe {
            bindings::sock_setsockopt(
                socket,
                bindings::SOL_SOCKET as c_int,
                name,
                value.raw(),
                len,
            )
        })
    };
    if let bindings::SO_TIMESTAMPING_OLD | bindings::SO_TIMESTAMPING_NEW = name as u32 {
        return sk.set_timestamping(value.int()? as u32, set);
    }
    set()?;
    if matches!(
        name as u32,
        bindings::SO_REUSEADDR
            | bindings::SO_REUSEPORT
            | bindings::SO_BINDTODEVICE
            | bindings::SO_BINDTOIFINDEX
    ) {
        P::binding_changed(&mut sk.lock());
    }
    Ok(())
}

impl<P: Protocol> Sock<P> {
    /// `SO_ZEROCOPY`: whether `MSG_ZEROCOPY` means anything.
    fn set_zerocopy(&self, value: i32) -> Result {
        if !(0..=1).contains(&value) {
            return Err(EINVAL);
        }
        let lock = self.lock();
        // SAFETY: The lock is held.
        unsafe {
            bindings::sock_valbool_flag(lock.raw(), bindings::sock_flags_SOCK_ZEROCOPY, value);
        }
        Ok(())
    }

    /// `SO_TXREHASH`: whether the connection may try another path.
    fn set_rehashes(&self, value: i32) -> Result {
        if !(REHASH_DEFAULT..=1).contains(&value) {
            return Err(EINVAL);
        }
        // SAFETY: The socket is live; the kernel reads and writes both fields without a lock as well.
        unsafe {
            let value = match value {
                REHASH_DEFAULT => {
                    let core = bindings::net_core(bindings::sock_net(self.as_raw()));
                    (&raw const (*core).sysctl_txrehash).read_volatile()
                }
                value => value as u8,
            };
            bindings::sk_set_txrehash(self.as_raw(), value);
        }
        Ok(())
    }

    /// `SO_RESERVE_MEM`: memory that stays the socket's under pressure, as `sock_reserve_memory`. False
    /// where there is less to be reserved than before, which the kernel does for everybody.
    fn reserve_memory(&self, bytes: i32) -> Result<bool> {
        let lock = self.lock();
        let sk = lock.raw();
        // SAFETY: The lock is held.
        unsafe {
            let more = bytes - (*sk).sk_reserved_mem as i32;
            if more < 0 {
                return Ok(false);
            }
            if !bindings::mem_cgroup_sk_enabled(sk) {
                return Err(EOPNOTSUPP);
            }
            if more == 0 {
                return Ok(true);
            }
            let bytes = bindings::sk_mem_pages(more) << PAGE_SHIFT;
            // Charges the pages, which count as the socket's from here on.
            if bindings::__sk_mem_schedule(sk, more, SK_MEM_RECV) == 0 {
                return Err(ENOMEM);
            }
            if bindings::sk_memory_allocated(sk) > bindings::sk_prot_mem_limits(sk, 1) {
                bindings::__sk_mem_reclaim(sk, bytes);
                return Err(ENOMEM);
            }
            let reserved = (*sk).sk_reserved_mem + bytes as u32;
            (&raw mut (*sk).sk_reserved_mem).write_volatile(reserved);
        }
        Ok(true)
    }
}
