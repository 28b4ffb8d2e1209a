// SPDX-License-Identifier: GPL-2.0

//! One engine against a scripted peer, segment by segment.

use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;

/// ISS of the engine.
pub const ISS: u32 = 1_000;
/// ISS of the peer.
pub const IRS: u32 = 50_000;

pub struct Script {
    pub connection: Connection,
    pub now: u64,
    pub room: u32,
    pub max_len: u32,
    /// The peer's window field from now on.
    pub window: u16,
}

pub fn ms(ms: u64) -> Instant {
    Instant::from_nanos(ms * 1_000_000)
}

pub fn isn() -> Isn {
    Isn {
        seq: SeqNum(ISS),
        ts_offset: 77,
    }
}

/// Returns a segment of the peer; `seq` and `ack` count from both ISNs.
pub fn segment(flags: Flags, seq: u32, ack: u32, len: u32) -> SegmentIn {
    SegmentIn {
        seq: SeqNum(IRS).add(seq),
        ack: SeqNum(ISS).add(ack),
        flags,
        window: 65_535,
        len,
        wire_len: len,
        ..SegmentIn::default()
    }
}

pub const ACK: Flags = Flags::ACK;
pub const FIN: Flags = Flags::FIN.with(Flags::ACK);
pub const RST: Flags = Flags::RST;
pub const SYN: Flags = Flags::SYN;
pub const SYN_ACK: Flags = Flags::SYN.with(Flags::ACK);

/// Options off, so that a full segment is 1000 octets and the window is what the field says.
pub fn plain() -> Config {
    Config {
        mss: 1000,
        window_scaling: false,
        timestamps: false,
        // One buffer takes what the owner lets it.
        min_tso_segs: 64,
        congestion: Algorithm::Reno,
        sack: false,
        ..Config::default()
    }
}

/// The same with SACK.
pub fn with_sack() -> Config {
    Config {
        sack: true,
        ..plain()
    }
}

/// Returns an acknowledgment with SACK blocks that count from our ISN.
pub fn sacked(ack: u32, blocks: &[(u32, u32)]) -> SegmentIn {
    let mut segment = segment(ACK, 1, ack, 0);
    for &(left, right) in blocks {
        segment.options.sack.push(SackBlock {
            left: SeqNum(ISS).add(left),
            right: SeqNum(ISS).add(right),
        });
    }
    segment
}

impl Script {
    pub fn connect(config: &Config) -> Script {
        Script {
            connection: Connection::connect(ms(10_000), config, isn()),
            now: 10_000,
            room: config.receive_window,
            max_len: 1_000,
            window: 65_535,
        }
    }

    /// Returns an established active open without options; round trips take 100 ms.
    pub fn established(config: &Config) -> Script {
        let mut script = Script::connect(config);
        assert_eq!(script.sent().len(), 1);
        script.pass(100);
        let mut syn_ack = segment(SYN_ACK, 0, 1, 0);
        syn_ack.options.mss = Some(1000);
        syn_ack.options.sack_permitted = config.sack;
        syn_ack.options.timestamps = config
            .timestamps
            .then_some(Timestamps { value: 1, echo: 0 });
        assert_eq!(script.give(&syn_ack), Payload::Discard);
        let acks = script.sent();
        assert_eq!(acks.len(), 1);
        assert_eq!(script.events(), [Event::Established]);
        assert_eq!(script.connection.state(), State::Established);
        script
    }

    pub fn instant(&self) -> Instant {
        ms(self.now)
    }

    /// Lets time pass without calling the engine.
    pub fn pass(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Tells the engine that `room` octets are free beside what is unread.
    pub fn tell_memory(&mut self) {
        let unread = self.connection.readable() - self.connection.read();
        let memory = ReceiveMemory::of_payload(self.room, unread as u32);
        self.connection.set_receive_memory(&memory);
    }

    pub fn give(&mut self, segment: &SegmentIn) -> Payload {
        self.tell_memory();
        self.connection.on_segment(ms(self.now), segment)
    }

    /// Gives a segment with the script's window and returns what is sent in answer.
    pub fn answer(&mut self, flags: Flags, seq: u32, ack: u32, len: u32) -> Vec<SegmentOut> {
        let mut segment = segment(flags, seq, ack, len);
        segment.window = self.window;
        let _ = self.give(&segment);
        self.sent()
    }

    pub fn sent(&mut self) -> Vec<SegmentOut> {
        let mut sent = Vec::new();
        let limits = Limits {
            max_len: self.max_len,
        };
        self.tell_memory();
        let now = ms(self.now);
        while let Some(segment) = self.connection.poll_transmit(now, &limits, |_, len| len) {
            sent.push(segment);
            assert!(sent.len() < 10_000, "poll_transmit does not end");
        }
        sent
    }

    pub fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.connection.poll_event()).collect()
    }

    pub fn write(&mut self, len: u32) -> Vec<SegmentOut> {
        self.connection.on_write(ms(self.now), len, false);
        self.sent()
    }

    /// Jumps to the next deadline; returns how far it was, in milliseconds, and what is sent then.
    pub fn expire(&mut self) -> (u64, Vec<SegmentOut>) {
        let deadline = self.connection.next_deadline().expect("a deadline");
        let at = deadline.as_nanos().div_ceil(1_000_000);
        let wait = at.saturating_sub(self.now);
        self.now = self.now.max(at);
        self.connection.on_deadline(ms(self.now));
        (wait, self.sent())
    }
}

/// Returns sequence number (from ISS), length and flags of a segment.
pub fn shape(segment: &SegmentOut) -> (u32, u32, Flags) {
    let seq = segment.seq.0.wrapping_sub(ISS);
    (seq, segment.data_len(), segment.flags)
}

pub fn shapes(segments: &[SegmentOut]) -> Vec<(u32, u32)> {
    segments
        .iter()
        .map(|s| (s.seq.0.wrapping_sub(ISS), s.data_len()))
        .collect()
}
