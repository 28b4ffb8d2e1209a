"""redis and memcached."""

import contextlib
import os
import re
from collections.abc import Iterator

import files
from program import VETH, Case, Program
from world import CLIENTS, PATIENCE, SCRATCH, World, amount, must, named

REDIS = 7379
MEMCACHED = 11311
REQUESTS = amount(500, 50)
VALUE = amount(files.MIDDLE, 1_000_003)
VALUES = amount(500, 100)
MESSAGES = amount(20, 5)
# What redis-benchmark runs if it is not told what: each is one line of its summary.
COMMANDS = 21


@contextlib.contextmanager
def redis(world: World) -> Iterator[None]:
    with world.server("redis-server", "--bind", world.address, "--port", REDIS, "--save", "", "--dir", SCRATCH,
                      "--protected-mode", "no", port=REDIS):
        yield


def benchmark(world: World, *flags) -> None:
    output = world.client("redis-benchmark", "-h", world.address, "-p", REDIS, "-q", *flags, timeout=180)
    results = [line for line in output.splitlines() if "requests per second" in line]
    # The rest is how far it has come.
    wrong = [line for line in output.splitlines() if line.strip() and not re.search(r"requests per second|rps=", line)]
    must(len(results) == COMMANDS, f"{len(results)} of {COMMANDS} commands gave a result: {wrong[:1]}")
    must(not wrong, f"redis-benchmark says: {wrong[:1]}")


def value(world: World, whole: int = VALUE) -> None:
    size = 1_000_003 if files.quick() else whole
    cli = f"redis-cli -h {world.address} -p {REDIS}"
    world.client("bash", "-ec", f"[ $({cli} -x set big < {files.path(size)}) = OK ]; {cli} --raw get big > {SCRATCH}/got")
    # It ends what it prints with a newline.
    must((SCRATCH / "got").stat().st_size == size + 1, f"{(SCRATCH / 'got').stat().st_size} bytes came")
    os.truncate(SCRATCH / "got", size)
    files.same(SCRATCH / "got", size)


def publish(world: World) -> None:
    """A subscriber waits, while another connection publishes."""
    cli = f"redis-cli -h {world.address} -p {REDIS}"
    output = world.client("bash", "-ec", f"timeout {60 * PATIENCE} {cli} subscribe news > {SCRATCH}/heard & "
                          f"until [ $({cli} --raw pubsub numsub news | tail -1) = 1 ]; do sleep 0.05; done; "
                          f"for i in $(seq {MESSAGES}); do {cli} publish news message-$i; done; "
                          f"until grep -q message-{MESSAGES} {SCRATCH}/heard; do sleep 0.05; done; kill %1")
    must(output.split() == ["1"] * MESSAGES, f"not every message had one receiver: {output.split()}")
    must(re.findall(r"message-(\d+)", (SCRATCH / "heard").read_text()) == [str(i) for i in range(1, MESSAGES + 1)], "messages are missing")


@contextlib.contextmanager
def memcached(world: World) -> Iterator[None]:
    with world.server("memcached", "-u", "root", "-l", world.address, "-p", MEMCACHED, "-U", 0, "-m", 64, "-I", "8m", port=MEMCACHED):
        yield


def capable(world: World) -> None:
    output = world.client("memccapable", "-h", world.address, "-p", MEMCACHED)
    must("All tests passed" in output, " / ".join(output.split("\n")[-3:]))


def copies(world: World) -> None:
    place = f"--servers={world.host}:{MEMCACHED}"
    for size in files.SMALL:
        world.client("memccp", place, files.path(size))
        world.client("bash", "-ec", f"memccat {place} --file={SCRATCH}/got {size}")
        files.same(SCRATCH / "got", size)


def threads(world: World) -> None:
    output = world.client("python3", "-B", CLIENTS / "memcache.py", world.address, MEMCACHED, VALUES)
    must(f"{8 * VALUES} values equal" in output, output)


PROGRAMS = [
    Program("redis", redis, (
        Case("value", f"redis-cli sets and gets a value of {named(VALUE)}; checksum", value, quick=True),
        Case("large value", f"the same, {named(files.LARGE)}; checksum", lambda world: value(world, files.LARGE), VETH, emulated=False),
        Case("benchmark", f"redis-benchmark, all its commands, 50 connections, {REQUESTS} requests of each; each has a result, no complaint",
             lambda world: benchmark(world, "-n", REQUESTS), VETH),
        Case("pipelined", "the same, 16 requests at a time, values of 100 bytes", lambda world: benchmark(world, "-n", REQUESTS, "-P", 16, "-d", 100), VETH, emulated=False),
        Case("publish", f"redis-cli subscribes and publishes {MESSAGES} messages; each arrives, in order", publish),
    )),
    Program("memcached", memcached, (
        Case("capable", "memccapable, the test of its protocols; all pass", capable),
        Case("copies", "memccp and memccat of 1 byte to 1 MB; checksums", copies, emulated=False),
        Case("threads", f"4 threads of Python, {VALUES} sets and gets each of 10 to 10,000 bytes; equal", threads, emulated=False),
    )),
]
