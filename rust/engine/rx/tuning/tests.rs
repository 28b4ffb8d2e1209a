// SPDX-License-Identifier: GPL-2.0

use crate::engine::config::Config;
use crate::engine::rx::tuning::*;

fn at(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

/// Linux's defaults on Ethernet.
fn config() -> Config {
    Config {
        receive_window: 65_536,
        ..Config::LINUX
    }
}

fn tuning(config: &Config) -> Tuning {
    let initial = Initial::new(config, 1_448, true);
    Tuning::new(at(0), config, &initial)
}

#[test]
fn initial__as_everybody_knows_it_from_linux() {
    let config = config();
    assert_eq!(Initial::new(&config, 1_460, true).field(), 64_240);
    let initial = Initial::new(&config, 1_448, true);
    assert_eq!((initial.window, initial.scale.shift()), (65_160, 7));
    let tuning = tuning(&config);
    // 501 units in the first acknowledgment.
    assert_eq!(tuning.ssthresh(), 64_076);
    assert_eq!(tuning.copied(), 14_600);
}

#[test]
fn initial__bounded() {
    let bounded = Config {
        window_clamp: 20_000,
        ..config()
    };
    let initial = Initial::new(&bounded, 1_000, true);
    assert_eq!((initial.window, initial.scale.shift()), (20_000, 0));
    assert_eq!(initial.clamp, 20_000);
    let few = Config {
        initial_rwnd: 4,
        ..config()
    };
    assert_eq!(Initial::new(&few, 1_460, true).window, 5_840);
    let signed = Config {
        signed_windows: true,
        ..config()
    };
    assert_eq!(Initial::new(&signed, 1_460, true).window, 32_767);
}

#[test]
fn grow__by_economical_segments() {
    let config = config();
    let mut tuning = tuning(&config);
    tuning.set_memory(ReceiveMemory {
        buffer: 1 << 20,
        ..ReceiveMemory::default()
    });
    tuning.clamp = 500_000;
    assert!(tuning.grow(&config, 1_448, 2_304, 1_448));
    assert_eq!(tuning.ssthresh(), 64_076 + 2 * 1_460);
    assert!(tuning.grow(&config, 20_000, 30_000, 1_448), "a merged one");
    assert_eq!(tuning.ssthresh(), 64_076 + 2 * 1_460 + 40_000);
    assert!(
        tuning.grow(&config, 200, 768, 200),
        "small, and so is the window"
    );
    assert_eq!(tuning.ssthresh(), 64_076 + 2 * 1_460 + 40_400);
    tuning.ssthresh = 499_900;
    assert!(tuning.grow(&config, 1_448, 2_304, 1_448));
    assert_eq!(tuning.ssthresh(), 500_000);
    assert!(!tuning.grow(&config, 1_448, 2_304, 1_448));
    tuning.ssthresh = 400_000;
    let wasteful = Config {
        max_receive_buffer: 1 << 20,
        ..config
    };
    assert!(!tuning.grow(&wasteful, 200, 4_096, 200));
}

#[test]
fn grow__not_under_pressure() {
    let config = config();
    let mut tuning = tuning(&config);
    tuning.set_memory(ReceiveMemory {
        buffer: 1 << 20,
        pressure: true,
        ..ReceiveMemory::default()
    });
    tuning.clamp = 500_000;
    assert!(!tuning.grow(&config, 1_448, 2_304, 1_448));
    assert_eq!(tuning.ssthresh(), 4 * 1_460);
}

#[test]
fn on_read__the_buffer_follows_the_reader() {
    let config = config();
    let mut tuning = tuning(&config);
    tuning.time_window(at(0), 0, 1_000);
    tuning.time_window(at(50), 1_000, 2_000);
    assert_eq!(tuning.rtt().as_millis(), 50);
    tuning.on_read(&config, 14_600, 14_600, 0);
    assert_eq!(tuning.memory().buffer, 131_072, "no faster than the guess");
    tuning.time_window(at(100), 60_000, 130_000);
    tuning.on_read(&config, 54_600, 54_600, 0);
    // 40,000 in a round trip, and much faster than before: as slow start may go on.
    assert_eq!(tuning.copied(), 40_000);
    let grow = 4 * 40_000 * (40_000 - 14_600) / 14_600;
    assert_eq!(tuning.memory().buffer, 2 * (80_000 + grow));
    assert_eq!(tuning.clamp(), 80_000 + grow);
    let before = tuning.memory().buffer;
    tuning.on_read(&config, 200_000, 200_000, 0);
    assert_eq!(tuning.memory().buffer, before, "not twice in a round trip");
}

#[test]
fn on_read__not_beyond_what_is_allowed() {
    let fixed = ReceiveMemory {
        buffer: 131_072,
        fixed: true,
        ..ReceiveMemory::default()
    };
    let free = ReceiveMemory {
        fixed: false,
        ..fixed
    };
    let off = Config {
        moderate_rcvbuf: false,
        ..config()
    };
    let small = Config {
        max_receive_buffer: 200_000,
        ..config()
    };
    let cases = [
        (fixed, config(), 131_072),
        (free, off, 131_072),
        (free, small, 200_000),
    ];
    for (memory, config, wanted) in cases {
        let mut tuning = tuning(&config);
        tuning.set_memory(memory);
        tuning.time_window(at(0), 0, 0);
        tuning.time_window(at(50), 1_000, 2_000);
        tuning.time_window(at(100), 1_000_000, 2_000_000);
        tuning.on_read(&config, 1_000_000, 1_000_000, 0);
        assert_eq!(tuning.memory().buffer, wanted);
    }
}

#[test]
fn on_full__grows_or_gives_back() {
    let config = config();
    let mut tuning = tuning(&config);
    let full = ReceiveMemory {
        buffer: 131_072,
        used: 150_000,
        ..ReceiveMemory::default()
    };
    tuning.set_memory(full);
    tuning.on_full(&config);
    assert_eq!(tuning.memory().buffer, 150_000);
    assert_eq!(tuning.ssthresh(), 64_076);
    tuning.set_memory(ReceiveMemory {
        fixed: true,
        ..full
    });
    tuning.on_full(&config);
    assert_eq!(tuning.memory().buffer, 131_072);
    assert_eq!(tuning.ssthresh(), 2 * 1_460);
}

#[test]
fn on_new_size__learns_what_segments_cost() {
    let mut tuning = tuning(&config());
    let segment = SegmentIn {
        len: 1_448,
        wire_len: 1_448,
        memory: 4_608,
        ..SegmentIn::default()
    };
    tuning.on_new_size(&segment);
    assert_eq!(tuning.ratio, 80);
    assert_eq!(tuning.clamp(), 131_072 * 80 / 256);
}

#[test]
fn time_echo__never_from_held_back_segments() {
    let mut tuning = tuning(&config());
    let ms = |ms| Some(Duration::from_millis(ms));
    tuning.time_echo(1, ms(30), false, true);
    assert_eq!(tuning.rtt(), Duration::ZERO);
    tuning.time_echo(2, ms(30), true, true);
    tuning.time_echo(2, ms(10), true, true);
    assert_eq!(tuning.rtt().as_millis(), 30, "the same echo again");
    tuning.time_echo(3, ms(110), true, false);
    assert_eq!(tuning.rtt().as_millis(), 30, "the reader was slow");
    tuning.time_echo(4, ms(110), true, true);
    assert_eq!(tuning.rtt().as_millis(), 40);
    tuning.time_echo(5, ms(20), true, false);
    assert_eq!(tuning.rtt().as_millis(), 20);
}

#[test]
fn set_clamp__as_window_clamp_option() {
    let mut tuning = tuning(&config());
    tuning.set_clamp(1, 65_000);
    assert_eq!((tuning.clamp(), tuning.ssthresh()), (1_152, 1_152));
    tuning.set_clamp(10_000, 65_000);
    assert_eq!((tuning.clamp(), tuning.ssthresh()), (10_000, 10_000));
}
