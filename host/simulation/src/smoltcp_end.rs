// SPDX-License-Identifier: GPL-2.0

//! An end with smoltcp in it: a TCP that knows nothing of ours, over its own IP layer.

use crate::end::End;
use crate::end::Outcome;
use crate::end::Status;
use crate::end::Tune;
use crate::rng::check_pattern;
use crate::rng::pattern;
use crate::rng::Rng;
use crate::wire::Packet;
use crate::wire::Time;
use crate::wire::ADDRESSES;
use crate::wire::PORTS;
use smoltcp::iface;
use smoltcp::iface::Interface;
use smoltcp::iface::SocketHandle;
use smoltcp::iface::SocketSet;
use smoltcp::phy;
use smoltcp::socket::tcp;
use smoltcp::time::Duration;
use smoltcp::time::Instant;
use smoltcp::wire::HardwareAddress;
use smoltcp::wire::IpAddress;
use smoltcp::wire::IpCidr;
use std::cell::Cell;
use std::collections::VecDeque;

thread_local! {
    /// smoltcp asks a plain function for its timestamps' clock.
    static MILLISECONDS: Cell<u32> = const { Cell::new(0) };
}

/// How smoltcp is set up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    pub mtu: u32,
    pub send_buffer: usize,
    pub receive_buffer: usize,
    pub timestamps: bool,
    pub nagle: bool,
    pub delayed_ack: bool,
    pub cubic: bool,
}

struct Device {
    mtu: usize,
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

struct RxToken(Vec<u8>);
struct TxToken<'a>(&'a mut Vec<Vec<u8>>);

impl phy::RxToken for RxToken {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl phy::TxToken for TxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut packet = vec![0; len];
        let result = fill(&mut packet);
        self.0.push(packet);
        result
    }
}

impl phy::Device for Device {
    type RxToken<'a> = RxToken;
    type TxToken<'a> = TxToken<'a>;

    fn capabilities(&self) -> phy::DeviceCapabilities {
        let mut capabilities = phy::DeviceCapabilities::default();
        capabilities.medium = phy::Medium::Ip;
        capabilities.max_transmission_unit = self.mtu;
        capabilities
    }

    fn receive(&mut self, _: Instant) -> Option<(RxToken, TxToken<'_>)> {
        let packet = self.received.pop_front()?;
        Some((RxToken(packet), TxToken(&mut self.sent)))
    }

    fn transmit(&mut self, _: Instant) -> Option<TxToken<'_>> {
        Some(TxToken(&mut self.sent))
    }
}

/// smoltcp's end.
pub struct SmoltcpEnd {
    id: usize,
    device: Device,
    interface: Interface,
    sockets: SocketSet<'static>,
    socket: SocketHandle,
    send_buffer: usize,
    clock: Time,
    written: u64,
    read: u64,
    established: bool,
    opened: bool,
    eof: bool,
    aborted: bool,
}

impl SmoltcpEnd {
    pub fn new(id: usize, setup: Setup, mut rng: Rng) -> SmoltcpEnd {
        let mut device = Device {
            mtu: setup.mtu as usize,
            received: VecDeque::new(),
            sent: Vec::new(),
        };
        let mut config = iface::Config::new(HardwareAddress::Ip);
        config.random_seed = rng.bits();
        let mut interface = Interface::new(config, &mut device, Instant::ZERO);
        interface.update_ip_addrs(|addresses| {
            let cidr = IpCidr::new(address(id), 24);
            addresses.push(cidr).expect("room for an address");
        });
        let mut socket = tcp::Socket::new(
            tcp::SocketBuffer::new(vec![0; setup.receive_buffer]),
            tcp::SocketBuffer::new(vec![0; setup.send_buffer]),
        );
        if setup.timestamps {
            socket.set_tsval_generator(Some(|| MILLISECONDS.get()));
        }
        socket.set_nagle_enabled(setup.nagle);
        if !setup.delayed_ack {
            socket.set_ack_delay(None);
        }
        if setup.cubic {
            socket.set_congestion_control(tcp::CongestionControl::Cubic);
        }
        // Without it a vanished peer would be waited for without end.
        socket.set_timeout(Some(Duration::from_secs(600)));
        let mut sockets = SocketSet::new(vec![]);
        let socket = sockets.add(socket);
        SmoltcpEnd {
            id,
            device,
            interface,
            sockets,
            socket,
            send_buffer: setup.send_buffer,
            clock: 0,
            written: 0,
            read: 0,
            established: false,
            opened: false,
            eof: false,
            aborted: false,
        }
    }

    fn socket(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.socket)
    }

    fn state(&self) -> tcp::State {
        self.sockets
            .get::<tcp::Socket<'static>>(self.socket)
            .state()
    }

    fn poll(&mut self, now: Time) {
        let at = self.instant(now);
        MILLISECONDS.set((at.total_micros() / 1000) as u32);
        self.interface.poll(at, &mut self.device, &mut self.sockets);
        self.established |= matches!(
            self.state(),
            tcp::State::Established | tcp::State::CloseWait | tcp::State::FinWait1
        );
        self.eof |= matches!(
            self.state(),
            tcp::State::CloseWait
                | tcp::State::Closing
                | tcp::State::LastAck
                | tcp::State::TimeWait
        );
    }

    fn instant(&self, now: Time) -> Instant {
        Instant::from_micros(((now + self.clock) / 1000) as i64)
    }
}

fn address(id: usize) -> IpAddress {
    let [a, b, c, d] = ADDRESSES[id];
    IpAddress::v4(a, b, c, d)
}

impl End for SmoltcpEnd {
    fn open(&mut self, now: Time, active: bool) {
        self.opened = true;
        let (id, peer) = (self.id, 1 - self.id);
        if active {
            let socket = self.sockets.get_mut::<tcp::Socket<'static>>(self.socket);
            socket
                .connect(
                    self.interface.context(),
                    (address(peer), PORTS[peer]),
                    PORTS[id],
                )
                .expect("a socket that can connect");
        } else {
            self.socket()
                .listen(PORTS[id])
                .expect("a socket that can listen");
        }
        self.poll(now);
    }

    fn on_packet(&mut self, now: Time, packet: &Packet) {
        self.device.received.push_back(packet.bytes.clone());
        self.poll(now);
    }

    fn on_wake(&mut self, now: Time) {
        self.poll(now);
    }

    fn wake_at(&mut self, now: Time) -> Option<Time> {
        let at = self.instant(now);
        let wake = self.interface.poll_at(at, &self.sockets)?;
        let wake = (wake.total_micros().max(0) as u64).saturating_mul(1000);
        // Its clock has microseconds only; and it may be late but never spins here.
        Some(wake.saturating_sub(self.clock).max(now + 1000))
    }

    fn take_output(&mut self) -> Vec<Packet> {
        let sent = std::mem::take(&mut self.device.sent);
        sent.into_iter()
            .map(|bytes| Packet {
                mss: 0,
                longest: bytes.len() as u32,
                bytes,
            })
            .collect()
    }

    fn on_too_long(&mut self, _: Time, _: u32, _: u32) {}

    fn jump(&mut self, by: Time) {
        self.clock += by;
    }

    fn status(&self) -> Status {
        let socket = self.sockets.get::<tcp::Socket<'static>>(self.socket);
        let state = socket.state();
        let over = match state {
            _ if !self.opened => None,
            tcp::State::TimeWait => Some(Outcome::Finished),
            tcp::State::Closed if self.eof => Some(Outcome::Finished),
            tcp::State::Closed if self.aborted => Some(Outcome::Aborted),
            tcp::State::Closed => Some(Outcome::Reset),
            _ => None,
        };
        Status {
            established: self.established,
            room: if socket.may_send() {
                (self.send_buffer - socket.send_queue()) as u64
            } else {
                0
            },
            unread: if state == tcp::State::Closed && !self.eof {
                0
            } else {
                socket.recv_queue() as u64
            },
            eof: self.eof,
            over,
            acked: self.written - socket.send_queue() as u64,
        }
    }

    fn write(&mut self, now: Time, len: u64, _: bool) -> u64 {
        let (id, written) = (self.id, self.written);
        let bytes: Vec<u8> = (0..len).map(|i| pattern(id, written + i)).collect();
        let took = self.socket().send_slice(&bytes).unwrap_or(0) as u64;
        self.written += took;
        self.poll(now);
        took
    }

    fn read(&mut self, now: Time, len: u64) -> u64 {
        let mut bytes = vec![0; len as usize];
        let got = self.socket().recv_slice(&mut bytes).unwrap_or(0);
        check_pattern(1 - self.id, self.read, &bytes[..got]);
        self.read += got as u64;
        self.poll(now);
        got as u64
    }

    fn shutdown(&mut self, now: Time) {
        self.socket().close();
        self.poll(now);
    }

    fn close(&mut self, now: Time) {
        // It has no descriptor that could go away: who leaves with octets unread resets.
        if self.status().unread > 0 {
            self.abort(now);
        } else {
            self.shutdown(now);
        }
    }

    fn abort(&mut self, now: Time) {
        self.aborted = true;
        self.socket().abort();
        self.poll(now);
    }

    fn tune(&mut self, now: Time, tune: Tune) {
        match tune {
            Tune::NoDelay(on) => self.socket().set_nagle_enabled(!on),
            // Its keepalive probe has an octet of its own, and takes the place of a lost FIN.
            Tune::KeepAlive(_) | Tune::Cork(_) | Tune::UserTimeout(_) | Tune::QuickAck(_) => {}
        }
        self.poll(now);
    }

    fn is_idle(&self) -> bool {
        matches!(
            self.state(),
            tcp::State::Closed | tcp::State::Listen | tcp::State::TimeWait
        )
    }

    fn describe(&self, _: Time) -> String {
        let socket = self.sockets.get::<tcp::Socket<'static>>(self.socket);
        format!(
            "smoltcp {:?} written {} unacked {} read {} unread {}",
            socket.state(),
            self.written,
            socket.send_queue(),
            self.read,
            socket.recv_queue()
        )
    }

    fn retransmitted(&self) -> u64 {
        0
    }
}
