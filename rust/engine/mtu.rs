// SPDX-License-Identifier: GPL-2.0

//! The search for the path's MTU by segments of other sizes (RFC 4821), as Linux does it.
//!
//! What routers say of it may be lost or forged. A sender that trusts nothing of it begins with a
//! size that passes nearly everywhere and sends single larger segments; when one arrives, all become
//! as large. When on the other hand all that it sends vanishes, it may be for its size.
//!
//! A size here is that of an MTU less [`HEADERS`], so that TCP options are part of it.

use crate::engine::config::Config;
use crate::engine::config::MtuProbing;
use crate::engine::half_open::Agreed;
use crate::engine::options::TIMESTAMPS_SPACE;
use crate::engine::ranges::Run;
use crate::engine::time::Instant;
use crate::engine::tx::Tx;

/// The octets of an IPv4 and a TCP header without options.
pub(crate) const HEADERS: u32 = 40;

/// What is known of the path's MTU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mtu {
    /// Segments are not larger than `low`, and larger ones are tried.
    enabled: bool,
    /// RFC 4821, 7.2, `search_low`: this passes.
    low: u32,
    /// `search_high`: nothing larger passes.
    high: u32,
    /// A probe whose fate is unknown.
    probe: Option<Run>,
    /// When the search began.
    since: Instant,
}

/// What a round of the search comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// A segment with so many octets of payload is to be tried.
    Try(u32),
    /// The bounds are close enough.
    Settled,
}

impl Mtu {
    /// Begins for a connection whose SYNs agreed on `agreed` (Linux's `tcp_mtup_init`).
    ///
    /// Linux lets a passive open use the route's size until the first change though it probes from
    /// the beginning; here both sides begin with what passes (RFC 4821, 7.2).
    pub(crate) fn new(now: Instant, config: &Config, agreed: &Agreed) -> Mtu {
        Mtu {
            enabled: config.mtu_probing == MtuProbing::Always,
            low: config.base_mss.saturating_add(space(agreed)),
            high: most(config, agreed),
            probe: None,
            since: now,
        }
    }

    /// Returns the payload octets of a full segment (Linux's `tcp_sync_mss`).
    pub(crate) fn mss(&self, config: &Config, agreed: &Agreed, tx: &Tx) -> u32 {
        let mss = tx.bound_to_window(payload(u32::MAX, config, agreed));
        if self.enabled {
            mss.min(payload(self.low, config, agreed))
        } else {
            mss
        }
    }

    /// The route became another or changed its MTU.
    pub(crate) fn on_route(&mut self, config: &Config, agreed: &Agreed) {
        self.high = self.high.min(most(config, agreed));
    }

    /// Nothing has been acknowledged for long, so that the path may swallow what is too large for it
    /// (RFC 4821, 7.7; Linux's `tcp_mtu_probing`). At first what surely passes is tried, then ever
    /// less.
    pub(crate) fn on_black_hole(&mut self, now: Instant, config: &Config, agreed: &Agreed) {
        if config.mtu_probing == MtuProbing::Never {
            return;
        }
        if !self.enabled {
            self.enabled = true;
            self.since = now;
            return;
        }
        let half = payload(self.low, config, agreed) / 2;
        let mss = half
            .min(config.base_mss)
            .max(config.mtu_probe_floor)
            .max(config.min_mss);
        self.low = mss.saturating_add(space(agreed));
    }

    /// Returns whether a probe may leave as far as this knows.
    pub(crate) fn may_probe(&self) -> bool {
        self.enabled && self.probe.is_none()
    }

    /// Decides what to try next; the middle of what is possible. Once it is known closely enough,
    /// the search rests, and begins anew after `probe_interval` (RFC 4821, 7.5; Linux's
    /// `tcp_mtu_check_reprobe`); `mss` is that of now.
    pub(crate) fn step(
        &mut self,
        now: Instant,
        mss: u32,
        config: &Config,
        agreed: &Agreed,
    ) -> Step {
        let size = payload(self.low.midpoint(self.high), config, agreed);
        let too_large = size > payload(self.high, config, agreed);
        let open = self.high.saturating_sub(self.low);
        if !too_large && open >= config.probe_threshold {
            return Step::Try(size);
        }
        if now.since(self.since) >= config.probe_interval {
            self.high = most(config, agreed);
            self.low = mss.saturating_add(space(agreed));
            self.since = now;
        }
        Step::Settled
    }

    /// A probe left.
    pub(crate) fn on_probe(&mut self, run: Run) {
        self.probe = Some(run);
    }

    /// Returns where the probe begins that is out.
    pub(crate) fn probe_start(&self) -> Option<u64> {
        self.probe.map(|probe| probe.start)
    }

    /// All below `una` is acknowledged. Returns whether the probe is part of it.
    pub(crate) fn on_acked(&mut self, una: u64, agreed: &Agreed) -> bool {
        let Some(probe) = self.probe.take_if(|probe| probe.end <= una) else {
            return false;
        };
        self.low = size_of(&probe, agreed);
        true
    }

    /// The probe was too large (Linux's `tcp_mtup_probe_failed`).
    pub(crate) fn on_probe_lost(&mut self, agreed: &Agreed) {
        if let Some(probe) = self.probe.take() {
            self.high = size_of(&probe, agreed).saturating_sub(1);
        }
    }

    /// What becomes of the probe will tell nothing.
    pub(crate) fn forget_probe(&mut self) {
        self.probe = None;
    }
}

fn size_of(probe: &Run, agreed: &Agreed) -> u32 {
    u32::try_from(probe.len())
        .unwrap_or(u32::MAX)
        .saturating_add(space(agreed))
}

/// Returns the octets of the options that each segment has.
pub(crate) fn space(agreed: &Agreed) -> u32 {
    if agreed.timestamps {
        TIMESTAMPS_SPACE.into()
    } else {
        0
    }
}

/// Returns the largest size that the route and the peer allow.
fn most(config: &Config, agreed: &Agreed) -> u32 {
    config.mss.min(agreed.peer_mss).into()
}

/// Returns the payload octets of a segment of a size (Linux's `tcp_mtu_to_mss`).
fn payload(size: u32, config: &Config, agreed: &Agreed) -> u32 {
    size.min(most(config, agreed))
        .saturating_sub(config.ip_options.into())
        .max(config.min_mss)
        .saturating_sub(space(agreed))
}
