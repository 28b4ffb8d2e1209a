#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Data: what is sent when, what is acknowledged when, and what is sent again when."""

import socket
import sys

import packet
from packet import ESTABLISHED, about, between, case, check, either, equal, error_of, fails, state_of

MSS = 1000


def numbered(length, start=0):
    """Bytes that tell their place."""
    return bytes((place * 7 + (place >> 8)) & 255 for place in range(start, start + length))


def large_buffer(sock):
    """Room for all that a case sends at once."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 200000)


def starts(peer, segments):
    """The relative sequence numbers of the segments that carry data."""
    return [peer.relative(segment)[0] for segment in segments if segment.payload]


@either
def in_order(bench, connection):
    sock, peer = connection()
    sock.send(numbered(2500))
    received = b""
    for start, length in ((1, MSS), (1001, MSS), (2001, 500)):
        received += peer.expect("PA" if length < MSS else "A", seq=start, ack=1, length=length).payload
    equal(received, numbered(2500), "data")
    peer.send("A")
    peer.expect_nothing(5)
    peer.send("PA", data=numbered(700))
    peer.expect("A", seq=2501, ack=701, after=(0, 0.25))
    equal(sock.recv(2000), numbered(700), "data")


@either
def initial_window(bench, connection):
    """Ten segments before the first ACK, and slow start afterwards: one more for each that is acknowledged."""
    sock, peer = connection()
    large_buffer(sock)
    sock.send(bytes(60 * MSS))
    equal(starts(peer, peer.collect()), [1 + i * MSS for i in range(10)], "first flight")
    peer.send("A", ack=1 + 10 * MSS)
    equal(len(peer.collect()), 20, "segments in the second flight")
    peer.send("A", ack=1 + 30 * MSS)
    equal(len(peer.collect()), 30, "segments in the third flight")


@either
def full_send_buffer_ends_in_whole_segments(bench, connection):
    """A send buffer that is no multiple of the segment size is overdrawn, or a small segment would leave each time it is full."""
    sock, peer = connection()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 3700)
    lengths = []
    for _ in range(5):
        try:
            while True:
                sock.send(bytes(20 * MSS))
        except BlockingIOError:
            pass
        for segment in peer.collect():
            lengths.append(len(segment.payload))
            peer.send("A", ack=peer.relative(segment)[0] + len(segment.payload))
    check(len(lengths) >= 10, f"only {len(lengths)} segments")
    equal(set(lengths), {MSS}, "payload of the segments")


@case
def window_is_kept(bench):
    """Not a byte more than the peer's window, whatever the congestion window allows."""
    sock, peer = bench.active(window=4500)
    sock.send(bytes(20 * MSS))
    segments = peer.collect(0.1)
    last = segments[-1]
    end = peer.relative(last)[0] + len(last.payload)
    between(end - 1, (4000, 4500), "bytes sent")
    peer.send("A", ack=4001, window=3000)
    for segment in peer.collect(0.1):
        check(peer.relative(segment)[0] + len(segment.payload) <= 7001, "beyond the window")


@case
def window_scale_is_applied(bench):
    sock, peer = bench.connecting()
    syn = peer.expect("S")
    peer.send("SA", mss=MSS, ws=2, window=1000)
    peer.expect("A", seq=1, ack=1)
    # A SYN-ACK's own window is never scaled.
    sock.send(bytes(20 * MSS))
    between(sum(len(segment.payload) for segment in peer.collect(0.1)), (500, 1000), "bytes within the SYN-ACK's window")
    peer.send("A", ack=peer.received, window=1500)
    between(sum(len(segment.payload) for segment in peer.collect(0.1)), (2000, 6000), "bytes within the scaled window")
    check(syn.options["ws"] >= 1, "no scale offered")


@case
def nagle(bench):
    """A small segment waits while another is not acknowledged."""
    sock, peer = bench.active()
    sock.send(b"a")
    peer.expect("PA", seq=1, data=b"a")
    sock.send(b"b")
    sock.send(b"c")
    peer.expect_nothing(0.1)
    peer.send("A")
    peer.expect("PA", seq=2, data=b"bc")


@case
def nagle_lets_full_segments_go(bench):
    sock, peer = bench.active()
    sock.send(b"a")
    peer.expect("PA", seq=1, data=b"a")
    sock.send(bytes(MSS + 10))
    peer.expect("A", seq=2, length=MSS)
    peer.expect_nothing(0.1)
    peer.send("A")
    peer.expect("PA", seq=2 + MSS, length=10)


@case
def no_delay(bench):
    sock, peer = bench.active()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for place, byte in enumerate(b"abc"):
        sock.send(bytes([byte]))
        peer.expect("PA", seq=1 + place, data=bytes([byte]))


@case
def timeouts_back_off(bench):
    """Twice the time before each further attempt, from 200 ms; an ACK ends it."""
    sock, peer = bench.active()
    sock.send(b"hello")
    peer.expect("PA", seq=1, data=b"hello")
    wait = 0.2
    for _ in range(8):
        peer.expect("PA", seq=1, data=b"hello", after=wait)
        wait *= 2
    equal(state_of(sock), ESTABLISHED, "state")
    peer.send("A")
    peer.expect_nothing(200)
    sock.send(b"again")
    peer.expect("PA", seq=6, data=b"again")


TCP_THIN_LINEAR_TIMEOUTS = 16


def rehashes(sock):
    """How often another path was tried, by TCP_INFO."""
    return int.from_bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 280)[236:240], sys.byteorder)


@case
def thin_streams_time_out_evenly(bench):
    """Six times, where so little is in flight that only a time-out finds a loss."""
    for by_option in (True, False):
        sock, peer = bench.active()
        if by_option:
            fails("EINVAL", sock.setsockopt, socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 2)
            sock.setsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1)
            equal(sock.getsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS), 1, "option")
        else:
            bench.sysctl("tcp_thin_linear_timeouts", 1)
        sock.send(b"hello")
        peer.expect("PA", seq=1)
        for wait in (0.2,) * 7 + (0.4, 0.8):
            peer.expect("PA", seq=1, after=wait)
        peer.send("A")


@case
def thick_streams_back_off(bench):
    """With four segments in flight the option means nothing."""
    sock, peer = bench.active()
    sock.setsockopt(socket.IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS, 1)
    sock.send(bytes(4 * MSS))
    equal(len(peer.collect()), 4, "segments")
    last = peer.last_event
    for wait in (0.2, 0.4, 0.8):
        last = peer.expect("A", seq=1, after=about(wait), since=last).time


@case
def time_outs_try_other_paths(bench):
    sock, peer = bench.active()
    sock.send(b"hello")
    peer.expect("PA", seq=1)
    for count, wait in enumerate((0.2, 0.4, 0.8, 1.6, 3.2), 1):
        peer.expect("PA", seq=1, after=wait)
        equal(rehashes(sock), count, "rehashes")
    peer.send("A")


@either
def gives_up(bench, connection):
    """tcp_retries2 = 15: ETIMEDOUT after 924.6 s and 15 attempts, the later ones each two minutes."""
    sock, peer = connection()
    sock.send(b"hello")
    start = peer.expect("PA", seq=1).time
    wait = 0.2
    for _ in range(15):
        last = peer.expect("PA", seq=1, data=b"hello", after=min(wait, 120)).time
        wait *= 2
    end = wait_for_timeout(sock)
    between(end - last, about(120), "time after the last attempt")
    between(end - start, about(924.6), "time until ETIMEDOUT")
    peer.expect_nothing(300)


def wait_for_timeout(sock):
    """The moment when ETIMEDOUT comes."""
    poll = packet.select.poll()
    poll.register(sock, 0)
    check(poll.poll(3000 * 1000), "no error comes")
    end = packet.time.monotonic()
    equal(error_of(sock), "ETIMEDOUT", "SO_ERROR")
    equal(state_of(sock), packet.CLOSE, "state")
    return end


@case
def gives_up_by_sysctl(bench):
    bench.sysctl("tcp_retries2", 3)
    sock, peer = bench.active()
    sock.send(b"hello")
    start = peer.expect("PA", seq=1).time
    for wait in (0.2, 0.4, 0.8):
        peer.expect("PA", seq=1, after=wait)
    between(wait_for_timeout(sock) - start, about(3), "time until ETIMEDOUT")
    fails("EPIPE", sock.send, b"x")


@case
def timeout_follows_round_trip(bench):
    """After a few round trips of 500 ms the timeout is longer than that."""
    sock, peer = bench.connecting()
    peer.timestamps = peer.expect("S").options["ts"][0]
    packet.time.sleep(0.5)
    peer.send("SA", mss=MSS)
    peer.expect("A", seq=1, ack=1)
    for i in range(10):
        sock.send(b"x")
        peer.expect("PA", seq=1 + i)
        peer.expect_nothing(0.5)
        peer.send("A")
    sock.send(b"y")
    peer.expect("PA", seq=11)
    peer.expect("PA", seq=11, after=(0.55, 1.2))


@case
def timeout_slows_down(bench):
    """After a timeout one segment goes, and the congestion window grows again from there."""
    sock, peer = bench.active("mss")
    sock.send(bytes(10 * MSS))
    equal(len(peer.collect()), 10, "first flight")
    peer.expect("A", seq=1, length=MSS, after=(0.1, 0.3))
    peer.expect_nothing(0.1)
    peer.send("A", ack=1001)
    segments = peer.collect()
    between(len(segments), (1, 3), "segments after the first ACK")
    equal(starts(peer, segments)[0], 1001, "next")


def first_flight(bench, options, window=65535):
    """A connection with twelve segments under way; the first of them was acknowledged, and 1001 is next."""
    sock, peer = bench.active(options, window)
    sock.send(bytes(12 * MSS))
    equal(len(peer.collect()), 10, "first flight")
    peer.send("A", ack=1001)
    equal(len(peer.collect()), 2, "segments after the first ACK")
    return sock, peer


@case
def fast_retransmit(bench):
    """The third duplicate ACK is the sign of loss; the hole is filled at once."""
    sock, peer = first_flight(bench, "mss")
    for _ in range(2):
        peer.send("A", ack=1001)
    equal(starts(peer, peer.collect()), [], "sent after two duplicates")
    peer.send("A", ack=1001)
    equal(starts(peer, peer.collect())[:1], [1001], "retransmitted after three duplicates")
    # All arrived after that.
    peer.send("A", ack=1 + 12 * MSS)
    peer.expect_nothing(5)
    equal(error_of(sock), None, "SO_ERROR")


@case
def fast_retransmit_with_sack(bench):
    sock, peer = first_flight(bench, "mss sack")
    for end in (3001, 4001, 5001):
        peer.send("A", ack=1001, sack=[(2001, end)])
    equal(starts(peer, peer.collect())[:1], [1001], "retransmitted")
    peer.send("A", ack=1 + 12 * MSS)
    peer.expect_nothing(5)
    equal(error_of(sock), None, "SO_ERROR")


@case
def two_holes(bench):
    """A partial ACK shows the second hole, which is filled at once too."""
    _, peer = first_flight(bench, "mss")
    for _ in range(3):
        peer.send("A", ack=1001)
    equal(starts(peer, peer.collect())[:1], [1001], "first hole")
    peer.send("A", ack=4001)
    check(4001 in starts(peer, peer.collect()), "second hole not filled at once")
    peer.send("A", ack=1 + 12 * MSS)
    peer.expect_nothing(5)


@case
def window_update_is_no_duplicate(bench):
    """ACKs that bring a new window are not counted as signs of loss."""
    _, peer = first_flight(bench, "mss", 60000)
    for window in (61000, 62000, 63000, 64000, 65000):
        peer.send("A", ack=1001, window=window)
    equal(starts(peer, peer.collect()), [], "retransmitted")


@case
def window_halves_after_loss(bench):
    sock, peer = bench.active("mss")
    large_buffer(sock)
    sock.send(bytes(100 * MSS))
    peer.collect()
    peer.send("A", ack=1 + 10 * MSS)
    equal(len(peer.collect()), 20, "second flight")
    for _ in range(3):
        peer.send("A", ack=1 + 10 * MSS)
    peer.collect()
    peer.send("A", ack=peer.received)
    segments = peer.collect()
    between(len(segments), (5, 16), "segments in flight after recovery")


@case
def retransmission_is_not_repeated(bench):
    """Further duplicates of the same hole bring no second copy of it."""
    _, peer = first_flight(bench, "mss")
    for _ in range(9):
        peer.send("A", ack=1001)
    equal(starts(peer, peer.collect()).count(1001), 1, "copies of the lost segment")


@case
def retransmission_fits_new_edges(bench):
    """What is sent again is the same bytes."""
    sock, peer = bench.active("mss")
    data = numbered(3000)
    sock.send(data)
    peer.collect()
    peer.send("A", ack=501)
    segment = peer.expect("A", after=(0, 0.3), seq=501)
    equal(segment.payload, data[500:500 + len(segment.payload)], "data")
    check(segment.payload, "nothing in it")


@either
def out_of_order(bench, connection):
    """Later data is kept; each such segment is answered at once, with a block that names it."""
    sock, peer = connection()
    peer.send("A", seq=1001, data=numbered(MSS, 1000))
    answer = peer.expect("A", seq=1, ack=1)
    equal(blocks(peer, answer), [(1001, 2001)], "SACK")
    peer.send("A", seq=3001, data=numbered(MSS, 3000))
    answer = peer.expect("A", seq=1, ack=1)
    # The newest comes first.
    equal(blocks(peer, answer), [(3001, 4001), (1001, 2001)], "SACK")
    fails("EAGAIN", sock.recv, 1)
    peer.send("A", seq=1, data=numbered(MSS, 0))
    answer = peer.expect("A", seq=1, ack=2001)
    equal(blocks(peer, answer), [(3001, 4001)], "SACK")
    equal(sock.recv(10000), numbered(2000), "data")
    peer.send("A", seq=2001, data=numbered(MSS, 2000))
    answer = peer.expect("A", seq=1, ack=4001)
    equal(blocks(peer, answer), [], "SACK")
    equal(sock.recv(10000), numbered(2000, 2000), "data")


def blocks(peer, segment):
    """The segment's SACK blocks, relative."""
    return [tuple((number - peer.iss) % packet.MODULUS for number in block) for block in segment.options.get("sack", [])]


@case
def out_of_order_without_sack(bench):
    sock, peer = bench.active("mss")
    for start in (1001, 2001, 3001):
        peer.send("A", seq=start, data=numbered(MSS, start - 1))
        equal(peer.expect("A", seq=1, ack=1).options, {}, "options")
    peer.send("A", seq=1, data=numbered(MSS))
    peer.expect("A", seq=1, ack=4001)
    equal(sock.recv(10000), numbered(4000), "data")


@case
def overlapping(bench):
    """Pieces that overlap in every way, out of order, make one stream."""
    sock, peer = bench.active("mss")
    for start, length in ((500, 100), (550, 100), (450, 100), (700, 50), (690, 70), (640, 30), (400, 300), (300, 50),
                          (0, 1), (0, 310), (340, 70), (0, 100), (750, 250), (200, 800)):
        peer.send("A", seq=1 + start, data=numbered(length, start))
        peer.collect(0.001)
    equal(sock.recv(10000), numbered(1000), "data")
    peer.send("A", seq=1, data=numbered(1500))
    peer.expect("A", ack=1501, after=(0, 0.25))
    equal(sock.recv(10000), numbered(500, 1000), "data")


@case
def acks_are_delayed(bench):
    """In a dialogue a lone small segment is acknowledged late, in case an answer can carry the ACK."""
    sock, peer = bench.active()
    peer.send("PA", data=b"question")
    sock.send(b"answer")
    equal(peer.collect()[-1].payload, b"answer", "data")
    peer.send("A")
    peer.send("PA", data=b"another")
    peer.expect("A", ack=16, length=0, after=(0.03, 0.25))


@case
def answers_carry_the_ack(bench):
    """In a dialogue there is one segment each way per question and answer."""
    sock, peer = bench.active()
    peer.send("PA", data=b"question")
    sock.send(b"answer")
    equal(peer.collect()[-1].payload, b"answer", "data")
    for i in range(1, 5):
        peer.send("PA", data=b"question")
        sock.send(b"answer")
        peer.expect("PA", seq=1 + 6 * i, ack=9 + 8 * i, data=b"answer")
    peer.send("A")
    peer.expect_nothing(1)


@case
def second_full_segment_is_acknowledged(bench):
    """Two full segments never wait."""
    sock, peer = bench.active()
    total = 0
    for _ in range(10):
        for _ in range(2):
            peer.send("A", data=bytes(MSS))
            total += MSS
        equal(len(sock.recv(10000)), 2 * MSS, "data")
        acks = peer.collect(0.01)
        check(acks, "two full segments and no ACK")
        equal(peer.relative(acks[-1])[1], 1 + total, "ack")
        check(len(acks) <= 2, "more ACKs than segments")


@case
def window_closes_and_opens(bench):
    """The receiver's window: its right edge never moves left, 0 when full, told when there is room again."""
    sock, peer = bench.connecting()
    sock.close()
    sock = packet.new_socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 10000)
    peer.collect()
    bench.ports += 1
    peer = packet.Peer(bench, bench.ports, None)
    sock.connect_ex((packet.THERE, peer.port))
    scale = peer.expect("S").options["ws"]
    peer.send("SA", mss=MSS, ws=0)
    segment = peer.expect("A", seq=1, ack=1)
    edge = 1 + (segment.window << scale)
    sent = 0
    window = segment.window << scale
    while window >= MSS:
        peer.send("A", data=numbered(MSS, sent))
        sent += MSS
        segment = peer.expect("A", ack=1 + sent, after=(0, 0.25))
        window = segment.window << scale
        check(1 + sent + window >= edge, "the right edge moved left")
        edge = 1 + sent + window
    if window:
        peer.send("PA", data=numbered(window, sent))
        sent += window
        segment = peer.expect("A", ack=1 + sent, after=(0, 0.25))
        window = segment.window << scale
    # What is sent into a shut window is not taken, but answered.
    if window == 0:
        peer.send("A", seq=1 + sent, data=b"x")
        peer.expect("A", ack=1 + sent, after=(0, 0.6))
    got = b""
    while len(got) < sent:
        got += sock.recv(sent)
    equal(got, numbered(sent), "data")
    update = peer.expect("A", ack=1 + sent, length=0, since=packet.time.monotonic())
    between(update.window << scale, (2 * MSS, 20000), "window after reading")


def shut_window(bench):
    """A connection whose peer has let all in and no more."""
    sock, peer = bench.active(window=4000)
    sock.send(bytes(10 * MSS))
    equal(len(peer.collect()), 4, "first flight")
    peer.send("A", window=0)
    return sock, peer


@case
def zero_window_is_probed(bench):
    """With back-off, without ever sending new data that would not fit."""
    sock, peer = shut_window(bench)
    wait = 0.2
    for _ in range(8):
        probe = peer.expect("A", after=(0.15, 0.3) if wait == 0.2 else wait)
        check_probe(peer, probe)
        peer.send("A", window=0)
        wait *= 2
    peer.send("A", window=4000)
    segments = peer.collect()
    equal(sum(len(segment.payload) for segment in segments), 4 * MSS, "bytes after the window opened")
    equal(starts(peer, segments)[0], 4001, "first of them")


def check_probe(peer, probe):
    """A probe: an old number or the first byte that does not fit."""
    seq, _ = peer.relative(probe)
    check((seq, len(probe.payload)) in ((4000, 0), (4000, 1), (4001, 1)), f"a probe of {seq} with {len(probe.payload)}")


@case
def zero_window_lasts(bench):
    """As long as the peer answers, an hour and more of zero window is no error; the longest pause is two minutes."""
    sock, peer = shut_window(bench)
    start = packet.time.monotonic()
    pause = 0.0
    while packet.time.monotonic() - start < 2 * 3600:
        before = packet.time.monotonic()
        probe = bench.receive(peer, 200)
        check(probe, "no probe within 200 s")
        check_probe(peer, probe)
        pause = packet.time.monotonic() - before
        peer.send("A", window=0)
    between(pause, about(120), "pause between the last probes")
    equal(state_of(sock), ESTABLISHED, "state")
    equal(error_of(sock), None, "SO_ERROR")
    peer.send("A", window=10000)
    equal(sum(len(segment.payload) for segment in peer.collect()), 6 * MSS, "bytes after the window opened")


@case
def zero_window_and_silence(bench):
    """When nobody answers the probes, the connection ends as with lost data."""
    bench.sysctl("tcp_retries2", 5)
    sock, peer = shut_window(bench)
    start = packet.time.monotonic()
    between(wait_for_timeout(sock) - start, (6, 30), "time until ETIMEDOUT")


@case
def window_update_while_shut(bench):
    """The peer tells of room by itself; no probe is needed."""
    sock, peer = shut_window(bench)
    peer.expect_nothing(0.1)
    peer.send("A", window=1000)
    peer.expect("A", seq=4001, length=1000)
    peer.send("A", window=0)
    peer.expect_nothing(0.1)
    peer.send("A", window=5000)
    equal(sum(len(segment.payload) for segment in peer.collect()), 5 * MSS, "bytes after the window opened")


@case
def silly_windows_are_not_used(bench):
    """A window of a few bytes waits until it has grown, while other data is under way."""
    sock, peer = shut_window(bench)
    peer.send("A", window=50)
    peer.expect_nothing(0.1)
    peer.send("A", window=2000)
    peer.expect("A", seq=4001, length=MSS)


@case
def push_marks_the_end(bench):
    """PSH on the last segment of a write."""
    sock, peer = bench.active()
    sock.send(bytes(3 * MSS))
    flags = [segment.flags for segment in peer.collect()]
    equal(flags, ["A", "A", "PA"] if flags[0] == "A" else ["PA", "PA", "PA"], "flags")


@case
def timestamps_echo(bench):
    """TSecr is the peer's last TSval in order; TSval never goes back."""
    sock, peer = bench.active("mss ts")
    last = peer.timestamps
    base = peer.clock()
    for i in range(5):
        stamp = base + i * 1000
        peer.send("PA", data=b"x", ts=(stamp, last))
        answer = peer.expect("A", ack=2 + i, after=(0, 0.25))
        equal(answer.options["ts"][1], stamp, "echo")
        check(answer.options["ts"][0] >= last, "TSval went back")
        last = answer.options["ts"][0]
        packet.time.sleep(0.01)


@case
def old_timestamps_are_refused(bench):
    """PAWS: a segment from the past is answered and dropped."""
    sock, peer = bench.active("mss ts")
    peer.send("PA", data=b"new", ts=(peer.clock() + 100000, peer.timestamps))
    peer.expect("A", ack=4, after=(0, 0.25))
    equal(sock.recv(10), b"new", "data")
    peer.send("PA", data=b"old", ts=(peer.clock() - 100000, peer.timestamps))
    peer.expect("A", ack=4)
    fails("EAGAIN", sock.recv, 10)


@case
def many_pieces_out_of_order(bench):
    """A thousand holes, then the data that fills them, the last first."""
    sock, peer = bench.active("mss")
    for i in range(200, 0, -1):
        peer.send("A", seq=1 + i * 10, data=numbered(10, i * 10))
    peer.collect(0.001)
    peer.send("A", seq=1, data=numbered(10))
    peer.expect("A", ack=2011, after=(0, 0.25))
    equal(sock.recv(10000), numbered(2010), "data")


packet.main()
