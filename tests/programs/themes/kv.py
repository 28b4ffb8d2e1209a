"""redis and memcached."""

import contextlib
import re
from collections.abc import Iterator

import files
from program import VETH, Case, Program
from world import SCRATCH, World, must

REDIS = 7379
MEMCACHED = 11311
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


def value(world: World) -> None:
    size = 1_000_003 if files.quick() else files.MIDDLE
    cli = f"redis-cli -h {world.address} -p {REDIS}"
    world.client("bash", "-o", "pipefail", "-ec", f"[ $({cli} -x set big < {files.path(size)}) = OK ]; "
                 f"{cli} --raw get big | head -c {size} > {SCRATCH}/got")
    files.same(SCRATCH / "got", size)


def publish(world: World) -> None:
    """A subscriber waits, while another connection publishes."""
    cli = f"redis-cli -h {world.address} -p {REDIS}"
    output = world.client("bash", "-ec", f"timeout 20 {cli} subscribe news > {SCRATCH}/heard & "
                          f"until [ $({cli} --raw pubsub numsub news | tail -1) = 1 ]; do sleep 0.05; done; "
                          f"for i in $(seq 20); do {cli} publish news message-$i; done; "
                          f"until grep -q message-20 {SCRATCH}/heard; do sleep 0.05; done; kill %1")
    must(output.split() == ["1"] * 20, f"not every message had one receiver: {output.split()}")
    must(re.findall(r"message-(\d+)", (SCRATCH / "heard").read_text()) == [str(i) for i in range(1, 21)], "messages are missing")


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
    output = world.client("python3", "-B", "tests/programs/clients/memcache.py", world.address, MEMCACHED)
    must("4000 values equal" in output, output)


PROGRAMS = [
    Program("redis", redis, (
        Case("benchmark", "redis-benchmark, all its commands, 50 connections, 500 requests of each; each has a result, no complaint",
             lambda world: benchmark(world, "-n", 500), VETH),
        Case("pipelined", "the same, 16 requests at a time, values of 100 bytes", lambda world: benchmark(world, "-n", 500, "-P", 16, "-d", 100), VETH),
        Case("value", "redis-cli sets and gets a value of 10 MiB; checksum", value, quick=True),
        Case("publish", "redis-cli subscribes and publishes 20 messages; each arrives, in order", publish),
    )),
    Program("memcached", memcached, (
        Case("capable", "memccapable, the test of its protocols; all pass", capable),
        Case("copies", "memccp and memccat of 1 byte to 1 MB; checksums", copies),
        Case("threads", "4 threads of Python, 500 sets and gets each of 10 to 10,000 bytes; equal", threads),
    )),
]
