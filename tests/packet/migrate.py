#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What becomes of a listener's connections when it ends and others share its port (tcp_migrate_req)."""

import socket

from packet import ESTABLISHED, HERE, accept, case, check, counter, equal, fails, keep, main, new_socket, state_of

SUCCESS, FAILURE = "TCPMigrateReqSuccess", "TCPMigrateReqFailure"


def listening(backlog=10, setup=None):
    """One more listener at the port."""
    sock = new_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if setup:
        setup(sock)
    sock.bind((HERE, 8080))
    sock.listen(backlog)
    return keep(sock)


def half_open(bench):
    """A peer that has got a SYN-ACK."""
    peer = bench.caller()
    peer.send("S", **peer.offer("mss sack ws"))
    peer.expect("SA", seq=0, ack=1)
    return peer


def established(bench):
    """A peer whose connection waits to be accepted, with data."""
    peer = half_open(bench)
    peer.send("PA", data=b"hello")
    peer.expect("A", ack=6, after=(0, 0.3))
    return peer


def accepted(listener):
    """How many connections wait on a listener."""
    count = 0
    while True:
        try:
            keep(listener.accept()[0])
        except BlockingIOError:
            return count
        count += 1


def counts(success, failure):
    """What was counted."""
    equal((counter(SUCCESS), counter(FAILURE)), (success, failure), "successes and failures")


@case
def half_open_goes_on(bench):
    """A connection that is half-open ends with another listener than it began with."""
    bench.sysctl("tcp_migrate_req", 1)
    first = listening()
    peer = half_open(bench)
    second = listening()
    first.close()
    peer.send("A")
    peer.expect_nothing(0.2)
    sock = accept(second)
    equal(state_of(sock), ESTABLISHED, "state")
    sock.send(b"welcome")
    peer.expect("PA", data=b"welcome")
    counts(1, 0)


@case
def half_open_is_asked_again(bench):
    """The SYN-ACK is sent again by the other listener's rules."""
    bench.sysctl("tcp_migrate_req", 1)
    first = listening()
    peer = half_open(bench)
    second = listening(setup=lambda sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, 2))
    first.close()
    peer.expect("SA", seq=0, ack=1, after=1)
    peer.expect("SA", seq=0, ack=1, after=2)
    peer.expect_nothing(20)
    fails("EAGAIN", second.accept)


@case
def accept_queue_goes_on(bench):
    """Connections that nobody has accepted are accepted elsewhere, with their data."""
    bench.sysctl("tcp_migrate_req", 1)
    first = listening()
    peers = [established(bench) for _ in range(4)]
    second = listening(backlog=1)
    first.close()
    counts(4, 0)
    for peer in peers:
        sock = accept(second)
        equal(sock.getpeername()[1], peer.port, "order")
        equal(sock.recv(100), b"hello", "data")
        sock.send(b"welcome")
        peer.expect("PA", data=b"welcome")
    fails("EAGAIN", second.accept)


@case
def by_shutdown(bench):
    """The same where the listener is shut down, which may listen again."""
    bench.sysctl("tcp_migrate_req", 1)
    first = listening()
    peer = established(bench)
    other = half_open(bench)
    second = listening()
    first.shutdown(socket.SHUT_RD)
    equal(accept(second).getpeername()[1], peer.port, "port")
    other.send("A")
    equal(accept(second).getpeername()[1], other.port, "port")
    counts(2, 0)
    first.listen(10)
    half_open(bench).send("A")
    equal(accepted(first) + accepted(second), 1, "new connections")


@case
def from_one_to_the_next(bench):
    """A connection may move several times."""
    bench.sysctl("tcp_migrate_req", 1)
    listeners = [listening()]
    peer = established(bench)
    for _ in range(3):
        listeners.append(listening())
        listeners.pop(0).close()
    equal(accept(listeners[0]).recv(100), b"hello", "data")
    peer.expect_nothing(0.1)
    counts(3, 0)


@case
def shared_out(bench):
    """Many connections go to several."""
    bench.sysctl("tcp_migrate_req", 1)
    first = listening(backlog=100)
    for _ in range(40):
        established(bench)
    others = [listening(backlog=100) for _ in range(2)]
    first.close()
    got = [accepted(sock) for sock in others]
    equal(sum(got), 40, "connections")
    check(min(got) > 5, f"shared out as {got}")


@case
def nobody_is_left(bench):
    """The last listener's connections are reset."""
    bench.sysctl("tcp_migrate_req", 1)
    first, second = listening(), listening()
    second.close()
    peer = established(bench)
    other = half_open(bench)
    first.close()
    peer.expect_reset(1)
    other.expect_nothing(5)
    other.send("A", seq=1)
    other.expect("R", seq=1)
    counts(0, 2)


@case
def not_in_a_group(bench):
    """A listener alone passes nothing on, and nothing has failed."""
    bench.sysctl("tcp_migrate_req", 1)
    first = bench.listening()
    peer = established(bench)
    first.close()
    peer.expect_reset(1)
    counts(0, 0)


@case
def not_wanted(bench):
    """By default connections end with their listener."""
    first = listening()
    peer, other = established(bench), half_open(bench)
    second = listening()
    first.close()
    peer.expect_reset(1)
    other.send("A")
    other.expect("R", seq=1)
    fails("EAGAIN", second.accept)
    counts(0, 0)


@case
def begun_with_fast_open(bench):
    """A connection of Fast Open that waits for its third ACK counts for its new listener."""
    bench.sysctl("tcp_migrate_req", 1)
    bench.sysctl("tcp_fastopen", 0x203)
    offers = lambda sock: sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
    first = listening(setup=offers)
    peer = bench.caller()
    peer.send("S", data=b"early", **peer.offer("mss sack ws"))
    peer.expect("SA", seq=0, ack=6)
    second = listening(setup=offers)
    first.close()
    sock = accept(second)
    equal(sock.recv(100), b"early", "data")
    peer.send("A")
    peer.expect_nothing(0.1)
    sock.send(b"welcome")
    peer.expect("PA", data=b"welcome")
    equal(state_of(sock), ESTABLISHED, "state")


main()
