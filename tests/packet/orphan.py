#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Connections that nobody owns are given up when there are too many of them."""

import socket
import subprocess
import time

from internet import HOST, OURS
from packet import case, counter, equal, main, tell

LIMIT = "net.oxtcp.max_orphans" if OURS else "net.ipv4.tcp_max_orphans"


def limit(value=None):
    """The limit, which is the whole system's; sets it to a value if there is one."""
    here = ["nsenter", "--net=/proc/1/ns/net", "sysctl", "-n", LIMIT]
    before = int(subprocess.run(here, check=True, capture_output=True).stdout)
    if value is not None:
        subprocess.run([*here[:-1], "-w", f"{LIMIT}={value}"], check=True, capture_output=True)
    return before


class Limited:
    """The limit is another in here."""

    def __init__(self, value):
        self.before = limit(value)
        # Linux counts ten times a second.
        time.sleep(0.3)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        limit(self.before)


def orphan(bench):
    """A connection that its owner has closed, some time-outs ago."""
    sock, peer = bench.active()
    sock.close()
    peer.expect("FA", seq=1, ack=1)
    peer.collect(2)
    return peer


@case
def at_close(bench):
    """One more than there may be is told so by a RST after its FIN."""
    first = orphan(bench)
    sock, peer = bench.active()
    with Limited(0):
        equal(counter("TCPAbortOnMemory"), 0, "counter before")
        sock.close()
        peer.expect("FA", seq=1, ack=1)
        peer.expect("RA", seq=2)
        equal(counter("TCPAbortOnMemory"), 1, "counter")
        first.expect("RA", after=(0, 4))
        equal(counter("TCPAbortOnMemory"), 2, "counter after the time-out")
    peer.expect_nothing(10)


@case
def in_fin_wait_2(bench):
    """What only waits for the peer's FIN does not count, nor is it given up."""
    sock, peer = bench.active()
    sock.shutdown(socket.SHUT_WR)
    peer.expect("FA", seq=1, ack=1)
    peer.send("A")
    with Limited(0):
        sock.close()
        peer.expect_nothing(5)
        peer.send("FA")
        peer.expect("A", seq=2, ack=2)
    equal(counter("TCPAbortOnMemory"), 0, "counter")


@case
def owned(bench):
    """A connection that has an owner is not concerned."""
    sock, peer = bench.active()
    with Limited(0):
        sock.send(b"hello")
        peer.expect("PA", seq=1)
        peer.expect("PA", seq=1, after=(0, 0.3))
        peer.expect("PA", seq=1, after=(0, 0.6))
        peer.send("A", ack=6)
    equal(counter("TCPAbortOnMemory"), 0, "counter")


@case
def out_of_reach(bench):
    """One that the network has called unreachable counts for two."""
    peer = orphan(bench)
    with Limited(1):
        peer.expect("FA", seq=1, after=(0, 4))
        fin = peer.expect("FA", seq=1, after=(0, 8))
        tell(bench, fin, HOST)
        peer.expect("RA", after=(0, 16))
        equal(counter("TCPAbortOnMemory"), 1, "counter")


@case
def before_a_shut_window(bench):
    """Window probes of a connection that nobody owns end in a RST."""
    sock, peer = bench.active()
    peer.send("A", window=0)
    sock.send(b"hello")
    sock.close()
    peer.expect("A", seq=0, after=(0, 0.3))
    peer.expect("A", seq=0, after=(0, 0.6))
    with Limited(0):
        peer.expect("RA", after=(0, 1.2))
        equal(counter("TCPAbortOnMemory"), 1, "counter")


main()
