// SPDX-License-Identifier: GPL-2.0

//! One engine with the program and the buffers of its owner; every byte is checked.

use super::at;
use super::pattern;
use super::Rng;
use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;
use std::collections::BTreeMap;

/// What the program on one side does.
#[derive(Clone, Copy, Debug)]
pub struct App {
    pub to_write: u64,
    pub write_max: u64,
    pub write_gap_us: u64,
    pub send_buffer: u64,
    pub read_max: u64,
    pub read_gap_us: u64,
    pub receive_buffer: u64,
    pub more: bool,
    pub gso: u32,
    /// How often, per mille, a buffer takes less than a segment.
    pub short: u64,
}

impl App {
    pub const BULK: App = App {
        to_write: 0,
        write_max: 65_536,
        write_gap_us: 0,
        send_buffer: 262_144,
        read_max: 1 << 20,
        read_gap_us: 0,
        receive_buffer: 262_144,
        more: false,
        gso: 65_536,
        short: 0,
    };
}

pub struct Side {
    pub id: usize,
    pub config: Config,
    pub app: App,
    pub connection: Option<Connection>,
    pub half_open: Option<HalfOpen>,
    pub time_wait: Option<TimeWait>,
    pub listening: bool,
    pub isn: Isn,
    pub events: Vec<Event>,
    held: BTreeMap<u64, Vec<u8>>,
    held_bytes: u64,
    /// Memory of the receive buffer, twice its octets.
    buffer: u32,
    pub received: u64,
    pub finished_writing: bool,
    pub peer_closed: bool,
    pub closed: Option<Reason>,
    pub established: bool,
    next_write: u64,
    next_read: u64,
    /// The highest right edge this side has advertised, as an absolute 64-bit position of the
    /// peer's stream.
    pub offered_edge: Option<SeqNum>,
    pub our_scale: u8,
    /// The highest right edge that was delivered to this side.
    pub allowed_edge: Option<SeqNum>,
    pub peer_scale: u8,
    pub peer_scales: bool,
    pub sent_packets: u64,
    pub retransmissions: u64,
    pub done_at: Option<u64>,
}

impl Side {
    pub fn new(id: usize, mut config: Config, app: App, isn: Isn) -> Side {
        config.max_receive_buffer = 2 * app.receive_buffer as u32;
        Side {
            id,
            config,
            app,
            connection: None,
            half_open: None,
            time_wait: None,
            listening: false,
            isn,
            events: Vec::new(),
            held: BTreeMap::new(),
            held_bytes: 0,
            buffer: 2 * config.receive_window,
            received: 0,
            finished_writing: false,
            peer_closed: false,
            closed: None,
            established: false,
            next_write: 0,
            next_read: 0,
            offered_edge: None,
            our_scale: 0,
            allowed_edge: None,
            peer_scale: 0,
            peer_scales: false,
            sent_packets: 0,
            retransmissions: 0,
            done_at: None,
        }
    }

    /// Takes the payload as the engine says, and checks every byte.
    pub fn deliver(&mut self, now: u64, segment: &SegmentIn, payload: &[u8]) {
        let memory = self.memory();
        let Some(connection) = &mut self.connection else {
            return;
        };
        let before = connection.readable();
        let peer = 1 - self.id;
        connection.set_receive_memory(&memory);
        match connection.on_segment(at(now), segment) {
            Payload::Discard => {
                assert_eq!(connection.readable(), before, "discarded but readable");
            }
            Payload::Append { skip, len } => {
                assert!(len > 0);
                let bytes = &payload[skip as usize..(skip + len) as usize];
                for (i, &byte) in bytes.iter().enumerate() {
                    assert_eq!(
                        byte,
                        pattern(peer, before + i as u64),
                        "byte {i} of side {peer}"
                    );
                }
                let mut next = before + u64::from(len);
                let readable = connection.readable();
                while let Some((&offset, _)) = self.held.first_key_value() {
                    if offset >= readable {
                        break;
                    }
                    let bytes = self.held.remove(&offset).unwrap();
                    self.held_bytes -= bytes.len() as u64;
                    assert!(offset <= next, "a hole in what became readable");
                    next = next.max(offset + bytes.len() as u64);
                }
                assert_eq!(next, readable, "readable is not what the owner has");
            }
            Payload::Hold { offset, skip, len } => {
                assert!(len > 0 && offset > before);
                assert_eq!(connection.readable(), before);
                let bytes = &payload[skip as usize..(skip + len) as usize];
                for (i, &byte) in bytes.iter().enumerate() {
                    assert_eq!(byte, pattern(peer, offset + i as u64));
                }
                let known = self.held.get(&offset).map_or(0, Vec::len);
                if bytes.len() > known {
                    self.held_bytes += (bytes.len() - known) as u64;
                    self.held.insert(offset, bytes.to_vec());
                }
            }
        }
    }

    pub fn memory(&self) -> ReceiveMemory {
        let unread = match &self.connection {
            Some(connection) => connection.readable() - connection.read(),
            None => 0,
        };
        let used = 2 * (unread + self.held_bytes);
        ReceiveMemory {
            buffer: self.buffer,
            used: used as u32,
            ..ReceiveMemory::default()
        }
    }

    /// Takes over the size of the buffer that the engine wants.
    pub fn resize_buffer(&mut self) {
        let wanted = self.connection.as_ref().and_then(|c| c.receive_buffer());
        self.buffer = wanted.unwrap_or(self.buffer);
    }

    /// Lets the program read and write; returns when it wants to run again.
    pub fn run_app(&mut self, now: u64, rng: &mut Rng) -> Option<u64> {
        let app = self.app;
        let memory = self.memory();
        let connection = self.connection.as_mut()?;
        connection.set_receive_memory(&memory);
        let mut next = None;
        let unread = connection.readable() - connection.read();
        if unread > 0 {
            if now >= self.next_read {
                let len = unread.min(rng.range(1, app.read_max));
                connection.on_read(at(now), len as u32);
                self.received += len;
                self.next_read = now + app.read_gap_us;
            }
            if connection.readable() > connection.read() {
                next = Some(self.next_read.max(now + 1));
            }
        }
        if !self.finished_writing
            && matches!(connection.state(), State::Established | State::CloseWait)
        {
            let left = app.to_write - connection.written();
            let queued = connection.written() - connection.acked();
            let room = app.send_buffer.saturating_sub(queued);
            if left == 0 {
                self.finished_writing = true;
                connection.shutdown_write(at(now));
            } else if room > 0 {
                if now >= self.next_write {
                    let len = left.min(room).min(rng.range(1, app.write_max));
                    connection.on_write(
                        at(now),
                        len as u32,
                        app.more && len < left && rng.chance(500),
                    );
                    self.next_write = now + app.write_gap_us;
                }
                let again = self.next_write.max(now + 1);
                next = Some(next.map_or(again, |n: u64| n.min(again)));
            }
        }
        next
    }
}
