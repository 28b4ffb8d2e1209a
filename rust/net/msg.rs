// SPDX-License-Identifier: GPL-2.0

//! Messages and option values: what crosses the border to user space.
//!
//! C headers: [`include/linux/socket.h`](srctree/include/linux/socket.h),
//! [`include/linux/sockptr.h`](srctree/include/linux/sockptr.h)

use super::{
    bindings,
    rx_stamp::RxStamp, //
};
use core::ptr::NonNull;
use kernel::ffi::{
    c_int,
    c_void, //
};
use kernel::{
    prelude::*,
    transmute::AsBytes,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// The message of one call.
///
/// # Invariants
///
/// `msg` is valid, and this call's alone, for `'a`.
pub struct Msg<'a> {
    msg: &'a mut bindings::msghdr,
    flags: u32,
    stamp: Option<RxStamp>,
}

impl<'a> Msg<'a> {
    /// Borrows a message to send.
    ///
    /// # Safety
    ///
    /// `msg` must be valid and this call's alone for `'a`; its iterator must be a source.
    pub(super) unsafe fn from_raw(msg: *mut bindings::msghdr) -> Self {
        // SAFETY: By the requirement.
        let msg = unsafe { &mut *msg };
        let flags = msg.msg_flags;
        Self {
            msg,
            flags,
            stamp: None,
        }
    }

    /// Borrows a message to fill.
    ///
    /// # Safety
    ///
    /// `msg` must be valid and this call's alone for `'a`; its iterator must be a destination.
    pub(super) unsafe fn for_receive(msg: *mut bindings::msghdr, flags: c_int) -> Self {
        Self {
            // SAFETY: By the requirement.
            msg: unsafe { &mut *msg },
            flags: flags as u32,
            stamp: None,
        }
    }

    /// Whether one of `MSG_*` is set for the call.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// Whether the call must not wait.
    pub fn nonblocking(&self) -> bool {
        self.has(MSG_DONTWAIT)
    }

    /// The address that the message goes to and its length; null and 0 where it has none.
    pub(super) fn name_to_connect(&self) -> (*mut c_void, c_int) {
        if self.msg.msg_name.is_null() {
            return (core::ptr::null_mut(), 0);
        }
        (self.msg.msg_name, self.msg.msg_namelen)
    }

    /// Whether the message names `AF_UNSPEC`, which would end a connection.
    pub fn is_to_nobody(&self) -> bool {
        let (name, len) = self.name_to_connect();
        if (len as usize) < size_of::<bindings::sa_family_t>() {
            return false;
        }
        // SAFETY: The name has `len` bytes, which is enough; alignment is not assumed.
        let family = unsafe { name.cast::<bindings::sa_family_t>().read_unaligned() };
        u32::from(family) == bindings::AF_UNSPEC
    }

    /// The bytes that are still to be sent.
    pub fn left(&self) -> usize {
        // SAFETY: The iterator is valid.
        unsafe { bindings::iov_iter_count(&self.msg.msg_iter) }
    }

    /// Those of them that there is room for, and an `int` of the kernel's can tell.
    pub fn left_within(&self, room: u32) -> u32 {
        let most = room.min(i32::MAX as u32);
        u32::try_from(self.left()).map_or(most, |left| left.min(most))
    }

    /// Copies the next `len` bytes to send, which must be there; false, and none, where the caller's
    /// memory cannot be read.
    ///
    /// # Safety
    ///
    /// `to` must be valid for writes of `len` bytes.
    pub(super) unsafe fn copy_to(&mut self, to: *mut u8, len: usize) -> bool {
        let iter = &raw mut self.msg.msg_iter;
        // SAFETY: By the requirement; messages to send have a source. What was copied is given back.
        unsafe {
            let copied = bindings::_copy_from_iter(to.cast(), len, iter);
            if copied != len {
                bindings::iov_iter_revert(iter, copied);
            }
            copied == len
        }
    }

    /// Copies bytes to the reader; false where its memory cannot be written.
    pub fn put(&mut self, bytes: &[u8]) -> bool {
        // SAFETY: The slice is valid, and messages to fill have a destination.
        let copied = unsafe {
            bindings::_copy_to_iter(bytes.as_ptr().cast(), bytes.len(), &mut self.msg.msg_iter)
        };
        copied == bytes.len()
    }

    /// Notes when what the reader gets came.
    pub fn note_stamp(&mut self, stamp: Option<RxStamp>) {
        self.stamp = stamp.or(self.stamp);
    }

    /// What was noted last, see [`Msg::note_stamp`].
    pub fn stamp(&self) -> Option<RxStamp> {
        self.stamp
    }

    /// Whether an inner caller asks how much more can be read.
    pub fn asks_unread(&self) -> bool {
        self.msg.msg_get_inq()
    }

    /// Answers [`Msg::asks_unread`].
    pub(super) fn set_unread(&mut self, bytes: i32) {
        self.msg.msg_inq = bytes;
    }

    /// Tells the reader that urgent data came, and whether it had no room for it.
    pub fn mark_urgent(&mut self, truncated: bool) {
        self.msg.msg_flags |= bindings::MSG_OOB;
        if truncated {
            self.msg.msg_flags |= bindings::MSG_TRUNC;
        }
    }

    /// The message's iterator, for the kernel's functions that fill it.
    pub(super) fn iter(&mut self) -> *mut bindings::iov_iter {
        &mut self.msg.msg_iter
    }

    /// The kernel's message, for its functions that read it.
    pub(super) fn as_raw(&mut self) -> *mut bindings::msghdr {
        self.msg
    }

    /// Whom a caller inside of the kernel wants to be told of the use of its pages.
    pub(super) fn pledge(&self) -> Option<NonNull<bindings::ubuf_info>> {
        NonNull::new(self.msg.msg_ubuf)
    }

    /// What a failed send returns: `EPIPE` becomes the pending error if there is one, else comes
    /// with SIGPIPE unless the call forbids that.
    pub fn stream_error<P: super::proto::Protocol>(
        &self,
        sk: &super::sock::Sock<P>,
        error: Error,
    ) -> Error {
        // SAFETY: The socket is live.
        Error::from_errno(unsafe {
            bindings::sk_stream_error(sk.as_raw(), self.flags as c_int, error.to_errno())
        })
    }

    /// Whether a message to send has control messages.
    pub(super) fn has_control(&self) -> bool {
        self.msg.msg_controllen != 0
    }
}

/// `MSG_OOB`
pub const MSG_OOB: u32 = bindings::MSG_OOB;
/// `MSG_PEEK`
pub const MSG_PEEK: u32 = bindings::MSG_PEEK;
/// `MSG_DONTWAIT`
pub const MSG_DONTWAIT: u32 = bindings::MSG_DONTWAIT;
/// `MSG_TRUNC`
pub const MSG_TRUNC: u32 = bindings::MSG_TRUNC;
/// `MSG_WAITALL`
pub const MSG_WAITALL: u32 = bindings::MSG_WAITALL;
/// `MSG_MORE`
pub const MSG_MORE: u32 = bindings::MSG_MORE;
/// `MSG_FASTOPEN`
pub const MSG_FASTOPEN: u32 = bindings::MSG_FASTOPEN;
/// `MSG_ZEROCOPY`
pub const MSG_ZEROCOPY: u32 = bindings::MSG_ZEROCOPY;
/// `MSG_EOR`
pub const MSG_EOR: u32 = bindings::MSG_EOR;
/// `MSG_SPLICE_PAGES`
pub(super) const MSG_SPLICE_PAGES: u32 = bindings::MSG_SPLICE_PAGES;
/// `MSG_NO_SHARED_FRAGS`
pub(super) const MSG_NO_SHARED_FRAGS: u32 = bindings::MSG_NO_SHARED_FRAGS;

/// The value that `setsockopt` brings.
pub struct OptionIn {
    value: bindings::sockptr_t,
    len: u32,
}

impl OptionIn {
    /// # Safety
    ///
    /// `value` must be what the option code got, `len` its length.
    pub(super) unsafe fn new(value: bindings::sockptr_t, len: u32) -> Self {
        Self { value, len }
    }

    /// Its length.
    pub fn size(&self) -> usize {
        self.len as usize
    }

    /// The value as the option code got it.
    pub(super) fn raw(&self) -> bindings::sockptr_t {
        // SAFETY: A pointer and a mark, which may be copied.
        unsafe { core::ptr::read(&self.value) }
    }

    /// The value as a string of less than `N` bytes, padded with zeros; what is longer is cut.
    /// `EINVAL` where there is none.
    pub fn name<const N: usize>(&self) -> Result<[u8; N]> {
        let mut name = [0; N];
        let most = N.saturating_sub(1).min(self.len as usize);
        if most == 0 {
            return Err(EINVAL);
        }
        // SAFETY: `name` has room for the bytes and a zero; the source is checked by the callee if
        // it is user space's, and the kernel's own otherwise.
        let len =
            unsafe { bindings::strncpy_from_sockptr(name.as_mut_ptr().cast(), self.raw(), most) };
        if len < 0 {
            return Err(EFAULT);
        }
        // What follows the end is not part of it.
        let len = usize::try_from(len).unwrap_or(0);
        for byte in name.iter_mut().skip(len) {
            *byte = 0;
        }
        Ok(name)
    }

    /// Copies the value into `room`, and tells how long it is; `EINVAL` where it is longer.
    pub fn bytes(&self, room: &mut [u8]) -> Result<usize> {
        let len = self.len as usize;
        let room = room.get_mut(..len).ok_or(EINVAL)?;
        // SAFETY: `room` has `len` bytes; the source is checked by the callee if it is user space's,
        // and the kernel's own otherwise.
        let r = unsafe {
            bindings::copy_from_sockptr(room.as_mut_ptr().cast::<c_void>(), self.raw(), len)
        };
        if r != 0 {
            return Err(EFAULT);
        }
        Ok(len)
    }

    /// The value as an integer; `EINVAL` where it is shorter.
    pub fn int(&self) -> Result<i32> {
        let mut value: c_int = 0;
        if (self.len as usize) < size_of::<c_int>() {
            return Err(EINVAL);
        }
        // SAFETY: `value` has room for the bytes; the source is checked by the callee if it is user
        // space's, and the kernel's own otherwise.
        let r = unsafe {
            bindings::copy_from_sockptr(
                (&raw mut value).cast::<c_void>(),
                self.raw(),
                size_of::<c_int>(),
            )
        };
        if r != 0 {
            return Err(EFAULT);
        }
        Ok(value)
    }
}

/// Where `getsockopt` wants the value.
pub struct OptionOut {
    value: *mut c_void,
    len: *mut c_int,
}

impl OptionOut {
    /// # Safety
    ///
    /// Both must be pointers of user space's, as the caller of `getsockopt` gave them.
    pub(super) unsafe fn new(value: *mut c_void, len: *mut c_int) -> Self {
        Self { value, len }
    }

    /// Writes as much of `value` as the caller has room for, and how much that is.
    pub fn put<T: AsBytes>(self, value: &T) -> Result {
        // SAFETY: `AsBytes`: all bytes of the value are initialised.
        let bytes = unsafe {
            core::slice::from_raw_parts(core::ptr::from_ref(value).cast::<u8>(), size_of::<T>())
        };
        self.put_bytes(bytes)
    }

    /// How many bytes the caller has room for; `EINVAL` where it is less than none.
    pub fn room(&self) -> Result<usize> {
        let room: c_int = UserSlice::new(UserPtr::from_ptr(self.len.cast()), size_of::<c_int>())
            .reader()
            .read()?;
        usize::try_from(room).map_err(|_| EINVAL)
    }

    /// Reads what the caller has put where it wants the value.
    pub fn read(&self, to: &mut [u8]) -> Result {
        UserSlice::new(UserPtr::from_ptr(self.value), to.len())
            .reader()
            .read_slice(to)
    }

    /// Whether the caller's bytes from `from` to `to` are all zero.
    pub fn is_zero(&self, from: usize, to: usize) -> Result<bool> {
        let mut reader = UserSlice::new(UserPtr::from_ptr(self.value), to).reader();
        reader.skip(from)?;
        let mut bytes = [0; 64];
        while !reader.is_empty() {
            let len = reader.len().min(bytes.len());
            let part = bytes.get_mut(..len).ok_or(EINVAL)?;
            reader.read_slice(part)?;
            if part.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes how many bytes there are, and none of them.
    pub fn put_length(&self, len: usize) -> Result {
        UserSlice::new(UserPtr::from_ptr(self.len.cast()), size_of::<c_int>())
            .writer()
            .write(&(len as c_int))
    }

    /// Writes as many of `bytes` as the caller has room for, and how many those are.
    pub fn put_bytes(self, bytes: &[u8]) -> Result {
        let len = bytes.len().min(self.room()?);
        let bytes = bytes.get(..len).ok_or(EINVAL)?;
        self.put_length(len)?;
        UserSlice::new(UserPtr::from_ptr(self.value), len)
            .writer()
            .write_slice(bytes)
    }
}
