#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What IPv6 alone has: extension headers, fragments, flow labels, addresses of a link, and IPv4 beside it."""

import errno
import socket
import struct

import internet
import packet
from packet import ESTABLISHED, HERE, THERE, accept, case_v6, check, equal, fails, state_of

HOP, ROUTING, FRAGMENT, DESTINATION = 0, 43, 44, 60
FLOWINFO_SEND, AUTOFLOWLABEL = 33, 70  # IPV6_FLOWINFO_SEND, IPV6_AUTOFLOWLABEL
PADDING = bytes([1, 4, 0, 0, 0, 0])    # an option PadN that fills a header of eight octets


def behind(whole, *headers):
    """The packet with extension headers, each given as its number and what follows its first octet."""
    data, following = whole[40:], whole[6]
    for number, rest in reversed(headers):
        data, following = bytes([following]) + rest + data, number
    return whole[:4] + struct.pack("!HB", len(data), following) + whole[7:40] + data


def options(number, data):
    """An extension header with options."""
    check(len(data) % 8 == 6, "length of options")
    return number, bytes([len(data) // 8]) + data


def label_of(whole):
    """The flow label."""
    return int.from_bytes(whole[:4], "big") & 0xfffff


def next_label(bench):
    """The flow label of the next segment."""
    while True:
        whole = bench.tun.read(2)
        check(whole, "no segment")
        if internet.unpack(whole).protocol == internet.TCP:
            return label_of(whole)


def segment(peer, flags, seq, ack=0, data=b"", source=THERE):
    """A segment of the peer's that is not sent yet."""
    numbers = (peer.iss + seq) % packet.MODULUS, peer.remote(ack) if "A" in flags else 0
    return packet.Segment(peer.port, peer.remote_port, *numbers, flags, 65535, {}, data).pack(source, HERE)


def labelled(whole, label):
    """The packet with a flow label."""
    word = int.from_bytes(whole[:4], "big") & ~0xfffff | label
    return word.to_bytes(4, "big") + whole[4:]


@case_v6
def segments_behind_options(bench):
    """What a host may skip, it skips."""
    listener = bench.listening()
    peer = bench.caller()
    unknown = options(DESTINATION, bytes([0x1e, 4, 1, 2, 3, 4]))
    bench.tun.write(behind(segment(peer, "S", 0), options(DESTINATION, PADDING)))
    peer.next = 1
    peer.expect("SA", seq=0, ack=1)
    bench.tun.write(behind(segment(peer, "A", 1, 1), options(HOP, PADDING), unknown))
    sock = accept(listener)
    ended = ROUTING, bytes([0, 200, 0]) + bytes(4)
    bench.tun.write(behind(segment(peer, "PA", 1, 1, b"data"), options(HOP, PADDING), ended, options(DESTINATION, PADDING)))
    peer.next = 5
    peer.expect("A", ack=5, after=(0, 0.25))
    equal(sock.recv(100), b"data", "data")


@case_v6
def options_that_must_be_known(bench):
    """A packet with an option that nobody may skip is not heard, and its sender told if he asks."""
    listener = bench.listening()
    peer = bench.caller()
    for kind, told in (0x5e, False), (0x9e, True), (0xde, True):
        bench.tun.write(behind(segment(peer, "S", 0), options(DESTINATION, bytes([kind, 4, 1, 2, 3, 4]))))
        answer = bench.tun.read(0.5)
        equal(answer is not None, told, f"answer to an option {kind:#x}")
        if answer:
            answer = internet.unpack(answer)
            equal((answer.protocol, answer.data[0], answer.data[1]), (internet.ICMP, 4, 2), "answer")
    fails("EAGAIN", listener.accept)
    peer.send("S")
    peer.expect("SA", ack=1)


@case_v6
def fragments(bench):
    """A segment in pieces is heard as a whole, whatever their order."""
    sock, peer = bench.passive()
    whole = segment(peer, "PA", 1, 1, bytes(range(200)))
    data = whole[40:]
    pieces = [(0, data[:64], 1), (64, data[64:128], 1), (128, data[128:], 0)]
    for offset, part, more in (pieces[2], pieces[0], pieces[1]):
        header = struct.pack("!BBHI", internet.TCP, 0, offset | more, 7)
        bench.tun.write(whole[:4] + struct.pack("!HB", len(header + part), FRAGMENT) + whole[7:40] + header + part)
    peer.next = 201
    peer.expect("A", ack=201, after=(0, 0.25))
    equal(sock.recv(1000), bytes(range(200)), "data")


@case_v6
def one_label_for_a_connection(bench):
    """Without an application's wish the host makes a flow label, one for all segments of a connection (RFC 6437)."""
    listener = bench.listening()
    peer = bench.caller()
    peer.send("S")
    label = next_label(bench)
    check(label, "the SYN-ACK has no flow label")
    peer.irs = 0  # not looked at here
    bench.tun.write(segment(peer, "R", 1))
    peer = bench.caller()
    peer.send("S", mss=1000)
    whole = bench.tun.read(1)
    answer = packet.Segment.unpack(whole)
    peer.irs = answer.seq
    peer.received = 1
    peer.send("A")
    sock = accept(listener)
    sock.send(b"data")
    equal(next_label(bench), label_of(whole), "flow label of data, as of the SYN-ACK")


@case_v6
def reflected_label(bench):
    """flowlabel_reflect: a SYN-ACK has its peer's flow label."""
    internet.write_setting("ipv6/flowlabel_reflect", 1)
    bench.listening()
    peer = bench.caller()
    bench.tun.write(labelled(segment(peer, "S", 0), 0x12345))
    equal(next_label(bench), 0x12345, "flow label of the SYN-ACK")


@case_v6
def label_of_the_caller(bench):
    """IPV6_FLOWINFO_SEND: connect names the label."""
    sock = packet.new_socket()
    sock.setsockopt(socket.IPPROTO_IPV6, FLOWINFO_SEND, 1)
    sock.connect_ex((THERE, 40000, 0x54321))
    equal(next_label(bench), 0x54321, "flow label of the SYN")
    check(sock.getsockopt(socket.IPPROTO_IPV6, FLOWINFO_SEND), "the option is off")


@case_v6
def no_label(bench):
    """IPV6_AUTOFLOWLABEL off: none is made."""
    sock = packet.new_socket()
    sock.setsockopt(socket.IPPROTO_IPV6, AUTOFLOWLABEL, 0)
    sock.connect_ex((THERE, 40000))
    equal(next_label(bench), 0, "flow label of the SYN")


@case_v6
def peers_of_both_versions(bench):
    """A listener at no address hears IPv4 too, unless IPV6_V6ONLY is set."""
    packet.run("ip address add 10.0.0.1/24 dev tun0")
    for only, flags in (0, "SA"), (1, "RA"):
        listener = packet.new_socket()
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        listener.bind(("::", 8080))
        listener.listen(10)
        peer = bench.caller()
        syn = packet.Segment(peer.port, 8080, peer.iss, 0, "S", 65535)
        bench.tun.write(syn.pack("10.0.0.2", "10.0.0.1"))
        peer.next = 1
        answer = peer.expect(flags, ack=1)
        if not only:
            ack = packet.Segment(peer.port, 8080, peer.iss + 1, answer.seq + 1, "A", 65535)
            bench.tun.write(ack.pack("10.0.0.2", "10.0.0.1"))
            sock, address = listener.accept()
            equal((address[0], sock.getsockname()[0]), ("::ffff:10.0.0.2", "::ffff:10.0.0.1"), "addresses")
            sock.close()
            peer.collect()
        listener.close()


@case_v6
def peer_on_the_link(bench):
    """A link-local peer is reached through a device that must be named, and binds the socket to it."""
    device = socket.if_nametoindex("tun0")
    fails("EINVAL", packet.new_socket().connect, ("fe80::2", 40000))
    fails("EINVAL", packet.new_socket().bind, ("fe80::1", 8080))
    sock = packet.new_socket()
    equal(errno.errorcode.get(sock.connect_ex(("fe80::2", 40000, 0, device))), "EINPROGRESS", "connect")
    whole = bench.tun.read(1)
    equal(internet.text(internet.unpack(whole).to), "fe80::2", "destination")
    own, syn = internet.text(internet.unpack(whole).source), packet.Segment.unpack(whole)
    answer = packet.Segment(40000, syn.sport, 1000, syn.seq + 1, "SA", 65535)
    bench.tun.write(answer.pack("fe80::2", own))
    check(bench.tun.read(1), "no ACK")
    equal(state_of(sock), ESTABLISHED, "state")
    equal(sock.getpeername(), ("fe80::2", 40000, 0, device), "getpeername")
    equal(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0"), b"tun0", "device")


packet.main()
