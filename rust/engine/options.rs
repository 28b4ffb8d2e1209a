// SPDX-License-Identifier: GPL-2.0

//! The options of a TCP header that the engine understands, read and written.

use crate::engine::fast_open::FastOpenCookie;
use crate::engine::seq::SeqNum;
use crate::engine::signature::Signature;
use crate::engine::window::WindowScale;

/// The timestamps option (RFC 7323, 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Timestamps {
    /// TSval: the sender's clock.
    pub value: u32,
    /// TSecr: the clock of the other end as last seen.
    pub echo: u32,
}

/// A run of octets that arrived out of order (RFC 2018, 3).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SackBlock {
    /// The first octet of the run.
    pub left: SeqNum,
    /// The octet after the run.
    pub right: SeqNum,
}

/// The blocks of a SACK option, in the option's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SackBlocks {
    blocks: [SackBlock; SackBlocks::CAPACITY],
    len: u8,
}

impl SackBlocks {
    /// The blocks that 40 octets of options can carry.
    pub const CAPACITY: usize = 4;

    /// Makes an option without blocks, which is not written.
    pub const fn new() -> SackBlocks {
        const NONE: SackBlock = SackBlock {
            left: SeqNum(0),
            right: SeqNum(0),
        };
        SackBlocks {
            blocks: [NONE; SackBlocks::CAPACITY],
            len: 0,
        }
    }

    /// Adds a block if there is room for it.
    pub fn push(&mut self, block: SackBlock) {
        if let Some(slot) = self.blocks.get_mut(usize::from(self.len)) {
            *slot = block;
            self.len = self.len.saturating_add(1);
        }
    }

    /// Returns the blocks.
    pub fn as_slice(&self) -> &[SackBlock] {
        self.blocks.get(..self.len()).unwrap_or_default()
    }

    /// Returns the number of blocks.
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Returns whether there is no block.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// The options of one segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Options {
    /// Maximum segment size (RFC 9293, 3.7.1); only in a SYN.
    pub mss: Option<u16>,
    /// Window scale (RFC 7323, 2.2); only in a SYN.
    pub window_scale: Option<WindowScale>,
    /// SACK-permitted (RFC 2018, 2); only in a SYN.
    pub sack_permitted: bool,
    /// Timestamps.
    pub timestamps: Option<Timestamps>,
    /// SACK blocks.
    pub sack: SackBlocks,
    /// Fast Open (RFC 7413, 2 and 4.1.1); only in a SYN.
    pub fast_open: Option<FastOpenCookie>,
    /// Room for an MD5 signature (RFC 2385). Only written: see
    /// [`crate::engine::Authentication::of`] for what is read.
    pub signature: Signature,
}

pub(crate) const END: u8 = 0;
pub(crate) const NOP: u8 = 1;
const MSS: u8 = 2;
const WINDOW_SCALE: u8 = 3;
const SACK_PERMITTED: u8 = 4;
const SACK: u8 = 5;
pub(crate) const TIMESTAMPS: u8 = 8;
const FAST_OPEN: u8 = 34;
/// Options under trial (RFC 6994), told apart by two octets.
const EXPERIMENT: u8 = 254;
/// Fast Open's, while it was one.
const FAST_OPEN_MAGIC: [u8; 2] = [0xf9, 0x89];

/// Octets of the timestamps option with its padding.
pub(crate) const TIMESTAMPS_SPACE: u16 = 12;

impl Options {
    /// Reads the options part of a header.
    ///
    /// RFC 9293, 3.1 (MUST-6, MUST-7): what is unknown is skipped by its length, and a wrong length
    /// must not hurt. Like Linux the engine keeps what stood before a wrong length and reads no
    /// further. An option whose length does not fit its kind is skipped.
    pub fn parse(bytes: &[u8]) -> Options {
        let mut options = Options::default();
        let mut rest = bytes;
        while let Some((&kind, tail)) = rest.split_first() {
            if kind == END {
                break;
            }
            if kind == NOP {
                rest = tail;
                continue;
            }
            let Some((&length, _)) = tail.split_first() else {
                break;
            };
            let length = usize::from(length);
            let Some(body) = rest.get(2..length) else {
                break;
            };
            options.take(kind, body);
            rest = rest.get(length..).unwrap_or_default();
        }
        options
    }

    fn take(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (MSS, &[high, low]) => self.mss = Some(u16::from_be_bytes([high, low])),
            (WINDOW_SCALE, &[shift]) => self.window_scale = Some(WindowScale::new(shift)),
            (SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (TIMESTAMPS, &[a, b, c, d, e, f, g, h]) => {
                self.timestamps = Some(Timestamps {
                    value: u32::from_be_bytes([a, b, c, d]),
                    echo: u32::from_be_bytes([e, f, g, h]),
                });
            }
            (FAST_OPEN, body) => self.fast_open = FastOpenCookie::new(body, false),
            (EXPERIMENT, &[0xf9, 0x89, ref body @ ..]) => {
                self.fast_open = FastOpenCookie::new(body, true);
            }
            (SACK, body) if body.len() % 8 == 0 => {
                self.sack = SackBlocks::new();
                for block in body.chunks_exact(8) {
                    if let &[a, b, c, d, e, f, g, h] = block {
                        self.sack.push(SackBlock {
                            left: SeqNum(u32::from_be_bytes([a, b, c, d])),
                            right: SeqNum(u32::from_be_bytes([e, f, g, h])),
                        });
                    }
                }
            }
            _ => {}
        }
    }

    /// Returns the octets that [`Options::write`] fills: a multiple of 4, at most 40.
    pub fn space(&self) -> usize {
        let mut scratch = [0; 40];
        self.write(&mut scratch)
    }

    /// Writes the options in Linux's order and padding, which middleboxes know; what does not fit
    /// is left out.
    pub fn write(&self, out: &mut [u8]) -> usize {
        let mut writer = Writer { out, at: 0 };
        if self.signature == Signature::First {
            writer.put(&Signature::OPTION);
        }
        if let Some(mss) = self.mss {
            let [high, low] = mss.to_be_bytes();
            writer.put(&[MSS, 4, high, low]);
        }
        if let Some(timestamps) = self.timestamps {
            let pad = if self.sack_permitted {
                [SACK_PERMITTED, 2]
            } else {
                [NOP, NOP]
            };
            let [a, b, c, d] = timestamps.value.to_be_bytes();
            let [e, f, g, h] = timestamps.echo.to_be_bytes();
            let [p, q] = pad;
            writer.put(&[p, q, TIMESTAMPS, 10, a, b, c, d, e, f, g, h]);
        } else if self.sack_permitted {
            writer.put(&[NOP, NOP, SACK_PERMITTED, 2]);
        }
        if self.signature == Signature::AfterTimestamps {
            writer.put(&Signature::OPTION);
        }
        if let Some(scale) = self.window_scale {
            writer.put(&[NOP, WINDOW_SCALE, 3, scale.shift()]);
        }
        let room = writer.room().saturating_sub(4) / 8;
        let blocks = self.sack.as_slice();
        let blocks = blocks.get(..room.min(blocks.len())).unwrap_or_default();
        if !blocks.is_empty() {
            let length = blocks.len().saturating_mul(8).saturating_add(2) as u8;
            writer.put(&[NOP, NOP, SACK, length]);
            for block in blocks {
                let [a, b, c, d] = block.left.0.to_be_bytes();
                let [e, f, g, h] = block.right.0.to_be_bytes();
                writer.put(&[a, b, c, d, e, f, g, h]);
            }
        }
        if let Some(cookie) = &self.fast_open {
            writer.put_fast_open(cookie);
        }
        writer.at
    }
}

struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Writer<'_> {
    fn room(&self) -> usize {
        self.out.len().saturating_sub(self.at)
    }

    fn put_fast_open(&mut self, cookie: &FastOpenCookie) {
        let cookie_octets = cookie.as_slice();
        let [m, n] = FAST_OPEN_MAGIC;
        let head: &[u8] = if cookie.experimental {
            &[EXPERIMENT, 4, m, n]
        } else {
            &[FAST_OPEN, 2]
        };
        let mut option = [NOP; 20];
        let len = head.len().saturating_add(cookie_octets.len());
        let bytes = head.iter().chain(cookie_octets);
        for (to, from) in option.iter_mut().zip(bytes) {
            *to = *from;
        }
        if let Some(octets) = option.get_mut(1) {
            *octets = len as u8;
        }
        let padded = len.next_multiple_of(4);
        self.put(option.get(..padded).unwrap_or_default());
    }

    fn put(&mut self, bytes: &[u8]) {
        let end = self.at.saturating_add(bytes.len());
        if let Some(place) = self.out.get_mut(self.at..end) {
            for (to, from) in place.iter_mut().zip(bytes) {
                *to = *from;
            }
            self.at = end;
        }
    }
}

#[cfg(test)]
mod tests;
