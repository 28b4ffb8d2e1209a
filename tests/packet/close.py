#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Closing a connection: every path through the states, and how long the last of them last."""

import socket

import packet
from packet import (CLOSE, CLOSE_WAIT, CLOSING, FIN_WAIT1, FIN_WAIT2, LAST_ACK, accept, between, case, check, either,
                    equal, error_of, fails, new_socket, state_of)


def in_time_wait(connection):
    """A connection that the socket has closed first, to the end."""
    sock, peer = connection()
    sock.close()
    peer.expect("FA", seq=1, ack=1)
    peer.send("A")
    peer.send("FA")
    peer.expect("A", seq=2, ack=2)
    return peer


@either
def active(bench, connection):
    sock, peer = connection()
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=1, length=0)
    equal(state_of(sock), FIN_WAIT1, "state")
    peer.send("A")
    equal(state_of(sock), FIN_WAIT2, "state")
    peer.send("FA")
    peer.expect("A", seq=2, ack=2)
    # The socket is closed, TIME_WAIT is a record of its own.
    equal(state_of(sock), CLOSE, "state")
    equal(error_of(sock), None, "SO_ERROR")
    equal(sock.recv(1), b"", "recv")


@either
def passive(bench, connection):
    sock, peer = connection()
    peer.send("FA")
    peer.expect("A", seq=1, ack=2, after=(0, 0.25))
    equal(state_of(sock), CLOSE_WAIT, "state")
    equal(sock.recv(1), b"", "recv")
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=2)
    equal(state_of(sock), LAST_ACK, "state")
    peer.send("A")
    equal(state_of(sock), CLOSE, "state")
    # Nothing is kept at this end.
    peer.send("FA", seq=1)
    peer.expect("R", seq=2)


@case
def simultaneous(bench):
    sock, peer = bench.active()
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=1)
    peer.send("FA", ack=1)
    peer.expect("A", seq=2, ack=2)
    equal(state_of(sock), CLOSING, "state")
    peer.send("A", ack=2)
    equal(state_of(sock), CLOSE, "state")
    equal(error_of(sock), None, "SO_ERROR")
    # It is in TIME_WAIT: the FIN again gets its ACK again.
    packet.time.sleep(1)
    peer.send("FA", seq=1, ack=2)
    peer.expect("A", seq=2, ack=2)


@case
def fin_and_ack_in_one(bench):
    sock, peer = bench.active()
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=1)
    peer.send("FA", ack=2)
    peer.expect("A", seq=2, ack=2)
    equal(state_of(sock), CLOSE, "state")


@case
def fin_carries_data(bench):
    """Data before the FIN, both ways."""
    sock, peer = bench.active()
    sock.send(b"bye")
    peer.expect("PA", seq=1, data=b"bye")
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=4, ack=1)
    peer.send("FPA", data=b"good")
    peer.expect("A", seq=5, ack=6)
    equal(sock.recv(100), b"good", "data")
    equal(sock.recv(100), b"", "end")


@case
def fin_out_of_order(bench):
    """A FIN that overtakes data closes nothing until the data is there."""
    sock, peer = bench.active()
    peer.send("FA", seq=4)
    peer.expect("A", ack=1)
    check(state_of(sock) != CLOSE_WAIT, "the FIN was taken too early")
    fails("EAGAIN", sock.recv, 10)
    peer.send("PA", seq=1, data=b"abc")
    peer.expect("A", ack=5)
    equal(state_of(sock), CLOSE_WAIT, "state")
    equal(sock.recv(100), b"abc", "data")
    equal(sock.recv(100), b"", "end")


@case
def fin_waits_for_window(bench):
    """What is queued goes first, as the window lets it, and the FIN after all of it."""
    sock, peer = bench.active(window=2000)
    sock.send(bytes(3000))
    sock.close()
    for start in (1, 1001):
        peer.expect("A", seq=start, length=1000)
    peer.expect_nothing(0.1)
    peer.send("A")
    segment = peer.expect("FA", seq=2001, length=1000)
    check("P" in segment.flags, "no PSH on the last data")
    peer.send("A", ack=3002)


@case
def fin_retransmission(bench):
    sock, peer = bench.active()
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=1)
    wait = 0.2
    for _ in range(5):
        peer.expect("FA", seq=1, ack=1, after=wait)
        wait *= 2
    peer.send("A", ack=2)
    equal(state_of(sock), FIN_WAIT2, "state")
    peer.expect_nothing(30)


@case
def half_closed(bench):
    """After shutdown(WR) the peer may send as long as it likes."""
    sock, peer = bench.active()
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=1)
    peer.send("A")
    packet.time.sleep(3600)
    for _ in range(5):
        start = peer.next
        peer.send("PA", data=bytes(500))
        peer.expect("A", seq=2, ack=start + 500, after=(0, 0.25))
        equal(len(sock.recv(1000)), 500, "data")
    peer.send("FA")
    peer.expect("A", seq=2, ack=peer.next)
    equal(sock.recv(1), b"", "end")


@either
def time_wait_lasts_a_minute(bench, connection):
    peer = in_time_wait(connection)
    # Each repeated FIN is answered, and counts the minute anew.
    for pause in (1, 30, 55):
        packet.time.sleep(pause)
        peer.send("FA", seq=1)
        peer.expect("A", seq=2, ack=2)
    peer.expect_nothing(50)
    peer.send("FA", seq=1)
    peer.expect("A", seq=2, ack=2)
    peer.expect_nothing(70)
    peer.send("FA", seq=1)
    peer.expect("R", seq=2)


@case
def time_wait_is_silent(bench):
    """Pure old ACKs and data get at most an ACK; nothing is sent unasked."""
    peer = in_time_wait(bench.active)
    peer.send("A")
    peer.expect_nothing(5)
    peer.send("PA", seq=1, data=b"old")
    peer.expect("A", seq=2, ack=2)


@case
def time_wait_holds_the_port(bench):
    sock, peer = bench.active()
    port = sock.getsockname()[1]
    sock.close()
    peer.expect("FA")
    peer.send("A")
    peer.send("FA")
    peer.expect("A", seq=2, ack=2)
    bench.sysctl("tcp_tw_reuse", 0)
    again = new_socket()
    fails("EADDRINUSE", again.bind, (packet.HERE, port))
    packet.time.sleep(50)
    fails("EADDRINUSE", again.bind, (packet.HERE, port))
    packet.time.sleep(20)
    again.bind((packet.HERE, port))


@case
def time_wait_new_connection(bench):
    """A SYN beyond the old connection's numbers opens a new one at once."""
    listener = bench.listening()
    old = in_time_wait(lambda: bench.passive(listener=listener))
    new = bench.caller(8080, port=old.port, iss=old.iss + 100000)
    new.send("S", mss=1000)
    new.expect("SA", seq=0, ack=1)
    new.send("A")
    sock = accept(listener)
    new.send("PA", data=b"new")
    new.expect("A", ack=4, after=(0, 0.25))
    equal(sock.recv(10), b"new", "data")


@case
def time_wait_old_syn(bench):
    """A SYN from within the old connection's numbers is answered with the old ACK."""
    listener = bench.listening()
    peer = in_time_wait(lambda: bench.passive(listener=listener))
    peer.send("S", seq=-500, mss=1000)
    peer.expect("A", seq=2, ack=2)
    fails("EAGAIN", listener.accept)


@case
def time_wait_new_connection_by_timestamp(bench):
    """With timestamps, a later one is enough, whatever the number."""
    listener = bench.listening()
    old = in_time_wait(lambda: bench.passive("mss sack ws ts", listener=listener))
    packet.time.sleep(2)
    new = bench.caller(8080, port=old.port, iss=old.iss - 100000)
    new.send("S", mss=1000, ts=(new.clock(), 0))
    new.expect("SA", seq=0, ack=1)


@case
def orphan_in_fin_wait2(bench):
    """A closed socket whose peer never closes is given up after a minute, without a word."""
    sock, peer = bench.active()
    sock.close()
    peer.expect("FA", seq=1, ack=1)
    peer.send("A")
    peer.expect_nothing(50)
    peer.send("A")
    peer.expect_nothing(20)
    peer.send("FA")
    peer.expect("R", seq=2)


@case
def orphan_in_fin_wait2_in_time(bench):
    sock, peer = bench.active()
    sock.close()
    peer.expect("FA", seq=1, ack=1)
    peer.send("A")
    peer.expect_nothing(50)
    peer.send("FA")
    peer.expect("A", seq=2, ack=2)
    # And TIME_WAIT begins now.
    peer.expect_nothing(50)
    peer.send("FA", seq=1)
    peer.expect("A", seq=2, ack=2)


@case
def orphan_timeout_by_sysctl(bench):
    bench.sysctl("tcp_fin_timeout", 10)
    sock, peer = bench.active()
    sock.close()
    peer.expect("FA", seq=1, ack=1)
    peer.send("A")
    peer.expect_nothing(8)
    peer.send("A")
    peer.expect_nothing(7)
    peer.send("A")
    peer.expect("R", seq=2)


@case
def socket_in_fin_wait2_waits(bench):
    """While a program holds the socket there is no such limit."""
    sock, peer = bench.active()
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=1)
    peer.send("A")
    peer.expect_nothing(1000)
    equal(state_of(sock), FIN_WAIT2, "state")
    peer.send("FA")
    peer.expect("A", seq=2, ack=2)


@case
def orphan_with_silent_peer(bench):
    """The data and FIN of a closed socket are tried a few times only."""
    sock, peer = bench.active()
    sock.send(b"hello")
    peer.expect("PA", seq=1)
    sock.close()
    peer.expect("FA", seq=6)
    start = packet.time.monotonic()
    last = start
    while True:
        segment = bench.receive(peer, 400)
        if segment is None:
            break
        last = segment.time
    between(last - start, (10, 300), "time of the last attempt")
    peer.send("A", ack=1)
    peer.expect("R", seq=1)


@case
def close_wait_lasts(bench):
    """A program that never closes keeps its end for ever."""
    sock, peer = bench.active()
    peer.send("FA")
    peer.expect("A", seq=1, ack=2, after=(0, 0.25))
    peer.expect_nothing(3600)
    equal(state_of(sock), CLOSE_WAIT, "state")
    sock.send(b"still here")
    peer.expect("PA", seq=1, ack=2, data=b"still here")


@case
def last_ack_repeats_fin(bench):
    sock, peer = bench.active()
    peer.send("FA")
    peer.expect("A", seq=1, ack=2, after=(0, 0.25))
    sock.close()
    peer.expect("FA", seq=1, ack=2)
    peer.expect("FA", seq=1, ack=2, after=0.2)
    peer.expect("FA", seq=1, ack=2, after=0.4)
    peer.send("A")
    peer.expect_nothing(20)


@case
def fin_repeated_in_close_wait(bench):
    sock, peer = bench.active()
    peer.send("FA")
    peer.expect("A", seq=1, ack=2, after=(0, 0.25))
    packet.time.sleep(1)
    peer.send("FA", seq=1)
    peer.expect("A", seq=1, ack=2)
    equal(state_of(sock), CLOSE_WAIT, "state")


packet.main()
