// SPDX-License-Identifier: GPL-2.0

//! How a connection begins (RFC 9293, 3.5).

use crate::engine::config::Config;
use crate::engine::connection::Connection;
use crate::engine::connection::Early;
use crate::engine::connection::Phase;
use crate::engine::connection::SynReceived;
use crate::engine::event::Reason;
use crate::engine::half_open::HalfOpen;
use crate::engine::prepared::Prepared;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::seq::Isn;
use crate::engine::store::Store;
use crate::engine::syn_sent;
use crate::engine::syn_sent::SynSent;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::time::Instant;
use crate::engine::time_wait::Successor;
use crate::engine::window::WindowScale;

impl<S: Store> Connection<S> {
    /// Begins an active open of a closed connection; the SYN comes out of
    /// [`Connection::poll_transmit`] (RFC 9293, 3.10.1).
    pub fn open(&mut self, now: Instant, config: &Config, isn: Isn) {
        self.config = *config;
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
        self.phase = Phase::SynReceived(SynReceived { half_open }, Early::default());
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

    pub(super) fn on_segment_syn_sent(&mut self, now: Instant, segment: &SegmentIn) {
        let Phase::SynSent(syn_sent, early) = &mut self.phase else {
            return;
        };
        match syn_sent.on_segment(now, segment) {
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
                self.phase = Phase::SynReceived(SynReceived { half_open }, early);
            }
            syn_sent::Verdict::Established => {
                let isn = syn_sent.isn;
                let first = syn_sent.first_sent;
                let mut half_open = HalfOpen::simultaneous(now, &self.config, segment, isn, first);
                half_open.retransmits = syn_sent.retries;
                half_open.repeated = syn_sent.retries > 0;
                self.phase = Phase::SynReceived(SynReceived { half_open }, *early);
                self.establish(now, segment);
                if let Phase::Synchronized(connection) = &mut self.phase {
                    connection.acknowledge_syn(now, &self.config);
                }
            }
        }
    }

    /// Our SYN is acknowledged: goes from SYN-RECEIVED to ESTABLISHED, or to where the user's
    /// wishes lead from there.
    pub(super) fn establish(&mut self, now: Instant, segment: &SegmentIn) {
        let Phase::SynReceived(received, early) = &self.phase else {
            return;
        };
        let (half_open, early) = (received.half_open, *early);
        let cx = Context {
            now,
            config: &self.config,
            counters: &mut self.counters,
            events: &mut self.events,
        };
        self.phase = Phase::Synchronized(Synchronized::new(&cx, &half_open, segment));
        if let Phase::Synchronized(connection) = &mut self.phase {
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
