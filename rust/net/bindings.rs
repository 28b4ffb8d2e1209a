// SPDX-License-Identifier: GPL-2.0

//! Bindings.
//!
//! The kernel crate's bindings, overlaid with those of the networking API, which it lacks. The
//! names in the lists of `rust/net/bindings/` and the helpers of `rust/net/helpers/` are defined
//! here; every other name is the kernel crate's own, so that its abstractions (`iov_iter`,
//! `seq_file`, `file`, locks) take our pointers without a cast.
//!
//! Like the kernel's `bindings` crate, this module is not for direct use outside [`crate::net`].

#![allow(
    clippy::all,
    clippy::as_underscore,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    clippy::ptr_cast_constness,
    clippy::ref_as_ptr,
    clippy::undocumented_unsafe_blocks,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unknown_lints,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn
)]

use pin_init::{
    MaybeZeroable,
    Zeroable, //
};

pub(super) use kernel::bindings::*;

// Manual definition for blocklisted types.
type __kernel_size_t = usize;
type __kernel_ssize_t = isize;
type __kernel_ptrdiff_t = isize;

// `bindgen` doesn't automatically do this, see
// <https://github.com/rust-lang/rust-bindgen/issues/3196>
//
// SAFETY: `__BindgenBitfieldUnit<Storage>` is a newtype around `Storage`.
unsafe impl<Storage> Zeroable for __BindgenBitfieldUnit<Storage> where Storage: Zeroable {}

include!(concat!(env!("OXTCP_BINDINGS"), "/bindings_generated.rs"));
include!(concat!(
    env!("OXTCP_BINDINGS"),
    "/bindings_helpers_generated.rs"
));
