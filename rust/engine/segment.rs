// SPDX-License-Identifier: GPL-2.0

//! Segments as values: what the engine is told of one that arrived, and what it wants sent.

use crate::engine::ecn::Codepoint;
use crate::engine::options::Options;
use crate::engine::seq::SeqNum;
use crate::engine::signature::Signature;

/// The control bits of a header (RFC 9293, 3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Flags = Flags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Flags = Flags(0x02);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x04);
    /// Push function.
    pub const PSH: Flags = Flags(0x08);
    /// The acknowledgment field is significant.
    pub const ACK: Flags = Flags(0x10);
    /// The urgent pointer is significant.
    pub const URG: Flags = Flags(0x20);
    /// ECN echo (RFC 3168).
    pub const ECE: Flags = Flags(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Flags = Flags(0x80);

    /// Returns the bits of both.
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Returns the bits of `self` that `other` has not.
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// Returns whether all bits of `other` are set.
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns whether FIN is set.
    pub const fn fin(self) -> bool {
        self.0 & Self::FIN.0 != 0
    }

    /// Returns whether SYN is set.
    pub const fn syn(self) -> bool {
        self.0 & Self::SYN.0 != 0
    }

    /// Returns whether RST is set.
    pub const fn rst(self) -> bool {
        self.0 & Self::RST.0 != 0
    }

    /// Returns whether PSH is set.
    pub const fn psh(self) -> bool {
        self.0 & Self::PSH.0 != 0
    }

    /// Returns whether URG is set.
    pub const fn urg(self) -> bool {
        self.0 & Self::URG.0 != 0
    }

    /// Returns whether ACK is set.
    pub const fn ack(self) -> bool {
        self.0 & Self::ACK.0 != 0
    }
}

/// A segment that arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SegmentIn {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; without meaning unless the ACK flag is set.
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// The four bits of the header behind the data offset; the lowest is AE (RFC 9768, 3.1).
    pub reserved: u8,
    /// The ECN field of the IP header, which the owner adds.
    pub codepoint: Codepoint,
    /// SEG.WND as it stands in the header, unscaled.
    pub window: u16,
    /// SEG.UP.
    pub urgent: u16,
    /// Payload octets.
    pub len: u32,
    /// Payload octets per segment on the wire: `len`, unless the owner knows that it was merged on
    /// the way (GRO).
    pub wire_len: u32,
    /// Octets of memory that the segment takes in the owner's buffer (Linux's `truesize`); 0 stands
    /// for twice the payload.
    pub memory: u32,
    /// What of this memory becomes free if the payload joins that of the segment before it.
    pub spare_memory: u32,
    /// The options.
    pub options: Options,
}

/// Why a header cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Malformed {
    /// Fewer octets than a header has.
    Short,
    /// The data offset points into the fixed part or beyond the octets.
    DataOffset,
}

/// Octets of a header without options.
pub const FIXED_HEADER: usize = 20;

impl SegmentIn {
    /// Reads a whole header, options included; `payload_len` octets follow it.
    pub fn parse(header: &[u8], payload_len: u32) -> Result<SegmentIn, Malformed> {
        let Some((fixed, _)) = header.split_first_chunk::<FIXED_HEADER>() else {
            return Err(Malformed::Short);
        };
        let [_, _, _, _, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, _, _, u0, u1] =
            *fixed;
        let end = usize::from(offset >> 4).saturating_mul(4);
        let Some(options) = header.get(FIXED_HEADER..end) else {
            return Err(Malformed::DataOffset);
        };
        Ok(SegmentIn {
            seq: SeqNum(u32::from_be_bytes([s0, s1, s2, s3])),
            ack: SeqNum(u32::from_be_bytes([a0, a1, a2, a3])),
            flags: Flags(flags),
            reserved: offset & 15,
            codepoint: Codepoint::NotEct,
            window: u16::from_be_bytes([w0, w1]),
            urgent: u16::from_be_bytes([u0, u1]),
            len: payload_len,
            wire_len: payload_len,
            memory: 0,
            spare_memory: 0,
            options: Options::parse(options),
        })
    }

    /// Returns SEG.LEN: the octets with SYN and FIN counted (RFC 9293, 3.4).
    pub fn seq_len(&self) -> u32 {
        self.len
            .saturating_add(u32::from(self.flags.syn()))
            .saturating_add(u32::from(self.flags.fin()))
    }

    /// Returns the octets of memory that the segment takes.
    pub(crate) fn memory(&self) -> u32 {
        match self.memory {
            0 => self.len.saturating_mul(2),
            memory => memory,
        }
    }

    /// Returns the segments that came over the wire as this one.
    pub(crate) fn wire_segments(&self) -> u32 {
        segments(self.len, self.wire_len).max(1)
    }
}

/// Octets of the send stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DataRange {
    /// The stream offset of the first octet; the first octet ever written is 0.
    pub offset: u64,
    /// The number of octets.
    pub len: u32,
}

/// A segment to be sent; the owner adds ports, checksum and the octets of `data`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentOut {
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; zero unless the ACK flag is set.
    pub ack: SeqNum,
    /// The control bits. FIN and PSH belong to the last wire segment when `data` is longer than
    /// `mss`.
    pub flags: Flags,
    /// SEG.WND as it stands in the header, scaled already.
    pub window: u16,
    /// SEG.UP; without meaning unless the URG flag is set.
    pub urgent: u16,
    /// The options.
    pub options: Options,
    /// The payload, if any.
    pub data: Option<DataRange>,
    /// Payload octets per segment on the wire; longer `data` is to be cut at multiples of it.
    pub mss: u16,
    /// Whether the payload, the SYN or the FIN was sent before.
    pub retransmission: bool,
    /// The ECN field for the IP header.
    pub codepoint: Codepoint,
    /// Whether it only challenges a peer that may be another (RFC 5961): the owner may leave it
    /// out, see [`crate::engine::ChallengeBudget`].
    pub challenge: bool,
}

impl SegmentOut {
    /// Makes a segment without options, window and payload.
    pub(crate) const fn bare(seq: SeqNum, ack: SeqNum, flags: Flags) -> SegmentOut {
        SegmentOut {
            seq,
            ack,
            flags,
            window: 0,
            urgent: 0,
            options: Options {
                mss: None,
                window_scale: None,
                sack_permitted: false,
                timestamps: None,
                sack: crate::engine::options::SackBlocks::new(),
                fast_open: None,
                signature: Signature::None,
            },
            data: None,
            mss: 0,
            retransmission: false,
            codepoint: Codepoint::NotEct,
            challenge: false,
        }
    }

    /// Returns the octets of the header with its options.
    pub fn header_len(&self) -> usize {
        FIXED_HEADER.saturating_add(self.options.space())
    }

    /// Makes room for an MD5 signature in a segment that no connection sends.
    ///
    /// As Linux (`tcp_v4_send_ack`): in acknowledgments after the timestamps, else before all
    /// options.
    pub fn sign(&mut self) {
        self.options.signature = if self.flags.syn() {
            Signature::First
        } else {
            Signature::AfterTimestamps
        };
    }

    /// Returns where in the header the octets of the signature are, if there is room for one.
    pub fn signature_at(&self) -> Option<usize> {
        let timestamps = self.options.timestamps.is_some();
        let offset = self.options.signature.offset(timestamps)?;
        Some(FIXED_HEADER.saturating_add(offset))
    }

    /// Returns the payload's octets.
    pub fn data_len(&self) -> u32 {
        self.data.map_or(0, |data| data.len)
    }

    /// Returns the segments that go over the wire for this one.
    pub fn wire_segments(&self) -> u32 {
        segments(self.data_len(), u32::from(self.mss)).max(1)
    }

    /// Writes the header with its options, the checksum zero, and returns its length.
    pub fn write_header(&self, src_port: u16, dst_port: u16, out: &mut [u8; 60]) -> usize {
        let (fixed, options) = out.split_at_mut(FIXED_HEADER);
        let len = FIXED_HEADER.saturating_add(self.options.write(options));
        let [p0, p1] = src_port.to_be_bytes();
        let [q0, q1] = dst_port.to_be_bytes();
        let [s0, s1, s2, s3] = self.seq.0.to_be_bytes();
        let [a0, a1, a2, a3] = self.ack.0.to_be_bytes();
        let [w0, w1] = self.window.to_be_bytes();
        let [u0, u1] = self.urgent.to_be_bytes();
        let offset = ((len / 4) as u8) << 4;
        fixed.copy_from_slice(&[
            p0,
            p1,
            q0,
            q1,
            s0,
            s1,
            s2,
            s3,
            a0,
            a1,
            a2,
            a3,
            offset,
            self.flags.0,
            w0,
            w1,
            0,
            0,
            u0,
            u1,
        ]);
        len
    }
}

/// Returns how many segments of `mss` octets carry `len` octets.
pub(crate) fn segments(len: u32, mss: u32) -> u32 {
    len.div_ceil(mss.max(1))
}

#[cfg(test)]
mod tests;
