// SPDX-License-Identifier: GPL-2.0

//! What a segment costs: bulk transfers through two engines, without bytes, over a link that takes
//! no time, or that loses one segment in a hundred.

use oxtcp_engine::engine::*;
use oxtcp_engine::Connection;
use std::collections::VecDeque;

const ROOM: u32 = 6 << 20;

struct Pair {
    ends: [Connection; 2],
    /// Segments on the way to each end.
    wires: [VecDeque<SegmentOut>; 2],
    now: u64,
    segments: u64,
    drops: u64,
    loss: u64,
}

impl Pair {
    fn new(config: &Config, loss: u64) -> Pair {
        let now = Instant::from_nanos(1_000_000_000);
        let isn = |seq| Isn {
            seq: SeqNum(seq),
            ts_offset: seq,
        };
        let mut active = Connection::connect(now, config, isn(7));
        let limits = Limits { max_len: 65_536 };
        let syn = active.poll_transmit(now, &limits, |_, len| len).unwrap();
        let mut half_open = HalfOpen::new(now, config, &arrived(&syn), isn(9));
        let _ = active.on_segment(now, &arrived(&half_open.syn_ack(now)));
        let ack = active.poll_transmit(now, &limits, |_, len| len).unwrap();
        let mut passive = Connection::accept(now, config, &half_open);
        let _ = passive.on_segment(now, &arrived(&ack));
        Pair {
            ends: [active, passive],
            wires: [VecDeque::new(), VecDeque::new()],
            now: now.as_nanos(),
            segments: 0,
            drops: 0,
            loss,
        }
    }

    /// One entry of an owner's, drained as the kernel side does.
    fn flush(&mut self, end: usize, max_len: u32) {
        let limits = Limits { max_len };
        let now = Instant::from_nanos(self.now);
        let from = &mut self.ends[end];
        from.set_receive_memory(&ReceiveMemory::of_payload(ROOM, 0));
        while let Some(segment) = from.poll_transmit(now, &limits, |_, len| len) {
            self.segments += 1;
            if self.loss > 0 && segment.data.is_some() && self.segments % self.loss == 0 {
                self.drops += 1;
                continue;
            }
            self.wires[1 - end].push_back(segment);
        }
        while from.poll_event().is_some() {}
        std::hint::black_box(from.next_deadline());
    }

    fn run(&mut self, total: u64, max_len: u32) {
        while self.ends[1].readable() < total {
            let sender = &mut self.ends[0];
            let queued = sender.written() - sender.acked();
            if queued < 2 << 20 {
                let now = Instant::from_nanos(self.now);
                sender.on_write(now, 1 << 20, false);
                self.flush(0, max_len);
            }
            let mut idle = true;
            for end in [1, 0] {
                if let Some(segment) = self.wires[end].pop_front() {
                    idle = false;
                    self.now += 1_000;
                    let now = Instant::from_nanos(self.now);
                    let to = &mut self.ends[end];
                    let _ = std::hint::black_box(to.on_segment(now, &arrived(&segment)));
                    let unread = to.readable() - to.read();
                    if unread > 0 {
                        to.on_read(now, unread as u32);
                    }
                    self.flush(end, max_len);
                }
            }
            if idle {
                let deadlines = self.ends.iter().filter_map(Connection::next_deadline);
                let next = deadlines.min().expect("somebody waits");
                self.now = self.now.max(next.as_nanos());
                for end in [0, 1] {
                    self.ends[end].on_deadline(Instant::from_nanos(self.now));
                    self.flush(end, max_len);
                }
            }
        }
    }
}

fn arrived(segment: &SegmentOut) -> SegmentIn {
    SegmentIn {
        seq: segment.seq,
        ack: segment.ack,
        flags: segment.flags,
        window: segment.window,
        len: segment.data_len(),
        wire_len: segment.data_len().min(u32::from(segment.mss)),
        options: segment.options,
        ..SegmentIn::default()
    }
}

fn main() {
    // Fewer for valgrind, whose counts do not depend on what else the machine does: MIB=16.
    let mib = std::env::var("MIB").ok().and_then(|mib| mib.parse().ok());
    let total = mib.unwrap_or(1_024) << 20;
    let config = Config {
        receive_window: 65_535,
        max_receive_window: ROOM,
        ..Config::default()
    };
    for (name, max_len, loss) in [
        ("one MSS", 1_448, 0),
        ("64 KiB", 65_536, 0),
        ("one MSS, 1% lost", 1_448, 100),
    ] {
        let mut best = f64::MAX;
        let mut told = String::new();
        for _ in 0..5 {
            let mut pair = Pair::new(&config, loss);
            let start = std::time::Instant::now();
            pair.run(total, max_len);
            let nanos = start.elapsed().as_nanos() as f64;
            let each = nanos / pair.segments as f64;
            if each < best {
                best = each;
                told = format!(
                    "{} segments, {} lost, {:.2} Gbit/s",
                    pair.segments,
                    pair.drops,
                    total as f64 * 8.0 / nanos
                );
            }
        }
        println!("{name}: {best:.0} ns per segment sent and received ({told})");
    }
}
