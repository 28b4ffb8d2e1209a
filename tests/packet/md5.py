#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""TCP_MD5SIG: segments with a signature (RFC 2385), computed here by other means. Each segment that a peer with a key
gets is checked."""

import os
import socket
import struct
import sys

import internet
import packet
from packet import (ESTABLISHED, FIN_WAIT2, HERE, THERE, TIME_WAIT, Peer, accept, case, check, counter, equal, fails,
                    new_socket, state_of)

TCP_MD5SIG, TCP_MD5SIG_EXT = 14, 32
PREFIX = 1
KEY, OTHER = b"a secret that both ends know", b"one that only one of them knows"


def set_key(sock, key, host=THERE, prefix=None):
    """Gives the socket a key for segments to and from a host, or a prefix; none to take it away."""
    raw = internet.raw(host)
    if len(raw) == 4:
        address = struct.pack("=HH4s", socket.AF_INET, 0, raw)
    else:
        address = struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, raw, 0)
    flags = PREFIX if prefix is not None else 0
    value = struct.pack("=128sBBHi80s", address, flags, prefix or 0, len(key), 0, key)
    sock.setsockopt(socket.IPPROTO_TCP, TCP_MD5SIG_EXT if flags else TCP_MD5SIG, value)


def offer(peer, words):
    """As Peer.offer, but that SACK-permitted fills the padding of the timestamps: there is no room for more."""
    options = peer.offer(words)
    if options.keys() >= {"sack_ok", "ts"}:
        del options["sack_ok"]
        options["raw"] = b"\4\2\x08\x0a" + struct.pack("!II", *options.pop("ts"))
    return options


def begin(bench, key=KEY):
    """A socket with a key that begins to connect; its peer and its SYN."""
    sock = new_socket()
    set_key(sock, key)
    bench.ports += 1
    peer = Peer(bench, bench.ports, None)
    peer.key = key
    check(sock.connect_ex((THERE, peer.port)) != 0, "connect() waits")
    return sock, peer, peer.expect("S")


def active(bench, options="mss sack ws", key=KEY, window=65535):
    """A connection that a socket with a key opened."""
    sock, peer, syn = begin(bench, key)
    peer.window = window
    peer.their_ws = syn.options["ws"]
    peer.send("SA", **peer.offer(options))
    peer.expect("A", seq=1, ack=1)
    equal(state_of(sock), ESTABLISHED, "state")
    return sock, peer


def passive(bench, options="mss sack ws", key=KEY, window=65535, listener=None):
    """A connection that a listener with a key made."""
    if listener is None:
        listener = bench.listening()
        set_key(listener, key)
    peer = bench.caller()
    peer.key = key
    peer.window = window
    peer.send("S", **offer(peer, options))
    answer = peer.expect("SA", seq=0, ack=1)
    peer.timestamps = answer.options["ts"][0] if "ts" in answer.options else None
    peer.their_ws = answer.options.get("ws", 0)
    peer.send("A")
    sock = accept(listener)
    equal(state_of(sock), ESTABLISHED, "state")
    return sock, peer


def either(function):
    """As packet.either, with a key on both ends."""
    def made(make):
        run = lambda bench: function(bench, lambda **options: make(bench, **options))
        run.__name__ = f"{function.__name__}_{make.__name__}"
        return run

    for make in (active, passive):
        packet.CASES.append(made(make))
    return function


def forged(peer, flags, **options):
    """The peer's next segment with a signature that is none."""
    peer.send(flags, md5=b"0123456789abcdef", **options)


@case
def syn_without_timestamps(bench):
    """There would be no room for SACK blocks."""
    _, _, syn = begin(bench)
    equal(list(syn.options), ["md5", "mss", "sack_ok", "ws"], "options")
    equal(syn.options["mss"], 1460, "MSS")


@case
def repeated_syn_is_signed(bench):
    _, peer, _ = begin(bench)
    again = peer.expect("S", after=1.0)
    equal(list(again.options), ["md5", "mss", "sack_ok", "ws"], "options")


@case
def syn_ack_gives_timestamps_up_for_sack(bench):
    listener = bench.listening()
    set_key(listener, KEY)
    for words, options in (("mss sack ws ts", ["md5", "mss", "sack_ok", "ws"]), ("mss ws ts", ["md5", "mss", "ts", "ws"]),
                           ("mss", ["md5", "mss"])):
        peer = bench.caller()
        peer.key = KEY
        peer.send("S", **offer(peer, words))
        equal(list(peer.expect("SA", seq=0, ack=1).options), options, f"options in answer to {words}")
        again = peer.expect("SA", seq=0, ack=1, after=(0.9, 3.5))
        equal(list(again.options), options, "options again")
        peer.send("R")


@either
def data_is_shorter_by_the_signature(bench, connection):
    sock, peer = connection()
    sock.send(bytes(2960))
    for seq, length in ((1, 980), (981, 980), (1961, 980), (2941, 20)):
        segment = peer.expect("A", seq=seq, length=length)
        equal(list(segment.options), ["md5"], "options")
    # The peer's MSS is what it is.
    equal(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), 1000, "TCP_MAXSEG")
    peer.send("A", ack=2961)
    peer.send("PA", data=b"signed")
    peer.expect("A", ack=7, after=(0, 0.25))
    equal(sock.recv(100), b"signed", "data")


@case
def timestamps_where_there_is_no_sack(bench):
    sock, peer = passive(bench, "mss ws ts")
    sock.send(bytes(2000))
    for length in (968, 968, 64):
        equal(list(peer.expect("A", length=length).options), ["md5", "ts"], "options")


@either
def large_writes_are_segments_each(bench, connection):
    """Nothing below cuts what one signature covers."""
    sock, peer = connection(options="mss=1460 sack ws")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    data = os.urandom(200_000)
    sent, got, acked = 0, b"", 0
    while len(got) < len(data):
        try:
            sent += sock.send(data[sent:]) if sent < len(data) else 0
        except BlockingIOError:
            pass
        for segment in peer.collect(0.05):
            check(len(segment.payload) <= 1440, f"{len(segment.payload)} bytes in one segment")
            equal(peer.relative(segment)[0], len(got) + 1, "sequence number")
            got += segment.payload
        check(len(got) > acked, "nothing more comes")
        acked = len(got)
        peer.send("A")
    check(got == data, "the data is another")


@case
def two_blocks_beside_a_signature(bench):
    _, peer = active(bench)
    for hole in range(1, 5):
        peer.send("PA", seq=hole * 2000, data=b"x" * 100)
    segments = peer.collect(0.3)
    equal(len(segments[-1].options["sack"]), 2, "blocks")
    equal(list(segments[-1].options), ["md5", "sack"], "options")


@either
def closing(bench, connection):
    """FIN, the last ACK and what TIME-WAIT answers."""
    sock, peer = connection()
    sock.close()
    peer.expect("FA", seq=1)
    peer.send("A", ack=2)
    peer.send("FA")
    peer.expect("A", ack=2)
    packet.time.sleep(1)
    peer.send("FA", seq=1)
    segment = peer.expect("A", seq=2, ack=2)
    equal(list(segment.options), ["md5"], "options in TIME-WAIT")
    # As Linux: what comes there is not checked.
    packet.time.sleep(1)
    forged(peer, "FA", seq=1)
    peer.expect("A", seq=2, ack=2)


@case
def timestamps_first_in_time_wait(bench):
    sock, peer = passive(bench, "mss ws ts")
    sock.close()
    peer.expect("FA", seq=1)
    peer.send("FA", ack=2)
    peer.expect("A", ack=2)
    packet.time.sleep(1)
    peer.send("FA", seq=1)
    equal(list(peer.expect("A", seq=2, ack=2).options), ["ts", "md5"], "options")


@either
def abort_is_signed(bench, connection):
    sock, peer = connection()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    peer.expect("RA", seq=1)


@either
def data_for_nobody(bench, connection):
    sock, peer = connection()
    sock.close()
    peer.expect("FA", seq=1)
    peer.send("PA", ack=2, data=b"too late")
    peer.expect_reset(seq=2)


@case
def answers_of_a_listener(bench):
    listener = bench.listening()
    set_key(listener, KEY)
    peer = bench.caller()
    peer.key = KEY
    peer.irs = 0
    peer.send("A", ack=77)
    equal(list(peer.expect("R", seq=77).options), ["md5"], "options")
    peer.key = None
    peer.send("A", ack=77)
    peer.expect_nothing(1)


@case
def answers_of_a_half_open_connection(bench):
    """What acknowledges the wrong thing is reset, what lies outside of the window acknowledged."""
    listener = bench.listening()
    set_key(listener, KEY)
    peer = bench.caller()
    peer.key = KEY
    peer.timestamps = 0
    peer.send("S", **peer.offer("mss ws ts"))
    peer.timestamps = peer.expect("SA").options["ts"][0]
    peer.send("A", ack=500)
    equal(list(peer.expect("R", seq=500).options), ["md5"], "options of the reset")
    peer.send("A", seq=1 << 20)
    equal(list(peer.expect("A", seq=1, ack=1).options), ["ts", "md5"], "options of the acknowledgment")
    peer.send("S", seq=0, **peer.offer("mss ws ts"))
    peer.expect("SA", seq=0, ack=1, after=(0, 1.5))


@either
def wrong_missing_and_unexpected(bench, connection):
    sock, peer = connection()
    forged(peer, "PA", seq=1, data=b"forged")
    peer.expect_nothing(0.5)
    equal(counter("TCPMD5Failure"), 1, "TCPMD5Failure")
    peer.key = None
    peer.send("PA", seq=1, data=b"unsigned")
    peer.send("R", seq=1)
    peer.expect_nothing(0.5)
    equal(counter("TCPMD5NotFound"), 2, "TCPMD5NotFound")
    peer.key = OTHER
    peer.send("PA", seq=1, data=b"another")
    peer.expect_nothing(0.5)
    equal(counter("TCPMD5Failure"), 2, "TCPMD5Failure")
    peer.key = KEY
    peer.send("PA", seq=1, data=b"right")
    peer.expect("A", ack=6, after=(0, 0.25))
    equal(sock.recv(100), b"right", "data")
    set_key(sock, b"")
    peer.send("PA", seq=6, data=b"signed for nothing")
    peer.expect_nothing(0.5)
    equal(counter("TCPMD5Unexpected"), 1, "TCPMD5Unexpected")


@case
def syn_to_a_listener(bench):
    """With the wrong signature, without one, and with one that nobody expects."""
    listener = bench.listening()
    peer = bench.caller()
    peer.key = KEY
    peer.send("S", **peer.offer("mss"))
    peer.expect_nothing(0.5)
    equal(counter("TCPMD5Unexpected"), 1, "TCPMD5Unexpected")
    set_key(listener, OTHER)
    peer.send("S", seq=0, **peer.offer("mss"))
    peer.expect_nothing(0.5)
    equal(counter("TCPMD5Failure"), 1, "TCPMD5Failure")
    peer.key = None
    peer.send("S", seq=0, **peer.offer("mss"))
    peer.expect_nothing(0.5)
    equal(counter("TCPMD5NotFound"), 1, "TCPMD5NotFound")
    peer.key = OTHER
    peer.send("S", seq=0, **peer.offer("mss"))
    peer.expect("SA", seq=0, ack=1)
    peer.key = None
    peer.send("A", seq=1, ack=1)
    fails("EAGAIN", listener.accept)
    equal(counter("TCPMD5NotFound"), 2, "TCPMD5NotFound")


@either
def malformed_is_dropped(bench, connection):
    """Signed twice, a signature that is too short, any option with a length that cannot be: all without a counter."""
    sock, peer = connection()
    peer.key = None
    twice = b"\x13\x12" + bytes(16)
    for raw in (twice * 2, b"\x13\x11" + bytes(18), b"\x4d\x00" + bytes(6), b"\x4d\x0a" + bytes(6)):
        peer.send("PA", seq=1, data=b"malformed", raw=raw)
    peer.expect_nothing(0.5)
    fails("EAGAIN", sock.recv, 1)
    for name in ("TCPMD5NotFound", "TCPMD5Failure", "TCPMD5Unexpected"):
        equal(counter(name), 0, name)


@case
def malformed_without_any_key(bench):
    """The other ways of proving who one is are dropped, too."""
    sock, peer = bench.active()
    peer.send("PA", seq=1, data=b"malformed", raw=b"\x4d\x00" + bytes(6))
    peer.expect_nothing(0.5)
    peer.send("PA", seq=1, data=b"authenticated", raw=b"\x1d\x10" + bytes(14))
    peer.expect_nothing(0.5)
    equal(counter("TCPAOKeyNotFound"), 1, "TCPAOKeyNotFound")
    peer.send("PA", seq=1, data=b"unknown", raw=b"\x4d\x08" + bytes(6))
    peer.expect("A", ack=8, after=(0, 0.25))
    equal(sock.recv(100), b"unknown", "data")


@either
def key_changes(bench, connection):
    sock, peer = connection()
    set_key(sock, OTHER)
    peer.key = OTHER
    sock.send(bytes(980))
    peer.expect("A", seq=1, length=980)
    peer.send("A")
    set_key(sock, b"")
    peer.key = None
    sock.send(bytes(1000))
    equal(list(peer.expect("A", seq=981, length=1000).options), [], "options")
    peer.send("A")
    set_key(sock, KEY)
    sock.send(bytes(980))
    peer.key = KEY
    peer.expect("A", seq=1981, length=980)


@case
def key_for_later(bench):
    """A key that comes when the connection is there already."""
    sock, peer = bench.active()
    set_key(sock, KEY)
    peer.key = KEY
    sock.send(bytes(980))
    peer.expect("A", seq=1, length=980)


@case
def best_of_many_keys(bench):
    """The longest prefix, and the child keeps no other."""
    listener = bench.listening()
    wide, near = internet.choose(("10.0.0.0", "10.0.0.0"), ("fd10::", "fd10::"))
    bits = internet.choose((0, 24), (0, 64))
    set_key(listener, b"all", wide, bits[0])
    set_key(listener, b"neighbours", near, bits[1])
    sock, peer = passive(bench, key=b"neighbours", listener=listener)
    set_key(listener, KEY)
    passive(bench, key=KEY, listener=listener)
    set_key(listener, b"")
    passive(bench, key=b"neighbours", listener=listener)
    set_key(listener, b"", near, bits[1])
    passive(bench, key=b"all", listener=listener)
    fails("ENOENT", set_key, sock, b"", near, bits[1])
    sock.send(b"still")
    peer.expect("A", seq=1, length=5)
    set_key(sock, b"")
    peer.key = None
    peer.send("A")
    sock.send(b"alone")
    peer.expect("A", seq=6, length=5)


@case
def cookies(bench):
    bench.sysctl("tcp_syncookies", 2)
    sock, peer = passive(bench, options="mss sack ws")
    sock.send(bytes(2400))
    equal(list(peer.expect("A", seq=1, length=internet.choose(516, 1200)).options), ["md5"], "options")
    equal(counter("SyncookiesRecv"), 1, "SyncookiesRecv")


@case
def cookies_with_timestamps(bench):
    """They carry the options, so that the SYN-ACK keeps them, and there is room for no block at all."""
    bench.sysctl("tcp_syncookies", 2)
    sock, peer = passive(bench, options="mss=1460 sack ws ts")
    equal(counter("SyncookiesRecv"), 1, "SyncookiesRecv")
    peer.send("PA", seq=3000, data=b"ahead")
    segment = peer.collect(0.3)[-1]
    equal(list(segment.options), ["md5", "ts"], "options")
    sock.send(bytes(3000))
    peer.expect("A", length=internet.choose(1428, 1408))


@case
def too_many_in_the_queue(bench):
    """A connection for which there is no room may be reset, and the reset is signed."""
    bench.sysctl("tcp_abort_on_overflow", 1)
    listener = bench.listening(backlog=0)
    set_key(listener, KEY)
    refused = bench.caller()
    passed = bench.caller()
    for peer in (refused, passed):
        peer.key = KEY
        peer.send("S", **peer.offer("mss"))
        peer.expect("SA")
    passed.send("A")
    refused.send("A")
    refused.expect_reset(seq=1)


@case
def fast_open_request(bench):
    """The request for a cookie fits beside the signature; a cookie does not."""
    bench.sysctl("tcp_fastopen", 1)
    sock = new_socket()
    set_key(sock, KEY)
    bench.ports += 1
    peer = Peer(bench, bench.ports, None)
    peer.key = KEY
    fails("EINPROGRESS", sock.sendto, b"early", socket.MSG_FASTOPEN, (THERE, peer.port))
    syn = peer.expect("S", length=0)
    equal(list(syn.options), ["md5", "mss", "sack_ok", "ws", 34], "options")
    peer.send("SA", mss=1000, raw=b"\x22\x0a" + b"COOKIE!!")
    peer.expect("A", seq=1, length=0)
    # With the cookie there is no room for it, but the data goes.
    again = new_socket()
    set_key(again, KEY)
    bench.ports += 1
    peer = Peer(bench, bench.ports, None)
    peer.key = KEY
    equal(again.sendto(b"early", socket.MSG_FASTOPEN, (THERE, peer.port)), 5, "sendto()")
    equal(list(peer.expect("S", data=b"early").options), ["md5", "mss", "sack_ok", "ws"], "options with data")


@case
def lost_peer(bench):
    """A segment for nobody is reset if a listener at the port that it comes from has the key by which it is signed."""
    listener = bench.listening(port=8080)
    peer = bench.caller(remote_port=50000, port=8080)
    peer.irs = 0
    peer.key = KEY
    peer.send("A", ack=77)
    peer.expect_nothing(0.5)
    set_key(listener, KEY)
    forged(peer, "A", ack=77)
    peer.expect_nothing(0.5)
    peer.send("A", ack=77)
    equal(list(peer.expect("R", seq=77).options), ["md5"], "options")
    peer.key = None
    peer.send("A", ack=77)
    equal(list(peer.expect("R", seq=77).options), [], "options of another's reset")


if __name__ == "__main__":
    packet.main()
