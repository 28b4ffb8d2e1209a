// SPDX-License-Identifier: GPL-2.0

//! The algorithms behind one face.

use crate::engine::cc::bbr::Bbr;
use crate::engine::cc::bbr::Controls;
use crate::engine::cc::cubic::Cubic;
use crate::engine::cc::dctcp::Dctcp;
use crate::engine::cc::pacing::Pacing;
use crate::engine::cc::reno::Reno;
use crate::engine::cc::Growth;
use crate::engine::cc::Start;
use crate::engine::config::Algorithm;
use crate::engine::config::Config;
use crate::engine::info::CongestionInfo;
use crate::engine::rate::Rate;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// An algorithm and its state.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Law {
    Reno(Reno),
    Cubic(Cubic),
    Dctcp(Dctcp),
    /// What DCTCP is without ECN (Linux's "dctcp-reno").
    DctcpReno(Reno),
    Bbr(Bbr),
}

/// Why cwnd comes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cause {
    /// A mark was echoed, or our own host's queue is full.
    Mark,
    /// Acknowledgments told of loss.
    Loss,
    /// The retransmission timer expired.
    Timeout,
}

impl Law {
    pub(crate) const RENO: Law = Law::Reno(Reno::NEW);

    /// Begins with the algorithm of `controls.config`.
    pub(crate) fn begin(&mut self, controls: &mut Controls<'_>, start: &Start) {
        *self = match controls.config.congestion {
            Algorithm::Reno => Law::RENO,
            Algorithm::Cubic => Law::Cubic(Cubic::new()),
            Algorithm::Dctcp if start.ecn => Law::Dctcp(Dctcp::new(controls.rate, start.nxt)),
            Algorithm::Dctcp => Law::DctcpReno(Reno::NEW),
            Algorithm::Bbr => Law::Bbr(Bbr::new(start.now, controls, start.srtt, start.min_rtt)),
        };
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Law::Reno(_) => Algorithm::Reno.name(),
            Law::Cubic(_) => Algorithm::Cubic.name(),
            Law::Dctcp(_) => Algorithm::Dctcp.name(),
            Law::DctcpReno(_) => "dctcp-reno",
            Law::Bbr(_) => Algorithm::Bbr.name(),
        }
    }

    /// Returns whether a model of the path decides, so that neither loss nor idleness moves cwnd by
    /// itself (Linux's `cong_control`).
    pub(crate) fn is_model(&self) -> bool {
        matches!(self, Law::Bbr(_))
    }

    /// Data is about to leave into an empty network.
    pub(crate) fn on_tx_start(
        &mut self,
        controls: &mut Controls<'_>,
        now: Instant,
        srtt: Duration,
    ) {
        match self {
            Law::Cubic(cubic) => cubic.on_idle(),
            Law::Bbr(bbr) => bbr.on_tx_start(controls, now, srtt),
            Law::Reno(_) | Law::Dctcp(_) | Law::DctcpReno(_) => {}
        }
    }

    /// Congestion avoidance: returns cwnd.
    pub(crate) fn avoid(&mut self, cwnd: u32, growth: &Growth) -> u32 {
        let reno = match self {
            Law::Reno(reno) | Law::DctcpReno(reno) => reno,
            Law::Dctcp(dctcp) => &mut dctcp.reno,
            Law::Cubic(cubic) => return cubic.on_ack(cwnd, growth),
            Law::Bbr(_) => return cwnd,
        };
        reno.on_ack(cwnd, growth.octets, growth.mss)
    }

    /// cwnd has to come down: returns ssthresh.
    pub(crate) fn reduce(&mut self, cwnd: u32, ssthresh: u32, mss: u32, cause: Cause) -> u32 {
        match self {
            Law::Reno(reno) | Law::DctcpReno(reno) => reno.on_loss(cwnd, mss),
            Law::Cubic(cubic) => cubic.on_loss(cwnd, mss, cause == Cause::Timeout),
            Law::Dctcp(dctcp) if cause == Cause::Mark => dctcp.on_mark(cwnd, mss),
            Law::Dctcp(dctcp) => dctcp.on_loss(cwnd, mss),
            Law::Bbr(bbr) => {
                bbr.on_loss(cwnd);
                ssthresh
            }
        }
    }

    /// Loss was detected while cwnd came down for a mark: returns ssthresh.
    pub(crate) fn on_loss_in_reduction(&mut self, cwnd: u32, ssthresh: u32, mss: u32) -> u32 {
        match self {
            // RFC 8257, 3.5: loss is answered in full though a mark was.
            Law::Dctcp(dctcp) => dctcp.on_loss(cwnd, mss),
            _ => ssthresh,
        }
    }

    /// Returns the least segments of one buffer (`tcp_min_tso_segs`).
    pub(crate) fn least_segments(&self, config: &Config, pacing: &Pacing) -> u32 {
        match self {
            Law::Bbr(_) => Bbr::least_segments(pacing.rate()),
            _ => config.min_tso_segs,
        }
    }

    pub(crate) fn buffer_windows(&self) -> u32 {
        match self {
            // BBR goes on sending in recovery.
            Law::Bbr(_) => 3,
            _ => 2,
        }
    }

    /// The segment size changed from `from` to `to`: windows stay what they are in segments.
    pub(crate) fn rescale(&mut self, to: u32, from: u32) {
        match self {
            Law::Reno(_) | Law::DctcpReno(_) => {}
            Law::Cubic(cubic) => cubic.rescale(to, from),
            Law::Dctcp(dctcp) => dctcp.rescale(to, from),
            Law::Bbr(bbr) => bbr.rescale(to, from),
        }
    }

    pub(crate) fn info(&self, rate: &Rate, ce: bool) -> CongestionInfo {
        match self {
            Law::Reno(_) | Law::Cubic(_) => CongestionInfo::None,
            Law::DctcpReno(_) => CongestionInfo::Dctcp(None),
            Law::Dctcp(dctcp) => {
                let (marked, delivered) = dctcp.window(rate);
                CongestionInfo::Dctcp(Some(crate::engine::info::DctcpInfo {
                    ce,
                    alpha: dctcp.alpha(),
                    marked,
                    delivered,
                }))
            }
            Law::Bbr(bbr) => {
                let (bandwidth, min_rtt, pacing_gain, cwnd_gain) = bbr.info();
                CongestionInfo::Bbr(crate::engine::info::BbrInfo {
                    bandwidth,
                    min_rtt,
                    pacing_gain,
                    cwnd_gain,
                })
            }
        }
    }
}
