// SPDX-License-Identifier: GPL-2.0

//! What the tests of the engine share. Whole transfers are simulated in host/simulation.

#![allow(dead_code, reason = "each test program uses its own part of this")]

pub mod script;
