// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers over the kernel's C networking API.
//!
//! Each module wraps one C concept, is named like the C header that it comes from, and is written
//! as if it were part of the kernel crate. All of the project's unsafe code is here; nothing in
//! here knows what the sockets are for.

#[rustfmt::skip]
mod bindings;

pub mod errno;
pub mod rhashtable;
pub mod rope;
pub mod spinlock;
