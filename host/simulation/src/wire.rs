// SPDX-License-Identifier: GPL-2.0

//! Packets as bytes: IPv4 and TCP headers with checksums, and a reader of TCP headers that shares no
//! code with the engine.

use crate::rng::pattern;
use oxtcp_engine::engine::SegmentOut;

/// Nanoseconds since the world began.
pub type Time = u64;

/// The addresses of both ends.
pub const ADDRESSES: [[u8; 4]; 2] = [[10, 0, 0, 1], [10, 0, 0, 2]];
/// Their ports.
pub const PORTS: [u16; 2] = [1000, 2000];
/// Octets of an IPv4 header.
pub const IP_HEADER: usize = 20;

/// One IPv4 packet on its way.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The packet, from the IP header on.
    pub bytes: Vec<u8>,
    /// Payload octets of the segments that were merged into it, if it is longer.
    pub mss: u32,
    /// Octets of the longest packet that a wire would see of it.
    pub longest: u32,
}

/// What stands in a TCP header.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct View {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub mss: Option<u16>,
    pub scale: Option<u8>,
    pub sack_permitted: bool,
    pub timestamps: Option<(u32, u32)>,
    pub sack: Vec<(u32, u32)>,
    /// Octets of options.
    pub options: u32,
    /// Octets of payload.
    pub len: u32,
    /// The ECN field of the IP header.
    pub ecn: u8,
}

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

impl View {
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Returns SEG.LEN.
    pub fn seq_len(&self) -> u32 {
        self.len + u32::from(self.has(SYN)) + u32::from(self.has(FIN))
    }
}

/// Adds the one's complement sum of `bytes` to `sum`.
fn sum(mut sum: u32, bytes: &[u8]) -> u32 {
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]);
        sum += u32::from(word);
        if sum > 0xFFFF {
            sum = (sum & 0xFFFF) + 1;
        }
    }
    sum
}

fn tcp_sum(packet: &[u8]) -> u32 {
    let tcp = &packet[IP_HEADER..];
    let pseudo = sum(6 + tcp.len() as u32, &packet[12..20]);
    sum(pseudo, tcp)
}

/// Fills both checksums in.
fn seal(bytes: &mut [u8]) {
    let ip = !sum(0, &bytes[..IP_HEADER]) as u16;
    bytes[10..12].copy_from_slice(&ip.to_be_bytes());
    let tcp = !tcp_sum(bytes) as u16;
    bytes[IP_HEADER + 16..IP_HEADER + 18].copy_from_slice(&tcp.to_be_bytes());
}

fn ip_header(from: usize, total: usize, ecn: u8) -> Vec<u8> {
    assert!(
        total <= 65_535,
        "longer than an IPv4 packet can be: {total}"
    );
    let mut bytes = Vec::with_capacity(total);
    let [t0, t1] = (total as u16).to_be_bytes();
    bytes.extend_from_slice(&[0x45, ecn, t0, t1, 0, 0, 0x40, 0, 64, 6, 0, 0]);
    bytes.extend_from_slice(&ADDRESSES[from]);
    bytes.extend_from_slice(&ADDRESSES[1 - from]);
    bytes
}

/// Makes a packet of any header: `options` are up to 40 octets, a multiple of 4; the payload starts at
/// stream offset `offset`.
pub fn forge(from: usize, view: &View, urgent: u16, options: &[u8], offset: u32) -> Packet {
    let header_len = 20 + options.len();
    assert!(options.len() <= 40 && options.len() % 4 == 0);
    let total = IP_HEADER + header_len + view.len as usize;
    let mut bytes = ip_header(from, total, view.ecn);
    bytes.extend_from_slice(&PORTS[from].to_be_bytes());
    bytes.extend_from_slice(&PORTS[1 - from].to_be_bytes());
    bytes.extend_from_slice(&view.seq.to_be_bytes());
    bytes.extend_from_slice(&view.ack.to_be_bytes());
    bytes.extend_from_slice(&[(header_len as u8 / 4) << 4, view.flags]);
    bytes.extend_from_slice(&view.window.to_be_bytes());
    bytes.extend_from_slice(&[0, 0]);
    bytes.extend_from_slice(&urgent.to_be_bytes());
    bytes.extend_from_slice(options);
    // A stream of less than 4 GB: what lies before its start is as good as far behind it.
    bytes.extend((0..view.len).map(|i| pattern(from, u64::from(offset.wrapping_add(i)))));
    seal(&mut bytes);
    Packet {
        longest: total as u32,
        bytes,
        mss: 0,
    }
}

/// Makes the packet of `len` payload octets at stream offset `offset` of side `from`.
pub fn packet(from: usize, segment: &SegmentOut, offset: u64, len: u32) -> Packet {
    let mut header = [0u8; 60];
    let header_len = segment.write_header(PORTS[from], PORTS[1 - from], &mut header);
    assert_eq!(header_len, segment.header_len(), "header_len() lies");
    assert!(header_len % 4 == 0 && header_len <= 60);
    let total = IP_HEADER + header_len + len as usize;
    let mut bytes = ip_header(from, total, segment.codepoint as u8);
    bytes.extend_from_slice(&header[..header_len]);
    bytes.extend((0..u64::from(len)).map(|i| pattern(from, offset + i)));
    seal(&mut bytes);
    Packet {
        bytes,
        mss: u32::from(segment.mss),
        longest: (IP_HEADER + header_len) as u32 + len.min(u32::from(segment.mss)),
    }
}

/// Marks a packet that is ECN-capable, as a congested router does (RFC 3168, 5).
pub fn mark(packet: &mut [u8]) {
    if packet[1] & 3 != 0 {
        packet[1] |= 3;
        packet[10..12].copy_from_slice(&[0, 0]);
        let ip = !sum(0, &packet[..IP_HEADER]) as u16;
        packet[10..12].copy_from_slice(&ip.to_be_bytes());
    }
}

/// Returns where the TCP payload of a packet starts, unless a checksum or a length is wrong.
pub fn payload_at(packet: &[u8]) -> Option<usize> {
    if packet.len() < IP_HEADER + 20 || packet[0] != 0x45 || packet[9] != 6 {
        return None;
    }
    if usize::from(u16::from_be_bytes([packet[2], packet[3]])) != packet.len() {
        return None;
    }
    if sum(0, &packet[..IP_HEADER]) != 0xFFFF || tcp_sum(packet) != 0xFFFF {
        return None;
    }
    let at = IP_HEADER + usize::from(packet[IP_HEADER + 12] >> 4) * 4;
    (at >= IP_HEADER + 20 && at <= packet.len()).then_some(at)
}

/// Reads a packet whose checksums are right.
pub fn view(packet: &[u8]) -> Option<View> {
    let at = payload_at(packet)?;
    let tcp = &packet[IP_HEADER..at];
    let u16_at = |i: usize| u16::from_be_bytes([tcp[i], tcp[i + 1]]);
    let u32_at = |i: usize| u32::from_be_bytes([tcp[i], tcp[i + 1], tcp[i + 2], tcp[i + 3]]);
    let mut view = View {
        seq: u32_at(4),
        ack: u32_at(8),
        flags: tcp[13],
        window: u16_at(14),
        options: tcp.len() as u32 - 20,
        len: (packet.len() - at) as u32,
        ecn: packet[1] & 3,
        ..View::default()
    };
    let mut i = 20;
    while i < tcp.len() && tcp[i] != 0 {
        if tcp[i] == 1 {
            i += 1;
            continue;
        }
        let len = usize::from(*tcp.get(i + 1)?);
        if len < 2 || i + len > tcp.len() {
            return None;
        }
        match (tcp[i], len) {
            (2, 4) => view.mss = Some(u16_at(i + 2)),
            (3, 3) => view.scale = Some(tcp[i + 2].min(14)),
            (4, 2) => view.sack_permitted = true,
            (8, 10) => view.timestamps = Some((u32_at(i + 2), u32_at(i + 6))),
            (5, len) => {
                let blocks = (len - 2) / 8;
                view.sack = (0..blocks)
                    .map(|n| (u32_at(i + 2 + 8 * n), u32_at(i + 6 + 8 * n)))
                    .collect();
            }
            _ => {}
        }
        i += len;
    }
    Some(view)
}
