#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What IP carries for TCP and tells it: TTL, type of service, options, ICMP errors, addresses that are nobody's."""

import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import replace

import internet
import packet
from internet import HOST, NET, PARAMETER_PROBLEM, PORT, PROHIBITED, TIME_EXCEEDED, TOO_BIG, checksum, choose
from packet import (CLOSE, ESTABLISHED, HERE, SYN_SENT, THERE, accept, between, case, case_v4, check, equal, error_of, fails,
                    state_of, tell)

# What IPv4 alone has.
PROTOCOL, SOURCE_ROUTE, SOURCE_QUENCH = (3, 2), (3, 5), (4, 0)
SERVICE = choose((socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, socket.IPV6_TCLASS))
HOPS = choose((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS))
LEAST_HOPS = choose((socket.IPPROTO_IP, 21), (socket.IPPROTO_IPV6, 73))  # IP_MINTTL, IPV6_MINHOPCOUNT
MTU_READ = choose((socket.IPPROTO_IP, 14), (socket.IPPROTO_IPV6, 24))  # IP_MTU, IPV6_MTU
MSS = 1460
NARROW = choose(1000, 1300)  # the MTU of a narrower path
NARROW_MSS = NARROW - internet.HEADER - 20
ERRORS = ((NET, "ENETUNREACH"), (HOST, "EHOSTUNREACH"), (PORT, "ECONNREFUSED"), (TIME_EXCEEDED, "EHOSTUNREACH"),
          (PARAMETER_PROBLEM, "EPROTO"),
          *choose(((PROTOCOL, "ENOPROTOOPT"), (SOURCE_ROUTE, "ENOTSUP")), ((PROHIBITED, "EACCES"),)))


def next_packet(bench):
    """The next packet with a segment, as it is on the wire."""
    while True:
        whole = bench.tun.read(2)
        check(whole, "no segment")
        if internet.unpack(whole).protocol == internet.TCP:
            return whole


def next_header(bench):
    """(type of service, TTL) of the next segment, in IPv6 traffic class and hop limit."""
    header = internet.unpack(next_packet(bench))
    return header.service, header.hops


def told(sock):
    """Whether poll says that there is an error."""
    poll = select.poll()
    poll.register(sock, 0)
    return any(events & select.POLLERR for _, events in poll.poll(0))


@case
def service_and_ttl(bench):
    """What the program asks for is in each segment, and can be changed later."""
    sock = packet.new_socket()
    sock.setsockopt(*SERVICE, 0x10)
    sock.setsockopt(*HOPS, 33)
    sock.connect_ex((THERE, 40000))
    equal(next_header(bench), (0x10, 33), "TOS and TTL of a SYN")
    sock, peer = bench.active()
    for tos, ttl in (0x10, 33), (0x88, 44), (0, 255):
        sock.setsockopt(*SERVICE, tos)
        sock.setsockopt(*HOPS, ttl)
        sock.send(b"x")
        equal(next_header(bench), (tos, ttl), "TOS and TTL of data")
        peer.received += 1
        peer.send("A")


@case
def service_of_accepted(bench):
    """Children send with what their listener was told."""
    def setup(listener):
        listener.setsockopt(*SERVICE, 0x20)
        listener.setsockopt(*HOPS, 77)

    sock, peer = bench.passive(setup=setup)
    sock.send(b"x")
    equal(next_header(bench), (0x20, 77), "TOS and TTL of data")
    peer.send("A", ack=2)


@case
def low_ttl(bench):
    """IP_MINTTL and IPV6_MINHOPCOUNT keep out what came from afar (RFC 5082)."""
    sock, peer = bench.active()
    sock.setsockopt(*LEAST_HOPS, 65)
    peer.send("PA", data=b"far")
    peer.expect_nothing(1)
    fails("EAGAIN", sock.recv, 10)
    sock.setsockopt(*LEAST_HOPS, 64)
    peer.send("PA", seq=1, data=b"near")
    peer.expect("A", ack=5, after=(0, 0.25))
    equal(sock.recv(10), b"near", "data")


@case_v4
def unknown_ip_options(bench):
    """Options of IP that say TCP nothing do not hurt."""
    sock, peer = bench.active()
    for i, options in enumerate((b"\x1e\4ab", b"\1\1\1", b"\x9e\3a")):
        segment = packet.Segment(peer.port, peer.remote_port, peer.iss + 1 + i, peer.remote(1), "PA", 65535,
                                 payload=b"x")
        bench.tun.write(internet.with_options(segment.pack(THERE, HERE), options))
        peer.expect("A", ack=2 + i, after=(0, 1))
    equal(sock.recv(10), b"xxx", "data")


@case_v4
def segments_leave_room_for_ip_options(bench):
    """IP_OPTIONS takes its room from the data, not from the MSS that is announced."""
    sock, peer = bench.connecting()
    sock.close()
    peer.collect()
    sock = packet.new_socket()
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\1" * 8)
    peer = packet.Peer(bench, 40200, None)
    sock.connect_ex((THERE, peer.port))
    equal(peer.expect("S").options["mss"], MSS, "MSS")
    peer.send("SA", mss=MSS)
    peer.expect("A", seq=1)
    sock.send(bytes(2 * MSS))
    peer.expect("A", seq=1, length=MSS - 8)
    peer.expect("A", seq=1 + MSS - 8, length=MSS - 8)


@case_v4
def source_route(bench):
    """A source route: segments go to its first hop, and name the peer in the option and in the checksum."""
    sock = packet.new_socket()
    hop = socket.inet_aton("10.0.0.9")
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"\x83\7\4" + hop + b"\0")
    sock.connect_ex((THERE, 40300))
    whole = next_packet(bench)
    size = (whole[0] & 15) * 4
    equal(whole[16:20], hop, "destination")
    equal(whole[20:27], b"\x83\7\4" + socket.inet_aton(THERE), "option")
    data = whole[size:]
    addresses = whole[12:16] + socket.inet_aton(THERE)
    equal(checksum(addresses + struct.pack("!HH", 6, len(data)) + data), 0, "checksum over the segment")


@case
def errors_while_connecting(bench):
    """As Linux has it each error ends an attempt to connect, also those that may pass."""
    for kind, name in ERRORS:
        sock, peer = bench.connecting()
        syn = peer.expect("S")
        tell(bench, syn, kind)
        time.sleep(0.01)
        equal((error_of(sock), state_of(sock)), (name, CLOSE), "error and state")


@case_v4
def quench_while_connecting(bench):
    """Source quench is nothing to act on."""
    sock, peer = bench.connecting()
    syn = peer.expect("S")
    tell(bench, syn, SOURCE_QUENCH)
    time.sleep(0.01)
    equal((error_of(sock), state_of(sock)), (None, SYN_SENT), "error and state")
    peer.send("SA", mss=1000)
    peer.expect("A", seq=1)


@case
def error_for_another_number(bench):
    """Only who saw the segment can quote its number."""
    sock, peer = bench.connecting()
    syn = peer.expect("S")
    syn.seq = (syn.seq + 1000) % packet.MODULUS
    tell(bench, syn, PORT)
    time.sleep(0.01)
    equal((error_of(sock), state_of(sock)), (None, SYN_SENT), "error and state")


@case
def errors_of_a_connection(bench):
    """No error ends a connection that is established; who asks hears of it."""
    sock, peer = bench.active()
    sock.send(b"data")
    data = peer.expect("A", seq=1, data=b"data")
    for kind, name in ERRORS + choose(((SOURCE_QUENCH, None),), ()):
        tell(bench, data, kind)
        time.sleep(0.01)
        check(not told(sock), "it wakes who polls")
        equal((error_of(sock), state_of(sock)), (name, ESTABLISHED), "error and state")
        equal(error_of(sock), None, "the error asked for again")
    peer.send("A")
    sock.send(b"more")
    peer.expect("A", data=b"more")


@case
def error_tells_why(bench):
    """What the network said is the reason that the program hears when the time is up."""
    sock, peer = bench.active()
    sock.setsockopt(socket.IPPROTO_TCP, 18, 3000)  # TCP_USER_TIMEOUT
    sock.send(b"data")
    data = peer.expect("A", seq=1, data=b"data")
    tell(bench, data, HOST)
    time.sleep(10)
    equal((error_of(sock), state_of(sock)), ("EHOSTUNREACH", CLOSE), "error and state")


@case
def no_way_undoes_a_back_off(bench):
    """What was lost because a router knew no way says nothing of congestion (RFC 6069)."""
    sock, peer = bench.active()
    sock.send(b"data")
    data = peer.expect("A", seq=1, data=b"data")
    # Nothing has backed off yet.
    tell(bench, data, NET)
    for after in 0.2, 0.4, 0.8:
        peer.expect("A", seq=1, after=after)
    tell(bench, data, NET)
    peer.expect("A", seq=1, after=0.8)
    # Other errors undo nothing, nor does what is said of another segment.
    tell(bench, data, TIME_EXCEEDED)
    tell(bench, replace(data, seq=data.seq + 4), NET)
    peer.expect("A", seq=1, after=1.6)
    # Each undoes one; what is due by then leaves at once.
    for _ in range(2):
        tell(bench, data, NET)
    peer.expect("A", seq=1, after=0.8)
    time.sleep(1)
    tell(bench, data, NET)
    peer.expect("A", seq=1, after=(0.99, 1.05))
    peer.send("A", ack=5)
    equal((error_of(sock), state_of(sock)), (None, ESTABLISHED), "error and state")


@case
def errors_on_request(bench):
    """Who set IP_RECVERR or IPV6_RECVERR hears of an error at once; the connection lives on."""
    sock, peer = bench.active()
    sock.setsockopt(*choose((socket.IPPROTO_IP, 11), (socket.IPPROTO_IPV6, 25)), 1)
    sock.send(b"data")
    data = peer.expect("A", seq=1, data=b"data")
    tell(bench, data, HOST)
    time.sleep(0.01)
    check(told(sock), "nothing wakes who polls")
    fails("EHOSTUNREACH", sock.recv, 1)
    equal(state_of(sock), ESTABLISHED, "state")
    peer.send("A")
    sock.send(b"more")
    peer.expect("A", data=b"more")


@case
def half_open_unreachable(bench):
    """Where the peer of a SYN cannot be reached the record goes; nobody learns of it from accept."""
    listener = bench.listening()
    # As Linux has it, the two versions do not agree on what is final.
    for kind, goes in choose(((HOST, True), (NET, True), (TIME_EXCEEDED, True), (PARAMETER_PROBLEM, True), (PORT, False),
                              (SOURCE_QUENCH, False)),
                             ((HOST, False), (NET, False), (TIME_EXCEEDED, False), (PARAMETER_PROBLEM, True), (PORT, True),
                              (PROHIBITED, True))):
        peer = bench.caller()
        peer.send("S", mss=1000)
        answer = peer.expect("SA", ack=1)
        tell(bench, answer, kind)
        time.sleep(0.01)
        fails("EAGAIN", listener.accept)
        peer.send("A")
        if goes:
            peer.expect_reset(1)
            fails("EAGAIN", listener.accept)
        else:
            equal(state_of(accept(listener)), ESTABLISHED, "state")


@case
def bound_to_another_device(bench):
    """SO_BINDTODEVICE of a connection: from then on it hears that device, and no other."""
    devices = bench.tun, packet.Tun(name="tun1")
    sock, peer = bench.active()
    for name, device, other in (b"tun0", *devices), (b"tun1", *devices[::-1]), (b"tun0", *devices):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name)
        place = peer.next
        bench.tun = other
        peer.send("PA", data=b"elsewhere")
        peer.next = place
        check(not select.select([sock], [], [], 0.05)[0], "it hears the other device")
        for tun in devices:
            while tun.read(0):
                pass
        bench.tun = device
        peer.send("PA", data=b"here")
        peer.expect("A", ack=peer.next, after=(0, 0.3))
        equal(sock.recv(100), b"here", "data")
        sock.send(b"there")
        peer.expect("A", data=b"there")
        peer.send("A")


@case
def narrower_path(bench):
    """A router asks for smaller packets: what is on the way is sent again in smaller segments, at once."""
    sock, peer = bench.active(f"mss={MSS}")
    sock.send(bytes(MSS))
    data = peer.expect("A", seq=1, length=MSS)
    equal(sock.getsockopt(*MTU_READ), internet.MTU, "the path's MTU")
    tell(bench, data, TOO_BIG, NARROW)
    peer.expect("A", seq=1, length=NARROW_MSS)
    equal(sock.getsockopt(*MTU_READ), NARROW, "the path's MTU")
    peer.expect("A", seq=1 + NARROW_MSS, length=MSS - NARROW_MSS)
    peer.send("A")
    sock.send(bytes(2000))
    peer.expect("A", seq=1461, length=NARROW_MSS)


@case
def narrower_path_keeps_the_users_size(bench):
    """TCP_MAXSEG stays the upper limit."""
    sock, peer = bench.connecting()
    sock.close()
    peer.collect()
    sock = packet.new_socket()
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 500)
    peer = packet.Peer(bench, 40100, None)
    sock.connect_ex((THERE, peer.port))
    peer.expect("S")
    peer.send("SA", mss=MSS)
    peer.expect("A", seq=1)
    sock.send(bytes(500))
    data = peer.expect("A", seq=1, length=500)
    tell(bench, data, TOO_BIG, NARROW)
    peer.send("A")
    sock.send(bytes(2000))
    peer.expect("A", seq=501, length=500)


@case
def narrower_path_is_forgotten(bench):
    """After mtu_expires the path may have widened: full segments are tried again."""
    internet.write_setting(f"{choose('ipv4', 'ipv6')}/route/mtu_expires", 5)
    sock, peer = bench.active(f"mss={MSS}")
    sock.send(bytes(MSS))
    data = peer.expect("A", seq=1, length=MSS)
    tell(bench, data, TOO_BIG, NARROW)
    peer.expect("A", seq=1, length=NARROW_MSS)
    peer.expect("A", seq=1 + NARROW_MSS, length=MSS - NARROW_MSS)
    peer.send("A")
    time.sleep(10)
    if internet.V6:  # Linux learns of it when it sends
        sock.send(b"x")
        peer.expect("A", seq=1461, length=1)
        peer.send("A")
    sock.send(bytes(MSS))
    peer.expect("A", seq=1461 + int(internet.V6), length=MSS)


@case
def narrower_path_forged(bench):
    """Nor does a smaller path count whose segment was never sent."""
    sock, peer = bench.active(f"mss={MSS}")
    sock.send(bytes(MSS))
    data = peer.expect("A", seq=1, length=MSS)
    data.seq = (data.seq + 100000) % packet.MODULUS
    tell(bench, data, TOO_BIG, NARROW)
    peer.send("A")
    sock.send(bytes(MSS))
    peer.expect("A", seq=1461, length=MSS)


SERVER = """
import socket
listener = socket.socket()
listener.bind(("10.2.0.2", 9000))
listener.listen()
print("ready", flush=True)
sock, _ = listener.accept()
total = 0
while data := sock.recv(65536):
    total += len(data)
sock.send(str(total).encode())
"""


@case_v4
def narrower_path_behind_a_router(bench):
    """A router of this machine says so while the segment is being sent: no time-out is needed to learn of it."""
    packet.run("""
        ip netns add router; ip netns add far
        ip link add near0 type veth peer near1 netns router
        ip -n router link add far0 mtu 1000 type veth peer far1 mtu 1500 netns far
        ip address add 10.1.0.1/24 dev near0; ip link set near0 up; ip route add 10.2.0.0/24 via 10.1.0.2
        ip -n router address add 10.1.0.2/24 dev near1; ip -n router link set near1 up
        ip -n router address add 10.2.0.1/24 dev far0; ip -n router link set far0 up
        ip netns exec router sh -c "echo 1 > /proc/sys/net/ipv4/ip_forward"
        ip -n far address add 10.2.0.2/24 dev far1; ip -n far link set far1 up
        ip -n far route add default via 10.2.0.1""")
    server = subprocess.Popen(["ip", "netns", "exec", "far", sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
    try:
        server.stdout.readline()
        sock = packet.new_socket()
        sock.settimeout(10)
        sock.connect(("10.2.0.2", 9000))
        started = time.monotonic()
        sock.sendall(bytes(200000))
        sock.shutdown(socket.SHUT_WR)
        equal(sock.recv(100), b"200000", "what arrived")
        between(time.monotonic() - started, (0, 0.15), "the time that it took")
    finally:
        server.kill()
        server.wait()
        packet.run("ip netns delete far; ip netns delete router")


@case
def syn_from_nobody(bench):
    """No host has such an address: its SYN is not answered."""
    sock = packet.new_socket()
    sock.bind((choose("0.0.0.0", "::"), 8080))
    sock.listen(10)
    peer = bench.caller()
    syn = packet.Segment(peer.port, 8080, 1000, 0, "S", 65535)
    for address in choose(("224.0.0.1", "239.255.255.250", "255.255.255.255", "127.0.0.1", "240.0.0.1"),
                          ("ff02::1", "ff0e::1", "::1", "::ffff:10.0.0.2")):
        bench.tun.write(syn.pack(address, HERE))
        peer.expect_nothing(2)
    peer.send("S")
    peer.expect("SA", ack=1)


@case
def syn_to_many(bench):
    """Nor is one to a group, even where the host is a member."""
    member = packet.keep(socket.socket(internet.ADDRESSES, socket.SOCK_DGRAM))
    group = choose("239.1.2.3", "ff05::1:2:3")
    if internet.V6:
        request = internet.raw(group) + struct.pack("=I", socket.if_nametoindex("tun0"))
        member.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
    else:
        member.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, internet.raw(group) + internet.raw(HERE))
    sock = packet.new_socket()
    sock.bind((choose("0.0.0.0", "::"), 8080))
    sock.listen(10)
    peer = bench.caller()
    syn = packet.Segment(peer.port, 8080, 1000, 0, "S", 65535)
    for address in group, choose("224.0.0.1", "ff02::1"):
        bench.tun.write(syn.pack(THERE, address))
        peer.expect_nothing(2)
    peer.send("S")
    peer.expect("SA", ack=1)


@case
def same_address_on_each_segment(bench):
    """A connection keeps the local address that its SYN had."""
    second = choose("10.0.0.3", "fd10::3")
    packet.run(f"ip address add {second}/{choose(24, 64)} dev tun0{choose('', ' nodad preferred_lft 0')}")
    sock = packet.new_socket()
    sock.bind((second, 0))
    sock.connect_ex((THERE, 40000))
    for _ in range(2):  # the SYN and its retransmission
        equal(internet.text(internet.unpack(next_packet(bench)).source), second, "source of a SYN")
    other = packet.new_socket()
    other.connect_ex((THERE, 40001))
    header = internet.unpack(next_packet(bench))
    while header.data[2:4] != struct.pack("!H", 40001):
        header = internet.unpack(next_packet(bench))
    equal(internet.text(header.source), HERE, "source where none was asked for")


packet.main()
