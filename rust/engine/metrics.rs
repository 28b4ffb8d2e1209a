// SPDX-License-Identifier: GPL-2.0

//! What a host remembers of a path between connections (Linux's `tcp_metrics`; RFC 9040 section 3).

use crate::engine::time::Duration;

/// What is known of the path of a new connection. Zero is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Known {
    /// The largest congestion window that the administrator allows, in segments.
    pub cwnd_clamp: u32,
    /// Where slow start ends, in segments.
    pub ssthresh: u32,
    /// How many segments later than others some may arrive.
    pub reordering: u32,
    /// The round-trip time.
    pub rtt: Duration,
}

/// How far congestion control has come when a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Nothing has ever bounded cwnd.
    FirstSlowStart,
    /// cwnd is what the path takes.
    Avoidance,
    /// cwnd says little at the moment.
    Between,
}

/// What a connection has learned of its path when it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Learned {
    /// SRTT; `None` if it is not to be believed, for the last that was sent had no answer.
    pub(crate) rtt: Option<Duration>,
    /// cwnd and ssthresh, in segments.
    pub(crate) cwnd: u32,
    pub(crate) ssthresh: u32,
    pub(crate) stage: Stage,
    /// How many segments later than others some arrived; zero if no more than usual.
    pub(crate) reordering: u32,
}

/// What is remembered of a path, at first what its route says (`ip route … rtt`, `cwnd`, `ssthresh`,
/// `reordering`). Windows are in segments, zero is unknown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Metrics {
    /// The round-trip time.
    pub rtt: Metric<Duration>,
    /// Where slow start ends.
    pub ssthresh: Metric<u32>,
    /// The congestion window. It acts only where it is locked.
    pub cwnd: Metric<u32>,
    /// How many segments later than others some may arrive.
    pub reordering: Metric<u32>,
}

/// One of the [`Metrics`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Metric<T> {
    /// Its value.
    pub value: T,
    /// No connection changes it (`lock` of the route).
    pub locked: bool,
}

impl Learned {
    /// Returns whether the round-trip time is among it.
    pub fn has_rtt(&self) -> bool {
        self.rtt.is_some()
    }
}

impl<T: Copy> Metric<T> {
    fn update(&mut self, new: impl FnOnce(T) -> T) {
        if !self.locked {
            self.value = new(self.value);
        }
    }
}

impl Metrics {
    /// Returns what a new connection goes by (Linux's `tcp_init_metrics`).
    ///
    /// Unless `uses_ssthresh` it looks for the end of slow start itself (`tcp_no_ssthresh_metrics_save`).
    pub fn known(&self, uses_ssthresh: bool) -> Known {
        let clamp = if self.cwnd.locked { self.cwnd.value } else { 0 };
        let ssthresh = if uses_ssthresh {
            self.ssthresh.value
        } else {
            0
        };
        Known {
            cwnd_clamp: clamp,
            ssthresh: if clamp > 0 {
                ssthresh.min(clamp)
            } else {
                ssthresh
            },
            reordering: self.reordering.value,
            rtt: self.rtt.value,
        }
    }

    /// Forgets the round-trip time, which a connection has found no more.
    pub fn forget_rtt(&mut self) {
        self.rtt.update(|_| Duration::ZERO);
    }

    /// Takes in what a connection has learned (Linux's `tcp_update_metrics`).
    pub fn learn(&mut self, learned: &Learned, saves_ssthresh: bool) {
        let Learned {
            cwnd,
            ssthresh,
            stage,
            reordering,
            ..
        } = *learned;
        let Some(rtt) = learned.rtt else {
            return self.forget_rtt();
        };
        // Too long a time does less harm than one too short: longer ones count at once.
        self.rtt.update(|old| {
            let less = old.saturating_sub(rtt).as_nanos() / 8;
            if rtt >= old {
                rtt
            } else {
                old.saturating_sub(Duration::from_nanos(less))
            }
        });
        let raised = |old: u32, new: u32| if old > 0 { old.max(new) } else { old };
        match stage {
            Stage::FirstSlowStart => {
                if saves_ssthresh {
                    self.ssthresh.update(|old| raised(old, cwnd / 2));
                }
                self.cwnd.update(|old| old.max(cwnd));
            }
            Stage::Avoidance => {
                if saves_ssthresh {
                    self.ssthresh.update(|_| ssthresh.max(cwnd / 2));
                }
                self.cwnd.update(|old| old.midpoint(cwnd));
            }
            Stage::Between => {
                self.cwnd.update(|old| old.midpoint(ssthresh));
                if saves_ssthresh {
                    self.ssthresh.update(|old| raised(old, ssthresh));
                }
                self.reordering.update(|old| old.max(reordering));
            }
        }
    }
}

#[cfg(test)]
mod tests;
