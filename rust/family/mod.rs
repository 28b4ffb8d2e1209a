// SPDX-License-Identifier: GPL-2.0

//! The protocol family: what joins the engine to the kernel.
//!
//! Every entry (a system call, a packet, a timer) takes the lock of a socket, which gives it the
//! socket's state; reads the clock once; makes one call of the engine; and ends in [`flush`], which
//! alone sends, wakes and arms the timer.
//!
//! Lock order: listener → child → leaves. The leaves are the lock of a record that has no socket
//! ([`entry::Entry`]), of an accept queue ([`accept_queue`]), of what ICMP said meanwhile ([`icmp`]),
//! of the ports ([`ports`]), of a socket's options and its keys ([`md5`]), and of what is known of
//! paths ([`path_metrics`]); they do not nest, but that a record's goes before those of its listener's
//! options and keys. The table of connections has its own locks, below all.

#![forbid(unsafe_code)]

mod accept;
mod accept_queue;
mod child;
mod close;
mod config;
mod connect;
mod cookie;
mod counters;
mod entry;
mod ephemeral;
mod fast_open;
mod fast_open_client;
mod fast_open_pause;
mod flush;
mod header;
mod icmp;
mod info;
mod input;
mod listen;
mod listeners;
mod lost;
mod mapped_receive;
mod md5;
mod memory;
mod migrate;
mod minisock;
mod namespace;
mod options;
mod orphan;
mod path;
mod path_metrics;
mod poll;
mod ports;
mod proc;
mod published;
mod records;
mod recv;
mod send;
mod send_buffer;
mod socket;
mod splice;
mod syn;
mod urgent;

pub(crate) use namespace::{
    enable,
    Namespaces, //
};
pub(crate) use socket::Tcp;

use crate::{
    engine::Instant,
    net::time::now_ns, //
};

/// The time now, as the engine counts it.
fn now() -> Instant {
    Instant::from_nanos(now_ns())
}
