"""Interpreters: Python's http.server with requests, and node's http."""

import contextlib
from collections.abc import Iterator

import files
from program import Case, Program
from world import CLIENTS, World, amount, must, named

PYTHON = 8000
NODE = 8001
CLOSE, KEEP, FETCH = amount(200, 40), amount(500, 100), amount(30, 10)


@contextlib.contextmanager
def http_server(world: World) -> Iterator[None]:
    with world.server("python3", "-m", "http.server", "--bind", world.address, "--directory", files.DIRECTORY, PYTHON, port=PYTHON):
        yield


def requests(world: World) -> None:
    sizes = [str(size) for size in (*files.SMALL, *(() if files.quick() else (files.LARGE,)))]
    output = world.client("python3", "-B", CLIENTS / "gets.py", f"http://{world.host}:{PYTHON}", files.DIRECTORY, *sizes)
    must("all equal" in output, output)


@contextlib.contextmanager
def node(world: World) -> Iterator[None]:
    with world.server("node", CLIENTS / "server.mjs", world.address, NODE, port=NODE):
        yield


def node_client(world: World, *words) -> None:
    output = world.client("node", CLIENTS / "client.mjs", f"http://{world.host}:{NODE}", *words)
    must("all equal" in output, output)


PROGRAMS = [
    Program("Python, http.server and requests", http_server, (
        Case("gets", f"a Session and 8 threads get 1 byte to {named(files.LARGE)}, 100 requests; checksums", requests, quick=True),
    )),
    Program("node, http", node, (
        Case("close", f"http.get, {CLOSE} requests, 20 at a time, a connection each; contents", lambda world: node_client(world, "close", CLOSE)),
        Case("keep-alive", f"an agent that keeps connections, {KEEP} requests, 20 at a time; contents", lambda world: node_client(world, "keep", KEEP), emulated=False),
        Case("fetch", f"fetch() posts {FETCH} bodies of up to {30 * FETCH} kB and reads them back; contents", lambda world: node_client(world, "fetch", FETCH)),
    )),
]
