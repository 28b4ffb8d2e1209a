// SPDX-License-Identifier: GPL-2.0

//! SYN-SENT: an active open that has heard nothing.

use crate::engine::config::Config;
use crate::engine::ecn;
use crate::engine::event::Doubt;
use crate::engine::fast_open::FastOpenSyn;
use crate::engine::options::Options;
use crate::engine::options::Timestamps;
use crate::engine::rx::Initial;
use crate::engine::segment::DataRange;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::Isn;
use crate::engine::seq::SeqNum;
use crate::engine::tally::Mib;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// An active open before any answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SynSent {
    pub(crate) isn: Isn,
    pub(crate) first_sent: Instant,
    pub(crate) retries: u8,
    /// How many times the time-out has doubled.
    pub(crate) backoff: u8,
    /// A SYN is to leave with the next flush.
    due: bool,
    /// What the timestamps of our SYN echo: nothing, but where it follows a connection in TIME-WAIT
    /// (RFC 6191; as Linux).
    pub(crate) ts_echo: u32,
    pub(crate) fast_open: Option<FastOpenSyn>,
    /// Octets that went with the SYN.
    pub(crate) syn_data: u32,
    pub(crate) deadline: Instant,
}

/// What a segment means in SYN-SENT.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Verdict {
    /// Drop it.
    Ignore,
    /// Drop it and send this RST.
    Reset(SegmentOut),
    /// Nobody listens.
    Refused,
    /// Our SYN is acknowledged and the peer's is here.
    Established,
    /// The peer's SYN crossed ours.
    Simultaneous,
}

/// What the expiry of the deadline asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Deadline {
    /// Nothing, or the SYN that the next flush sends.
    Wait,
    /// The peer does not answer.
    TimedOut,
}

impl SynSent {
    pub(crate) fn new(now: Instant, config: &Config, isn: Isn) -> SynSent {
        SynSent {
            isn,
            first_sent: now,
            retries: 0,
            backoff: 0,
            due: true,
            ts_echo: 0,
            fast_open: None,
            syn_data: 0,
            deadline: now.saturating_add(config.rto_initial.max(Duration::TICK)),
        }
    }

    /// Returns the time-out in force.
    pub(crate) fn rto(&self, config: &Config) -> Duration {
        config
            .rto_initial
            .doubled(u32::from(self.backoff), config.rto_max)
    }

    /// Returns the SYN if one is due; `written` octets wait to be sent.
    ///
    /// RFC 7413, 4.1.3: only the first carries data and the option.
    pub(crate) fn poll_transmit(
        &mut self,
        now: Instant,
        config: &Config,
        written: u64,
    ) -> Option<SegmentOut> {
        if !core::mem::take(&mut self.due) {
            return None;
        }
        let mut segment = SegmentOut::bare(self.isn.seq, SeqNum(0), Flags::SYN);
        let ecn = ecn::requests(config);
        // RFC 3168, 6.1.1.1: a SYN that asks for ECN may not pass. Whether it did is the answer's to
        // tell; as Linux the request stands although the later SYN does not repeat it.
        if ecn && !(config.ecn_fallback && self.retries > 0) {
            segment.flags = segment.flags.with(Flags::ECE).with(Flags::CWR);
        }
        segment.codepoint = ecn::of_handshake(config, ecn);
        let initial = Initial::new(config, config.announced().into(), config.window_scaling);
        segment.window = initial.field();
        segment.options = Options {
            mss: Some(config.announced()),
            window_scale: config.window_scaling.then_some(initial.scale),
            sack_permitted: config.sack,
            timestamps: config.timestamps.then(|| Timestamps {
                value: now.tick().wrapping_add(self.isn.ts_offset),
                echo: self.ts_echo,
            }),
            ..Options::default()
        };
        segment.retransmission = self.retries > 0;
        if let Some(fast_open) = self.fast_open.filter(|_| self.retries == 0) {
            segment.options.fast_open = fast_open.cookie;
            let len = u32::try_from(written).unwrap_or(u32::MAX);
            let len = len.min(fast_open.room);
            if len > 0 {
                self.syn_data = len;
                segment.data = Some(DataRange { offset: 0, len });
                segment.mss = u16::try_from(len).unwrap_or(u16::MAX);
            }
        }
        Some(segment)
    }

    /// Sends the SYN again or gives up.
    ///
    /// RFC 6298, 5.5, except that as in Linux the first `syn_linear_timeouts` retransmissions come
    /// without back-off.
    pub(crate) fn on_deadline(&mut self, now: Instant, config: &Config) -> Deadline {
        if now < self.deadline {
            return Deadline::Wait;
        }
        let most = config
            .syn_retries
            .saturating_add(config.syn_linear_timeouts);
        let waited = now.since(self.first_sent);
        // As Linux (`retransmits_timed_out`): also once the time is up that the retries with back-off
        // alone would have taken.
        let limit = config
            .user_timeout
            .unwrap_or_else(|| config.time_of_tries(config.rto_initial, config.syn_retries));
        let late = self.retries > 0 && waited >= limit;
        if self.retries >= most || late {
            return Deadline::TimedOut;
        }
        self.retries = self.retries.saturating_add(1);
        if self.retries > config.syn_linear_timeouts {
            self.backoff = self.backoff.saturating_add(1);
        }
        self.due = true;
        let rto = self.rto(config).max(Duration::TICK);
        self.deadline = now.saturating_add(rto);
        if let Some(limit) = config.user_timeout {
            // Not beyond the user's time-out (Linux's `tcp_clamp_rto_to_user_timeout`).
            let end = self.first_sent.saturating_add(limit);
            self.deadline = self
                .deadline
                .min(end)
                .max(now.saturating_add(Duration::TICK));
        }
        Deadline::Wait
    }

    /// Returns what the SYN that is about to be sent again makes of the way to the peer (Linux's
    /// `tcp_write_timeout`).
    pub(crate) fn doubt(&self) -> Option<Doubt> {
        match self.retries {
            _ if !self.due => None,
            0 => None,
            1 => Some(Doubt::Path),
            _ => Some(Doubt::Route),
        }
    }

    /// Judges a segment (RFC 9293, 3.10.7.3).
    /// `count` is told what happens.
    pub(crate) fn on_segment(
        &self,
        now: Instant,
        segment: &SegmentIn,
        mut count: impl FnMut(Mib),
    ) -> Verdict {
        let flags = segment.flags;
        let acks = flags.ack() && self.syn_data_acked(segment).is_some();
        let foreign = acks && self.echo_is_foreign(now, segment);
        if foreign {
            count(Mib::PawsActive);
        }
        if flags.ack() && (!acks || foreign) {
            return match crate::engine::closed::on_closed(segment) {
                Some(reset) => Verdict::Reset(reset),
                None => Verdict::Ignore,
            };
        }
        if flags.rst() {
            return if acks {
                Verdict::Refused
            } else {
                Verdict::Ignore
            };
        }
        if !flags.syn() {
            return Verdict::Ignore;
        }
        if acks {
            Verdict::Established
        } else {
            Verdict::Simultaneous
        }
    }

    /// Returns how much of the SYN's data a segment acknowledges; `None` where it does not
    /// acknowledge the SYN, or more than was sent.
    pub(crate) fn syn_data_acked(&self, segment: &SegmentIn) -> Option<u32> {
        let acked = segment.ack.distance_from(self.isn.seq.add(1));
        u32::try_from(acked)
            .ok()
            .filter(|&acked| acked <= self.syn_data)
    }

    /// Returns whether the echoed timestamp cannot be one that we sent: the answer belongs to an
    /// older connection.
    fn echo_is_foreign(&self, now: Instant, segment: &SegmentIn) -> bool {
        let Some(timestamps) = segment.options.timestamps else {
            return false;
        };
        if timestamps.echo == 0 {
            return false;
        }
        let echoed = timestamps.echo.wrapping_sub(self.isn.ts_offset);
        let age = now.tick().wrapping_sub(echoed);
        let oldest = now.tick().wrapping_sub(self.first_sent.tick());
        age > oldest
    }
}
