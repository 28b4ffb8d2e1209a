# SPDX-License-Identifier: GPL-2.0
"""Plays one script: sends what it sends, makes its calls, and compares what comes with what it expects."""

import ctypes
import os
import signal
import struct
import threading
import time
from dataclasses import dataclass, field, replace

from packet import Failed

from . import shell
from .calls import LIBC, PORT, Calls
from .constants import FOR_CODE
from .script import ANY, Call, Code, Command, Packet, ScriptError, read
from .wire import (CWR, ECN, HERE, MODULUS, THERE, Segment, Tun, describe_options, flag_bits, flag_text, parse_options,
                   timestamp_place, unreachable)

SYN, FIN, PUSH, ACK = 2, 1, 8, 16
# Scripts are written for kernels that tick each millisecond. Here a tick takes 10 ms, and a timer that was set between
# two of them comes up to two later.
TOLERANCE = 0.022
EARLY = 0.010
PATIENCE = 3.0  # how long to wait for what is late, to tell how late


def slack(tolerance, seconds):
    """How late a timer of so many seconds may be: the kernel's wheel has 64 places of a tick, then of eight ticks..."""
    coarse, reach = 0.01, 0.63
    while seconds > reach:
        coarse, reach = coarse * 8, reach * 8
    return tolerance + (coarse if coarse > 0.01 else 0.0)


class Interrupted(Exception):
    """A call took too long."""


@dataclass
class Connection:
    """A connection as the script knows it, or a socket that may become one."""
    fd: int | None = None
    state: str = "new"            # listening, connecting, open
    here: tuple = (HERE, PORT)
    there: tuple = (THERE, PORT)
    script_isn: int = 0           # the machine's first number, in the script
    isn: int | None = None        # and on the wire
    remote_isn: int = 0           # the script's first number
    begun: bool = False           # whether the script has sent more than SYNs
    stamps: dict = field(default_factory=dict)  # the machine's time stamps: in the script, on the wire
    first_stamp: tuple | None = None


class Player:
    """One run of one script."""

    def __init__(self, text, verbose=False):
        self.options, self.events = read(text)
        self.verbose = verbose
        self.calls = Calls()
        self.tun = Tun()
        self.began = None
        self.base = 0.0
        self.happened = 0.0
        self.queue = []
        self.sockets = {}
        self.current = None
        self.accepted = []
        self.port = 40000
        self.blocking = None
        self.wake = os.pipe()
        self.names = dict(FOR_CODE)
        self.lines = []
        self.tolerance = max(float(self.options.get("tolerance_usecs", 0)) / 1e6, TOLERANCE)
        self.early = max(self.tolerance - TOLERANCE, EARLY)
        self.calls.tolerance = self.tolerance
        self.pieces = 0

    def note(self, text):
        """Keeps a line for the report of a failure."""
        moment = time.monotonic() - self.began if self.began is not None else 0.0
        self.lines.append(f"{moment:9.4f} {text}")
        if self.verbose:
            print(f"# {self.lines[-1]}", flush=True)

    def run(self):
        """Plays the script; Failed tells where it did not go as written."""
        for event in self.events:
            try:
                self.step(event)
            except (Failed, KeyError, Interrupted) as problem:
                name = f"no {problem}" if isinstance(problem, KeyError) else str(problem)
                raise Failed(f"line {event.line}: {name}") from problem
        self.finish_blocking()

    def check_silence(self):
        """Fails if segments came that the script does not know."""
        self.drain()
        rest = self.next_segment(time.monotonic())
        if rest:
            raise Failed(f"{self.describe(rest)} came at {rest.time - self.began:.4f}, which no line expects")

    def step(self, event):
        """One event."""
        if event.time is None:
            if self.began is not None:
                self.finish_blocking()
            shell.run(event.text)
            return
        if self.began is None:
            self.began = time.monotonic()
            self.calls.began = time.time()
        when = event.time
        offset = self.base if when.relative else 0.0
        due = None if when.start is None else self.began + offset + when.start
        if isinstance(event, Packet) and not event.inbound:
            end = None if when.end is None else self.began + offset + when.end
            happened = self.expect(event, due, end)
        else:
            self.wait(due)
            happened = time.monotonic()
            if happened > max(due, self.happened) + self.tolerance:
                raise Failed(f"{happened - due:.3f} s late")
            self.act(event, None if when.end is None else self.began + offset + when.end)
        self.base = (happened if when.loose else due) - self.began
        self.happened = happened

    def act(self, event, end):
        """An event that this program brings about."""
        if isinstance(event, Packet):
            self.send(event)
        elif isinstance(event, Command):
            shell.run(event.text)
        elif isinstance(event, Code):
            self.code(event)
        else:
            self.make_call(event, end)

    def wait(self, moment):
        """Until this moment; what comes meanwhile is kept."""
        while True:
            got = self.tun.read(moment)
            if got is None:
                return
            self.take(got)

    def take(self, got):
        """Keeps what came, if it is a segment."""
        segment = Segment.unpack(*got)
        if segment is not None:
            self.queue.append(segment)
            self.note(f"came: {self.describe(segment)}")

    def code(self, event):
        """Python of the script."""
        self.names.update(self.calls.info(self.current.fd))
        try:
            exec(compile(event.text.strip().rstrip("\\"), "script", "exec"), self.names)
        except AssertionError as problem:
            text = " ".join(event.text.split())
            raise Failed(f"{text[:200]}: it is {problem}") from problem

    # System calls

    def make_call(self, event, end):
        """A call of the script, in a thread of its own when it blocks."""
        self.finish_blocking()
        self.before(event)
        if end is None:
            signal.signal(signal.SIGALRM, interrupted)
            signal.setitimer(signal.ITIMER_REAL, 5)
            try:
                answer = self.invoke(event)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
            self.check_call(event, answer)
            self.drain()
            return
        answers = []

        def work():
            try:
                answers.append((self.invoke(event), time.monotonic()))
            except Failed as problem:
                answers.append((problem, time.monotonic()))

            os.write(self.wake[1], b"x")

        threading.Thread(target=work, daemon=True).start()
        self.blocking = (event, answers, time.monotonic(), end)

    def drain(self):
        """Keeps what has come already."""
        self.wait(time.monotonic())

    def finish_blocking(self):
        """The call that blocks must have come back by the time its script says."""
        if self.blocking is None:
            return
        event, answers, start, end = self.blocking
        self.blocking = None
        # Such a call often waits for several timers, each a little late.
        allowed = slack(self.tolerance, end - start) + (end - start) / 20
        while not answers and time.monotonic() < end + allowed + PATIENCE:
            got = self.tun.read(end + allowed + PATIENCE, self.wake[0])
            if got:
                self.take(got)
        if not answers:
            raise Failed(f"line {event.line}: {event.name} does not return")
        answer, moment = answers[0]
        if isinstance(answer, Failed):
            raise answer
        if not -self.early <= moment - end <= allowed:
            raise Failed(f"line {event.line}: {event.name} returns {moment - end:+.4f} s off")
        self.check_call(event, answer)

    def invoke(self, event):
        """Makes the call: (result, error)."""
        arguments = list(event.arguments)
        if event.name in ("socket", "accept", "open", "epoll_create"):
            arguments.append(event.result)
        return self.calls.call(event.name, arguments)

    def before(self, event):
        """What must be known before the call is made, since segments may come at once."""
        if event.name not in ("connect", "sendto", "listen"):
            return
        known = self.sockets[event.arguments[0]]
        if event.name == "listen":
            known.state = "listening"
        elif event.name == "connect" and event.arguments[1] != "AF_UNSPEC" and known.state in ("new", "idle"):
            known.state = "connecting"
            known.there, known.isn, known.begun = (THERE, PORT), None, False
        elif event.name == "sendto" and "MSG_FASTOPEN" in str(event.arguments[3]) and known.state == "new":
            known.state = "connecting"
        self.current = known

    def check_call(self, event, answer):
        """Fails unless the call returned what the script says."""
        result, error = answer
        expected = event.result
        self.note(f"{event.name}{event.arguments} = {result} {error or ''}"[:160])
        wrong = expected is not ANY and (result != expected or (event.error and error != event.error))
        if wrong:
            raise Failed(f"{event.name} returns {result} {error or ''}, not {expected} {event.error or ''}")
        self.after(event, result)

    def after(self, event, result):
        """What the call changes in the script's view."""
        if result == -1:
            return
        if event.name == "socket":
            self.current = self.sockets[result] = Connection(result)
        elif event.name == "connect" and event.arguments[1] == "AF_UNSPEC":
            self.sockets[event.arguments[0]].state = "idle"
        elif event.name == "accept":
            # One that was reset meanwhile no longer knows its peer.
            there = peer_of(self.calls.fds[result])
            known = next(one for one in self.accepted if there in (one.there[1], None))
            self.accepted.remove(known)
            known.fd = result
            self.current = self.sockets[result] = known

    # Segments

    def send(self, event):
        """A segment (or a message about one) from the script."""
        if event.icmp:
            known = self.current
            number = (known.isn + event.seq - known.script_isn) % MODULUS
            self.tun.write(unreachable(event.icmp, known.here, known.there, number))
            self.note(f"sent: {event.text}")
            self.drain()
            return
        bits = flag_bits(event.flags)
        opens = bits & (SYN | ACK) == SYN
        listener = next((one for one in self.sockets.values() if one.state == "listening"), None)
        if opens and listener and self.current.state == "listening":
            self.port += 1
            self.current = Connection(None, "open", there=(THERE, self.port))
            self.accepted.append(self.current)
        known = self.current
        if not bits & SYN:
            known.begun = True
        elif not known.begun:
            known.remote_isn = event.seq
        shift = 0 if bits & SYN else known.remote_isn
        local = (known.isn or 0) - (known.script_isn if bits & SYN else 0)
        options = parse_options(event.options or "", known.isn or 0)
        place = timestamp_place(options)
        if place is not None:
            stamp, echo = struct.unpack("!II", options[place:place + 8])
            echo = known.stamps.get(echo, echo)
            options = options[:place] + struct.pack("!II", stamp, echo) + options[place + 8:]
        ack = 0 if event.ack is None else (event.ack + local) % MODULUS
        segment = Segment(known.there, known.here, (event.seq + shift) % MODULUS, ack, bits, event.window or 0,
                          event.urgent, options, bytes(event.length), ECN.get(event.ecn, 0))
        self.note(f"sent: {event.text}")
        self.tun.write(segment.pack(int(self.options.get("mss", 0))))
        self.drain()

    def describe(self, segment):
        """A segment from the machine as the script would write it."""
        known = self.current
        if known is None or known.isn is None or segment.flags & SYN:
            seq, ack = 0, segment.ack
        else:
            seq, ack = (segment.seq - known.isn) % MODULUS, (segment.ack - known.remote_isn) % MODULUS
        seq -= MODULUS if seq > MODULUS >> 1 else 0
        text = f"> {flag_text(segment.flags)} {seq}:{seq + len(segment.payload)}({len(segment.payload)})"
        text += f" ack {ack}" if segment.flags & ACK else ""
        return f"{text} win {segment.window} <{describe_options(segment.options)}> ecn {segment.ecn}"

    def next_segment(self, until):
        """The next segment of the script's connection, or None."""
        while True:
            while self.queue:
                segment = self.queue.pop(0)
                known = self.current
                if known.state == "connecting" and segment.to == known.there and segment.flags & SYN:
                    known.here = segment.source
                    known.state = "open"
                    return segment
                if (segment.source, segment.to) == (known.here, known.there):
                    return segment
            got = self.tun.read(until)
            if got is None:
                return None
            self.take(got)

    def expect(self, event, due, end):
        """Waits for a segment; when it came."""
        allowed = 60.0
        last = time.monotonic()
        if due is not None:
            # A timer that is set when another was late is late too.
            drift = max(self.happened - self.base - self.began, 0.0) if event.time.relative else 0.0
            allowed = slack(self.tolerance, due - self.began - self.base) + drift
            last = due if end is None else end
        segment = self.next_segment(last + allowed + PATIENCE)
        if segment is None:
            raise Failed(f"nothing came, not {event.text}")
        segment = self.whole(event, segment)
        known = self.current
        if segment.flags & SYN:
            known.isn, known.script_isn = segment.seq, event.seq
            known.first_stamp = None
        self.compare(event, segment)
        if due is not None:
            late = segment.time - last
            early = due - segment.time
            if late > allowed or early > self.early:
                raise Failed(f"{event.text} came at {segment.time - self.began:.4f}, not at {due - self.began:.4f}"
                             + (f"..{end - self.began:.4f}" if end is not None else ""))
        return segment.time

    def whole(self, event, segment):
        """A segment as large as the script's.

        A stack that hands its device several segments in one cuts its data in other places than another one does; on
        the wire it makes no difference. So what comes in pieces is put together, and what comes in one with the next is
        cut, between two segments as the wire sees them.
        """
        while 0 < len(segment.payload) < event.length:
            more = self.next_segment(time.monotonic() + 0.0005)
            joins = (more and more.seq == (segment.seq + len(segment.payload)) % MODULUS and more.payload
                     and not segment.flags & (FIN | SYN) and more.ack == segment.ack
                     and not (more.flags ^ segment.flags) & ~(PUSH | FIN | 1 << CWR) and more.options == segment.options)
            if not joins:
                if more:
                    self.queue.insert(0, more)
                break
            self.pieces += 1
            segment = replace(segment, payload=segment.payload + more.payload,
                              flags=segment.flags & ~PUSH | more.flags & (PUSH | FIN))
        size = segment.gso_size
        if size and 0 < event.length < len(segment.payload) and event.length % size == 0:
            self.pieces += 1
            rest = replace(segment, seq=(segment.seq + event.length) % MODULUS, payload=segment.payload[event.length:])
            self.queue.insert(0, rest)
            segment = replace(segment, payload=segment.payload[:event.length], flags=segment.flags & ~(PUSH | FIN))
        return segment

    def compare(self, event, segment):
        """Fails unless the segment is what the script expects."""
        known = self.current
        bits = flag_bits(event.flags)

        def differ(what, actual, expected):
            raise Failed(f"{self.describe(segment)} came, not {event.text} ({what} {actual}, not {expected})")

        def equal(what, actual, expected):
            if actual != expected:
                differ(what, actual, expected)

        # Which retransmissions carry PSH depends on how the stack cut its data before; no receiver cares.
        ignored = PUSH if "any_push" in self.options else 0
        equal("flags", flag_text(segment.flags & ~ignored), flag_text(bits & ~ignored))
        local = 0 if bits & SYN else (known.isn or 0)
        if bits & SYN:
            local = known.isn - event.seq
        elif known.isn is None:
            local = segment.seq - event.seq  # an answer to what no connection knows
        equal("seq", (segment.seq - local) % MODULUS, event.seq)
        equal("length", len(segment.payload), event.length)
        if event.ack is not None:
            shift = 0 if bits & SYN else known.remote_isn
            equal("ack", (segment.ack - shift) % MODULUS, event.ack)
        if event.window is not None:
            equal("win", segment.window, event.window)
        equal("urg", segment.urgent if bits & 32 else 0, event.urgent)
        if event.ecn is not None:
            equal("ecn", segment.ecn, ECN[event.ecn])
        if event.options is None:
            return
        expected = parse_options(event.options, known.remote_isn)
        actual = segment.options
        there, here = timestamp_place(expected), timestamp_place(actual)
        if there is not None and there == here:
            self.timestamp(event, expected[there:there + 4], actual[here:here + 4])
            actual = actual[:here] + expected[there:there + 4] + actual[here + 4:]
        if actual != expected:
            differ("options", describe_options(actual), event.options)

    def timestamp(self, event, written, came):
        """Learns, and with --tcp_ts_tick_usecs compares, the machine's time stamp."""
        known = self.current
        written, came = int.from_bytes(written, "big"), int.from_bytes(came, "big")
        known.stamps[written] = came
        if known.first_stamp is None:
            known.first_stamp = (written, came)
        tick = float(self.options.get("tcp_ts_tick_usecs", 0)) / 1e6
        off = (came - known.first_stamp[1]) - (written - known.first_stamp[0])
        if abs(off) * tick > self.tolerance:
            raise Failed(f"{event.text}: the time stamp is off by {off}")


def interrupted(_signal, _frame):
    """A call that should return at once did not."""
    raise Interrupted("the call does not return")


def peer_of(fd):
    """The port of the other end."""
    place, size = ctypes.create_string_buffer(28), ctypes.c_uint(28)
    if LIBC.getpeername(fd, place, ctypes.byref(size)) < 0:
        return None
    return int.from_bytes(place.raw[2:4], "big")
