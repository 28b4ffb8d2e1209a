"""PostgreSQL."""

import contextlib
import pathlib
import re
import shutil
import time
from collections.abc import Iterator

from program import Case, Program
from world import PATIENCE, SCRATCH, World, amount, must, run

PORT = 5433
SCALE, EACH, SELECTS, CONNECTIONS, ROWS = amount(2, 1), amount(50, 10), amount(250, 25), amount(15, 5), amount(100_000, 10_000)
# The cluster is made once for all worlds: that takes longer than what follows.
CLUSTER = pathlib.Path("/dev/shm/cluster")
AS_USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


def binary(name: str) -> pathlib.Path:
    """Debian keeps the programs of each version by themselves."""
    return next(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))


def initdb() -> None:
    if not CLUSTER.exists():
        run(f"install -d -o postgres -g postgres -m 700 {CLUSTER}")
        run(f"{' '.join(AS_USER)} {binary('initdb')} -D {CLUSTER} -A trust -U postgres -E UTF8 --locale=C > /dev/null")
        with open(CLUSTER / "pg_hba.conf", "a", encoding="utf-8") as file:
            file.write("host all all all trust\n")


@contextlib.contextmanager
def server(world: World) -> Iterator[None]:
    initdb()
    shutil.copytree(CLUSTER, SCRATCH / "cluster")
    run(f"chown -R postgres:postgres {SCRATCH}/cluster")
    words = [binary("postgres"), "-D", SCRATCH / "cluster", "-c", f"listen_addresses={world.address}", "-c", f"port={PORT}",
             "-c", "unix_socket_directories=", "-c", "shared_buffers=64MB", "-c", "fsync=off", "-c", "max_wal_size=64MB"]
    with world.server(*AS_USER, *words, port=PORT):
        await_start()
        yield


def await_start() -> None:
    """It listens before it takes anybody in; its lock file says when it does."""
    limit = time.monotonic() + 30 * PATIENCE
    while "ready" not in (SCRATCH / "cluster/postmaster.pid").read_text(encoding="utf-8").split():
        must(time.monotonic() < limit, "PostgreSQL does not get ready")
        time.sleep(0.02)


def pgbench(world: World, *flags, transactions: int = 0) -> None:
    output = world.client(binary("pgbench"), "-h", world.address, "-p", PORT, "-U", "postgres", *flags, "postgres", timeout=120)
    if transactions:
        must(re.search(rf"transactions actually processed: {transactions}/{transactions}$", output, re.M) is not None
             and re.search(r"number of failed transactions: 0 ", output) is not None, " / ".join(output.splitlines()[-5:]))


def mixed(world: World) -> None:
    pgbench(world, "-q", "-i", "-s", SCALE)
    pgbench(world, "-c", 8, "-j", 2, "-t", EACH, transactions=8 * EACH)


def selects(world: World) -> None:
    pgbench(world, "-S", "-M", "prepared", "-c", 8, "-j", 2, "-t", SELECTS, transactions=8 * SELECTS)


def connections(world: World) -> None:
    pgbench(world, "-C", "-S", "-c", 4, "-t", CONNECTIONS, transactions=4 * CONNECTIONS)


def copy(world: World) -> None:
    """Rows go out by COPY and come in again by COPY; the sum over both tables is the same."""
    psql = f"{binary('psql')} -h {world.address} -p {PORT} -U postgres -AtqX -v ON_ERROR_STOP=1 postgres"
    total = "select count(*), md5(string_agg(v, '' order by n)) from"
    output = world.client("bash", "-o", "pipefail", "-ec", f"""
        {psql} -c "create table a as select n, repeat(md5(n::text), 10) v from generate_series(1, {ROWS}) n; create table b (like a)"
        {psql} -c "copy a to stdout" | {psql} -c "copy b from stdin"
        {psql} -c "{total} a" -c "{total} b" -c "drop table a, b" """)
    first, second = output.split()
    must(first == second and first.startswith(f"{ROWS}|"), f"{first}, then {second}")


PROGRAMS = [
    Program("PostgreSQL", server, (
        Case("pgbench", f"pgbench -i -s {SCALE}, then 8 clients, {8 * EACH} transactions; none failed", mixed),
        Case("selects", f"pgbench -S -M prepared, 8 clients, {8 * SELECTS:,} transactions; none failed", selects, emulated=False),
        Case("connections", f"pgbench -C, a connection for each of {4 * CONNECTIONS} transactions; none failed", connections, emulated=False),
        Case("copy", f"psql, {ROWS:,} rows of 320 bytes out by COPY and in again; rows and checksum", copy),
    )),
]
