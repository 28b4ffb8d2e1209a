#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Urgent data on the wire: the pointer that is sent, and what a pointer that comes does to the stream."""

import fcntl
import select
import socket
import struct

from packet import case, check, either, equal, fails, main

MSS = 1000
SIOCATMARK = 0x8905


def at_mark(sock):
    """Whether the reader stands before the urgent byte."""
    return struct.unpack("=i", fcntl.ioctl(sock, SIOCATMARK, bytes(4)))[0] == 1


def events(sock):
    """Which of POLLIN and POLLPRI are true."""
    poller = select.poll()
    poller.register(sock, select.POLLIN | select.POLLPRI)
    return poller.poll(0)[0][1] if poller.poll(0) else 0


def urgent_byte(sock):
    """Takes the urgent byte apart from the stream."""
    return sock.recv(1, socket.MSG_OOB)


def pointers(peer, segments):
    """Sequence number, length and urgent pointer of each segment; None where it has none."""
    return [(peer.relative(segment)[0], len(segment.payload), segment.urgent if "U" in segment.flags else None)
            for segment in segments]


@either
def pointer_is_after_the_last_byte(_, connection):
    """MSG_OOB makes the last byte urgent, and the pointer that of the one after it, as all systems have it."""
    sock, peer = connection()
    sock.send(b"abcX", socket.MSG_OOB)
    peer.expect("PAU", seq=1, data=b"abcX", urgent=4)
    # What is urgent lets what follows go; that is not urgent itself.
    sock.send(b"def")
    peer.expect("PA", seq=5, data=b"def")
    peer.send("A")
    sock.send(b"g")
    peer.expect("PA", seq=8, data=b"g")


@case
def each_segment_has_its_own_pointer(bench):
    """All segments up to the urgent byte tell of it, each sent by itself; those that follow do not."""
    sock, peer = bench.active()
    sock.send(bytes(2500), socket.MSG_OOB)
    sock.send(bytes(2500))
    equal(pointers(peer, peer.collect()), [(1, 1000, 2500), (1001, 1000, 1500), (2001, 500, 500), (2501, 1000, None),
                                           (3501, 1000, None), (4501, 500, None)], "segments")


@case
def pointer_reaches_no_further(bench):
    """An urgent byte too far ahead for the field is announced as far as that reaches."""
    sock, peer = bench.active()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 400000)
    equal(sock.send(bytes(70000), socket.MSG_OOB), 70000, "bytes taken")
    expected = [(1 + i * MSS, MSS, min(70000 - i * MSS, 65535)) for i in range(10)]
    equal(pointers(peer, peer.collect()), expected, "segments")


@case
def pointer_is_sent_again(bench):
    sock, peer = bench.active()
    sock.send(b"abcX", socket.MSG_OOB)
    peer.expect("PAU", seq=1, data=b"abcX", urgent=4)
    peer.expect("PAU", seq=1, data=b"abcX", urgent=4, after=0.2)
    peer.send("A")
    peer.expect_nothing(1)
    sock.send(b"d")
    peer.expect("PA", seq=5, data=b"d")


@case
def second_pointer_replaces_the_first(bench):
    """While one urgent byte is on its way, another makes what is between urgent as well."""
    sock, peer = bench.active()
    sock.send(b"X", socket.MSG_OOB)
    peer.expect("PAU", seq=1, data=b"X", urgent=1)
    sock.send(b"abY", socket.MSG_OOB)
    peer.expect("PAU", seq=2, data=b"abY", urgent=3)
    peer.send("A")
    sock.send(b"c")
    peer.expect("PA", seq=5, data=b"c")


@case
def probes_tell_of_it(bench):
    """The peer hears of an urgent byte although its window is shut."""
    sock, peer = bench.active()
    sock.send(b"a")
    peer.expect("PA", seq=1, data=b"a")
    peer.send("A", window=0)
    sock.send(b"bcX", socket.MSG_OOB)
    peer.expect("AU", seq=2, length=0, urgent=3, after=0.2)
    peer.expect("AU", seq=1, length=0, urgent=4)
    peer.send("A", window=1000)
    peer.expect("PAU", seq=2, data=b"bcX", urgent=3)


@either
def apart_from_the_stream(_, connection):
    sock, peer = connection()
    peer.send("PAU", data=b"abcXdef", urgent=4)
    peer.collect(0.05)
    equal(events(sock), select.POLLIN | select.POLLPRI, "events")
    check(not at_mark(sock), "at the mark before it")
    equal(urgent_byte(sock), b"X", "urgent byte")
    fails("EINVAL", urgent_byte, sock)
    equal(sock.recv(100), b"abc", "data before the mark")
    check(at_mark(sock), "not at the mark")
    equal(sock.recv(100), b"def", "data after the mark")
    check(not at_mark(sock), "at the mark after it")
    fails("EAGAIN", sock.recv, 100)


@case
def in_the_stream(bench):
    sock, peer = bench.active()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    peer.send("PAU", data=b"abcXdef", urgent=4)
    peer.collect(0.05)
    fails("EINVAL", urgent_byte, sock)
    equal(sock.recv(100), b"abc", "data before the mark")
    check(at_mark(sock), "not at the mark")
    equal(sock.recv(100), b"Xdef", "data from the mark on")
    check(not at_mark(sock), "at the mark after it")


@case
def pointer_at_the_first_byte(bench):
    """0 and 1 both name the segment's first byte."""
    for pointer in (0, 1):
        sock, peer = bench.active()
        peer.send("PAU", data=b"Xab", urgent=pointer)
        peer.collect(0.05)
        check(at_mark(sock), "not at the mark")
        equal(urgent_byte(sock), b"X", "urgent byte")
        equal(sock.recv(100), b"ab", "data")


@case
def pointer_beyond_the_data(bench):
    """The byte may come later; until then there is nothing to take, and the program knows."""
    sock, peer = bench.active()
    peer.send("PAU", data=b"abcd", urgent=7)
    peer.collect(0.05)
    equal(events(sock), select.POLLIN, "events")
    fails("EAGAIN", urgent_byte, sock)
    equal(sock.recv(100), b"abcd", "data")
    check(not at_mark(sock), "at the mark before it")
    peer.send("PA", data=b"efXg")
    peer.collect(0.05)
    check(events(sock) & select.POLLPRI, "no POLLPRI")
    equal(urgent_byte(sock), b"X", "urgent byte")
    equal(sock.recv(100), b"ef", "data before the mark")
    equal(sock.recv(100), b"g", "data after the mark")


@case
def pointer_without_data(bench):
    """An empty segment announces what comes."""
    sock, peer = bench.active()
    peer.send("AU", urgent=3)
    peer.collect(0.05)
    fails("EAGAIN", urgent_byte, sock)
    peer.send("PA", data=b"abXc")
    peer.collect(0.05)
    equal(urgent_byte(sock), b"X", "urgent byte")
    equal(sock.recv(100), b"ab", "data before the mark")


@case
def pointer_behind_a_hole(bench):
    """The urgent byte is there as soon as its segment is, before the data that precedes it."""
    sock, peer = bench.active()
    peer.send("PAU", seq=11, data=b"abX", urgent=3)
    peer.collect(0.05)
    equal(urgent_byte(sock), b"X", "urgent byte")
    fails("EAGAIN", sock.recv, 100)
    peer.send("PA", seq=1, data=b"0123456789")
    peer.collect(0.05)
    equal(sock.recv(100), b"0123456789ab", "data")
    check(at_mark(sock), "not at the mark")


@case
def second_before_the_first_is_read(bench):
    """There is one urgent byte only: the first is one of the stream again."""
    sock, peer = bench.active()
    peer.send("PAU", data=b"aX", urgent=2)
    peer.send("PAU", data=b"bY", urgent=2)
    peer.collect(0.05)
    equal(urgent_byte(sock), b"Y", "urgent byte")
    equal(sock.recv(100), b"aXb", "data before the mark")
    check(at_mark(sock), "not at the mark")


@case
def second_while_the_reader_is_at_the_first(bench):
    """As Linux: the first, which the reader has reached and not taken, is gone."""
    sock, peer = bench.active()
    peer.send("PAU", data=b"aX", urgent=2)
    peer.collect(0.05)
    equal(sock.recv(100), b"a", "data")
    peer.send("PAU", data=b"bY", urgent=2)
    peer.collect(0.05)
    equal(sock.recv(100), b"b", "data before the mark")
    equal(urgent_byte(sock), b"Y", "urgent byte")


@case
def old_pointers_are_no_news(bench):
    """A retransmission announces nothing that was announced."""
    sock, peer = bench.active()
    peer.send("PAU", data=b"abX", urgent=3)
    peer.collect(0.05)
    equal(urgent_byte(sock), b"X", "urgent byte")
    peer.send("PAU", seq=1, data=b"abX", urgent=3)
    peer.send("PAU", seq=1, data=b"abX", urgent=2)
    peer.collect(0.05)
    fails("EINVAL", urgent_byte, sock)
    equal(events(sock), select.POLLIN, "events")
    equal(sock.recv(100), b"ab", "data")


@case
def pointer_without_the_flag(bench):
    sock, peer = bench.active()
    peer.send("PA", data=b"abcd", urgent=3)
    peer.collect(0.05)
    fails("EINVAL", urgent_byte, sock)
    equal(sock.recv(100), b"abcd", "data")


@case
def pointer_by_the_standard(bench):
    """tcp_stdurg: what comes points at the urgent byte itself; what is sent is as ever."""
    bench.sysctl("tcp_stdurg", 1)
    sock, peer = bench.active()
    peer.send("PAU", data=b"abcXdef", urgent=3)
    peer.collect(0.05)
    equal(urgent_byte(sock), b"X", "urgent byte")
    equal(sock.recv(100), b"abc", "data before the mark")
    equal(sock.recv(100), b"def", "data after the mark")
    sock.send(b"abX", socket.MSG_OOB)
    peer.expect("PAU", seq=1, data=b"abX", urgent=3)


main()
