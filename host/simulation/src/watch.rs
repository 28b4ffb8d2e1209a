// SPDX-License-Identifier: GPL-2.0

//! What must hold of the segments on the wire, whatever the ends do inside.
//!
//! Sequence numbers are counted from each side's ISS: the SYN is 0, the first octet 1.

use crate::wire::View;
use crate::wire::ACK;
use crate::wire::FIN;
use crate::wire::RST;
use crate::wire::SYN;
use std::collections::BTreeMap;

/// How often one octet may leave: `tcp_retries2`, the tail-loss probe, fast retransmissions that a
/// back-off follows, and window probes. Where the queue of acknowledgments holds many times the shortest
/// round trip, RACK takes late arrivals for those of retransmissions, as Linux's does, and repeats.
const MOST_TRANSMISSIONS: u32 = 150;

/// What was seen of one side.
#[derive(Clone, Debug, Default)]
struct Side {
    /// Its ISS, once it has sent a SYN.
    iss: Option<u32>,
    /// The options of its SYN.
    mss: Option<u16>,
    scale: Option<u8>,
    timestamps: bool,
    sack_permitted: bool,
    /// The end of what it has sent.
    sent_to: u64,
    /// Where its FIN is.
    fin: Option<u64>,
    /// The right edge that it has offered, counted from the peer's ISS.
    offered: u64,
    /// The right edge that has reached it.
    allowed: u64,
    /// The end of what has reached it without a hole, and the runs beyond.
    received_to: u64,
    beyond: BTreeMap<u64, u64>,
    /// The highest acknowledgment that has reached it.
    acked: u64,
    tsval: Option<u32>,
    /// Transmissions by the first sequence number.
    transmissions: BTreeMap<u64, u32>,
    heard: bool,
    reset: bool,
}

impl Side {
    fn receive(&mut self, start: u64, end: u64) {
        if end <= start {
            return;
        }
        let (mut start, mut end) = (start, end);
        let overlapping: Vec<u64> = self
            .beyond
            .range(..=end)
            .filter(|&(_, &to)| to >= start)
            .map(|(&from, _)| from)
            .collect();
        for from in overlapping {
            end = end.max(self.beyond.remove(&from).unwrap_or(end));
            start = start.min(from);
        }
        if start <= self.received_to {
            self.received_to = self.received_to.max(end);
        } else {
            self.beyond.insert(start, end);
        }
    }

    fn has_received(&self, start: u64, end: u64) -> bool {
        end <= self.received_to
            || self
                .beyond
                .range(..=start)
                .next_back()
                .is_some_and(|(_, &to)| end <= to)
    }
}

/// Counts per side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    pub segments: u64,
    /// Octets that left again.
    pub again: u64,
    pub data: u64,
}

/// The watcher of one connection.
#[derive(Debug)]
pub struct Watch {
    sides: [Side; 2],
    /// The sides that are held to the rules: the engine's.
    strict: [bool; 2],
    /// One side is no TCP but an attacker: what only honest ends promise is not looked at.
    pub hostile: bool,
    /// Whose memory may be refused.
    pub short_of_memory: [bool; 2],
    pub seen: [Seen; 2],
}

impl Watch {
    pub fn new(strict: [bool; 2]) -> Watch {
        Watch {
            sides: Default::default(),
            strict,
            hostile: false,
            short_of_memory: [false; 2],
            seen: Default::default(),
        }
    }

    /// Returns the sequence numbers from the ISS on.
    fn relative(&self, side: usize, seq: u32) -> u64 {
        u64::from(seq.wrapping_sub(self.sides[side].iss.unwrap_or(seq)))
    }

    /// Returns the shift of the window fields that `side` sends in this segment.
    fn shift(&self, side: usize, view: &View) -> u32 {
        match (self.sides[side].scale, self.sides[1 - side].scale) {
            (Some(shift), Some(_)) if !view.has(SYN) => u32::from(shift),
            _ => 0,
        }
    }

    /// Looks at a segment that `from` sends; `on_wire` octets of payload are in the longest packet that a
    /// wire would see of it.
    pub fn sent(&mut self, from: usize, view: &View, on_wire: u32) {
        let strict = self.strict[from];
        self.seen[from].segments += 1;
        if view.has(SYN) {
            let side = &mut self.sides[from];
            assert!(
                !strict || side.iss.is_none_or(|iss| iss == view.seq),
                "a second SYN has another ISN"
            );
            if side.iss.is_none() {
                side.iss = Some(view.seq);
                side.mss = view.mss;
                side.scale = view.scale;
                side.timestamps = view.timestamps.is_some();
                side.sack_permitted = view.sack_permitted;
            }
        }
        if view.has(RST) {
            self.sides[from].reset = true;
        }
        if self.sides[from].iss.is_none() {
            // Only an answer to what it cannot know.
            assert!(
                !strict || view.has(RST),
                "a segment before the SYN: {view:?}"
            );
            return;
        }
        if strict {
            self.check_ack(from, view);
            self.check_options(from, view, on_wire);
        }
        self.check_sequence(from, view, strict);
    }

    fn check_ack(&mut self, from: usize, view: &View) {
        // What answers a segment of nobody's acknowledges what came, wherever it was.
        if !view.has(ACK) || (self.hostile && view.has(RST)) {
            return;
        }
        let peer = 1 - from;
        assert!(self.sides[from].heard, "an ACK of nothing");
        let ack = self.relative(peer, view.ack);
        let received_to = self.sides[from].received_to;
        assert!(
            ack <= received_to,
            "acknowledges {ack}, but has received only up to {received_to}"
        );
        for &(left, right) in &view.sack {
            let (left, right) = (self.relative(peer, left), self.relative(peer, right));
            assert!(left < right, "an empty SACK block {left}..{right}");
            assert!(
                self.sides[from].has_received(left, right),
                "SACK block {left}..{right} was not received"
            );
        }
        // A SYN's field cannot say all that a scaled one has said (RFC 7323, 2.2).
        if view.has(RST) || view.has(SYN) {
            return;
        }
        let edge = ack + (u64::from(view.window) << self.shift(from, view));
        let offered = &mut self.sides[from].offered;
        // Who had to drop what was next for want of memory shuts the window (see `Rx::offer`).
        let shut = self.short_of_memory[from] && view.window == 0;
        assert!(
            edge >= *offered || shut,
            "the window's right edge moves left: from {offered} to {edge}"
        );
        *offered = edge;
    }

    fn check_options(&mut self, from: usize, view: &View, on_wire: u32) {
        let peer = &self.sides[1 - from];
        let timestamps = self.sides[from].timestamps && peer.timestamps;
        let (sack_ours, sack_theirs) = (self.sides[from].sack_permitted, peer.sack_permitted);
        if !view.has(RST) && !view.has(SYN) {
            // RFC 7323, 3.2.
            assert_eq!(
                view.timestamps.is_some(),
                timestamps,
                "timestamps: {view:?}"
            );
        }
        assert!(
            view.sack.is_empty() || (sack_ours && sack_theirs),
            "SACK that was not agreed"
        );
        // RFC 9293, 3.7.1; RFC 6691: the option does not count what other options take.
        // The engine believes no less than 48 (Linux's `tcp_min_snd_mss`).
        let most = u32::from(peer.mss.filter(|&mss| mss > 0).unwrap_or(536).max(48));
        let room = most - view.options.min(most);
        assert!(
            on_wire <= room.max(8) || self.sides[from].mss.is_none(),
            "{} octets and {} of options in a segment, but the peer's MSS is {most}",
            on_wire,
            view.options
        );
        if let Some((value, _)) = view.timestamps.filter(|_| !view.has(RST)) {
            let side = &mut self.sides[from];
            if let Some(last) = side.tsval {
                assert!(
                    value.wrapping_sub(last) as i32 >= 0,
                    "the clock of the timestamps goes back"
                );
            }
            side.tsval = Some(value);
        }
    }

    fn check_sequence(&mut self, from: usize, view: &View, strict: bool) {
        let start = self.relative(from, view.seq);
        let end = start + u64::from(view.seq_len());
        let side = &mut self.sides[from];
        if view.has(RST) {
            return;
        }
        if strict {
            assert!(
                start <= side.sent_to,
                "skips sequence numbers: {start} after {}",
                side.sent_to
            );
        }
        if view.seq_len() == 0 {
            return;
        }
        let seen = &mut self.seen[from];
        seen.data += u64::from(view.len);
        if !view.has(SYN) {
            seen.again += side.sent_to.min(end).saturating_sub(start);
        }
        if strict {
            if !view.has(SYN) {
                assert!(
                    end <= side.allowed,
                    "sends up to {end}, but the peer's window ends at {}",
                    side.allowed
                );
            }
            if let Some(fin) = side.fin {
                assert!(end <= fin + 1, "octets after the FIN");
            }
            let count = side.transmissions.entry(start).or_default();
            *count += 1;
            let enough = *count <= MOST_TRANSMISSIONS || self.hostile;
            assert!(enough, "{start} left {count} times");
            let acked = side.acked;
            if side.transmissions.len() > 1000 {
                side.transmissions.retain(|&at, _| at >= acked);
            }
        }
        if view.has(FIN) {
            let fin = end - 1;
            assert!(
                !strict || side.fin.is_none_or(|known| known == fin),
                "the FIN moves"
            );
            side.fin = Some(fin);
        }
        side.sent_to = side.sent_to.max(end);
    }

    /// Looks at a segment that reaches `to` with right checksums.
    pub fn arrived(&mut self, to: usize, view: &View) {
        let from = 1 - to;
        let shift = self.shift(from, view);
        // What lies up to half the numbers behind is before the stream.
        let start = i64::from(self.relative(from, view.seq) as u32 as i32);
        let end = start + i64::from(view.seq_len());
        let (start, end) = (start.max(0) as u64, end.max(0) as u64);
        let ack = self.relative(to, view.ack);
        let ours = self.sides[to].iss.is_some();
        let side = &mut self.sides[to];
        if view.has(RST) {
            // It may acknowledge numbers that never were, but what it carries is known.
            side.heard = true;
            return;
        }
        side.heard = true;
        side.receive(start, end);
        if view.has(ACK) && ours && ack <= side.sent_to {
            side.allowed = side.allowed.max(ack + (u64::from(view.window) << shift));
            side.acked = side.acked.max(ack);
        } else if view.has(SYN) {
            side.allowed = side.allowed.max(1 + u64::from(view.window));
        }
    }

    /// Returns the octets of `side` that have reached its peer in order, the SYN not counted.
    pub fn delivered(&self, side: usize) -> u64 {
        self.sides[1 - side].received_to.saturating_sub(1)
    }
}
