// SPDX-License-Identifier: GPL-2.0

//! When to acknowledge (RFC 9293, 3.8.6.3; RFC 5681, 4.2), with Linux's timing.

use crate::engine::config::Config;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// The shortest delay, and the first guess (Linux's `TCP_ATO_MIN`, `TCP_DELACK_MIN`).
const MIN: Duration = Duration::from_millis(40);
/// The longest delay (Linux's `TCP_DELACK_MAX`); RFC 9293 allows 500 ms.
const MAX: Duration = Duration::from_millis(200);
/// The longest delay of an exchange that is one-sided (in Linux's `tcp_send_delayed_ack`).
const MAX_ONE_SIDED: Duration = Duration::from_millis(500);
/// Segments acknowledged at once at the start of a flow, while the peer is in slow start (Linux's
/// `TCP_MAX_QUICKACKS`).
pub(crate) const MAX_QUICK: u32 = 16;
/// Acknowledgments of disorder that leave without compression, so that the peer's fast retransmit
/// is not delayed (Linux's `TCP_FASTRETRANS_THRESH`).
const UNCOMPRESSED: u8 = 3;

/// What is owed to the peer, and for how long it may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DelayedAck {
    /// An acknowledgment must leave with the next flush.
    urgent: bool,
    /// Something was received since the last acknowledgment (Linux's ICSK_ACK_SCHED).
    owed: bool,
    /// The estimated time between data segments; zero before the first.
    ato: Duration,
    /// Acknowledgments still to be sent without delay.
    quick: u32,
    /// Answers that followed soon on what they answer; from `Config::pingpong_thresh` on data flows
    /// in both directions and acknowledgments wait for answers to ride on (Linux's pingpong).
    answers: u8,
    last_data: Instant,
    /// Small segments since the last acknowledgment, counted to 2 (Linux's ICSK_ACK_PUSHED and
    /// ICSK_ACK_PUSHED2).
    small: u8,
    /// Acknowledgments of disorder that were not sent, see [`Answer::Compress`].
    compressed: u8,
    /// Those that were, since RCV.NXT was `uncompressed_at`.
    uncompressed: u8,
    uncompressed_at: u64,
}

/// What is known when something was received that is to be acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received {
    pub(crate) now: Instant,
    /// RCV.NXT as a stream offset.
    pub(crate) nxt: u64,
    /// More than a full segment was received since the last acknowledgment, and the window moves
    /// on if one leaves.
    pub(crate) two_segments: bool,
    /// Something is held out of order.
    pub(crate) disorder: bool,
    pub(crate) sack: bool,
    /// Smoothed round-trip time of what we send, if it is known.
    pub(crate) srtt: Option<Duration>,
    /// Round-trip time as the receiver sees it, zero if unknown.
    pub(crate) rcv_rtt: Duration,
    /// When a delayed acknowledgment is due already.
    pub(crate) due: Option<Instant>,
}

/// When the next acknowledgment leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// Nothing is owed, or it leaves with the next flush.
    Now,
    /// At this time, if nothing carries it before.
    At(Instant),
    /// One for all that disorder asks for until this time, unless that is set already (Linux's
    /// compressed SACK).
    Compress(Instant),
}

impl DelayedAck {
    /// Makes the state of a connection that is established `now`; silence counts from then on.
    pub(crate) fn new(now: Instant) -> DelayedAck {
        DelayedAck {
            urgent: false,
            owed: false,
            ato: Duration::ZERO,
            quick: 0,
            answers: 0,
            last_data: now,
            small: 0,
            compressed: 0,
            uncompressed: 0,
            uncompressed_at: 0,
        }
    }

    /// Demands an acknowledgment with the next flush.
    pub(crate) fn demand(&mut self) {
        self.urgent = true;
    }

    /// Lets the acknowledgment of the peer's SYN wait for data to ride on, and returns for how long;
    /// later ones are quick for a while (Linux's `tcp_rcv_synsent_state_process`).
    pub(crate) fn defer(&mut self, now: Instant) -> Instant {
        self.owed = true;
        self.quick = MAX_QUICK;
        self.answers = 0;
        self.ato = MIN;
        now.saturating_add(MAX)
    }

    /// Notes that something was received that must be acknowledged some time.
    pub(crate) fn owe(&mut self) {
        self.owed = true;
    }

    pub(crate) fn is_urgent(&self) -> bool {
        self.urgent
    }

    pub(crate) fn ato(&self) -> Duration {
        self.ato
    }

    /// Returns how many acknowledgments leave without delay.
    pub(crate) fn quick(&self) -> u32 {
        self.quick
    }

    /// Returns whether acknowledgments wait for data to ride on.
    pub(crate) fn is_interactive(&self, config: &Config) -> bool {
        self.answers >= config.pingpong_thresh
    }

    pub(crate) fn last_data(&self) -> Instant {
        self.last_data
    }

    /// Lets as many acknowledgments leave at once as half the window holds segments, at most
    /// `most` (Linux's `tcp_incr_quickack`).
    fn quicken(&mut self, window: u32, mss: u32, most: u32) {
        let half = window
            .checked_div(mss.max(1).saturating_mul(2))
            .unwrap_or(0);
        let half = if half == 0 { 2 } else { half };
        self.quick = self.quick.max(half.min(most));
    }

    /// Enters quick-ACK mode: something arrived twice, or is not wanted (Linux's
    /// `tcp_enter_quickack_mode`).
    pub(crate) fn enter_quick(&mut self, window: u32, mss: u32, most: u32) {
        self.quicken(window, mss, most);
        self.answers = 0;
        self.ato = MIN;
    }

    /// The window grows: the next acknowledgment tells the peer without delay.
    pub(crate) fn quicken_once(&mut self) {
        self.quick |= 1;
    }

    /// The buffer is more than half full: acknowledgments would only invite more.
    pub(crate) fn stop_quick(&mut self) {
        self.quick = 0;
    }

    /// The peer has closed its half: what is left to say is ours (Linux's
    /// `inet_csk_enter_pingpong_mode`).
    pub(crate) fn enter_interactive(&mut self, config: &Config) {
        self.answers = config.pingpong_thresh;
    }

    /// A router marked data, or data that was lost came again: two quick answers (Linux's
    /// `tcp_enter_quickack_mode`).
    pub(crate) fn on_mark(&mut self) {
        self.quick = self.quick.max(2);
        self.answers = 0;
        self.ato = MIN;
    }

    /// Data arrived in order (Linux's `tcp_event_data_recv`).
    pub(crate) fn on_data(&mut self, now: Instant, window: u32, mss: u32, rto: Duration) {
        self.owed = true;
        let gap = now.since(self.last_data);
        if self.ato == Duration::ZERO {
            self.quicken(window, mss, MAX_QUICK);
            self.ato = MIN;
        } else if gap.as_nanos() <= MIN.as_nanos() / 2 {
            self.ato = half(self.ato).saturating_add(half(MIN));
        } else if gap < self.ato {
            self.ato = half(self.ato).saturating_add(gap).min(rto).min(MAX);
        } else if gap > rto {
            // The peer may have restarted from its initial window: give it acknowledgments to grow
            // on.
            self.quicken(window, mss, MAX_QUICK);
        }
        self.last_data = now;
    }

    /// A segment arrived that is smaller than usual (`small`), or has the usual size and ends a
    /// write: probably the end of what the peer wanted to say.
    pub(crate) fn on_end_of_write(&mut self, small: bool) {
        let most = if small { 2 } else { 1 };
        if self.small < most {
            self.small = self.small.saturating_add(1);
        }
    }

    /// The reader has consumed something, or all there was (`emptied`); more than a full segment is
    /// not acknowledged (`two_segments`) (Linux's `__tcp_cleanup_rbuf`).
    ///
    /// After a small segment nothing more may come before the peer hears from us (Nagle), so it is
    /// answered now, unless an answer of the user is likely to carry the acknowledgment.
    pub(crate) fn on_read(&mut self, config: &Config, two_segments: bool, emptied: bool) {
        let pushed = self.small > 1 || (self.small > 0 && !self.is_interactive(config));
        if self.owed && (two_segments || (emptied && pushed)) {
            self.urgent = true;
        }
    }

    /// Decides what to do about what was received (Linux's `__tcp_ack_snd_check`).
    ///
    /// RFC 5681, 4.2: at least every second full-sized segment is acknowledged at once.
    pub(crate) fn decide(&mut self, config: &Config, received: &Received) -> Answer {
        if !self.owed || self.urgent {
            return Answer::Now;
        }
        let quick = config.quick_ack || self.quick > 0 && !self.is_interactive(config);
        if received.two_segments || quick {
            self.urgent = true;
            return Answer::Now;
        }
        if received.disorder {
            self.compress(config, received)
        } else {
            self.delay(config, received)
        }
    }

    /// Linux's `tcp_send_delayed_ack`.
    fn delay(&mut self, config: &Config, received: &Received) -> Answer {
        let mut ato = self.ato;
        if ato > MIN {
            let mut most = if self.is_interactive(config) || self.small > 0 {
                MAX
            } else {
                MAX_ONE_SIDED
            };
            if let Some(srtt) = received.srtt {
                most = most.min(srtt.max(MIN));
            }
            ato = ato.min(most);
        }
        ato = ato.min(longest_delay(config));
        let now = received.now;
        let at = now.saturating_add(ato);
        match received.due {
            // It is about to leave anyway.
            Some(due) if due <= now.saturating_add(half(half(ato))) => {
                self.urgent = true;
                Answer::Now
            }
            Some(due) => Answer::At(due.min(at)),
            None => Answer::At(at),
        }
    }

    /// Puts off an acknowledgment of disorder, if enough of them have left: a burst of segments
    /// behind a hole would cause as many acknowledgments.
    fn compress(&mut self, config: &Config, received: &Received) -> Answer {
        if self.uncompressed_at != received.nxt {
            self.uncompressed_at = received.nxt;
            self.uncompressed = 0;
        }
        if !received.sack || self.compressed >= config.comp_sack_nr {
            self.urgent = true;
            return Answer::Now;
        }
        if self.uncompressed < UNCOMPRESSED {
            self.uncompressed = self.uncompressed.saturating_add(1);
            self.urgent = true;
            return Answer::Now;
        }
        let mut rtt = received.rcv_rtt;
        if let Some(srtt) = received.srtt {
            rtt = rtt.min(srtt);
        }
        let percent = rtt
            .as_nanos()
            .saturating_mul(config.comp_sack_percent.into())
            / 100;
        let delay = Duration::from_nanos(percent).min(config.comp_sack_delay);
        if delay == Duration::ZERO {
            self.urgent = true;
            return Answer::Now;
        }
        self.compressed = self.compressed.saturating_add(1);
        Answer::Compress(received.now.saturating_add(delay))
    }

    /// The peer's picture of what we hold would lose a block: what was put off leaves now (Linux's
    /// `tcp_sack_compress_send_ack`). Returns how many acknowledgments that one stands for beside
    /// itself.
    pub(crate) fn end_compression(&mut self) -> u32 {
        let compressed = core::mem::take(&mut self.compressed);
        self.urgent |= compressed > 0;
        u32::from(compressed).saturating_sub(1)
    }

    /// Returns how many acknowledgments of disorder were put off.
    pub(crate) fn compressed(&self) -> u32 {
        self.compressed.into()
    }

    /// The time of a delayed acknowledgment came (Linux's `tcp_delack_timer_handler`). Returns
    /// whether one is owed.
    pub(crate) fn on_deadline(&mut self, config: &Config, rto: Duration) -> bool {
        if !self.owed {
            return false;
        }
        self.urgent = true;
        if self.is_interactive(config) {
            // The answer did not come in time: the exchange is one-sided after all.
            self.answers = 0;
            self.ato = MIN;
        } else {
            self.ato = self.ato.saturating_mul(2).min(rto).min(MAX);
        }
        true
    }

    /// A segment with an acknowledgment left; `data` tells whether it carried any.
    pub(crate) fn on_sent(&mut self, now: Instant, data: bool) {
        if data && now.since(self.last_data) < self.ato {
            self.answers = self.answers.saturating_add(1);
        }
        if self.owed && self.quick > 0 {
            self.quick = self.quick.saturating_sub(1);
            if self.quick == 0 {
                self.ato = MIN;
            }
        }
        self.urgent = false;
        self.owed = false;
        self.small = 0;
        self.compressed = 0;
    }

    /// The user asked for acknowledgments at once, or for the usual delay (`TCP_QUICKACK`): an even
    /// `value` but 0 lets only what is owed now leave at once. `emptied` and `two_segments` as for
    /// [`DelayedAck::on_read`].
    pub(crate) fn set_quick(
        &mut self,
        config: &Config,
        value: i32,
        two_segments: bool,
        emptied: bool,
    ) {
        if value == 0 {
            self.enter_interactive(config);
            return;
        }
        self.answers = 0;
        if self.owed {
            self.small = self.small.max(1);
            self.on_read(config, two_segments, emptied);
            if value & 1 == 0 {
                self.enter_interactive(config);
            }
        }
    }
}

/// Returns how long an acknowledgment waits at most (Linux's `tcp_delack_max`): the peer's time-out
/// must not be ours.
pub(crate) fn longest_delay(config: &Config) -> Duration {
    let below_rto = config.rto_min.max(Duration::TICK.saturating_mul(2));
    let below_rto = below_rto.saturating_sub(Duration::TICK);
    config.delack_max.min(below_rto)
}

fn half(span: Duration) -> Duration {
    Duration::from_nanos(span.as_nanos() / 2)
}

#[cfg(test)]
mod tests;
