#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Resets, received and sent, and what must not be taken for one (RFC 5961)."""

import socket
import struct

import packet
from packet import CLOSE, CLOSE_WAIT, ESTABLISHED, accept, case, check, either, equal, error_of, fails, state_of


@either
def received(bench, connection):
    sock, peer = connection()
    peer.send("R", seq=1)
    equal(state_of(sock), CLOSE, "state")
    fails("ECONNRESET", sock.recv, 1)
    equal(sock.recv(1), b"", "second recv")
    peer.expect_nothing(5)
    peer.send("A")
    peer.expect("R", seq=1)


@case
def received_with_ack(bench):
    sock, peer = bench.active()
    peer.send("RA", seq=1)
    equal(error_of(sock), "ECONNRESET", "SO_ERROR")
    equal(state_of(sock), CLOSE, "state")


@case
def received_after_data(bench):
    sock, peer = bench.active()
    peer.send("PA", data=b"last words")
    peer.collect(0.3)
    peer.send("R")
    equal(sock.recv(100), b"last words", "data")
    fails("ECONNRESET", sock.recv, 1)


@case
def received_while_sending(bench):
    """Nothing of what was queued is sent any more."""
    sock, peer = bench.active(window=2000)
    sock.send(bytes(10000))
    peer.collect()
    peer.send("R", seq=1)
    fails("ECONNRESET", sock.send, b"x")
    fails("EPIPE", sock.send, b"x")
    peer.expect_nothing(5)


@case
def received_in_close_wait(bench):
    sock, peer = bench.active()
    peer.send("FA")
    peer.expect("A", ack=2, after=(0, 0.25))
    equal(state_of(sock), CLOSE_WAIT, "state")
    peer.send("R")
    equal(error_of(sock), "EPIPE", "SO_ERROR")


@case
def inside_the_window(bench):
    """Not the very next number: the receiver asks, and lives."""
    sock, peer = bench.active()
    peer.send("R", seq=500)
    peer.expect("A", seq=1, ack=1, length=0)
    equal(state_of(sock), ESTABLISHED, "state")
    peer.send("PA", seq=1, data=b"alive")
    peer.expect("A", ack=6, after=(0, 0.25))
    equal(sock.recv(10), b"alive", "data")


@case
def outside_the_window(bench):
    sock, peer = bench.active()
    peer.send("R", seq=1 + (1 << 24))
    peer.send("R", seq=-5000)
    peer.expect_nothing(1)
    equal(state_of(sock), ESTABLISHED, "state")


@case
def syn_in_connection(bench):
    """A SYN on a connection, in the window or not, is asked about and does no harm."""
    sock, peer = bench.active()
    peer.send("S", seq=500, mss=1000)
    peer.expect("A", seq=1, ack=1, length=0)
    equal(state_of(sock), ESTABLISHED, "state")
    packet.time.sleep(2)
    peer.send("S", seq=1 + (1 << 24), mss=1000)
    peer.expect("A", seq=1, ack=1, length=0, after=(0, 3))
    equal(state_of(sock), ESTABLISHED, "state")


@case
def asked_questions_are_limited(bench):
    """One socket answers bad segments without data only twice a second."""
    sock, peer = bench.active()
    for _ in range(20):
        peer.send("S", seq=1 + (1 << 24))
    answers = peer.collect(0.02)
    equal(len(answers), 1, "answers at once")
    packet.time.sleep(0.6)
    peer.send("S", seq=1 + (1 << 24))
    peer.expect("A", seq=1, ack=1)
    equal(state_of(sock), ESTABLISHED, "state")


@case
def ack_of_the_future(bench):
    """An ACK of what was not sent yet is answered, and its data not taken."""
    sock, peer = bench.active()
    peer.send("PA", ack=5000, data=b"forged")
    peer.expect("A", seq=1, ack=1, length=0)
    fails("EAGAIN", sock.recv, 10)


@case
def ack_of_the_far_past(bench):
    sock, peer = bench.active()
    peer.send("PA", ack=-(1 << 26), data=b"forged")
    peer.expect("A", seq=1, ack=1, length=0)
    fails("EAGAIN", sock.recv, 10)


@case
def without_ack(bench):
    """After the handshake each segment carries an ACK; others are dropped."""
    sock, peer = bench.active()
    peer.send("P", data=b"no ack")
    peer.expect_nothing(1)
    fails("EAGAIN", sock.recv, 10)


@case
def old_data_is_acknowledged(bench):
    sock, peer = bench.active()
    peer.send("PA", data=b"12345")
    peer.collect(0.3)
    equal(sock.recv(10), b"12345", "data")
    peer.send("PA", seq=1, data=b"12345")
    peer.expect("A", seq=1, ack=6, length=0)
    fails("EAGAIN", sock.recv, 10)


@case
def data_beyond_the_window(bench):
    sock, peer = bench.active()
    peer.send("PA", seq=1 + (1 << 25), data=b"too far")
    peer.expect("A", seq=1, ack=1, length=0)
    fails("EAGAIN", sock.recv, 10)


def linger_zero(sock):
    """close() is to reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@either
def sent_by_linger(bench, connection):
    sock, peer = connection()
    linger_zero(sock)
    sock.close()
    peer.expect("RA", seq=1, ack=1)
    peer.send("A")
    peer.expect("R", seq=1)


@case
def sent_by_linger_drops_queue(bench):
    sock, peer = bench.active(window=2000)
    sock.send(bytes(10000))
    equal(sum(len(segment.payload) for segment in peer.collect()), 2000, "sent")
    linger_zero(sock)
    sock.close()
    segment = peer.expect("RA", ack=1)
    check(peer.relative(segment)[0] in (2001, 10001), "sequence number of the RST")
    peer.expect_nothing(5)


@case
def sent_for_unread_data(bench):
    sock, peer = bench.active()
    peer.send("PA", data=b"unread")
    peer.expect("A", ack=7, after=(0, 0.25))
    sock.close()
    peer.expect("RA", seq=1, ack=7)
    peer.expect_nothing(5)


@case
def sent_for_data_after_close(bench):
    sock, peer = bench.active()
    sock.close()
    peer.expect("FA", seq=1, ack=1)
    peer.send("A", ack=2)
    peer.send("PA", data=b"nobody reads")
    peer.expect_reset(seq=2)
    peer.send("PA", seq=1, data=b"nobody reads")
    peer.expect("R", seq=2)


@case
def read_shut_takes_data(bench):
    """shutdown(RD) alone is not told to the peer."""
    sock, peer = bench.active()
    sock.shutdown(socket.SHUT_RD)
    peer.send("PA", data=b"hello")
    peer.expect("A", ack=6, after=(0, 0.25))
    equal(state_of(sock), ESTABLISHED, "state")


@case
def half_open_discovered(bench):
    """The machine has forgotten the connection; the peer's data meets a listener."""
    bench.listening()
    peer = bench.caller()
    peer.send("PA", seq=100, ack=12345, data=b"are you there")
    peer.expect("R", seq=12345)


@case
def peer_restarted(bench):
    """The peer has forgotten the connection and begins anew from the same port."""
    sock, peer = bench.passive()
    peer.send("S", seq=50000, mss=1000)
    peer.expect("A", seq=1, ack=1)
    # A peer that is in SYN_SENT answers that ACK with RST, and that one is exact.
    peer.send("R", seq=1)
    equal(error_of(sock), "ECONNRESET", "SO_ERROR")
    again = bench.caller(8080, port=peer.port, iss=900000)
    again.send("S", mss=1000)
    again.expect("SA", seq=0, ack=1)


@case
def closed_port(bench):
    """RFC 9293, 3.10.7.1: the answer's numbers come from the segment."""
    peer = bench.caller(9)
    peer.send("A", ack=4321)
    peer.expect("R", seq=4321)
    peer.send("S", seq=0)
    peer.expect("RA", ack=1)
    peer.send("FA", seq=10, ack=99, data=b"123")
    peer.expect("R", seq=99)
    peer.send("R", seq=10)
    peer.expect_nothing(1)


@case
def listener_closed_with_children(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A")
    listener.close()
    peer.expect("RA", seq=1, ack=1)


@case
def listener_closed_with_half_open(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)
    listener.close()
    peer.send("A")
    peer.expect("R", seq=1)


@case
def accepted_after_reset(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A")
    peer.send("R")
    sock = accept(listener)
    fails("ECONNRESET", sock.recv, 1)


packet.main()
