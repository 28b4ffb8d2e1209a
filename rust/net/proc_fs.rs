// SPDX-License-Identifier: GPL-2.0

//! Files in `/proc/net`.
//!
//! A namespace has the files that [`Pernet::FILES`] names, from the end of [`Pernet::init`] to the
//! beginning of [`Pernet::exit`]: their removal waits for readers that are in [`ProcNet::show`] and
//! cuts off those that only have a file open.
//!
//! C headers: [`include/linux/proc_fs.h`](srctree/include/linux/proc_fs.h),
//! [`include/linux/seq_file.h`](srctree/include/linux/seq_file.h),
//! [`include/linux/seq_file_net.h`](srctree/include/linux/seq_file_net.h)

use super::{
    bindings,
    net_namespace::{
        self,
        Net,
        Pernet, //
    },
    proto::Protocol,
    sock::Sock, //
};
use core::ptr;
use kernel::{
    error::from_result,
    prelude::*,
    seq_file::SeqFile, //
};

/// What a file of `/proc/net` shows.
pub trait ProcNet<P: Pernet>: 'static {
    /// The file's name.
    const NAME: &'static CStr;

    /// Prints the whole file.
    ///
    /// What does not fit the buffer is lost, and the call is repeated with a larger one; see
    /// [`is_full`]. This may sleep.
    fn show(data: &P::Data, out: &SeqFile);
}

/// A file of `/proc/net`, for [`Pernet::FILES`].
///
/// # Invariants
///
/// `show` may be called for an open file of `/proc/net` whose private data is its namespace.
pub struct ProcFile {
    name: &'static CStr,
    show: unsafe extern "C" fn(*mut bindings::seq_file, *mut c_void) -> c_int,
}

impl ProcFile {
    /// The file that shows `F`, readable by all.
    pub const fn new<P: Pernet, F: ProcNet<P>>() -> Self {
        // INVARIANT: This is what `show` asks for.
        Self {
            name: F::NAME,
            show: show::<P, F>,
        }
    }
}

/// # Safety
///
/// As the `show` operation of a file that was made by `proc_create_net_single` only.
unsafe extern "C" fn show<P: Pernet, F: ProcNet<P>>(
    seq: *mut bindings::seq_file,
    _unused: *mut c_void,
) -> c_int {
    // SAFETY: The open file holds the namespace, which is its private data, and `seq` is this
    // call's alone.
    let (net, out) = unsafe {
        (
            Net::from_raw(bindings::seq_file_single_net(seq)),
            SeqFile::from_raw(seq),
        )
    };
    from_result(|| {
        // There is none while the registration is being made or undone.
        let data = net_namespace::get_owned::<P>(net).ok_or(ENODEV)?;
        F::show(&data, out);
        Ok(0)
    })
}

/// Makes files in the directory of a namespace: all or none.
///
/// # Safety
///
/// [`remove_all`] must be called for them before the namespace or the code of the files goes away.
pub(super) unsafe fn create_all(net: &Net, files: &[ProcFile]) -> Result {
    for (i, file) in files.iter().enumerate() {
        // SAFETY: The namespace and its directory are there, by the invariant of `Net`. The name is
        // terminated and copied; `show` is what the file expects, by the invariant of `ProcFile`.
        let entry = unsafe {
            bindings::proc_create_net_single(
                file.name.as_char_ptr(),
                0o444,
                bindings::net_proc_dir(net.as_raw()),
                Some(file.show),
                ptr::null_mut(),
            )
        };
        if entry.is_null() {
            // SAFETY: Those before were made just now.
            unsafe { remove_all(net, files.get(..i).unwrap_or_default()) };
            return Err(ENOMEM);
        }
    }
    Ok(())
}

/// Takes files away again, and waits until nobody reads them. Sleeps.
///
/// # Safety
///
/// The files must be there, by [`create_all`].
pub(super) unsafe fn remove_all(net: &Net, files: &[ProcFile]) {
    for file in files {
        // SAFETY: The namespace and its directory are there, by the invariant of `Net`; the file
        // is, by the safety requirements.
        unsafe {
            bindings::remove_proc_entry(
                file.name.as_char_ptr(),
                bindings::net_proc_dir(net.as_raw()),
            )
        };
    }
}

/// The C structure of an output.
fn raw(out: &SeqFile) -> *mut bindings::seq_file {
    // CAST: `SeqFile` is a transparent wrapper of an `Opaque`, so it may be changed through this.
    ptr::from_ref(out).cast_mut().cast()
}

/// Whether the buffer was too small, so that all that is printed from here on is for nothing.
pub fn is_full(out: &SeqFile) -> bool {
    // SAFETY: By the invariants of `SeqFile` it is valid, and this call's alone.
    unsafe { bindings::seq_has_overflowed(raw(out)) }
}

/// Prints a line with `f`, filled with spaces to `width` characters before its end.
pub fn line(out: &SeqFile, width: usize, f: impl FnOnce(&SeqFile)) {
    // SAFETY: By the invariants of `SeqFile` it is valid, and this call's alone.
    unsafe { bindings::seq_setwidth(raw(out), width) };
    f(out);
    // SAFETY: As above.
    unsafe { bindings::seq_pad(raw(out), b'\n' as c_char) };
}

/// Prints what tells an object from others: its address where the reader may know it, else a hash
/// of it, or zero, as `kernel.kptr_restrict` says.
pub fn print_address<T>(out: &SeqFile, object: &T) {
    // SAFETY: By the invariants of `SeqFile` it is valid, and this call's alone. The format takes
    // one pointer, which is not followed.
    unsafe {
        bindings::seq_printf(
            raw(out),
            c"%pK".as_char_ptr(),
            ptr::from_ref(object).cast::<c_void>(),
        )
    };
}

/// Nanoseconds in the unit of time that user space is told of, `USER_HZ`.
pub fn clock_ticks(ns: u64) -> u64 {
    ns / (1_000_000_000 / u64::from(bindings::USER_HZ))
}

impl<P: Protocol> Sock<P> {
    /// The user that the socket belongs to, as the reader of `out` knows it.
    pub fn uid(&self, out: &SeqFile) -> u32 {
        // SAFETY: The socket is live, and the output belongs to an open file.
        unsafe { bindings::seq_sk_uid(raw(out), self.as_raw()) }
    }

    /// The number of the socket's inode, 0 if it has none (any more).
    pub fn inode(&self) -> u64 {
        // SAFETY: The socket is live.
        unsafe { bindings::sock_i_ino(self.as_raw()) }
    }

    /// How many references there are to the socket.
    pub fn references(&self) -> i32 {
        // SAFETY: The socket is live.
        unsafe { bindings::sk_refcnt_read(self.as_raw()) }
    }
}
