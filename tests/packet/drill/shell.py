# SPDX-License-Identifier: GPL-2.0
"""Shell commands of scripts. What nearly every script begins with this process does itself: a program that starts takes a
guest longer than all else that a script does.
"""

import functools
import os
import pathlib
import re
import subprocess

import internet
from packet import Failed

# A shell function spares starting sysctl where the shell is needed.
SYSCTL = """() { local one
    for one; do case $one in
        *=*) local path=${one%%=*}; echo "${one#*=}" > "/proc/sys/${path//.//}" || return 1 ;;
    esac; done; }"""
# Tells what a shell script would run of these programs.
TELLING = """exec 3>&1
tell() { local IFS=$'\\x1f'; echo "$*" >&3; }
sysctl() { tell sysctl "$@"; }
tc() { tell tc "$@"; }
ip() { tell ip "$@"; }
. "$0"
"""
DEFAULTS = re.compile(r"\s*(\.|\$PACKETDRILL)/defaults\.sh\s*")
SETTINGS = re.compile(r"\s*sysctl -q((?: [\w./]+=[\w-]+)+)\s*")


@functools.cache
def commands(path):
    """What a shell script runs, in words."""
    told = subprocess.run(["bash", "-c", TELLING, path], check=True, text=True, stdout=subprocess.PIPE).stdout
    return [line.split("\x1f") for line in told.splitlines()]


def defaults(directory):
    """The kernel's settings for all scripts. To be called once before processes are forked, which then have them."""
    return commands(str(pathlib.Path(directory) / "defaults.sh"))


def write_setting(setting):
    """Sets one, given as NAME=VALUE."""
    name, value = setting.split("=", 1)
    fd = os.open("/proc/sys/" + name.replace(".", "/"), os.O_WRONLY)
    try:
        os.write(fd, value.encode() + b"\n")
    finally:
        os.close(fd)


def set_defaults():
    """Does what defaults.sh does. Like it, leaves what this kernel cannot set."""
    for words in defaults(os.environ["PACKETDRILL"]):
        if words[:2] == ["sysctl", "-q"]:
            for setting in words[2:]:
                try:
                    write_setting(setting)
                except OSError:
                    pass
        elif words == "tc qdisc add dev tun0 root pfifo".split():
            internet.set_queue("tun0", "pfifo")
        elif words != "ip tcp_metrics flush all".split():  # a new namespace has none
            raise Failed(f"defaults.sh asks for {' '.join(words)}")


def run(text):
    """Runs commands, of which the last must succeed."""
    lines = text.strip().splitlines()
    while lines:
        if DEFAULTS.fullmatch(lines[0]):
            set_defaults()
        elif match := SETTINGS.fullmatch(lines[0]):
            try:
                for setting in match[1].split():
                    write_setting(setting)
            except OSError:
                break  # the shell tells why
        else:
            break
        lines.pop(0)
    if not lines:
        return
    environment = {**os.environ, "PACKETDRILL_PID": str(os.getpid()), "BASH_FUNC_sysctl%%": SYSCTL}
    done = subprocess.run(["bash", "-c", "\n".join(lines)], env=environment, check=False,
                          capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise Failed(f"{text.strip()!r} ended with {done.returncode}: {done.stderr.strip()[-200:]}")
