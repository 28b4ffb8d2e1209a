#!/usr/bin/env python3
"""Runs in a guest: the tests of a suite, as they are and through oxtcp_run.

guest.py [--judge] SUITE [TEST...]: with --judge a line of KTAP for each case that passes natively, else one of JSON for
each run of a test.
"""

import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import judge
import readers
import suites

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
STACKS = {"native": [], "oxtcp": os.environ.get("OXTCP_RUN", "oxtcp_run --strict").split()}

# What the connections were made by tells the namespace that the test began in: not those that it made itself.
IN_NAMESPACE = """
ip link set lo up
"$@"
status=$?
for family in inet oxtcp; do
    sed "s/^Tcp:/$family/" "/proc/net/$([ $family = inet ] || echo oxtcp_)snmp" >> "$COUNTERS"
done
exit $status
"""


def install(directory):
    """Puts oxtcp_run where whatever user a test becomes can reach it, which the checkout may not be."""
    os.chmod(directory, 0o755)
    for name, mode in (("oxtcp_run", 0o755), ("liboxtcp-preload.so", 0o644)):
        shutil.copy(CHECKOUT / "build/tools" / name, directory)
        os.chmod(pathlib.Path(directory, name), mode)
    os.environ["PATH"] = f"{directory}:{os.environ['PATH']}"


def opens(text, family):
    """How many connections were opened and accepted, by such a table of counters."""
    lines = [line.split() for line in text.splitlines() if line.split()[0] == family]
    if len(lines) != 2:
        return 0
    table = dict(zip(*lines))
    return int(table["ActiveOpens"]) + int(table["PassiveOpens"])


def run(suite, test, stack):
    """Runs a test over one of the stacks; what it said is kept in a log."""
    logs = CHECKOUT / "build/foreign/logs" / os.environ.get("VM", "here") / suite.name
    logs.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile() as said, tempfile.NamedTemporaryFile() as extra, tempfile.NamedTemporaryFile() as counters:
        environment = {**os.environ, "EXTRA": extra.name, "HERE": str(CHECKOUT / "tests/foreign"), "COUNTERS": counters.name}
        command = ["unshare", "--net", "bash", "-c", IN_NAMESPACE, "bash", *STACKS[stack], "bash", "-c", test.command]
        began = time.monotonic()
        process = subprocess.Popen(command, cwd=CHECKOUT / suite.directory, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=said, stderr=subprocess.STDOUT, start_new_session=True)
        ended = os.pidfd_open(process.pid)
        cut = not select.select([ended], [], [], test.timeout * (4 if os.environ.get("VM") == "stock" else 1))[0]
        os.close(ended)
        # What it left behind goes with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
        seconds = time.monotonic() - began
        output = pathlib.Path(said.name).read_bytes().decode(errors="replace")
        opened = [opens(pathlib.Path(counters.name).read_text(), family) for family in ("inet", "oxtcp")]
        cases = getattr(readers, test.reader)(output, status, extra.name)
    log = logs / (re.sub(r"[^A-Za-z0-9._-]+", "_", test.name) + f".{stack}.log")
    log.write_text(f"{output}\n# status {status}, {seconds:.1f} s{', cut off' if cut else ''}, connections of AF_INET and AF_OXTCP: {opened}\n")
    return {"suite": suite.name, "test": test.name, "stack": stack, "status": status, "seconds": round(seconds, 1),
            "cut": cut, "opened": opened, "cases": cases, "log": str(log.relative_to(CHECKOUT))}


def tell(runs):
    """Says how each case went that passes natively; whether none failed."""
    number, good = 0, True
    counts, _, passing = judge.count(runs, judge.exceptions())
    logs = {(run["test"], run["stack"]): run["log"] for run in runs}
    for counted in counts.values():
        for test, case in counted.failed:
            good = False
            print(f"not ok {(number := number + 1)} {judge.name(test, case)}")
            for line in (CHECKOUT / logs[test, "oxtcp"]).read_text(errors="replace").splitlines()[-40:]:
                print(f"#   {line}")
        for test, case, exception in counted.excepted:
            print(f"ok {(number := number + 1)} {judge.name(test, case)} # SKIP {exception.reason}")
        print(f"# {counted.both} of {counted.native} cases that pass natively pass, {counted.skipped} do not pass natively")
        good = good and counted.both > 0
    for exception in passing:
        good = False
        print(f"not ok {(number := number + 1)} {judge.name(exception.test, exception.case)} # it works: take it out of {judge.EXCEPTIONS.name}")
    return good


def main():
    """Runs what is asked for."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    suite = next(suite for suite in suites.SUITES if suite.name == words[0])
    tests = [test for test in suite.tests if not words[1:] or test.name in words[1:]]
    if unknown := set(words[1:]) - {test.name for test in tests}:
        raise SystemExit(f"{suite.name} has no test {sorted(unknown)[0]!r}")
    runs = []
    with tempfile.TemporaryDirectory() as directory:
        install(directory)
        for test in tests:
            if os.environ.get("VM", suites.VMS[0]) not in test.vms:
                continue
            for stack in STACKS:
                runs.append(run(suite, test, stack))
                if "--judge" not in sys.argv:
                    print(json.dumps(runs[-1]), flush=True)
    good = "--judge" not in sys.argv or tell(runs)
    sys.stdout.flush()
    if os.environ.get("TIME", "real") != "real":
        # Closed sockets whose peer went with its namespace try for a while, which would keep the module from unloading.
        time.sleep(300)
    sys.exit(not good)


if __name__ == "__main__":
    main()
