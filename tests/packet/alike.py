#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""What is told of connections: each packetdrill script of ours is played once on AF_INET and once on AF_OXTCP, and after each of
its lines TCP_INFO and SO_MEMINFO of all sockets, and at its end the counters of the namespace, must be the same in both.

alike.py [NAME...]: plays these scripts (a name, or part of one), or all. alike.known lists the differences that there are,
with reasons; an entry that explains nothing fails, so the list cannot grow stale, unless a `?` behind the script's name says that
what it explains is not seen each time. What a script that does not go as written
with one of the families tells is not compared; packetdrill.py says which those are.
"""

import fnmatch
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import traceback

from drill import shell
from drill.play import Player
from drill.script import ScriptError
from packet import Failed
from packetdrill import SCRIPTS, is_meant, isolate

HERE = pathlib.Path(__file__)
KNOWN = HERE.with_suffix(".known")
FILES = {"inet": ("/proc/net/snmp", "/proc/net/netstat"), "oxtcp": ("/proc/net/oxtcp_snmp", "/proc/net/oxtcp_netstat")}
# How far apart values may be: Linux counts in ticks of 10 ms here, and computing takes it some microseconds.
TICKS, MICROS = 20, 500
FURTHER = {
    **dict.fromkeys(("tcpi_last_data_sent", "tcpi_last_data_recv", "tcpi_last_ack_recv", "tcpi_total_rto_time"), TICKS),
    **dict.fromkeys(("tcpi_busy_time", "tcpi_rwnd_limited", "tcpi_sndbuf_limited"), TICKS * 1000),
    **dict.fromkeys(("tcpi_rtt", "tcpi_rttvar", "tcpi_min_rtt", "tcpi_rcv_rtt"), MICROS),
    **dict.fromkeys(("tcpi_rto", "tcpi_ato"), TICKS * 1000),
    # What is told before the first window field that is scaled.
    "tcpi_rcv_wnd": 256,
}
# As shares: time-outs double, rates are octets by times, and many ticks make these.
SHARES = dict.fromkeys(("tcpi_rto", "tcpi_pacing_rate", "tcpi_delivery_rate", "tcpi_busy_time", "tcpi_rwnd_limited",
                       "tcpi_last_data_sent", "tcpi_last_data_recv", "tcpi_last_ack_recv"), 0.2)
# A sum, over which ticks add up.
SHARES["tcpi_total_rto_time"] = 0.4


def counters(family):
    """The counters of the namespace."""
    found = {}
    for path, title in zip(FILES[family], ("Tcp:", "TcpExt:")):
        with open(path, encoding="ascii") as file:
            names, values = (line.split()[1:] for line in file if line.startswith(title))
        found.update(zip(names, map(int, values)))
    return found


class Witness(Player):
    """Notes what is told after each line."""

    def __init__(self, text, seen):
        super().__init__(text)
        self.seen = seen

    def step(self, event):
        super().step(event)
        if self.blocking is None:
            told = {fd: self.calls.info(fd) for fd in self.sockets if fd in self.calls.fds}
            self.seen.append((event.line, told))


def witness(path, out):
    """Plays a script in this process and tells what was told after each line."""
    seen, problem = [], None
    try:
        os.chdir(path.parent)
        text = path.read_text(encoding="utf-8")
        isolate()
        Witness(text, seen).run()
    except (Failed, ScriptError) as failure:
        problem = str(failure)
    json.dump({"seen": seen, "counters": counters(os.environ["FAMILY"]), "problem": problem}, out)
    out.flush()


def play(paths):
    """Plays scripts, each in a process of its own, with the family of the environment; prints what each told."""
    shell.defaults(SCRIPTS)
    for path in paths:
        with tempfile.TemporaryFile("w+", encoding="utf-8") as out:
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    witness(path, out)
                    status = 0
                except Exception:
                    traceback.print_exc()
                finally:
                    sys.stderr.flush()
                    os._exit(status)
            status = os.waitpid(child, 0)[1]
            if status:
                raise SystemExit(f"{path.stem} ended with an error of this program")
            out.seek(0)
            print(json.dumps([path.stem, json.load(out)]), flush=True)


def played(family, paths):
    """What scripts tell with a family, by their names."""
    done = subprocess.run([sys.executable, "-B", str(HERE), "--play", *map(str, paths)], check=True, text=True,
                          stdout=subprocess.PIPE, env={**os.environ, "FAMILY": family})
    return dict(map(json.loads, done.stdout.splitlines()))


def same(name, one, other):
    """Whether two values are as good as equal."""
    # Where nothing ever happened Linux tells the time of its clock of ticks, which begins 300 s before it wraps.
    if name.startswith("tcpi_last_") and one > 10_000 and other == 0:
        return True
    return abs(one - other) <= max(FURTHER.get(name, 0), SHARES.get(name, 0) * max(one, other))


def differences(inet, oxtcp):
    """What is not the same, with the first line, state and values: each once."""
    found = {}
    for (line, one), (_, other) in zip(inet["seen"], oxtcp["seen"]):
        for fd in one.keys() & other.keys():
            for name, value in one[fd].items():
                if not same(name, value, other[fd].get(name, 0)):
                    where = f"line {line}, state {one[fd]['tcpi_state']}"
                    found.setdefault(name, f"{where}: {value} with inet, {other[fd].get(name)} with oxtcp")
    for name in inet["counters"].keys() | oxtcp["counters"].keys():
        one, other = inet["counters"].get(name, 0), oxtcp["counters"].get(name, 0)
        if one != other:
            found[name] = f"{one} with inet, {other} with oxtcp"
    return found


class Reasons:
    """The differences that are known."""

    def __init__(self):
        self.entries = {}
        for line in KNOWN.read_text(encoding="utf-8").splitlines():
            words = line.split(maxsplit=2)
            if words and not words[0].startswith("#"):
                name, script, _reason = words
                self.entries[name, script.removesuffix("?")] = int(script.endswith("?"))

    def explains(self, name, script):
        """Whether a difference is known."""
        found = [entry for entry in self.entries if entry[0] == name and fnmatch.fnmatch(script, entry[1])]
        for entry in found:
            self.entries[entry] += 1
        return bool(found)

    def stale(self):
        """The entries that explain nothing."""
        return [entry for entry, count in self.entries.items() if count == 0]


def main():
    if sys.argv[1:2] == ["--play"]:
        play(map(pathlib.Path, sys.argv[2:]))
        return
    names = sys.argv[1:]
    paths = [path for path in sorted((HERE.parent / "scripts").glob("*.pkt"))
             if is_meant(path) and (not names or any(name in path.name for name in names))]
    os.environ["PACKETDRILL"] = str(SCRIPTS)
    told = {family: played(family, paths) for family in FILES}
    reasons, failed = Reasons(), False
    print(f"KTAP version 1\n1..{len(paths) + 1}", flush=True)
    for number, path in enumerate(paths, 1):
        inet, oxtcp = (told[family][path.stem] for family in FILES)
        if inet["problem"] or oxtcp["problem"]:
            print(f"ok {number} {path.stem} # SKIP it does not go as written: {inet['problem'] or oxtcp['problem']}")
            continue
        found = differences(inet, oxtcp)
        left = {name: what for name, what in found.items() if not reasons.explains(name, path.stem)}
        for name, what in sorted(left.items()):
            print(f"# {path.stem}: {name}: {what}")
        print(f"{'not ok' if left else 'ok'} {number} {path.stem}", flush=True)
        failed |= bool(left)
    stale = [] if names else reasons.stale()
    for name, script in stale:
        print(f"# {KNOWN.name}: {name} is the same in {script}")
    print(f"{'not ok' if stale else 'ok'} {len(paths) + 1} the list of differences is right")
    if os.environ.get("TIME", "real") != "real":
        # Closed sockets whose peer went with its script try for a while, which would keep the module from unloading.
        time.sleep(300)
    sys.exit(failed or bool(stale))


main()
