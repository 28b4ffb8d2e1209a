#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""TCP Fast Open, as a server: what the kernel's packetdrill scripts leave open."""

import socket

import internet
import packet
from packet import CLOSE, ESTABLISHED, SYN_RECV, accept, case, check, counter, equal, error_of, fails, state_of, tell

TCP_FASTOPEN, TCP_FASTOPEN_KEY = 23, 33
FAST_OPEN = 34
KEYS = (bytes(range(16)), bytes(range(100, 116)))


def serving(bench, most=5, keys=KEYS[:1]):
    """A listener that offers Fast Open."""
    bench.sysctl("tcp_fastopen", 3)
    listener = bench.listening()
    listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN, most)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_KEY, b"".join(keys))
    return listener


def option(cookie=b""):
    """The option of a SYN."""
    data = bytes([FAST_OPEN, 2 + len(cookie)]) + cookie
    return data + b"\1" * (-len(data) % 4)


def ask(bench):
    """A cookie of the listener's."""
    peer = bench.caller()
    peer.send("S", mss=1000, raw=option())
    cookie = peer.expect("SA", seq=0, ack=1).options.get(FAST_OPEN)
    check(cookie, "no cookie")
    peer.send("R", seq=1)
    return cookie


def call(bench, cookie, data=b"request"):
    """A peer that opens with data."""
    peer = bench.caller()
    peer.send("S", data=data, mss=1000, raw=option(cookie))
    return peer


@case
def data_before_the_third_segment(bench):
    listener = serving(bench)
    cookie = ask(bench)
    equal(len(cookie), 8, "octets of the cookie")
    peer = call(bench, cookie)
    peer.expect("SA", seq=0, ack=8)
    sock = accept(listener)
    equal(state_of(sock), SYN_RECV, "state")
    equal(sock.recv(100), b"request", "data")
    sock.send(b"answer")
    peer.expect("A", seq=1, ack=8, data=b"answer")
    peer.send("A", ack=7)
    equal(state_of(sock), ESTABLISHED, "state")
    equal((counter("TCPFastOpenPassive"), counter("TCPFastOpenCookieReqd")), (1, 1), "counters")


@case
def wrong_cookie(bench):
    """The data is not taken, and the right cookie comes with the SYN-ACK."""
    listener = serving(bench)
    cookie = ask(bench)
    peer = call(bench, b"12345678")
    answer = peer.expect("SA", seq=0, ack=1)
    equal(answer.options.get(FAST_OPEN), cookie, "cookie")
    fails("EAGAIN", listener.accept)
    equal(counter("TCPFastOpenPassiveFail"), 1, "TCPFastOpenPassiveFail")


@case
def key_before(bench):
    """A cookie of the backup key is taken, and one of the present key given."""
    listener = serving(bench)
    old = ask(bench)
    listener.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_KEY, KEYS[1] + KEYS[0])
    equal(listener.getsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_KEY, 64), KEYS[1] + KEYS[0], "keys")
    new = ask(bench)
    check(new != old, "another key, the same cookie")
    peer = call(bench, old)
    equal(peer.expect("SA", seq=0, ack=8).options.get(FAST_OPEN), new, "cookie")
    peer = call(bench, new)
    check(FAST_OPEN not in peer.expect("SA", seq=0, ack=8).options, "a cookie for who has it")


@case
def limit(bench):
    """No more than TCP_FASTOPEN may wait for their third ACK."""
    serving(bench, most=1)
    cookie = ask(bench)
    first = call(bench, cookie)
    first.expect("SA", seq=0, ack=8)
    second = call(bench, cookie)
    second.expect("SA", seq=0, ack=1)
    equal(counter("TCPFastOpenListenOverflow"), 1, "TCPFastOpenListenOverflow")
    first.send("A", ack=1)
    third = call(bench, cookie)
    third.expect("SA", seq=0, ack=8)


@case
def errors_of_the_syn_ack(bench):
    """They end a connection that waits for accept, and not one that somebody has."""
    listener = serving(bench)
    cookie = ask(bench)
    for waits in True, False:
        peer = call(bench, cookie)
        answer = peer.expect("SA", seq=0, ack=8)
        if waits:
            tell(bench, answer, internet.HOST)
            packet.time.sleep(0.01)
        sock = accept(listener)
        if not waits:
            tell(bench, answer, internet.HOST)
            packet.time.sleep(0.01)
        equal((error_of(sock), state_of(sock)), ("EHOSTUNREACH", CLOSE if waits else SYN_RECV), "error and state")
    peer.send("A", ack=1)
    equal(state_of(sock), ESTABLISHED, "state")


@case
def reset_counts_for_a_minute(bench):
    """One that a RST has ended after accept() keeps its place for 60 s."""
    listener = serving(bench, most=1)
    cookie = ask(bench)
    peer = call(bench, cookie)
    peer.expect("SA", seq=0, ack=8)
    sock = accept(listener)
    peer.send("R", seq=8)
    equal(state_of(sock), CLOSE, "state")
    call(bench, cookie).expect("SA", seq=0, ack=1)
    packet.time.sleep(62)
    for port in range(1, 3):
        bench.tun.read(0)
    while bench.tun.read(0):
        pass
    call(bench, cookie).expect("SA", seq=0, ack=8)


@case
def syn_ack_repeated(bench):
    """Once more than without Fast Open, and nothing else meanwhile."""
    listener = serving(bench)
    peer = call(bench, ask(bench))
    peer.expect("SA", seq=0, ack=8)
    sock = accept(listener)
    sock.send(b"answer")
    peer.expect("A", seq=1, ack=8, data=b"answer")
    for wait in (1, 2, 4, 8, 16, 32):
        peer.expect("SA", seq=0, ack=8, after=(wait * 0.9 - 0.1, wait * 1.2 + 0.2))
    peer.expect_nothing(80)
    equal(sock.recv(100), b"request", "data")
    fails("ETIMEDOUT", sock.recv, 100)


packet.main()
