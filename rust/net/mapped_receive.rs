// SPDX-License-Identifier: GPL-2.0

//! Received pages in the reader's address space (`TCP_ZEROCOPY_RECEIVE`).
//!
//! C headers: [`include/linux/mm.h`](srctree/include/linux/mm.h),
//! [`include/uapi/linux/tcp.h`](srctree/include/uapi/linux/tcp.h)

use super::{
    bindings,
    msg::{
        Msg,
        OptionOut, //
    },
    proto::Protocol,
    rx_stamp::RxStamp,
    skbuff::Skb,
    sock::{
        Locked,
        Sock, //
    }, //
};
use core::{
    mem::{
        size_of,
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr, //
};
use kernel::{
    error::to_result,
    ffi::{
        c_int,
        c_ulong, //
    },
    mm::virt::{
        VmaNew,
        VmaRef, //
    },
    prelude::*,
    transmute::{
        AsBytes,
        FromBytes, //
    }, //
};

/// The size of a page, in bytes.
pub const PAGE: u32 = kernel::page::PAGE_SIZE as u32;

/// How many pages are mapped at a time.
const BATCH: usize = 32;

/// The reader has unmapped what he had, so that nothing needs to be done before pages come
/// (`TCP_RECEIVE_ZEROCOPY_FLAG_TLB_CLEAN_HINT`).
const CLEAN: u32 = 1;
/// There are time stamps (`TCP_CMSG_TS`).
const WITH_STAMP: u32 = 2;

/// `struct tcp_zerocopy_receive`: units and meaning are those of the fields of the same place there.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[expect(missing_docs)]
pub struct Request {
    pub address: u64,
    pub length: u32,
    pub skip_hint: u32,
    pub unread: u32,
    pub error: i32,
    pub copy_address: u64,
    pub copy_len: i32,
    flags: u32,
    control: u64,
    control_len: u64,
    msg_flags: u32,
    reserved: u32,
}

// SAFETY: All fields are integers, and there is no padding between them, as the size below shows.
unsafe impl AsBytes for Request {}
// SAFETY: As above; any octets make integers.
unsafe impl FromBytes for Request {}

const _: () = assert!(size_of::<Request>() == 64);

/// How much of a [`Request`] the caller knows: where fields that were added later end.
#[derive(Clone, Copy)]
pub struct Known(usize);

impl Known {
    /// `offsetofend(struct tcp_zerocopy_receive, length)`
    const LENGTH: usize = 12;
    /// The end of `inq`.
    const UNREAD: usize = 20;
    /// The ends of `err`, `copybuf_address`, `copybuf_len`, `flags`, `msg_control` and
    /// `msg_controllen`.
    const ERROR: [usize; 6] = [24, 32, 36, 40, 48, 56];
    /// The end of `msg_flags`.
    const MSG_FLAGS: usize = 60;

    /// Whether he is told how much is left to read.
    pub fn unread(self) -> bool {
        self.0 == Self::UNREAD || self.error()
    }

    /// Whether he is told the socket's error.
    pub fn error(self) -> bool {
        Self::ERROR.contains(&self.0) || self.control()
    }

    /// Whether he is told of time stamps.
    pub fn control(self) -> bool {
        self.0 >= Self::MSG_FLAGS
    }
}

impl Request {
    /// Reads what a caller of `getsockopt` wants, as `do_tcp_getsockopt`.
    pub fn read(out: &OptionOut) -> Result<(Self, Known)> {
        let room = out.room()?;
        if room < Known::LENGTH {
            return Err(EINVAL);
        }
        let len = room.min(size_of::<Self>());
        if room > len {
            if !out.is_zero(len, room)? {
                return Err(EINVAL);
            }
            out.put_length(len)?;
        }
        let mut bytes = [0; size_of::<Self>()];
        out.read(bytes.get_mut(..len).ok_or(EINVAL)?)?;
        let request = Self::from_bytes_copy(&bytes).ok_or(EINVAL)?;
        if request.reserved != 0 || request.msg_flags & !WITH_STAMP != 0 {
            return Err(EINVAL);
        }
        Ok((request, Known(len)))
    }

    /// Writes what became of it, as much of it as the caller knows.
    pub fn write(&self, out: OptionOut, known: Known) -> Result {
        out.put_bytes(self.as_bytes().get(..known.0).ok_or(EINVAL)?)
    }

    /// Tells the caller, with the control messages that the socket's options ask for, when the last
    /// bytes came. As `tcp_zc_finalize_rx_tstamp`.
    pub fn put_stamp<P: Protocol>(&mut self, sk: &Sock<P>, stamp: Option<RxStamp>) {
        self.msg_flags = 0;
        let Some(stamp) = stamp else {
            return;
        };
        let Ok(len) = usize::try_from(self.control_len) else {
            return;
        };
        let mut raw = bindings::msghdr::default();
        raw.set_msg_control_is_user(true);
        raw.__bindgen_anon_1.msg_control_user = self.control as *mut _;
        raw.msg_controllen = len;
        // SAFETY: Always safe to ask of a task that makes a call; `raw` is valid and ours, and its
        // address of control messages is written to as user memory only.
        unsafe {
            if bindings::in_compat_syscall() {
                raw.msg_flags = bindings::MSG_CMSG_COMPAT;
            }
            Msg::from_raw(&mut raw).put_stamp(sk, stamp);
            self.control = raw.__bindgen_anon_1.msg_control_user as u64;
        }
        self.control_len = raw.msg_controllen as u64;
        self.msg_flags = raw.msg_flags;
    }
}

/// The operations of mappings of sockets: none, but their address tells such a mapping from others.
struct Operations(bindings::vm_operations_struct);

// SAFETY: Nothing in it ever changes.
unsafe impl Sync for Operations {}

static OPERATIONS: Operations = {
    // SAFETY: No function is a valid value of each field, which are all pointers.
    Operations(unsafe { MaybeUninit::zeroed().assume_init() })
};

/// `proto_ops->mmap`, as `tcp_mmap`.
///
/// # Safety
///
/// For the kernel, which calls it in the making of `vma`.
pub(super) unsafe extern "C" fn mmap(
    _file: *mut bindings::file,
    _socket: *mut bindings::socket,
    vma: *mut bindings::vm_area_struct,
) -> c_int {
    // SAFETY: By the requirement.
    let vma = unsafe { VmaNew::from_raw(vma) };
    if vma.try_clear_maywrite().is_err() || vma.try_clear_mayexec().is_err() {
        return EPERM.to_errno();
    }
    vma.set_mixedmap();
    // SAFETY: The area is being made, so that it is ours. It holds the file, which holds the module
    // and so the operations.
    unsafe { (*vma.as_ptr()).vm_ops = &OPERATIONS.0 };
    0
}

/// Whether [`mmap`] made the area.
fn is_of_socket(vma: &VmaRef) -> bool {
    // SAFETY: The area is locked for reading.
    unsafe { ptr::eq((*vma.as_ptr()).vm_ops, &OPERATIONS.0) }
}

/// What [`Locked::map_queue`] did.
pub struct MapOut {
    /// Bytes that are mapped.
    pub mapped: u32,
    /// When the last of them came, if that is known of any.
    pub stamp: Option<RxStamp>,
    /// Mapping ended early.
    pub failed: bool,
}

/// Which fragment of a packet begins `offset` bytes behind its `data`, if one does.
///
/// # Safety
///
/// `skb` must be a valid packet with more bytes than that.
unsafe fn fragment_at(skb: *mut bindings::sk_buff, offset: u32) -> Option<usize> {
    // SAFETY: By the requirement.
    unsafe {
        let shared = bindings::skb_shinfo(skb);
        let mut left = offset.checked_sub(bindings::skb_headlen(skb))?;
        if !(*shared).frag_list.is_null() {
            return None;
        }
        let mut at = 0;
        while left > 0 {
            left = left.checked_sub((*shared).frags.get(at)?.len)?;
            at += 1;
        }
        Some(at)
    }
}

/// Whether a fragment is a page that a reader may see: all of one, which is no part of a larger piece of
/// memory and of no file. As `can_map_frag`.
///
/// # Safety
///
/// `frag` must be a fragment of a valid packet.
unsafe fn is_page(frag: &bindings::skb_frag_t) -> bool {
    // SAFETY: By the requirement; what is no `net_iov` has a page.
    unsafe {
        if frag.len != PAGE || frag.offset != 0 || bindings::skb_frag_is_net_iov(frag) {
            return false;
        }
        let page = bindings::skb_frag_page(frag);
        bindings::PageCompound(page) == 0 && bindings::page_mapping(page).is_null()
    }
}

/// How many bytes there are, from fragment `at` on, before one that is a page of its own; at
/// least `most` if there is none before that.
///
/// # Safety
///
/// `skb` must be a valid packet with at least `most` bytes from fragment `at` on.
unsafe fn to_mappable(skb: *mut bindings::sk_buff, mut at: usize, most: u32) -> u32 {
    let mut skip = 0;
    // SAFETY: By the requirement.
    unsafe {
        let shared = bindings::skb_shinfo(skb);
        while skip < most {
            match (*shared).frags.get(at) {
                Some(frag) if is_page(frag) => break,
                Some(frag) => skip += frag.len,
                None => break,
            }
            at += 1;
        }
    }
    skip
}

/// Maps pages; how many were mapped, and whether that were all.
///
/// # Safety
///
/// All must be pages that the caller has references on.
unsafe fn insert(
    vma: &VmaRef,
    address: usize,
    pages: &mut [*mut bindings::page],
) -> (usize, Result) {
    let mut left = pages.len() as c_ulong;
    // SAFETY: The area is locked for reading and is one for pages of any kind, see `mmap`; the
    // addresses lie in it, or this fails.
    let result = to_result(unsafe {
        bindings::vm_insert_pages(vma.as_ptr(), address, pages.as_mut_ptr(), &mut left)
    });
    (pages.len() - left as usize, result)
}

impl<P: Protocol> Locked<'_, P> {
    /// Maps pages of the receive queue, from offset `from` of the stream on, at the address that
    /// `request` names, as far as it and `there` allow and as each is a page of its own. Sets
    /// `request.length` to how much could have been mapped and `skip_hint` to how much is to be read
    /// by copying before there is a page again. Frees nothing. As `tcp_zerocopy_receive`.
    ///
    /// The queue must hold the stream from `from` on without a gap; packets may overlap.
    ///
    /// Fails with `EINVAL` where no mapping of a socket is at the address.
    pub fn map_queue(&mut self, from: u64, there: u32, request: &mut Request) -> Result<MapOut> {
        let address = usize::try_from(request.address).map_err(|_| EINVAL)?;
        let task = current!();
        let guard = task.mm().ok_or(EINVAL)?.mmap_read_lock();
        let vma = guard
            .vma_lookup(address)
            .filter(|vma| is_of_socket(vma))
            .ok_or(EINVAL)?;
        let room = u32::try_from(vma.end() - address).unwrap_or(u32::MAX);
        let most = request.length.min(room).min(there);
        let whole = most & !(PAGE - 1);
        request.length = if whole > 0 { whole } else { most };
        request.skip_hint = if whole > 0 { 0 } else { most };
        if whole > 0 && request.flags & CLEAN == 0 {
            vma.zap_vma_range(address, whole as usize);
        }
        let mut out = MapOut {
            mapped: 0,
            stamp: None,
            failed: false,
        };
        let mut pages = [ptr::null_mut(); BATCH];
        let mut pending = 0usize;
        let mut raw = ptr::null_mut::<bindings::sk_buff>();
        let mut fragment = 0;
        let mut taken = 0u32;
        // SAFETY: The lock is held, so that the queue is ours and its packets stay; their control
        // blocks tell ranges that lie within them.
        unsafe {
            let head = &raw mut (*self.raw()).sk_receive_queue;
            while taken + PAGE <= request.length {
                if request.skip_hint < PAGE {
                    if !raw.is_null() && request.skip_hint > 0 {
                        break;
                    }
                    let at = from + u64::from(taken);
                    let range = |raw| ManuallyDrop::new(Skb::from_raw(raw)).range();
                    if raw.is_null() {
                        raw = bindings::skb_peek(head);
                    }
                    while !raw.is_null() && range(raw).1 <= at {
                        raw = bindings::skb_queue_next_or_null(head, raw);
                    }
                    if raw.is_null() || !bindings::skb_frags_readable(raw) {
                        break;
                    }
                    let (start, end) = range(raw);
                    if at < start {
                        break;
                    }
                    out.stamp = RxStamp::of(raw).or(out.stamp);
                    request.skip_hint = (end - at) as u32;
                    let control = ManuallyDrop::new(Skb::from_raw(raw)).control();
                    match fragment_at(raw, (*control).skip + (at - start) as u32) {
                        Some(found) => fragment = found,
                        None => break,
                    }
                }
                let skip = to_mappable(raw, fragment, request.skip_hint);
                if skip > 0 {
                    request.skip_hint = skip;
                    break;
                }
                let frag = &(*bindings::skb_shinfo(raw)).frags[fragment];
                pages[pending] = bindings::skb_frag_page(frag);
                pending += 1;
                fragment += 1;
                taken += PAGE;
                request.skip_hint -= PAGE;
                if pending == BATCH || request.skip_hint < PAGE {
                    if !self.map_batch(vma, &mut pages[..pending], request, &mut out, whole) {
                        return Ok(out);
                    }
                    pending = 0;
                }
            }
            if pending > 0 {
                self.map_batch(vma, &mut pages[..pending], request, &mut out, whole);
            }
        }
        Ok(out)
    }

    /// Maps pages that [`Locked::map_queue`] has found behind those of `out`; false where one could
    /// not be mapped. As `tcp_zerocopy_vm_insert_batch`.
    ///
    /// # Safety
    ///
    /// All must be pages of packets in the receive queue.
    unsafe fn map_batch(
        &self,
        vma: &VmaRef,
        pages: &mut [*mut bindings::page],
        request: &mut Request,
        out: &mut MapOut,
        whole: u32,
    ) -> bool {
        let address = |out: &MapOut| request.address as usize + out.mapped as usize;
        // SAFETY: The packets have references on their pages.
        let (count, mut result) = unsafe { insert(vma, address(out), pages) };
        out.mapped += count as u32 * PAGE;
        let mut rest = pages.get_mut(count..).unwrap_or_default();
        if result == Err(EBUSY) && request.flags & CLEAN != 0 {
            // The hint was wrong.
            vma.zap_vma_range(address(out), (whole - out.mapped) as usize);
            // SAFETY: As above.
            let (count, again) = unsafe { insert(vma, address(out), rest) };
            out.mapped += count as u32 * PAGE;
            rest = rest.get_mut(count..).unwrap_or_default();
            result = again;
        }
        request.skip_hint += rest.len() as u32 * PAGE;
        out.failed = result.is_err();
        !out.failed
    }
}

/// Has `read` fill `len` bytes at `address` of the caller's memory.
pub fn with_copy_buffer<R>(
    address: u64,
    len: usize,
    read: impl FnOnce(&mut Msg<'_>) -> R,
) -> Result<R> {
    let address = usize::try_from(address).map_err(|_| EINVAL)?;
    let mut raw = bindings::msghdr::default();
    // SAFETY: The address is only used as user memory; `raw` is valid and ours, and a destination.
    unsafe {
        to_result(bindings::import_ubuf_dest(
            address as *mut _,
            len,
            &mut raw.msg_iter,
        ))?;
        Ok(read(&mut Msg::for_receive(
            &mut raw,
            bindings::MSG_DONTWAIT as c_int,
        )))
    }
}
