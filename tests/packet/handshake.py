#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Opening a connection: options, retransmission, refusal, both ends at once."""

import time

import internet
import packet
from internet import choose
from packet import (CLOSE, ESTABLISHED, LISTEN, SYN_RECV, SYN_SENT, accept, between, case, case_v4, check, equal, error_of,
                    fails, new_socket, state_of)


def check_offer(segment, expected):
    """A SYN's options: just the expected ones, with sensible values."""
    equal(set(segment.options), set(expected.split()), "options")
    equal(segment.options["mss"], 1460, "MSS for an MTU of 1500")
    if "ws" in segment.options:
        between(segment.options["ws"], (1, 14), "window scale")
    between(segment.window, (1460, 65535), "window of a SYN")
    equal(segment.ttl, 64, "TTL")
    check(segment.dont_fragment, "DF is not set")


@case
def active(bench):
    sock, peer = bench.connecting()
    syn = peer.expect("S", seq=0, length=0)
    check_offer(syn, "mss sack_ok ts ws")
    equal(syn.ack, 0, "ack of a SYN")
    equal(syn.options["ts"][1], 0, "echo in a SYN")
    equal(state_of(sock), SYN_SENT, "state")
    peer.timestamps = syn.options["ts"][0]
    peer.send("SA", mss=1460, sack_ok=True, ts=(123456, syn.options["ts"][0]), ws=7)
    ack = peer.expect("A", seq=1, ack=1, length=0)
    equal(set(ack.options), {"ts"}, "options of an ACK")
    equal(ack.options["ts"][1], 123456, "echo")
    between(ack.window << syn.options["ws"], (2 * 1460, 1 << 24), "window")
    equal(state_of(sock), ESTABLISHED, "state")
    equal(error_of(sock), None, "SO_ERROR")
    sock.send(b"hello")
    data = peer.expect("PA", seq=1, ack=1, data=b"hello")
    equal(set(data.options), {"ts"}, "options of data")


@case_v4
def passive_broadcast(bench):
    """Nobody answers a SYN to an address of many."""
    sock = new_socket()
    sock.bind(("0.0.0.0", 8080))
    sock.listen(10)
    peer = bench.caller()
    syn = packet.Segment(peer.port, 8080, 1000, 0, "S", 65535)
    for address in "10.0.0.255", "255.255.255.255":
        bench.tun.write(syn.pack(packet.THERE, address))
        peer.expect_nothing(2)
    peer.send("S")
    peer.expect("SA", ack=1)


@case
def active_peer_without_options(bench):
    sock, peer = bench.connecting()
    peer.expect("S")
    peer.send("SA")
    ack = peer.expect("A", seq=1, ack=1)
    equal(ack.options, {}, "options")
    # The peer said no MSS, so it is the version's least, and no scale, so the window is what the header says.
    least = choose(536, 1220)
    check(ack.window >= 1460, "the window is scaled")
    sock.send(bytes(least + 464))
    equal(peer.expect("A", seq=1, length=least).options, {}, "options of data")
    peer.send("A")
    peer.expect("A", seq=1 + least, length=464)


@case
def active_small_mss(bench):
    sock, peer = bench.active("mss=300")
    sock.send(bytes(900))
    for start in (1, 301, 601):
        peer.expect("A", seq=start, length=300)


@case
def mss_less_timestamps(bench):
    """The options' room comes out of the peer's MSS."""
    sock, peer = bench.active("mss=1000 ts")
    sock.send(bytes(2000))
    peer.expect("A", seq=1, length=988)
    peer.expect("A", seq=989, length=988)


@case
def passive(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1460, sack_ok=True, ts=(777, 0), ws=7)
    answer = peer.expect("SA", seq=0, ack=1, length=0)
    check_offer(answer, "mss sack_ok ts ws")
    equal(answer.options["ts"][1], 777, "echo")
    fails("EAGAIN", listener.accept)
    peer.send("A", ts=(778, answer.options["ts"][0]))
    sock = accept(listener)
    equal(sock.getpeername()[:2], (packet.THERE, peer.port), "getpeername")
    equal(sock.getsockname()[:2], (packet.HERE, 8080), "getsockname")
    equal(state_of(sock), ESTABLISHED, "state")
    peer.expect_nothing(1)
    sock.send(b"hello")
    data = peer.expect("PA", seq=1, ack=1, data=b"hello")
    equal(data.options["ts"][1], 778, "echo")
    between(data.window << answer.options["ws"], (2 * 1460, 1 << 24), "window")


@case
def passive_peer_without_options(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S")
    answer = peer.expect("SA", seq=0, ack=1)
    check_offer(answer, "mss")
    peer.send("A")
    sock = accept(listener)
    sock.send(bytes(536))
    equal(peer.expect("A", seq=1, length=536).options, {}, "options of data")


@case
def passive_each_option_alone(bench):
    bench.listening()
    for offered, answered in (("mss", "mss"), ("mss sack", "mss sack_ok"), ("mss ws", "mss ws"), ("mss ts", "mss ts")):
        peer = bench.caller()
        peer.send("S", **peer.offer(offered))
        check_offer(peer.expect("SA", seq=0, ack=1), answered)
        peer.send("R", seq=1)


@case
def passive_unknown_option(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000, raw=bytes([253, 4, 1, 2]))
    peer.expect("SA", seq=0, ack=1)
    peer.send("A")
    accept(listener)


@case
def passive_data_with_the_last_ack(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)
    peer.send("PA", data=b"first")
    peer.expect("A", ack=6, after=(0, 0.25))
    sock = accept(listener)
    equal(sock.recv(100), b"first", "data")


@case
def passive_last_ack_lost(bench):
    """Data alone completes the handshake when the ACK before it was lost."""
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)
    peer.expect("SA", seq=0, ack=1, after=1)
    peer.send("PA", data=b"first")
    peer.expect("A", ack=6, after=(0, 0.25))
    sock = accept(listener)
    equal(sock.recv(100), b"first", "data")


@case
def syn_retransmission(bench):
    """Four more times than tcp_syn_retries says: at first each second, then with back-off."""
    sock, peer = bench.connecting()
    first = peer.expect("S", seq=0)
    for wait in (1, 1, 1, 1, 1, 2, 4, 8, 16, 32):
        again = peer.expect("S", seq=0, after=wait)
        equal(again.seq, first.seq, "sequence number of the repeated SYN")
        equal({name: value for name, value in again.options.items() if name != "ts"},
              {name: value for name, value in first.options.items() if name != "ts"}, "options of the repeated SYN")
    peer.expect_nothing(60)
    equal(state_of(sock), SYN_SENT, "state")
    between(wait_for_error(sock, "ETIMEDOUT") - first.time, packet.about(131), "time until ETIMEDOUT")
    peer.expect_nothing(60)


def wait_for_error(sock, expected):
    """The moment when the socket's error comes."""
    poll = packet.select.poll()
    poll.register(sock, 0)
    check(poll.poll(2000 * 1000), "no error comes")
    moment = packet.time.monotonic()
    equal(error_of(sock), expected, "SO_ERROR")
    equal(state_of(sock), CLOSE, "state")
    return moment


@case
def syn_answered_late(bench):
    sock, peer = bench.connecting()
    peer.expect("S", seq=0)
    peer.expect("S", seq=0, after=1)
    peer.expect("S", seq=0, after=1)
    peer.send("SA", mss=1000)
    peer.expect("A", seq=1, ack=1)
    equal(state_of(sock), ESTABLISHED, "state")


@case
def fewer_syn_retries(bench):
    """The limit is also one of time: that of two retries with back-off from the start."""
    bench.sysctl("tcp_syn_retries", 2)
    sock, peer = bench.connecting()
    start = peer.expect("S", seq=0).time
    for _ in range(5):
        peer.expect("S", seq=0, after=1)
    between(wait_for_error(sock, "ETIMEDOUT") - start, packet.about(7), "time until ETIMEDOUT")
    peer.expect_nothing(20)


@case
def synack_retransmission(bench):
    """Five times with back-off, then the half-open connection is forgotten."""
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    first = peer.expect("SA", seq=0, ack=1)
    for wait in (1, 2, 4, 8, 16):
        again = peer.expect("SA", seq=0, ack=1, after=wait)
        equal(again.seq, first.seq, "sequence number of the repeated SYN-ACK")
    peer.expect_nothing(40)
    peer.send("A")
    peer.expect("R", seq=1)
    fails("EAGAIN", listener.accept)


@case
def syn_repeated(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", seq=0, mss=1000)
    first = peer.expect("SA", seq=0, ack=1)
    bench.tun.read(0)
    packet.time.sleep(0.6)
    peer.send("S", seq=0, mss=1000)
    equal(peer.expect("SA", seq=0, ack=1).seq, first.seq, "sequence number of the repeated SYN-ACK")
    peer.send("A", seq=1)
    accept(listener)
    fails("EAGAIN", listener.accept)


@case
def last_ack_with_wrong_number(bench):
    """An ACK of what was never sent is answered by RST, and the true one still counts."""
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)
    peer.send("A", ack=77)
    peer.expect("R", seq=77)
    fails("EAGAIN", listener.accept)
    peer.send("A")
    accept(listener)


@case
def half_open_reset(bench):
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)
    peer.send("R", seq=1)
    peer.expect_nothing(5)
    fails("EAGAIN", listener.accept)
    peer.send("A", seq=1)
    peer.expect("R", seq=1)


@case
def refused(bench):
    sock, peer = bench.connecting()
    peer.expect("S")
    peer.send("RA", ack=1)
    equal(error_of(sock), "ECONNREFUSED", "SO_ERROR")
    equal(state_of(sock), CLOSE, "state")
    peer.expect_nothing(3)


@case
def refused_by_somebody_else(bench):
    """A reset that acknowledges nothing, or something else, is not from the peer."""
    sock, peer = bench.connecting()
    peer.expect("S")
    peer.send("R", seq=0)
    peer.send("RA", seq=0, ack=2)
    equal(state_of(sock), SYN_SENT, "state")
    peer.expect("S", seq=0, after=(0, 1.3))
    peer.send("SA", seq=0, mss=1000)
    peer.expect("A", seq=1, ack=1)


@case
def answer_to_another_syn(bench):
    """An ACK of what this SYN did not send: RST, and the connection attempt goes on."""
    sock, peer = bench.connecting()
    peer.expect("S")
    peer.send("SA", seq=0, ack=500, mss=1000)
    peer.expect("R", seq=500)
    equal(state_of(sock), SYN_SENT, "state")
    peer.send("A", seq=0, ack=500)
    peer.expect("R", seq=500)
    peer.send("SA", seq=0, ack=1, mss=1000)
    peer.expect("A", seq=1, ack=1)


@case
def nobody_listens(bench):
    peer = bench.caller(9)
    peer.send("S", mss=1000)
    peer.expect("RA", ack=1)


@case
def bound_but_nobody_listens(bench):
    sock = new_socket()
    sock.bind((packet.HERE, 9))
    peer = bench.caller(9)
    peer.send("S", mss=1000)
    peer.expect("RA", ack=1)


@case
def simultaneous_open(bench):
    sock, peer = bench.connecting()
    peer.expect("S", seq=0)
    peer.send("S", mss=1000, sack_ok=True)
    answer = peer.expect("SA", seq=0, ack=1)
    check("mss" in answer.options, "no MSS in the SYN-ACK")
    equal(state_of(sock), SYN_RECV, "state")
    peer.send("SA", seq=0, ack=1, mss=1000, sack_ok=True)
    peer.collect()
    equal(state_of(sock), ESTABLISHED, "state")
    equal(error_of(sock), None, "SO_ERROR")
    sock.send(b"hello")
    peer.expect("A", seq=1, ack=1, data=b"hello")
    peer.send("A", seq=1, data=b"world")
    peer.expect("A", seq=6, ack=6, after=(0, 0.25))
    equal(sock.recv(10), b"world", "data")


@case
def listener_ignores(bench):
    """A listener answers an ACK with RST, and nothing else at all."""
    listener = bench.listening()
    peer = bench.caller()
    peer.send("R", seq=0)
    peer.send("F", seq=0)
    peer.send("", seq=0, data=b"x")
    peer.expect_nothing(0.5)
    peer.send("A", seq=0, ack=55)
    peer.expect("R", seq=55)
    peer.send("SA", seq=0, ack=99)
    peer.expect("R", seq=99)
    equal(state_of(listener), LISTEN, "state")
    fails("EAGAIN", listener.accept)


@case
def wrong_checksum(bench):
    bench.listening()
    peer = bench.caller()
    segment = packet.Segment(peer.port, 8080, 1000, 0, "S", 65535, {"mss": 1000})
    broken = bytearray(segment.pack(packet.THERE, packet.HERE))
    broken[internet.HEADER + 16] ^= 1
    bench.tun.write(bytes(broken))
    peer.expect_nothing(1.5)
    peer.send("S", mss=1000)
    peer.expect("SA", seq=0, ack=1)


@case
def malformed(bench):
    """Cut headers and options: no answer, and the listener lives."""
    bench.listening()
    peer = bench.caller()
    good = packet.Segment(peer.port, 8080, 1000, 0, "S", 65535, {"mss": 1000}).pack(packet.THERE, packet.HERE)
    for length in range(1, len(good)):
        bench.tun.write(good[:length])
    for offset in (0, 1, 4, 15):
        broken = bytearray(good)
        broken[internet.HEADER + 12] = offset << 4
        bench.tun.write(bytes(broken))
    peer.expect_nothing(1.5)
    for options in (b"\2\0", b"\2\1", b"\2\x28", b"\x08\x0a\0\0", b"\3\3", b"\5\3\1", b"\5\x0a", b"\xfd", b"\xff\0\0\0"):
        peer = bench.caller()
        peer.send("S", raw=options)
        peer.expect("SA", seq=0, ack=1)
        peer.send("R", seq=1)


@case
def sequence_numbers_differ(bench):
    numbers = set()
    bench.listening()
    for _ in range(5):
        _, peer = bench.connecting()
        numbers.add(peer.expect("S").seq)
        peer.send("RA", ack=1)
        peer = bench.caller()
        peer.send("S", mss=1000)
        numbers.add(peer.expect("SA").seq)
        peer.send("R", seq=1)
    ordered = sorted(numbers)
    equal(len(ordered), 10, "different initial sequence numbers")
    check(max(ordered) - min(ordered) > 1 << 20, "initial sequence numbers lie close together")


@case
def sequence_numbers_follow_a_clock(bench):
    """The same two ends, one second later: the number is that of a clock of 64 ns further on (RFC 6528)."""
    bench.listening()
    numbers = []
    for _ in range(2):
        peer = bench.caller(port=40000)
        peer.send("S", mss=1000)
        numbers.append(peer.expect("SA").seq)
        peer.send("R", seq=1)
        time.sleep(1)
    between((numbers[1] - numbers[0]) % packet.MODULUS * 64e-9, (0.9, 1.2), "seconds by the clock of the numbers")


@case
def timestamp_clocks_differ(bench):
    """The timestamps of two connections tell nobody how long the machine has been up (RFC 7323, 7.1)."""
    values = []
    for _ in range(5):
        _, peer = bench.connecting()
        values.append(peer.expect("S").options["ts"][0])
    check(max(values) - min(values) > 1 << 20, f"clocks lie close together: {values}")


@case
def sequence_numbers_wrap(bench):
    """Data across 2^32 on the script's side."""
    listener = bench.listening()
    peer = bench.caller(iss=packet.MODULUS - 500)
    peer.send("S", mss=1000)
    peer.expect("SA", ack=1)
    peer.send("A")
    sock = accept(listener)
    for _ in range(3):
        peer.send("PA", data=bytes(400))
        peer.expect("A", ack=peer.next, after=(0, 0.25))
    equal(len(sock.recv(2000)), 1200, "data")


packet.main()
