#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Settings act: what is seen of a connection under each of several values of net.ipv4.tcp_*.

A case is named after its setting. Other tests have those that are not here: Documentation/sysctl.rst names them.
SEEN=1 prints what there was to see.
"""

import os
import socket
import struct
import time

import packet
from packet import CASES, check, info_of

SOCKET, TCP = socket.SOL_SOCKET, socket.IPPROTO_TCP
MSS = 1000
# Offsets in struct tcp_info.
SND_MSS, REORDERING, MIN_RTT = 16, 88, 148


def setting(values, more=None, name=None):
    """Marks a function that observes a connection: what it sees under each value of the setting of its name."""
    def mark(observe):
        def function(bench):
            for other, value in (more or {}).items():
                bench.sysctl(other, value)
            wrong = []
            for value, expected in values.items():
                bench.sysctl(name or observe.__name__, value)
                seen = observe(bench)
                if os.environ.get("SEEN"):
                    print(f"# {value}: {seen!r}")
                if seen != expected:
                    wrong.append(f"{value}: {seen!r}, not {expected!r}")
            check(not wrong, "; ".join(wrong))

        function.__name__ = observe.__name__
        CASES.append(function)
        return observe
    return mark


def far(bench, seconds=0.1, options="mss sack ws", window=65535):
    """A connection whose handshake took so long."""
    sock, peer = bench.connecting()
    peer.window = window
    syn = peer.expect("S")
    if "ts" in options.split():
        peer.timestamps = syn.options["ts"][0]
    time.sleep(seconds)
    offered = peer.offer(options)
    peer.send("SA", **offered)
    peer.their_ws = syn.options["ws"] if "ws" in offered else 0
    peer.expect("A")
    sock.setsockopt(SOCKET, socket.SO_SNDBUF, 400000)
    return sock, peer


def end(bench, sock, peer):
    """Lets nothing of a connection come later."""
    peer.send("R")
    sock.setsockopt(SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    while bench.tun.read(0.001):
        pass


def starts(peer, segments):
    """Where the data of the segments begins."""
    return [peer.relative(segment)[0] for segment in segments if segment.payload]


def milliseconds(since, step=1):
    """How long ago that was, rounded."""
    return round((time.monotonic() - since) * 1000 / step) * step


def transfer(peer, lost=lambda segment: False, delay=0.0):
    """Acknowledges what comes until nothing comes any more, all but the segments that are lost; their lengths."""
    come, acked, lengths = [], peer.received, []
    while segments := peer.collect(0.02):
        time.sleep(delay)
        for segment in segments:
            start = peer.relative(segment)[0]
            lengths.append(len(segment.payload))
            if lost(segment):
                continue
            come.append((start, start + len(segment.payload)))
            come.sort()
            blocks = []
            for left, right in come:
                if left <= acked:
                    acked = max(acked, right)
                elif blocks and left <= blocks[-1][1]:
                    blocks[-1] = (blocks[-1][0], max(right, blocks[-1][1]))
                else:
                    blocks.append((left, right))
            peer.send("A", ack=acked, **({"sack": blocks[-3:]} if blocks else {}))
    return lengths


@setting({31: 64076, 1: 32768, 0: 65536})
def tcp_app_win(bench):
    """The bound of the window, before data has shown how much memory it takes."""
    sock, peer = bench.active()
    bound = sock.getsockopt(TCP, socket.TCP_WINDOW_CLAMP)
    end(bench, sock, peer)
    return bound


def disorder(bench):
    """How many acknowledgments of disorder leave at once, and whether the next does within three milliseconds."""
    sock, peer = far(bench, options="mss sack ws ts")
    # As many are acknowledged at once in any case.
    for _ in range(24):
        time.sleep(0.1)
        peer.send("PA", data=bytes(MSS))
        peer.collect(0)
    sock.recv(100000)
    place = peer.next
    began = time.monotonic()
    for number in range(1, 8):
        peer.send("PA", seq=place + number * MSS, data=bytes(MSS))
    at_once = len(peer.collect(0))
    check(bench.receive(peer, 1), "no more acknowledgments")
    soon = time.monotonic() - began < 0.003
    end(bench, sock, peer)
    return at_once, soon


@setting({1000000: (3, True), 20000000: (3, False)}, {"tcp_comp_sack_slack_ns": 0})
def tcp_comp_sack_delay_ns(bench):
    return disorder(bench)


@setting({1: (3, True), 33: (3, False)}, {"tcp_comp_sack_slack_ns": 0, "tcp_comp_sack_delay_ns": 90000000})
def tcp_comp_sack_rtt_percent(bench):
    return disorder(bench)


@setting({2: [8001, 9001], 0: [1001, 2001]})
def tcp_frto(bench):
    """What follows the first acknowledgment after a time-out: new data, or the rest of the old again."""
    sock, peer = far(bench)
    sock.send(bytes(8 * MSS))
    peer.collect()
    check(bench.receive(peer, 1), "no retransmission")
    sock.send(bytes(4 * MSS))
    peer.send("A", ack=1 + MSS)
    seen = starts(peer, peer.collect())
    end(bench, sock, peer)
    return seen


@setting({300: 9, 5: 5})
def tcp_max_reordering(bench):
    """How much reordering is believed after one of eight segments."""
    sock, peer = far(bench)
    sock.send(bytes(9 * MSS))
    peer.collect()
    peer.send("A", ack=1, sack=[(1 + 8 * MSS, 1 + 9 * MSS)])
    peer.send("A", ack=1 + 9 * MSS)
    peer.collect()
    seen = info_of(sock, REORDERING, 4)
    end(bench, sock, peer)
    return seen


@setting({3: 3, 6: 6})
def tcp_reordering(bench):
    """How many segments must have overtaken the first before it leaves again, however soon that is."""
    sock, peer = far(bench)
    sock.send(bytes(10 * MSS))
    peer.collect()
    time.sleep(0.08)
    overtaking = 0
    while overtaking < 9:
        overtaking += 1
        peer.send("A", ack=1, sack=[(1 + MSS, 1 + (1 + overtaking) * MSS)])
        if 1 in starts(peer, peer.collect(0.001)):
            break
    end(bench, sock, peer)
    return overtaking


@setting({300: 10, 1: 60})
def tcp_min_rtt_wlen(bench):
    """The shortest round trip, in milliseconds, when it is some seconds ago."""
    sock, peer = far(bench, 0.01)
    for _ in range(6):
        time.sleep(1)
        sock.send(bytes(2 * MSS))
        peer.collect(0)
        time.sleep(0.06)
        peer.send("A")
    seen = info_of(sock, MIN_RTT, 4) // 1000
    end(bench, sock, peer)
    return seen


def reads(bench, rounds):
    """The largest window of a connection whose program reads what comes, after so many round trips."""
    sock, peer = far(bench, 0.05, "mss sack ws ts")
    largest = 0
    for _ in range(rounds):
        for _ in range(40):
            peer.send("PA", data=bytes(MSS))
            sock.recv(MSS)
        time.sleep(0.05)
        peer.collect(0)
        peer.send("PA", data=bytes(MSS))
        sock.recv(MSS)
        for segment in peer.collect(0.05):
            largest = max(largest, segment.window << peer.their_ws)
    end(bench, sock, peer)
    return largest


@setting({1: True, 0: False})
def tcp_moderate_rcvbuf(bench):
    return reads(bench, 12) > 70000


@setting({1000: True, 10000000: False})
def tcp_rcvbuf_low_rtt(bench):
    """Growth is less where a round trip is shorter than that."""
    return reads(bench, 8) > 200000


@setting({48: [1460] * 4 + [1024, 512, 256, 128, 64], 700: [1460] * 4 + [1024] + [700] * 4}, {"tcp_mtu_probing": 1})
def tcp_mtu_probe_floor(bench):
    """The lengths that a segment has that vanishes all the time."""
    sock, peer = bench.active("mss=1460 sack ws")
    sock.send(bytes(1460))
    seen = []
    for _ in range(9):
        segment = bench.receive(peer, 200)
        check(segment, "no retransmission")
        seen.append(len(segment.payload))
    end(bench, sock, peer)
    return seen


def found(sock, peer, most=65535):
    """How many bytes segments have after much was sent over a path for so many at most."""
    for _ in range(10):
        sock.send(bytes(60000))
        transfer(peer, lambda segment: len(segment.payload) > most, 0.02)
    return info_of(sock, SND_MSS, 4)


@setting({8: 1453, 300: 1242}, {"tcp_mtu_probing": 2})
def tcp_probe_threshold(bench):
    """How near the search comes to the path's MTU."""
    sock, peer = far(bench, 0.02, "mss=1460 sack ws")
    seen = found(sock, peer)
    end(bench, sock, peer)
    return seen


@setting({600: (1199, 1199), 5: (1199, 1455)}, {"tcp_mtu_probing": 2})
def tcp_probe_interval(bench):
    """Whether it is noticed that a path has become wider ten seconds ago."""
    sock, peer = far(bench, 0.02, "mss=1460 sack ws")
    before = found(sock, peer, 1200)
    time.sleep(10)
    after = found(sock, peer)
    end(bench, sock, peer)
    return before, after


@setting({120: (7, 60), 300: (7, 20)}, {"tcp_slow_start_after_idle": 0})
def tcp_pacing_ca_ratio(bench):
    """The milliseconds that a flight takes in congestion avoidance."""
    sock, peer = far(bench)
    sock.setsockopt(SOCKET, 47, 1000000000)  # SO_MAX_PACING_RATE: what is paced at all
    sock.send(bytes(10 * MSS))
    peer.collect(0.1)
    for last in 2, 3, 4, 5:
        peer.send("A", ack=1, sack=[(1 + MSS, 1 + last * MSS)])
    peer.collect(0.1)
    peer.send("A", ack=1 + 10 * MSS)
    peer.collect(0.1)
    sock.send(bytes(20 * MSS))
    flight = peer.collect(0.1)
    end(bench, sock, peer)
    return len(flight), round((flight[-1].time - flight[0].time) * 1000, -1)


@setting({1: [1, 0, 0, 0, 0, 0], 3: [1, 1, 1, 0, 0, 0]})
def tcp_pingpong_thresh(bench):
    """Whether each of several questions is acknowledged before the answer."""
    sock, peer = bench.active()
    seen = []
    for _ in range(6):
        peer.send("PA", data=b"question")
        seen.append(len(peer.collect(0.005)))
        sock.recv(100)
        sock.send(b"answer")
        peer.collect(0.005)
    end(bench, sock, peer)
    return seen


@setting({1: False, 5: True}, name="tcp_recovery")
def tcp_recovery_by_count(bench):
    """Whether a segment that three others have overtaken is sent again only some time later: with 4 numbers do not count."""
    sock, peer = far(bench)
    sock.send(bytes(4 * MSS))
    peer.collect()
    time.sleep(0.08)
    began = time.monotonic()
    peer.send("A", ack=1, sack=[(1 + MSS, 1 + 4 * MSS)])
    check(bench.receive(peer, 1), "no retransmission")
    waits = time.monotonic() - began > 0.015
    end(bench, sock, peer)
    return waits


@setting({1: True, 3: False}, name="tcp_recovery")
def tcp_recovery_adapts(bench):
    """Whether one that another has overtaken is given more time, once it is known that such come after all; not with 2."""
    sock, peer = far(bench)
    for late in False, True, True:
        place = peer.received
        sock.send(bytes(2 * MSS))
        peer.collect()
        time.sleep(0.08)
        began = time.monotonic()
        peer.send("A", ack=place, sack=[(place + MSS, place + 2 * MSS)])
        if late:
            check(bench.receive(peer, 1), "no retransmission")
        longer = time.monotonic() - began > 0.055
        peer.send("A", ack=place + 2 * MSS)
        if late:
            # Now the second copy comes.
            peer.send("A", ack=place + 2 * MSS, sack=[(place, place + MSS)])
        peer.collect(0.3)
    end(bench, sock, peer)
    return longer


@setting({200000: 220, 20000: 40})
def tcp_rto_min_us(bench):
    """The first time-out of a short path, in milliseconds."""
    sock, peer = bench.active()
    began = time.monotonic()
    sock.send(b"data")
    peer.expect("A")
    check(bench.receive(peer, 1), "no retransmission")
    seen = milliseconds(began, 10)
    end(bench, sock, peer)
    return seen


@setting({0: (64240, 64239), 1: (32767, 32767)})
def tcp_workaround_signed_windows(bench):
    """The largest window without scaling, in the SYN and when more than 32767 bytes are free."""
    sock, peer = bench.connecting()
    opening = peer.expect("S").window
    peer.send("SA", mss=MSS)
    peer.collect()
    peer.send("PA", data=b"x")
    window = peer.collect(0.3)[-1].window
    end(bench, sock, peer)
    return opening, window


packet.main()
