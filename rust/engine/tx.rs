// SPDX-License-Identifier: GPL-2.0

//! The send half: what is written, sent and acknowledged, and which octets may leave next.
//!
//! Offsets count from the first octet ever written. The SYN lies before offset 0; the FIN takes the
//! offset `written`.

use crate::engine::segment::Flags;
use crate::engine::seq::SeqNum;
use crate::engine::window::WindowScale;
use crate::engine::window::DEFAULT_MSS;

/// The send sequence variables (RFC 9293, 3.3.1) and the state of the send buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tx {
    /// ISS.
    pub(crate) iss: SeqNum,
    /// SND.UNA as a stream offset.
    pub(crate) una: u64,
    /// SND.NXT as a stream offset.
    pub(crate) nxt: u64,
    /// Where the written data ends.
    pub(crate) written: u64,
    /// SND.WND in octets from `una`.
    pub(crate) wnd: u32,
    /// The largest SND.WND seen.
    pub(crate) max_wnd: u32,
    /// SND.WL1: SEG.SEQ of the last window update.
    pub(crate) wl1: SeqNum,
    /// What the peer's window fields are shifted by.
    pub(crate) scale: WindowScale,
    /// Where the last write without MSG_MORE ended: PSH goes there.
    pub(crate) push: u64,
    /// Where the last record ended (MSG_EOR): no segment reaches beyond its end.
    pub(crate) record: u64,
    /// The end of the last segment sent that was not full (Minshall's snd_sml; Linux's `snd_sml`).
    pub(crate) small: u64,
    /// SND.UP: where the urgent data ends; not above `una` when there is none.
    pub(crate) up: u64,
    /// Whether the last write announced more (MSG_MORE).
    pub(crate) more: bool,
    /// Whether a partial segment may leave in spite of Nagle, cork and silly-window avoidance: the
    /// override timer fired.
    pub(crate) override_hold: bool,
    /// It is the persist timer that lets it leave.
    pub(crate) persisted: bool,
}

/// New octets that may leave now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Chunk {
    pub(crate) offset: u64,
    pub(crate) len: u32,
    /// Whether FIN follows the last octet in the same segment.
    pub(crate) fin: bool,
}

/// What may leave next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NewData {
    /// These octets.
    Send(Chunk),
    /// Nothing is queued.
    Empty,
    /// cwnd is full.
    Congested,
    /// The peer's window is too small.
    Window,
    /// A partial segment waits (Nagle, cork, MSG_MORE).
    Held,
    /// The owner takes no data now.
    Owner,
}

/// What limits sending besides the send half itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    /// Payload octets per segment.
    pub(crate) mss: u32,
    /// cwnd minus pipe, in octets; at least one segment when nothing is in flight.
    pub(crate) cwnd: u64,
    /// The owner's limit for one [`crate::engine::SegmentOut`].
    pub(crate) max_len: u32,
    /// The octets that one segment can have because a record ends behind them (MSG_EOR).
    pub(crate) record: Option<u64>,
    /// Whether a FIN follows the data.
    pub(crate) fin: bool,
    /// Whether small segments leave at once.
    pub(crate) nodelay: bool,
    /// Whether partial segments are kept back (`TCP_CORK`).
    pub(crate) cork: bool,
}

impl Tx {
    /// Makes the send half of a connection whose SYN is acknowledged.
    pub(crate) fn new(iss: SeqNum, scale: WindowScale, wnd: u32, wl1: SeqNum) -> Tx {
        Tx {
            iss,
            una: 0,
            nxt: 0,
            written: 0,
            wnd,
            max_wnd: wnd,
            wl1,
            scale,
            push: 0,
            up: 0,
            record: 0,
            small: 0,
            more: false,
            override_hold: false,
            persisted: false,
        }
    }

    /// Returns the sequence number of a stream offset.
    pub(crate) fn seq(&self, offset: u64) -> SeqNum {
        self.iss.add(1).add(offset as u32)
    }

    /// Returns SEG.ACK minus SND.UNA.
    pub(crate) fn ack_distance(&self, ack: SeqNum) -> i64 {
        i64::from(ack.distance_from(self.seq(self.una)))
    }

    /// Returns the octets (FIN included) sent and not acknowledged.
    pub(crate) fn in_flight(&self) -> u64 {
        self.nxt.saturating_sub(self.una)
    }

    /// Returns the offset that the peer's window does not contain any more.
    pub(crate) fn window_end(&self) -> u64 {
        self.una.saturating_add(u64::from(self.wnd))
    }

    /// Returns the written octets not sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.written.saturating_sub(self.nxt)
    }

    /// Returns whether something waits to be sent for the first time.
    pub(crate) fn has_unsent(&self, fin: bool) -> bool {
        self.unsent() > 0 || (fin && self.nxt <= self.written)
    }

    /// Returns whether a segment's window is news.
    pub(crate) fn may_update_window(&self, seq: SeqNum, advanced: bool, field: u16) -> bool {
        let wnd = self.scale.scale_up(field);
        advanced || seq.after(self.wl1) || (seq == self.wl1 && (wnd > self.wnd || wnd == 0))
    }

    /// Takes SND.WND from a segment if it is news.
    ///
    /// RFC 9293, 3.10.7.4 compares SND.WL1 and SND.WL2. Like Linux (`tcp_may_update_window`) the
    /// engine also lets a window that an equal segment repeats only grow or close, so that
    /// reordered acknowledgments do not shrink it. Returns whether it was taken.
    pub(crate) fn update_window(&mut self, seq: SeqNum, advanced: bool, field: u16) -> bool {
        if !self.may_update_window(seq, advanced, field) {
            return false;
        }
        let wnd = self.scale.scale_up(field);
        self.wl1 = seq;
        self.wnd = wnd;
        self.max_wnd = self.max_wnd.max(wnd);
        true
    }

    /// Returns the segment size that half of the peer's buffer allows (Linux's
    /// `tcp_bound_to_half_wnd`), so that a small buffer still holds two segments and
    /// acknowledgments flow.
    pub(crate) fn bound_to_window(&self, mss: u32) -> u32 {
        let cutoff = if self.max_wnd > u32::from(DEFAULT_MSS) {
            self.max_wnd / 2
        } else {
            self.max_wnd
        };
        if cutoff > 0 && mss > cutoff {
            cutoff.max(8)
        } else {
            mss
        }
    }

    /// Decides what may leave next.
    pub(crate) fn next_new(&self, budget: &Budget) -> NewData {
        let queued = self.unsent();
        if queued == 0 {
            return self.next_fin(budget);
        }
        let unsent = budget.record.map_or(queued, |len| queued.min(len.max(1)));
        let is_last = unsent == queued;
        let mss = u64::from(budget.mss.max(1));
        let window = self.window_end().saturating_sub(self.nxt);
        if window == 0 {
            return NewData::Window;
        }
        if budget.max_len == 0 {
            return NewData::Owner;
        }
        if budget.cwnd < mss.min(unsent) {
            return NewData::Congested;
        }
        let most = u64::from(budget.max_len).max(mss);
        let mut len = unsent.min(window).min(budget.cwnd).min(most);
        let reaches_end = len == unsent;
        let tail = len.checked_rem(mss).unwrap_or(0);
        // As Linux only the end of all data waits, not that of a record before others.
        let may_leave = reaches_end && (!is_last || self.tail_may_leave(budget));
        if tail > 0 && !may_leave {
            if len > tail {
                len = len.saturating_sub(tail);
            } else if reaches_end {
                return NewData::Held;
            } else if !self.override_hold && len < u64::from(self.max_wnd / 2).min(mss) {
                // RFC 9293, 3.8.6.2.1: a silly window; the persist timer overrides.
                return NewData::Window;
            }
        }
        let ends = len == queued;
        NewData::Send(Chunk {
            offset: self.nxt,
            len: u32::try_from(len).unwrap_or(u32::MAX),
            fin: ends && budget.fin && window > len,
        })
    }

    fn next_fin(&self, budget: &Budget) -> NewData {
        if !budget.fin || self.nxt > self.written {
            return NewData::Empty;
        }
        if self.window_end() <= self.nxt {
            return NewData::Window;
        }
        NewData::Send(Chunk {
            offset: self.nxt,
            len: 0,
            fin: true,
        })
    }

    /// Returns whether the peer has to hear of urgent data (RFC 9293, 3.8.5).
    pub(crate) fn is_urgent(&self) -> bool {
        self.up > self.una
    }

    /// Returns whether a partial segment at the end of the data may leave.
    ///
    /// RFC 9293, 3.7.4 (Nagle) in Minshall's form, as Linux (`tcp_nagle_check`): it waits only
    /// while another partial segment is in flight.
    fn tail_may_leave(&self, budget: &Budget) -> bool {
        if self.override_hold || budget.fin || self.is_urgent() {
            return true;
        }
        if budget.cork || self.more {
            return false;
        }
        budget.nodelay || self.small <= self.una
    }

    /// Notes that a chunk left and returns the flags it needs besides ACK; `partial` if its last
    /// segment was as small as the user's data or the peer's window made it.
    pub(crate) fn on_sent(&mut self, chunk: &Chunk, partial: bool) -> Flags {
        let end = chunk.offset.saturating_add(u64::from(chunk.len));
        let mut flags = self.flags_for(chunk.offset, end, chunk.fin);
        self.nxt = self.nxt.max(end.saturating_add(u64::from(chunk.fin)));
        if partial {
            self.small = end;
        }
        self.override_hold = false;
        if core::mem::take(&mut self.persisted) {
            // As Linux (`tcp_write_wakeup`): the peer has no room for more.
            flags = flags.with(Flags::PSH);
        }
        flags
    }

    /// Returns PSH and FIN for the octets `start..end`.
    ///
    /// RFC 9293, 3.9.1 (SEND): PSH on the last segment of a write, unless the user announced more.
    pub(crate) fn flags_for(&self, start: u64, end: u64, fin: bool) -> Flags {
        let mut flags = Flags::default();
        if start < self.push && self.push <= end {
            flags = flags.with(Flags::PSH);
        }
        if fin {
            flags = flags.with(Flags::FIN);
        }
        flags
    }
}
