// SPDX-License-Identifier: GPL-2.0

//! When what was sent left the host and arrived (`SO_TIMESTAMPING`): the last byte of each call is
//! marked, and the packet that has it is told to report.
//!
//! C headers: [`include/uapi/linux/net_tstamp.h`](srctree/include/uapi/linux/net_tstamp.h),
//! [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use super::{
    bindings,
    ip::{
        Wire,
        MAX_FRAGMENTS, //
    },
    msg::Msg,
    proto::Protocol,
    rope::Rope,
    sock::Sock, //
};
use core::ptr;
use kernel::{
    error::to_result,
    ffi::c_int,
    prelude::*, //
};

/// Marks that are kept; the next one then takes the place of the last.
const MARKS_MAX: usize = 256;
/// The most bytes that a report of an acknowledgment shows.
const SHOWN_MAX: u64 = 65_535;
/// A control message brought a number of its own, which streams do not take.
const OWN_ID: u32 = 1 << 31;

/// What a call wants to be told of.
#[derive(Clone, Copy, Default)]
pub struct Wanted {
    /// When the packet passes places of the host, as packets have it (`SKBTX_*`).
    flags: u8,
    /// When the peer has it.
    acked: bool,
}

impl Wanted {
    /// Whether it is nothing.
    pub fn is_nothing(self) -> bool {
        self.flags == 0 && !self.acked
    }
}

/// A byte whose way is reported.
#[derive(Clone, Copy)]
pub struct Mark {
    /// Its offset in the stream.
    at: u64,
    /// Its sequence number.
    seq: u32,
    wanted: Wanted,
    /// Where the packet began that it was in, if it was in one.
    begin: Option<u64>,
}

impl Mark {
    /// The sequence number, and what of [`Wanted`] concerns packets.
    pub(super) fn key(&self) -> (u32, u8) {
        (self.seq, self.wanted.flags)
    }
}

/// The marks of a stream, in order.
#[derive(Default)]
pub struct TxStamps(KVec<Mark>);

impl TxStamps {
    /// No marks.
    pub const fn new() -> Self {
        Self(KVec::new())
    }

    /// Marks the byte at offset `at`, which has sequence number `seq`. Without memory for it nothing is
    /// reported, as where a report finds none.
    pub fn add(&mut self, at: u64, seq: u32, wanted: Wanted) {
        let mark = Mark {
            at,
            seq,
            wanted,
            begin: None,
        };
        let full = self.0.len() >= MARKS_MAX;
        match self.0.last_mut() {
            Some(last) if last.at == at || full => *last = mark,
            _ => {
                let _ = self.0.push(mark, GFP_KERNEL);
            }
        }
    }

    /// A packet with these bytes leaves: what it reports. One packet has one mark: as in Linux the last
    /// stands for all.
    pub fn leave(&mut self, offset: u64, len: u32) -> Option<Mark> {
        if self.0.is_empty() {
            return None;
        }
        let range = offset..offset.saturating_add(len.into());
        let mut last: Option<Mark> = None;
        for mark in self.0.iter().filter(|mark| range.contains(&mark.at)) {
            let before = last.map_or(Wanted::default(), |last| last.wanted);
            let wanted = Wanted {
                flags: before.flags | mark.wanted.flags,
                acked: before.acked | mark.wanted.acked,
            };
            last = Some(Mark { wanted, ..*mark });
        }
        let mark = Mark {
            begin: Some(offset),
            ..last?
        };
        self.0
            .retain(|other| !range.contains(&other.at) || other.at == mark.at);
        if let Some(kept) = self.0.iter_mut().find(|kept| kept.at == mark.at) {
            *kept = mark;
        }
        Some(mark)
    }

    /// Takes the first mark out if the peer has all below `acked`.
    pub fn arrived(&mut self, acked: u64) -> Option<Mark> {
        let first = *self.0.first()?;
        if first.at >= acked {
            return None;
        }
        self.0.remove(0).ok()
    }

    /// Forgets all marks.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Msg<'_> {
    /// Parses the control messages of a send, as far as sockets know them, and returns what the call
    /// wants to be told of.
    pub fn check_control<P: Protocol>(&mut self, sk: &Sock<P>) -> Result<Wanted> {
        let raw = sk.as_raw();
        let mut cookie: bindings::sockcm_cookie = pin_init::zeroed();
        // SAFETY: The socket is live, the message valid.
        unsafe {
            cookie.tsflags = (&raw const (*raw).sk_tsflags).read_volatile();
            if self.has_control() {
                to_result(bindings::sock_cmsg_send(raw, self.as_raw(), &mut cookie))?;
            }
        }
        let flags = cookie.tsflags;
        if flags & OWN_ID != 0 {
            return Err(EINVAL);
        }
        let mut wanted = Wanted {
            flags: 0,
            acked: flags & bindings::SOF_TIMESTAMPING_TX_ACK != 0,
        };
        if flags != 0 {
            // SAFETY: The place is valid.
            unsafe { bindings::__sock_tx_timestamp(flags, &mut wanted.flags) };
        }
        Ok(wanted)
    }
}

impl<P: Protocol> Wire<'_, P> {
    /// Reports that the peer has a marked byte, if that is wanted. As `tcp_ack_tstamp`; the bytes of
    /// its packet must not be released yet.
    pub fn report_arrival(&self, rope: &Rope, mark: &Mark) {
        if !mark.wanted.acked {
            return;
        }
        let sk = self.sock().as_raw();
        let begin = mark.begin.unwrap_or(0).max(rope.start());
        let begin = begin.max((mark.at + 1).saturating_sub(SHOWN_MAX));
        let len = (mark.at + 1).saturating_sub(begin) as u32;
        let len = len.min(rope.fit(begin, len, MAX_FRAGMENTS));
        // SAFETY: The lock is held. The packet is new and ours, with at most as many fragments as one
        // can have; the reporter takes a copy.
        unsafe {
            let skb = bindings::alloc_skb(0, bindings::GFP_ATOMIC | bindings::__GFP_NOWARN);
            if skb.is_null() {
                return;
            }
            let mut i = 0;
            rope.for_range(begin, len, |page, at, len| {
                bindings::get_page(page);
                bindings::skb_fill_page_desc(skb, i, page, at as c_int, len as c_int);
                bindings::skb_len_add(skb, len as c_int);
                i += 1;
            });
            if let Some(owner) = rope.owner(begin, len) {
                bindings::skb_zcopy_set(skb, owner.as_raw(), ptr::null_mut());
            }
            let shared = &mut *bindings::skb_shinfo(skb);
            (shared.tskey, shared.tx_flags) = mark.key();
            bindings::tcp_skb_report_ack(skb);
            bindings::__skb_tstamp_tx(
                skb,
                ptr::null(),
                ptr::null_mut(),
                sk,
                bindings::SCM_TSTAMP_ACK as c_int,
            );
            bindings::consume_skb(skb);
        }
    }
}

impl<P: Protocol> Sock<P> {
    /// `SO_TIMESTAMPING`, the part that the kernel does for its own TCP only: with
    /// `SOF_TIMESTAMPING_OPT_ID` reports name bytes, counted from where the stream is now. `set` does the
    /// rest.
    pub(super) fn set_timestamping(&self, flags: u32, set: impl FnOnce() -> Result) -> Result {
        use super::sock::SockState;
        // SAFETY: The socket is live; the kernel reads this field without a lock as well.
        let before = unsafe { (&raw const (*self.as_raw()).sk_tsflags).read_volatile() };
        let by_id = bindings::SOF_TIMESTAMPING_OPT_ID;
        let begins = flags & by_id != 0 && before & by_id == 0;
        let nowhere = [SockState::Close as u8, SockState::Listen as u8];
        if begins && nowhere.contains(&self.kernel_state()) {
            return Err(EINVAL);
        }
        set()?;
        if begins {
            let written = flags & bindings::SOF_TIMESTAMPING_OPT_ID_TCP != 0;
            let base = P::stamp_base(&mut self.lock(), written);
            // SAFETY: The socket is live; an atomic integer that the kernel does not use for us.
            unsafe { bindings::sk_tskey_set(self.as_raw(), base as c_int) };
        }
        Ok(())
    }

    /// Reads the error queue. The kernel numbers the bytes of its own TCP when it queues a report, and
    /// leaves ours their sequence numbers: they are translated before anybody sees them.
    ///
    /// # Safety
    ///
    /// `msg` must be valid and a message to fill.
    pub(super) unsafe fn receive_error(&self, msg: *mut bindings::msghdr, len: usize) -> c_int {
        let sk = self.as_raw();
        // SAFETY: By the requirement; the socket is live. Under the socket lock nobody else takes the
        // first report away between the translation and the reading.
        unsafe {
            let flags = (&raw const (*sk).sk_tsflags).read_volatile();
            if flags & bindings::SOF_TIMESTAMPING_OPT_ID == 0 {
                return bindings::inet_recv_error(sk, msg, len as c_int);
            }
            let _lock = self.lock();
            let queue = &raw mut (*sk).sk_error_queue;
            let irq = bindings::skb_queue_lock(queue);
            let first = bindings::skb_peek(queue);
            let stamps = bindings::SO_EE_ORIGIN_TIMESTAMPING;
            if !first.is_null() && u32::from(bindings::skb_error_origin(first)) == stamps {
                let number = &mut *bindings::skb_error_data(first);
                *number = number.wrapping_sub(bindings::sk_tskey(sk) as u32);
            }
            bindings::skb_queue_unlock(queue, irq);
            if first.is_null() {
                return EAGAIN.to_errno();
            }
            bindings::inet_recv_error(sk, msg, len as c_int)
        }
    }
}
