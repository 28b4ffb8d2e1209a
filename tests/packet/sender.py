#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What the user's writes become: which segments, when they leave, where PSH is."""

import socket

import packet
from packet import either, equal

MSS = 1000
TCP_NODELAY, TCP_CORK = 1, 3
MSG_MORE, MSG_EOR = 0x8000, 0x80


def parts(peer, seconds=0.02):
    """Start, length and PSH of all data that comes."""
    return [(peer.relative(segment)[0], len(segment.payload), "P" in segment.flags)
            for segment in peer.collect(seconds) if segment.payload]


@either
def more_waits_for_more(_, connection):
    """MSG_MORE holds a partial segment, also with TCP_NODELAY."""
    sock, peer = connection()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 1)
    sock.send(bytes(100), MSG_MORE)
    peer.expect_nothing(0.1)
    sock.send(bytes(950), MSG_MORE)
    equal(parts(peer), [(1, MSS, False)], "a full segment")
    sock.send(bytes(10))
    equal(parts(peer), [(1 + MSS, 60, True)], "the rest")


@either
def more_lasts_until_the_peer_is_heard(_, connection):
    """An acknowledgment lets Nagle decide; nothing is pushed."""
    sock, peer = connection()
    sock.send(bytes(1100), MSG_MORE)
    equal(parts(peer), [(1, MSS, False)], "a full segment")
    peer.send("A", ack=1 + MSS)
    equal(parts(peer), [(1 + MSS, 100, False)], "the rest")


@either
def more_does_not_wait_for_ever(_, connection):
    """The timer that would probe a closed window sends what is held back."""
    sock, peer = connection()
    sock.send(bytes(100), MSG_MORE)
    peer.expect("PA", seq=1, length=100, after=0.2)


@either
def cork_does_not_wait_for_ever(_, connection):
    sock, peer = connection()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 1)
    sock.send(bytes(100))
    peer.expect("PA", seq=1, length=100, after=0.2)
    peer.send("A", ack=101)
    sock.send(bytes(100))
    sock.send(bytes(100))
    peer.expect("PA", seq=101, length=200, after=0.2)


@either
def taking_the_cork_out_sends(_, connection):
    sock, peer = connection()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 1)
    sock.send(bytes(100))
    sock.send(bytes(100))
    peer.expect_nothing(0.1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 0)
    peer.expect("PA", seq=1, length=200, after=(0, 0.2))


@either
def no_delay_lets_go_what_is_held(_, connection):
    """TCP_NODELAY sends at once, whatever cork, Nagle or MSG_MORE held back."""
    sock, peer = connection()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 1)
    sock.send(bytes(40))
    peer.expect_nothing(0.1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 1)
    peer.expect("PA", seq=1, length=40, after=(0, 0.2))
    peer.send("A", ack=41)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_CORK, 0)
    sock.send(bytes(40), MSG_MORE)
    peer.expect_nothing(0.1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 1)
    equal(parts(peer), [(41, 40, False)], "what MSG_MORE held")


@either
def bursts_are_pushed(_, connection):
    """The last of several segments that leave together has PSH; one that leaves alone only where a write ends."""
    sock, peer = connection(window=2 * MSS)
    sock.send(bytes(10 * MSS))
    equal(parts(peer), [(1, MSS, False), (1 + MSS, MSS, True)], "a burst of two")
    peer.send("A", ack=1 + MSS, window=2 * MSS)
    equal(parts(peer), [(1 + 2 * MSS, MSS, False)], "one segment")


@either
def records_are_kept_apart(_, connection):
    """MSG_EOR: no segment has bytes of two records, also when they are sent again; PSH ends each."""
    sock, peer = connection()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 1)
    sock.send(bytes(1))
    peer.expect("PA", seq=1, length=1)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 0)
    # Nagle holds these back, while something small is in flight, and one after the other queues up.
    sock.send(bytes(300), MSG_EOR)
    peer.expect_nothing(0.05)
    sock.send(bytes(1400), MSG_EOR)
    sock.send(bytes(200))
    sock.send(bytes(200))
    sent = [(2, 300, True), (302, MSS, False), (1302, 400, True)]
    equal(parts(peer), sent, "records that have others behind them")
    peer.send("A", ack=2)
    equal(parts(peer), [], "what follows no record's end is small as well")
    peer.send("A", ack=302)
    peer.collect(0.05)
    peer.send("A", ack=1302)
    peer.collect(0.05)
    peer.send("A", ack=1702)
    equal(parts(peer), [(1702, 400, True)], "the rest")
    peer.send("A", ack=2102)


@either
def records_are_kept_apart_when_sent_again(_, connection):
    sock, peer = connection()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 1)
    for _ in range(4):
        sock.send(bytes(200), MSG_EOR)
    sent = [(1 + 200 * i, 200, True) for i in range(4)]
    equal(parts(peer), sent, "records")
    again = peer.expect("PA", seq=1, after=(0.1, 0.4))
    equal(len(again.payload), 200, "length of the first when sent again")
    peer.send("A", ack=201)
    equal(parts(peer)[0], (201, 200, True), "the second when sent again")
    peer.send("A", ack=801)


packet.main()
