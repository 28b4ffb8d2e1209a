"""haproxy and socat between curl and nginx: each of the three on either stack."""

import contextlib
from collections.abc import Iterator

import files
from program import RELAYS, Case, Program
from themes import web
from world import SCRATCH, World, amount, named

PORT = 9000
PARALLEL = amount(100, 20)


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
    web.get(world, f"http://{world.host}:{PORT}")


def parallel(world: World) -> None:
    web.get_parallel(world, PARALLEL, f"http://{world.host}:{PORT}/{web.PARALLEL_SIZE}", web.PARALLEL_SIZE)


def cases(quick: bool = False) -> tuple[Case, ...]:
    return (
        Case("sizes", f"curl through it of 1 byte to {named(files.LARGE)}; checksums", sizes, emulated=False),
        Case("parallel", f"curl through it, {PARALLEL} files of {named(web.PARALLEL_SIZE)} at the same time; checksums", parallel, quick=quick),
    )


PROGRAMS = [
    Program("haproxy, tcp", lambda world: haproxy(world, "tcp"), cases(), RELAYS),
    Program("haproxy, http", lambda world: haproxy(world, "http"), cases(), RELAYS),
    Program("socat", socat, cases(quick=True), RELAYS),
]
