#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Segments that take much more memory than they carry."""

from packet import case, check, main


@case
def small_segments_behind_a_hole(bench):
    """However much lies behind a hole, what fills it is taken."""
    _, peer = bench.active()
    peer.send("PA", seq=1, data=b"x" * 100)
    peer.collect(0.1)
    for i in range(600):
        peer.send("PA", seq=201 + 100 * i, data=b"y" * 100)
    peer.collect(0.1)
    peer.send("PA", seq=101, data=b"z" * 100)
    acks = [peer.relative(segment)[1] for segment in peer.collect(0.3)]
    check(acks and acks[-1] > 200, "the hole is not filled")


@case
def unread_small_segments(bench):
    """A peer whose segments find no room is answered, and goes on when there is some."""
    sock, peer = bench.active()
    for i in range(600):
        peer.send("PA", seq=1 + 100 * i, data=b"y" * 100)
    taken = peer.relative(peer.collect(0.3)[-1])[1] - 1
    check(taken >= 10_000, "hardly anything is taken")
    peer.send("PA", seq=1 + 100 * 600, data=b"q" * 100)
    peer.expect("A", after=(0, 1))
    got = 0
    while got < taken:
        got += len(sock.recv(65536))
    peer.send("PA", seq=1 + taken, data=b"r" * 100)
    check(peer.relative(peer.collect(0.3)[-1])[1] > taken + 100, "nothing more is taken after a read")


main()
