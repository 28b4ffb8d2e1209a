// SPDX-License-Identifier: GPL-2.0

//! The engine as its users see it. All in one program: linking one for each subject took longer
//! than all else.

mod closing;
mod common;
mod congestion;
mod cookie;
mod data;
mod ecn;
mod fast_open;
mod handshake;
mod limits;
mod mtu;
mod recovery;
mod rfc2385;
mod rfc6298;
mod rfc7323;
mod rfc8985;
mod rfc9293;
mod robustness;
