#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a socket counts as dropped (SO_MEMINFO)."""

import ctypes
import socket
import struct
import sys

from packet import accept, case, check, either, equal, main

SO_MEMINFO = 55
SO_ATTACH_FILTER = 26
DROPS = 8


def drops(sock):
    """Packets that were for the socket and came to nothing."""
    words = sock.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36)
    return int.from_bytes(words[4 * DROPS:4 * DROPS + 4], sys.byteorder)


@either
def nothing(_bench, connection):
    """What is taken is not dropped, nor is an acknowledgment."""
    sock, peer = connection()
    peer.send("PA", data=b"x" * 100)
    peer.collect(0.3)
    sock.send(b"y" * 100)
    peer.expect("PA", length=100)
    peer.send("A")
    equal(drops(sock), 0, "drops")


@either
def duplicates(_bench, connection):
    """What was here before, in order or behind a hole."""
    sock, peer = connection()
    peer.send("PA", data=b"x" * 100)
    peer.collect(0.3)
    for i in range(3):
        peer.send("PA", seq=1, data=b"x" * 100)
        peer.collect(0.3)
        equal(drops(sock), i + 1, "drops")
    peer.send("PA", seq=201, data=b"z" * 100)
    peer.collect(0.3)
    equal(drops(sock), 3, "drops")
    peer.send("PA", seq=201, data=b"z" * 100)
    peer.collect(0.3)
    equal(drops(sock), 4, "drops")


@case
def beyond_the_window(bench):
    """Data that nobody has asked for."""
    sock, peer = bench.active()
    peer.send("PA", seq=10_000_000, data=b"x" * 100)
    peer.collect(0.3)
    equal(drops(sock), 1, "drops")


@case
def no_room(bench):
    """Data that the receive buffer has no room for."""
    sock, peer = bench.active()
    for i in range(600):
        peer.send("PA", seq=1 + 100 * i, data=b"y" * 100)
    taken = peer.relative(peer.collect(0.3)[-1])[1] - 1
    check(drops(sock) >= (60_000 - taken) // 100 - 1, f"{drops(sock)} drops where {taken} octets of 60000 were taken")


@case
def filtered(bench):
    """Packets that a filter of the socket refuses."""
    sock, peer = bench.active()
    refuse = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(refuse)))
    for _ in range(2):
        peer.send("PA", seq=1, data=b"x" * 100)
    peer.expect_nothing(0.3)
    equal(drops(sock), 2, "drops")


@case
def by_a_listener(bench):
    """Connections that find no place; none of that is inherited."""
    listener = bench.listening(backlog=0)
    first = bench.caller()
    first.send("S", **first.offer("mss sack ws"))
    first.expect("SA", seq=0, ack=1)
    first.send("A")
    equal(drops(listener), 0, "drops")
    for i in range(2):
        peer = bench.caller()
        peer.send("S", **peer.offer("mss sack ws"))
        peer.expect_nothing(0.1)
        equal(drops(listener), i + 1, "drops")
    equal(drops(accept(listener)), 0, "drops of a connection")


main()
