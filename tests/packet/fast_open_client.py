#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""TCP Fast Open, as a client: cookies, data in the SYN, and what comes of it."""

import os
import select
import socket
import time

import packet
from packet import (CLOSE, ESTABLISHED, SYN_SENT, THERE, Peer, case, check, counter, equal, error_of, fails, info_of,
                    new_socket, state_of)

MSG_FASTOPEN = 0x20000000
TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_NO_COOKIE = 30, 34
FAST_OPEN, EXPERIMENTAL = 34, 254
COOKIE = b"12345678"
OPT_SYN_DATA = 32
NO_COOKIE, DATA_NOT_ACKED, SYN_RETRANSMITTED = 1, 2, 3


def option(cookie=COOKIE):
    """The option of a SYN-ACK."""
    data = bytes([FAST_OPEN, 2 + len(cookie)]) + cookie
    return data + b"\1" * (-len(data) % 4)


def sendto(sock, peer, data):
    """What sendto(MSG_FASTOPEN) returns, or the name of its error."""
    try:
        return sock.sendto(data, MSG_FASTOPEN, (THERE, peer.port))
    except OSError as error:
        return packet.errno.errorcode[error.errno]


def server(bench):
    """A peer that will be connected to."""
    bench.ports += 1
    return Peer(bench, bench.ports, None)


def learn(bench, cookie=COOKIE, mss=1000):
    """Lets the socket under test learn the cookie."""
    sock, peer = new_socket(), server(bench)
    equal(sendto(sock, peer, b"first"), "EINPROGRESS", "sendto without a cookie")
    syn = peer.expect("S", seq=0, length=0)
    equal(syn.options.get(FAST_OPEN), b"", "request for a cookie")
    peer.send("SA", mss=mss, raw=option(cookie))
    peer.expect("A", seq=1, ack=1)
    return sock, peer


def fail_of(sock):
    """tcpi_fastopen_client_fail"""
    return info_of(sock, 7) >> 1 & 3


def has_syn_data(sock):
    """TCPI_OPT_SYN_DATA"""
    return bool(info_of(sock, 5) & OPT_SYN_DATA)


@case
def cookie_is_asked_for_and_used(bench):
    sock, _ = learn(bench)
    equal((fail_of(sock), has_syn_data(sock)), (NO_COOKIE, False), "tcp_info")
    for _ in range(2):
        sock, peer = new_socket(), server(bench)
        equal(sendto(sock, peer, b"request"), 7, "sendto")
        equal(state_of(sock), SYN_SENT, "state")
        syn = peer.expect("S", seq=0, data=b"request")
        equal(syn.options.get(FAST_OPEN), COOKIE, "cookie")
        peer.send("SA", ack=8, mss=1000)
        peer.expect("A", seq=8, ack=1)
        equal((fail_of(sock), has_syn_data(sock)), (0, True), "tcp_info")
        sock.send(b"more")
        peer.expect("A", seq=8, ack=1, data=b"more")
        peer.send("A", data=b"answer", ack=12)
        peer.expect("A", seq=12, ack=7)
        equal(sock.recv(100), b"answer", "data")
    equal((counter("TCPFastOpenActive"), counter("TCPFastOpenActiveFail")), (2, 0), "counters")


@case
def data_with_the_syn_ack(bench):
    learn(bench)
    sock, peer = new_socket(), server(bench)
    sendto(sock, peer, b"request")
    peer.expect("S", seq=0, length=7)
    peer.send("SA", ack=8, data=b"answer", mss=1000)
    peer.expect("A", seq=8, ack=7)
    equal(sock.recv(100), b"answer", "data")


@case
def data_not_acknowledged(bench):
    learn(bench)
    for acked in (0, 3):
        sock, peer = new_socket(), server(bench)
        equal(sendto(sock, peer, b"request"), 7, "sendto")
        peer.expect("S", seq=0, length=7)
        peer.send("SA", ack=1 + acked, mss=1000)
        peer.expect("A", seq=1 + acked, ack=1, data=b"request"[acked:])
        equal((fail_of(sock), has_syn_data(sock)), (DATA_NOT_ACKED, False), "tcp_info")
        peer.send("A", ack=8)
        equal(state_of(sock), ESTABLISHED, "state")
    equal((counter("TCPFastOpenActive"), counter("TCPFastOpenActiveFail")), (0, 2), "counters")


@case
def new_cookie_replaces_the_old(bench):
    learn(bench)
    sock, peer = new_socket(), server(bench)
    sendto(sock, peer, b"request")
    peer.expect("S", seq=0, length=7)
    peer.send("SA", ack=1, mss=1000, raw=option(b"abcdefghij"))
    peer.expect("A", seq=1, ack=1, data=b"request")
    other, peer = new_socket(), server(bench)
    sendto(other, peer, b"request")
    equal(peer.expect("S", seq=0, length=7).options.get(FAST_OPEN), b"abcdefghij", "cookie")


@case
def syn_lost(bench):
    """The next SYN has neither the data nor the option."""
    learn(bench)
    sock, peer = new_socket(), server(bench)
    sendto(sock, peer, b"request")
    peer.expect("S", seq=0, length=7)
    syn = peer.expect("S", seq=0, length=0, after=1)
    check(FAST_OPEN not in syn.options, "the option again")
    peer.send("SA", ack=1, mss=1000)
    peer.expect("A", seq=1, ack=1, data=b"request")
    equal((fail_of(sock), has_syn_data(sock)), (SYN_RETRANSMITTED, False), "tcp_info")
    peer.send("A", ack=8)


@case
def no_more_than_fits(bench):
    """The SYN is bounded by the server's MSS of last time, less all room for options."""
    learn(bench, mss=500)
    sock, peer = new_socket(), server(bench)
    equal(sendto(sock, peer, b"x" * 3000), 460, "sendto")
    peer.expect("S", seq=0, length=460)
    peer.send("SA", ack=461, mss=500)
    peer.expect("A", seq=461, ack=1)
    equal(state_of(sock), ESTABLISHED, "state")


@case
def no_cookie_in_answer(bench):
    """The next request is by the experimental option, the one after by the standard one again."""
    for kind in (FAST_OPEN, EXPERIMENTAL, FAST_OPEN, FAST_OPEN):
        sock, peer = new_socket(), server(bench)
        equal(sendto(sock, peer, b"request"), "EINPROGRESS", "sendto")
        syn = peer.expect("S", seq=0, length=0)
        wanted = b"\xf9\x89" if kind == EXPERIMENTAL else b""
        equal(syn.options.get(kind), wanted, f"option {kind}")
        peer.send("SA", mss=1000)
        peer.expect("A", seq=1, ack=1)
        equal(fail_of(sock), NO_COOKIE, "tcpi_fastopen_client_fail")


@case
def experimental_cookie(bench):
    learn(bench, b"")
    sock, peer = new_socket(), server(bench)
    sendto(sock, peer, b"request")
    peer.expect("S", seq=0, length=0)
    peer.send("SA", mss=1000, raw=bytes([EXPERIMENTAL, 12]) + b"\xf9\x89" + COOKIE)
    peer.expect("A", seq=1, ack=1)
    sock, peer = new_socket(), server(bench)
    equal(sendto(sock, peer, b"request"), 7, "sendto")
    equal(peer.expect("S", seq=0, length=7).options.get(EXPERIMENTAL), b"\xf9\x89" + COOKIE, "cookie")


@case
def refused(bench):
    learn(bench)
    sock, peer = new_socket(), server(bench)
    equal(sendto(sock, peer, b"request"), 7, "sendto")
    peer.expect("S", seq=0, length=7)
    peer.send("RA", seq=0, ack=8)
    equal(state_of(sock), CLOSE, "state")
    equal(error_of(sock), "ECONNREFUSED", "SO_ERROR")


@case
def without_cookie(bench):
    """By option, and by tcp_fastopen: data goes without a cookie, and none is asked for or taken."""
    for way in range(2):
        sock, peer = new_socket(), server(bench)
        if way == 0:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
        else:
            bench.sysctl("tcp_fastopen", 5)
        equal(sendto(sock, peer, b"request"), 7, "sendto")
        syn = peer.expect("S", seq=0, length=7)
        check(FAST_OPEN not in syn.options, "an option")
        peer.send("SA", ack=8, mss=1000, raw=option())
        peer.expect("A", seq=8, ack=1)
        equal((fail_of(sock), has_syn_data(sock)), (0, True), "tcp_info")
    bench.sysctl("tcp_fastopen", 1)
    learn(bench)


@case
def errors(bench):
    sock, peer = learn(bench)
    # As long as neither connect() nor this has told that it is connected.
    equal(sendto(sock, peer, b"again"), 5, "connecting before")
    peer.expect("A", seq=1, ack=1, data=b"again")
    peer.send("A", ack=6)
    equal(sendto(sock, peer, b"again"), "EISCONN", "connected")
    fails("EINVAL", new_socket().send, b"nowhere", MSG_FASTOPEN)
    sock, peer = bench.connecting()
    peer.expect("S")
    equal(sendto(sock, peer, b"data"), "EALREADY", "connecting")
    bench.sysctl("tcp_fastopen", 2)
    equal(sendto(new_socket(), peer, b"data"), "ENOTSUP", "tcp_fastopen without clients")
    sock = new_socket()
    fails("ENOTSUP", sock.setsockopt, socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    bench.sysctl("tcp_fastopen", 1)
    fails("EINVAL", sock.setsockopt, socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 2)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    equal(sock.getsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT), 1, "TCP_FASTOPEN_CONNECT")
    equal(sendto(bench.listening(), peer, b"data"), "EISCONN", "listening")


def connect_later(bench):
    """A socket with TCP_FASTOPEN_CONNECT, after its connect(); what connect() returned; its peer."""
    sock, peer = new_socket(), server(bench)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_CONNECT, 1)
    return sock, sock.connect_ex((THERE, peer.port)), peer


def polled(sock):
    """The events that are true."""
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLOUT)
    return dict(poll.poll(0)).get(sock.fileno(), 0)


@case
def connect_waits_for_the_first_write(bench):
    learn(bench)
    sock, code, peer = connect_later(bench)
    equal(code, 0, "connect")
    peer.expect_nothing(2)
    equal((state_of(sock), polled(sock)), (SYN_SENT, select.POLLOUT), "state and events")
    fails("EAGAIN", sock.recv, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    equal(sock.connect_ex((THERE, peer.port)), packet.errno.EISCONN, "connect again")
    peer.expect_nothing(1)
    equal(sock.send(b"request"), 7, "send")
    syn = peer.expect("S", seq=0, data=b"request", after=(0.9, 1.1))
    equal(syn.options.get(FAST_OPEN), COOKIE, "cookie")
    equal(polled(sock), 0, "events")
    peer.send("SA", ack=8, mss=1000)
    peer.expect("A", seq=8, ack=1)
    equal((state_of(sock), polled(sock)), (ESTABLISHED, select.POLLOUT), "state and events")
    sock.send(b"more")
    peer.expect("A", seq=8, ack=1, data=b"more")


@case
def connect_asks_at_once_without_a_cookie(bench):
    sock, code, peer = connect_later(bench)
    equal(packet.errno.errorcode.get(code), "EINPROGRESS", "connect")
    equal(peer.expect("S", seq=0, length=0).options.get(FAST_OPEN), b"", "request for a cookie")
    peer.send("SA", mss=1000, raw=option())
    peer.expect("A", seq=1, ack=1)
    sock.send(b"data")
    peer.expect("A", seq=1, ack=1, data=b"data")
    equal(sendto(sock, peer, b"data"), "EALREADY", "sendto")


@case
def connect_that_was_deferred_ends(bench):
    """By close, by shutdown, by another connect: nothing was sent, nothing is left."""
    learn(bench)
    sock, _, peer = connect_later(bench)
    sock.close()
    peer.expect_nothing(1)
    sock, _, peer = connect_later(bench)
    sock.shutdown(socket.SHUT_RDWR)
    equal(state_of(sock), CLOSE, "state")
    fails("ECONNRESET", sock.send, b"data")
    peer.expect_nothing(1)


def blocking(bench, size):
    """A process that opens a connection with so many bytes and waits; its pipe and the peer."""
    sock, peer = new_socket(), server(bench)
    sock.setblocking(True)
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, str(sendto(sock, peer, b"x" * size)).encode())
        os._exit(0)
    return sock, peer, reader


@case
def blocking_call(bench):
    """Waits for the connection, and for the rest to be taken."""
    learn(bench)
    _, peer, reader = blocking(bench, 2000)
    peer.expect("S", seq=0, length=960, after=(0, 1))
    check(not select.select([reader], [], [], 0.5)[0], "it did not wait")
    peer.send("SA", ack=961, mss=1000)
    peer.expect("A", seq=961, ack=1, length=1000)
    peer.expect("A", seq=1961, ack=1, length=40)
    equal(os.read(reader, 100), b"2000", "sendto")


@case
def blocking_call_without_cookie(bench):
    _, peer, reader = blocking(bench, 100)
    peer.expect("S", seq=0, length=0, after=(0, 1))
    peer.send("SA", ack=1, mss=1000, raw=option())
    peer.expect("A", seq=1, ack=1, length=100)
    equal(os.read(reader, 100), b"100", "sendto")


@case
def blocking_call_refused(bench):
    learn(bench)
    sock, peer, reader = blocking(bench, 100)
    peer.expect("S", seq=0, length=100, after=(0, 1))
    peer.send("RA", seq=0, ack=101)
    equal(os.read(reader, 100), b"ECONNREFUSED", "sendto")
    equal(state_of(sock), CLOSE, "state")


@case
def pause(bench):
    """Three time-outs in a row, and no Fast Open for an hour, then for two."""
    bench.sysctl("tcp_fastopen_blackhole_timeout_sec", 3600)
    bench.sysctl("tcp_syn_linear_timeouts", 4)
    learn(bench)
    for number, length in ((1, 3600), (2, 7200)):
        sock, peer = new_socket(), server(bench)
        equal(sendto(sock, peer, b"request"), 7, "sendto")
        peer.expect("S", seq=0, length=7)
        for _ in range(3):
            peer.expect("S", seq=0, length=0, after=1)
        equal(counter("TCPFastOpenBlackhole"), number, "TCPFastOpenBlackhole")
        equal(counter("TCPFastOpenActiveFail"), number, "TCPFastOpenActiveFail")
        sock.close()
        for wait in (0, length - 60):
            time.sleep(wait)
            sock, peer = new_socket(), server(bench)
            equal(sendto(sock, peer, b"request"), "EINPROGRESS", "sendto")
            syn = peer.expect("S", seq=0, length=0)
            check(FAST_OPEN not in syn.options, "the option")
            sock.close()
        time.sleep(120)


packet.main()
