// SPDX-License-Identifier: GPL-2.0

//! How a connection begins (RFC 9293, 3.5).

use crate::engine::config::Config;
use crate::engine::connection::Connection;
use crate::engine::connection::Early;
use crate::engine::connection::EarlyChild;
use crate::engine::connection::Phase;
use crate::engine::connection::SynReceived;
use crate::engine::event::Reason;
use crate::engine::fast_open::FastOpenCookie;
use crate::engine::fast_open::FastOpenFail;
use crate::engine::fast_open::FastOpenOutcome;
use crate::engine::fast_open::FastOpenSyn;
use crate::engine::half_open::HalfOpen;
use crate::engine::metrics::Learned;
use crate::engine::prepared::Prepared;
use crate::engine::rx::Initial;
use crate::engine::rx::Payload;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::seq::Isn;
use crate::engine::store::Store;
use crate::engine::syn_sent;
use crate::engine::syn_sent::SynSent;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::time::Instant;
use crate::engine::time_wait::Successor;
use crate::engine::window::WindowScale;

impl<S: Store> Connection<S> {
    /// Begins an active open of a closed connection; the SYN comes out of
    /// [`Connection::poll_transmit`] (RFC 9293, 3.10.1).
    pub fn open(&mut self, now: Instant, config: &Config, isn: Isn) {
        self.config = *config;
        let initial = Initial::new(config, config.announced().into(), config.window_scaling);
        self.config.own_scale = Some(initial.scale);
        self.config.window_clamp = initial.clamp;
        self.phase = Phase::SynSent(SynSent::new(now, config, isn), Early::default());
    }

    /// Begins an active open in the place of a connection in TIME-WAIT, see
    /// [`crate::engine::TimeWait::successor`].
    pub fn open_after(
        &mut self,
        now: Instant,
        config: &Config,
        successor: &Successor,
        ts_offset: u32,
    ) {
        let seq = successor.seq;
        self.open(now, config, Isn { seq, ts_offset });
        if let Phase::SynSent(syn_sent, _) = &mut self.phase {
            syn_sent.ts_echo = successor.ts_echo;
        }
    }

    /// Makes a closed connection the one of a half-open record that a segment has completed; give it
    /// that segment next.
    pub fn complete(&mut self, config: &Config, half_open: &HalfOpen) {
        self.config = *config;
        let half_open = *half_open;
        let received = SynReceived {
            half_open,
            fast_open: None,
        };
        // As Linux: the SYN counts, and what became of the SYN-ACK.
        self.counters.segs_in = 1;
        self.counters.total_retrans = half_open.retransmits.into();
        if half_open.timeouts() > 0 {
            self.counters.total_rto = half_open.timeouts().into();
            self.counters.total_rto_recoveries = 1;
        }
        self.phase = Phase::SynReceived(received, Early::default());
    }

    /// Lets the active open that was just begun use Fast Open: what is written before the first
    /// flush goes with the SYN as far as there is room (RFC 7413, 4.1.3).
    pub fn use_fast_open(&mut self, fast_open: &FastOpenSyn) {
        if let Phase::SynSent(syn_sent, _) = &mut self.phase {
            syn_sent.fast_open = Some(*fast_open);
        }
    }

    /// Somebody waits for the connection in order to write: the acknowledgment of the peer's SYN may
    /// wait for data to ride on, as in Linux.
    pub fn await_first_write(&mut self) {
        self.config.defer_ack = true;
    }

    /// Notes why the SYN carries no data (`tcpi_fastopen_client_fail`).
    pub fn set_fast_open_fail(&mut self, fail: FastOpenFail) {
        self.counters.fast_open_fail = fail;
    }

    /// Returns what came of Fast Open, once.
    pub fn take_fast_open_outcome(&mut self) -> Option<FastOpenOutcome> {
        self.outcome.take()
    }

    /// Returns what a connection that has ended well has learned of its path, once.
    pub fn take_learned(&mut self) -> Option<Learned> {
        self.learned.take()
    }

    /// Makes a closed connection one that begins with the SYN of a peer with a right cookie; give it
    /// that SYN next (RFC 7413, 4.2.2).
    ///
    /// The SYN-ACK is sent again `retries` times, and first carries `cookie` if the peer is to have
    /// a new one.
    pub fn complete_early(
        &mut self,
        config: &Config,
        half_open: &HalfOpen,
        retries: u8,
        cookie: Option<FastOpenCookie>,
    ) {
        self.complete(config, half_open);
        // The SYN comes to the connection itself.
        self.counters.segs_in = 0;
        if let Phase::SynReceived(received, _) = &mut self.phase {
            received.fast_open = Some(EarlyChild { retries, cookie });
        }
    }

    /// Takes the SYN that a connection begins with.
    pub(super) fn begin_early(&mut self, now: Instant, segment: &SegmentIn, room: bool) -> Payload {
        let Phase::SynReceived(
            SynReceived {
                half_open,
                fast_open,
            },
            _,
        ) = &self.phase
        else {
            return Payload::Discard;
        };
        let (half_open, Some(child)) = (*half_open, *fast_open) else {
            return Payload::Discard;
        };
        // The round-trip time is for the acknowledgment of our SYN to tell.
        self.counters.fast_open_child = true;
        self.synchronize(now, &half_open.untimed(), segment);
        let (Phase::Synchronized(connection), mut cx) = self.parts(now) else {
            return Payload::Discard;
        };
        connection.begin_early(&half_open, child.retries, child.cookie);
        if !room {
            return Payload::Discard;
        }
        let (_, theirs) = half_open.agreed.scales.unwrap_or_default();
        connection.take_syn_data(&mut cx, &without_syn(segment, theirs))
    }

    /// Makes a connection and opens it, see [`Connection::open`].
    #[inline]
    pub fn connect(now: Instant, config: &Config, isn: Isn) -> Connection<S> {
        let mut connection = Connection::CLOSED;
        connection.open(now, config, isn);
        connection
    }

    /// Makes a connection of a half-open record, see [`Connection::complete`].
    #[inline]
    pub fn accept(now: Instant, config: &Config, half_open: &HalfOpen) -> Connection<S> {
        let _ = now;
        let mut connection = Connection::CLOSED;
        connection.complete(config, half_open);
        connection
    }

    pub(super) fn on_segment_syn_sent(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        room: bool,
    ) -> Payload {
        let Phase::SynSent(syn_sent, early) = &mut self.phase else {
            return Payload::Discard;
        };
        match syn_sent.on_segment(now, segment, |mib| self.tally.count(mib)) {
            syn_sent::Verdict::Ignore => {}
            syn_sent::Verdict::Reset(reset) => early.reply = Some(Prepared::new(now, reset)),
            syn_sent::Verdict::Refused => self.end(now, Fate::Closed(Reason::Refused)),
            syn_sent::Verdict::Simultaneous => {
                let isn = syn_sent.isn;
                let first = syn_sent.first_sent;
                let mut half_open = HalfOpen::simultaneous(now, &self.config, segment, isn, first);
                let mut early = *early;
                early.reply = Some(Prepared::new(now, half_open.syn_ack(now)));
                half_open.repeated = true;
                let received = SynReceived {
                    half_open,
                    fast_open: None,
                };
                self.phase = Phase::SynReceived(received, early);
            }
            syn_sent::Verdict::Established => {
                let isn = syn_sent.isn;
                let first = syn_sent.first_sent;
                let mut half_open = HalfOpen::simultaneous(now, &self.config, segment, isn, first);
                half_open.retransmits = syn_sent.retries;
                half_open.repeated = syn_sent.retries > 0;
                let received = SynReceived {
                    half_open,
                    fast_open: None,
                };
                let syn_sent = *syn_sent;
                self.counters.end_timeouts(now);
                self.tally.count(Mib::Delivered);
                self.phase = Phase::SynReceived(received, *early);
                self.establish(now, segment);
                if let Phase::Synchronized(connection) = &mut self.phase {
                    connection.acknowledge_syn(now, &self.config);
                }
                if syn_sent.fast_open.is_some() {
                    return self.end_fast_open(now, &syn_sent, segment, room);
                }
            }
        }
        Payload::Discard
    }

    /// Looks at what the SYN-ACK says of the SYN's data (Linux's `tcp_rcv_fastopen_synack`).
    ///
    /// What it does not acknowledge is sent again at once, as if for the first time.
    fn end_fast_open(
        &mut self,
        now: Instant,
        syn_sent: &SynSent,
        segment: &SegmentIn,
        room: bool,
    ) -> Payload {
        let Phase::Synchronized(connection) = &mut self.phase else {
            return Payload::Discard;
        };
        let acked = syn_sent.syn_data_acked(segment).unwrap_or(0);
        let had_data = syn_sent.syn_data > 0;
        let data_acked = had_data && acked >= syn_sent.syn_data;
        let retransmitted = syn_sent.retries > 0;
        let cookie = segment.options.fast_open;
        self.outcome = Some(FastOpenOutcome {
            cookie: cookie.filter(|cookie| !cookie.is_request()),
            mss: connection.agreed.peer_mss,
            had_data,
            data_acked,
            retransmitted,
            experimental: syn_sent
                .fast_open
                .and_then(|fast_open| fast_open.cookie)
                .is_some_and(|cookie| cookie.experimental),
        });
        if had_data && !data_acked {
            self.counters.fast_open_fail = if retransmitted {
                FastOpenFail::SynRetransmitted
            } else {
                FastOpenFail::DataNotAcked
            };
            self.counters.total_retrans = self.counters.total_retrans.saturating_add(1);
        }
        self.counters.syn_data_acked = data_acked;
        connection.fast_open = true;
        if acked > 0 {
            let mut cx = Context {
                now: syn_sent.first_sent,
                config: &self.config,
                counters: &mut self.counters,
                events: &mut self.events,
                tally: &self.tally,
            };
            connection.note_syn_data(&mut cx, acked);
            // It has not left with that data.
            connection.acknowledge_syn(now, &self.config);
        }
        let (_, theirs) = connection.agreed.scales.unwrap_or_default();
        let mut rest = without_syn(segment, theirs);
        if had_data && !data_acked {
            rest.len = 0;
            rest.flags = rest.flags.without(Flags::FIN);
        }
        self.on_segment_synchronized(now, &rest, room)
    }

    /// Makes the phase that both SYNs lead to, where it stands: it is too large to be moved.
    #[inline(never)]
    fn synchronize(&mut self, now: Instant, half_open: &HalfOpen, segment: &SegmentIn) {
        let (phase, cx) = self.parts(now);
        *phase = Phase::Synchronized(Synchronized::new(&cx, half_open, segment));
    }

    /// Our SYN is acknowledged: goes from SYN-RECEIVED to ESTABLISHED, or to where the user's
    /// wishes lead from there.
    pub(super) fn establish(&mut self, now: Instant, segment: &SegmentIn) {
        let Phase::SynReceived(received, early) = &self.phase else {
            return;
        };
        let (half_open, early) = (received.half_open, *early);
        if let Some(wait) = half_open.opening_time(now) {
            self.counters.total_rto_time = wait;
        }
        self.synchronize(now, &half_open, segment);
        if let (Phase::Synchronized(connection), cx) = self.parts(now) {
            if early.written > 0 {
                connection.on_write(&cx, early.written, early.more);
                connection.tx.record = early.record;
            }
            if early.fin {
                connection.shutdown_write();
            }
        }
        self.events.established = true;
    }
}

/// Returns the segment as it looks after its SYN, which the handshake has taken.
pub(super) fn without_syn(segment: &SegmentIn, scale: WindowScale) -> SegmentIn {
    let mut rest = *segment;
    if rest.flags.syn() {
        rest.flags = rest.flags.without(Flags::SYN);
        rest.seq = rest.seq.add(1);
        // RFC 7323, 2.2: the window of a SYN is never scaled, but what follows it is.
        rest.window = scale.field_below(u32::from(rest.window));
    }
    rest
}
