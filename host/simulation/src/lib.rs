// SPDX-License-Identifier: GPL-2.0

//! The engine in worlds that a seed makes: two ends with programs over a bad link, in virtual time.

#![forbid(unsafe_code)]

pub mod checks;
pub mod end;
pub mod engine_end;
pub mod goodput;
pub mod hostile;
pub mod link;
pub mod model;
pub mod program;
pub mod records;
pub mod rng;
pub mod runner;
pub mod scenario;
pub mod simpler;
pub mod smoltcp_end;
pub mod trace;
pub mod watch;
pub mod wire;
pub mod world;
