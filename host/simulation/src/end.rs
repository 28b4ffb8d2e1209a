// SPDX-License-Identifier: GPL-2.0

//! What the world and the programs see of an end, whichever TCP works in it.

use crate::wire::Packet;
use crate::wire::Time;

/// How a connection ended for one end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Both streams ended, or nobody waits for the rest.
    Finished,
    /// A RST came, or nobody listened.
    Reset,
    /// The peer was silent.
    TimedOut,
    /// This end gave up.
    Aborted,
}

/// What a program sees of its socket.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// The handshake is done.
    pub established: bool,
    /// Octets that a write may bring now.
    pub room: u64,
    /// Octets that a read may take.
    pub unread: u64,
    /// Nothing follows what is unread.
    pub eof: bool,
    /// The connection is over.
    pub over: Option<Outcome>,
    /// Octets that the peer has acknowledged.
    pub acked: u64,
}

/// What a program may change at any time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tune {
    NoDelay(bool),
    Cork(bool),
    KeepAlive(Option<KeepAlive>),
    UserTimeout(Option<Time>),
    QuickAck(bool),
}

/// Times of keepalive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeepAlive {
    pub idle: Time,
    pub interval: Time,
    pub probes: u8,
}

/// One end of a connection: a TCP with its owner, in virtual time.
pub trait End {
    /// Opens actively or passively.
    fn open(&mut self, now: Time, active: bool);
    /// Takes a packet from the link; damaged ones too.
    fn on_packet(&mut self, now: Time, packet: &Packet);
    /// Does what is due.
    fn on_wake(&mut self, now: Time);
    /// Returns when [`End::on_wake`] wants to be called.
    fn wake_at(&mut self, now: Time) -> Option<Time>;
    /// Takes the packets that are to be sent.
    fn take_output(&mut self) -> Vec<Packet>;
    /// Tells that a packet was too long for the path; `quoted` is its sequence number.
    fn on_too_long(&mut self, now: Time, mtu: u32, quoted: u32);
    /// Lets this end's clock jump forward.
    fn jump(&mut self, by: Time);

    fn status(&self) -> Status;
    /// Writes up to `len` octets and returns how many were taken.
    fn write(&mut self, now: Time, len: u64, more: bool) -> u64;
    /// Reads and checks up to `len` octets and returns how many there were.
    fn read(&mut self, now: Time, len: u64) -> u64;
    /// Closes the sending half.
    fn shutdown(&mut self, now: Time);
    /// Lets the descriptor go.
    fn close(&mut self, now: Time);
    /// Resets the connection.
    fn abort(&mut self, now: Time);
    fn tune(&mut self, now: Time, tune: Tune);

    /// Returns whether nothing that this end still knows can matter any more.
    fn is_idle(&self) -> bool;
    /// Returns a few words for a diagram.
    fn describe(&self, now: Time) -> String;
    /// Returns the octets that this end says it has sent again.
    fn retransmitted(&self) -> u64;
}
