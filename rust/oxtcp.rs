// SPDX-License-Identifier: GPL-2.0

//! A TCP of its own for Linux, as the protocol family `AF_OXTCP`.
//!
//! Three rooms: [`engine`] is TCP and knows nothing of the kernel, [`net`] wraps the kernel's
//! networking and knows nothing of TCP's rules, [`family`] joins them.

use kernel::prelude::*;

pub mod engine;
pub mod family;
pub mod net;

use family::{
    Namespaces,
    Tcp, //
};
use net::{
    net_namespace::PernetRegistration,
    port::Holders,
    proto::Registration,
    rhashtable::{
        live_nodes,
        rcu_barrier, //
    }, //
};

module! {
    type: Oxtcp,
    name: "oxtcp",
    authors: ["The oxtcp developers"],
    description: "TCP as a protocol family of its own, in Rust",
    license: "GPL",
    alias: ["net-pf-18"],
    params: {
        enabled: u8 {
            default: 1,
            description: "net.oxtcp.enabled of namespaces as they begin: 0 or 1",
        },
    },
}

/// What load sets up. Unload takes it down in the order of the fields: first nobody can make a socket
/// any more (none is left, each holds the module), then the namespaces are left, then nothing holds a
/// port.
struct Oxtcp {
    _family: Registration<Tcp>,
    _namespaces: PernetRegistration<Namespaces>,
    _ports: Holders,
    _nodes: LeakCheck,
}

impl kernel::Module for Oxtcp {
    fn init(module: &'static ThisModule) -> Result<Self> {
        family::enable(*module_parameters::enabled.value() != 0);
        let ports = Holders::new()?;
        let namespaces = PernetRegistration::new()?;
        Ok(Self {
            _family: Registration::new(module)?,
            _namespaces: namespaces,
            _ports: ports,
            _nodes: LeakCheck,
        })
    }
}

/// Says at the end of unload what was left behind.
struct LeakCheck;

impl Drop for LeakCheck {
    fn drop(&mut self) {
        rcu_barrier();
        match live_nodes() {
            0 => {}
            leaked => pr_err!("{leaked} connections leaked\n"),
        }
    }
}
