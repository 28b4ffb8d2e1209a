// SPDX-License-Identifier: GPL-2.0

//! The fifth check of SEGMENT ARRIVES: the acknowledgment (RFC 9293, 3.10.7.4; Linux's `tcp_ack`).

use crate::engine::cc::hystart::Sign;
use crate::engine::cc::Acked;
use crate::engine::cc::News;
use crate::engine::info::CaState;
use crate::engine::options::Timestamps;
use crate::engine::ranges::Run;
use crate::engine::rate::AckRate;
use crate::engine::rate::RateSample;
use crate::engine::recovery::Ack;
use crate::engine::recovery::Blocks;
use crate::engine::recovery::Found;
use crate::engine::recovery::Moved;
use crate::engine::recovery::Rearm;
use crate::engine::recovery::SLACK;
use crate::engine::segment::SegmentIn;
use crate::engine::store::Store;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use crate::engine::timers::Timer;

/// A timestamp echoed after this long is not believed as a round-trip time (Linux's
/// `tcp_rtt_tsopt_us`).
const MAX_ECHO_AGE: u32 = 2_147_483;

impl<S: Store> Synchronized<S> {
    /// Takes an acknowledgment that moves SND.UNA by `advance`, perhaps 0.
    pub(super) fn on_ack(&mut self, cx: &mut Context<'_>, segment: &SegmentIn, advance: u64) {
        let prior_una = self.tx.una;
        let prior_in_flight = self.recovery.pipe(self.mss(cx.config));
        let acked_before = prior_una.min(self.tx.written);
        self.tx.una = prior_una.saturating_add(advance);
        if self.tx.una.min(self.tx.written) > acked_before {
            cx.events.acked = true;
        }
        let updates_window = self
            .tx
            .update_window(segment.seq, advance > 0, segment.window);
        let mss = self.mss(cx.config);
        self.cc.on_mss(mss);
        let mut ack = self.begin_ack(cx, segment, prior_una, updates_window);
        self.cc.rate.begin_ack(prior_in_flight, ack.ece);
        let delivered = self.cc.rate.segments();
        if self.ecn.on_flags(segment) {
            self.delack.demand();
        }
        if advance > 0 {
            self.retransmits = 0;
            self.stalled_since = None;
        }
        self.take_sacks(cx, segment, &mut ack);
        if prior_una == self.tx.nxt {
            // Nothing was in flight: only a DSACK is news.
            if ack.found.dsack {
                self.judge(cx, &ack);
            }
            self.count_delivered(cx, delivered);
            return;
        }
        self.recovery.on_cumulative(&mut ack, &mut self.cc.rate);
        self.take_mtu_probe(cx, &mut ack);
        let rtt = self.sample_rtt(cx, segment, &ack);
        let news = News {
            now: cx.now,
            una: self.tx.una,
            nxt: self.tx.nxt,
            rtt,
        };
        if let Some(sign) = self.cc.on_news(&news) {
            self.count_slow_start_end(cx, sign);
        }
        self.judge(cx, &ack);
        self.control_congestion(cx, &ack, rtt);
        self.count_delivered(cx, delivered);
    }

    fn count_slow_start_end(&self, cx: &Context<'_>, sign: Sign) {
        let cwnd = self.cc.cwnd().checked_div(self.mss(cx.config)).unwrap_or(0);
        let (detected, at) = match sign {
            Sign::Row => (Mib::HystartTrainDetect, Mib::HystartTrainCwnd),
            Sign::Delay => (Mib::HystartDelayDetect, Mib::HystartDelayCwnd),
        };
        cx.tally.count(detected);
        cx.tally.add(at, cwnd);
    }

    /// Counts what arrived since `before`, in segments: all, and those that were marked.
    fn count_delivered(&self, cx: &Context<'_>, before: (u32, u32)) {
        let (delivered, marked) = self.cc.rate.segments();
        cx.tally
            .add(Mib::Delivered, delivered.wrapping_sub(before.0));
        cx.tally
            .add(Mib::DeliveredCe, marked.wrapping_sub(before.1));
    }

    /// Takes the SACK blocks of a segment whose acknowledgment is older than SND.UNA.
    pub(super) fn on_old_ack(&mut self, cx: &mut Context<'_>, segment: &SegmentIn) {
        if segment.options.sack.as_slice().is_empty() {
            return;
        }
        let una = self.tx.una;
        let mut ack = self.begin_ack(cx, segment, una, false);
        let in_flight = self.recovery.pipe(ack.mss);
        self.cc.rate.begin_ack(in_flight, false);
        let delivered = self.cc.rate.segments();
        self.take_sacks(cx, segment, &mut ack);
        if ack.found.sacked || ack.found.dsack {
            self.judge(cx, &ack);
            self.control_congestion(cx, &ack, None);
        }
        self.count_delivered(cx, delivered);
    }

    fn begin_ack<'a>(
        &self,
        cx: &Context<'a>,
        segment: &SegmentIn,
        prior_una: u64,
        updates_window: bool,
    ) -> Ack<'a> {
        let timestamps = segment.options.timestamps;
        let echo = timestamps
            .filter(|_| self.agreed.timestamps)
            .map(|timestamps| timestamps.echo)
            .filter(|&echo| echo != 0)
            .map(|echo| echo.wrapping_sub(self.ts_offset));
        let can_leave = self.tx.window_end() > self.tx.nxt;
        Ack {
            tally: cx.tally,
            now: cx.now,
            una: self.tx.una,
            prior_una,
            prior_fack: self.recovery.fack(prior_una),
            nxt: self.tx.nxt,
            mss: self.mss(cx.config).max(1),
            max_wnd: self.tx.max_wnd,
            echo,
            has_data: segment.len > 0 || segment.flags.fin(),
            updates_window,
            ece: self.ecn.is_echo(segment.flags),
            has_new: can_leave && self.tx.has_unsent(self.state.sends_fin()),
            min_rtt: self.rtt.min_rtt(),
            mtu_probe: self.mtu.probe_start(),
            total_retrans: cx.counters.total_retrans,
            found: Found::default(),
        }
    }

    fn take_sacks(&mut self, cx: &mut Context<'_>, segment: &SegmentIn, ack: &mut Ack<'_>) {
        if !self.agreed.sack {
            return;
        }
        let una = self.tx.una;
        let offset = |distance: i64| una.checked_add_signed(distance);
        let mut blocks = Blocks::default();
        for (slot, block) in blocks.iter_mut().zip(segment.options.sack.as_slice()) {
            let start = offset(self.tx.ack_distance(block.left));
            let end = offset(self.tx.ack_distance(block.right));
            *slot = start.zip(end).map(|(start, end)| Run { start, end });
        }
        let acknowledged = offset(self.tx.ack_distance(segment.ack)).unwrap_or(0);
        self.recovery
            .on_sacks(ack, acknowledged, &blocks, cx.counters, &mut self.cc.rate);
    }

    /// Decides what is lost, and sets the timers.
    fn judge(&mut self, cx: &mut Context<'_>, ack: &Ack<'_>) {
        let repaired = self.recovery.state() == CaState::Loss;
        let rtts = self.rtts();
        let rearm = self.recovery.judge(ack, rtts, cx.config, &mut self.cc);
        if self.recovery.take_forgiven() {
            self.retransmits = 0;
        }
        if repaired && self.recovery.state() != CaState::Loss {
            cx.counters.end_timeouts(cx.now);
        }
        if self.recovery.take_mtu_probe_lost() {
            self.mtu.on_probe_lost(&self.agreed);
        }
        self.note_reduction();
        match rearm {
            Rearm::Keep => {}
            Rearm::Restart => self.restart_transmit_timer(cx),
            Rearm::Reorder(wait) => {
                // As Linux: never later than the RTO, whose place this timer takes.
                let wait = wait.saturating_add(SLACK).min(self.rto(cx.config));
                let at = cx.now.saturating_add(wait);
                self.set_transmit_timer(cx, Timer::Reorder, at);
            }
            Rearm::Reneging(wait) => {
                let at = cx.now.saturating_add(wait);
                self.set_transmit_timer(cx, Timer::Retransmit, at);
            }
        }
    }

    /// Tells the peer of a reduction with the next new data (RFC 3168, 6.1.2), or not after all.
    pub(super) fn note_reduction(&mut self) {
        match self.recovery.take_moved() {
            Some(Moved::Down) => self.ecn.on_reduction(),
            Some(Moved::Back) => self.ecn.on_undo(),
            None => {}
        }
    }

    /// Tells congestion control what an acknowledgment did.
    fn control_congestion(&mut self, cx: &Context<'_>, ack: &Ack<'_>, rtt: Option<Duration>) {
        let sample = self.cc.rate.sample(
            cx.now,
            &AckRate {
                newly_lost: self.recovery.take_newly_lost(),
                rtt,
                min_rtt: self.rtt.min_rtt(),
                ack_delayed: ack.found.delayed,
                reneged: self.recovery.has_reneged(),
            },
        );
        // Where much reordering was seen, the order of arrival tells nothing (Linux's
        // `tcp_may_raise_cwnd`).
        let reorders = self.recovery.reordering() > cx.config.reordering;
        let in_order = ack.found.acked_segments > 0;
        let may_raise = in_order || (reorders && ack.found.sacked);
        self.move_cwnd(cx, &sample, ack.mss, ack.advanced(), may_raise);
    }

    /// Lets cwnd follow what `sample` tells, with segments of `mss`; `advanced` if SND.UNA moved, `may_raise` if cwnd may
    /// grow.
    pub(super) fn move_cwnd(
        &mut self,
        cx: &Context<'_>,
        sample: &RateSample,
        mss: u32,
        advanced: bool,
        may_raise: bool,
    ) {
        let acked = Acked {
            now: cx.now,
            sample,
            outstanding: self.tx.in_flight(),
            in_flight: self.recovery.pipe(mss),
            advanced,
            may_raise,
            state: self.recovery.state(),
            srtt: self.rtt.srtt().unwrap_or_default(),
        };
        self.cc.on_ack(cx.config, &acked);
    }

    /// Takes a round-trip sample from an acknowledgment, if it gives one, and returns what
    /// congestion control should know.
    ///
    /// Preferred is our own clock, which is finer; then, for new data (RFC 7323, 4.1), the echoed
    /// one. Karn's rule (RFC 6298, 3): an acknowledgment that covers what was sent again may have
    /// waited for it, so it gives no sample.
    fn sample_rtt(
        &mut self,
        cx: &Context<'_>,
        segment: &SegmentIn,
        ack: &Ack<'_>,
    ) -> Option<Duration> {
        let found = &ack.found;
        let acked_at = found.acked_at.filter(|_| !found.retransmitted);
        // The time-out needs the longest, congestion control the freshest.
        let since = |at: Instant| cx.now.since(at);
        let mut sample = acked_at.or(found.sacked_at).map(|(first, _)| since(first));
        let mut fresh = found.sacked_at.or(acked_at).map(|(_, last)| since(last));
        if sample.is_none() && found.acked_segments > 0 && self.agreed.timestamps {
            sample = segment
                .options
                .timestamps
                .and_then(|timestamps| self.echoed_rtt(cx.now, timestamps));
            fresh = sample;
        }
        let sample = sample?;
        if let Some(rtt) = fresh {
            let window = cx.config.min_rtt_window;
            self.rtt.on_shortest(cx.now, rtt, window, found.delayed);
        }
        let least = cx.config.rto_min;
        self.rtt.on_sample(sample, self.tx.una, self.tx.nxt, least);
        // RFC 6298, 5: (Karn) only a valid sample ends the back-off.
        self.backoff = 0;
        fresh
    }

    fn echoed_rtt(&self, now: Instant, timestamps: Timestamps) -> Option<Duration> {
        let rtt = echoed(timestamps, self.ts_offset, now)?;
        // What was sent before the last time-out may have arrived long ago and its acknowledgment
        // been lost; the duplicate that was answered now does not change what the peer echoes.
        // Linux believes such a sample, and its RTO with it. Told by the clock's ticks: a path may
        // be shorter than one.
        let sent = timestamps.echo.wrapping_sub(self.ts_offset);
        let misleading = self
            .last_timeout
            .is_some_and(|timeout| (sent.wrapping_sub(timeout.tick()) as i32) < 0);
        (!misleading).then_some(rtt)
    }
}

/// Returns how long ago we sent the timestamp that is echoed, if that is credible.
pub(crate) fn echo_age(timestamps: Timestamps, offset: u32, now: Instant) -> Option<Duration> {
    let sent = timestamps.echo.wrapping_sub(offset);
    let age = now.tick().wrapping_sub(sent);
    let credible = timestamps.echo != 0 && age < MAX_ECHO_AGE;
    credible.then(|| Duration::from_millis(age.into()))
}

/// Returns that as a round-trip time: a tick at least.
pub(crate) fn echoed(timestamps: Timestamps, offset: u32, now: Instant) -> Option<Duration> {
    echo_age(timestamps, offset, now).map(|age| age.max(Duration::from_millis(1)))
}
