// SPDX-License-Identifier: GPL-2.0

//! What the tests of the engine share. Whole transfers are simulated in host/simulation.

pub mod script;
