// SPDX-License-Identifier: GPL-2.0

//! What a socket of the family keeps.

use super::{
    accept,
    accept_queue::{
        AcceptQueue,
        Ticket, //
    },
    close,
    config,
    connect,
    counters,
    entry::Entry,
    fast_open_client,
    flush,
    icmp::Narrower,
    input,
    listen,
    listeners,
    md5,
    memory,
    namespace::{
        self,
        Namespace, //
    },
    options::{
        self,
        Options, //
    },
    orphan::Orphan,
    poll,
    ports::PortUse,
    published::Published,
    records::Connection,
    recv,
    send,
    send_buffer,
    splice, //
    urgent::Seen,
};
use crate::{
    engine::{
        Duration,
        Instant, //
    },
    net::{
        boxed::in_place,
        ip::Hints,
        msg::{
            Msg,
            OptionIn,
            OptionOut, //
        },
        net_namespace::Net,
        port::Claim,
        proto::{
            Accepted,
            Protocol,
            Tables, //
        },
        rhashtable::NodeRef,
        rope::Rope,
        rx_queue::SkbTree,
        skbuff::Skb,
        sock::{
            Locked,
            Shutdown,
            Sock,
            SockState, //
        },
        spinlock::{
            new_spinlock_bh,
            SpinLockBh, //
        },
        splice::Pipe,
        tx_stamp::TxStamps, //
    }, //
};
use core::{
    net::SocketAddr,
    sync::atomic::{
        AtomicBool,
        AtomicU32,
        AtomicU64,
        Ordering, //
    }, //
};
use kernel::{
    alloc::Flags,
    prelude::*,
    sync::Arc, //
};

/// The MSS that every host takes (RFC 9293 section 3.7.1).
pub(super) const MSS_DEFAULT: u16 = 536;

/// The protocol: TCP, by the engine.
pub(crate) struct Tcp;

/// A socket of the family.
pub(super) type TcpSock = Sock<Tcp>;

static TABLES: Tables = Tables::new();

/// What can be reached without the socket lock.
#[pin_data]
pub(crate) struct Shared {
    /// A listener's connections.
    #[pin]
    pub(super) queue: AcceptQueue,
    /// The options, for the connections of a listener.
    #[pin]
    pub(super) options: SpinLockBh<Options>,
    /// The keys of `TCP_MD5SIG`.
    #[pin]
    pub(super) md5_keys: md5::Keys,
    /// What an ICMP error said of the path while a task owned the socket.
    #[pin]
    pub(super) narrower: SpinLockBh<Option<Narrower>>,
    /// Bytes that can be read, for pollers.
    unread: AtomicU64,
    /// `TCP_INQ`, as the options have it.
    tells_unread: AtomicBool,
    /// The window has no room for much more of it.
    window_small: AtomicBool,
    /// The connection began with its SYN (Fast Open).
    early: AtomicBool,
    /// What they see of urgent data.
    urgent_here: AtomicBool,
    urgent_at_mark: AtomicBool,
    /// What decides whether more may be written.
    pub(super) send: SendSpace,
    /// The rest of what is seen without the lock.
    pub(super) published: Published,
}

/// What decides whether more may be written, for writers and pollers.
#[derive(Default)]
pub(super) struct SendSpace {
    /// Bytes that are written and not sent.
    unsent: AtomicU64,
    /// `TCP_NOTSENT_LOWAT`, 0 if not set.
    low_water: AtomicU32,
}

impl SendSpace {
    fn new(low_water: u32) -> Self {
        Self {
            unsent: AtomicU64::new(0),
            low_water: AtomicU32::new(low_water),
        }
    }

    /// Bytes that are written and not sent.
    pub(super) fn unsent(&self) -> u64 {
        self.unsent.load(Ordering::Relaxed)
    }

    /// Publishes how many bytes are written and not sent.
    pub(super) fn set_unsent(&self, bytes: u64) {
        self.unsent.store(bytes, Ordering::Relaxed);
    }

    /// `TCP_NOTSENT_LOWAT`, 0 if not set.
    pub(super) fn low_water(&self) -> u32 {
        self.low_water.load(Ordering::Relaxed)
    }

    /// Changes `TCP_NOTSENT_LOWAT`.
    pub(super) fn set_low_water(&self, bytes: u32) {
        self.low_water.store(bytes, Ordering::Relaxed);
    }
}

impl Shared {
    fn new(options: Options) -> impl PinInit<Self, Error> {
        let low_water = options.notsent_lowat;
        let tells_unread = options.tells_unread;
        try_pin_init!(Self {
            queue <- AcceptQueue::new(),
            options <- new_spinlock_bh!(options, "oxtcp_options"),
            md5_keys <- md5::Keys::new(),
            narrower <- new_spinlock_bh!(None, "oxtcp_narrower"),
            unread: AtomicU64::new(0),
            tells_unread: AtomicBool::new(tells_unread),
            window_small: AtomicBool::new(false),
            early: AtomicBool::new(false),
            urgent_here: AtomicBool::new(false),
            urgent_at_mark: AtomicBool::new(false),
            send: SendSpace::new(low_water),
            published: Published::default(),
        }? Error)
    }

    /// What a connection of a listener begins with.
    pub(super) fn child(options: Options) -> impl PinInit<Self, Error> {
        Self::new(options)
    }

    /// The options now.
    pub(super) fn options(&self) -> Options {
        *self.options.lock()
    }

    /// Whether the connection began with its SYN.
    pub(super) fn is_early(&self) -> bool {
        self.early.load(Ordering::Relaxed)
    }

    /// Notes that the connection began with its SYN.
    pub(super) fn set_early(&self) {
        self.early.store(true, Ordering::Relaxed);
    }

    /// `TCP_INQ`: every reader is told how much more can be read.
    pub(super) fn tells_unread(&self) -> bool {
        self.tells_unread.load(Ordering::Relaxed)
    }

    /// Changes `TCP_INQ`.
    pub(super) fn set_tells_unread(&self, on: bool) {
        self.tells_unread.store(on, Ordering::Relaxed);
    }

    /// Bytes that can be read.
    pub(super) fn unread(&self) -> u64 {
        self.unread.load(Ordering::Relaxed)
    }

    /// What is to be seen of urgent data.
    pub(super) fn urgent(&self) -> Seen {
        Seen {
            here: self.urgent_here.load(Ordering::Relaxed),
            at_mark: self.urgent_at_mark.load(Ordering::Relaxed),
        }
    }

    /// Publishes what is to be seen of urgent data.
    pub(super) fn set_urgent(&self, seen: Seen) {
        self.urgent_here.store(seen.here, Ordering::Relaxed);
        self.urgent_at_mark.store(seen.at_mark, Ordering::Relaxed);
    }

    /// Whether the window has no room for much more.
    pub(super) fn is_window_small(&self) -> bool {
        self.window_small.load(Ordering::Relaxed)
    }

    /// Publishes whether the window has no room for much more.
    pub(super) fn set_window_small(&self, small: bool) {
        self.window_small.store(small, Ordering::Relaxed);
    }

    /// Publishes how many bytes can be read.
    pub(super) fn set_unread(&self, bytes: u64) {
        self.unread.store(bytes, Ordering::Relaxed);
    }
}

/// What the socket is.
pub(super) enum Role {
    /// Neither connected nor listening.
    Idle,
    /// Accepts connections.
    Listener,
    /// Has a connection, which may be closed by now.
    Connection(KBox<Connection>),
}

/// Makes a closed connection, on the heap from the start: it would take an eighth of the stack that
/// system calls and softirqs share.
pub(super) fn new_connection(flags: Flags) -> Result<KBox<Connection>> {
    in_place(flags, Connection::closed)
}

/// What is reached under the socket lock.
pub(crate) struct State {
    pub(super) namespace: Arc<Namespace>,
    pub(super) role: Role,
    /// The send buffer: the stream from `acked()` to `written()`.
    pub(super) rope: Rope,
    /// Bytes of it whose way is reported.
    pub(super) stamps: TxStamps,
    /// Received data that is not in order yet.
    pub(super) held: SkbTree,
    /// Where we are found as a listener.
    pub(super) place: Option<listeners::Place>,
    /// Our place in the table of connections.
    pub(super) node: Option<NodeRef<Entry>>,
    pub(super) port: Option<PortUse>,
    /// What the listener counts, while the connection has Fast Open and no third ACK.
    pub(super) ticket: Option<Ticket>,
    /// The headers of the SYN that the connection began with (`TCP_SAVED_SYN`).
    pub(super) saved_syn: Option<KVec<u8>>,
    /// The MSS of the last connection, or of one whose peer has not told its own.
    pub(super) mss: u16,
    /// The use of Fast Open as a client.
    pub(super) fast_open: fast_open_client::Client,
    /// When the socket's timer will fire.
    pub(super) timer: Option<Instant>,
    /// The connection counts as one that nobody owns.
    pub(super) orphan: Option<Orphan>,
    /// How often another path was tried.
    pub(super) rehashes: u32,
    /// The MTU of the route that the connection knows of, less what IP options take.
    pub(super) mtu: u32,
    /// What that route says of congestion and acknowledgments.
    pub(super) hints: Hints,
    /// The route chose the congestion control, and lets nobody choose another.
    pub(super) congestion_locked: bool,
    /// `TCP_MAXSEG` when the connection began, 0 if not set: later it says nothing of this one.
    pub(super) max_segment: u16,
    /// `TCP_QUICKACK` was off on the listener when it made this socket.
    pub(super) interactive: bool,
}

impl State {
    pub(super) fn new(namespace: Arc<Namespace>) -> Self {
        Self {
            namespace,
            role: Role::Idle,
            rope: Rope::new(0),
            stamps: TxStamps::new(),
            held: SkbTree::new(),
            place: None,
            node: None,
            port: None,
            ticket: None,
            saved_syn: None,
            mss: MSS_DEFAULT,
            fast_open: fast_open_client::Client::default(),
            timer: None,
            orphan: None,
            rehashes: 0,
            mtu: 0,
            hints: Hints::default(),
            congestion_locked: false,
            max_segment: 0,
            interactive: false,
        }
    }

    /// The connection, if there is one.
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.role {
            Role::Connection(conn) => Some(conn),
            Role::Idle | Role::Listener => None,
        }
    }
}

impl Protocol for Tcp {
    type Shared = Shared;
    type State = State;

    // Linux's number of AF_ASH, which never was.
    const FAMILY: u32 = 18;
    const NAME: &'static CStr = c"OXTCP";
    // IPPROTO_TCP in the low byte, which is what IP, routing and IPsec see; as a whole nobody's, so
    // that nothing in the kernel takes the socket for its own TCP's.
    const PROTOCOL: u16 = 0x0206;

    fn tables() -> &'static Tables {
        &TABLES
    }

    fn shared() -> impl PinInit<Shared, Error> {
        Shared::new(Options::default())
    }

    fn is_supported(net: &Net) -> bool {
        namespace::is_enabled(net)
    }

    fn state(net: &Net) -> Result<State> {
        Ok(State::new(namespace::of(net)?))
    }

    fn prepare_inet6(net: &Net) -> Result {
        namespace::of(net)?.prepare_ipv6(net)
    }

    fn opened(sk: &mut Locked<'_, Self>) {
        // As `tcp_init_sock`: TCP's own buffer sizes, not those of sockets in general.
        let net = sk.sock().net();
        sk.set_send_buffer(net.wmem().default);
        sk.set_receive_buffer(net.rmem().default);
        let (rto_min, rto_max) = net.rto_bounds_ns();
        let mut options = sk.sock().shared().options.lock();
        options.congestion = config::congestion_of(net);
        options.rto_max = Duration::from_nanos(rto_max);
        options.rto_min = Duration::from_nanos(rto_min);
    }

    fn state_changes(sk: &mut Locked<'_, Self>, old: u8, new: SockState) {
        counters::state_changes(sk.state(), old, new);
    }

    fn connect(sk: &mut Locked<'_, Self>, peer: SocketAddr) -> Result {
        connect::connect(sk, peer)
    }

    fn disconnect(sk: &mut Locked<'_, Self>) -> Result {
        close::disconnect(sk);
        Ok(())
    }

    fn get_port(sk: &mut Locked<'_, Self>, port: u16) -> Result {
        connect::take_port(sk, port, Claim::Bind)
    }

    fn binding_changed(sk: &mut Locked<'_, Self>) {
        // Without memory for another holder the old one stays, which AF_INET still sees.
        let _ = connect::follow(sk);
        connect::follow_device(sk);
    }

    fn put_port(sk: &mut Locked<'_, Self>) {
        sk.set_port(0);
        sk.state().port = None;
    }

    fn listen(sk: &mut Locked<'_, Self>, backlog: u32) -> Result {
        listen::listen(sk, backlog)
    }

    fn accept(sk: &Sock<Self>, nonblock: bool) -> Result<Accepted<Self>> {
        accept::accept(sk, nonblock)
    }

    fn close(sk: &Sock<Self>, linger: isize) {
        close::close(sk, linger);
    }

    fn shutdown(sk: &mut Locked<'_, Self>, how: Shutdown) {
        close::shutdown(sk, how);
    }

    fn stamp_base(sk: &mut Locked<'_, Self>, written: bool) -> u32 {
        send_buffer::stamp_base(sk, written)
    }

    fn sendmsg(sk: &Sock<Self>, msg: &mut Msg<'_>, len: usize) -> Result<usize> {
        send::sendmsg(sk, msg, len)
    }

    fn recvmsg(sk: &Sock<Self>, msg: &mut Msg<'_>, len: usize) -> Result<usize> {
        recv::recvmsg(sk, msg, len)
    }

    fn splice_read(sk: &Sock<Self>, to: &mut Pipe, len: usize, nonblock: bool) -> Result<usize> {
        splice::read(sk, to, len, nonblock)
    }

    fn splice_eof(sk: &Sock<Self>) {
        splice::end(sk);
    }

    fn takes_more(sk: &Sock<Self>, wake: bool) -> bool {
        send_buffer::takes_more(sk, 0, wake)
    }

    fn poll(sk: &Sock<Self>) -> u32 {
        poll::poll(sk)
    }

    fn ioctl(sk: &Sock<Self>, request: u32) -> Result<i32> {
        options::ioctl(sk, request)
    }

    fn setsockopt(sk: &Sock<Self>, name: i32, value: OptionIn) -> Result {
        options::set(sk, name, value)
    }

    fn getsockopt(sk: &Sock<Self>, name: i32, value: OptionOut) -> Result {
        options::get(sk, name, value)
    }

    fn keepalive(sk: &mut Locked<'_, Self>, on: bool) {
        options::keepalive(sk, on);
    }

    fn receive_buffer_set(sk: &mut Locked<'_, Self>, bytes: u32) {
        options::receive_buffer_set(sk, bytes);
    }

    fn set_low_water(sk: &mut Locked<'_, Self>, bytes: u32) {
        memory::set_low_water(sk, bytes);
    }

    fn receive(sk: &mut Locked<'_, Self>, skb: Skb) {
        input::receive_late(sk, skb);
    }

    fn departure(sk: &mut Locked<'_, Self>) {
        flush::departure(sk);
    }

    fn timer(sk: &mut Locked<'_, Self>) {
        flush::timer(sk);
    }
}
