// SPDX-License-Identifier: GPL-2.0

use crate::engine::chrono::Chrono;
use crate::engine::chrono::Limit;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

#[test]
fn read__each_time_counts_once() {
    let at = |ms: u64| Instant::default().saturating_add(Duration::from_millis(ms));
    let mut chrono = Chrono::default();
    let told = |chrono: &Chrono, ms: u64| {
        let (busy, window, buffer) = chrono.read(at(ms));
        (busy.as_millis(), window.as_millis(), buffer.as_millis())
    };
    assert_eq!(told(&chrono, 1_000), (0, 0, 0), "idle time does not count");
    chrono.set(at(1_000), Limit::Busy);
    chrono.set(at(1_005), Limit::Busy);
    assert_eq!(told(&chrono, 1_010), (10, 0, 0), "while it runs");
    chrono.set(at(1_020), Limit::Window);
    chrono.set(at(1_050), Limit::Buffer);
    assert_eq!(told(&chrono, 1_057), (57, 30, 7));
    chrono.set(at(1_060), Limit::Idle);
    assert_eq!(told(&chrono, 9_000), (60, 30, 10));
    chrono.set(at(9_000), Limit::Window);
    assert_eq!(told(&chrono, 9_001), (61, 31, 10));
}
