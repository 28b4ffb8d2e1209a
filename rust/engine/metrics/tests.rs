// SPDX-License-Identifier: GPL-2.0

use crate::engine::metrics::Known;
use crate::engine::metrics::Learned;
use crate::engine::metrics::Metric;
use crate::engine::metrics::Metrics;
use crate::engine::metrics::Stage;
use crate::engine::time::Duration;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn learned(stage: Stage) -> Learned {
    Learned {
        rtt: Some(ms(80)),
        cwnd: 40,
        ssthresh: 30,
        stage,
        reordering: 5,
    }
}

fn locked<T>(value: T) -> Metric<T> {
    Metric {
        value,
        locked: true,
    }
}

#[test]
fn rtt__rises_at_once_and_falls_slowly() {
    let mut metrics = Metrics::default();
    metrics.learn(&learned(Stage::Avoidance), false);
    assert_eq!(metrics.rtt.value, ms(80));
    let shorter = Learned {
        rtt: Some(ms(8)),
        ..learned(Stage::Avoidance)
    };
    metrics.learn(&shorter, false);
    assert_eq!(metrics.rtt.value, ms(71));
    let unknown = Learned {
        rtt: None,
        ..shorter
    };
    metrics.learn(&unknown, false);
    assert_eq!(metrics.rtt.value, Duration::ZERO);
}

#[test]
fn windows__by_how_far_it_came() {
    let begin = Metrics {
        cwnd: Metric {
            value: 20,
            locked: false,
        },
        ssthresh: Metric {
            value: 10,
            locked: false,
        },
        ..Metrics::default()
    };
    for (stage, cwnd, ssthresh, reordering) in [
        (Stage::FirstSlowStart, 40, 20, 0),
        (Stage::Avoidance, 30, 30, 0),
        (Stage::Between, 25, 30, 5),
    ] {
        let mut metrics = begin;
        metrics.learn(&learned(stage), true);
        assert_eq!(metrics.cwnd.value, cwnd, "{stage:?}");
        assert_eq!(metrics.ssthresh.value, ssthresh, "{stage:?}");
        assert_eq!(metrics.reordering.value, reordering, "{stage:?}");
        let mut metrics = begin;
        metrics.learn(&learned(stage), false);
        assert_eq!(metrics.ssthresh.value, 10, "{stage:?}");
    }
}

#[test]
fn ssthresh__begins_with_a_loss() {
    let mut metrics = Metrics::default();
    metrics.learn(&learned(Stage::FirstSlowStart), true);
    metrics.learn(&learned(Stage::Between), true);
    assert_eq!(metrics.ssthresh.value, 0);
    metrics.learn(&learned(Stage::Avoidance), true);
    assert_eq!(metrics.ssthresh.value, 30);
}

#[test]
fn locked__stays() {
    let metrics = Metrics {
        rtt: locked(ms(7)),
        ssthresh: locked(6),
        cwnd: locked(5),
        reordering: locked(4),
    };
    for stage in [Stage::FirstSlowStart, Stage::Avoidance, Stage::Between] {
        let mut after = metrics;
        after.learn(&learned(stage), true);
        after.forget_rtt();
        assert_eq!(after, metrics, "{stage:?}");
    }
    let known = Known {
        cwnd_clamp: 5,
        ssthresh: 5,
        reordering: 4,
        rtt: ms(7),
    };
    assert_eq!(metrics.known(true), known);
    assert_eq!(metrics.known(false).ssthresh, 0);
}

#[test]
fn cwnd__is_no_bound_unless_locked() {
    let mut metrics = Metrics::default();
    metrics.learn(&learned(Stage::Avoidance), true);
    let known = metrics.known(true);
    assert_eq!((known.cwnd_clamp, known.ssthresh), (0, 30));
}
