#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""TIME-WAIT and a new connection between the same ends; and the namespace's limit of challenge ACKs."""

import time

import packet
from packet import SYN_SENT, case, check, counter, equal, fails, state_of

BEYOND = 65537  # how far a new connection's numbers lie beyond what the old one sent


def outgoing(bench, peer_port=7777, local=None):
    """A socket that begins to connect, perhaps from a given port."""
    sock = packet.new_socket()
    if local:
        sock.setsockopt(packet.socket.SOL_SOCKET, packet.socket.SO_REUSEADDR, 1)
        sock.bind((packet.HERE, local))
    code = sock.connect_ex((packet.THERE, peer_port))
    return sock, packet.errno.errorcode.get(code)


def waiting(bench, options="mss ts", local=None, peer_port=7777):
    """A connection in TIME-WAIT; its peer, as it was."""
    sock, code = outgoing(bench, peer_port, local)
    equal(code, "EINPROGRESS", "connect")
    peer = packet.Peer(bench, peer_port, None)
    syn = peer.expect("S")
    if "ts" in options:
        peer.timestamps = syn.options["ts"][0]
    peer.send("SA", **peer.offer(options))
    peer.expect("A")
    sock.close()
    peer.expect("FA", seq=1)
    peer.send("FA", ack=2)
    last = peer.expect("A", seq=2, ack=2)
    return peer, last


def follower(bench, peer):
    """The other end of a connection between the same ports."""
    again = packet.Peer(bench, peer.port, peer.remote_port, iss=900000)
    syn = again.expect("S")
    return again, syn


def one_port(bench):
    bench.sysctl("ip_local_port_range", "40000 40000")


@case
def connect_waits_without_reuse(bench):
    one_port(bench)
    bench.sysctl("tcp_tw_reuse", 0)
    waiting(bench)
    time.sleep(10)
    _, code = outgoing(bench)
    equal(code, "EADDRNOTAVAIL", "connect")
    time.sleep(55)
    sock, code = outgoing(bench)
    equal(code, "EINPROGRESS", "connect")


@case
def connect_takes_over(bench):
    """After a second, beyond all that the old connection sent; the SYN echoes what it heard last."""
    one_port(bench)
    bench.sysctl("tcp_tw_reuse", 1)
    peer, last = waiting(bench)
    _, code = outgoing(bench)
    equal(code, "EADDRNOTAVAIL", "connect at once")
    time.sleep(1.1)
    sock, code = outgoing(bench)
    equal(code, "EINPROGRESS", "connect")
    again, syn = follower(bench, peer)
    equal((syn.seq - peer.irs) % packet.MODULUS, 2 + BEYOND, "sequence number")
    equal(syn.options["ts"][1], last.options["ts"][1], "echoed timestamp")
    check((syn.options["ts"][0] - last.options["ts"][0]) % packet.MODULUS < 5000, "the clock goes on")
    again.timestamps = syn.options["ts"][0]
    again.send("SA", mss=1000)
    again.expect("A", seq=1, ack=1)
    # Nothing is left of the old connection.
    peer.send("FA", seq=1, ack=2)
    again.expect("A", seq=1, ack=1)


@case
def connect_waits_as_long_as_told(bench):
    one_port(bench)
    bench.sysctl("tcp_tw_reuse", 1)
    bench.sysctl("tcp_tw_reuse_delay", 5000)
    waiting(bench)
    time.sleep(4.5)
    _, code = outgoing(bench)
    equal(code, "EADDRNOTAVAIL", "connect")
    time.sleep(0.6)
    _, code = outgoing(bench)
    equal(code, "EINPROGRESS", "connect")


@case
def connect_never_without_timestamps(bench):
    one_port(bench)
    bench.sysctl("tcp_tw_reuse", 1)
    waiting(bench, "mss")
    time.sleep(5)
    _, code = outgoing(bench)
    equal(code, "EADDRNOTAVAIL", "connect")


@case
def connect_takes_over_on_loopback_only(bench):
    """tcp_tw_reuse 2, the default."""
    one_port(bench)
    waiting(bench)
    time.sleep(5)
    _, code = outgoing(bench)
    equal(code, "EADDRNOTAVAIL", "connect")


@case
def bound_port_takes_over_at_once(bench):
    """Whoever chose the port himself does not wait, whatever tcp_tw_reuse says."""
    bench.sysctl("tcp_tw_reuse", 0)
    peer, _ = waiting(bench, local=4444)
    _, code = outgoing(bench, local=4444)
    equal(code, "EINPROGRESS", "connect")
    _, syn = follower(bench, peer)
    equal((syn.seq - peer.irs) % packet.MODULUS, 2 + BEYOND, "sequence number")


@case
def bound_port_waits_without_timestamps(bench):
    waiting(bench, "mss", local=4444)
    _, code = outgoing(bench, local=4444)
    equal(code, "EADDRNOTAVAIL", "connect")


@case
def a_failed_take_over_leaves_no_wait(bench):
    """The new connection is refused: a third one finds nothing in its way."""
    one_port(bench)
    bench.sysctl("tcp_tw_reuse", 1)
    peer, _ = waiting(bench)
    time.sleep(1.1)
    sock, _ = outgoing(bench)
    again, _ = follower(bench, peer)
    again.send("RA", ack=1)
    equal(packet.error_of(sock), "ECONNREFUSED", "SO_ERROR")
    sock.close()
    sock, code = outgoing(bench)
    equal((code, state_of(sock)), ("EINPROGRESS", SYN_SENT), "connect")


def served(bench, options="mss ts"):
    """A listener and a peer whose connection to it, closed by the listener's side, is in TIME-WAIT."""
    listener = bench.listening()
    sock, peer = bench.passive(options, listener=listener)
    sock.close()
    peer.expect("FA", seq=1)
    peer.send("FA", ack=2)
    peer.expect("A", seq=2, ack=2)
    return listener, peer


@case
def syn_in_time_wait(bench):
    """A SYN beyond the old connection's numbers opens a new one."""
    listener, peer = served(bench, "mss")
    again = packet.Peer(bench, peer.port, 8080, iss=peer.iss + 70000)
    again.send("S", mss=1000)
    answer = again.expect("SA", seq=0, ack=1)
    equal((answer.seq - peer.irs) % packet.MODULUS, 2 + BEYOND, "sequence number")
    again.send("A")
    packet.accept(listener)


@case
def syn_in_time_wait_by_timestamp(bench):
    """Or one with a newer timestamp, whatever its number."""
    listener, peer = served(bench)
    time.sleep(0.2)
    again = packet.Peer(bench, peer.port, 8080, iss=peer.iss - 70000)
    again.send("S", mss=1000, ts=(again.clock(), 0))
    answer = again.expect("SA", seq=0, ack=1)
    again.timestamps = answer.options["ts"][0]
    again.send("A")
    packet.accept(listener)


@case
def syn_in_time_wait_passes_a_full_queue(bench):
    """Its place in the SYN queue is not asked for."""
    bench.sysctl("tcp_syncookies", 0)
    listener, peer = served(bench, "mss")
    listener.listen(0)
    first = bench.caller()
    first.send("S", mss=1000)
    first.expect("SA")
    refused = bench.caller()
    refused.send("S", mss=1000)
    refused.expect_nothing(0.1)
    again = packet.Peer(bench, peer.port, 8080, iss=peer.iss + 70000)
    again.send("S", mss=1000)
    again.expect("SA", seq=0, ack=1)


@case
def old_syn_in_time_wait(bench):
    """An old duplicate is answered with the last ACK, and not too often."""
    _, peer = served(bench, "mss")
    peer.send("S", seq=0, mss=1000)
    peer.expect("A", seq=2, ack=2)
    peer.send("S", seq=0, mss=1000)
    peer.expect_nothing(0.4)
    time.sleep(0.2)
    peer.send("S", seq=0, mss=1000)
    peer.expect("A", seq=2, ack=2)


@case
def reset_in_time_wait(bench):
    listener, peer = served(bench, "mss")
    peer.send("R", seq=2)
    peer.send("A", seq=2, ack=2)
    peer.expect("R", seq=2)


@case
def reset_in_time_wait_rfc1337(bench):
    bench.sysctl("tcp_rfc1337", 1)
    _, peer = served(bench, "mss")
    peer.send("R", seq=2)
    peer.send("FA", seq=1, ack=2)
    peer.expect("A", seq=2, ack=2)


@case
def challenges_of_one_connection(bench):
    """At most one in tcp_invalid_ratelimit milliseconds."""
    _, peer = bench.passive("mss")
    before = counter("TCPChallengeACK")
    for _ in range(3):
        peer.send("R", seq=5)
    equal(len(peer.collect(0.3)), 1, "challenge ACKs")
    equal(counter("TCPChallengeACK") - before, 1, "TCPChallengeACK")


def challenges(bench, peers, limit):
    """How many of the peers are challenged within a second."""
    bench.sysctl("tcp_challenge_ack_limit", limit)
    time.sleep(1.01 - time.monotonic() % 1)
    answers = 0
    for peer in peers:
        for _ in range(10):
            peer.send("R", seq=5)
        answers += len(peer.collect(0.001))
    return answers


@case
def challenges_of_a_namespace(bench):
    """In each second another number, half to one and a half times tcp_challenge_ack_limit."""
    bench.sysctl("tcp_invalid_ratelimit", 0)
    listener = bench.listening()
    peers = [bench.passive("mss", listener=listener)[1] for _ in range(5)]
    seen = {challenges(bench, peers, 20) for _ in range(12)}
    check(min(seen) >= 10 and max(seen) <= 30, f"challenge ACKs in a second: {sorted(seen)}")
    check(len(seen) > 2, f"always {sorted(seen)}")
    equal(challenges(bench, peers, 2147483647), 50, "without a limit")


@case
def acknowledgments_are_no_challenges(bench):
    """What is owed to the peer is sent whatever the limit: here one challenge in a second."""
    bench.sysctl("tcp_challenge_ack_limit", 1)
    listener = bench.listening()
    peers = [bench.passive("mss", listener=listener)[1] for _ in range(2)]
    time.sleep(1.01 - time.monotonic() % 1)
    for peer, answers in zip(peers, (1, 0)):
        peer.send("R", seq=5)
        equal(len(peer.collect(0.01)), answers, "challenge ACKs")
    peers[1].send("PA", seq=1, data=b"x")
    peers[1].expect("A", ack=2, after=(0, 0.3))
    peers[1].send("PA", seq=1, data=b"x")
    peers[1].expect("A", ack=2)


packet.main()
