// SPDX-License-Identifier: GPL-2.0

//! What a reader is told beside the data: when it came (`SO_TIMESTAMP`, `SO_TIMESTAMPING`), and how much
//! more there is.
//!
//! C headers: [`include/linux/socket.h`](srctree/include/linux/socket.h),
//! [`include/uapi/linux/net_tstamp.h`](srctree/include/uapi/linux/net_tstamp.h)

use super::{
    bindings,
    msg::Msg,
    proto::Protocol,
    sock::Sock, //
};
use core::mem::size_of;
use kernel::ffi::{
    c_int,
    c_long,
    c_void, //
};

/// Nanoseconds in a second.
const SECOND: i64 = 1_000_000_000;

/// When a packet came, in nanoseconds since 1970; 0 where that was not measured.
#[derive(Clone, Copy)]
pub struct RxStamp {
    /// By the host's clock.
    software: i64,
    /// By the device's.
    hardware: i64,
}

impl RxStamp {
    /// What a packet tells; `None` where it tells nothing.
    ///
    /// # Safety
    ///
    /// `skb` must be a valid received packet.
    pub(super) unsafe fn of(skb: *mut bindings::sk_buff) -> Option<Self> {
        // SAFETY: By the requirement.
        let stamp = unsafe {
            Self {
                software: bindings::skb_get_ktime(skb),
                hardware: bindings::skb_get_hwtstamp(skb),
            }
        };
        (stamp.software != 0 || stamp.hardware != 0).then_some(stamp)
    }

    /// Lets another packet tell the same.
    ///
    /// # Safety
    ///
    /// `skb` must be a valid received packet, and the caller's.
    pub(super) unsafe fn write(self, skb: *mut bindings::sk_buff) {
        // SAFETY: By the requirement.
        unsafe {
            bindings::skb_set_ktime(skb, self.software);
            bindings::skb_set_hwtstamp(skb, self.hardware);
        }
    }
}

impl Msg<'_> {
    /// Adds a control message of level `level`.
    fn put_control<T>(&mut self, level: u32, kind: u32, value: &T) {
        // SAFETY: The message is valid, and the value has as many bytes as are told; they are integers
        // without padding.
        unsafe {
            bindings::put_cmsg(
                self.as_raw(),
                level as c_int,
                kind as c_int,
                size_of::<T>() as c_int,
                core::ptr::from_ref(value).cast::<c_void>().cast_mut(),
            )
        };
    }

    /// Tells the reader that `bytes` more could be read: an inner caller that asked, and with `control`
    /// the program.
    pub fn put_unread(&mut self, bytes: i32, control: bool) {
        self.set_unread(bytes);
        if control {
            self.put_control(
                bindings::IPPROTO_TCP,
                bindings::TCP_CM_INQ,
                &(bytes as c_int),
            );
        }
    }

    /// Tells the reader when the last bytes came that were read, as far as the socket's options say.
    /// As `tcp_recv_timestamp`.
    pub fn put_stamp<P: Protocol>(&mut self, sk: &Sock<P>, stamp: RxStamp) {
        let raw = sk.as_raw();
        // SAFETY: The socket is live; the kernel reads these without a lock as well.
        let (flags, is_new, wanted, in_ns) = unsafe {
            (
                (&raw const (*raw).sk_tsflags).read_volatile(),
                bindings::sock_flag(raw, bindings::sock_flags_SOCK_TSTAMP_NEW),
                bindings::sock_flag(raw, bindings::sock_flags_SOCK_RCVTSTAMP),
                bindings::sock_flag(raw, bindings::sock_flags_SOCK_RCVTSTAMPNS),
            )
        };
        let RxStamp { software, hardware } = stamp;
        if software != 0 && wanted {
            let (seconds, rest) = (software.div_euclid(SECOND), software.rem_euclid(SECOND));
            let (kind, rest) = match (in_ns, is_new) {
                (true, true) => (bindings::SO_TIMESTAMPNS_NEW, rest),
                (true, false) => (bindings::SO_TIMESTAMPNS_OLD, rest),
                (false, true) => (bindings::SO_TIMESTAMP_NEW, rest / 1_000),
                (false, false) => (bindings::SO_TIMESTAMP_OLD, rest / 1_000),
            };
            if is_new {
                self.put_control(bindings::SOL_SOCKET, kind, &[seconds, rest]);
            } else {
                let old = [seconds as c_long, rest as c_long];
                self.put_control(bindings::SOL_SOCKET, kind, &old);
            }
        }
        // Those that are shown, unless only what the socket itself asked for may be.
        let shows = |show: u32, made: u32| {
            flags & show != 0
                && (flags & made != 0 || flags & bindings::SOF_TIMESTAMPING_OPT_RX_FILTER == 0)
        };
        let mut all: bindings::scm_timestamping_internal = pin_init::zeroed();
        if shows(
            bindings::SOF_TIMESTAMPING_SOFTWARE,
            bindings::SOF_TIMESTAMPING_RX_SOFTWARE,
        ) {
            all.ts[0] = software;
        }
        if shows(
            bindings::SOF_TIMESTAMPING_RAW_HARDWARE,
            bindings::SOF_TIMESTAMPING_RX_HARDWARE,
        ) {
            all.ts[2] = hardware;
        }
        if all.ts[0] | all.ts[2] == 0 {
            return;
        }
        // SAFETY: The message and the stamps are valid.
        unsafe {
            if is_new {
                bindings::put_cmsg_scm_timestamping64(self.as_raw(), &mut all);
            } else {
                bindings::put_cmsg_scm_timestamping(self.as_raw(), &mut all);
            }
        }
    }
}
