// SPDX-License-Identifier: GPL-2.0

//! The sequence diagram of a world.

use crate::link::Fate;
use crate::wire::Time;
use crate::wire::View;
use std::fmt::Write;

/// What happened, line by line, if anybody wants to know.
#[derive(Debug, Default)]
pub struct Trace {
    pub on: bool,
    pub arrivals: bool,
    pub lines: Vec<String>,
    iss: [Option<u32>; 2],
    shift: [Option<u8>; 2],
}

/// The column of each side.
const INDENT: [&str; 2] = ["", "                                                "];

impl Trace {
    pub fn new(on: bool) -> Trace {
        Trace {
            on,
            ..Trace::default()
        }
    }

    fn line(&mut self, now: Time, text: &str) {
        let (seconds, rest) = (now / 1_000_000_000, now % 1_000_000_000 / 1000);
        self.lines.push(format!("{seconds:>6}.{rest:06} {text}"));
    }

    /// Notes what a side does.
    pub fn note(&mut self, now: Time, side: usize, text: impl FnOnce() -> String) {
        if self.on {
            let text = format!("{}{side}: {}", INDENT[side], text());
            self.line(now, &text);
        }
    }

    /// Notes a segment that arrives.
    pub fn arrival(&mut self, now: Time, to: usize, view: &View) {
        if self.on && self.arrivals {
            let text = format!("{}{to}: gets {}", INDENT[to], self.words(1 - to, view));
            self.line(now, &text);
        }
    }

    /// Notes a segment that is sent, and what becomes of it.
    pub fn segment(&mut self, now: Time, from: usize, view: &View, fates: &[(Fate, Time)]) {
        if !self.on {
            return;
        }
        if view.has(crate::wire::SYN) {
            self.iss[from].get_or_insert(view.seq);
            self.shift[from] = view.scale;
        }
        let arrow = ["-->", "<--"][from];
        let mut text = format!("{}{arrow} {}", INDENT[from], self.words(from, view));
        for &(fate, at) in fates {
            let later = (at - now) as f64 / 1e6;
            let _ = match fate {
                Fate::Arrives if fates.len() == 1 => write!(text, "  (+{later} ms)"),
                Fate::Arrives => write!(text, "  COPY (+{later} ms)"),
                Fate::Late => write!(text, "  LATE (+{later} ms)"),
                Fate::Corrupted => write!(text, "  CORRUPTED"),
                Fate::Lost => write!(text, "  LOST"),
                Fate::Burst => write!(text, "  LOST IN BURST"),
                Fate::QueueFull => write!(text, "  QUEUE FULL"),
                Fate::TooLong => write!(text, "  TOO LONG"),
                Fate::Dead => write!(text, "  LINK DEAD"),
            };
        }
        self.line(now, &text);
    }

    fn words(&self, from: usize, view: &View) -> String {
        let mut text = String::new();
        let flags = ["F", "S", "R", "P", ".", "U", "E", "W"];
        for (bit, name) in flags.iter().enumerate() {
            if (view.flags >> bit) & 1 != 0 {
                text.push_str(name);
            }
        }
        let relative = |side: usize, seq: u32| seq.wrapping_sub(self.iss[side].unwrap_or(0));
        let seq = relative(from, view.seq);
        let _ = write!(text, " {seq}:{}({})", seq.wrapping_add(view.len), view.len);
        if view.has(crate::wire::ACK) {
            let _ = write!(text, " ack {}", relative(1 - from, view.ack));
        }
        let shift = match self.shift {
            [Some(a), Some(b)] if !view.has(crate::wire::SYN) => [a, b][from],
            _ => 0,
        };
        let _ = write!(text, " win {}", u32::from(view.window) << shift);
        if let Some(mss) = view.mss {
            let _ = write!(text, " mss {mss}");
        }
        if let Some(scale) = view.scale {
            let _ = write!(text, " wscale {scale}");
        }
        if view.sack_permitted {
            text.push_str(" sackOK");
        }
        for &(left, right) in &view.sack {
            let (left, right) = (relative(1 - from, left), relative(1 - from, right));
            let _ = write!(text, " sack {left}:{right}");
        }
        if let Some((value, echo)) = view.timestamps {
            let _ = write!(text, " ts {value} ecr {echo}");
        }
        if view.ecn != 0 {
            let _ = write!(text, " ecn {}", view.ecn);
        }
        text
    }
}
