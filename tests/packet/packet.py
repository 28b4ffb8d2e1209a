# SPDX-License-Identifier: GPL-2.0
"""Scripted TCP peers, segment by segment, against a socket of this machine.

Each case runs in a process and a network namespace of its own. The namespace's
only device is a tun whose other end this program holds, so it sees each packet
that the socket under test sends and can send it any packet. FAMILY=inet|inet6|
oxtcp|oxtcp6 says which family is tested; hosts are named as internet.choose()
finds them, and what one version of IP alone has is a case_v4 or a case_v6. The times that are asserted are exact when the
kernel runs in virtual time (User-Mode Linux, time-travel=inf-cpu); elsewhere
they are as good as the machine is idle.

Sequence numbers are relative, as in packet dumps: each end's SYN has number 0.
"""

import errno
import fcntl
import hashlib
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass, field

import internet
from internet import checksum

HERE = internet.choose("10.0.0.1", "fd10::1")   # the socket under test
THERE = internet.choose("10.0.0.2", "fd10::2")  # the script
ROUTER = internet.choose("10.0.0.254", "fd10::fe")

# TCP_INFO's tcpi_state
(ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN,
 CLOSING) = range(1, 12)

AT_ONCE = (0.0, 0.03)
MODULUS = 1 << 32


class Failed(Exception):
    """An assertion of a case does not hold."""


class Skipped(Exception):
    """The case cannot run here."""


def about(seconds):
    """The time span in which a kernel timer of so many seconds may expire: the timer wheel rounds up by an eighth."""
    return (seconds * 0.97 - 0.015, seconds * 1.15 + 0.04)


def check(condition, text):
    """Fails the case unless the condition is true."""
    if not condition:
        raise Failed(text)


def equal(actual, expected, what):
    """Fails the case unless both are equal."""
    check(actual == expected, f"{what}: {actual!r}, not {expected!r}")


def between(actual, span, what):
    """Fails the case unless the number lies within the span."""
    check(span[0] <= actual <= span[1], f"{what}: {actual}, not within {span[0]:g}..{span[1]:g}")


@dataclass
class Segment:
    """A TCP segment; sequence and acknowledgment numbers as on the wire."""
    sport: int
    dport: int
    seq: int
    ack: int
    flags: str
    window: int
    options: dict = field(default_factory=dict)
    payload: bytes = b""
    time: float = 0.0
    ttl: int = 64
    dont_fragment: bool = True
    tos: int = 0
    urgent: int = 0
    fixed: bytes = b""  # the header as it came, without options

    # E is ECE, C is CWR, N the bit that was once the nonce sum and is AE in accurate ECN.
    BITS = "FSRPAUECN"

    def header(self, options):
        """The header without its options, with checksum 0."""
        flags = sum(1 << self.BITS.index(flag) for flag in self.flags)
        return struct.pack("!HHIIHHHH", self.sport, self.dport, self.seq, self.ack,
                           (20 + len(options)) // 4 << 12 | flags, self.window, 0, self.urgent)

    def signature(self, source, destination, key):
        """What a host with this key puts into the option of RFC 2385."""
        fixed = self.fixed or self.header(pack_options(self.options))
        length = (fixed[12] >> 4) * 4 + len(self.payload)
        pseudo = internet.pseudo_header(internet.raw(source), internet.raw(destination), internet.TCP, length)
        fixed = fixed[:16] + bytes(2) + fixed[18:]
        return hashlib.md5(pseudo + fixed + self.payload + key, usedforsecurity=False).digest()

    def pack(self, source, destination):
        """The segment in a packet between these hosts."""
        options = pack_options(self.options)
        data = self.header(options) + options + self.payload
        total = internet.checksum_of(internet.raw(source), internet.raw(destination), internet.TCP, data)
        return internet.pack(source, destination, internet.TCP, data[:16] + struct.pack("!H", total) + data[18:], self.tos)

    @classmethod
    def unpack(cls, packet):
        """The segment of a packet, or None when it carries none. Wrong lengths and checksums fail the case."""
        outer = internet.unpack(packet)
        if outer.protocol != internet.TCP:
            return None
        check(outer.whole, "the IP header is wrong")
        data = outer.data
        equal(internet.checksum_of(outer.source, outer.to, internet.TCP, data), 0, "checksum over the segment")
        sport, dport, seq, ack, flags, window, _, urgent = struct.unpack("!HHIIHHHH", data[:20])
        offset = (flags >> 12) * 4
        check(20 <= offset <= len(data), f"data offset {offset}")
        return cls(sport, dport, seq, ack, "".join(flag for bit, flag in enumerate(cls.BITS) if flags >> bit & 1),
                   window, unpack_options(data[20:offset]), data[offset:], time.monotonic(), outer.hops,
                   outer.dont_fragment, outer.service, urgent, data[:20])


def pack_options(options):
    """TCP options on the wire, padded to a multiple of four."""
    data = b""
    for name, value in options.items():
        if name == "mss":
            data += struct.pack("!BBH", 2, 4, value)
        elif name == "ws":
            data += struct.pack("!BBBB", 1, 3, 3, value)
        elif name == "sack_ok":
            data += b"\1\1\4\2"
        elif name == "ts":
            data += struct.pack("!BBBBII", 1, 1, 8, 10, *value)
        elif name == "sack":
            data += struct.pack("!BBBB", 1, 1, 5, 2 + 8 * len(value))
            data += b"".join(struct.pack("!II", *block) for block in value)
        elif name == "md5":
            data += b"\1\1\x13\x12" + value
        elif name == "raw":
            data += value
        else:
            raise ValueError(name)
    return data + b"\0" * (-len(data) % 4)


def unpack_options(data):
    """TCP options by name. What cannot be understood fails the case."""
    options = {}
    place = 0
    while place < len(data) and data[place] != 0:
        if data[place] == 1:
            place += 1
            continue
        check(place + 1 < len(data) and 2 <= data[place + 1] <= len(data) - place, f"options {data.hex()}")
        kind, length = data[place], data[place + 1]
        value = data[place + 2:place + length]
        if kind == 2 and length == 4:
            options["mss"] = struct.unpack("!H", value)[0]
        elif kind == 3 and length == 3:
            options["ws"] = value[0]
        elif kind == 4 and length == 2:
            options["sack_ok"] = True
        elif kind == 8 and length == 10:
            options["ts"] = struct.unpack("!II", value)
        elif kind == 19 and length == 18:
            options["md5"] = value
        elif kind == 5 and length in (10, 18, 26, 34):
            options["sack"] = [struct.unpack("!II", value[i:i + 8]) for i in range(0, len(value), 8)]
        else:
            options[kind] = value
        place += length
    return options


class Tun:
    """The far end of the namespace's device, mostly its only one."""

    def __init__(self, mtu=internet.MTU, name="tun0"):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.fd, 0x400454ca, struct.pack("16sH22x", name.encode(), 0x1001))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
        internet.quiet(name)
        internet.set_up(name, mtu, HERE, internet.choose(24, 64))

    def read(self, seconds):
        """The next packet, or None when none comes within so many seconds."""
        if not select.select([self.fd], [], [], max(seconds, 0))[0]:
            return None
        return os.read(self.fd, 65536)

    def write(self, packet):
        """Lets a packet arrive."""
        os.write(self.fd, packet)


def run(command):
    """Runs a shell command."""
    subprocess.run(command, shell=True, check=True)


KEPT = []


def keep(sock):
    """Keeps a socket open until the case closes it or ends; Python closes what nothing refers to."""
    KEPT.append(sock)
    sock.setblocking(False)
    return sock


def new_socket():
    """A socket of the family under test, non-blocking, that takes Python's addresses."""
    try:
        made = socket.socket(internet.DOMAIN, socket.SOCK_STREAM, internet.PROTOCOL)
    except OSError as error:
        raise Failed(f"socket: {error}") from error
    # Python knows no addresses of AF_OXTCP: they are AF_INET's and AF_INET6's.
    return keep(socket.socket(internet.ADDRESSES, socket.SOCK_STREAM, 0, fileno=made.detach()))


def accept(listener):
    """The connection that waits on the listener."""
    try:
        sock, _ = listener.accept()
    except OSError as error:
        raise Failed(f"accept: {errno.errorcode[error.errno]}") from error
    return keep(sock)


def state_of(sock):
    """TCP_INFO's state of a socket."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


def info_of(sock, offset, size=1):
    """An unsigned field of TCP_INFO, by its place in struct tcp_info."""
    data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int.from_bytes(data[offset:offset + size], sys.byteorder)


def counter(name):
    """A TcpExt counter of the namespace, of the family under test."""
    source = "/proc/net/oxtcp_netstat" if internet.OURS else "/proc/net/netstat"
    with open(source, encoding="ascii") as file:
        lines = [line.split() for line in file]
    for names, values in zip(lines[::2], lines[1::2]):
        if names[0] == "TcpExt:" and name in names:
            return int(values[names.index(name)])
    raise Failed(f"no counter {name}")


def error_of(sock):
    """Takes the socket's pending error, as a name."""
    number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return errno.errorcode[number] if number else None


def fails(expected, function, *arguments):
    """Fails the case unless the call ends with this errno (a name)."""
    try:
        value = function(*arguments)
    except OSError as error:
        equal(errno.errorcode[error.errno], expected, "errno")
        return
    raise Failed(f"the call returned {value!r}, not {expected}")


class Peer:
    """The script's end of one connection."""

    def __init__(self, bench, port, remote_port, iss=1000):
        self.bench = bench
        self.port = port
        self.remote_port = remote_port
        self.iss = iss
        self.irs = None
        self.next = 0         # what this end sends next, relative
        self.received = 0     # what it expects next, relative
        self.window = 65535   # as in the header
        self.their_ws = 0
        self.timestamps = None
        self.key = None       # by which both ends sign (RFC 2385)
        self.last_event = time.monotonic()

    def send(self, flags, seq=None, ack=None, data=b"", window=None, tos=0, urgent=0, **options):
        """Sends a segment. Numbers that are not given are those of a peer in order."""
        start = self.next if seq is None else seq
        end = start + len(data) + flags.count("S") + flags.count("F")
        acked = self.received if ack is None else ack
        if self.timestamps is not None and "ts" not in options and "R" not in flags:
            options["ts"] = (self.clock(), self.timestamps)
        if "sack" in options:
            options["sack"] = [(self.remote(left), self.remote(right)) for left, right in options["sack"]]
        signed = self.key is not None and "md5" not in options
        if signed:
            options = {"md5": bytes(16), **options}
        segment = Segment(self.port, self.remote_port, (self.iss + start) % MODULUS,
                          self.remote(acked) if "A" in flags else 0, flags,
                          self.window if window is None else window, options, data, time.monotonic(), tos=tos, urgent=urgent)
        if signed:
            options["md5"] = segment.signature(THERE, HERE, self.key)
        self.bench.trace("<", self.describe(segment))
        self.last_event = segment.time
        self.next = max(self.next, end)
        self.bench.tun.write(segment.pack(THERE, HERE))

    @staticmethod
    def clock():
        """The script's timestamp clock: milliseconds."""
        return int(time.monotonic() * 1000) % MODULUS

    def remote(self, number):
        """A relative number of the socket's sequence space, as on the wire."""
        return ((self.irs or 0) + number) % MODULUS

    def relative(self, segment):
        """The segment's numbers, relative: (seq, ack)."""
        seq = (segment.seq - (self.irs or 0)) % MODULUS
        ack = (segment.ack - self.iss) % MODULUS
        half = MODULUS >> 1
        return (seq - MODULUS if seq > half else seq, ack - MODULUS if ack > half else ack)

    def describe(self, segment):
        """A line for the trace."""
        ours = segment.sport == self.port
        seq, ack = segment.seq, segment.ack
        if ours:
            seq = (seq - self.iss) % MODULUS
            ack = (ack - (self.irs or 0)) % MODULUS
        else:
            seq, ack = self.relative(segment)
        text = f"{segment.flags} {seq}:{seq + len(segment.payload)}"
        if "A" in segment.flags:
            text += f" ack {ack}"
        if "U" in segment.flags:
            text += f" urg {segment.urgent}"
        return f"{text} win {segment.window} tos {segment.tos:#x} {segment.options or ''}"

    def expect(self, flags, seq=None, ack=None, length=None, data=None, after=None, window=None, since=None,
               urgent=0):
        """The next segment from the socket; fails the case unless it is such a one.

        after is the time since the last segment of this conversation in either direction (or since the given
        moment), in seconds or as a span; without it the segment is due at once. PSH is ignored unless it is
        among the flags.
        """
        span = AT_ONCE if after is None else after if isinstance(after, tuple) else about(after)
        moment = self.last_event if since is None else since
        segment = self.bench.receive(self, moment + span[1] - time.monotonic())
        wanted = f"{flags}" + (f" seq {seq}" if seq is not None else "") + (f" ack {ack}" if ack is not None else "")
        check(segment, f"nothing came within {span[1]:g} s, not {wanted}")
        got_seq, got_ack = self.relative(segment)
        seen = segment.flags if "P" in flags else segment.flags.replace("P", "")
        check(set(seen) == set(flags), f"{segment.flags} came, not {wanted}")
        check(segment.time - moment >= span[0], f"{wanted} came after {segment.time - moment:.3f} s, before {span[0]:g}")
        if seq is not None:
            equal(got_seq, seq, f"seq of {wanted}")
        if ack is not None:
            equal(got_ack, ack, f"ack of {wanted}")
        if data is not None:
            equal(segment.payload, data, f"data of {wanted}")
        if length is not None:
            equal(len(segment.payload), length, f"length of {wanted}")
        if window is not None:
            equal(segment.window, window, f"window of {wanted}")
        equal(segment.urgent, urgent, f"urgent pointer of {wanted}")
        if "ts" in segment.options and self.timestamps is not None:
            self.timestamps = segment.options["ts"][0]
        size = len(segment.payload) + ("S" in segment.flags) + ("F" in segment.flags)
        if "R" not in segment.flags and got_seq <= self.received < got_seq + size:
            self.received = got_seq + size
        self.last_event = segment.time
        return segment

    def expect_reset(self, seq):
        """A RST with this number is due at once; where the connection was known it may carry an ACK."""
        segment = self.bench.receive(self, AT_ONCE[1])
        check(segment, "no RST")
        check(segment.flags in ("R", "RA"), f"{segment.flags} came, not RST")
        equal(self.relative(segment)[0], seq, "seq of RST")

    def expect_nothing(self, seconds):
        """No segment comes for so long."""
        segment = self.bench.receive(self, seconds)
        check(segment is None, f"unexpected: {segment and self.describe(segment)}")

    def collect(self, seconds=0.02):
        """All segments that come until it is quiet for so long."""
        segments = []
        while True:
            segment = self.bench.receive(self, seconds)
            if segment is None:
                return segments
            seq, _ = self.relative(segment)
            self.received = max(self.received, seq + len(segment.payload) + ("F" in segment.flags))
            if "ts" in segment.options and self.timestamps is not None:
                self.timestamps = segment.options["ts"][0]
            self.last_event = segment.time
            segments.append(segment)

    def offer(self, options):
        """Options for this end's SYN, from a line such as 'mss sack ws ts'."""
        made = {}
        for name in options.split():
            if name == "mss":
                made["mss"] = 1000
            elif name.startswith("mss="):
                made["mss"] = int(name[4:])
            elif name == "sack":
                made["sack_ok"] = True
            elif name == "ws":
                made["ws"] = 0
            elif name == "ts":
                made["ts"] = (self.clock(), self.timestamps or 0)
        return made


class Bench:
    """One case: the device, the socket under test, and what went over the wire."""

    def __init__(self, mtu=internet.MTU):
        self.tun = Tun(mtu)
        self.lines = []
        self.started = time.monotonic()
        self.ports = 40000
        # Tail loss probes come before the timeouts that scripts look for.
        self.sysctl("tcp_early_retrans", 0)

    def sysctl(self, name, value):
        """Sets a net.ipv4 sysctl of the namespace."""
        internet.write_setting(f"ipv4/{name}", value)

    def trace(self, way, text):
        """Keeps a line for the report of a failure."""
        self.lines.append(f"{time.monotonic() - self.started:9.3f} {way} {text}")

    def receive(self, peer, seconds):
        """The next segment to this peer, or None."""
        until = time.monotonic() + seconds
        while True:
            packet = self.tun.read(until - time.monotonic())
            if packet is None:
                return None
            segment = Segment.unpack(packet)
            if segment is None:
                continue
            if segment.dport != peer.port or segment.sport != (peer.remote_port or segment.sport):
                raise Failed(f"a segment of another connection: {segment}")
            if peer.remote_port is None:
                peer.remote_port = segment.sport
            if peer.irs is None and "S" in segment.flags:
                peer.irs = segment.seq
            self.trace(">", peer.describe(segment))
            if peer.key is not None:
                equal(segment.options.get("md5"), segment.signature(HERE, THERE, peer.key), "signature")
            return segment

    def connecting(self, port=None):
        """A socket that begins to connect to a new peer."""
        sock = new_socket()
        self.ports += 1
        peer = Peer(self, port or self.ports, None)
        code = sock.connect_ex((THERE, peer.port))
        equal(errno.errorcode.get(code), "EINPROGRESS", "connect")
        return sock, peer

    def listening(self, port=8080, backlog=10):
        """A listener of the family under test."""
        sock = new_socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((HERE, port))
        sock.listen(backlog)
        return sock

    def caller(self, remote_port=8080, port=None, iss=1000):
        """A peer that is about to connect to the machine."""
        self.ports += 1
        return Peer(self, port or self.ports, remote_port, iss)

    def active(self, options="mss sack ws", window=65535):
        """A connection that the socket opened."""
        sock, peer = self.connecting()
        peer.window = window
        syn = peer.expect("S")
        if "ts" in options.split():
            peer.timestamps = syn.options["ts"][0]
        offered = peer.offer(options)
        peer.their_ws = syn.options["ws"] if "ws" in offered else 0
        peer.send("SA", **offered)
        peer.expect("A", seq=1, ack=1)
        equal(error_of(sock), None, "SO_ERROR")
        equal(state_of(sock), ESTABLISHED, "state")
        return sock, peer

    def passive(self, options="mss sack ws", window=65535, listener=None, setup=None):
        """A connection that the socket accepted."""
        listener = listener or self.listening()
        if setup:
            setup(listener)
        peer = self.caller()
        peer.window = window
        if "ts" in options.split():
            peer.timestamps = 0
        peer.send("S", **peer.offer(options))
        answer = peer.expect("SA", seq=0, ack=1)
        if "ts" in options.split():
            peer.timestamps = answer.options["ts"][0]
        peer.their_ws = answer.options.get("ws", 0)
        peer.send("A")
        sock = accept(listener)
        equal(state_of(sock), ESTABLISHED, "state")
        return sock, peer


def tell(bench, segment, kind, rest=0):
    """A router says what became of a segment of the socket under test: one of internet's kinds."""
    bench.trace("<", f"ICMP type and code {kind}")
    bench.tun.write(internet.error(ROUTER, HERE, kind, segment.pack(HERE, THERE), rest))


CASES = []


def case(function):
    """Marks a case. It gets a Bench."""
    CASES.append(function)
    return function


def case_v4(function):
    """Marks a case that means something with IPv4 only."""
    function.version = 4
    return case(function)


def case_v6(function):
    """Marks a case that means something with IPv6 only."""
    function.version = 6
    return case(function)


def either(function):
    """Marks a case that gets a Bench and how to make a connection, once for each end that can open it."""
    def with_active(bench):
        function(bench, bench.active)

    def with_passive(bench):
        function(bench, bench.passive)

    with_active.__name__ = f"{function.__name__}_active"
    with_passive.__name__ = f"{function.__name__}_passive"
    CASES.extend((with_active, with_passive))
    return function


def run_case(function):
    """Runs a case in this process; its exit status."""
    os.unshare(os.CLONE_NEWNET)
    internet.set_up("lo")
    bench = Bench()
    try:
        function(bench)
        return 0
    except Skipped as why:
        print(f"# skipped: {why}")
        return 4
    except Exception as problem:  # whatever it is, the case has failed
        frames = [frame for frame in traceback.extract_tb(problem.__traceback__) if frame.filename == sys.argv[0]]
        place = f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
        print(f"# {place}{problem if isinstance(problem, Failed) else repr(problem)}")
        for line in bench.lines[-60:]:
            print(f"# {line}")
        return 1


def main():
    """Runs the cases of the script, or those that its arguments name."""
    if internet.MAPPED:
        raise SystemExit("these cases name hosts as they are on the wire")
    chosen = [function for function in CASES if not sys.argv[1:] or function.__name__ in sys.argv[1:]]
    print(f"KTAP version 1\n1..{len(chosen)}", flush=True)
    failed = 0
    for number, function in enumerate(chosen, 1):
        if getattr(function, "version", internet.choose(4, 6)) != internet.choose(4, 6):
            print(f"ok {number} {function.__name__} # SKIP only of IPv{function.version}", flush=True)
            continue
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGPIPE, signal.SIG_IGN)
            status = run_case(function)
            sys.stdout.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        failed += status not in (0, 4)
        words = "not ok" if status not in (0, 4) else "ok"
        print(f"{words} {number} {function.__name__}{' # SKIP' if status == 4 else ''}", flush=True)
    if os.environ.get("TIME", "real") != "real":
        # Closed sockets whose peer went with its case try for a while, which would keep the module from unloading.
        time.sleep(300)
    sys.exit(1 if failed else 0)
