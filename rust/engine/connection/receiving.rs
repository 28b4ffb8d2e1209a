// SPDX-License-Identifier: GPL-2.0

//! What the owner of a receive buffer tells a connection, and asks it.

use super::Connection;
use super::Phase;
use crate::engine::rx::Place;
use crate::engine::rx::ReceiveMemory;
use crate::engine::segment::SegmentIn;
use crate::engine::store::Store;
use crate::engine::time::Duration;
use crate::engine::urgent::Mark;
use crate::engine::urgent::UrgentOctet;

impl<S: Store> Connection<S> {
    /// Returns where the payload of `segment` would go, so that the owner can make room for it.
    pub fn place_of(&self, segment: &SegmentIn) -> Place {
        match &self.phase {
            Phase::Synchronized(connection) => connection.rx.place_of(segment),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => Place::Next,
        }
    }

    /// Notes the memory of the receive buffer, before other input and before output. What the
    /// engine makes of it stands in [`Connection::receive_buffer`].
    pub fn set_receive_memory(&mut self, memory: &ReceiveMemory) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.rx.tuning.set_memory(*memory);
        }
    }

    /// Returns the size that the receive buffer should have from now on, unless the user chose it.
    pub fn receive_buffer(&self) -> Option<u32> {
        match &self.phase {
            Phase::Synchronized(connection) => Some(connection.rx.tuning.memory().buffer),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => None,
        }
    }

    /// Notes that the receive buffer is full although its owner kept the window (Linux's
    /// `tcp_clamp_window`): it may grow, or the window must shrink.
    pub fn on_receive_buffer_full(&mut self) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.delack.stop_quick();
            connection.rx.tuning.on_full(&self.config);
        }
    }

    /// Notes that memory is refused although the receive buffer has room: where it is short for all,
    /// the window shrinks.
    pub fn on_memory_short(&mut self) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            let tuning = &mut connection.rx.tuning;
            if tuning.memory().pressure {
                tuning.shrink_under_pressure();
            }
        }
    }

    /// Notes that the owner has dropped all that it held out of order from stream offset `offset`
    /// on, to save memory.
    pub fn on_held_dropped(&mut self, offset: u64) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.rx.forget_held_from(offset);
        }
    }

    /// Bounds the window that is offered (`TCP_WINDOW_CLAMP`); 0 for no bound, which only a
    /// connection that has not begun can be given.
    pub fn set_window_clamp(&mut self, octets: u32) {
        self.config.window_clamp = octets;
        if let (Phase::Synchronized(connection), true) = (&mut self.phase, octets > 0) {
            let window = connection.rx.window();
            connection.rx.tuning.set_clamp(octets, window);
        }
    }

    /// Returns the largest window that may be offered now (`TCP_WINDOW_CLAMP`).
    pub fn window_clamp(&self) -> u32 {
        match &self.phase {
            Phase::Synchronized(connection) => connection.rx.tuning.clamp(),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => {
                self.config.window_clamp
            }
        }
    }

    /// Notes that the last octet written is urgent (MSG_OOB): the peer hears of it at once.
    pub fn mark_urgent(&mut self) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            let tx = &mut connection.tx;
            tx.up = tx.written;
        }
    }

    /// Returns which payload octet of `segment`, which was given just now, is the urgent one: the
    /// owner gives it to [`Connection::set_urgent_octet`].
    pub fn urgent_in(&self, segment: &SegmentIn) -> Option<u32> {
        match &self.phase {
            Phase::Synchronized(connection) => connection.rx.urgent_in(segment.seq, segment.len),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => None,
        }
    }

    /// Keeps the urgent octet.
    pub fn set_urgent_octet(&mut self, octet: u8) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            if let Some(mark) = &mut connection.rx.mark {
                mark.octet = UrgentOctet::Here(octet);
            }
        }
    }

    /// Notes that the user has taken the urgent octet apart from the stream.
    pub fn take_urgent_octet(&mut self) {
        let mark = match &mut self.phase {
            Phase::Synchronized(connection) => &mut connection.rx.mark,
            Phase::Ended(ended) => &mut ended.mark,
            Phase::SynSent(..) | Phase::SynReceived(..) => return,
        };
        if let Some(mark) = mark {
            mark.octet = UrgentOctet::Taken;
        }
    }

    pub(super) fn mark(&self) -> Option<Mark> {
        match &self.phase {
            Phase::Synchronized(connection) => connection.rx.mark,
            Phase::Ended(ended) => ended.mark,
            Phase::SynSent(..) | Phase::SynReceived(..) => None,
        }
    }

    /// Returns the place of the urgent octet in the stream, and what became of it, until the reader
    /// has passed it.
    pub fn urgent(&self) -> Option<(u64, UrgentOctet)> {
        self.mark().map(|mark| (mark.at, mark.octet))
    }

    /// Returns whether the window that is offered has room for no more than one of the peer's segments:
    /// a reader had better not wait for more.
    pub fn is_window_small(&self) -> bool {
        match &self.phase {
            Phase::Synchronized(connection) => connection.rx.window() <= connection.rx.mss,
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => false,
        }
    }

    /// Bounds the delay of acknowledgments (`TCP_DELACK_MAX_US`).
    pub fn set_delack_max(&mut self, limit: Duration) {
        self.config.delack_max = limit;
    }

    /// Lets the receive buffer hold the octets for which the reader waits (`SO_RCVLOWAT`).
    pub fn set_low_water(&mut self, octets: u32) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.rx.tuning.set_low_water(octets);
        }
    }

    /// Turns acknowledgments without delay on or off for a while (`TCP_QUICKACK`): an even `value`
    /// but 0 does so only for what is owed now.
    pub fn quick_ack(&mut self, value: i32) {
        if let Phase::Synchronized(connection) = &mut self.phase {
            connection.set_quick_ack(&self.config, value);
        }
    }

    /// Returns whether acknowledgments do not wait for data to ride on (`TCP_QUICKACK`).
    pub fn is_quick_ack(&self) -> bool {
        match &self.phase {
            Phase::Synchronized(connection) => !connection.delack.is_interactive(&self.config),
            Phase::SynSent(..) | Phase::SynReceived(..) | Phase::Ended(_) => true,
        }
    }
}
