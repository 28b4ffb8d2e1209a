// SPDX-License-Identifier: GPL-2.0

//! Explicit congestion notification (RFC 3168), and the exact echo that DCTCP asks of a receiver
//! (RFC 8257).

use crate::engine::config::Config;
use crate::engine::segment::Flags;
use crate::engine::segment::SegmentIn;
use crate::engine::segment::SegmentOut;

/// The ECN field of an IP header (RFC 3168, 5).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Codepoint {
    /// The transport is not ECN-capable.
    #[default]
    NotEct = 0,
    /// ECN-capable, ECT(1).
    Ect1 = 1,
    /// ECN-capable, ECT(0).
    Ect0 = 2,
    /// A router was congested.
    Ce = 3,
}

impl Codepoint {
    /// Reads it from an IPv4 TOS or an IPv6 traffic class.
    pub const fn from_tos(tos: u8) -> Codepoint {
        match tos & 3 {
            1 => Codepoint::Ect1,
            2 => Codepoint::Ect0,
            3 => Codepoint::Ce,
            _ => Codepoint::NotEct,
        }
    }
}

/// What a SYN asks for ECN with.
const SETUP: Flags = Flags::ECE.with(Flags::CWR);

/// Returns whether a listener agrees to the ECN that a SYN asks for (RFC 3168, 6.1.1; Linux's
/// `tcp_ecn_create_request`).
///
/// A SYN that is itself marked ECN-capable breaks RFC 3168, 6.1.1, which hints at a network that
/// writes the field at will; RFC 8311, 4.3 excuses a sender that sets a reserved bit, such as one of
/// RFC 9768, which is answered as RFC 3168 tells. DCTCP marks its SYNs (RFC 8257, 3.3).
pub(crate) fn accepts(config: &Config, syn: &SegmentIn) -> bool {
    let marked = syn.codepoint != Codepoint::NotEct && syn.reserved == 0;
    let needs = config.congestion.needs_ecn();
    syn.flags.contains(SETUP) && (needs || (config.ecn_accept && !marked))
}

/// Returns whether the answer to our own SYN agrees to ECN: a SYN-ACK with ECE alone (RFC 3168,
/// 6.1.1), or in simultaneous open a SYN that asks for it as well.
///
/// A SYN-ACK with both bits is none: that host repeats bits that it does not know. The AE bit of RFC
/// 9768 changes neither (3.1.2, table 2: such a host falls back to RFC 3168 too).
pub(crate) fn is_answered(config: &Config, segment: &SegmentIn) -> bool {
    let agrees = if segment.flags.ack() {
        segment.flags.contains(Flags::ECE) && !segment.flags.contains(Flags::CWR)
    } else {
        segment.flags.contains(SETUP)
    };
    requests(config) && agrees
}

/// Returns whether our SYN asks for ECN.
pub(crate) fn requests(config: &Config) -> bool {
    config.ecn_request || config.congestion.needs_ecn()
}

/// Returns what a handshake's segments say in the IP header: nothing (RFC 3168, 6.1.1), but for
/// DCTCP (RFC 8257, 3.3).
pub(crate) fn of_handshake(config: &Config, agreed: bool) -> Codepoint {
    if agreed && config.congestion.needs_ecn() {
        Codepoint::Ect0
    } else {
        Codepoint::NotEct
    }
}

/// What arrived with which codepoint, as `TCP_INFO` counts it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Received {
    /// Segments with CE, pure acknowledgments too.
    pub ce: u32,
    /// Payload octets by codepoint: ECT(1), ECT(0), CE.
    pub octets: [u32; 3],
}

/// What the ECN field of data means for the acknowledgments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[must_use]
pub(crate) struct Hurry {
    /// The next ones should not wait for company.
    pub(crate) quick: bool,
    /// One is due at once.
    pub(crate) now: bool,
}

/// An acknowledgment that repeats an older state: RCV.NXT as an offset, and whether with ECE.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Past {
    pub(crate) nxt: u64,
    pub(crate) echo: bool,
}

/// The ECN of one connection, both as sender and as receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ecn {
    on: bool,
    /// The congestion control wants each mark to be told, not one per window (RFC 8257, 3.2).
    exact: bool,
    /// CWR is due with the next new data.
    cwr: bool,
    /// ECE goes with each segment, until the peer's CWR.
    echo: bool,
    /// Something came ECN-capable.
    seen: bool,
    /// DCTCP.CE: the last data was marked.
    ce: bool,
    /// RCV.NXT when `ce` was looked at last.
    nxt: u64,
    past: Option<Past>,
    received: Received,
}

impl Ecn {
    /// Returns whether the last data that arrived was marked.
    pub(crate) fn is_marked(&self) -> bool {
        self.ce
    }

    /// The congestion control changed: it wants each mark to be told, or not.
    pub(crate) fn set_exact(&mut self, exact: bool) {
        self.exact = exact;
    }

    pub(crate) fn new(on: bool, config: &Config) -> Ecn {
        Ecn {
            on,
            exact: config.congestion.needs_ecn(),
            cwr: false,
            echo: false,
            seen: false,
            ce: false,
            nxt: 0,
            past: None,
            received: Received::default(),
        }
    }

    /// Returns whether both ends agreed on ECN.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Returns whether something came ECN-capable.
    pub(crate) fn was_seen(&self) -> bool {
        self.seen
    }

    pub(crate) fn received(&self) -> Received {
        self.received
    }

    /// Counts the codepoint of an acceptable segment (Linux's `tcp_ecn_received_counters`).
    pub(crate) fn count(&mut self, segment: &SegmentIn) {
        if segment.codepoint == Codepoint::NotEct {
            return;
        }
        if !self.on {
            self.seen = true;
        }
        if segment.codepoint == Codepoint::Ce {
            let wire = segment.wire_segments();
            self.received.ce = self.received.ce.wrapping_add(wire);
        }
        let place = (segment.codepoint as usize).saturating_sub(1);
        if let Some(octets) = self.received.octets.get_mut(place) {
            *octets = octets.wrapping_add(segment.len);
        }
    }

    /// An acceptable acknowledgment came. Returns whether it is to be answered at once.
    ///
    /// RFC 3168, 6.1.3: CWR ends the echo. As Linux (`tcp_ecn_accept_cwr`) also on a segment without
    /// data; a sender that has just reduced its window may have no other segment out.
    pub(crate) fn on_flags(&mut self, segment: &SegmentIn) -> bool {
        if !self.on || !segment.flags.contains(Flags::CWR) {
            return false;
        }
        self.echo = false;
        segment.seq_len() > 0
    }

    /// Data came that was not there before; RCV.NXT is `nxt` with it. `delaying` tells that an
    /// acknowledgment waits.
    ///
    /// RFC 3168, 6.1.3, with Linux's timing (`tcp_data_ecn_check`).
    pub(crate) fn on_data(&mut self, codepoint: Codepoint, nxt: u64, delaying: bool) -> Hurry {
        let mut hurry = Hurry::default();
        if !self.on {
            return hurry;
        }
        if codepoint == Codepoint::NotEct {
            // All new data comes ECN-capable, so this was sent again (RFC 3168, 6.1.5).
            hurry.quick = self.seen;
            return hurry;
        }
        self.seen = true;
        let marked = codepoint == Codepoint::Ce;
        if self.exact {
            hurry.now = self.note_exactly(marked, nxt, delaying);
        } else if marked && !self.echo {
            self.echo = true;
            // The sender's window may become very small.
            hurry.quick = true;
        }
        hurry
    }

    /// RFC 8257, 3.2: when the mark comes or goes, what was received before is acknowledged as it
    /// was. Returns whether the change is to be told at once.
    fn note_exactly(&mut self, marked: bool, nxt: u64, delaying: bool) -> bool {
        let changed = marked != self.ce;
        if changed && delaying {
            self.past = Some(Past {
                nxt: self.nxt,
                echo: self.ce,
            });
        }
        self.ce = marked;
        self.echo = marked;
        self.nxt = nxt;
        changed
    }

    /// Takes the acknowledgment that must leave before any other.
    pub(crate) fn take_past(&mut self) -> Option<Past> {
        self.past.take()
    }

    /// Sets what a segment of ours says, in both headers.
    pub(crate) fn mark(&mut self, segment: &mut SegmentOut) {
        if !self.on {
            return;
        }
        // RFC 3168, 6.1.4 and 6.1.5: neither pure acknowledgments nor what is sent again may be
        // ECN-capable; DCTCP needs all to be so (RFC 8257, 3.3).
        let new = segment.data.is_some() && !segment.retransmission;
        if new || self.exact {
            segment.codepoint = Codepoint::Ect0;
        }
        // RFC 3168, 6.1.2: with the first new data after the reduction.
        if new && core::mem::take(&mut self.cwr) {
            segment.flags = segment.flags.with(Flags::CWR);
        }
        if self.echo {
            segment.flags = segment.flags.with(Flags::ECE);
        }
    }

    /// Returns whether an acknowledgment tells of a mark.
    pub(crate) fn is_echo(&self, flags: Flags) -> bool {
        self.on && flags.contains(Flags::ECE)
    }

    /// The congestion window was reduced, for whatever reason: the peer is told, which ends its
    /// echo (RFC 3168, 6.1.2).
    pub(crate) fn on_reduction(&mut self) {
        self.cwr = self.on;
    }

    /// The reduction was a mistake: the peer need not know (Linux's `tcp_ecn_withdraw_cwr`).
    pub(crate) fn on_undo(&mut self) {
        self.cwr = false;
    }
}

#[cfg(test)]
mod tests;
