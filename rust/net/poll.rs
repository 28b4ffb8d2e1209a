// SPDX-License-Identifier: GPL-2.0

//! The events of `poll(2)`, each with its older names.
//!
//! C header: [`include/uapi/linux/eventpoll.h`](srctree/include/uapi/linux/eventpoll.h)

use super::bindings;

/// Something can be read: `EPOLLIN`, `EPOLLRDNORM`.
pub const IN: u32 = bindings::EPOLLIN | bindings::EPOLLRDNORM;
/// Urgent data can be read: `EPOLLPRI`.
pub const PRI: u32 = bindings::EPOLLPRI;
/// Something can be written: `EPOLLOUT`, `EPOLLWRNORM`.
pub const OUT: u32 = bindings::EPOLLOUT | bindings::EPOLLWRNORM;
/// The peer will send no more: `EPOLLRDHUP`.
pub const RDHUP: u32 = bindings::EPOLLRDHUP;
/// Both directions are shut: `EPOLLHUP`.
pub const HUP: u32 = bindings::EPOLLHUP;
/// An error is pending: `EPOLLERR`.
pub const ERR: u32 = bindings::EPOLLERR;
