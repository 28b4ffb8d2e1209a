#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Redirects: a router knows a better way to the peer (RFC 792, RFC 4861 section 8)."""

import socket
import struct
import subprocess

import internet
from internet import choose
from packet import HERE, THERE, case, case_v4, case_v6, check, equal, main, run

OLD = choose("10.0.0.254", "fe80::fe")
NEW = choose("10.0.0.253", "fe80::fd")
OTHER = choose("10.0.0.252", "fe80::fc")
FAMILY_V6 = choose("", "-6 ")
WORD = choose("ip", "ip6")


def routed():
    """The way to the peer is by a router; counters tell by which."""
    run(f"ip {FAMILY_V6}route add {THERE} via {OLD} dev tun0")
    run("nft add table inet t && nft 'add chain inet t out { type filter hook output priority 0; }'")
    for name, hop in ("old", OLD), ("new", NEW):
        run(f"nft add counter inet t {name} && "
            f"nft add rule inet t out {WORD} daddr {THERE} rt {WORD} nexthop {hop} counter name {name}")


def by_router(bench, connection=None):
    """A connection by a router, and a segment of it that is under way."""
    routed()
    sock, peer = (connection or bench.active)()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.send(b"x" * 100)
    return sock, peer, peer.expect("PA", seq=1, length=100)


def count(name):
    """Packets that left by a router."""
    text = subprocess.run(f"nft list counter inet t {name}", shell=True, check=True, capture_output=True, text=True).stdout
    return int(text.split("packets")[1].split()[0])


def redirect(bench, segment, source=OLD, to=NEW, code=None, hops=255, cut=None):
    """Tells of a better first hop for a segment."""
    quoted = segment.pack(HERE, THERE)
    bench.trace("<", f"redirect from {source} to {to}")
    if internet.V6:
        quoted = quoted[:cut or len(quoted)]
        quoted += bytes(-len(quoted) % 8)
        body = struct.pack("!BBHI", 137, code or 0, 0, 0) + internet.raw(to) + internet.raw(THERE)
        # An option that says nothing here comes first: the address of the router's link.
        body += struct.pack("!BB6x", 2, 1)
        body += struct.pack("!BB6x", 4, 1 + len(quoted) // 8) + quoted
        total = internet.checksum_of(internet.raw(source), internet.raw(HERE), internet.ICMP, body)
    else:
        body = struct.pack("!BBH", 5, 1 if code is None else code, 0) + internet.raw(to) + quoted[:cut or 28]
        total = internet.checksum(body)
    body = body[:2] + struct.pack("!H", total) + body[4:]
    bench.tun.write(internet.pack(source, HERE, internet.ICMP, body, hops=hops))


def goes_by(sock, peer, name):
    """What is sent next goes by this router."""
    before = {router: count(router) for router in ("old", "new")}
    sock.send(b"y" * 10)
    peer.collect()
    after = {router: count(router) for router in ("old", "new")}
    seen = {router for router in after if after[router] > before[router]}
    equal(seen, {name}, "routers that were used")


@case
def followed(bench):
    """The next segment goes where the router says, and so does a connection that is made then."""
    sock, peer, segment = by_router(bench)
    goes_by(sock, peer, "old")
    redirect(bench, segment)
    goes_by(sock, peer, "new")
    check(count("old"), "nothing went by the first router")
    sock, peer = bench.active()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    goes_by(sock, peer, "new")


@case
def accepted_follow(bench):
    """The same for a connection that the peer opened."""
    sock, peer, segment = by_router(bench, bench.passive)
    redirect(bench, segment)
    goes_by(sock, peer, "new")


@case
def of_another_connection(bench):
    """What quotes nothing that is under way is not believed."""
    sock, peer, segment = by_router(bench)
    segment.seq = (segment.seq + 1000) % (1 << 32)
    redirect(bench, segment)
    segment.seq = (segment.seq - 1000) % (1 << 32)
    segment.sport += 1
    redirect(bench, segment)
    goes_by(sock, peer, "old")


@case_v4
def of_another_router(bench):
    """Only the router in use may say so (RFC 1122 section 3.2.2.2)."""
    sock, peer, segment = by_router(bench)
    redirect(bench, segment, source=OTHER)
    goes_by(sock, peer, "old")


@case_v6
def from_afar(bench):
    """Only a neighbour may say so (RFC 4861 section 8.1)."""
    sock, peer, segment = by_router(bench)
    redirect(bench, segment, hops=254)
    redirect(bench, segment, source="fd10::fe")
    redirect(bench, segment, code=1)
    goes_by(sock, peer, "old")


@case
def not_accepted(bench):
    """accept_redirects"""
    for name in "all", "tun0":
        internet.write_setting(f"{choose('ipv4', 'ipv6')}/conf/{name}/accept_redirects", 0)
    sock, peer, segment = by_router(bench)
    redirect(bench, segment)
    goes_by(sock, peer, "old")


@case
def cut_short(bench):
    """What does not quote enough says nothing."""
    sock, peer, segment = by_router(bench)
    for cut in (1, 8, choose(20, 40), choose(24, 44)):
        redirect(bench, segment, cut=cut)
    goes_by(sock, peer, "old")


main()
