#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a route says of the connections along it (ip route … initcwnd, quickack, rto_min, congctl, mtu, advmss, window,
initrwnd)."""

import errno
import socket

from internet import choose
from packet import THERE, case, either, equal, main, run

SEGMENT = 1000


def route(words):
    """A route to the peer with these words; it may be there already."""
    run(f"ip {choose('', '-6 ')}route replace {THERE} dev tun0 {words}")


def first_flight(connection):
    """Segments that leave before anything is acknowledged."""
    sock, peer = connection("mss sack ws", window=65535)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)
    sock.send(bytes(100 * SEGMENT))
    return sum(len(segment.payload) for segment in peer.collect(0.05)) // SEGMENT


@either
def initial_window(bench, connection):
    """The congestion window begins with initcwnd segments."""
    for words, segments in ("initcwnd 4", 4), ("initcwnd 30", 30), ("", 10):
        route(words)
        if connection == bench.passive:
            sock = bench.listening(port=8080 + segments)
            caller = bench.caller(remote_port=8080 + segments)
            caller.send("S", **caller.offer("mss sack ws"))
            caller.expect("SA", seq=0, ack=1)
            caller.send("A")
            made = (sock.accept()[0], caller)
            equal(first_flight(lambda *_, made=made, **__: made), segments, words)
        else:
            equal(first_flight(connection), segments, words)


@case
def window_after_idle(bench):
    """A connection that was idle begins with it, too."""
    route("initcwnd 3")
    sock, peer = bench.active()
    for _ in range(8):
        sock.send(bytes(10 * SEGMENT))
        peer.collect()
        peer.send("A")
    peer.expect_nothing(60)
    sock.send(bytes(60 * SEGMENT))
    equal(sum(len(segment.payload) for segment in peer.collect(0.05)) // SEGMENT, 3, "segments")


@either
def quick_answers(bench, connection):
    """No acknowledgment is delayed."""
    route("quickack 1")
    sock, peer = connection()
    for i in range(40):
        # As in a conversation, where answers would carry them.
        peer.send("PA", data=b"x" * 100)
        peer.expect("A", ack=1 + 100 * (i + 1))
        sock.recv(1000)
        sock.send(b"y")
        peer.expect("PA", length=1)
        peer.send("A")
    route("quickack 0")
    for _ in range(2):
        sock.send(b"y")
        peer.expect("PA", length=1)
        peer.send("A")
        peer.send("PA", data=b"x" * 100)
        peer.expect("A", after=(0, 0.3))
        sock.recv(1000)
    peer.send("PA", data=b"x" * 100)
    peer.expect("A", after=(0.03, 0.3))


@either
def least_time_out(bench, connection):
    """A lost segment is sent again no sooner than the route says."""
    route("rto_min 2s")
    sock, peer = connection()
    sock.send(b"x" * 100)
    peer.expect("PA", length=100)
    peer.expect("PA", length=100, after=2)
    peer.expect("PA", length=100, after=4)


@case
def shorter_time_out(bench):
    """The route counts more than the socket, in either way."""
    route("rto_min 40ms")
    sock, peer = bench.active()
    sock.send(b"x" * 100)
    peer.expect("PA", length=100)
    peer.expect("PA", length=100, after=(0.03, 0.09))


def congestion(sock):
    """The name of a socket's congestion control."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0").decode()


def choose_congestion(sock, name):
    """The error of choosing one."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, name.encode())
    except OSError as error:
        return errno.errorcode[error.errno]
    return None


@either
def congestion_control(bench, connection):
    """The route chooses the algorithm, and the user another."""
    equal(congestion(bench.listening(port=9999)), "cubic", "default")
    route("congctl reno")
    sock, peer = connection()
    equal(congestion(sock), "reno", "along the route")
    equal(choose_congestion(sock, "cubic"), None, "another")
    equal(congestion(sock), "cubic", "chosen")
    peer.send("R", seq=1)


@either
def locked_congestion_control(bench, connection):
    """It may forbid another; a socket without a connection is free."""
    route("congctl lock reno")
    sock, peer = connection()
    equal(congestion(sock), "reno", "along the route")
    for name in "cubic", "reno":
        equal(choose_congestion(sock, name), "EPERM", name)
    equal(choose_congestion(bench.listening(port=9999), "cubic"), None, "of a listener")
    peer.send("R", seq=1)


def announced(bench, connection):
    """The SYN or SYN-ACK of a new connection."""
    if connection == bench.passive:
        bench.ports += 1
        listener = bench.listening(port=8080 + bench.ports % 100)
        caller = bench.caller(remote_port=listener.getsockname()[1])
        caller.send("S", **caller.offer("mss sack ws"))
        return caller.expect("SA", seq=0, ack=1)
    return bench.connecting()[1].expect("S")


@either
def least_mtu(bench, connection):
    """The route's MTU bounds the MSS, both ways."""
    mtu = choose(700, 1280)
    mss = mtu - choose(40, 60)
    route(f"mtu {mtu}")
    equal(announced(bench, connection).options["mss"], mss, "MSS that is announced")
    words = "mss=1460 sack ws"
    sock, peer = connection(words)
    sock.send(bytes(3 * mss))
    for i in range(3):
        peer.expect("A", seq=1 + i * mss, length=mss)


@either
def announced_mss(bench, connection):
    """advmss is what the peer is told; what it may be sent is another matter."""
    route("advmss 600")
    equal(announced(bench, connection).options["mss"], 600, "MSS that is announced")
    sock, peer = connection("mss sack ws")
    sock.send(bytes(3000))
    for i in range(3):
        peer.expect("A", seq=1 + i * 1000, length=1000)


@either
def greatest_window(bench, connection):
    """window bounds what is offered, in whole segments."""
    route("window 6000")
    first = announced(bench, connection)
    equal(first.window, 4 * first.options["mss"], "first window")
    equal(first.options["ws"], 0, "scale")


@either
def first_window(bench, connection):
    """initrwnd is how many segments the first window invites."""
    for words, segments in ("initrwnd 4", 4), ("initrwnd 20", 20):
        route(words)
        first = announced(bench, connection)
        equal(first.window, segments * first.options["mss"], words)


main()
