"""Programs that make their system calls themselves, which oxtcp_run --trap reaches: caddy, etcd and hey, written in Go, and a
static busybox."""

import contextlib
import os
import re
from collections.abc import Iterator

import files
from program import RELAYS, VETH, Case, Program
from themes import web
from world import PATIENCE, SCRATCH, World, amount, must, named

CADDY = 8090
FRONT = 9090
ETCD = 7379
BUSYBOX = 8091
ECHO = 8092
REQUESTS, KEYS = amount(200, 40), amount(100, 10)
TRAP = ("--trap",)


def environment() -> dict[str, str]:
    # Go 1.24 listens with MPTCP where the kernel has it, unless it is told or was built not to.
    return {**os.environ, "HOME": str(SCRATCH), "GODEBUG": "multipathtcp=0"}


@contextlib.contextmanager
def caddy(world: World, port: int, side: str, site: str) -> Iterator[None]:
    configuration = SCRATCH / f"Caddyfile.{side}"
    configuration.write_text(f"""
{{
    admin off
    auto_https off
}}
http://{world.host}:{port} {{
    bind {world.address}
    {site}
}}
""")
    words = ["caddy", "run", "--adapter", "caddyfile", "--config", configuration]
    with world.server(*words, port=port, side=side, env=environment()):
        yield


@contextlib.contextmanager
def file_server(world: World) -> Iterator[None]:
    with caddy(world, CADDY, "server", f"root * {files.DIRECTORY}\n    file_server"):
        yield


@contextlib.contextmanager
def proxy(world: World) -> Iterator[None]:
    # Without its limit of 3 s for connect(), which answers 502 on a busy machine, over Linux's TCP too.
    site = f"""reverse_proxy {world.host}:{web.PORT} {{
        transport http {{
            keepalive off
            dial_timeout 60s
        }}
    }}"""
    with web.nginx(world), caddy(world, FRONT, "relay", site):
        yield


def hey(world: World, port: int, *flags: str) -> None:
    output = world.client("hey", "-n", REQUESTS, "-c", 20, *flags, f"http://{world.host}:{port}/65536", env=environment(), timeout=120)
    must(re.search(rf"\[200\]\s+{REQUESTS} responses", output) is not None and "Error" not in output, " ".join(output.split())[-300:])
    must(f"{REQUESTS * 65_536} bytes" in output, "the bodies are not whole: " + " ".join(output.split())[:300])


def parallel(world: World) -> None:
    web.get_parallel(world, 20, f"http://{world.host}:{FRONT}/{web.PARALLEL_SIZE}", web.PARALLEL_SIZE)


@contextlib.contextmanager
def etcd(world: World) -> Iterator[None]:
    clients, peers = (f"http://{world.host}:{port}" for port in (ETCD, ETCD + 1))
    words = ["etcd", "--data-dir", SCRATCH / "etcd", "--listen-client-urls", clients, "--advertise-client-urls", clients,
             "--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers, "--initial-cluster", f"default={peers}",
             # It would be a client of its own.
             "--enable-grpc-gateway=false", "--log-level", "warn"]
    with world.server(*words, port=ETCD, env=environment()):
        etcdctl(world, "endpoint", "health")
        yield


def etcdctl_words(world: World) -> list[str]:
    limit = f"{20 * PATIENCE}s"
    return ["etcdctl", "--endpoints", f"http://{world.host}:{ETCD}", "--dial-timeout", limit, "--command-timeout", limit]


def etcdctl(world: World, *words) -> str:
    return world.client(*etcdctl_words(world), *words, env=environment())


def keys(world: World) -> None:
    """A transaction for all of them, since each start of the program takes long."""
    puts = "".join(f"put key{number:03} value{number * number}\n" for number in range(KEYS))
    etcdctl(world, "del", "key", "--prefix")
    world.client("bash", "-ec", f"printf '\\n{puts}\\n\\n' | {' '.join(etcdctl_words(world))} txn", env=environment())
    lines = etcdctl(world, "get", "key", "--prefix").split()
    must(lines == [word for number in range(KEYS) for word in (f"key{number:03}", f"value{number * number}")], " ".join(lines)[-200:])


def large_value(world: World) -> None:
    place = " ".join(etcdctl_words(world))
    world.client("bash", "-o", "pipefail", "-ec", f"base64 -w 0 < {files.path(65_536)} > {SCRATCH}/text; {place} put large < {SCRATCH}/text; "
                 f"{place} get large --print-value-only | base64 -d > {SCRATCH}/got", env=environment())
    files.same(SCRATCH / "got", 65_536)


def watch(world: World) -> None:
    """A watcher waits on its connection, while other connections put."""
    place = " ".join(etcdctl_words(world))
    world.client("bash", "-ec", f"{place} watch seen > {SCRATCH}/watched & until grep -q begun {SCRATCH}/watched; do {place} put seen begun; done; "
                 f"for n in $(seq 5); do {place} put seen number$n; done; until grep -q number5 {SCRATCH}/watched; do sleep 0.1; done; kill %1",
                 env=environment())
    must(re.findall(r"number(\d)", (SCRATCH / "watched").read_text()) == list("12345"), "not each change was seen, in order")


@contextlib.contextmanager
def busybox(world: World) -> Iterator[None]:
    with world.server("busybox", "httpd", "-f", "-p", f"{world.host}:{BUSYBOX}", "-h", files.DIRECTORY, port=BUSYBOX):
        yield


def wget(world: World) -> None:
    for size in (*files.SMALL, *(() if files.quick() else (files.LARGE,))):
        world.client("busybox", "wget", "-q", "-O", SCRATCH / "got", f"http://{world.host}:{BUSYBOX}/{size}")
        files.same(SCRATCH / "got", size)


@contextlib.contextmanager
def echo(world: World) -> Iterator[None]:
    with world.server("busybox", "nc", "-ll", "-p", ECHO, "-e", "/bin/cat", port=ECHO):
        yield


def nc(world: World) -> None:
    for size in files.SMALL:
        world.client("bash", "-ec", f"busybox nc {world.address} {ECHO} < {files.path(size)} > {SCRATCH}/got")
        files.same(SCRATCH / "got", size)


PROGRAMS = [
    Program("caddy, curl (--trap)", file_server, (
        Case("sizes", f"curl of 1 byte to {named(files.LARGE)}; checksums", lambda world: web.get(world, f"http://{world.host}:{CADDY}")),
    ), flags=TRAP),
    Program("caddy, hey (--trap)", file_server, (
        Case("keep-alive", f"hey, {REQUESTS} requests of 64 KiB on 20 connections; each answered by 200, bytes counted", lambda world: hey(world, CADDY)),
        Case("close", "the same, a connection each", lambda world: hey(world, CADDY, "-disable-keepalive"), emulated=False),
    ), flags=TRAP),
    Program("caddy, reverse proxy (--trap)", proxy, (
        Case("sizes", f"curl through it from nginx of 1 byte to {named(files.LARGE)}; checksums", lambda world: web.get(world, f"http://{world.host}:{FRONT}"), emulated=False),
        Case("parallel", f"curl through it from nginx, 20 files of {named(web.PARALLEL_SIZE)} at the same time; checksums", parallel),
        Case("hey", f"hey through it from nginx, {REQUESTS} requests of 64 KiB; each answered by 200, bytes counted",
             lambda world: hey(world, FRONT), VETH, emulated=False),
    ), RELAYS, TRAP),
    Program("etcd, etcdctl (--trap)", etcd, (
        Case("keys", f"a transaction puts {KEYS} keys, another connection gets them; equal", keys),
        Case("value", "a value of 87 kB is put and got; checksum", large_value, emulated=False),
        Case("watch", "a watcher hears of 5 changes; in order", watch, emulated=False),
    ), flags=TRAP),
    Program("busybox, httpd and wget (--trap)", busybox, (
        Case("sizes", f"wget of 1 byte to {named(files.LARGE)}; checksums", wget, quick=True),
    ), flags=TRAP),
    Program("busybox, nc (--trap)", echo, (
        Case("echo", "nc sends 1 byte to 1 MB to an nc that echoes; checksums", nc),
    ), flags=TRAP),
]
