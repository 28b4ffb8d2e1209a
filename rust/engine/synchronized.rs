// SPDX-License-Identifier: GPL-2.0

//! ESTABLISHED to LAST-ACK: the states in which both SYNs are acknowledged.

mod ack;
mod congestion;
mod deadline;
mod early;
mod info;
mod input;
mod mtu_probe;
pub(crate) mod orphan;
pub(crate) mod output;
mod timing;

use crate::engine::acceptable::RateLimit;
use crate::engine::cc::Congestion;
use crate::engine::cc::Start;
use crate::engine::chrono::Chrono;
use crate::engine::config::Config;
use crate::engine::delack::DelayedAck;
use crate::engine::ecn::Ecn;
use crate::engine::event::Events;
use crate::engine::event::Reason;
use crate::engine::half_open::Agreed;
use crate::engine::half_open::HalfOpen;
use crate::engine::info::Counters;
use crate::engine::mtu::Mtu;
use crate::engine::recovery::Recovery;
use crate::engine::rtt::Estimator;
use crate::engine::rx::Rx;
use crate::engine::segment::SegmentIn;
use crate::engine::state::Input;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::synchronized::orphan::Resources;
use crate::engine::tally::Mib;
use crate::engine::tally::Tally;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use crate::engine::time_wait;
use crate::engine::time_wait::TimeWait;
use crate::engine::time_wait::TIME_WAIT;
use crate::engine::timers::Timer;
use crate::engine::timers::Timers;
use crate::engine::tx::Tx;
use crate::engine::window::WindowScale;

/// What a connection lends its phase for one call.
pub(crate) struct Context<'a> {
    pub(crate) now: Instant,
    pub(crate) config: &'a Config,
    pub(crate) counters: &'a mut Counters,
    pub(crate) events: &'a mut Events,
    pub(crate) tally: &'a Tally,
}

/// Whether the connection lives on after a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Fate {
    /// It does.
    Alive,
    /// It is over and nothing is sent.
    Closed(Reason),
    /// It is over and the peer is told by a RST.
    Reset(Reason),
    /// It is over, and the segment is answered as one for which there is no connection.
    Refused(Reason),
    /// Only TIME-WAIT remains.
    TimeWait,
}

/// A connection that both ends know.
pub(crate) struct Synchronized<S: Store> {
    pub(crate) state: State,
    pub(crate) tx: Tx,
    pub(crate) rx: Rx<S::Held>,
    pub(crate) agreed: Agreed,
    pub(crate) rtt: Estimator,
    pub(crate) recovery: Recovery<S::Sent>,
    pub(crate) cc: Congestion,
    mtu: Mtu,
    pub(super) chrono: Chrono,
    /// The user waits for room in the send buffer.
    pub(crate) writer_blocked: bool,
    /// Segments wait in the host's own queues.
    pub(crate) host_busy: bool,
    pub(crate) ecn: Ecn,
    pub(crate) delack: DelayedAck,
    /// Something was received since it was decided when to acknowledge.
    answer_due: bool,
    timers: Timers,
    ts_offset: u32,
    /// How many times RTO has doubled (RFC 6298, 5.5).
    pub(crate) backoff: u8,
    /// Expiries of the retransmission timer since SND.UNA moved.
    pub(crate) retransmits: u8,
    /// When the first of them was.
    stalled_since: Option<Instant>,
    /// When the retransmission timer expired last.
    last_timeout: Option<Instant>,
    /// Window or keepalive probes since something was heard.
    pub(crate) probes_out: u8,
    /// When the first window probe of a row was due.
    probing_since: Option<Instant>,
    /// How many segments of a probe leave with the next flush.
    probes_due: u8,
    /// The first of what a time-out found lost leaves with the next flush.
    head_due: bool,
    /// A tail loss probe leaves with the next flush.
    tail_probe_due: bool,
    /// New data left in this flush.
    sent_new: bool,
    /// The owner's descriptor is gone.
    orphan: bool,
    /// What the host has left for such connections.
    pub(crate) resources: Resources,
    answers: RateLimit,
    /// An acknowledgment is to ask the peer whether it sent what arrived (RFC 5961).
    challenge_due: bool,
    /// Our SYN is not acknowledged (RFC 7413, 4.2.2).
    opening: Option<early::Opening>,
    /// Our SYN was the first.
    began: bool,
    /// Our SYN used Fast Open.
    pub(crate) fast_open: bool,
    pub(crate) last_data_sent: Instant,
    pub(crate) last_heard: Instant,
}

impl<S: Store> Synchronized<S> {
    /// Makes the state of a connection whose SYNs were exchanged as `half_open` tells.
    /// `segment` acknowledged ours.
    pub(crate) fn new(
        cx: &Context<'_>,
        half_open: &HalfOpen,
        segment: &SegmentIn,
    ) -> Synchronized<S> {
        let Context { now, config, .. } = *cx;
        let agreed = half_open.agreed;
        let (_, theirs) = agreed.scales.unwrap_or_default();
        let none = WindowScale::default();
        // The windows of the SYNs are never scaled (RFC 7323, 2.2).
        let tx = Tx::new(
            half_open.isn.seq,
            theirs,
            none.scale_up(half_open.wnd),
            half_open.irs,
        );
        // What our SYN offered; when it was the first it did not know of timestamps.
        let timestamps = agreed.timestamps && !half_open.is_active();
        let scale = agreed.scales.map(|(ours, _)| ours);
        let mut rx = Rx::new(
            now,
            config,
            half_open.irs,
            scale,
            timestamps,
            half_open.offered,
        );
        rx.ts_recent = half_open.ts_recent;
        let mut rtt = Estimator::new();
        let sample = half_open.handshake_time(now).or_else(|| {
            segment
                .options
                .timestamps
                .filter(|_| agreed.timestamps && half_open.first_sent.is_some())
                .and_then(|timestamps| ack::echoed(timestamps, half_open.isn.ts_offset, now))
        });
        if let Some(sample) = sample {
            rtt.on_sample(sample, 0, 0, config.rto_min);
            rtt.on_shortest(now, sample, config.min_rtt_window, false);
        }
        rtt.seed(config.known.rtt, config.rto_min);
        let mtu = Mtu::new(now, config, &agreed);
        let send_mss = mtu.mss(config, &agreed, &tx);
        rx.bound_mss(send_mss);
        let start = Start {
            now,
            mss: send_mss,
            // As Linux (`tcp_init_transfer`): a SYN lost once may be chance, lost twice it is
            // congestion.
            syn_lost: half_open.retransmits > 1,
            ecn: agreed.ecn,
            nxt: 0,
            srtt: rtt.srtt().unwrap_or_default(),
            min_rtt: rtt.min_rtt(),
        };
        let mut timers = Timers::default();
        if let Some(keepalive) = config.keepalive {
            let at = now.saturating_add(keepalive.idle);
            timers.set(Timer::KeepAlive, now, at);
        }
        // Made where it will live: it is large.
        Synchronized {
            state: State::Established,
            tx,
            rx,
            agreed,
            rtt,
            recovery: Recovery::new(agreed.sack, config),
            cc: Congestion::new(config, &start),
            mtu,
            chrono: Chrono::default(),
            writer_blocked: false,
            host_busy: false,
            ecn: Ecn::new(agreed.ecn, config),
            delack: DelayedAck::new(now),
            answer_due: false,
            timers,
            ts_offset: half_open.isn.ts_offset,
            backoff: 0,
            retransmits: 0,
            stalled_since: None,
            last_timeout: None,
            probes_out: 0,
            probing_since: None,
            probes_due: 0,
            head_due: false,
            tail_probe_due: false,
            sent_new: false,
            orphan: false,
            resources: Resources::PLENTY,
            answers: RateLimit::default(),
            challenge_due: false,
            opening: None,
            began: half_open.is_active(),
            fast_open: false,
            last_data_sent: now,
            last_heard: now,
        }
    }

    /// Returns the payload octets of a full segment without SACK option: SMSS of RFC 5681.
    pub(crate) fn mss(&self, config: &Config) -> u32 {
        self.mtu.mss(config, &self.agreed, &self.tx)
    }

    /// Returns RTO with back-off.
    pub(crate) fn rto(&self, config: &Config) -> Duration {
        self.rtt
            .rto(config)
            .doubled(u32::from(self.backoff), config.rto_max)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        let timeout = self.next_coarse_deadline();
        timeout.into_iter().chain(self.next_fine_deadline()).min()
    }

    pub(crate) fn on_write(&mut self, cx: &Context<'_>, len: u64, more: bool) {
        if self.state.sends_fin() {
            return;
        }
        let rto = self.rto(cx.config);
        let idle = crate::engine::cc::idle_since(self.last_data_sent, cx.now, rto);
        if let Some(idle) = idle.filter(|_| self.tx.in_flight() == 0) {
            if cx.config.slow_start_after_idle && self.tx.unsent() == 0 {
                self.cc.on_idle(cx.now, idle, rto);
            }
        }
        self.note_app_limited(cx.config);
        self.tx.written = self.tx.written.saturating_add(len);
        self.tx.more = more;
        if !more {
            self.tx.push = self.tx.written;
        }
    }

    /// Sends the third segment of the handshake (RFC 9293, 3.10.7.3); data that is queued carries
    /// it, or waits to be written (`TCP_DEFER_ACCEPT`).
    pub(crate) fn acknowledge_syn(&mut self, now: Instant, config: &Config) {
        if config.defer_ack {
            let at = self.delack.defer(now);
            self.timers.set(Timer::DelayedAck, now, at);
        } else {
            self.delack.demand();
        }
    }

    /// The route's segment size changed.
    pub(crate) fn on_mss(&mut self, config: &Config, tally: &Tally) {
        self.mtu.on_route(config, &self.agreed);
        let mss = self.mss(config);
        self.cc.on_mss(mss);
        self.recovery.on_mss(mss, self.tx.nxt, &mut self.cc, tally);
    }

    /// Packets have other IP options than before.
    pub(crate) fn on_ip_options(&mut self, config: &Config) {
        self.mtu.on_route(config, &self.agreed);
        self.cc.on_mss(self.mss(config));
    }

    /// Lets what is held back leave.
    pub(crate) fn uncork(&mut self) {
        self.tx.more = false;
        self.tx.override_hold = self.tx.unsent() > 0;
    }

    /// The user asked for acknowledgments at once, or for the usual delay (`TCP_QUICKACK`).
    pub(crate) fn set_quick_ack(&mut self, config: &Config, value: i32) {
        let two_segments = self.rx.unacked() > u64::from(self.rx.mss);
        let emptied = self.rx.tuning.memory().used == 0;
        self.delack.set_quick(config, value, two_segments, emptied);
    }

    /// Lets FIN follow what is queued: the state changes now.
    fn send_fin(&mut self) {
        self.state = self.state.after(Input::Close);
    }

    /// The owner's descriptor is gone. Returns what becomes of the connection.
    pub(crate) fn close(&mut self, cx: &Context<'_>) -> Fate {
        // RFC 9293, 3.6.1 (SHLD-3) and RFC 2525, 2.17: unread data is lost, and the peer is told.
        if self.rx.read < self.rx.nxt {
            return Fate::Reset(Reason::Aborted);
        }
        if self.state == State::FinWait2 && cx.config.skip_fin_wait_2 {
            cx.tally.count(Mib::AbortOnLinger);
            return Fate::Reset(Reason::Aborted);
        }
        self.orphan = true;
        self.send_fin();
        self.guard_fin_wait_2(cx);
        Fate::Alive
    }

    /// Bounds FIN-WAIT-2 when nobody owns the connection (Linux's `tcp_fin_time`): the peer gets
    /// time to send its FIN twice again.
    fn guard_fin_wait_2(&mut self, cx: &Context<'_>) {
        if self.orphan && self.state == State::FinWait2 && !self.timers.is_set(Timer::FinWait2) {
            let wait = self.fin_time(cx.config);
            let at = cx.now.saturating_add(wait);
            self.timers.set(Timer::FinWait2, cx.now, at);
            // As Linux, where it goes on without a socket from here on.
            if wait <= TIME_WAIT {
                cx.tally.count(if wait > time_wait::SHORT {
                    Mib::TimeWaits
                } else {
                    Mib::TimeWaitsKilled
                });
            }
        }
    }

    /// Returns how long FIN-WAIT-2 lasts when nobody owns the connection.
    fn fin_time(&self, config: &Config) -> Duration {
        let rto = self.rto(config).as_nanos();
        let least = Duration::from_nanos(rto.saturating_mul(4).saturating_sub(rto / 2));
        config.fin_timeout.max(least)
    }

    /// Returns whether Linux would have no socket for the connection any more, but a record.
    pub(crate) fn is_left_to_wait(&self, config: &Config) -> bool {
        self.orphan && self.state == State::FinWait2 && self.fin_time(config) <= TIME_WAIT
    }

    /// Keepalive was turned on or off: the peer has all of the idle time to show a sign of life.
    pub(crate) fn switch_keepalive(&mut self, cx: &Context<'_>) {
        self.timers.stop(Timer::KeepAlive);
        if let Some(keepalive) = cx.config.keepalive {
            let at = cx.now.saturating_add(keepalive.idle);
            self.timers.set(Timer::KeepAlive, cx.now, at);
        }
    }

    /// The user set the idle time while the keepalive timer ran: it counts from the peer's last sign
    /// of life (Linux's `tcp_sock_set_keepidle_locked`).
    pub(crate) fn move_keepalive(&mut self, cx: &Context<'_>) {
        if let Some(keepalive) = cx.config.keepalive {
            let at = self.last_heard.saturating_add(keepalive.idle);
            self.timers.set(Timer::KeepAlive, cx.now, at.max(cx.now));
        }
    }

    /// Makes the record that outlives the connection.
    pub(crate) fn time_wait(&mut self, cx: &Context<'_>) -> TimeWait {
        let window = self.rx.offer(cx.config);
        TimeWait {
            snd_nxt: self.tx.seq(self.tx.nxt),
            rcv_nxt: self.rx.nxt_seq(),
            window,
            rcv_wnd: self.rx.window(),
            ts_recent: self.rx.ts_recent,
            ts_offset: self.ts_offset,
            invalid_ratelimit: cx.config.invalid_ratelimit,
            rfc1337: cx.config.rfc1337,
            entered: cx.now,
            deadline: cx.now.saturating_add(TIME_WAIT),
            counted: self.timers.is_set(Timer::FinWait2) && cx.config.fin_timeout <= TIME_WAIT,
            answers: RateLimit::default(),
        }
    }
}
