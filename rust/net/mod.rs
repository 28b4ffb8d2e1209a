// SPDX-License-Identifier: GPL-2.0

//! Safe wrappers over the kernel's C networking API.
//!
//! Each module wraps one C concept, is named like the C header that it comes from, and is written
//! as if it were part of the kernel crate. All of the project's unsafe code is here; nothing in
//! here knows what the sockets are for.

#[rustfmt::skip]
mod bindings;

pub mod bottom_half;
pub mod boxed;
pub mod busy_poll;
mod child;
pub mod errno;
pub mod fast_open;
mod fill;
pub mod icmp;
pub mod inet_hashtables;
mod inet_sock;
pub mod ip;
pub mod label;
pub mod mapped_receive;
pub mod md5;
pub mod msg;
pub mod net_namespace;
pub mod netfilter;
pub mod netns_ipv4;
pub mod pacing;
pub mod poll;
pub mod port;
pub mod proc_fs;
pub mod proto;
mod proto_ops;
pub mod random;
pub mod rhashtable;
pub mod rope;
pub mod rx_queue;
pub mod rx_stamp;
pub mod siphash;
pub mod skbuff;
pub mod small_queue;
pub mod sock;
mod sock_reuseport;
mod socket_level;
pub mod spinlock;
pub mod splice;
pub mod sysctl;
pub mod tcp;
pub mod time;
pub mod tx_stamp;
pub mod wait;
pub mod zerocopy;
