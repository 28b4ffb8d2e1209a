// SPDX-License-Identifier: GPL-2.0

//! Loss recovery: which octets in flight are lost, and when that was a mistake.
//!
//! With SACK loss is found by time (RFC 8985), without by counting duplicates (RFC 6582); a silent
//! tail is probed (RFC 8985, 7). A time-out may prove spurious (RFC 5682), and what an echoed
//! timestamp (RFC 3522) or a DSACK (RFC 3708) shows to have been needless is undone (RFC 4015).
//!
//! The states and their transitions are Linux's (`tcp_fastretrans_alert`), which is the reference
//! wherever the RFCs leave freedom.

mod losses;
mod probe;
mod rack;
mod sacks;
mod undo;

use crate::engine::cc::Congestion;
use crate::engine::config::Config;
use crate::engine::info::CaState;
use crate::engine::ranges::Run;
use crate::engine::rate::Delivered;
use crate::engine::rate::Rate;
pub(crate) use crate::engine::recovery::losses::Timeout;
use crate::engine::recovery::probe::Probe;
use crate::engine::recovery::rack::Rack;
pub(crate) use crate::engine::recovery::sacks::Blocks;
use crate::engine::recovery::undo::Undo;
use crate::engine::scoreboard::Scoreboard;
use crate::engine::scoreboard::EVER_RETRANS;
use crate::engine::scoreboard::RETRANS;
use crate::engine::scoreboard::SACKED;
use crate::engine::store::Memory;
use crate::engine::store::Record;
use crate::engine::tally::Mib;
use crate::engine::tally::Tally;
use crate::engine::time::Duration;
use crate::engine::time::Instant;

/// What the timers of loss detection wait beyond the time computed, for the clock's granularity
/// (Linux's TCP_TIMEOUT_MIN).
pub(crate) const SLACK: Duration = Duration::from_millis(2);

/// Loss recovery of the send half.
#[derive(Clone, Debug)]
pub(crate) struct Recovery<M> {
    pub(crate) board: Scoreboard<M>,
    state: CaState,
    sack: bool,
    /// RecoveryPoint of RFC 6675; `recover` of RFC 6582: where SND.NXT was at the last change of
    /// state (Linux's `high_seq`).
    high: u64,
    /// The end of the highest SACKed octet; SND.UNA without any.
    fack: u64,
    /// Without SACK: the segments that duplicate acknowledgments tell to have arrived.
    reno_sacked: u32,
    /// Segments by which the path may displace one: as many later ones that arrived mean loss.
    reordering: u32,
    most_reordering: u32,
    reordering_seen: u32,
    rack: Rack,
    /// A tail loss probe whose answer is awaited.
    probe: Option<Probe>,
    undo: Option<Undo>,
    /// The tick at which something was sent again first in this recovery (Linux's `retrans_stamp`).
    first_retransmit: Option<u32>,
    /// RFC 5682: the time-out may have been spurious.
    frto: bool,
    /// RFC 5682, 2.1, step 2b: new data leaves before anything is sent again.
    new_first: bool,
    /// The peer took SACKed data back; not over yet.
    reneged: bool,
    /// A time-out was spurious: it does not count among the tries.
    forgiven: bool,
    /// cwnd came down, or the last reduction was undone.
    moved: Option<Moved>,
    /// A probe of the path's MTU was lost, and for its size.
    mtu_probe_lost: bool,
    /// Octets marked lost since the last acknowledgment.
    newly_lost: u64,
    /// Segments whose retransmission was lost since the last acknowledgment.
    lost_again: u32,
}

/// An acknowledgment that is being taken: what it says, and what was found out by it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ack<'a> {
    pub(crate) tally: &'a Tally,
    pub(crate) now: Instant,
    /// SND.UNA after and before.
    pub(crate) una: u64,
    pub(crate) prior_una: u64,
    /// The end of what the peer was known to hold before it.
    pub(crate) prior_fack: u64,
    pub(crate) nxt: u64,
    pub(crate) mss: u32,
    /// The largest window that the peer ever offered.
    pub(crate) max_wnd: u32,
    /// The timestamp that it echoes, less our offset.
    pub(crate) echo: Option<u32>,
    /// It carries data or a FIN.
    pub(crate) has_data: bool,
    /// It may tell of a window (Linux's FLAG_WIN_UPDATE).
    pub(crate) updates_window: bool,
    /// It echoes CE.
    pub(crate) ece: bool,
    /// New data is queued, and the peer's window lets it leave.
    pub(crate) has_new: bool,
    /// Before it.
    pub(crate) min_rtt: Option<Duration>,
    /// Where a probe of the path's MTU begins that is out.
    pub(crate) mtu_probe: Option<u64>,
    /// Segments sent again since the beginning.
    pub(crate) total_retrans: u32,
    pub(crate) found: Found,
}

impl Ack<'_> {
    pub(crate) fn advanced(&self) -> bool {
        self.una > self.prior_una
    }

    /// Linux's FLAG_NOT_DUP.
    pub(crate) fn is_no_duplicate(&self) -> bool {
        self.has_data || self.updates_window || self.found.acked_segments > 0
    }

    /// Linux's FLAG_CA_ALERT.
    fn alerts(&self) -> bool {
        self.found.sacked || self.ece || self.found.dsack
    }

    /// Returns whether the echoed timestamp is older than `when`.
    fn echoes_before(&self, when: u32) -> bool {
        is_older(self.echo, when)
    }
}

/// What taking an acknowledgment found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Found {
    /// Segments cumulatively acknowledged.
    pub(crate) acked_segments: u32,
    /// Something was SACKed for the first time.
    pub(crate) sacked: bool,
    /// Something that was sent again is acknowledged.
    pub(crate) retransmitted: bool,
    /// Something arrived that was in flight at the last change of state and never sent again.
    original: bool,
    /// It reports duplicates that we may have caused (RFC 2883).
    pub(crate) dsack: bool,
    /// They are our tail loss probe.
    dsack_of_probe: bool,
    /// It does not acknowledge what the peer SACKed before (RFC 2018, 8).
    reneging: bool,
    /// The lowest offset that arrived late though never sent again.
    late: Option<u64>,
    /// When the first and the last of what is cumulatively acknowledged left, as far as that times
    /// the path.
    pub(crate) acked_at: Option<(Instant, Instant)>,
    /// The same for what is SACKed.
    pub(crate) sacked_at: Option<(Instant, Instant)>,
    /// The peer seems to have delayed it: a lone small segment.
    pub(crate) delayed: bool,
}

impl Found {
    fn on_late(&mut self, start: u64) {
        self.late = Some(self.late.map_or(start, |late| late.min(start)));
    }
}

/// Returns whether a record that was sent again arrived as it left first: what is echoed is older
/// than the retransmission, which hence tells nothing (RFC 8985, 6.2, step 2).
fn is_original(record: &Record, echo: Option<u32>) -> bool {
    record.has(RETRANS | EVER_RETRANS) && is_older(echo, record.sent_at.tick())
}

/// Returns whether there is an echoed timestamp that is older than the tick `when`.
fn is_older(echo: Option<u32>, when: u32) -> bool {
    echo.is_some_and(|echo| (echo.wrapping_sub(when) as i32) < 0)
}

/// Adds a time to a pair of the first and the last.
fn widen(times: &mut Option<(Instant, Instant)>, at: Instant) {
    *times = Some(times.map_or((at, at), |(first, _)| (first, at)));
}

/// What became of cwnd besides growth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moved {
    /// A reduction began.
    Down,
    /// The last reduction was undone.
    Back,
}

/// What the timers have to do after an acknowledgment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Rearm {
    /// Stay as they are.
    Keep,
    /// The tail loss probe or the retransmission time-out starts anew.
    Restart,
    /// Loss may be found after this time.
    Reorder(Duration),
    /// The peer may have taken back what it SACKed: unless it explains itself within this time, all
    /// is sent again.
    Reneging(Duration),
}

/// Round-trip times that decide about loss.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rtts {
    pub(crate) srtt: Option<Duration>,
    pub(crate) min: Option<Duration>,
}

impl<M: Memory<Record>> Recovery<M> {
    pub(crate) fn new(sack: bool, config: &Config) -> Recovery<M> {
        Recovery {
            board: Scoreboard::new(),
            state: CaState::Open,
            sack,
            high: 0,
            fack: 0,
            reno_sacked: 0,
            reordering: match config.known.reordering {
                0 => config.reordering,
                known => known,
            },
            most_reordering: config.max_reordering,
            reordering_seen: 0,
            rack: Rack::new(),
            probe: None,
            undo: None,
            first_retransmit: None,
            frto: false,
            new_first: false,
            reneged: false,
            forgiven: false,
            moved: None,
            mtu_probe_lost: false,
            newly_lost: 0,
            lost_again: 0,
        }
    }

    pub(crate) fn state(&self) -> CaState {
        self.state
    }

    /// The end of what the peer is known to hold; without SACK what it acknowledged up to `una`.
    pub(crate) fn fack(&self, una: u64) -> u64 {
        if self.sack {
            self.fack
        } else {
            una
        }
    }

    pub(crate) fn reordering(&self) -> u32 {
        self.reordering
    }

    /// How often segments arrived later than others that were sent after them.
    pub(crate) fn reordering_seen(&self) -> u32 {
        self.reordering_seen
    }

    /// Returns whether what was SACKed was taken back.
    pub(crate) fn has_reneged(&self) -> bool {
        self.reneged
    }

    /// Returns the segments that the peer holds out of order, as far as is known.
    pub(crate) fn sacked_segments(&self) -> u32 {
        self.board.sacked.segments.saturating_add(self.reno_sacked)
    }

    /// Returns the octets in the network.
    pub(crate) fn pipe(&self, mss: u32) -> u64 {
        let left = u64::from(self.reno_sacked).saturating_mul(mss.into());
        self.board.pipe().saturating_sub(left)
    }

    /// Takes whether the last time-out was spurious, so that it does not count among the tries.
    pub(crate) fn take_forgiven(&mut self) -> bool {
        core::mem::take(&mut self.forgiven)
    }

    /// Takes what became of cwnd since it was asked last.
    pub(crate) fn take_moved(&mut self) -> Option<Moved> {
        self.moved.take()
    }

    /// Takes whether a probe of the path's MTU proved too large.
    pub(crate) fn take_mtu_probe_lost(&mut self) -> bool {
        core::mem::take(&mut self.mtu_probe_lost)
    }

    /// Takes the octets marked lost since it was asked last.
    pub(crate) fn take_newly_lost(&mut self) -> u64 {
        core::mem::take(&mut self.newly_lost)
    }

    /// Returns whether new data leaves before lost data now (RFC 5682, 2.1, step 2b).
    pub(crate) fn wants_new_first(&self) -> bool {
        self.new_first
    }

    /// No new data can leave after all: the time-out counts as real.
    pub(crate) fn on_no_new(&mut self, nxt: u64) {
        if self.new_first && nxt <= self.high {
            self.new_first = false;
            self.frto = false;
        }
    }

    /// Returns what has to be sent again next.
    pub(crate) fn next_lost(&mut self) -> Option<Run> {
        match self.state {
            CaState::Recovery | CaState::Loss => self.board.next_lost(),
            CaState::Open | CaState::Disorder | CaState::Cwr => None,
        }
    }

    /// Something was sent again at the tick `stamp`.
    pub(crate) fn on_retransmit(&mut self, segments: u32, stamp: u32) {
        self.first_retransmit.get_or_insert(stamp);
        if let Some(undo) = &mut self.undo {
            undo.on_retransmit(segments);
        }
    }

    /// Takes the cumulative part of an acknowledgment.
    pub(crate) fn on_cumulative(&mut self, ack: &mut Ack<'_>, rate: &mut Rate) {
        let prior_sacked = self.sacked_segments();
        let prior_fack = ack.prior_fack;
        let Recovery {
            board, rack, high, ..
        } = self;
        let (sack, high) = (self.sack, *high);
        let mut late: Option<u64> = None;
        let found = &mut ack.found;
        let (now, echo, min_rtt, mss) = (ack.now, ack.echo, ack.min_rtt, ack.mss);
        board.on_acked(ack.una, |record| {
            let again = record.has(RETRANS | EVER_RETRANS);
            if again {
                found.retransmitted = true;
            } else if !record.has(SACKED) {
                if record.times_the_path() {
                    widen(&mut found.acked_at, record.sent_at);
                }
                late.get_or_insert(record.start);
                if record.end() <= high {
                    found.original = true;
                }
            }
            found.acked_segments = found.acked_segments.saturating_add(record.segments());
            if record.has(SACKED) {
                return;
            }
            rate.on_delivered(
                &Delivered {
                    stamp: record.stamp,
                    sent_at: record.sent_at,
                    end: record.end(),
                    // Without SACK what duplicates told counts already.
                    octets: if sack { record.len.into() } else { 0 },
                    retransmitted: again,
                },
                mss,
            );
            if sack && !is_original(record, echo) {
                rack.on_delivered(record, now, min_rtt);
            }
        });
        ack.found.delayed = ack.found.acked_segments == 1
            && prior_sacked == 0
            && ack.una.saturating_sub(ack.prior_una) < ack.mss.into()
            && !ack.alerts();
        if self.board.sacked.octets == 0 {
            self.fack = ack.una;
        }
        ack.found.reneging = self.board.first().is_some_and(|first| first.has(SACKED));
        if ack.found.acked_segments == 0 {
            return;
        }
        if self.sack {
            if let Some(late) = late.filter(|&late| late < prior_fack) {
                self.note_reordering(late, ack, Mib::SackReorder);
            }
        } else {
            self.remove_reno_sacks(ack, rate);
            // Which of the segments arrived first nobody can tell.
            if ack.found.retransmitted {
                ack.found.original = false;
            }
        }
    }

    /// Decides what an acknowledgment means, once all that it says is noted: the state, and what is
    /// lost.
    pub(crate) fn judge(
        &mut self,
        ack: &Ack<'_>,
        rtts: Rtts,
        config: &Config,
        cc: &mut Congestion,
    ) -> Rearm {
        self.new_first = false;
        self.rack
            .adapt(config, cc.rate.prior_delivered(), cc.rate.delivered());
        if self.probe.is_some() {
            self.on_probe_answer(ack, cc);
        }
        // As Linux: what was SACKed left before the first segment did last, so that one is waited
        // for anew. After it, the time-out would be put off for as long as SACKs come.
        let head = self.board.first().map(|first| first.sent_at);
        let older = ack.found.sacked_at.map(|(first, _)| first);
        let passed = head.zip(older).is_some_and(|(head, older)| older < head);
        let mut rearm = if ack.found.acked_segments > 0 || passed {
            Rearm::Restart
        } else {
            Rearm::Keep
        };
        let dubious = !ack.is_no_duplicate() || ack.alerts() || self.state != CaState::Open;
        if dubious {
            let duplicate = !ack.advanced() && !ack.is_no_duplicate() && !ack.found.dsack;
            let duplicates = u32::from(duplicate);
            if let Some(other) = self.alert(ack, duplicates, rtts, config, cc) {
                rearm = other;
            }
        }
        rearm
    }

    /// Linux's `tcp_fastretrans_alert`. Returns what the timers have to do if that is something
    /// special.
    fn alert(
        &mut self,
        ack: &Ack<'_>,
        duplicates: u32,
        rtts: Rtts,
        config: &Config,
        cc: &mut Congestion,
    ) -> Option<Rearm> {
        if ack.ece {
            cc.forbid_undo();
        }
        if ack.found.reneging && ack.advanced() {
            // Half a round trip, as Linux (`tcp_check_sack_reneging`).
            let half = Duration::from_nanos(rtts.srtt.unwrap_or_default().as_nanos() / 2);
            return Some(Rearm::Reneging(half.max(Duration::from_millis(10))));
        }
        if self.state == CaState::Open {
            self.first_retransmit = None;
        } else if ack.una >= self.high {
            match self.state {
                // The CWR bit has to reach the peer, so something above must be acknowledged.
                CaState::Cwr if ack.una != self.high => {
                    cc.end_reduction(ack.now);
                    self.state = CaState::Open;
                }
                CaState::Recovery => {
                    self.reno_sacked = 0;
                    if self.try_undo_recovery(ack, cc) {
                        return None;
                    }
                    cc.end_reduction(ack.now);
                }
                _ => {}
            }
        }
        match self.state {
            CaState::Recovery => self.alert_recovery(ack, duplicates, rtts, config, cc),
            CaState::Loss => {
                self.on_ack_in_loss(ack, duplicates, cc);
                let timer = self.identify_loss(ack, rtts, config);
                if self.state == CaState::Open || self.lost_again > 0 {
                    return self.alert_open(ack, duplicates, rtts, config, cc).or(timer);
                }
                timer
            }
            CaState::Open | CaState::Disorder | CaState::Cwr => {
                self.alert_open(ack, duplicates, rtts, config, cc)
            }
        }
    }

    fn alert_recovery(
        &mut self,
        ack: &Ack<'_>,
        duplicates: u32,
        rtts: Rtts,
        config: &Config,
        cc: &mut Congestion,
    ) -> Option<Rearm> {
        if !ack.advanced() {
            self.add_reno_sacks(ack, duplicates, &mut cc.rate);
        } else if self.try_undo_partial(ack, cc) {
            return None;
        }
        if self.try_undo_dsack(ack, cc) {
            self.try_to_open(ack, cc);
        }
        let timer = self.identify_loss(ack, rtts, config);
        if self.state != CaState::Recovery && self.board.lost.octets > 0 {
            // Undo ended the recovery, and there is loss nevertheless.
            self.enter_recovery(ack.nxt, ack.una, ack.ece, cc, ack.tally);
        }
        timer
    }

    fn alert_open(
        &mut self,
        ack: &Ack<'_>,
        duplicates: u32,
        rtts: Rtts,
        config: &Config,
        cc: &mut Congestion,
    ) -> Option<Rearm> {
        if ack.advanced() {
            self.reno_sacked = 0;
        }
        self.add_reno_sacks(ack, duplicates, &mut cc.rate);
        if matches!(self.state, CaState::Open | CaState::Disorder) {
            let _ = self.try_undo_dsack(ack, cc);
        }
        let timer = self.identify_loss(ack, rtts, config);
        let calm = matches!(self.state, CaState::Open | CaState::Disorder);
        if self.board.lost.octets == 0 {
            self.try_to_open(ack, cc);
        } else if calm && ack.mtu_probe == Some(ack.una) {
            // RFC 4821, 7.6.2: a probe that is lost alone was too large for the path; that is no
            // congestion.
            self.mtu_probe_lost = true;
            ack.tally.count(Mib::MtupFail);
            cc.end_mtu_probe();
            self.on_mss(ack.mss, ack.nxt, cc, ack.tally);
        } else {
            self.enter_recovery(ack.nxt, ack.una, ack.ece, cc, ack.tally);
        }
        timer
    }

    /// Begins fast recovery (Linux's `tcp_enter_recovery`).
    pub(crate) fn enter_recovery(
        &mut self,
        nxt: u64,
        una: u64,
        ece: bool,
        cc: &mut Congestion,
        tally: &Tally,
    ) {
        tally.count(if self.sack {
            Mib::SackRecovery
        } else {
            Mib::RenoRecovery
        });
        self.forget_first_retransmit();
        self.begin_undo(una);
        if !cc.is_reducing() {
            self.high = nxt;
            self.probe = None;
            self.moved = Some(Moved::Down);
        }
        cc.enter_recovery(ece);
        self.state = CaState::Recovery;
    }

    /// Congestion without loss: cwnd comes down (Linux's `tcp_enter_cwr`).
    pub(crate) fn enter_cwr(&mut self, nxt: u64, cc: &mut Congestion) {
        cc.enter_cwr(self.state);
        if matches!(self.state, CaState::Open | CaState::Disorder) {
            self.undo = None;
            self.high = nxt;
            self.probe = None;
            self.moved = Some(Moved::Down);
            self.state = CaState::Cwr;
        }
    }

    /// Linux's `tcp_try_to_open`.
    fn try_to_open(&mut self, ack: &Ack<'_>, cc: &mut Congestion) {
        self.forget_first_retransmit();
        if ack.ece {
            self.enter_cwr(ack.nxt, cc);
        }
        if self.state != CaState::Cwr {
            self.try_keep_open(ack.nxt);
        }
    }

    /// Linux's `tcp_try_keep_open`.
    fn try_keep_open(&mut self, nxt: u64) {
        let left = self.sacked_segments() > 0 || self.board.lost.octets > 0;
        let state = if left || self.any_retransmit_out() {
            CaState::Disorder
        } else {
            CaState::Open
        };
        if self.state != state {
            self.state = state;
            self.high = nxt;
        }
    }

    /// Linux's `tcp_any_retrans_done`.
    fn any_retransmit_out(&self) -> bool {
        let first = self.board.first();
        self.board.retrans.octets > 0 || first.is_some_and(|first| first.has(EVER_RETRANS))
    }

    fn forget_first_retransmit(&mut self) {
        if !self.any_retransmit_out() {
            self.first_retransmit = None;
        }
    }
}
