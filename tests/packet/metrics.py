#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a host remembers of a path between connections, and what its route says to begin with."""

import os
import socket
import time

from internet import choose
from packet import HERE, THERE, Skipped, accept, between, case, check, either, equal, info_of, main, run

SEGMENT = 1000
UNKNOWN = 0x7fffffff  # ssthresh before the first loss
RTO, RTT, SSTHRESH, CWND, REORDERING = 8, 68, 76, 80, 88  # fields of TCP_INFO


def route(words):
    """A route to the peer with these words; it may be there already."""
    run(f"ip {choose('', '-6 ')}route replace {THERE} dev tun0 {words}")


def field(sock, place):
    """A field of TCP_INFO."""
    return info_of(sock, place, 4)


def finish(sock, peer):
    """Ends a connection well, from here."""
    sock.close()
    peer.expect("FA")
    peer.send("FA")
    peer.expect("A")


def once(connection, **words):
    """A connection that ends at once; what is known of a path begins with it."""
    finish(*connection(**words))


def connections(bench, connection):
    """How to make a connection again and again."""
    if connection == bench.passive:
        listener = bench.listening()
        return lambda **words: bench.passive(listener=listener, **words)
    return connection


def tell_ssthresh(bench):
    """ssthresh is remembered, too."""
    bench.sysctl("tcp_no_ssthresh_metrics_save", 0)


@either
def bound_of_cwnd(bench, connection):
    """A locked cwnd bounds the congestion window, from its beginning on."""
    route("cwnd lock 4")
    make = connections(bench, connection)
    once(make)
    sock, peer = make()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)
    equal(field(sock, CWND), 4, "cwnd at first")
    sock.send(bytes(60 * SEGMENT))
    for flight in range(4):
        equal(sum(len(segment.payload) for segment in peer.collect()) // SEGMENT, 4, f"segments of flight {flight}")
        peer.send("A")
    equal(field(sock, CWND), 4, "cwnd")


@case
def cwnd_without_lock(bench):
    """Without the lock cwnd is remembered, and acts on nothing."""
    route("cwnd 4")
    once(bench.active)
    sock, peer = bench.active()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)
    sock.send(bytes(60 * SEGMENT))
    peer.collect()
    peer.send("A")
    peer.collect()
    equal(field(sock, CWND), 20, "cwnd")


@either
def end_of_slow_start(bench, connection):
    """ssthresh of the route, not above a locked cwnd, where it is not left out (tcp_no_ssthresh_metrics_save)."""
    route("ssthresh 12")
    make = connections(bench, connection)
    once(make)
    equal(field(make()[0], SSTHRESH), UNKNOWN, "ssthresh that is left out")
    tell_ssthresh(bench)
    equal(field(make()[0], SSTHRESH), 12, "ssthresh")


@case
def end_of_slow_start_bound(bench):
    """ssthresh is not above a locked cwnd."""
    route("ssthresh 12 cwnd lock 11")
    tell_ssthresh(bench)
    once(bench.active)
    equal(field(bench.active()[0], SSTHRESH), 11, "ssthresh")


@case
def reordering(bench):
    """How much reordering there may be; as all of it not before one connection has ended."""
    route("reordering 7")
    sock, peer = bench.active()
    equal(field(sock, REORDERING), 3, "reordering of the first")
    finish(sock, peer)
    equal(field(bench.active()[0], REORDERING), 7, "reordering of the second")


@either
def first_timeout(bench, connection):
    """The route's round-trip time decides when data is sent again, until data has been answered."""
    route("rtt 500ms")
    make = connections(bench, connection)
    once(make)
    # Of which an eighth is forgotten with a connection that found it shorter.
    sock, peer = make()
    sock.send(b"x")
    peer.expect("A", seq=1, length=1)
    peer.expect("A", seq=1, length=1, after=1.5 * 7 / 8)
    sock, peer = make()
    sock.send(b"x")
    peer.expect("A", seq=1, length=1)
    peer.send("A", ack=2)
    sock.send(b"y")
    peer.expect("A", seq=2, length=1)
    peer.expect("A", seq=2, length=1, after=(0.1, 0.4))


@case
def locked_rtt(bench):
    """A locked one stays."""
    route("rtt lock 500ms")
    for _ in range(3):
        once(bench.active)
    between(field(bench.active()[0], RTO), (1490000, 1510000), "RTO")


def slow_answer(sock, peer):
    """Data that is answered late."""
    sock.send(b"x")
    peer.expect("A", seq=1, length=1)
    time.sleep(0.15)
    peer.send("A", ack=2)


@either
def learned_rtt(bench, connection):
    """The round-trip time of a connection decides the first time-out of the next."""
    make = connections(bench, connection)
    sock, peer = make()
    slow_answer(sock, peer)
    seen = field(sock, RTT)
    check(seen > 15000, f"SRTT {seen}")
    finish(sock, peer)
    sock, peer = make()
    check(field(sock, RTT) < 10000, "SRTT is this connection's own")
    # The FIN took less; Linux counts in whole ticks.
    between(field(sock, RTO), (seen * 7 // 8 + 190000, seen + 206000), "RTO")


@case
def without_a_sample(bench):
    """A SYN-ACK that was sent again tells no round-trip time: the time-out of data begins with 3 s (RFC 6298, 5.7)."""
    listener = bench.listening()
    caller = bench.caller()
    caller.send("S", **caller.offer("mss"))
    caller.expect("SA", seq=0, ack=1)
    caller.expect("SA", seq=0, ack=1, after=1)
    caller.send("A")
    sock = accept(listener)
    equal(field(sock, RTO), 3000000, "RTO")
    sock.send(b"x")
    caller.expect("A", seq=1, length=1)
    caller.expect("A", seq=1, length=1, after=3)


@case
def not_learned(bench):
    """With tcp_no_metrics_save nothing is learned, but the route and what is known already count."""
    bench.sysctl("tcp_no_metrics_save", 1)
    route("reordering 7")
    once(bench.active)
    equal(field(bench.active()[0], REORDERING), 3, "reordering")
    bench.sysctl("tcp_no_metrics_save", 0)
    once(bench.active)
    bench.sysctl("tcp_no_metrics_save", 1)
    equal(field(bench.active()[0], REORDERING), 7, "reordering")


@case
def reset_teaches_nothing(bench):
    """A connection that does not end well is not remembered."""
    route("reordering 7")
    sock, peer = bench.active()
    peer.send("R")
    sock.close()
    equal(field(bench.active()[0], REORDERING), 3, "reordering")


@case
def last_ack_teaches(bench):
    """One that the peer has ended is."""
    route("reordering 7")
    sock, peer = bench.active()
    peer.send("FA")
    peer.expect("A", after=(0, 0.3))
    sock.close()
    peer.expect("FA")
    peer.send("A")
    equal(field(bench.active()[0], REORDERING), 7, "reordering")


@case
def learned_ssthresh(bench):
    """Where one connection was stopped by a loss the next ends its slow start."""
    tell_ssthresh(bench)
    sock, peer = bench.active()
    sock.send(bytes(10 * SEGMENT))
    peer.collect()
    for end in range(3, 11):
        peer.send("A", ack=1, sack=[(1 + SEGMENT, 1 + end * SEGMENT)])
    peer.collect()
    peer.send("A", ack=1 + 10 * SEGMENT)
    known = max(field(sock, CWND) // 2, field(sock, SSTHRESH))
    check(known < 11, f"ssthresh {known}")
    finish(sock, peer)
    equal(field(bench.active()[0], SSTHRESH), known, "ssthresh")


@case
def forgotten(bench):
    """After an hour what the route says counts again."""
    if os.environ.get("TIME", "real") == "real":
        raise Skipped("it takes an hour")
    route("reordering 7 rtt 20ms")
    sock, peer = bench.active()
    slow_answer(sock, peer)
    finish(sock, peer)
    route("reordering 9 rtt 20ms")
    time.sleep(3500)
    equal(field(bench.active()[0], REORDERING), 7, "reordering before")
    time.sleep(200)
    sock, _ = bench.active()
    equal(field(sock, REORDERING), 9, "reordering after")
    between(field(sock, RTO), (209000, 226000), "RTO")


def syns(bench, listener):
    """How many of eight SYNs are answered where eight may wait."""
    bench.sysctl("tcp_syncookies", 0)
    bench.sysctl("tcp_max_syn_backlog", 8)
    equal(listener.getsockname()[:2], (HERE, 8080), "listener")
    answered = 0
    for _ in range(8):
        caller = bench.caller()
        caller.send("S", **caller.offer("mss"))
        answered += len(caller.collect(0.01))
    return answered


@case
def place_for_the_unknown(bench):
    """The last quarter of the half-open connections is not for peers that nothing is known of."""
    equal(syns(bench, bench.listening()), 7, "answers")


@case
def place_for_the_known(bench):
    """It is for those that have had a connection."""
    listener = bench.listening()
    once(bench.passive, listener=listener)
    equal(syns(bench, listener), 8, "answers")


main()
