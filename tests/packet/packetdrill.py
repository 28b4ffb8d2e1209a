#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Packetdrill scripts against the family FAMILY: the kernel's own, as they are, and with --ours those of scripts/.

packetdrill.py [-v] [--ours] [NAME...]: plays these scripts (a name, or part of one), or all. The families of IPv6 play
them over IPv6, and with IP_VERSION=mapped over IPv4 by mapped addresses: together the three ways in which the kernel
runs its own. A script that names its version is played only there. What is known not to work is listed with its reason
in packetdrill.known; an entry there that works after all fails, so the list cannot grow stale.
"""

import ctypes
import os
import pathlib
import re
import signal
import sys
import time
import traceback

import internet
from drill import shell
from drill.play import Player
from drill.script import ScriptError
from packet import Failed

SCRIPTS = pathlib.Path(os.environ.get("PACKETDRILL", "/usr/src/linux/tools/testing/selftests/net/packetdrill"))
OURS = pathlib.Path(__file__).parent / "scripts"
KNOWN = pathlib.Path(__file__).with_suffix(".known")
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18
LIBC = ctypes.CDLL(None, use_errno=True)


def known():
    """The scripts that are known to fail with this stack and version of IP, and why."""
    stack = "oxtcp" if internet.OURS else "inet"
    here = {stack, f"{stack}:{'mapped' if internet.MAPPED else internet.choose('ipv4', 'ipv6')}"}
    reasons = {}
    for line in KNOWN.read_text(encoding="utf-8").splitlines():
        words = line.split(maxsplit=2)
        if not words or words[0].startswith("#"):
            continue
        families, name, reason = words
        if not any((place / f"{name}.pkt").exists() for place in (SCRIPTS, OURS)):
            raise SystemExit(f"{KNOWN.name}: there is no script {name}")
        if here & set(families.split(",")):
            reasons[name] = reason
    return reasons


def isolate():
    """A network and a /tmp of this process's own."""
    os.unshare(os.CLONE_NEWNET | os.CLONE_NEWNS)
    for source, place, kind, flags in ((b"none", b"/", None, MS_REC | MS_PRIVATE), (b"tmpfs", b"/tmp", b"tmpfs", 0)):
        if LIBC.mount(source, place, kind, flags, None) < 0:
            raise OSError(ctypes.get_errno(), "mount")


def play(path, verbose):
    """Plays a script in this process; its exit status."""
    player = None
    try:
        # Scripts call programs beside them.
        os.chdir(path.parent)
        text = path.read_text(encoding="utf-8")
        isolate()
        player = Player(text, verbose)
        player.run()
        if path.parent == OURS:
            player.check_silence()
        return 0
    except (Failed, ScriptError) as problem:
        print(f"# {path.name}: {problem}")
    except Exception:  # an error of this program is a failure of the script
        traceback.print_exc(file=sys.stdout)
    if not verbose and player:
        for line in player.lines[-12:]:
            print(f"#   {line}")
    return 1


def attempt(path, verbose):
    """Plays a script in a child; whether it went as written."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        status = play(path, verbose)
        sys.stdout.flush()
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def is_meant(path):
    """Whether the script is for the version of IP that is spoken here."""
    named = re.findall(r"^--ip_version=(\S+)", path.read_text(encoding="utf-8"), re.M)
    return not named or named == [internet.choose("ipv4-mapped-ipv6" if internet.MAPPED else "ipv4", "ipv6")]


def main():
    """Plays the scripts and says how each went."""
    names = [word for word in sys.argv[1:] if word[0] != "-"]
    place = OURS if "--ours" in sys.argv else SCRIPTS
    paths = sorted(place.glob("*.pkt"))
    if not paths:
        raise SystemExit(f"no scripts in {place}")
    chosen = [path for path in filter(is_meant, paths) if not names or any(name in path.name for name in names)]
    reasons = known()
    os.environ["PACKETDRILL"] = str(SCRIPTS)
    shell.defaults(SCRIPTS)
    counts = {"as written": 0, "not": 0, "known not to": 0}
    print(f"KTAP version 1\n1..{len(chosen)}", flush=True)
    for number, path in enumerate(chosen, 1):
        passed = attempt(path, "-v" in sys.argv)
        reason = reasons.get(path.stem)
        if reason and not passed:
            print(f"ok {number} {path.stem} # SKIP {reason}", flush=True)
            counts["known not to"] += 1
        elif reason:
            print(f"not ok {number} {path.stem} # it works: take it out of {KNOWN.name}", flush=True)
            counts["not"] += 1
        else:
            print(f"{'ok' if passed else 'not ok'} {number} {path.stem}", flush=True)
            counts["as written" if passed else "not"] += 1
    print("# " + ", ".join(f"{count} {what}" for what, count in counts.items()))
    if os.environ.get("TIME", "real") != "real":
        # Closed sockets whose peer went with its script try for a while, which would keep the module from unloading.
        time.sleep(300)
    sys.exit(1 if counts["not"] else 0)


if __name__ == "__main__":
    main()
