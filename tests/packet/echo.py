#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""IP options of what a peer sends, and those of the answers: source routes, record route, timestamps (RFC 1122, 4.2.3.8)."""

import socket
import struct
import time

import internet
import packet
from internet import checksum, raw
from packet import HERE, THERE, accept, between, case_v4, check, equal

LSRR, SSRR, RECORD, TIMESTAMP = 0x83, 0x89, 7, 0x44
FIRST, LAST = "10.0.0.7", "10.0.0.9"  # routers on the way from the peer
FAR = "10.9.0.1"  # a router behind a router
SERVER = 8080


def route(kind, *hosts, pointer=None):
    """A source route whose hosts are all visited, unless the pointer says otherwise."""
    data = b"".join(map(raw, hosts))
    length = 3 + len(data)
    return bytes([kind, length, length + 1 if pointer is None else pointer]) + data


BACK = bytes([LSRR, 11, 4]) + raw(FIRST) + raw(THERE) + b"\0"
WAY = route(LSRR, FIRST, LAST)


class Caller:
    """A peer whose packets have options."""

    def __init__(self, bench, options=WAY, port=40001):
        self.bench = bench
        self.port = port
        self.options = options
        self.irs = 0

    def send(self, flags, seq, ack=0, data=b"", options=None):
        """Sends a segment; numbers are relative."""
        segment = packet.Segment(self.port, SERVER, 1000 + seq, (self.irs + ack) % packet.MODULUS if "A" in flags else 0,
                                 flags, 65535, {"mss": 1000} if "S" in flags else {}, data)
        whole = internet.with_options(segment.pack(THERE, HERE), self.options if options is None else options)
        self.bench.tun.write(whole)

    def receive(self, seconds=0.05):
        """The next segment to this peer: flags, destination, options of IP and payload; or None."""
        until = time.monotonic() + seconds
        while True:
            whole = self.bench.tun.read(until - time.monotonic())
            if not whole:
                return None
            if internet.unpack(whole).protocol == internet.TCP:
                break
        check(internet.unpack(whole).whole, "the IP header is wrong")
        size = (whole[0] & 15) * 4
        data = whole[size:]
        # The checksum is over the address of the last destination.
        addresses = whole[12:16] + raw(THERE)
        equal(checksum(addresses + struct.pack("!HH", 6, len(data)) + data), 0, "checksum over the segment")
        sport, dport, seq, _, flags = struct.unpack("!HHIIH", data[:14])
        equal((sport, dport), (SERVER, self.port), "ports")
        if flags & 2:
            self.irs = seq
        names = "".join(name for bit, name in enumerate(packet.Segment.BITS) if flags >> bit & 1)
        return names, whole[16:20], whole[20:size], data[(flags >> 12) * 4:]

    def expect(self, flags, options=BACK, to=LAST, payload=b"", seconds=0.05):
        """The next segment is such a one."""
        got = self.receive(seconds)
        check(got, f"nothing came, not {flags}")
        equal(got[0].replace("P", ""), flags, "flags")
        equal(got[2], options, f"options of {flags}")
        equal(got[1], raw(to), f"destination of {flags}")
        equal(got[3], payload, f"data of {flags}")
        return got[2]


def prepare(bench):
    """A listener on a host that takes source routes."""
    for device in "all", "tun0":
        bench.sysctl(f"conf/{device}/accept_source_route", 1)
    return bench.listening(SERVER)


@case_v4
def route_of_a_connection(bench):
    """A connection goes back along the source route that its SYN came by, whatever other segments came by."""
    listener = prepare(bench)
    caller = Caller(bench, port=40002)
    caller.send("S", 0)
    caller.expect("SA")
    caller.send("S", 0, options=b"")
    caller.expect("SA")
    caller.send("R", 1)
    caller = Caller(bench)
    caller.send("S", 0)
    caller.expect("SA")
    caller.expect("SA", seconds=1.5)
    caller.send("A", 1, 1, options=b"")
    sock = accept(listener)
    sock.send(b"x")
    caller.expect("A", payload=b"x")
    caller.send("A", 1, 2, options=b"")
    sock.send(bytes(2000))
    # What the MSS leaves beside the options of IP.
    caller.expect("A", payload=bytes(1000 - len(BACK)))
    caller.expect("A", payload=bytes(1000 - len(BACK)))
    caller.send("A", 1, 2 + 2 * (1000 - len(BACK)), options=b"")
    caller.expect("A", payload=bytes(2 * len(BACK)))
    caller.send("A", 1, 2002, options=b"")
    # As a program sets it: the first hop in front, and without the destination.
    equal(sock.getsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, 40), route(LSRR, LAST, FIRST, pointer=4) + b"\0",
          "IP_OPTIONS")
    sock.close()
    caller.expect("FA")
    caller.send("FA", 1, 2003, options=b"")
    caller.expect("A")


@case_v4
def route_that_is_not_taken(bench):
    """Source routes are for hosts that accept them; without accept_source_route a SYN with one is lost."""
    listener = prepare(bench)
    bench.sysctl("conf/tun0/accept_source_route", 0)
    caller = Caller(bench)
    caller.send("S", 0)
    check(caller.receive(2) is None, "an answer")
    caller.send("S", 0, options=b"")
    caller.expect("SA", b"", THERE)
    listener.close()


@case_v4
def ways_back(bench):
    """How a route is reversed."""
    prepare(bench)
    for port, (options, to, back) in enumerate((
            (route(LSRR, LAST), LAST, bytes([LSRR, 7, 4]) + raw(THERE)),
            (route(SSRR, FIRST, LAST), LAST, bytes([SSRR, 11, 4]) + raw(FIRST) + raw(THERE)),
            # The source as its own first hop.
            (route(LSRR, THERE, FIRST, LAST), LAST, bytes([LSRR, 11, 4]) + raw(FIRST) + raw(THERE)),
            (route(LSRR, THERE), THERE, b""),
            # What is not visited, since we are the last.
            (route(LSRR, FIRST, LAST, HERE, pointer=12), LAST, bytes([LSRR, 11, 4]) + raw(FIRST) + raw(THERE)),
            (route(LSRR, HERE, pointer=4), THERE, b""),
            (route(LSRR), THERE, b""),
            (route(LSRR, *9 * [FIRST]), FIRST, bytes([LSRR, 39, 4]) + 8 * raw(FIRST) + raw(THERE)),
            (b"\1\1" + route(LSRR, FIRST, LAST) + b"\x82\x03\0", LAST, bytes([LSRR, 11, 4]) + raw(FIRST) + raw(THERE)),
    ), 40001):
        caller = Caller(bench, options, port)
        caller.send("S", 0)
        caller.expect("SA", back + bytes(-len(back) % 4), to)
        caller.send("R", 1)


@case_v4
def strict_routes(bench):
    """A strict source route allows no router that it does not name."""
    prepare(bench)
    packet.run("ip route add 10.9.0.0/24 via 10.0.0.254")
    caller = Caller(bench, route(LSRR, FAR), 40001)
    caller.send("S", 0)
    caller.expect("SA", bytes([LSRR, 7, 4]) + raw(THERE) + b"\0", FAR)
    caller.send("R", 1)
    caller = Caller(bench, route(SSRR, FAR), 40002)
    caller.send("S", 0)
    check(caller.receive(2) is None, "an answer")


@case_v4
def answers_of_nobody(bench):
    """Resets, and what TIME-WAIT and half-open connections answer, go back as the segment came, not as the SYN did."""
    listener = prepare(bench)
    other, other_back = route(LSRR, LAST, FIRST), bytes([LSRR, 11, 4]) + raw(LAST) + raw(THERE) + b"\0"
    caller = Caller(bench)
    caller.send("A", 1, 1)
    caller.expect("R")
    caller.send("S", 0)
    caller.expect("SA")
    caller.send("A", 70000, 1, options=other)
    caller.expect("A", other_back, FIRST)
    caller.send("A", 1, 1)
    sock = accept(listener)
    sock.close()
    caller.expect("FA")
    caller.send("FA", 1, 2)
    caller.expect("A")
    caller.send("A", 70000, 2, options=other)
    caller.expect("A", other_back, FIRST)

    caller = Caller(bench, port=40002)
    caller.send("S", 0)
    caller.expect("SA")
    caller.send("A", 1, 1)
    accept(listener).close()
    caller.expect("FA")
    caller.send("A", 1, 1, b"for nobody", options=other)
    caller.expect("R", other_back, FIRST)


@case_v4
def cookies(bench):
    """A connection by a cookie knows no more of the SYN than its acknowledgment brings: here no route."""
    listener = prepare(bench)
    bench.sysctl("tcp_syncookies", 2)
    caller = Caller(bench)
    caller.send("S", 0)
    caller.expect("SA")
    caller.send("A", 1, 1, options=b"")
    sock = accept(listener)
    sock.send(b"x")
    caller.expect("A", b"", THERE, b"x")


@case_v4
def recorded_route(bench):
    """Both ends of a connection write their address where a SYN asked for it, once on the way in and on each way out."""
    listener = prepare(bench)
    here = raw(HERE)
    caller = Caller(bench, bytes([RECORD, 15, 4]) + bytes(12))
    caller.send("S", 0)
    back = bytes([RECORD, 15, 12]) + here + here + bytes(5)
    caller.expect("SA", back, THERE)
    caller.send("A", 1, 1, options=b"")
    sock = accept(listener)
    sock.send(b"x")
    caller.expect("A", back, THERE, b"x")
    caller.send("A", 70000, 1, options=b"")
    caller.expect("A", back, THERE)
    for port, (options, answer) in enumerate((
            (bytes([RECORD, 7, 4]) + bytes(4), bytes([RECORD, 7, 8]) + here + bytes(1)),
            (bytes([RECORD, 7, 8]) + raw(FIRST), bytes([RECORD, 7, 8]) + raw(FIRST) + bytes(1)),
            (bytes([RECORD, 3, 4]), bytes([RECORD, 3, 4, 0])),
            # With a route, which stands behind it.
            (route(LSRR, LAST) + bytes([RECORD, 11, 4]) + bytes(8),
             bytes([RECORD, 11, 12]) + here + here + bytes([LSRR, 7, 4]) + raw(THERE) + bytes(2)),
    ), 40100):
        caller = Caller(bench, options, port)
        caller.send("S", 0)
        caller.expect("SA", answer, LAST if LSRR in options[:1] else THERE)
        caller.send("R", 1)


@case_v4
def no_room_to_record(bench):
    """An option that has room for a part of an address only: a SYN is answered without, nothing else is answered."""
    prepare(bench)
    options = bytes([RECORD, 8, 4]) + bytes(5)
    caller = Caller(bench, options)
    caller.send("A", 1, 1)
    check(caller.receive(0.5) is None, "a reset")
    caller.send("S", 0)
    caller.expect("SA", b"", THERE)


def now():
    """The time as IP tells it."""
    return int(time.time() * 1000) % 86400000


@case_v4
def timestamps(bench):
    """IP's timestamp option: the time, and whose it is."""
    listener = prepare(bench)
    here = raw(HERE)

    def times(options, layout):
        """The SYN-ACK's option looks so; t stands for a time, which is now."""
        caller = Caller(bench, options, bench.ports)
        bench.ports += 1
        caller.send("S", 0)
        got = caller.receive()[2]
        want = b""
        for part in layout:
            if part == "t":
                stamp = got[len(want):len(want) + 4]
                between(now() - int.from_bytes(stamp, "big"), (-1, 1000), "age of a time")
                part = stamp
            want += part
        equal(got, want + bytes(-len(want) % 4), "options")
        caller.send("R", 1)

    times(bytes([TIMESTAMP, 16, 5, 0]) + bytes(12), (bytes([TIMESTAMP, 16, 13, 0]), "t", "t", bytes(4)))
    times(bytes([TIMESTAMP, 8, 5, 0]) + bytes(4), (bytes([TIMESTAMP, 8, 9, 0]), "t"))
    times(bytes([TIMESTAMP, 8, 9, 0]) + raw(FIRST), (bytes([TIMESTAMP, 8, 9, 16]), raw(FIRST)))
    times(bytes([TIMESTAMP, 20, 5, 1]) + bytes(16), (bytes([TIMESTAMP, 20, 21, 1]), here, "t", here, "t"))
    # The addresses are the sender's choice: times are written for this host's only.
    times(bytes([TIMESTAMP, 20, 5, 3]) + here + bytes(4) + raw(FIRST) + bytes(4),
          (bytes([TIMESTAMP, 20, 13, 3]), here, "t", raw(FIRST), bytes(4)))
    times(bytes([TIMESTAMP, 20, 5, 3]) + raw(FIRST) + bytes(4) + here + bytes(4),
          (bytes([TIMESTAMP, 20, 5, 3]), raw(FIRST), bytes(4), here, bytes(4)))
    times(bytes([TIMESTAMP, 20, 5, 3]) + here + bytes(4) + here + bytes(4),
          (bytes([TIMESTAMP, 20, 21, 3]), here, "t", here, "t"))
    listener.close()


packet.main()
