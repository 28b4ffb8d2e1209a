// SPDX-License-Identifier: GPL-2.0

//! One engine and a peer that is no TCP: it sends whatever some octets say, near the numbers that
//! matter, while a program calls whatever it likes.

use crate::end::End;
use crate::end::KeepAlive;
use crate::end::Tune;
use crate::engine_end::EngineEnd;
use crate::engine_end::Owner;
use crate::link::SECOND;
use crate::rng::Rng;
use crate::scenario::ALGORITHMS;
use crate::watch::Watch;
use crate::wire;
use crate::wire::Time;
use crate::wire::View;
use crate::wire::ACK;
use crate::wire::RST;
use crate::wire::SYN;
use arbitrary::Result;
use arbitrary::Unstructured;
use oxtcp_engine::engine::Config;

/// The engine's side, and the attacker's.
const ENGINE: usize = 0;
const PEER: usize = 1;
/// The attacker's ISS: its numbers wrap soon.
const IRS: u32 = u32::MAX - 5_000;
/// Things that one run does.
const MOST_STEPS: usize = 300;
/// Expiries of timers that a connection may need to end when the peer is silent.
const MOST_EXPIRIES: u32 = 3_000;

struct Attack {
    end: EngineEnd,
    watch: Watch,
    now: Time,
    options: View,
    /// The latest segment of the engine.
    last: View,
    /// The end of what it has sent.
    sent_to: u32,
    synchronized: bool,
    closed: bool,
    /// Prints everything, for whoever looks at a finding: TRACE=1.
    trace: bool,
}

/// Plays what `data` says.
pub fn play(data: &[u8]) {
    let mut u = Unstructured::new(data);
    if let Ok(mut attack) = Attack::new(&mut u) {
        for _ in 0..MOST_STEPS {
            if u.is_empty() || attack.step(&mut u).is_err() {
                break;
            }
        }
        attack.finish();
    }
}

impl Attack {
    fn new(u: &mut Unstructured<'_>) -> Result<Attack> {
        let config = config(u)?;
        let owner = Owner {
            receive_buffer: u64::from(config.receive_window) + u.int_in_range(0..=50_000)?,
            send_buffer: u.int_in_range(1..=200_000)?,
            gso: u.int_in_range(500..=60_000)?,
            short: if u.ratio(1, 8)? { 200 } else { 0 },
            blocked: if u.ratio(1, 8)? { 100 } else { 0 },
            no_room: if u.ratio(1, 8)? { 100 } else { 0 },
            ..Owner::PLAIN
        };
        let mut options = View {
            mss: Some(*u.choose(&[0, 1, 48, 88, 536, 1460, 65_535])?),
            ..View::default()
        };
        options.scale = u.arbitrary::<Option<u8>>()?.map(|scale| scale & 15);
        options.sack_permitted = u.arbitrary()?;
        options.timestamps = u.ratio(2, 3)?.then_some((1_000_000, 0));
        let seed = u.arbitrary::<u8>()?;
        let mut watch = Watch::new([true, false]);
        watch.hostile = true;
        watch.short_of_memory = [true; 2];
        let mut attack = Attack {
            end: EngineEnd::new(ENGINE, config, owner, Rng::new(seed.into())),
            watch,
            now: SECOND,
            options,
            last: View::default(),
            sent_to: 0,
            synchronized: false,
            closed: false,
            trace: std::env::var_os("TRACE").is_some(),
        };
        let active = u.arbitrary()?;
        attack.end.open(attack.now, active);
        attack.collect();
        // Most runs begin with a proper handshake.
        if u.ratio(7, 8)? {
            let flags = if active { SYN | ACK } else { SYN };
            attack.send(flags, IRS, attack.sent_to, 65_535, 0, 0, None);
            if !active {
                attack.send(ACK, IRS.wrapping_add(1), attack.sent_to, 65_535, 0, 0, None);
            }
        }
        Ok(attack)
    }

    /// Takes note of what the engine sends.
    fn collect(&mut self) {
        for packet in self.end.take_output() {
            let view = wire::view(&packet.bytes).expect("the engine sends what can be read");
            if self.trace {
                eprintln!("{} engine sends {view:?}", self.now);
            }
            let on_wire = packet.longest - wire::IP_HEADER as u32 - 20 - view.options;
            self.watch.sent(ENGINE, &view, on_wire);
            let end = view.seq.wrapping_add(view.seq_len());
            if !view.has(RST) {
                self.sent_to = end;
                self.synchronized |= view.has(ACK) && !view.has(SYN);
                self.last = view;
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "it is a whole header")]
    fn send(
        &mut self,
        flags: u8,
        seq: u32,
        ack: u32,
        window: u16,
        len: u32,
        urgent: u16,
        raw: Option<Vec<u8>>,
    ) {
        let mut view = View {
            seq,
            ack,
            flags,
            window,
            len,
            ..View::default()
        };
        let options = raw.unwrap_or_else(|| self.write_options(flags));
        view.options = options.len() as u32;
        let syn = u32::from(flags & SYN != 0);
        let offset = seq.wrapping_add(syn).wrapping_sub(IRS).wrapping_sub(1);
        let packet = wire::forge(PEER, &view, urgent, &options, offset);
        if self.trace {
            eprintln!("{} peer sends {view:?}, options {options:?}", self.now);
        }
        if let Some(view) = wire::view(&packet.bytes) {
            self.watch.sent(PEER, &view, 0);
            self.watch.arrived(ENGINE, &view);
        } else {
            // Its options are broken, its header is not.
            self.watch.arrived(ENGINE, &view);
        }
        self.end.on_packet(self.now, &packet);
        self.collect();
    }

    fn write_options(&self, flags: u8) -> Vec<u8> {
        let mut out = Vec::new();
        if flags & SYN != 0 {
            let [high, low] = self.options.mss.unwrap_or(0).to_be_bytes();
            out.extend_from_slice(&[2, 4, high, low]);
            if let Some(scale) = self.options.scale {
                out.extend_from_slice(&[1, 3, 3, scale]);
            }
            if self.options.sack_permitted {
                out.extend_from_slice(&[1, 1, 4, 2]);
            }
        }
        if let Some((value, _)) = self.options.timestamps {
            let echo = self.last.timestamps.map_or(0, |(value, _)| value);
            out.extend_from_slice(&[1, 1, 8, 10]);
            out.extend_from_slice(&value.to_be_bytes());
            out.extend_from_slice(&echo.to_be_bytes());
        }
        out
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        match u.int_in_range(0..=15)? {
            0..=8 => self.segment(u)?,
            9 => self.pass(u.int_in_range(0..=5_000)? * 1000 * 1000),
            10 => self.expire(),
            11 | 12 => {
                let len = u.int_in_range(0..=100_000)?;
                let more = u.arbitrary()?;
                if !self.closed {
                    self.end.write(self.now, len, more);
                }
            }
            13 => {
                let len = u.int_in_range(0..=100_000)?;
                if !self.closed {
                    self.end.read(self.now, len);
                }
            }
            14 => self.tune(u)?,
            _ => match u.int_in_range(0..=9)? {
                0..=3 => self.end.shutdown(self.now),
                4 | 5 => {
                    self.closed = true;
                    self.end.close(self.now);
                }
                6 => self.end.abort(self.now),
                7 => self.end.jump(u.int_in_range(0..=86_400)? * SECOND),
                _ => {
                    let mtu = u.int_in_range(0..=9_000)?;
                    self.end.on_too_long(self.now, mtu, self.last.seq);
                }
            },
        }
        self.collect();
        Ok(())
    }

    fn tune(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let tune = match u.int_in_range(0..=4)? {
            0 => Tune::NoDelay(u.arbitrary()?),
            1 => Tune::Cork(u.arbitrary()?),
            2 => Tune::QuickAck(u.arbitrary()?),
            3 => Tune::UserTimeout(u.ratio(1, 2)?.then_some(300 * SECOND)),
            _ => Tune::KeepAlive(Some(KeepAlive {
                idle: u.int_in_range(1..=100)? * SECOND,
                interval: u.int_in_range(1..=100)? * SECOND,
                probes: u.int_in_range(1..=20)?,
            })),
        };
        self.end.tune(self.now, tune);
        Ok(())
    }

    /// Sends a segment whose numbers are near those that matter.
    fn segment(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let near = |u: &mut Unstructured<'_>| -> Result<u32> {
            Ok(match u.int_in_range(0..=7)? {
                0..=3 => 0,
                4 => u.arbitrary::<i8>()? as u32,
                5 | 6 => u.arbitrary::<i16>()? as u32,
                _ => u.arbitrary()?,
            })
        };
        let flags = match u.int_in_range(0..=7)? {
            0..=4 => ACK,
            5 => ACK | wire::FIN,
            6 => *u.choose(&[SYN, SYN | ACK, RST, RST | ACK, 0])?,
            _ => u.arbitrary()?,
        };
        let edge = u32::from(self.last.window);
        let expected = if self.last.has(ACK) {
            self.last.ack
        } else {
            IRS
        };
        let base = *u.choose(&[expected, expected, IRS, expected.wrapping_add(edge)])?;
        let mut seq = base.wrapping_add(near(u)?);
        // A listener believes any SYN; its number is the stream's.
        if flags & SYN != 0 && (!self.synchronized || self.end.connection().is_none()) {
            seq = IRS;
        }
        let base = *u.choose(&[self.sent_to, self.sent_to, self.last.seq])?;
        let ack = base.wrapping_add(near(u)?);
        let any = u.arbitrary()?;
        let window = *u.choose(&[0, 1, 100, 1_000, 65_535, any])?;
        let len = match u.int_in_range(0..=4)? {
            0 | 1 => 0,
            2 => 1,
            3 => u.int_in_range(2..=1_460)?,
            _ => u.int_in_range(1..=20_000)?,
        };
        if let Some((value, _)) = &mut self.options.timestamps {
            if u.ratio(1, 4)? {
                *value = value.wrapping_add(near(u)?);
            }
        }
        let urgent = if u.ratio(1, 16)? { u.arbitrary()? } else { 0 };
        let raw = self.raw_options(u, flags)?;
        self.send(flags, seq, ack, window, len, urgent, raw);
        Ok(())
    }

    /// Returns options with SACK blocks or of any octets; those of a SYN stay as they are.
    fn raw_options(&self, u: &mut Unstructured<'_>, flags: u8) -> Result<Option<Vec<u8>>> {
        if flags & SYN != 0 {
            return Ok(None);
        }
        let mut out = match u.int_in_range(0..=7)? {
            0..=3 => return Ok(None),
            4..=6 => {
                let mut out = self.write_options(flags);
                let blocks = u.int_in_range(1..=3)?;
                out.extend_from_slice(&[1, 1, 5, 2 + 8 * blocks]);
                for _ in 0..blocks {
                    let left = self.sent_to.wrapping_sub(u.int_in_range(0..=20_000)?);
                    let right = left.wrapping_add(u.int_in_range(0..=5_000)?);
                    out.extend_from_slice(&left.to_be_bytes());
                    out.extend_from_slice(&right.to_be_bytes());
                }
                out
            }
            _ => {
                let len = u.int_in_range(0..=40)?;
                u.bytes(len)?.to_vec()
            }
        };
        out.resize(out.len().next_multiple_of(4).min(40), 0);
        Ok(Some(out))
    }

    fn pass(&mut self, by: Time) {
        let until = self.now + by;
        for _ in 0..200 {
            match self.end.wake_at(self.now).filter(|&at| at <= until) {
                Some(at) => {
                    self.now = self.now.max(at);
                    self.end.on_wake(self.now);
                    self.collect();
                }
                None => break,
            }
        }
        self.now = until.max(self.now);
    }

    fn expire(&mut self) {
        if let Some(at) = self.end.wake_at(self.now) {
            self.now = self.now.max(at);
            self.end.on_wake(self.now);
            self.collect();
        }
    }

    /// The peer is silent and the user leaves: it must end, and soon.
    fn finish(&mut self) {
        self.end.close(self.now);
        self.collect();
        let began = self.now;
        let mut expiries = 0;
        while self.end.wake_at(self.now).is_some() {
            self.expire();
            expiries += 1;
            assert!(
                expiries < MOST_EXPIRIES && self.now - began < 40_000 * SECOND,
                "it does not end: {}",
                self.end.describe(self.now)
            );
        }
        assert!(
            self.end.is_idle(),
            "it waits for ever: {}",
            self.end.describe(self.now)
        );
    }
}

fn config(u: &mut Unstructured<'_>) -> Result<Config> {
    Ok(Config {
        mss: u.int_in_range(88..=9_000)?,
        window_scaling: u.arbitrary()?,
        timestamps: u.arbitrary()?,
        sack: u.arbitrary()?,
        nodelay: u.arbitrary()?,
        congestion: *u.choose(&ALGORITHMS)?,
        receive_window: u.int_in_range(256..=100_000)?,
        ecn_request: u.arbitrary()?,
        slow_start_after_idle: u.arbitrary()?,
        rfc1337: u.arbitrary()?,
        ..Config::default()
    })
}
