#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Options act, whenever they are set: before connect or after, on a listener before the SYN, between SYN and accept,
and on the accepted socket.

A row says what is seen of a connection without the option and with it, and which moments are early enough. It is seen
on the wire where that is possible. SEEN=1 prints what there was to see.
"""

import os
import select
import socket
import struct
import time

import internet
import packet
from internet import choose
from packet import CASES, HERE, THERE, Failed, accept, check, equal, error_of, info_of

IP, IP6, SOCKET, TCP = socket.IPPROTO_IP, socket.IPPROTO_IPV6, socket.SOL_SOCKET, socket.IPPROTO_TCP
MOMENTS = "never", "before", "after", "listener", "between", "accepted"
OPENING = "before", "listener"              # what the SYN or SYN-ACK shows
ALWAYS = MOMENTS[1:]                        # what the connection shows
OWN = "before", "after", "accepted"         # what a listener does not hand on
LATE = "after", "accepted"
EARLY = "before", "listener", "between"
MSS = 1000


class Wire:
    """The device, which keeps what it reads and takes IPv6's extension headers from it: the bench knows none."""

    def __init__(self, tun):
        self.tun = tun
        self.last = None     # the last packet with a segment, as it was
        self.write = tun.write

    def read(self, seconds):
        """The next packet."""
        whole = self.tun.read(seconds)
        if whole is None:
            return None
        bare = whole
        if internet.V6:
            while bare[6] in (0, 43, 60):
                size = 8 + 8 * bare[41]
                length = struct.unpack("!H", bare[4:6])[0] - size
                bare = bare[:4] + struct.pack("!HB", length, bare[40]) + bare[7:40] + bare[40 + size:]
        if internet.unpack(bare).protocol == internet.TCP:
            self.last = whole
        return bare

    def ip_options(self):
        """The options of the last packet's IP header, or its first extension header."""
        if internet.V6:
            return self.last[40:48].hex() if self.last[6] != internet.TCP else ""
        return self.last[20:(self.last[0] & 15) * 4].hex()


class Run:
    """One connection of a row's."""

    def __init__(self, bench, moment, options):
        self.bench, self.moment, self.options = bench, moment, options
        self.listener = self.sock = self.peer = None
        self.opening = self.opening_options = None

    def set(self, sock, *moments):
        """Sets the options if it is the time for it."""
        if self.moment in moments:
            for option in self.options:
                sock.setsockopt(*option)

    def open(self):
        """The socket's SYN or SYN-ACK."""
        self.bench.ports += 1
        if self.moment in ("never", "before", "after"):
            self.sock = packet.new_socket()
            self.set(self.sock, "before")
            self.peer = packet.Peer(self.bench, self.bench.ports, None)
            self.sock.connect_ex((THERE, self.peer.port))
            self.opening = self.peer.expect("S")
        else:
            self.listener = packet.new_socket()
            self.set(self.listener, "listener")
            self.listener.bind((HERE, 8000 + MOMENTS.index(self.moment)))
            self.listener.listen(10)
            self.peer = self.bench.caller(self.listener.getsockname()[1])
            self.peer.send("S", mss=MSS, sack_ok=True, ws=0)
            self.opening = self.peer.expect("SA")
        self.opening_options = self.bench.tun.ip_options()
        self.peer.their_ws = self.opening.options.get("ws", 0)

    def establish(self):
        """The rest of the handshake."""
        if self.listener:
            self.set(self.listener, "between")
            self.peer.send("A")
            self.sock = accept(self.listener)
            self.set(self.sock, "accepted")
        else:
            self.peer.send("SA", mss=MSS, sack_ok=True, ws=0)
            self.peer.collect()
            self.set(self.sock, "after")

    def end(self):
        """Lets nothing of it come later."""
        self.peer.send("R")
        for sock in self.sock, self.listener:
            if sock and sock.fileno() >= 0:
                sock.setsockopt(SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
        while self.bench.tun.read(0.001):
            pass

    def data(self, size=1):
        """The first segment of so many bytes."""
        self.sock.send(bytes(size))
        return self.peer.expect("A")

    def readable(self):
        """Whether poll says that there is something to read."""
        return bool(select.select([self.sock], [], [], 0)[0])


def row(name, options, observe, values, moments=ALWAYS, only=None, where=MOMENTS, established=True):
    """A row: what to set, what to look at, (its value without, its value with), and when it may be set."""
    def function(bench):
        bench.tun = Wire(bench.tun)
        wrong = []
        for moment in where:
            run = Run(bench, moment, options)
            run.open()
            if established:
                run.establish()
            seen = observe(run)
            expected = values[moment in moments]
            if os.environ.get("SEEN"):
                print(f"# {moment}: {seen!r}")
            if seen != expected:
                wrong.append(f"{moment}: {seen!r}, not {expected!r}")
            run.end()
        check(not wrong, "; ".join(wrong))

    function.__name__ = name
    if only:
        function.version = only
    CASES.append(function)


def service(run):
    return run.data().tos


def hops(run):
    return run.data().ttl


def may_fragment(run):
    return not run.data().dont_fragment


def options_of_data(run):
    size = len(run.data(3000).payload)
    return run.bench.tun.ip_options(), size


def options_of_opening(run):
    return run.opening_options, run.opening.options["mss"]


def far_is_heard(run):
    run.peer.send("PA", data=b"far")
    run.peer.collect(0.3)
    return run.readable()


def offered(run):
    return run.opening.window, run.opening.options.get("ws")


def grows(run):
    """Whether the window that is announced becomes larger than it was, for a program that reads."""
    largest = 0
    for _ in range(60):
        run.peer.send("PA", data=bytes(10 * MSS // 4))
        run.peer.collect(0.05)
        while run.readable():
            run.sock.recv(1 << 20)
    for _ in range(12):
        for _ in range(20):
            run.peer.send("PA", data=bytes(MSS))
        for segment in run.peer.collect(0.05):
            largest = max(largest, segment.window << run.peer.their_ws)
        while run.readable():
            run.sock.recv(1 << 20)
    return largest > 70000


def takes(run):
    """Whether the send buffer has room for much."""
    taken = 0
    try:
        while taken < 200000:
            taken += run.sock.send(bytes(1000))
    except BlockingIOError:
        pass
    run.peer.collect()
    return taken > 20000


def send_buffer_grows(run):
    """Whether the send buffer follows a congestion window that does."""
    before = run.sock.getsockopt(SOCKET, socket.SO_SNDBUF)
    for _ in range(6):
        try:
            while True:
                run.sock.send(bytes(10 * MSS))
        except BlockingIOError:
            pass
        run.peer.collect()
        run.peer.send("A")
    run.peer.collect()
    return run.sock.getsockopt(SOCKET, socket.SO_SNDBUF) > before


def receive_buffer_grows(run):
    """The same of the receive buffer and a program that reads."""
    before = run.sock.getsockopt(SOCKET, socket.SO_RCVBUF)
    grows(run)
    return run.sock.getsockopt(SOCKET, socket.SO_RCVBUF) > before


def flow_label(run):
    return int.from_bytes(run.bench.tun.last[1:4], "big") & 0xfffff


def label_of_repetition(run):
    """Whether what is sent again after a time-out has another flow label, and so perhaps another path."""
    run.data()
    first = flow_label(run)
    check(run.bench.receive(run.peer, 1), "no retransmission")
    return flow_label(run) != first


def label_after_advice(run):
    """Whether the next segment has another flow label when the user says that the path may be at fault."""
    run.data()
    first = flow_label(run)
    run.peer.send("A")
    for option in run.options if run.moment == "accepted" else ():
        run.sock.setsockopt(*option)
    run.data()
    return flow_label(run) != first


def told_of_opening(run):
    """What is kept of the packet that made the connection."""
    level, name = choose((IP, 9), (IP6, 6))  # IP_PKTOPTIONS, IPV6_2292PKTOPTIONS
    told = run.sock.getsockopt(level, name, 200)
    return list(messages(told))


def messages(data):
    """Level and type of the control messages in a buffer."""
    while data:
        length, level, kind = struct.unpack("Nii", data[:16])
        yield level, kind
        data = data[(length + 7) & ~7:]


def wakes(run):
    """Whether 50 bytes and 100 are enough."""
    seen = []
    for _ in range(2):
        run.peer.send("PA", data=bytes(50))
        run.peer.collect(0.3)
        seen.append(run.readable())
    return tuple(seen)


def probes(run):
    """When keepalive probes come, until a RST."""
    began, seen = time.monotonic(), []
    while len(seen) < 5:
        segment = run.bench.receive(run.peer, 20)
        if segment is None:
            break
        seen.append((segment.flags, run.peer.relative(segment)[0], round(time.monotonic() - began)))
    return tuple(seen), error_of(run.sock)


def small_segments(run):
    """How many segments two small writes make before there is an answer."""
    run.sock.send(b"one")
    run.sock.send(b"two")
    return len(run.peer.collect(0.05))


def goes_at_once(run):
    run.sock.send(b"one")
    return len(run.peer.collect(0.05)) == 1


def pause(run):
    """The milliseconds between the first ten segments and the next ones, which could leave at once."""
    run.sock.send(bytes(20 * MSS))
    first = run.peer.collect(0.001)
    run.peer.send("A")
    return len(first), round((run.bench.receive(run.peer, 1).time - first[-1].time) * 1000, -1)


def size(run):
    return len(run.data(3000).payload)


def dies(run):
    """After how many seconds nobody hopes for an answer to data any more."""
    began = time.monotonic()
    run.sock.send(b"data")
    poll = select.poll()
    poll.register(run.sock, 0)
    ended = poll.poll(20000)
    seconds = round(time.monotonic() - began)
    while run.bench.tun.read(0):
        pass
    return error_of(run.sock) if ended else None, seconds


def times(run):
    """When unanswered data is sent again, each time after so many seconds."""
    run.sock.send(b"data")
    run.peer.expect("A")
    seen, last = [], time.monotonic()
    for _ in range(5):
        check(run.bench.receive(run.peer, 100), "no retransmission")
        seen.append(round(time.monotonic() - last, 1))
        last = time.monotonic()
    return tuple(seen)


def timeouts(run):
    """The time-out, in hundredths of a second rounded up, after each of several round trips."""
    seen = []
    for _ in range(6):
        run.data()
        run.peer.send("A")
        seen.append(-(-info_of(run.sock, 8, 4) // 10000))
    return seen


def openings(run):
    """How many more SYNs or SYN-ACKs there are without an answer."""
    seen = 0
    while run.bench.receive(run.peer, 200):
        seen += 1
    return seen


def early_accept(run):
    """Whether accept finds the connection before there is data."""
    run.peer.send("A")
    try:
        accept(run.listener).close()
    except Failed:
        return False
    return True


def acks_at_once(run):
    run.peer.send("PA", data=b"data")
    return len(run.peer.collect(0.01)) == 1


def waits_for_fin(run):
    """What answers a FIN that comes five seconds after the socket was closed."""
    run.sock.close()
    run.peer.expect("FA")
    run.peer.send("A")
    time.sleep(5)
    run.peer.send("FA")
    return run.bench.receive(run.peer, 1).flags


def has_room(run):
    """Whether poll asks for more behind 5000 bytes that may not be sent yet."""
    run.peer.window = 0
    run.peer.send("A")
    run.sock.send(bytes(5000))
    return bool(select.select([], [run.sock], [], 0)[1])


def threshold(run):
    """ssthresh after a loss among ten segments."""
    run.sock.send(bytes(10 * MSS))
    run.peer.collect()
    for last in 2, 3, 4, 5:
        run.peer.send("A", ack=1, sack=[(1 + MSS, 1 + last * MSS)])
    run.peer.collect()
    return info_of(run.sock, 76, 4)


def parting(run):
    run.sock.close()
    return run.bench.receive(run.peer, 1).flags


def inline(run):
    run.peer.send("PUA", data=b"abc", urgent=3)
    run.peer.collect(0.3)
    return run.sock.recv(10) + (run.sock.recv(10) if run.readable() else b"")


def stamped(run):
    run.peer.send("PA", data=b"abc")
    run.peer.collect(0.3)
    return [(level, kind) for level, kind, _ in run.sock.recvmsg(10, 100)[1]]


def gives_up(run):
    """Whether a blocking recv returns after a second."""
    run.sock.setblocking(True)
    began = time.monotonic()
    try:
        run.sock.recv(1)
    except BlockingIOError:
        return round(time.monotonic() - began)
    return None


def integer(level, name, *values):
    """Options of this name."""
    return [(level, name, value) for value in values]


SERVICE = choose((IP, socket.IP_TOS), (IP6, socket.IPV6_TCLASS))
HOPS = choose((IP, socket.IP_TTL), (IP6, socket.IPV6_UNICAST_HOPS))
LEAST_HOPS = choose((IP, 21), (IP6, 73))  # IP_MINTTL, IPV6_MINHOPCOUNT
PADDING = bytes([0, 0, 1, 4, 0, 0, 0, 0])
NOPS = b"\1" * 8
FULL = 1460
KEEP = [(SOCKET, socket.SO_KEEPALIVE, 1), (TCP, socket.TCP_KEEPIDLE, 3), (TCP, socket.TCP_KEEPINTVL, 1),
        (TCP, socket.TCP_KEEPCNT, 2)]
# Options that Python has no names for.
MTU_DISCOVER, TIMESTAMP = 10, 29
CNX_ADVICE, BUF_LOCK, TXREHASH = 53, 72, 74
HEAR_HOPS = choose((IP, 12, 1), (IP6, 51, 1))  # IP_RECVTTL, IPV6_RECVHOPLIMIT
THIN_LINEAR_TIMEOUTS, USER_TIMEOUT, RTO_MAX_MS, RTO_MIN_US = 16, 18, 44, 45

row("service", [(*SERVICE, 0x10)], service, (0, 0x10))
row("service_of_opening", [(*SERVICE, 0x10)], lambda run: run.opening.tos, (0, 0x10), OPENING)
row("hop_limit", [(*HOPS, 33)], hops, (64, 33))
row("hop_limit_of_opening", [(*HOPS, 33)], lambda run: run.opening.ttl, (64, 33), OPENING)
row("least_hops", [(*LEAST_HOPS, 65)], far_is_heard, (True, False), LATE, where=("never", *LATE))
row("path_mtu_discovery", integer(IP, MTU_DISCOVER, 0),
    may_fragment, (False, True), only=4)
row("path_mtu_discovery_of_opening", integer(IP, MTU_DISCOVER, 0), lambda run: not run.opening.dont_fragment, (False, True),
    ("before",), only=4)
row("ip_options", [(IP, socket.IP_OPTIONS, NOPS)], options_of_data, (("", MSS), (NOPS.hex(), MSS - 8)), OWN, only=4)
row("ip_options_of_opening", [(IP, socket.IP_OPTIONS, NOPS)], options_of_opening, (("", FULL), (NOPS.hex(), FULL)),
    ("before",), only=4)
for kind, number in ("hop_by_hop", 54), ("destination", 59):  # IPV6_HOPOPTS, IPV6_DSTOPTS
    shown = bytes([6]) + PADDING[1:]
    # Linux forgets to make room on accepted sockets, so that is left open.
    row(f"{kind}_options", [(IP6, number, PADDING)], options_of_data, (("", MSS), (shown.hex(), MSS - 8)), only=6,
        where=MOMENTS[:-1])
    row(f"{kind}_options_of_opening", [(IP6, number, PADDING)], options_of_opening, (("", FULL), (shown.hex(), FULL)),
        OPENING, only=6)
row("receive_buffer_offered", integer(SOCKET, socket.SO_RCVBUF, 8192), offered, ((64240, 7), (7300, 0)), OPENING)
row("receive_buffer", integer(SOCKET, socket.SO_RCVBUF, 8192), grows, (True, False))
row("send_buffer", integer(SOCKET, socket.SO_SNDBUF, 8192), takes, (True, False))
row("receive_buffer_locked", integer(SOCKET, BUF_LOCK, 2), receive_buffer_grows, (True, False))
row("send_buffer_locked", integer(SOCKET, BUF_LOCK, 1), send_buffer_grows, (True, False))
row("rehash", integer(SOCKET, TXREHASH, 0), label_of_repetition, (True, False), only=6)
row("advice", integer(SOCKET, CNX_ADVICE, 1), label_after_advice, (False, True), ("accepted",), only=6,
    where=("never", "accepted"))
row("no_advice", integer(SOCKET, CNX_ADVICE, 0), label_after_advice, (False, False), only=6,
    where=("accepted",))
row("opening_told", [HEAR_HOPS], told_of_opening, ([], [choose((IP, socket.IP_TTL), (IP6, 52))]))
row("least_to_read", integer(SOCKET, socket.SO_RCVLOWAT, 100), wakes, ((True, True), (False, True)))
row("keepalive", KEEP, probes, (((), None), ((("A", 0, 3), ("A", 0, 4), ("RA", 1, 5)), "ETIMEDOUT")))
row("nodelay", integer(TCP, socket.TCP_NODELAY, 1), small_segments, (1, 2))
row("cork", integer(TCP, socket.TCP_CORK, 1), goes_at_once, (True, False))
row("pacing", integer(SOCKET, 47, 100000), pause, ((10, 0), (10, 50)))  # SO_MAX_PACING_RATE
row("largest_segment", integer(TCP, socket.TCP_MAXSEG, 500), size, (MSS, 500), OPENING)
row("largest_segment_of_opening", integer(TCP, socket.TCP_MAXSEG, 500), lambda run: run.opening.options["mss"],
    (FULL, 500), OPENING, where=EARLY + ("never",))
row("user_timeout", integer(TCP, USER_TIMEOUT, 2000), dies, ((None, 20), ("ETIMEDOUT", 2)))
row("longest_timeout", integer(TCP, RTO_MAX_MS, 1000), lambda run: times(run)[4] < 1.2, (False, True))
# Later it acts with the measurements of round trips to come.
row("shortest_timeout", integer(TCP, RTO_MIN_US, 20000), lambda run: times(run)[0] < 0.1, (False, True), EARLY)
row("shortest_timeouts", integer(TCP, RTO_MIN_US, 20000), timeouts, ([21] * 6, [3] * 6), where=("never", *EARLY))
row("shorter_timeouts", integer(TCP, RTO_MIN_US, 20000), timeouts, ([21] * 6, [21, 16, 13, 10, 8, 7]),
    where=("never", *LATE))
row("linear_timeouts", integer(TCP, THIN_LINEAR_TIMEOUTS, 1), lambda run: times(run)[4] < 0.3, (False, True))
row("attempts", integer(TCP, socket.TCP_SYNCNT, 2), openings, (10, 5), ("before",), where=("never", "before"),
    established=False)
row("attempts_of_listener", integer(TCP, socket.TCP_SYNCNT, 2), openings, (5, 2), ("listener",),
    where=("accepted", "listener"), established=False)
row("window_clamp_offered", integer(TCP, socket.TCP_WINDOW_CLAMP, 3000), offered, ((64240, 7), (2920, 0)), OPENING)
row("deferred_accept", integer(TCP, socket.TCP_DEFER_ACCEPT, 3), early_accept, (True, False), ("listener",),
    where=("listener", "accepted"), established=False)
# connect and listen forget it, which holds but the acknowledgment of a SYN-ACK.
row("no_quick_acks", integer(TCP, socket.TCP_QUICKACK, 0), acks_at_once, (True, False), ("after", "between", "accepted"))
row("orphan_timeout", integer(TCP, socket.TCP_LINGER2, 2), waits_for_fin, ("A", "R"))
row("unsent_room", integer(TCP, socket.TCP_NOTSENT_LOWAT, 1000), has_room, (True, False))
row("congestion_control", [(TCP, socket.TCP_CONGESTION, b"reno")], threshold, (7, 5))
row("abort_on_close", [(SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))], parting, ("FA", "RA"))
row("urgent_inline", integer(SOCKET, socket.SO_OOBINLINE, 1), inline, (b"ab", b"abc"))
row("timestamps", integer(SOCKET, TIMESTAMP, 1), stamped,
    ([], [(SOCKET, TIMESTAMP)]))
row("receive_timeout", [(SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 1, 0))], gives_up, (None, 1), where=ALWAYS)


@packet.case
def clock_of_timestamps(bench):
    """TCP_TIMESTAMP reads the clock whose values the segments carry."""
    sock, peer = bench.active("mss sack ws ts")
    sock.send(b"data")
    shown = peer.expect("A").options["ts"][0]
    check((sock.getsockopt(TCP, 24) - shown + 2) % packet.MODULUS <= 12, "another clock")


packet.main()
