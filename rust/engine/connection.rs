// SPDX-License-Identifier: GPL-2.0

//! A connection, from `connect` or `accept` to its end.

mod opening;
mod receiving;
pub(crate) mod report;
mod settings;

use self::report::Queued;
use crate::engine::config::Config;
use crate::engine::event::Blackhole;
use crate::engine::event::Doubt;
use crate::engine::event::Event;
use crate::engine::event::Events;
use crate::engine::event::Reason;
use crate::engine::fast_open::FastOpenCookie;
use crate::engine::fast_open::FastOpenOutcome;
use crate::engine::half_open::HalfOpen;
use crate::engine::half_open::HalfOpenDeadline;
use crate::engine::half_open::HalfOpenVerdict;
use crate::engine::info::Counters;
use crate::engine::info::Info;
use crate::engine::metrics::Learned;
use crate::engine::prepared::Prepared;
use crate::engine::rx::Payload;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;
use crate::engine::seq::SeqNum;
use crate::engine::signature::Signature;
use crate::engine::state::State;
use crate::engine::store::Store;
use crate::engine::syn_sent;
use crate::engine::syn_sent::SynSent;
use crate::engine::synchronized::orphan::Resources;
use crate::engine::synchronized::output::Limits;
use crate::engine::synchronized::Context;
use crate::engine::synchronized::Fate;
use crate::engine::synchronized::Synchronized;
use crate::engine::tally::Mib;
use crate::engine::tally::Tally;
use crate::engine::time::Instant;
use crate::engine::urgent::Mark;
use core::mem::MaybeUninit;

/// A TCP connection without bytes, clock or network.
///
/// The owner calls four kinds of methods, always with one `now` per entry:
///
/// - input: [`on_segment`](Self::on_segment), [`on_deadline`](Self::on_deadline);
/// - the user's wishes: [`on_write`](Self::on_write), [`on_read`](Self::on_read),
///   [`shutdown_write`](Self::shutdown_write), [`close`](Self::close), [`abort`](Self::abort),
///   `set_…`;
/// - output: after any of those [`poll_transmit`](Self::poll_transmit) until `None`, then
///   [`poll_event`](Self::poll_event) until `None`, then [`next_deadline`](Self::next_deadline);
/// - getters, at any time.
///
/// The owner keeps written bytes from [`acked`](Self::acked) on, and received ones until they are
/// read. Places in both streams are offsets: the first byte is 0.
pub struct Connection<S: Store> {
    config: Config,
    phase: Phase<S>,
    events: Events,
    tally: Tally,
    counters: Counters,
    /// What came of Fast Open, until the owner asks.
    outcome: Option<FastOpenOutcome>,
    /// What was learned of the path, until the owner asks.
    learned: Option<Learned>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "the engine has no heap, and a connection spends its life in the large variant"
)]
enum Phase<S: Store> {
    SynSent(SynSent, Early),
    SynReceived(SynReceived, Early),
    Synchronized(Synchronized<S>),
    Ended(Ended),
}

/// What the user asked for before the connection was established.
#[derive(Clone, Copy, Debug, Default)]
struct Early {
    written: u64,
    record: u64,
    more: bool,
    fin: bool,
    /// A RST that answers a segment of somebody else.
    reply: Option<Prepared>,
}

#[derive(Clone, Copy, Debug)]
struct SynReceived {
    half_open: HalfOpen,
    /// The connection begins with the SYN itself, which comes next.
    fast_open: Option<EarlyChild>,
}

/// What a server's connection with Fast Open begins with.
#[derive(Clone, Copy, Debug)]
struct EarlyChild {
    /// Retransmissions of the SYN-ACK.
    retries: u8,
    /// A new cookie for the client.
    cookie: Option<FastOpenCookie>,
}

/// The stream offsets of a connection that is over, and the last segment that still has to leave.
#[derive(Clone, Copy, Debug)]
struct Ended {
    state: State,
    acked: u64,
    sent: u64,
    written: u64,
    readable: u64,
    read: u64,
    mark: Option<Mark>,
    queued: Queued,
    last: Option<Prepared>,
    /// What was told of it last, and when.
    info: Option<(Instant, Info)>,
}

impl<S: Store> Connection<S> {
    /// Makes a connection that is closed, for [`Connection::open`] or [`Connection::complete`].
    ///
    /// It is made where it will live: a connection is large, and an owner's stack may be small.
    pub fn closed(room: &mut MaybeUninit<Connection<S>>) -> &mut Connection<S> {
        room.write(Connection::CLOSED)
    }

    // A constant, since the compiler copies one straight to its place.
    #[expect(
        clippy::declare_interior_mutable_const,
        reason = "each use is another connection"
    )]
    const CLOSED: Connection<S> = Connection {
        config: Config::LINUX,
        phase: Phase::Ended(Ended {
            state: State::Closed,
            acked: 0,
            sent: 0,
            written: 0,
            readable: 0,
            read: 0,
            mark: None,
            queued: Queued::NONE,
            last: None,
            info: None,
        }),
        events: Events::NONE,
        tally: Tally::NONE,
        counters: Counters::ZERO,
        outcome: None,
        learned: None,
    };

    /// Returns the phase, and beside it what it is lent.
    fn parts(&mut self, now: Instant) -> (&mut Phase<S>, Context<'_>) {
        let cx = Context {
            now,
            config: &self.config,
            counters: &mut self.counters,
            events: &mut self.events,
            tally: &self.tally,
        };
        (&mut self.phase, cx)
    }

    /// Takes a segment that arrived at `now`, and says what becomes of its payload.
    pub fn on_segment(&mut self, now: Instant, segment: &SegmentIn) -> Payload {
        self.take_segment(now, segment, true)
    }

    /// Takes a segment whose payload the owner has no memory for: only its payload and its FIN are
    /// lost, as Linux does when a receive buffer is full.
    pub fn on_segment_without_room(&mut self, now: Instant, segment: &SegmentIn) {
        let _ = self.take_segment(now, segment, false);
    }

    fn take_segment(&mut self, now: Instant, segment: &SegmentIn, room: bool) -> Payload {
        self.counters.on_segment_in(segment);
        match &mut self.phase {
            Phase::SynSent(..) => self.on_segment_syn_sent(now, segment, room),
            Phase::SynReceived(received, _) if received.fast_open.is_some() => {
                self.begin_early(now, segment, room)
            }
            Phase::SynReceived(received, early) => {
                let patience = self.config.syn_patience();
                let tally = &self.tally;
                // As Linux, whose socket it is already.
                let count = |mib| match mib {
                    Mib::AckSkippedSynRecv => tally.count(Mib::AckSkippedSeq),
                    mib => tally.count(mib),
                };
                match received
                    .half_open
                    .on_segment(now, segment, &patience, count)
                {
                    HalfOpenVerdict::Ignore | HalfOpenVerdict::Deferred => Payload::Discard,
                    HalfOpenVerdict::Reply(reply) | HalfOpenVerdict::Reset(reply) => {
                        early.reply = Some(Prepared::new(now, reply));
                        Payload::Discard
                    }
                    HalfOpenVerdict::Remove(_) => {
                        self.end(now, Fate::Closed(Reason::Refused));
                        Payload::Discard
                    }
                    HalfOpenVerdict::Established => {
                        let scales = received.half_open.agreed.scales.unwrap_or_default();
                        self.establish(now, segment);
                        let rest = opening::without_syn(segment, scales.1);
                        self.on_segment_synchronized(now, &rest, room)
                    }
                }
            }
            Phase::Synchronized(_) => self.on_segment_synchronized(now, segment, room),
            Phase::Ended(_) => Payload::Discard,
        }
    }

    fn on_segment_synchronized(
        &mut self,
        now: Instant,
        segment: &SegmentIn,
        room: bool,
    ) -> Payload {
        let (Phase::Synchronized(connection), mut cx) = self.parts(now) else {
            return Payload::Discard;
        };
        let (payload, fate) = connection.on_segment(&mut cx, segment, room);
        self.end(now, fate);
        if let (Fate::Refused(_), Phase::Ended(ended)) = (fate, &mut self.phase) {
            let reset = crate::engine::closed::on_closed(segment);
            ended.last = reset.map(|reset| Prepared::new(now, reset));
        }
        payload
    }

    /// Carries out what a call decided about the connection's life: the only way out of a phase.
    fn end(&mut self, now: Instant, fate: Fate) {
        if fate == Fate::Alive {
            return;
        }
        if let Phase::Synchronized(connection) = &self.phase {
            // As Linux (`tcp_fastopen_active_disable_ofo_check`).
            let alone = self.counters.data_segs_in == 0 && connection.rx.has_only_fin();
            if connection.fast_open && alone {
                self.events.blackhole = Some(Blackhole::OutOfOrder);
            }
            if matches!(fate, Fate::TimeWait | Fate::Closed(Reason::Finished)) {
                self.learned = Some(connection.learned(&self.config));
            }
        }
        let mut ended = Ended {
            state: State::Closed,
            acked: self.acked(),
            sent: self.sent(),
            written: self.written(),
            readable: self.readable(),
            read: self.read(),
            mark: self.mark(),
            queued: self.queued(),
            last: None,
            info: Some((now, self.info(now))),
        };
        let (phase, cx) = self.parts(now);
        match (fate, phase) {
            (Fate::TimeWait, Phase::Synchronized(connection)) => {
                let record = connection.time_wait(&cx);
                ended.last = Some(Prepared::new(now, record.ack(now)));
                ended.state = State::TimeWait;
                cx.events.time_wait = Some(record);
            }
            (Fate::Reset(reason), Phase::Synchronized(connection)) => {
                ended.last = Some(Prepared::new(now, connection.reset_segment(&cx)));
                cx.events.closed = Some(reason);
            }
            (Fate::Reset(reason), Phase::SynReceived(received, _)) => {
                let half_open = &received.half_open;
                let (seq, ack) = (half_open.isn.seq.add(1), half_open.irs.add(1));
                let reset = SegmentOut::bare(seq, ack, Flags::RST.with(Flags::ACK));
                ended.last = Some(Prepared::new(now, reset));
                cx.events.closed = Some(reason);
            }
            (Fate::Closed(reason) | Fate::Reset(reason) | Fate::Refused(reason), _) => {
                cx.events.closed = Some(reason);
            }
            (Fate::TimeWait | Fate::Alive, _) => return,
        }
        // What the options tell of it stays.
        self.config.window_clamp = self.window_clamp();
        self.config.mss = self.send_mss() as u16;
        self.phase = Phase::Ended(ended);
    }

    /// Notes that `len` bytes were appended to the send buffer; `more` tells that others follow
    /// soon (MSG_MORE).
    pub fn on_write(&mut self, now: Instant, len: u32, more: bool) {
        let (phase, cx) = self.parts(now);
        match phase {
            Phase::SynSent(_, early) | Phase::SynReceived(_, early) => {
                if !early.fin {
                    early.written = early.written.saturating_add(u64::from(len));
                    early.more = more;
                }
            }
            Phase::Synchronized(connection) => {
                connection.on_write(&cx, u64::from(len), more);
            }
            Phase::Ended(_) => {}
        }
    }

    /// Ends a record (MSG_EOR): no segment will have bytes from before and after here. The owner's
    /// `fit`, see [`Connection::poll_transmit`], must not reach beyond the end of a record either.
    pub fn end_record(&mut self) {
        match &mut self.phase {
            Phase::SynSent(_, early) | Phase::SynReceived(_, early) => early.record = early.written,
            Phase::Synchronized(connection) => connection.tx.record = connection.tx.written,
            Phase::Ended(_) => {}
        }
    }

    /// Notes that the reader consumed `len` bytes.
    pub fn on_read(&mut self, now: Instant, len: u32) {
        let _ = now;
        match &mut self.phase {
            Phase::Synchronized(connection) => connection.rx.on_read(&self.config, len),
            Phase::Ended(ended) => {
                let read = ended.read.saturating_add(u64::from(len));
                ended.read = read.min(ended.readable);
                ended.mark = ended.mark.filter(|mark| mark.at >= ended.read);
            }
            Phase::SynSent(..) | Phase::SynReceived(..) => {}
        }
    }

    /// Closes the sending half: FIN follows what is queued, and the state changes now.
    ///
    /// In SYN-SENT the connection is given up, as Linux does; in SYN-RECEIVED the FIN waits for
    /// ESTABLISHED (RFC 9293, 3.10.4).
    pub fn shutdown_write(&mut self, now: Instant) {
        match &mut self.phase {
            Phase::SynSent(..) => self.end(now, Fate::Closed(Reason::Aborted)),
            Phase::SynReceived(_, early) => early.fin = true,
            Phase::Synchronized(connection) => connection.shutdown_write(),
            Phase::Ended(_) => {}
        }
    }

    /// Notes that the owner's descriptor is gone: nobody reads or writes any more.
    ///
    /// Unread data, or data that arrives later, resets the connection; otherwise what is queued is
    /// delivered and FIN sent, for a bounded time.
    pub fn close(&mut self, now: Instant) {
        let (phase, cx) = self.parts(now);
        match phase {
            Phase::SynSent(..) => self.end(now, Fate::Closed(Reason::Aborted)),
            Phase::SynReceived(..) => self.end(now, Fate::Reset(Reason::Aborted)),
            Phase::Synchronized(connection) => {
                let fate = connection.close(&cx);
                self.end(now, fate);
            }
            Phase::Ended(_) => {}
        }
    }

    /// Notes what the host has left for a connection without a descriptor; to be told before
    /// [`Connection::on_deadline`].
    pub fn set_resources(&mut self, resources: Resources) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.resources = resources;
        }
    }

    /// After [`Connection::close`] and [`Connection::set_resources`]: resets the connection if there
    /// are too many of its kind.
    pub fn on_orphaned(&mut self, now: Instant) {
        if let Phase::Synchronized(connection) = &self.phase {
            let fate = connection.on_orphaned();
            self.end(now, fate);
        }
    }

    /// Gives the connection up (RFC 9293, 3.10.5): a RST in states that call for one, then CLOSED.
    pub fn abort(&mut self, now: Instant) {
        let fate = match self.state() {
            // As Linux (`tcp_need_reset`): in the other states the peer has closed already and
            // expects nothing.
            State::SynReceived
            | State::Established
            | State::FinWait1
            | State::FinWait2
            | State::CloseWait => Fate::Reset(Reason::Aborted),
            State::SynSent | State::Closing | State::LastAck => Fate::Closed(Reason::Aborted),
            State::Closed | State::Listen | State::TimeWait => return,
        };
        self.end(now, fate);
    }

    /// Ends the connection without a word to the peer: the network says that it cannot be reached.
    pub fn give_up(&mut self, now: Instant) {
        self.end(now, Fate::Closed(Reason::Aborted));
    }

    /// Acts on the timers that have expired. May be called early.
    pub fn on_deadline(&mut self, now: Instant) {
        let (phase, mut cx) = self.parts(now);
        let fate = match phase {
            Phase::SynSent(syn_sent, _) => {
                if now >= syn_sent.deadline {
                    cx.tally.count(Mib::Timeouts);
                }
                let before = syn_sent.retries;
                let verdict = syn_sent.on_deadline(now, cx.config);
                let over = verdict == syn_sent::Deadline::TimedOut;
                let third = before == 2 && syn_sent.retries > before;
                // As Linux (`tcp_fastopen_active_detect_blackhole`).
                if syn_sent.fast_open.is_some() && (third || (before <= 2 && over)) {
                    cx.events.blackhole = Some(Blackhole::TimedOut);
                }
                if syn_sent.retries > before {
                    // The one before was a retransmission itself.
                    cx.tally.add(Mib::LostRetransmit, u32::from(before > 0));
                    cx.counters.on_timeout(now, before == 0);
                }
                match verdict {
                    syn_sent::Deadline::Wait => {
                        cx.events.doubt = syn_sent.doubt();
                        Fate::Alive
                    }
                    syn_sent::Deadline::TimedOut => Fate::Closed(Reason::TimedOut),
                }
            }
            Phase::SynReceived(received, early) => {
                let patience = cx.config.syn_patience();
                match received.half_open.on_deadline(now, &patience) {
                    HalfOpenDeadline::Early | HalfOpenDeadline::Wait => Fate::Alive,
                    HalfOpenDeadline::Retransmit(syn_ack) => {
                        cx.tally.count(Mib::Timeouts);
                        early.reply = Some(Prepared::new(now, syn_ack));
                        Fate::Alive
                    }
                    HalfOpenDeadline::Expired => Fate::Closed(Reason::TimedOut),
                }
            }
            Phase::Synchronized(connection) => connection.on_deadline(&mut cx),
            Phase::Ended(_) => Fate::Alive,
        };
        self.end(now, fate);
    }

    /// Returns when [`Connection::on_deadline`] wants to be called.
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::SynSent(syn_sent, _) => Some(syn_sent.deadline),
            Phase::SynReceived(received, _) => Some(received.half_open.next_deadline()),
            Phase::Synchronized(connection) => connection.next_deadline(),
            Phase::Ended(_) => None,
        }
    }

    /// Returns the next segment to send, until there is none.
    ///
    /// `fit(offset, len)` says how many of these bytes fit one buffer of the owner: at least one
    /// segment, or all, or those up to the end of a record ([`Connection::end_record`]).
    pub fn poll_transmit(
        &mut self,
        now: Instant,
        limits: &Limits,
        mut fit: impl FnMut(u64, u32) -> u32,
    ) -> Option<SegmentOut> {
        let (phase, mut cx) = self.parts(now);
        let mut segment = match phase {
            Phase::SynSent(syn_sent, early) => early
                .reply
                .take()
                .map(|reply| reply.leave(now))
                .or_else(|| syn_sent.poll_transmit(now, cx.config, early.written)),
            Phase::SynReceived(received, early) => {
                let reply = early.reply.take();
                reply.map(|reply| received.half_open.leave(now, reply))
            }
            Phase::Synchronized(connection) => connection.poll_transmit(&mut cx, limits, &mut fit),
            Phase::Ended(ended) => ended.last.take().map(|last| last.leave(now)),
        }?;
        if self.config.signed {
            self.make_room_for_signature(&mut segment);
        }
        if segment.flags.syn() && segment.retransmission {
            self.counters.total_retrans = self.counters.total_retrans.saturating_add(1);
        }
        // As Linux: the SYN-ACK of a connection that a listener made is not its own.
        if !segment.flags.syn() || !matches!(self.phase, Phase::Synchronized(_)) {
            self.counters.on_segment_out(&segment);
        }
        Some(segment)
    }

    /// As Linux (`tcp_syn_options`): a SYN of ours that is signed does not offer timestamps, which would
    /// leave no room for SACK blocks later.
    #[cold]
    fn make_room_for_signature(&self, segment: &mut SegmentOut) {
        segment.options.signature = Signature::First;
        if segment.flags.syn() && !matches!(self.phase, Phase::Synchronized(_)) {
            segment.options.timestamps = None;
        }
    }

    /// Returns the next event, until there is none.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.take()
    }

    /// Takes what the last [`Connection::on_deadline`] makes of the way to the peer.
    pub fn take_doubt(&mut self) -> Option<Doubt> {
        self.events.doubt.take()
    }

    /// Returns why the connection is over, until [`Connection::poll_event`] has told.
    pub fn pending_end(&self) -> Option<Reason> {
        self.events.closed
    }

    /// Hands out what was counted since this was asked last, by the number of each [`Mib`].
    ///
    /// [`Mib`]: crate::engine::Mib
    pub fn take_tally(&self, each: impl FnMut(usize, u16)) {
        self.tally.take(each);
    }

    /// Returns the state of RFC 9293.
    pub fn state(&self) -> State {
        match &self.phase {
            Phase::SynSent(..) => State::SynSent,
            Phase::SynReceived(..) => State::SynReceived,
            Phase::Synchronized(connection) => connection.state,
            Phase::Ended(ended) => ended.state,
        }
    }

    /// Returns the offset of the first written byte that is not acknowledged; the owner may free
    /// those below.
    pub fn acked(&self) -> u64 {
        match &self.phase {
            Phase::SynSent(..) | Phase::SynReceived(..) => 0,
            Phase::Synchronized(connection) => connection.tx.una.min(connection.tx.written),
            Phase::Ended(ended) => ended.acked,
        }
    }

    /// Returns the sequence number of the byte at a stream offset, 0 where there is no connection
    /// any more.
    pub fn seq_at(&self, offset: u64) -> SeqNum {
        match &self.phase {
            Phase::SynSent(syn_sent, _) => syn_sent.isn.seq.add(1).add(offset as u32),
            Phase::SynReceived(received, _) => received.half_open.isn.seq.add(1).add(offset as u32),
            Phase::Synchronized(connection) => connection.tx.seq(offset),
            Phase::Ended(_) => SeqNum(0),
        }
    }

    /// Returns the offset after the last byte sent.
    pub fn sent(&self) -> u64 {
        match &self.phase {
            Phase::SynSent(..) | Phase::SynReceived(..) => 0,
            Phase::Synchronized(connection) => connection.tx.nxt.min(connection.tx.written),
            Phase::Ended(ended) => ended.sent,
        }
    }

    /// Returns the offset after the last byte written.
    pub fn written(&self) -> u64 {
        match &self.phase {
            Phase::SynSent(_, early) | Phase::SynReceived(_, early) => early.written,
            Phase::Synchronized(connection) => connection.tx.written,
            Phase::Ended(ended) => ended.written,
        }
    }

    /// Returns the offset after the last byte received in order.
    pub fn readable(&self) -> u64 {
        match &self.phase {
            Phase::SynSent(..) | Phase::SynReceived(..) => 0,
            Phase::Synchronized(connection) => connection.rx.nxt,
            Phase::Ended(ended) => ended.readable,
        }
    }

    /// Returns the offset after the last byte that the reader consumed.
    pub fn read(&self) -> u64 {
        match &self.phase {
            Phase::SynSent(..) | Phase::SynReceived(..) => 0,
            Phase::Synchronized(connection) => connection.rx.read,
            Phase::Ended(ended) => ended.read,
        }
    }
}
