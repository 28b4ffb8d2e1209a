// SPDX-License-Identifier: GPL-2.0

//! See `oxtcp_simulation::model`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oxtcp_simulation::model::play(data));
