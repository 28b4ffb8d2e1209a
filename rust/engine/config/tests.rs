// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Config;
use crate::engine::time::Duration;

#[test]
fn timeout_of_tries__linux_documents_924_6_s() {
    let config = Config::default();
    assert_eq!(config.timeout_of_tries(15), Duration::from_millis(924_600));
    assert_eq!(config.timeout_of_tries(0), Duration::from_millis(200));
    assert_eq!(config.timeout_of_tries(8), Duration::from_millis(102_200));
}

#[test]
fn orphan_tries__zero_means_eight_while_alive() {
    let mut config = Config::default();
    assert_eq!(config.orphan_tries(true), 8);
    assert_eq!(config.orphan_tries(false), 0);
    config.orphan_retries = 3;
    assert_eq!(config.orphan_tries(true), 3);
    assert_eq!(config.orphan_tries(false), 3);
}

#[test]
fn linux__r1_and_r2() {
    // RFC 9293, 3.8.3: R1 at least 3 retransmissions, R2 at least 100 seconds.
    let config = Config::LINUX;
    assert!(config.retries1 >= 3);
    assert!(config.timeout_of_tries(config.retries2) >= Duration::from_secs(100));
}
