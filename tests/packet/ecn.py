#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Explicit congestion notification (RFC 3168): what is agreed on, which packets are ECN-capable, how marks are told
and what the sender makes of them."""

import socket
import struct

import packet
from internet import choose
from packet import ESTABLISHED, HERE, accept, case, check, equal, error_of, run, state_of

MSS = 1000
NOT_ECT, ECT1, ECT0, CE = range(4)
OPT_ECN, OPT_ECN_SEEN = 8, 16
CA_OPEN, CA_CWR = 0, 2


def info(sock):
    """TCP_INFO: sender's mode, options, cwnd in segments."""
    data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 280)
    return data[1], data[5], struct.unpack_from("=I", data, 80)[0]


def agrees(sock):
    """Whether ECN is in use, by TCP_INFO."""
    return bool(info(sock)[1] & OPT_ECN)


def opened(bench, answer="SAE", mode=1):
    """An active open that asks for ECN and is answered so."""
    bench.sysctl("tcp_ecn", mode)
    sock, peer = bench.connecting()
    equal(peer.expect("SEC").tos, NOT_ECT, "TOS of the SYN")
    peer.send(answer, mss=MSS, sack_ok=True, ws=0)
    equal(peer.expect("A", seq=1, ack=1).tos, NOT_ECT, "TOS of the third segment")
    equal(error_of(sock), None, "SO_ERROR")
    equal(state_of(sock), ESTABLISHED, "state")
    return sock, peer


def called(bench, request="SEC", answer="SAE", mode=2, tos=0):
    """A passive open."""
    bench.sysctl("tcp_ecn", mode)
    listener = bench.listening()
    peer = bench.caller()
    peer.send(request, mss=MSS, sack_ok=True, ws=0, tos=tos)
    equal(peer.expect(answer, seq=0, ack=1).tos, NOT_ECT, "TOS of the SYN-ACK")
    peer.send("A")
    return accept(listener), peer


def both(function):
    """Marks a case that gets a connection with ECN, once for each end that can open it."""
    def with_active(bench):
        function(bench, *opened(bench))

    def with_passive(bench):
        function(bench, *called(bench))

    with_active.__name__ = f"{function.__name__}_active"
    with_passive.__name__ = f"{function.__name__}_passive"
    packet.CASES.extend((with_active, with_passive))
    return function


@both
def new_data_is_capable(_, sock, peer):
    check(agrees(sock), "ECN is not in use")
    sock.send(bytes(MSS))
    equal(peer.expect("A", seq=1, length=MSS).tos, ECT0, "TOS of data")
    peer.send("A", ack=1 + MSS)
    peer.send("PA", data=bytes(100))
    equal(peer.expect("A", after=(0, 0.25)).tos, NOT_ECT, "TOS of an ACK")
    sock.close()
    check(peer.expect("RA", after=(0, 1)).tos == NOT_ECT, "TOS of a RST")


@both
def not_when_sent_again(_, sock, peer):
    """RFC 3168, 6.1.5."""
    sock.send(b"hello")
    equal(peer.expect("PA", seq=1).tos, ECT0, "TOS of data")
    equal(peer.expect("PA", seq=1, after=0.2).tos, NOT_ECT, "TOS of data sent again")
    peer.send("A", ack=6)
    sock.send(b"again")
    # The time-out has reduced the window, which the peer is told with new data.
    equal(peer.expect("PAC", seq=6).tos, ECT0, "TOS of the next data")


@both
def not_on_a_fin(_, sock, peer):
    sock.shutdown(socket.SHUT_WR)
    equal(peer.expect("FA", seq=1).tos, NOT_ECT, "TOS of the FIN")


@case
def nobody_asks_by_default(bench):
    sock, peer = bench.connecting()
    peer.expect("S")
    peer.send("SAE", mss=MSS)
    peer.expect("A")
    check(not agrees(sock), "ECN is in use")
    sock.send(b"x")
    equal(peer.expect("PA").tos, NOT_ECT, "TOS of data")


@case
def asks_for_what_is_set(bench):
    for mode, flags in ((0, "S"), (1, "SEC"), (2, "S"), (4, "SEC"), (5, "S")):
        bench.sysctl("tcp_ecn", mode)
        _, peer = bench.connecting()
        peer.expect(flags)
        peer.send("R", seq=0)


@case
def peer_declines(bench):
    sock, peer = opened(bench, "SA")
    check(not agrees(sock), "ECN is in use")
    sock.send(b"x")
    equal(peer.expect("PA").tos, NOT_ECT, "TOS of data")


@case
def classic_peer_sets_the_bit_of_accurate_ecn(bench):
    """AE without CWR in an answer means classic ECN too (RFC 9768, table 2)."""
    sock, _ = opened(bench, "SAEN")
    check(agrees(sock), "ECN is not in use")


@case
def syn_falls_back(bench):
    """RFC 3168, 6.1.1.1: without ECN once more, and ECN all the same when the answer agrees."""
    bench.sysctl("tcp_ecn", 1)
    sock, peer = bench.connecting()
    peer.expect("SEC")
    peer.expect("S", after=1)
    peer.send("SAE", mss=MSS)
    peer.expect("A")
    check(agrees(sock), "ECN is not in use")


@case
def syn_does_not_fall_back(bench):
    bench.sysctl("tcp_ecn", 1)
    bench.sysctl("tcp_ecn_fallback", 0)
    _, peer = bench.connecting()
    peer.expect("SEC")
    peer.expect("SEC", after=1)


@case
def simultaneous_open(bench):
    bench.sysctl("tcp_ecn", 1)
    sock, peer = bench.connecting()
    peer.expect("SEC")
    peer.send("SEC", mss=MSS)
    check("C" not in peer.expect("SAE", seq=0, ack=1).flags, "CWR in the SYN-ACK")
    peer.send("SAE", seq=0, mss=MSS)
    peer.collect(0.1)
    equal(state_of(sock), ESTABLISHED, "state")
    check(agrees(sock), "ECN is not in use")


@case
def listener_declines(bench):
    for request, mode, tos in (("SEC", 0, 0), ("SE", 1, 0), ("SC", 1, 0), ("SEC", 1, ECT0), ("SEC", 2, CE), ("S", 1, 0)):
        bench.sysctl("tcp_ecn", mode)
        listener = bench.listening()
        peer = bench.caller()
        peer.send(request, mss=MSS, tos=tos)
        equal(peer.expect("SA", seq=0, ack=1).tos, NOT_ECT, "TOS of the SYN-ACK")
        peer.send("A")
        sock = accept(listener)
        check(not agrees(sock), f"ECN is in use after {request} with tcp_ecn {mode}, TOS {tos}")
        sock.close()
        peer.collect()
        peer.send("RA", ack=peer.received)
        listener.close()


@case
def listener_answers_accurate_ecn(bench):
    """A SYN of RFC 9768 gets the answer of RFC 3168, also where it is itself ECN-capable (RFC 8311, 4.3)."""
    for mode, tos in ((1, 0), (2, 0), (1, ECT0), (2, ECT1)):
        sock, peer = called(bench, "SECN", "SAE", mode, tos)
        check(agrees(sock), "ECN is not in use")
        sock.send(b"x")
        equal(peer.expect("PA").tos, ECT0, "TOS of data")
        peer.send("RA", ack=2)
        packet.KEPT[-2].close()


@case
def syn_ack_falls_back(bench):
    """Twice with ECE, then without."""
    bench.sysctl("tcp_ecn", 1)
    listener = bench.listening()
    peer = bench.caller()
    peer.send("SEC", mss=MSS)
    peer.expect("SAE", seq=0, ack=1)
    peer.expect("SAE", seq=0, ack=1, after=1)
    peer.expect("SA", seq=0, ack=1, after=2)
    peer.send("A")
    check(agrees(accept(listener)), "ECN is not in use")


@case
def route_asks(bench):
    """The feature of a route asks and agrees, whatever the namespace says."""
    place = choose("10.0.0.0/24", "fd10::/64")
    run(f"ip route delete {place} dev tun0 && ip route add {place} dev tun0 src {HERE} features ecn")
    sock, _ = opened(bench, mode=0)
    check(agrees(sock), "ECN is not in use")
    sock, _ = called(bench, mode=0)
    check(agrees(sock), "ECN is not in use")


@both
def mark_is_told_until_it_is_heard(_, sock, peer):
    """RFC 3168, 6.1.3."""
    check(not info(sock)[1] & OPT_ECN_SEEN, "ECN was seen before anything came")
    peer.send("PA", data=bytes(MSS), tos=ECT0)
    peer.expect("A", ack=1 + MSS, after=(0, 0.25))
    check(info(sock)[1] & OPT_ECN_SEEN, "ECN was not seen")
    peer.send("PA", data=bytes(MSS), tos=CE)
    peer.expect("AE", ack=1 + 2 * MSS)
    peer.send("PA", data=bytes(MSS), tos=ECT0)
    peer.expect("AE", ack=1 + 3 * MSS, after=(0, 0.25))
    sock.send(b"hello")
    equal(peer.expect("PAE", ack=1 + 3 * MSS).tos, ECT0, "TOS of data with ECE")
    peer.send("PAC", data=bytes(MSS), tos=ECT0, ack=6)
    peer.expect("A", ack=1 + 4 * MSS)
    # A mark on the very segment that carries CWR begins anew.
    peer.send("PAC", data=bytes(MSS), tos=CE)
    peer.expect("AE", ack=1 + 5 * MSS)
    # As in Linux a pure ACK may carry CWR too.
    peer.send("AC")
    peer.send("PA", data=bytes(MSS), tos=ECT0)
    peer.expect("A", ack=1 + 6 * MSS, after=(0, 0.25))


@case
def marks_without_agreement(bench):
    """Nothing is told where ECN was not agreed on; TCP_INFO counts all the same."""
    sock, peer = bench.active()
    peer.send("PA", data=bytes(MSS), tos=CE)
    peer.expect("A", ack=1 + MSS, after=(0, 0.25))
    peer.send("A", tos=ECT1)
    _, options, _ = info(sock)
    check(not options & OPT_ECN and options & OPT_ECN_SEEN, f"options {options:#x}")
    data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 280)
    equal(struct.unpack_from("=IIIIIIII", data, 248), (1, 0, 0, 0, 0, 0, MSS, 0), "counters")


def flight(sock, peer, segments):
    """Sends so many segments' worth; returns the segments."""
    sock.send(bytes(segments * MSS))
    return peer.collect()


@both
def echo_reduces_the_window_once(bench, sock, peer):
    """RFC 3168, 6.1.2: CWR with the first new segment, and only one reduction for a window of data."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)
    first = flight(sock, peer, 10)
    equal([segment.tos for segment in first], [ECT0] * 10, "TOS of data")
    equal(info(sock)[2], 10, "cwnd")
    peer.send("AE", ack=1 + MSS)
    mode, _, _ = info(sock)
    equal(mode, CA_CWR, "mode")
    for acked in range(2, 11):
        peer.send("AE", ack=1 + acked * MSS)
        peer.collect(0.005)
    reduced = info(sock)[2]
    check(5 <= reduced <= 8, f"cwnd {reduced} after one reduction of 10")
    second = flight(sock, peer, 4)
    check("C" in second[0].flags, "no CWR with the first new data")
    check(all("C" not in segment.flags for segment in second[1:]), "CWR more than once")
    equal([segment.tos for segment in second], [ECT0] * 4, "TOS of data")
    # Above what was out at the reduction, it is over.
    peer.send("A", ack=1 + 14 * MSS)
    mode, _, cwnd = info(sock)
    equal(mode, CA_OPEN, "mode after the reduction")
    check(cwnd >= reduced, f"cwnd {cwnd} after the reduction")
    third = flight(sock, peer, 2)
    check(all("C" not in segment.flags for segment in third), "CWR again")
    peer.send("AE", ack=1 + 15 * MSS)
    equal(info(sock)[0], CA_CWR, "mode after another echo")
    check(info(sock)[2] < cwnd, "cwnd after another echo")


@both
def loss_is_told_too(_, sock, peer):
    """Fast retransmit: CWR with new data, none with what is sent again."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)
    flight(sock, peer, 10)
    for last in (3, 4, 5, 6):
        peer.send("A", ack=1, sack=[(1 + MSS, 1 + last * MSS)])
    again = peer.collect()
    equal([(peer.relative(segment)[0], segment.tos) for segment in again][:1], [(1, NOT_ECT)], "first retransmission")
    check("C" not in again[0].flags, "CWR with what is sent again")
    peer.send("A", ack=1 + 10 * MSS)
    fresh = flight(sock, peer, 2)
    check("C" in fresh[0].flags, "no CWR with new data")
    equal(fresh[0].tos, ECT0, "TOS of new data")


@both
def dscp_is_kept(_, sock, peer):
    """The ECN field is each packet's own; the rest is the user's, who does not get at ECN."""
    service = choose((socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS))
    sock.setsockopt(*service, 0x2b)
    sock.send(b"x")
    equal(peer.expect("PA").tos, 0x28 | ECT0, "TOS of data")
    peer.send("PA", data=b"y", ack=2)
    equal(peer.expect("A", after=(0, 0.25)).tos, 0x28, "TOS of an ACK")
    equal(sock.getsockopt(*service) & 0xfc, 0x28, "what was asked for")
    sock.setsockopt(*service, 0)
    sock.send(b"z")
    equal(peer.expect("PA").tos, ECT0, "TOS of data")


packet.main()
