# SPDX-License-Identifier: GPL-2.0
"""Segments as packetdrill scripts write them, and as they are on a tun device."""

import fcntl
import os
import select
import struct
import time
from dataclasses import dataclass

import internet
from packet import Failed

# As the kernel's own runs have them.
HERE = internet.choose("192.168.0.1", "fd3d:a0b:17d6::1")    # the machine under test
THERE = internet.choose("192.0.2.1", "fd3d:fa7b:d17d::1")    # the script
DEFINES = {"TFO_COOKIE": internet.choose("3021b9d889017eeb", "c1d1e9742a47a9bc"),
           "TFO_COOKIE_ZERO": internet.choose("b7c12350a90dc8f5", "82af1a8f9a205c34")}

MODULUS = 1 << 32
# Bits of the flags, the lowest first; A is Accurate ECN's.
FLAGS = "FSRPxUEWA"
ECN = {"noecn": 0, "ect1": 1, "ect0": 2, "ce": 3}
ECN_ECHO, CWR, ACE = 6, 7, 8

UNREACHABLE = {"": internet.NET, "net_unreachable": internet.NET, "host_unreachable": internet.HOST,
               "port_unreachable": internet.PORT}
GSO_TCP = internet.choose(1, 4)  # virtio's number for segments that are to be cut


def flag_bits(text):
    """The bits for flags such as 'P.' or, with an ACE counter, '.5'."""
    bits = 0
    for letter in text:
        if letter == ".":
            bits |= 1 << 4
        elif letter.isdigit():
            number = int(letter)
            bits |= (number >> 2 & 1) << ACE | (number >> 1 & 1) << CWR | (number & 1) << ECN_ECHO
        elif letter != "-":
            bits |= 1 << FLAGS.index(letter)
    return bits


def flag_text(bits):
    """Flags as scripts write them."""
    text = "".join(letter for bit, letter in enumerate(FLAGS) if bits >> bit & 1 and letter != "x")
    return (text + ("." if bits & 16 else "")) or "-"


def parse_options(text, blocks=0):
    """Options from a script on the wire; SACK blocks are moved by so much."""
    data = b""
    for item in filter(None, (item.strip() for item in text.split(","))):
        words = item.split()
        kind, values = words[0], words[1:]
        if kind == "nop":
            data += b"\1"
        elif kind == "eol":
            data += b"\0"
        elif kind == "mss":
            data += struct.pack("!BBH", 2, 4, int(values[0]))
        elif kind == "wscale":
            data += struct.pack("!BBB", 3, 3, int(values[0]))
        elif kind == "sackOK":
            data += b"\4\2"
        elif kind == "sack":
            edges = [(int(edge) + blocks) % MODULUS for block in values for edge in block.split(":")]
            data += struct.pack(f"!BB{len(edges)}I", 5, 2 + 4 * len(edges), *edges)
        elif kind == "TS":
            data += struct.pack("!BBII", 8, 10, int(values[1]), int(values[3]))
        elif kind in ("FO", "FOEXP"):
            cookie = bytes.fromhex(DEFINES.get(values[0], values[0])) if values else b""
            head = b"" if kind == "FO" else b"\xf9\x89"
            data += struct.pack("!BB", 34 if kind == "FO" else 254, 2 + len(head + cookie)) + head + cookie
        elif kind == "md5":
            digest = bytes.fromhex(values[0])
            data += struct.pack("!BB", 19, 2 + len(digest)) + digest
        elif kind == "ECN":
            # The order of the counters is told by the kind: 172 begins with ECT(0), 174 with ECT(1).
            counters = [int(value) & 0xffffff for value in values[1::2]]
            data += struct.pack("!BB", 172 if values[0] == "e0b" else 174, 2 + 3 * len(counters))
            data += b"".join(counter.to_bytes(3, "big") for counter in counters)
        else:
            raise Failed(f"option {item!r}")
    return data


def split_options(data):
    """The options on the wire, one by one, as (kind, value)."""
    options = []
    place = 0
    while place < len(data):
        kind = data[place]
        if kind < 2:
            options.append((kind, b""))
            place += 1
            continue
        length = data[place + 1] if place + 1 < len(data) else 0
        if length < 2 or place + length > len(data):
            raise Failed(f"options {data.hex()}")
        options.append((kind, data[place + 2:place + length]))
        place += length
    return options


def describe_options(data):
    """Options as scripts write them."""
    words = []
    for kind, value in split_options(data):
        numbers = struct.unpack(f"!{len(value) // 4}I", value) if kind in (5, 8) else ()
        words.append({
            0: "eol", 1: "nop", 2: f"mss {int.from_bytes(value, 'big')}", 3: f"wscale {int.from_bytes(value, 'big')}",
            4: "sackOK", 34: f"FO {value.hex()}",
            5: "sack " + " ".join(f"{left}:{right}" for left, right in zip(numbers[::2], numbers[1::2])),
            8: f"TS val {numbers[0]} ecr {numbers[1]}" if kind == 8 else "",
        }.get(kind, f"{kind}:{value.hex()}"))
    return ",".join(words)


def timestamp_place(options):
    """Where the two numbers of the timestamps option are, or None."""
    place = 0
    for kind, value in split_options(options):
        if kind == 8 and len(value) == 8:
            return place + 2
        place += 1 if kind < 2 else 2 + len(value)
    return None


@dataclass
class Segment:
    """A TCP segment; all numbers as on the wire."""
    source: tuple
    to: tuple
    seq: int
    ack: int
    flags: int
    window: int
    urgent: int
    options: bytes
    payload: bytes
    ecn: int = 0
    gso_size: int = 0
    time: float = 0.0

    def pack(self, gso_size=0):
        """The segment in a packet, behind the header that tun devices want."""
        if len(self.options) % 4:
            raise Failed(f"options of {len(self.options)} bytes")
        size = 20 + len(self.options)
        tcp = struct.pack("!HHIIHHHH", self.source[1], self.to[1], self.seq, self.ack,
                          size // 4 << 12 | self.flags, self.window, 0, self.urgent) + self.options + self.payload
        total = internet.checksum_of(internet.raw(self.source[0]), internet.raw(self.to[0]), internet.TCP, tcp)
        # One large packet that stands for many: only type and size of it are told.
        large = gso_size and len(self.payload) > gso_size
        head = struct.pack("=BBHHHH", 0, GSO_TCP, 0, gso_size, 0, 0) if large else bytes(10)
        tcp = tcp[:16] + struct.pack("!H", total) + tcp[18:]
        return head + internet.pack(self.source[0], self.to[0], internet.TCP, tcp, self.ecn)

    @classmethod
    def unpack(cls, packet, moment):
        """The segment in what a tun device gives, or None."""
        needs_sum, _, _, gso_size, _, _ = struct.unpack("=BBHHHH", packet[:10])
        packet = internet.unpack(packet[10:])
        if packet.protocol != internet.TCP or len(packet.source) != len(internet.raw(HERE)):
            return None
        source, to, tcp = internet.text(packet.source), internet.text(packet.to), packet.data
        if not needs_sum & 1 and internet.checksum_of(packet.source, packet.to, internet.TCP, tcp):
            raise Failed("a segment with a wrong checksum")
        sport, dport, seq, ack, bits, window, _, urgent = struct.unpack("!HHIIHHHH", tcp[:20])
        size = (bits >> 12) * 4
        return cls((source, sport), (to, dport), seq, ack, bits & 0x1ff, window, urgent, tcp[20:size], tcp[size:],
                   packet.service & 3, gso_size, moment)


def unreachable(name, here, there, seq):
    """A message that a segment from here with this number found no way there."""
    segment = struct.pack("!HHIIHHHH", here[1], there[1], seq, 0, 0x5000, 0, 0, 0)
    quoted = internet.pack(here[0], there[0], internet.TCP, segment)
    kind = UNREACHABLE[name.removeprefix("unreachable").strip()]
    return bytes(10) + internet.error(there[0], here[0], kind, quoted)


class Tun:
    """The namespace's only way out, which ends here; segments that are to be cut by hardware come uncut."""

    def __init__(self):
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        # TUNSETIFF: IFF_TUN | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(self.fd, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x5001))
        # TUNSETOFFLOAD: checksums, TSO for both versions, TSO with ECN
        fcntl.ioctl(self.fd, 0x400454d0, 1 | 2 | 4 | 8)
        internet.quiet("tun0")
        internet.set_up("lo")
        internet.set_up("tun0", internet.MTU, HERE, internet.choose(16, 48))
        internet.route_all("tun0")

    def read(self, until, wake=None):
        """The next packet and when it came, or None when none comes before this moment or wake can be read."""
        watched = [self.fd] + ([wake] if wake else [])
        left = max(until - time.monotonic(), 0)
        # The kernel rounds long waits generously.
        ready = left > 1 and select.select(watched, [], [], left - 0.2)[0]
        ready = ready or select.select(watched, [], [], max(until - time.monotonic(), 0))[0]
        if self.fd not in ready:
            if ready:
                os.read(wake, 1)
            return None
        return os.read(self.fd, 70000), time.monotonic()

    def write(self, packet):
        """Lets a packet arrive."""
        os.write(self.fd, packet)
