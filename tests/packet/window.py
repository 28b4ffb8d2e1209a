#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Windows: a peer that takes its own back, and the right edge of ours."""

import socket

import packet
from packet import about, between, case, check, either, equal, main

MSS = 1000


def sent(peer, segments):
    """Begin and length of each segment with data."""
    return [(peer.relative(segment)[0], len(segment.payload)) for segment in segments if segment.payload]


class Edge:
    """Watches that the right edge of the socket's window never moves left."""

    def __init__(self, peer, right):
        self.peer = peer
        self.right = right

    def see(self, segments):
        """Checks each segment; the window of the last one."""
        window = 0
        for segment in segments:
            window = segment.window << self.peer.their_ws
            right = self.peer.relative(segment)[1] + window
            check(right >= self.right, f"the right edge moves from {self.right} to {right}")
            self.right = right
        return window


def reader(bench, connection, space=0):
    """A connection whose window is watched, with so large a receive buffer if one is given."""
    def setup(listener):
        if space:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, space)

    sock, peer = connection(setup=setup) if space else connection()
    edge = Edge(peer, 1)
    peer.send("PA", data=b"x")
    edge.see(peer.collect(0.3))
    equal(sock.recv(10), b"x", "data")
    return sock, peer, edge


@case
def peer_takes_window_back(bench):
    """Nothing new leaves until the window reaches beyond what was sent already."""
    sock, peer = bench.active(window=5000)
    sock.send(bytes(20 * MSS))
    equal(sent(peer, peer.collect()), [(1 + i * MSS, MSS) for i in range(5)], "first flight")
    peer.send("A", ack=1001, window=1000)
    # What is beyond the window is in flight; what is not acknowledged is repeated, no more.
    peer.expect("A", seq=1001, length=MSS, after=(0.15, 0.3))
    peer.send("A", ack=2001, window=1000)
    for begin, length in sent(peer, peer.collect()):
        check(begin + length <= 5001, f"{begin}:{begin + length} is new")
    peer.send("A", ack=5001, window=3000)
    segments = sent(peer, peer.collect())
    equal(segments[0][0], 5001, "where it goes on")
    check(all(begin + length <= 8001 for begin, length in segments), "beyond the window")


@case
def window_taken_back_with_data(bench):
    """A smaller window that comes with data counts."""
    sock, peer = bench.active(window=5000)
    peer.send("PA", data=b"x", window=2000)
    peer.collect(0.3)
    sock.send(bytes(20 * MSS))
    equal(sent(peer, peer.collect()), [(1, MSS), (1001, MSS)], "segments")


@case
def older_windows_do_not_count(bench):
    """RFC 9293, 3.10.7.4, as Linux: of two segments with the same numbers the one with the larger window is the later."""
    sock, peer = bench.active(window=5000)
    peer.send("A", window=5000)
    peer.send("A", window=2000)
    sock.send(bytes(20 * MSS))
    equal(sent(peer, peer.collect()), [(1 + i * MSS, MSS) for i in range(5)], "segments")


@case
def half_of_a_small_window(bench):
    """A peer with a window of less than two segments gets segments of half of it."""
    sock, peer = bench.active(window=1200)
    sock.send(bytes(5 * MSS))
    equal(sent(peer, peer.collect(0.1)), [(1, 600), (601, 600)], "segments")


@case
def small_window_is_used_late(bench):
    """RFC 9293, 3.8.6.2.1: a window of less than a segment waits for more, until the time-out."""
    sock, peer = bench.active(window=4000)
    sock.send(bytes(10 * MSS))
    equal(len(peer.collect()), 4, "segments in the first flight")
    peer.send("A", window=500)
    peer.expect("PA", seq=4001, length=500, after=(0.15, 0.3))


@either
def edge_stays_while_little_is_read(bench, connection):
    sock, peer, edge = reader(bench, connection)
    place = peer.next
    for i in range(60):
        peer.send("PA", data=bytes(MSS - i))
        edge.see(peer.collect(0.05))
        if i % 4 == 3:
            sock.recv(10)
            edge.see(peer.collect(0.001))
    check(edge.right > place + 40 * MSS, "the edge does not move")


@either
def edge_stays_behind_a_hole(bench, connection):
    sock, peer, edge = reader(bench, connection)
    begin = peer.next
    for i in range(1, 40):
        peer.send("PA", seq=begin + i * MSS, data=bytes(MSS))
        edge.see(peer.collect(0.01))
    peer.send("PA", seq=begin, data=bytes(MSS))
    edge.see(peer.collect(0.05))
    equal(len(sock.recv(100000)), 40 * MSS, "bytes read")
    edge.see(peer.collect(0.3))


@either
def edge_stays_when_the_buffer_shrinks(bench, connection):
    """SO_RCVBUF takes nothing back that was offered."""
    sock, peer, edge = reader(bench, connection)
    before = edge.right
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(20):
        # Multiples of what the scaled window can tell: it is rounded up.
        peer.send("PA", data=bytes(5 << peer.their_ws))
        edge.see(peer.collect(0.05))
        equal(len(sock.recv(1000)), 5 << peer.their_ws, "bytes read")
        edge.see(peer.collect(0.001))
    equal(edge.right, before, "right edge")


@case
def no_silly_window_is_offered(bench):
    """RFC 9293, 3.8.6.2.2: a shut window opens by a segment or half the buffer, not by what each read frees."""
    sock, peer, edge = reader(bench, bench.passive, 10000)
    total = 0
    window = edge.right - peer.next
    while window > 0:
        size = min(window, MSS)
        peer.send("PA", data=bytes(size))
        total += size
        segments = peer.collect(0.3)
        check(segments, "no ACK")
        window = edge.see(segments)
    updates = []
    while total > 0:
        total -= len(sock.recv(100))
        segments = peer.collect(0.001)
        window = edge.see(segments) or window
        updates.extend(segment.window << peer.their_ws for segment in segments)
    check(updates, "no update")
    check(min(updates) >= MSS, f"updates of {updates}")
    between(len(updates), (1, 5), "updates")
    between(window, (2 * MSS, 20000), "window in the end")


main()
