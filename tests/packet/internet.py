# SPDX-License-Identifier: GPL-2.0
"""The Internet Protocol of the family under test: its addresses, packets and errors.

FAMILY=inet|inet6|oxtcp|oxtcp6 says what is tested. With IP_VERSION=mapped, for the families of IPv6, their sockets
speak IPv4 by mapped addresses. Hosts are given as text, of the version that goes over the wire.
"""

import fcntl
import os
import socket
import struct
import time
from dataclasses import dataclass

NAME = os.environ.get("FAMILY", "inet")
if NAME not in ("inet", "inet6", "oxtcp", "oxtcp6"):
    raise SystemExit(f"FAMILY={NAME}")
OURS = NAME.startswith("oxtcp")
MAPPED = os.environ.get("IP_VERSION") == "mapped"
SOCKETS_V6 = NAME.endswith("6")
V6 = SOCKETS_V6 and not MAPPED  # what goes over the wire
if MAPPED and not SOCKETS_V6:
    raise SystemExit(f"FAMILY={NAME} has no mapped addresses")

AF_OXTCP = 18
DOMAIN = AF_OXTCP if OURS else socket.AF_INET6 if SOCKETS_V6 else socket.AF_INET
PROTOCOL = int(OURS and SOCKETS_V6)
ADDRESSES = socket.AF_INET6 if SOCKETS_V6 else socket.AF_INET  # the family of the sockets' addresses
HEADER = 40 if V6 else 20
TCP, ICMP = 6, 58 if V6 else 1
# So that a full segment has as many bytes as over the other version.
MTU = 1520 if V6 else 1500

# Errors that both versions tell: type and code of ICMP, and of ICMPv6.
NET, HOST, PROHIBITED, PORT = (3, 0), (3, 1), (3, 13), (3, 3)
TOO_BIG, TIME_EXCEEDED, PARAMETER_PROBLEM = (3, 4), (11, 0), (12, 0)
IN_V6 = {NET: (1, 0), PROHIBITED: (1, 1), HOST: (1, 3), PORT: (1, 4), TOO_BIG: (2, 0), TIME_EXCEEDED: (3, 0),
         PARAMETER_PROBLEM: (4, 0)}


def choose(v4, v6):
    """What plays the same part in IPv4 and in IPv6."""
    return v6 if V6 else v4


def raw(host):
    """An address as it is on the wire."""
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def text(address):
    """An address from the wire as text."""
    return socket.inet_ntop(socket.AF_INET6 if len(address) == 16 else socket.AF_INET, address)


def host_of_socket(host):
    """The text that a socket of the family has for this host."""
    return f"::ffff:{host}" if MAPPED else host


SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFADDR, SIOCSIFNETMASK, SIOCSIFMTU = 0x8913, 0x8914, 0x8916, 0x891c, 0x8922
IFF_UP, RTF_LOCAL = 1, 0x80000000


def set_up(device, mtu=0, host="", prefix=0):
    """Sets up a device of the namespace, with an address of it; by no program, since starting one takes a guest long."""
    name = device.encode()
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        if mtu:
            fcntl.ioctl(sock, SIOCSIFMTU, struct.pack("16si20x", name, mtu))
        if ":" in host:
            fcntl.ioctl(sock, SIOCSIFADDR, struct.pack("=16sIi", raw(host), prefix, socket.if_nametoindex(device)))
        elif host:
            mask = struct.pack("!I", (1 << 32) - (1 << 32 - prefix))
            for request, value in ((SIOCSIFADDR, raw(host)), (SIOCSIFNETMASK, mask)):
                fcntl.ioctl(sock, request, struct.pack("=16sHH4s16x", name, socket.AF_INET, 0, value))
        flags = struct.unpack("=16sH22x", fcntl.ioctl(sock, SIOCGIFFLAGS, struct.pack("=16s24x", name)))[1]
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("=16sH22x", name, flags | IFF_UP))
    # A worker makes an IPv6 address one of this host's; what comes before is lost.
    while ":" in host:
        with open("/proc/net/ipv6_route", encoding="ascii") as file:
            if any(line.startswith(raw(host).hex()) and int(line.split()[8], 16) & RTF_LOCAL for line in file):
                return
        time.sleep(0.001)


def write_setting(name, value):
    """Sets one of those under /proc/sys/net/ of the namespace."""
    with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
        file.write(str(value))


def quiet(device):
    """Lets no router be asked for: such packets would only count, or be taken for an answer."""
    name, value = choose(("disable_ipv6", "1"), ("router_solicitations", "0"))
    write_setting(f"ipv6/conf/{device}/{name}", value)


RTM_NEWROUTE, RTM_NEWQDISC = 24, 36
NLM_REQUEST, NLM_ACK, NLM_EXCL, NLM_CREATE = 1, 4, 0x200, 0x400
NLMSG_ERROR, RTA_OIF, TCA_KIND, TC_H_ROOT = 2, 4, 1, 0xffffffff
TABLE_MAIN, MADE_BY_BOOT, SCOPE_LINK, UNICAST = 254, 3, 253, 1


def create(kind, body, attribute, value):
    """Has the kernel make something for the namespace's network, described by a message with one attribute."""
    value = struct.pack("=HH", 4 + len(value), attribute) + value + bytes(-len(value) % 4)
    flags = NLM_REQUEST | NLM_ACK | NLM_EXCL | NLM_CREATE
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("=IHHII", 16 + len(body) + len(value), kind, flags, 0, 0) + body + value)
        answer = sock.recv(65536)
    what, error = struct.unpack("=4xH10xi", answer[:20])
    if what != NLMSG_ERROR or error:
        raise OSError(-error, f"{os.strerror(-error)}: netlink message {kind}")


def route_all(device):
    """Routes all hosts to a device."""
    version, scope = (socket.AF_INET6, 0) if V6 else (socket.AF_INET, SCOPE_LINK)
    body = struct.pack("=8BI", version, 0, 0, 0, TABLE_MAIN, MADE_BY_BOOT, scope, UNICAST, 0)
    create(RTM_NEWROUTE, body, RTA_OIF, struct.pack("=I", socket.if_nametoindex(device)))


def set_queue(device, kind):
    """Gives a device such a queue."""
    body = struct.pack("=iiIII", 0, socket.if_nametoindex(device), 0, TC_H_ROOT, 0)
    create(RTM_NEWQDISC, body, TCA_KIND, kind.encode() + bytes(1))


def sockaddr(host, port):
    """struct sockaddr_in or sockaddr_in6"""
    if not SOCKETS_V6:
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, raw(host))
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16sI", port, 0, raw(host_of_socket(host)), 0)


def checksum(data):
    """The Internet checksum; 0 over data that contains a right one."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def pseudo_header(source, to, protocol, length):
    """What stands for the packet's header between these raw addresses where the transport's is signed."""
    if len(source) == 16:
        return source + to + struct.pack("!II", length, protocol)
    return source + to + struct.pack("!HH", protocol, length)


def checksum_of(source, to, protocol, data):
    """The checksum over what IP carries between these raw addresses: it covers them, too."""
    return checksum(source + to + struct.pack("!II", len(data), protocol) + data)


def pack(source, to, protocol, data, service=0, hops=64):
    """A packet between these hosts."""
    source, to = raw(source), raw(to)
    if len(source) == 16:
        return struct.pack("!IHBB", 6 << 28 | service << 20, len(data), protocol, hops) + source + to + data
    header = struct.pack("!BBHHHBBH", 0x45, service, 20 + len(data), 0, 0x4000, hops, protocol, 0) + source + to
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + data


def with_options(whole, options):
    """The packet of IPv4 with options in its header, which had none."""
    options += b"\0" * (-len(options) % 4)
    header = bytes([0x45 + len(options) // 4]) + whole[1:2] + struct.pack("!H", len(whole) + len(options)) + whole[4:10]
    header += b"\0\0" + whole[12:20] + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + whole[20:]


@dataclass
class Packet:
    """A packet: raw addresses, and what it carries."""
    source: bytes
    to: bytes
    protocol: int
    service: int
    hops: int
    dont_fragment: bool
    data: bytes
    whole: bool  # the header's lengths and checksum are right


def unpack(packet):
    """A packet of either version. Of extension headers nothing is known: they count as what it carries."""
    if packet[0] >> 4 == 6:
        word, length, protocol, hops = struct.unpack("!IHBB", packet[:8])
        return Packet(packet[8:24], packet[24:40], protocol, word >> 20 & 0xff, hops, True, packet[40:],
                      length == len(packet) - 40)
    size = (packet[0] & 15) * 4
    right = struct.unpack("!H", packet[2:4])[0] == len(packet) and checksum(packet[:size]) == 0
    return Packet(packet[12:16], packet[16:20], packet[9], packet[1], packet[8], bool(packet[6] & 0x40), packet[size:],
                  right)


def error(router, to, kind, quoted, rest=0):
    """What a router tells of a packet: a pair of ICMP's type and code, told in the version of the packet."""
    six = quoted[0] >> 4 == 6
    kind, code = IN_V6[kind] if six else kind
    body = struct.pack("!BBHI", kind, code, 0, rest) + quoted[:1232 if six else 28]
    total = checksum_of(raw(router), raw(to), ICMP, body) if six else checksum(body)
    return pack(router, to, ICMP, body[:2] + struct.pack("!H", total) + body[4:])
