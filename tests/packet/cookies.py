#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What a listener does when its queues are full: SYN cookies, drops, resets; and TCP_DEFER_ACCEPT."""

import socket
import time

import packet
from internet import choose
from packet import ESTABLISHED, accept, case, check, counter, equal, fails, state_of

TCPI_OPTIONS, TCPI_SND_MSS = 5, 16
OPT_TIMESTAMPS, OPT_SACK, OPT_WSCALE, OPT_ECN = 1, 2, 4, 8


def call(bench, options="mss sack ws ts", **more):
    """A peer that has sent a SYN and got its answer."""
    peer = bench.caller(**more)
    offered = peer.offer(options)
    peer.send("S", **offered)
    answer = peer.expect("SA", seq=0, ack=1)
    if "ts" in offered:
        peer.timestamps = answer.options["ts"][0]
    return peer, answer


def rebuilt(bench, options, third=None):
    """The socket that a cookie's third segment makes, and the cookie's SYN-ACK."""
    bench.sysctl("tcp_syncookies", 2)
    time.sleep(0.1)  # Linux takes no time before its clock's first 64 ms are over
    listener = bench.listening()
    peer, answer = call(bench, options)
    peer.expect_nothing(3)  # there is nothing whose timer could send again
    peer.send("A", **(third or {}))
    sock = accept(listener)
    equal(state_of(sock), ESTABLISHED, "state")
    return sock, peer, answer


@case
def all_options_come_back(bench):
    sock, peer, answer = rebuilt(bench, "mss=8960 sack ts ws")
    equal(packet.info_of(sock, TCPI_SND_MSS, 4), 1460 - 12, "snd_mss")
    equal(packet.info_of(sock, TCPI_OPTIONS), OPT_TIMESTAMPS | OPT_SACK | OPT_WSCALE, "options")
    check("sack_ok" in answer.options and "ws" in answer.options, f"options {answer.options}")
    peer.send("PA", data=b"hello")
    peer.expect("A", seq=1, ack=6, after=(0, 0.3))
    equal(sock.recv(9), b"hello", "data")
    sock.send(b"world")
    peer.expect("A", seq=1, ack=6, data=b"world")
    equal((counter("SyncookiesSent"), counter("SyncookiesRecv"), counter("SyncookiesFailed")), (1, 1, 0), "cookies")


@case
def scale_comes_back(bench):
    """What the peer's window means shows in how much it is sent."""
    bench.sysctl("tcp_syncookies", 2)
    listener = bench.listening()
    peer = bench.caller()
    peer.window = 100
    peer.send("S", mss=1000, ts=(peer.clock(), 0), ws=5)
    answer = peer.expect("SA", seq=0, ack=1)
    peer.timestamps = answer.options["ts"][0]
    peer.send("A")
    sock = accept(listener)
    equal(packet.info_of(sock, 6) & 15, 5, "snd_wscale")
    equal(packet.info_of(sock, TCPI_OPTIONS), OPT_TIMESTAMPS | OPT_WSCALE, "options")


@case
def only_mss_without_timestamps(bench):
    values = choose(((1, 536), (535, 536), (1299, 536), (1300, 1300), (1441, 1440), (1459, 1440), (1460, 1460)),
                    ((1, 1220), (1219, 1220), (1419, 1220), (1420, 1420), (1439, 1420), (1440, 1440), (1460, 1440)))
    for mss, granted in values:
        sock, peer, answer = rebuilt(bench, f"mss={mss} sack ws")
        check("sack_ok" not in answer.options and "ws" not in answer.options, f"options {answer.options}")
        equal(packet.info_of(sock, TCPI_SND_MSS, 4), granted, f"snd_mss for {mss}")
        equal(packet.info_of(sock, TCPI_OPTIONS), 0, "options")
        sock.close()
        for listener in packet.KEPT:
            listener.close()
        peer.expect("FA", seq=1)
        peer.send("R", seq=1)


@case
def data_in_the_third_segment(bench):
    sock, peer, _ = rebuilt(bench, "mss sack ws ts", {"data": b"request"})
    equal(sock.recv(9), b"request", "data")
    peer.expect("A", seq=1, ack=8, after=(0, 0.3))


@case
def third_segment_lost(bench):
    """Data that follows a lost ACK carries the cookie as well."""
    bench.sysctl("tcp_syncookies", 2)
    listener = bench.listening()
    peer, _ = call(bench)
    peer.next = 1
    peer.send("PA", data=b"request")
    sock = accept(listener)
    equal(sock.recv(9), b"request", "data")


@case
def forged_cookies(bench):
    bench.sysctl("tcp_syncookies", 2)
    listener = bench.listening()
    peer, _ = call(bench)
    # Nearer numbers may mean another MSS.
    peer.send("A", ack=500)
    peer.expect("R", seq=500)
    peer.send("A", seq=500)
    peer.expect("R", seq=1)
    fails("EAGAIN", listener.accept)
    equal((counter("SyncookiesRecv"), counter("SyncookiesFailed")), (0, 2), "cookies")
    other = bench.caller()
    other.irs = peer.irs
    other.next = 1
    other.send("A", ack=1)
    other.expect("R", seq=1)
    equal(counter("SyncookiesFailed"), 3, "failed")
    peer.send("A", seq=1)
    accept(listener)


@case
def old_cookies(bench):
    """A cookie is good in its minute and in the next, and for two minutes after the last one was sent."""
    bench.sysctl("tcp_syncookies", 2)
    listener = bench.listening()
    first, _ = call(bench)
    time.sleep(130)
    first.send("A")
    first.expect("R", seq=1)
    equal(counter("SyncookiesFailed"), 0, "failed")
    second, _ = call(bench)
    first.send("A", seq=1)
    first.expect("R", seq=1)
    equal(counter("SyncookiesFailed"), 1, "failed")
    time.sleep(50)
    second.send("A")
    accept(listener)


@case
def forbidden_meanwhile(bench):
    bench.sysctl("tcp_syncookies", 2)
    bench.listening()
    peer, _ = call(bench)
    bench.sysctl("tcp_sack", 0)
    peer.send("A")
    peer.expect("R", seq=1)
    bench.sysctl("tcp_sack", 1)
    bench.sysctl("tcp_syncookies", 0)
    peer.send("A", seq=1)
    peer.expect("R", seq=1)


@case
def cookies_when_the_syn_queue_is_full(bench):
    """Half-open connections up to backlog + 1 are kept, the next SYN gets a cookie."""
    bench.listening(backlog=1)
    kept = [call(bench)[0] for _ in range(2)]
    equal(counter("SyncookiesSent"), 0, "cookies sent")
    peer, _ = call(bench)
    equal(counter("SyncookiesSent"), 1, "cookies sent")
    equal(counter("TCPReqQFullDoCookies"), 1, "TCPReqQFullDoCookies")
    peer.send("A")
    equal(counter("SyncookiesRecv"), 1, "cookies received")
    again = {packet.Segment.unpack(bench.tun.read(2)).dport for _ in kept}
    equal(again, {one.port for one in kept}, "whose SYN-ACK comes again")


@case
def drops_without_cookies(bench):
    bench.sysctl("tcp_syncookies", 0)
    bench.listening(backlog=1)
    for _ in range(2):
        call(bench)
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect_nothing(0.5)
    equal((counter("TCPReqQFullDrop"), counter("ListenDrops"), counter("SyncookiesSent")), (1, 1, 0), "drops")


@case
def last_quarter_without_cookies(bench):
    """The last quarter of tcp_max_syn_backlog is not for strangers."""
    bench.sysctl("tcp_syncookies", 0)
    bench.sysctl("tcp_max_syn_backlog", 8)
    bench.listening(backlog=100)
    for _ in range(7):
        call(bench)
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect_nothing(0.5)
    equal((counter("TCPReqQFullDrop"), counter("ListenDrops")), (0, 1), "drops")
    bench.sysctl("tcp_syncookies", 1)
    peer.send("S", seq=0, mss=1000)
    peer.expect("SA", seq=0, ack=1)


@case
def accept_queue_full(bench):
    """backlog + 1 connections wait; the next SYN is dropped, and the ACK of one that was half-open already."""
    listener = bench.listening(backlog=1)
    late, _ = call(bench, "mss")
    for _ in range(2):
        peer, _ = call(bench, "mss")
        peer.send("A")
    refused = bench.caller()
    refused.send("S", mss=1000)
    refused.expect_nothing(0.1)
    equal((counter("ListenOverflows"), counter("ListenDrops")), (1, 1), "overflows, drops")
    late.send("A")
    late.expect("SA", seq=0, ack=1, after=(0.5, 1.3))
    equal((counter("ListenOverflows"), counter("ListenDrops")), (2, 2), "overflows, drops")
    accept(listener)
    late.send("A", seq=1)
    accept(listener)
    sock = accept(listener)
    equal(sock.getpeername()[1], late.port, "port")


@case
def accept_queue_full_and_abort(bench):
    bench.sysctl("tcp_abort_on_overflow", 1)
    listener = bench.listening(backlog=0)
    late, _ = call(bench, "mss")
    peer, _ = call(bench, "mss")
    peer.send("A")
    late.send("A")
    late.expect("R", seq=1)
    late.expect_nothing(3)
    accept(listener)
    fails("EAGAIN", listener.accept)
    equal(counter("EmbryonicRsts"), 1, "EmbryonicRsts")


@case
def accept_queue_full_and_cookies(bench):
    bench.sysctl("tcp_syncookies", 2)
    listener = bench.listening(backlog=0)
    late, _ = call(bench, "mss")
    peer, _ = call(bench, "mss")
    peer.send("A")
    late.send("A")
    late.expect_nothing(1.5)
    other = bench.caller()
    other.send("S", mss=1000)
    other.expect_nothing(0.1)
    accept(listener)
    late.send("A", seq=1)
    accept(listener)


@case
def backlog_changed(bench):
    """listen() again changes how many may wait."""
    listener = bench.listening(backlog=0)
    peer, _ = call(bench, "mss")
    peer.send("A")
    refused = bench.caller()
    refused.send("S", mss=1000)
    refused.expect_nothing(0.1)
    listener.listen(1)
    refused.send("S", seq=0, mss=1000)
    refused.expect("SA", seq=0, ack=1)
    refused.send("A")
    listener.listen(0)
    refused = bench.caller()
    refused.send("S", mss=1000)
    refused.expect_nothing(0.1)
    accept(listener)
    accept(listener)


@case
def old_ones_make_room(bench):
    """While more than half of the queue is taken, and by old ones, two retransmissions must do."""
    bench.listening(backlog=8)
    for _ in range(6):
        call(bench, "mss")
    counts = {}
    while (data := bench.tun.read(70)) is not None:
        segment = packet.Segment.unpack(data)
        if segment:
            counts[segment.dport] = counts.get(segment.dport, 0) + 1
    equal(sorted(counts.values()), [2, 2, 5, 5, 5, 5], "retransmissions of the SYN-ACKs")


@case
def syn_in_the_window(bench):
    """Another SYN ends a half-open connection; one that is too far away is answered."""
    bench.listening()
    peer, _ = call(bench, "mss")
    peer.send("S", seq=100000)
    peer.expect("A", seq=1, ack=1)
    peer.send("S", seq=9)
    peer.expect("RA", ack=10)
    peer.expect_nothing(3)


@case
def foreign_echo(bench):
    """A third segment must echo a timestamp that the SYN-ACK carried."""
    listener = bench.listening()
    peer, answer = call(bench)
    sent = answer.options["ts"][0]
    peer.send("A", ts=(peer.clock(), sent + 5))
    peer.expect("A", seq=1, ack=1)
    fails("EAGAIN", listener.accept)
    peer.send("A", ts=(peer.clock(), sent))
    accept(listener)


def deferring(bench, seconds=3):
    """A listener with TCP_DEFER_ACCEPT, and a peer whose third ACK brought nothing."""
    listener = bench.listening()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, seconds)
    peer, _ = call(bench, "mss")
    peer.send("A")
    fails("EAGAIN", listener.accept)
    equal(counter("TCPDeferAcceptDrop"), 1, "TCPDeferAcceptDrop")
    return listener, peer


@case
def defer_accept(bench):
    listener, peer = deferring(bench)
    peer.expect_nothing(0.8)
    peer.send("PA", data=b"request")
    sock = accept(listener)
    equal(sock.recv(9), b"request", "data")
    peer.expect("A", seq=1, ack=8, after=(0, 0.3))


@case
def defer_accept_time_is_up(bench):
    """No SYN-ACK while data may come; at the end one more, whose ACK is enough."""
    listener, peer = deferring(bench)
    peer.expect("SA", seq=0, ack=1, after=3)
    peer.send("A")
    accept(listener)


@case
def defer_accept_silence(bench):
    """The peer that acknowledged once and says nothing more is given up as any other."""
    listener, peer = deferring(bench)
    peer.expect("SA", seq=0, ack=1, after=3)
    for wait in (4, 8, 16):
        peer.expect("SA", seq=0, ack=1, after=wait)
    peer.expect_nothing(40)
    fails("EAGAIN", listener.accept)


@case
def defer_accept_fin(bench):
    """A FIN is something to accept."""
    listener, peer = deferring(bench)
    peer.send("FA")
    sock = accept(listener)
    equal(sock.recv(9), b"", "data")


@case
def defer_accept_data_at_once(bench):
    listener = bench.listening()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 3)
    peer, _ = call(bench, "mss")
    peer.send("PA", data=b"request")
    equal(accept(listener).recv(9), b"request", "data")


@case
def defer_accept_of_a_client(bench):
    """A client that sets it does not acknowledge the SYN-ACK before it has data, or 200 ms are over."""
    for writes in (True, False):
        sock = packet.new_socket()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 1)
        bench.ports += 1
        peer = packet.Peer(bench, bench.ports, None)
        sock.connect_ex((packet.THERE, peer.port))
        peer.expect("S", seq=0)
        peer.send("SA", mss=1000)
        if writes:
            peer.expect_nothing(0.1)
            equal(state_of(sock), ESTABLISHED, "state")
            sock.send(b"request")
            peer.expect("A", seq=1, ack=1, data=b"request")
            peer.send("A", ack=8)
            peer.expect_nothing(0.15)
        else:
            peer.expect("A", seq=1, ack=1, length=0, after=(0.19, 0.24))


packet.main()
