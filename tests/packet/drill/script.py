# SPDX-License-Identifier: GPL-2.0
"""Reads packetdrill's language, as far as the scripts of the kernel tree use it."""

import re
from dataclasses import dataclass, field

ANY = ...  # what a script writes as "..."


class ScriptError(Exception):
    """The script says something that this program does not understand."""


@dataclass
class Time:
    """When an event is due, in seconds: of the script's own clock, or after the event before it."""
    start: float | None = None  # None: whenever it comes
    end: float | None = None    # the end of a span, or of a call that blocks
    relative: bool = False
    blocks: bool = False        # a call that lasts from start to end

    @property
    def loose(self):
        """Whether the time of what follows counts from the moment when this really happened."""
        return self.start is None or (self.end is not None and not self.blocks)


@dataclass
class Event:
    """One step of a script."""
    line: int
    time: Time | None = None


@dataclass
class Command(Event):
    """A shell command that must succeed."""
    text: str = ""


@dataclass
class Code(Event):
    """Python that asserts something of TCP_INFO."""
    text: str = ""


@dataclass
class Call(Event):
    """A system call and what it returns."""
    name: str = ""
    arguments: list = field(default_factory=list)
    result: object = None
    error: str | None = None


@dataclass
class Packet(Event):
    """A TCP segment (or, with icmp, a message about one) that the script sends or expects."""
    inbound: bool = False
    flags: str = ""
    seq: int = 0
    length: int = 0
    ack: int | None = None
    window: int | None = None
    urgent: int = 0
    ecn: str | None = None
    options: str | None = None  # None: any
    icmp: str | None = None
    text: str = ""


@dataclass
class Named:
    """An argument such as msg_name(...)=value."""
    name: str
    value: object


NUMBER = r"(?:\d+\.\d*|\.\d+|\d+)"
SPACE = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)*", re.S)
OPTION = re.compile(r"--(\w+)(?:=(\S+))?[^\n]*")
TIME = re.compile(rf"\*|(\+?)\s*({NUMBER})(?:\s*(~|\.\.\.)\s*\+?\s*({NUMBER}))?(?=[\s`%<>])")
COMMAND = re.compile(r"`([^`]*)`")
CODE = re.compile(r"%\{(.*?)\}%", re.S)
SEGMENT = re.compile(
    r"([<>])\s*(?:\[(\w+)\]\s*)?([FSRPUEWA.0-9-]+)\s+(\d+):(\d+)\((\d+)\)(?:[ \t]+ack[ \t]+(\d+))?"
    r"(?:[ \t]+win[ \t]+(\d+))?(?:[ \t]+urg[ \t]+(\d+))?(?:[ \t]*<([^>]*)>)?")
ICMP = re.compile(r"<\s*icmp\s+(\w+)(?:\s+(\w+))?\s+\[(\d+):(\d+)\((\d+)\)\]")
TOKEN = re.compile(r'\.\.\.|-?0x[0-9a-fA-F]+|-?\d+|\w+|"(?:\\.|[^"\\])*"|[][(){},=|]')
RESULT = re.compile(r"[ \t]*=[ \t]*(\.\.\.|-?0x[0-9a-fA-F]+|-?\d+)(?:[ \t]+(E[A-Z]+))?[ \t]*(?:\([^)\n]*\))?")


class Reader:
    """The text of a script, and how far it is read."""

    def __init__(self, text):
        self.text = text
        self.place = 0

    def fail(self, what):
        """Ends reading with the line where the trouble is."""
        raise ScriptError(f"line {self.line()}: {what}: {self.text[self.place:self.place + 40]!r}")

    def line(self):
        """The number of the line that is being read."""
        return self.text.count("\n", 0, self.place) + 1

    def skip(self):
        """Passes white space and comments."""
        self.place = SPACE.match(self.text, self.place).end()

    def take(self, pattern):
        """What the pattern matches here, or None."""
        match = pattern.match(self.text, self.place)
        if match:
            self.place = match.end()
        return match

    def token(self):
        """The next token of a call's arguments."""
        self.skip()
        match = self.take(TOKEN)
        if not match:
            self.fail("no argument")
        return match.group()

    def peek(self):
        """The token after this, which stays unread."""
        self.skip()
        match = TOKEN.match(self.text, self.place)
        return match.group() if match else None

    def expect(self, wanted):
        """Reads this token and no other."""
        got = self.token()
        if got != wanted:
            self.fail(f"{got!r} instead of {wanted!r} before")

    def items(self, close):
        """Values up to a closing bracket."""
        values = []
        while self.peek() != close:
            values.append(self.value())
            if self.peek() == ",":
                self.token()
        self.token()
        return values

    def value(self):
        """A value: a number, the names of bits, a string, [list], {struct}, name=value, or '...'."""
        token = self.token()
        if token == "...":
            return ANY
        if token == "[":
            return self.items("]")
        if token == "{":
            items = self.items("}")
            if items and all(isinstance(item, Named) for item in items):
                return {item.name: item.value for item in items}
            return tuple(items)
        if token[0] == '"':
            return token[1:-1].encode().decode("unicode_escape").encode("latin-1")
        value = int(token, 0) if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", token) else token
        if self.peek() == "(":
            self.token()
            self.items(")")
        if self.peek() == "=":
            self.token()
            return Named(token, self.value())
        while self.peek() == "|":
            self.token()
            value = f"{value}|{self.token()}"
        return value

    def call(self, line, time):
        """A system call."""
        name = self.token()
        self.expect("(")
        event = Call(line, time, name, self.items(")"))
        result = self.take(RESULT)
        if not result:
            self.fail(f"no result of {name}")
        event.result = ANY if result[1] == "..." else int(result[1], 0)
        event.error = result[2]
        return event

    def event(self):
        """The next event."""
        line = self.line()
        time = self.time()
        if match := self.take(COMMAND):
            return Command(line, time, match[1])
        if match := self.take(CODE):
            return Code(line, time, match[1])
        if match := self.take(ICMP):
            return Packet(line, time, True, seq=int(match[3]), length=int(match[5]), text=match[0],
                          icmp=f"{match[1]} {match[2] or ''}".strip())
        if match := self.take(SEGMENT):
            ecn = match[2]
            options = match[10]
            inbound = match[1] == "<"
            return Packet(line, time, inbound, match[3], int(match[4]), int(match[6]),
                          None if match[7] is None else int(match[7]), None if match[8] is None else int(match[8]),
                          int(match[9] or 0), ecn, None if options == "..." else options or "", text=match[0])
        if re.match(r"\w+\(", self.text[self.place:self.place + 40]):
            return self.call(line, time)
        return self.fail("no event")

    def time(self):
        """The time before an event, if there is one."""
        match = self.take(TIME)
        self.skip()
        if not match:
            return None
        if match[0] == "*":
            return Time()
        return Time(float(match[2]), float(match[4]) if match[4] else None, bool(match[1]), match[3] == "...")


def read(text):
    """A script's options and events."""
    reader = Reader(text)
    options = {}
    events = []
    reader.skip()
    while match := reader.take(OPTION):
        options[match[1]] = match[2]
        reader.skip()
    while reader.place < len(text):
        events.append(reader.event())
        reader.skip()
    return options, events
