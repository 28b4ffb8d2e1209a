// SPDX-License-Identifier: GPL-2.0

//! A few worlds for `cargo test`; `make test` runs ten thousand.

use oxtcp_simulation::runner;

#[test]
fn a_few_hundred_worlds() {
    runner::catch_panics();
    let summary = runner::run(0..300, 2);
    let shown: Vec<String> = summary
        .failed
        .iter()
        .take(2)
        .map(|(seed, message)| runner::explain(*seed, message))
        .collect();
    // The hook for panics in worlds would swallow this one.
    drop(std::panic::take_hook());
    assert!(shown.is_empty(), "{}", shown.join("\n"));
    assert!(
        summary.finished > 100,
        "most worlds end well: {}",
        summary.finished
    );
}
