// SPDX-License-Identifier: GPL-2.0

//! See `oxtcp_simulation::hostile`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| oxtcp_simulation::hostile::play(data));
