"""haproxy and socat between curl and nginx: each of the three on either stack."""

import contextlib
from collections.abc import Iterator

import files
from program import RELAYS, Case, Program
from themes import web
from world import SCRATCH, World

PORT = 9000


def haproxy_configuration(world: World, mode: str) -> str:
    return f"""
global
    maxconn 1000
defaults
    mode {mode}
    option splice-auto
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend front
    bind {world.address}:{PORT}
    default_backend back
backend back
    {'http-reuse never' if mode == 'http' else ''}
    server nginx {world.address}:{web.PORT}
"""


@contextlib.contextmanager
def haproxy(world: World, mode: str) -> Iterator[None]:
    (SCRATCH / "haproxy.cfg").write_text(haproxy_configuration(world, mode))
    with web.nginx(world), world.server("haproxy", "-db", "-f", SCRATCH / "haproxy.cfg", port=PORT, side="relay"):
        yield


@contextlib.contextmanager
def socat(world: World) -> Iterator[None]:
    kind = f"TCP{world.ip}"
    listen = f"{kind}-LISTEN:{PORT},bind={world.host},reuseaddr,fork,backlog=128"
    with web.nginx(world), world.server("socat", listen, f"{kind}:{world.host}:{web.PORT}", port=PORT, side="relay"):
        yield


def sizes(world: World) -> None:
    for size in (*files.SMALL, *(() if files.quick() else (files.LARGE,))):
        world.client("curl", "-sSfg", "-o", SCRATCH / "got", f"http://{world.host}:{PORT}/{size}")
        files.same(SCRATCH / "got", size)


def parallel(world: World) -> None:
    wanted = []
    for number in range(20):
        wanted += ["-o", SCRATCH / f"got.{number}", f"http://{world.host}:{PORT}/1000003"]
    world.client("curl", "-sSfg", "-Z", "--parallel-immediate", "--parallel-max", 20, *wanted)
    for number in range(20):
        files.same(SCRATCH / f"got.{number}", 1_000_003)


def cases(quick: bool = False) -> tuple[Case, ...]:
    return (
        Case("sizes", "curl through it of 1 byte to 100 MiB; checksums", sizes),
        Case("20 parallel", "curl through it, 20 files of 1 MB at the same time; checksums", parallel, quick=quick),
    )


PROGRAMS = [
    Program("haproxy, tcp", lambda world: haproxy(world, "tcp"), cases(), RELAYS),
    Program("haproxy, http", lambda world: haproxy(world, "http"), cases(), RELAYS),
    Program("socat", socat, cases(quick=True), RELAYS),
]
