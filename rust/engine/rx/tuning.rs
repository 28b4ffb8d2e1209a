// SPDX-License-Identifier: GPL-2.0

//! How large the receive buffer should be, and how much of it the peer may be offered.
//!
//! The buffer is counted in octets of memory, the window in octets of payload; Linux learns how
//! much of the memory is payload. Two bounds hold the window back: `ssthresh`, which grows with
//! each segment that proves to be economical, and `clamp`, which is what the whole buffer can
//! hold. The buffer itself follows the reader's speed (Dynamic Right-Sizing, Fisk and Feng 2001).

use crate::engine::config::Config;
use crate::engine::rx::MIN_BUFFER;
use crate::engine::segment::SegmentIn;
use crate::engine::time::Duration;
use crate::engine::time::Instant;
use crate::engine::window::WindowScale;
use crate::engine::window::MAX_FIELD;
use core::cmp::Ordering;

/// Payload in 256 octets of memory, before anything was received.
const FIRST_RATIO: u8 = 128;

/// What the owner tells of the memory of its receive buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiveMemory {
    /// The buffer's size, in octets of memory.
    pub buffer: u32,
    /// What of it is used by received segments, in order or not.
    pub used: u32,
    /// What segments use that were not given to the engine yet.
    pub backlog: u32,
    /// The user chose the size (`SO_RCVBUF`).
    pub fixed: bool,
    /// Memory is short for all connections.
    pub pressure: bool,
    /// No program has the connection yet, or none has it any more.
    pub unowned: bool,
    /// Octets for which the reader waits (`SO_RCVLOWAT`); 0 counts as 1.
    pub low_water: u32,
}

impl ReceiveMemory {
    /// Returns the memory of a buffer with room for `free` octets of payload beside `used` ones,
    /// half of whose memory is payload, as the engine takes it to be before it learns.
    pub const fn of_payload(free: u32, used: u32) -> ReceiveMemory {
        let used = used.saturating_mul(2);
        ReceiveMemory {
            buffer: free.saturating_mul(2).saturating_add(used),
            used,
            backlog: 0,
            fixed: true,
            pressure: false,
            unowned: false,
            low_water: 1,
        }
    }
}

/// What a SYN offers, before a single segment was received (Linux's `tcp_select_initial_window`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Initial {
    /// The window, in octets.
    pub(crate) window: u32,
    /// The scale of later windows.
    pub(crate) scale: WindowScale,
    /// The largest window that may ever be offered.
    pub(crate) clamp: u32,
}

impl Initial {
    /// Chooses for segments that carry `mss` octets.
    pub(crate) fn new(config: &Config, mss: u32, scaling: bool) -> Initial {
        let clamp = match config.window_clamp {
            0 => WindowScale::MAX.max_window(),
            clamp => clamp,
        };
        let mut window = config.receive_window.min(clamp);
        if window > mss {
            window = window.saturating_sub(window.checked_rem(mss).unwrap_or(0));
        }
        if config.signed_windows {
            window = window.min(SIGNED_MAX);
        }
        if config.initial_rwnd > 0 {
            window = window.min(config.initial_rwnd.saturating_mul(mss));
        }
        let scale = match config.own_scale {
            Some(scale) if scaling => scale,
            None if scaling => {
                let most = window.max(config.max_receive_window).min(clamp);
                WindowScale::for_window(most)
            }
            _ => WindowScale::default(),
        };
        Initial {
            window,
            scale,
            clamp: clamp.min(scale.max_window()),
        }
    }

    /// Returns the window field of a SYN, which is never scaled (RFC 7323, 2.2).
    pub(crate) fn field(&self) -> u16 {
        u16::try_from(self.window.min(MAX_FIELD)).unwrap_or(u16::MAX)
    }
}

/// The largest window that a peer takes for positive whose numbers are signed.
pub(crate) const SIGNED_MAX: u32 = 32_767;

/// The state of autotuning.
#[derive(Clone, Debug)]
pub(crate) struct Tuning {
    /// What the owner told last.
    memory: ReceiveMemory,
    /// Payload in 256 octets of memory (Linux's `scaling_ratio`).
    ratio: u8,
    /// The largest window that the buffer can bear (`window_clamp`).
    clamp: u32,
    /// The largest window that the segments so far have earned (`rcv_ssthresh`).
    ssthresh: u32,
    /// Octets that the reader took in a round trip (`rcvq_space`).
    copied: u32,
    /// Where the measurement of these began, in the stream and in time.
    copied_from: u64,
    copied_since: Instant,
    rtt: RoundTrip,
    /// When a segment came last: the clock of the measurements.
    heard: Instant,
    advmss: u32,
}

/// The receiver's estimate of the round-trip time, in eighths of a microsecond.
#[derive(Clone, Debug, Default)]
struct RoundTrip {
    estimate: u32,
    /// The window of a measurement without timestamps: its right edge, and its begin.
    window: Option<(u64, Instant)>,
    last_echo: u32,
}

impl RoundTrip {
    /// Takes a sample; `whole_window` tells that it is how long a window's worth of data took, which
    /// may be longer than a round trip but never shorter (Linux's `tcp_rcv_rtt_update`).
    fn sample(&mut self, sample: Duration, whole_window: bool, all_read: bool) {
        let micros = u32::try_from(sample.as_micros().max(1)).unwrap_or(u32::MAX);
        let new = micros.saturating_mul(8);
        if self.estimate == 0 || new < self.estimate {
            self.estimate = new;
        } else if !whole_window && all_read {
            let eighth = self.estimate / 8;
            self.estimate = self.estimate.saturating_sub(eighth).saturating_add(micros);
        }
    }

    fn micros(&self) -> u32 {
        self.estimate / 8
    }
}

impl Tuning {
    /// Begins with a window offered by a SYN (Linux's `tcp_init_buffer_space`).
    pub(crate) fn new(now: Instant, config: &Config, initial: &Initial) -> Tuning {
        let advmss = u32::from(config.announced());
        let most = config.receive_window;
        let mut clamp = initial.clamp;
        let reserve = config.app_win > 0;
        if clamp >= most {
            clamp = most;
            if reserve && most > advmss.saturating_mul(4) {
                let share = most.checked_shr(config.app_win.into()).unwrap_or(0);
                clamp = most.saturating_sub(share).max(advmss.saturating_mul(4));
            }
        }
        // One segment is reserved.
        if reserve && clamp > advmss.saturating_mul(2) && clamp.saturating_add(advmss) > most {
            clamp = most.saturating_sub(advmss).max(advmss.saturating_mul(2));
        }
        let ssthresh = initial.window.min(clamp);
        let buffer = most.saturating_mul(2);
        Tuning {
            memory: ReceiveMemory {
                buffer,
                ..ReceiveMemory::default()
            },
            ratio: FIRST_RATIO,
            clamp,
            ssthresh,
            copied: ssthresh.min(initial.window).min(advmss.saturating_mul(10)),
            copied_from: 0,
            copied_since: now,
            rtt: RoundTrip::default(),
            heard: now,
            advmss,
        }
    }

    pub(crate) fn memory(&self) -> &ReceiveMemory {
        &self.memory
    }

    pub(crate) fn set_memory(&mut self, memory: ReceiveMemory) {
        self.memory = memory;
    }

    pub(crate) fn clamp(&self) -> u32 {
        self.clamp
    }

    pub(crate) fn ssthresh(&self) -> u32 {
        self.ssthresh
    }

    /// Returns the octets that the reader takes in a round trip.
    pub(crate) fn copied(&self) -> u32 {
        self.copied
    }

    /// Returns the estimated round-trip time, zero before there is one.
    pub(crate) fn rtt(&self) -> Duration {
        Duration::from_micros(self.rtt.micros().into())
    }

    /// Returns the payload that fits `memory` octets.
    fn payload_of(&self, memory: u32) -> u32 {
        let payload = u64::from(memory).saturating_mul(u64::from(self.ratio)) >> 8;
        u32::try_from(payload).unwrap_or(u32::MAX)
    }

    /// Returns the memory that `payload` octets need.
    fn memory_of(&self, payload: u32) -> u32 {
        let memory = u64::from(payload) << 8;
        let memory = memory.checked_div(u64::from(self.ratio)).unwrap_or(0);
        u32::try_from(memory).unwrap_or(u32::MAX)
    }

    /// Returns the window that the whole buffer could bear.
    pub(crate) fn full_space(&self) -> u32 {
        self.payload_of(self.memory.buffer)
    }

    /// Returns the window that the free part of the buffer can bear.
    pub(crate) fn space(&self) -> u32 {
        let memory = &self.memory;
        let used = memory.used.saturating_add(memory.backlog);
        self.payload_of(memory.buffer.saturating_sub(used))
    }

    /// Notes how much memory a segment of a new size takes (in Linux's `tcp_measure_rcv_mss`).
    pub(crate) fn on_new_size(&mut self, segment: &SegmentIn) {
        let memory = segment.memory().max(1);
        let share = (u64::from(segment.len) << 8).checked_div(u64::from(memory));
        let ratio = u8::try_from(share.unwrap_or(0)).unwrap_or(u8::MAX).max(1);
        if ratio != self.ratio {
            self.ratio = ratio;
            self.clamp = self.full_space();
            self.copied = self.copied.min(self.clamp);
        }
    }

    /// Lets the window grow for a segment of `payload` octets that takes `memory` (Linux's
    /// `tcp_grow_window`); returns whether it did.
    pub(crate) fn grow(&mut self, config: &Config, payload: u32, memory: u32, mss: u32) -> bool {
        let room = self.clamp.min(self.space()).saturating_sub(self.ssthresh);
        if room == 0 {
            return false;
        }
        if self.memory.pressure {
            self.shrink_under_pressure();
            return false;
        }
        let step = if self.payload_of(memory) <= payload {
            self.advmss.saturating_mul(2)
        } else {
            self.step_of_wasteful(config, payload, memory, mss)
        };
        if step == 0 {
            return false;
        }
        let step = step.max(payload.saturating_mul(2));
        self.ssthresh = self.ssthresh.saturating_add(step.min(room));
        true
    }

    /// Returns the step for a segment whose memory is mostly wasted: none when the window is large
    /// already (Linux's `__tcp_grow_window`).
    fn step_of_wasteful(&self, config: &Config, payload: u32, memory: u32, mss: u32) -> u32 {
        let mut memory = self.payload_of(memory) >> 1;
        let mut window = self.payload_of(config.max_receive_buffer) >> 1;
        while self.ssthresh <= window && window > 0 {
            if memory <= payload {
                return mss.saturating_mul(2);
            }
            memory >>= 1;
            window >>= 1;
        }
        0
    }

    /// Takes back what memory pressure does not allow (Linux's `tcp_adjust_rcv_ssthresh`).
    pub(crate) fn shrink_under_pressure(&mut self) {
        self.ssthresh = self.ssthresh.min(self.advmss.saturating_mul(4));
    }

    /// The buffer is full though the window was kept: the segments are worse than they were
    /// (Linux's `tcp_clamp_window`).
    pub(crate) fn on_full(&mut self, config: &Config) {
        let memory = &mut self.memory;
        if memory.buffer < config.max_receive_buffer && !memory.fixed && !memory.pressure {
            // As Linux, also where that is less than before.
            memory.buffer = memory.used.min(config.max_receive_buffer);
        }
        if memory.used > memory.buffer {
            self.ssthresh = self.clamp.min(self.advmss.saturating_mul(2));
        }
    }

    /// Times the round trip by a segment in order, received up to `nxt` while the window reaches to
    /// `edge` (Linux's `tcp_rcv_rtt_measure`).
    pub(crate) fn time_window(&mut self, now: Instant, nxt: u64, edge: u64) {
        self.heard = now;
        if let Some((end, since)) = self.rtt.window {
            if nxt < end {
                return;
            }
            self.rtt.sample(now.since(since), true, false);
        }
        self.rtt.window = Some((edge, now));
    }

    /// Times the round trip by an echoed timestamp (Linux's `tcp_rcv_rtt_measure_ts`).
    ///
    /// `age` is how long ago we sent it, if that is credible; `full` tells that the segment had the
    /// peer's usual size, so that it was not held back.
    pub(crate) fn time_echo(
        &mut self,
        echo: u32,
        age: Option<Duration>,
        full: bool,
        all_read: bool,
    ) {
        if echo == self.rtt.last_echo {
            return;
        }
        self.rtt.last_echo = echo;
        // As Linux: what is less than a tick of that clock says nothing.
        let age = age.filter(|&age| age > Duration::ZERO);
        if let (Some(age), true) = (age, full) {
            self.rtt.sample(age, false, all_read);
        }
    }

    /// The reader has consumed up to `read` of what was received up to `nxt`, `held` octets beyond
    /// it (Linux's `tcp_rcv_space_adjust`).
    pub(crate) fn on_read(&mut self, config: &Config, read: u64, nxt: u64, held: u32) {
        if self.rtt.estimate == 0 {
            return;
        }
        // As Linux by the time of the last segment: reading is not timed by itself.
        let elapsed = self.heard.since(self.copied_since);
        if elapsed.as_micros() < u64::from(self.rtt.micros()) {
            return;
        }
        let unread = nxt.saturating_sub(read);
        let copied = read.saturating_sub(self.copied_from).saturating_sub(unread);
        let copied = u32::try_from(copied).unwrap_or(u32::MAX);
        if copied > self.copied {
            self.grow_buffer(config, copied, held);
        }
        self.copied_from = read;
        self.copied_since = self.heard;
    }

    /// Data is held out of order: the buffer needs room for it beside what the reader takes.
    pub(crate) fn on_held(&mut self, config: &Config, held: u32) {
        if !self.memory.unowned {
            self.grow_buffer(config, self.copied, held);
        }
    }

    /// Gives the buffer room for what the reader takes in a round trip, `new` octets, and what it
    /// may take in the next (Linux's `tcp_rcvbuf_grow`).
    fn grow_buffer(&mut self, config: &Config, new: u32, held: u32) {
        let old = self.copied.max(1);
        self.copied = new;
        if !config.moderate_rcvbuf || self.memory.fixed {
            return;
        }
        // What is measured is always one round trip old.
        let window = u64::from(new).saturating_mul(2);
        let rtt = u64::from(self.rtt.micros());
        let low = config.rcvbuf_low_rtt.as_micros();
        let grow = if rtt < low {
            window.saturating_mul(rtt).checked_div(low).unwrap_or(0)
        } else {
            // In slow start the sender doubles its rate.
            let more = u64::from(new.saturating_sub(old));
            let grow = window.saturating_mul(2).saturating_mul(more);
            grow.checked_div(u64::from(old)).unwrap_or(0)
        };
        let window = window
            .saturating_add(grow)
            .saturating_add(u64::from(held))
            .min(u64::from(u32::MAX));
        let wanted = self.memory_of(u32::try_from(window).unwrap_or(u32::MAX));
        let wanted = wanted.min(config.max_receive_buffer);
        if wanted > self.memory.buffer {
            self.memory.buffer = wanted;
            self.clamp = self.full_space();
        }
    }

    /// Bounds the window (`TCP_WINDOW_CLAMP`); `window` is what is offered now.
    pub(crate) fn set_clamp(&mut self, clamp: u32, window: u32) {
        let clamp = clamp.max(MIN_BUFFER / 2);
        self.ssthresh = match clamp.cmp(&self.clamp) {
            Ordering::Less => self.ssthresh.min(clamp),
            Ordering::Equal => self.ssthresh,
            Ordering::Greater => self.ssthresh.max(window.min(clamp)),
        };
        self.clamp = clamp;
    }

    /// Lets the buffer and the window hold what the reader waits for (Linux's `tcp_set_rcvlowat`).
    pub(crate) fn set_low_water(&mut self, octets: u32) {
        let wanted = self.memory_of(octets);
        if !self.memory.fixed && wanted > self.memory.buffer {
            self.memory.buffer = wanted;
            self.clamp = self.clamp.max(octets);
        }
    }
}

#[cfg(test)]
mod tests;
