// SPDX-License-Identifier: GPL-2.0

//! A TCP of its own for Linux, as the protocol family `AF_OXTCP`.

use kernel::prelude::*;

pub mod net;

module! {
    type: Oxtcp,
    name: "oxtcp",
    authors: ["The oxtcp developers"],
    description: "TCP as a protocol family of its own, in Rust",
    license: "GPL",
    alias: ["net-pf-18"],
}

/// What load sets up, in the order in which unload takes it down.
struct Oxtcp {}

impl kernel::Module for Oxtcp {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self {})
    }
}
