// SPDX-License-Identifier: GPL-2.0

//! The engine of oxtcp on the host: the very source that the kernel module compiles, under a second
//! root.

#![no_std]
#![cfg_attr(test, allow(non_snake_case, reason = "tests are named function__case"))]
#![warn(missing_docs, unreachable_pub, rust_2018_idioms)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::float_arithmetic
    )
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod heap;

pub use self::heap::Connection;
pub use self::heap::Heap;

#[path = "../../../rust/engine/mod.rs"]
pub mod engine;
