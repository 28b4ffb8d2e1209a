// SPDX-License-Identifier: GPL-2.0

//! SYN-RECEIVED: a small record until our SYN is acknowledged.

use crate::engine::acceptable;
use crate::engine::acceptable::RateLimit;
use crate::engine::acceptable::TsRecent;
use crate::engine::config::Config;
use crate::engine::ecn;
use crate::engine::ecn::Codepoint;
use crate::engine::options::Options;
use crate::engine::options::Timestamps;
use crate::engine::prepared::Prepared;
use crate::engine::rx::advmss_beside;
use crate::engine::rx::Initial;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::Isn;
use crate::engine::seq::SeqNum;
use crate::engine::tally::Mib;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use crate::engine::window::WindowScale;

/// A connection of which both SYNs are known and ours is not acknowledged.
///
/// A listener keeps these instead of sockets; a [`crate::engine::Connection`] in simultaneous open
/// holds one inside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HalfOpen {
    pub(crate) isn: Isn,
    /// IRS.
    pub(crate) irs: SeqNum,
    /// What both SYNs agreed on.
    pub(crate) agreed: Agreed,
    /// When our SYN left first, for a round-trip sample; unknown for a cookie.
    pub(crate) first_sent: Option<Instant>,
    /// The clock's tick when it left last.
    last_tick: u32,
    pub(crate) ts_recent: Option<TsRecent>,
    /// SND.WND: the unscaled field of the peer's SYN.
    pub(crate) wnd: u16,
    /// The field of our SYN.
    pub(crate) offered: u16,
    /// Our MSS option.
    advmss: u16,
    /// How often the deadline passed.
    pub(crate) timeouts: u8,
    /// How often our SYN was sent again.
    pub(crate) retransmits: u8,
    /// Both ends sent a SYN: the peer's next one may carry the acknowledgment.
    simultaneous: bool,
    sent: bool,
    /// The peer acknowledged our SYN, and its acknowledgment was not taken: it waits for data
    /// (`TCP_DEFER_ACCEPT`), or the owner had no room.
    acknowledged: bool,
    /// Our SYN was sent more than once, so that its acknowledgment times nothing (Karn).
    pub(crate) repeated: bool,
    /// The ECN field of our SYN-ACK.
    codepoint: Codepoint,
    deadline: Instant,
    rto_initial: Duration,
    rto_max: Duration,
    invalid_ratelimit: Duration,
    answers: RateLimit,
}

const _: () = assert!(core::mem::size_of::<HalfOpen>() <= 128);

/// What the options of both SYNs agreed on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Agreed {
    /// The peer's MSS option.
    pub(crate) peer_mss: u16,
    /// The shift of our window fields and of the peer's; `None` when either end did not offer the
    /// option.
    pub(crate) scales: Option<(WindowScale, WindowScale)>,
    pub(crate) timestamps: bool,
    pub(crate) sack: bool,
    pub(crate) ecn: bool,
}

impl Agreed {
    /// Combines what `config` offers with what the peer's SYN carries; `ecn` is what both say of
    /// ECN.
    fn new(config: &Config, syn: &Options, ecn: bool) -> Agreed {
        let scales = syn
            .window_scale
            .filter(|_| config.window_scaling)
            .map(|theirs| {
                let initial = Initial::new(config, config.announced().into(), true);
                (initial.scale, theirs)
            });
        Agreed {
            peer_mss: syn.mss.filter(|&mss| mss > 0).unwrap_or(config.default_mss),
            scales,
            timestamps: config.timestamps && syn.timestamps.is_some(),
            sack: config.sack && syn.sack_permitted,
            ecn,
        }
    }
}

/// How long a listener waits for the third segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// Retransmissions of the SYN-ACK (`tcp_synack_retries`, `TCP_SYNCNT`).
    pub retries: u8,
    /// Time-outs during which an acknowledgment without data is not enough (`TCP_DEFER_ACCEPT`);
    /// 0: it always is.
    pub defer: u8,
}

impl Patience {
    /// Linux's defaults.
    pub const LINUX: Patience = Patience {
        retries: 5,
        defer: 0,
    };

    /// Shortens the wait where a queue for `backlog` connections that has `len`, `young` of which
    /// have seen no time-out, is about to be clogged by old ones.
    ///
    /// As Linux (`reqsk_timer_handler`): half of the queue is kept for the young.
    pub fn under_pressure(self, len: u32, young: u32, backlog: u32) -> Patience {
        let mut retries = self.retries;
        if len.saturating_mul(2) > backlog.max(8) {
            let mut young = young.saturating_mul(2);
            while retries > 2 && len >= young {
                retries = retries.saturating_sub(1);
                young = young.saturating_mul(2);
            }
        }
        Patience { retries, ..self }
    }

    /// Returns how many time-outs it takes until `seconds` are over, for [`Patience::defer`].
    ///
    /// As Linux (`secs_to_retrans`): the SYN-ACK's time-out begins at 1 s and never passes 120 s.
    pub fn tries_of(seconds: u32) -> u8 {
        let mut tries = 0u8;
        while tries < u8::MAX && Patience::seconds_of(tries) < seconds {
            tries = tries.saturating_add(1);
        }
        tries
    }

    /// Returns after how many seconds as many time-outs are over (Linux's `retrans_to_secs`).
    pub fn seconds_of(tries: u8) -> u32 {
        let mut timeout = 1u32;
        let mut total = 0u32;
        for _ in 0..tries {
            total = total.saturating_add(timeout);
            timeout = timeout.saturating_mul(2).min(MAX_TIMEOUT_SECONDS);
        }
        total
    }
}

/// The longest time-out in the arithmetic of `TCP_DEFER_ACCEPT`, whatever `tcp_rto_max_ms` says.
const MAX_TIMEOUT_SECONDS: u32 = 120;

/// What the expiry of a half-open record's deadline asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum HalfOpenDeadline {
    /// Nothing yet.
    Early,
    /// Send this SYN-ACK again.
    Retransmit(SegmentOut),
    /// Send nothing: the peer has acknowledged already, and owes data.
    Wait,
    /// The peer does not answer: forget the record.
    Expired,
}

/// What a segment means to a half-open record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum HalfOpenVerdict {
    /// Drop it.
    Ignore,
    /// Drop it and send this.
    Reply(SegmentOut),
    /// Drop it and send this RST; the record stays.
    Reset(SegmentOut),
    /// Drop it: it acknowledges our SYN, but data is awaited (`TCP_DEFER_ACCEPT`).
    Deferred,
    /// The peer took its SYN back: forget the record, and send this if it is something.
    Remove(Option<SegmentOut>),
    /// Our SYN is acknowledged: make a connection and give it this very segment.
    Established,
}

impl HalfOpen {
    /// Makes the record for a SYN that a listener received; `isn` is ours.
    ///
    /// What `syn` asks of ECN is in its flags ([`Flags::ECE`] with [`Flags::CWR`]) and its
    /// codepoint.
    pub fn new(now: Instant, config: &Config, syn: &SegmentIn, isn: Isn) -> HalfOpen {
        let agreed = Agreed::new(config, &syn.options, ecn::accepts(config, syn));
        let mss = advmss_beside(config.announced().into(), agreed.timestamps);
        let initial = Initial::new(config, mss, agreed.scales.is_some());
        HalfOpen {
            isn,
            irs: syn.seq,
            agreed,
            first_sent: Some(now),
            last_tick: now.tick(),
            ts_recent: syn
                .options
                .timestamps
                .filter(|_| agreed.timestamps)
                .map(|timestamps| TsRecent {
                    value: timestamps.value,
                    at: now,
                }),
            wnd: syn.window,
            offered: initial.field(),
            advmss: config.announced(),
            timeouts: 0,
            retransmits: 0,
            simultaneous: false,
            sent: false,
            acknowledged: false,
            repeated: false,
            deadline: now.saturating_add(config.rto_initial.max(Duration::TICK)),
            codepoint: ecn::of_handshake(config, agreed.ecn),
            rto_initial: config.rto_initial,
            rto_max: config.rto_max,
            invalid_ratelimit: config.invalid_ratelimit,
            answers: RateLimit::default(),
        }
    }

    /// Makes the record of an active open that met the peer's SYN instead of a SYN-ACK (RFC 9293,
    /// 3.5, figure 7).
    pub(crate) fn simultaneous(
        now: Instant,
        config: &Config,
        syn: &SegmentIn,
        isn: Isn,
        first_sent: Instant,
    ) -> HalfOpen {
        let scaling = config.window_scaling && syn.options.window_scale.is_some();
        let mut half_open = HalfOpen {
            first_sent: Some(first_sent),
            // As the SYN offered it, which did not know of timestamps.
            offered: Initial::new(config, config.announced().into(), scaling).field(),
            simultaneous: true,
            ..HalfOpen::new(now, config, syn, isn)
        };
        half_open.agreed.ecn = ecn::is_answered(config, syn);
        half_open
    }

    /// Makes the record of a connection that its third segment's cookie remembers; `syn` is what
    /// the cookie tells of the peer's SYN.
    pub(crate) fn of_cookie(now: Instant, config: &Config, syn: &SegmentIn, isn: Isn) -> HalfOpen {
        HalfOpen {
            first_sent: None,
            sent: true,
            ..HalfOpen::new(now, config, syn, isn)
        }
    }

    /// Returns whether our SYN did not wait for the peer's.
    pub(crate) fn is_active(&self) -> bool {
        self.simultaneous
    }

    /// Returns the record without what could tell a round-trip time.
    pub(crate) fn untimed(&self) -> HalfOpen {
        HalfOpen {
            first_sent: None,
            ..*self
        }
    }

    /// Returns how often the SYN-ACK was sent again.
    pub fn retransmits(&self) -> u8 {
        self.retransmits
    }

    /// Returns how often the peer let the time for its answer pass.
    pub fn timeouts(&self) -> u8 {
        self.timeouts
    }

    /// Notes that the owner had no room for the connection that [`HalfOpenVerdict::Established`]
    /// asked for.
    pub fn put_off(&mut self) {
        self.acknowledged = true;
    }

    /// Returns how long the peer took to answer a SYN-ACK that had to be sent again.
    pub(crate) fn opening_time(&self, now: Instant) -> Option<Duration> {
        self.first_sent
            .filter(|_| self.timeouts > 0)
            .map(|sent| now.since(sent))
    }

    /// Returns the first round-trip time, where the clock of the owner tells it.
    pub(crate) fn handshake_time(&self, now: Instant) -> Option<Duration> {
        self.first_sent
            .filter(|_| !self.repeated)
            .map(|sent| now.since(sent))
    }

    /// The SYN-ACK that is asked for next will be signed (`TCP_MD5SIG`).
    ///
    /// As Linux (`tcp_synack_options`): there is no room for SACK blocks beside signature and
    /// timestamps, so that the timestamps are given up.
    pub fn prepare_signature(&mut self) {
        if self.agreed.sack {
            self.agreed.timestamps = false;
            self.ts_recent = None;
        }
    }

    /// Returns the SYN-ACK.
    pub fn syn_ack(&mut self, now: Instant) -> SegmentOut {
        let mut segment =
            SegmentOut::bare(self.isn.seq, self.irs.add(1), Flags::SYN.with(Flags::ACK));
        // As Linux (`tcp_ecn_make_synack`): from the second time-out on the answer does without ECE,
        // which may be what keeps it from arriving.
        if self.agreed.ecn && self.timeouts == 0 {
            segment.flags = segment.flags.with(Flags::ECE);
        }
        segment.codepoint = self.codepoint;
        segment.window = self.offered;
        segment.options = Options {
            mss: Some(self.advmss),
            window_scale: self.agreed.scales.map(|(ours, _)| ours),
            sack_permitted: self.agreed.sack,
            timestamps: self.timestamps(now),
            ..Options::default()
        };
        segment.retransmission = self.sent;
        if self.sent {
            self.repeated = true;
            self.retransmits = self.retransmits.saturating_add(1);
        }
        self.sent = true;
        self.last_tick = now.tick();
        segment
    }

    /// Returns what the record has answered, as it leaves at `now`.
    pub(crate) fn leave(&mut self, now: Instant, reply: Prepared) -> SegmentOut {
        self.last_tick = now.tick();
        reply.leave(now)
    }

    fn timestamps(&self, now: Instant) -> Option<Timestamps> {
        self.ts_recent.map(|recent| Timestamps {
            value: now.tick().wrapping_add(self.isn.ts_offset),
            echo: recent.value,
        })
    }

    /// Returns an acknowledgment of what is expected.
    fn challenge(&self, now: Instant) -> SegmentOut {
        let mut segment = SegmentOut::bare(self.isn.seq.add(1), self.irs.add(1), Flags::ACK);
        let scale = self
            .agreed
            .scales
            .map_or(WindowScale::default(), |(ours, _)| ours);
        segment.window = scale.field_above(u32::from(self.offered));
        segment.options.timestamps = self.timestamps(now);
        segment
    }

    /// Returns whether `seq` is that of our SYN, which is all that an ICMP error can quote (RFC 5927,
    /// 4.1).
    pub fn is_outstanding(&self, seq: SeqNum) -> bool {
        seq == self.isn.seq
    }

    /// Returns when [`HalfOpen::on_deadline`] wants to be called.
    pub fn next_deadline(&self) -> Instant {
        self.deadline
    }

    /// Retransmits the SYN-ACK or gives up. May be called early.
    ///
    /// With `TCP_DEFER_ACCEPT` as Linux (`syn_ack_recalc`): a peer that has acknowledged is only
    /// asked again near the end of its time, since what it owes is data.
    pub fn on_deadline(&mut self, now: Instant, patience: &Patience) -> HalfOpenDeadline {
        if now < self.deadline {
            return HalfOpenDeadline::Early;
        }
        let defers = patience.defer > 0 && self.acknowledged;
        if self.timeouts >= patience.retries && (!defers || self.timeouts >= patience.defer) {
            return HalfOpenDeadline::Expired;
        }
        let resend = !defers || self.timeouts >= patience.defer.saturating_sub(1);
        let answer = resend.then(|| self.syn_ack(now));
        self.timeouts = self.timeouts.saturating_add(1);
        self.restart(now);
        answer.map_or(HalfOpenDeadline::Wait, HalfOpenDeadline::Retransmit)
    }

    pub(crate) fn restart(&mut self, now: Instant) {
        let rto = self
            .rto_initial
            .doubled(u32::from(self.timeouts), self.rto_max);
        self.deadline = now.saturating_add(rto.max(Duration::TICK));
    }

    /// Returns whether an echoed timestamp is none that our SYN carried (Linux's TSEcrRejected).
    fn echo_is_foreign(&self, timestamps: Option<Timestamps>) -> bool {
        let Some((timestamps, first)) = timestamps.zip(self.first_sent) else {
            return false;
        };
        let echoed = timestamps.echo.wrapping_sub(self.isn.ts_offset);
        let since_first = echoed.wrapping_sub(first.tick());
        let span = self.last_tick.wrapping_sub(first.tick());
        timestamps.echo != 0 && since_first > span
    }

    /// Judges a segment of this four-tuple (RFC 9293, 3.10.7.4, in SYN-RECEIVED; Linux's
    /// `tcp_check_req`). `count` is told what happens.
    pub fn on_segment(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        patience: &Patience,
        mut count: impl FnMut(Mib),
    ) -> HalfOpenVerdict {
        let flags = segment.flags;
        let timestamps = segment
            .options
            .timestamps
            .filter(|_| self.agreed.timestamps);
        let paws = acceptable::paws_rejects(self.ts_recent, timestamps, now);
        if flags.syn() && !flags.rst() && segment.seq == self.irs && !paws {
            if !flags.ack() {
                // The SYN again: our answer was lost, or is late.
                if self.answers.allows(now, self.invalid_ratelimit) {
                    self.restart(now);
                    return HalfOpenVerdict::Reply(self.syn_ack(now));
                }
                count(Mib::AckSkippedSynRecv);
                return HalfOpenVerdict::Ignore;
            }
            // RFC 9293, 3.5, figure 7, line 6: in simultaneous open the acknowledgment comes with
            // the repeated SYN.
            if self.simultaneous && segment.ack == self.isn.seq.add(1) {
                return HalfOpenVerdict::Established;
            }
        }
        if flags.ack() && !flags.rst() && segment.ack != self.isn.seq.add(1) {
            // RFC 9293, 3.10.7.4, fifth check.
            return crate::engine::closed::on_closed(segment)
                .map_or(HalfOpenVerdict::Ignore, HalfOpenVerdict::Reset);
        }
        let start = i64::from(segment.seq.distance_from(self.irs.add(1)));
        let expected = acceptable::Expected {
            unacked: 0,
            window: i64::from(self.offered),
            all_read: true,
        };
        let foreign = self.echo_is_foreign(timestamps);
        if paws
            || foreign
            || !acceptable::in_window(&expected, start, segment.seq_len(), flags.fin())
        {
            if paws {
                count(Mib::PawsEstab);
            } else if foreign {
                count(Mib::TsEcrRejected);
            }
            if flags.rst() {
                return HalfOpenVerdict::Ignore;
            }
            let span = self.invalid_ratelimit;
            if !self.answers.allows_for(segment, now, span) {
                count(Mib::AckSkippedSynRecv);
                return HalfOpenVerdict::Ignore;
            }
            return HalfOpenVerdict::Reply(self.challenge(now));
        }
        match acceptable::control(flags, start) {
            acceptable::Control::Reset => HalfOpenVerdict::Remove(None),
            acceptable::Control::Challenge if flags.rst() || self.simultaneous => {
                if !self.answers.allows(now, self.invalid_ratelimit) {
                    count(Mib::AckSkippedChallenge);
                    return HalfOpenVerdict::Ignore;
                }
                let mut answer = self.challenge(now);
                answer.challenge = true;
                HalfOpenVerdict::Reply(answer)
            }
            // RFC 9293, 3.10.7.4, fourth check: another SYN ends a passive open. The RST is
            // Linux's.
            acceptable::Control::Challenge => {
                HalfOpenVerdict::Remove(crate::engine::closed::on_closed(segment))
            }
            acceptable::Control::Drop => HalfOpenVerdict::Ignore,
            acceptable::Control::Pass => {
                let bare = start.saturating_add(i64::from(segment.seq_len())) == 0;
                if bare && self.timeouts < patience.defer {
                    self.acknowledged = true;
                    HalfOpenVerdict::Deferred
                } else {
                    HalfOpenVerdict::Established
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
