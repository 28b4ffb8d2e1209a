#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A device that is slower than the sender: how much of the send buffer it gets, and what small writes become."""

import json
import socket
import subprocess
import time

import packet
from packet import case, check, equal, run

MSS = 1000
TCP_NODELAY = 1


def slow_device(rate):
    """Lets the device send no faster."""
    run(f"tc qdisc replace dev tun0 root tbf rate {rate} burst 1600 limit 4000000")


def backlog():
    """Bytes that wait for the device."""
    shown = subprocess.run("tc -s -j qdisc show dev tun0", shell=True, check=True, capture_output=True, text=True)
    return max(queue["backlog"] for queue in json.loads(shown.stdout))


def acknowledge(peer, seconds):
    """Acknowledges what comes, for so long; the segments."""
    until = time.monotonic() + seconds
    segments = []
    while time.monotonic() < until:
        come = peer.collect(0.005)
        segments += come
        if come:
            time.sleep(0.04)
            peer.send("A", ack=peer.received)
    return segments


def far_peer(bench):
    """A connection whose round trips take 50 ms at the least, so that no more than a few segments leave at once."""
    sock, peer = bench.connecting()
    peer.expect("S")
    time.sleep(0.05)
    peer.send("SA", mss=MSS, sack_ok=True, ws=0)
    peer.expect("A")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1000000)
    return sock, peer


@case
def device_gets_little(bench):
    """Whatever cwnd allows, only a few packets wait below: the rest can still be reordered, dropped or overtaken."""
    sock, peer = far_peer(bench)
    slow_device("2mbit")
    sent = sock.send(bytes(400 * MSS))
    check(sent > 300 * MSS, f"only {sent} bytes taken")
    most = []
    for _ in range(6):
        acknowledge(peer, 0.1)
        most.append(backlog())
    check(max(most) <= 10 * MSS, f"backlogs {most}")
    check(min(most) > 0, f"the device was idle: {most}")
    # All of it comes, at the device's rate.
    start = time.monotonic()
    while peer.received < 1 + sent:
        acknowledge(peer, 0.05)
        check(time.monotonic() < start + 5, f"{peer.received} of {sent} bytes came")


@case
def bound_is_a_setting(bench):
    """tcp_limit_output_bytes."""
    sock, peer = far_peer(bench)
    bench.sysctl("tcp_limit_output_bytes", 1)
    slow_device("2mbit")
    sent = sock.send(bytes(100 * MSS))
    most = []
    for _ in range(5):
        acknowledge(peer, 0.04)
        most.append(backlog())
    check(max(most) <= 12 * MSS, f"backlogs {most}")
    start = time.monotonic()
    while peer.received < 1 + sent:
        acknowledge(peer, 0.05)
        check(time.monotonic() < start + 5, f"{peer.received} of {sent} bytes came")


def small_writes(bench, autocorking):
    """How many segments twenty small writes become behind packets that wait for the device."""
    bench.sysctl("tcp_autocorking", int(autocorking))
    sock, peer = bench.active()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 1)
    slow_device("100kbit")
    for _ in range(4):
        sock.send(bytes(MSS))
    for _ in range(20):
        sock.send(bytes(10))
    come = acknowledge(peer, 3)
    equal(peer.received, 1 + 4 * MSS + 200, "bytes that came")
    return len([segment for segment in come if 0 < len(segment.payload) < MSS])


@case
def small_writes_wait_for_the_device(bench):
    count = small_writes(bench, True)
    check(count <= 3, f"{count} small segments")


@case
def small_writes_do_not_wait(bench):
    """But for the bound on what is below."""
    count = small_writes(bench, False)
    check(count >= 5, f"{count} small segments")


@case
def nothing_waits_in_an_idle_device(bench):
    sock, peer = bench.active()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_NODELAY, 1)
    for i in range(10):
        sock.send(bytes(10))
        peer.expect("PA", seq=1 + 10 * i, length=10)


packet.main()
