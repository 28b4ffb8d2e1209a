"""nginx, with curl, wrk and ab."""

import contextlib
import re
from collections.abc import Iterator

import files
from program import VETH, Case, Program
from world import PATIENCE, SCRATCH, Failure, World, amount, must, named, run

PORT = 8080
TLS = 8443
REQUESTS = amount(1000, 200)
SECONDS = amount(3, 12)
PARALLEL_SIZE = amount(1_000_003, 65_536)


def configuration(world: World) -> str:
    return f"""
daemon off;
user www-data;
worker_processes 2;
pid {SCRATCH}/nginx.pid;
error_log {SCRATCH}/nginx.error info;
events {{ worker_connections 1024; multi_accept on; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_body_temp_path {SCRATCH}/body;
    proxy_temp_path {SCRATCH}/proxy;
    fastcgi_temp_path {SCRATCH}/fastcgi;
    uwsgi_temp_path {SCRATCH}/uwsgi;
    scgi_temp_path {SCRATCH}/scgi;
    server {{
        listen {world.host}:{PORT} reuseport backlog=1024;
        root {files.DIRECTORY};
        location /copied/ {{ alias {files.DIRECTORY}/; sendfile off; }}
        location /threads/ {{ alias {files.DIRECTORY}/; aio threads; }}
    }}
    server {{
        listen {world.host}:{TLS} ssl;
        ssl_certificate {SCRATCH}/cert;
        ssl_certificate_key {SCRATCH}/key;
        root {files.DIRECTORY};
    }}
}}
"""


@contextlib.contextmanager
def nginx(world: World) -> Iterator[None]:
    certificate(world)
    (SCRATCH / "nginx.conf").write_text(configuration(world))
    with world.server("nginx", "-e", SCRATCH / "nginx.error", "-c", SCRATCH / "nginx.conf", port=TLS):
        yield
    # Level info tells of each client that went away, and of nothing that is wrong; from error on something is.
    wrong = [line for line in (SCRATCH / "nginx.error").read_text().splitlines() if re.search(r"\[(error|crit|alert|emerg)\]", line)]
    must(not wrong, f"nginx says: {wrong[0] if wrong else ''}")


def certificate(world: World) -> None:
    run(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=guest "
                      f"-addext subjectAltName=IP:{world.address} -keyout {SCRATCH}/key -out {SCRATCH}/cert 2> /dev/null")


def url(world: World, size: int) -> str:
    return f"http://{world.host}:{PORT}/{size}"


def get(world: World, root: str, *flags, large: bool = True) -> None:
    """Files of all sizes, a connection for each."""
    wanted = (*files.SMALL, *(() if files.quick() or not large else (files.LARGE,)))
    words = [word for size in wanted for word in ("-o", SCRATCH / f"got.{size}", f"{root}/{size}")]
    before = world.opens()
    # One program for all, since its start is what takes long in emulated guests.
    world.client("curl", "-sSfg", "-H", "Connection: close", *flags, *words)
    made = world.opens() - before
    must(made.native_active + made.ours_active >= len(wanted), f"{made} connections for {len(wanted)} files")
    for size in wanted:
        files.same(SCRATCH / f"got.{size}", size)


def sizes(world: World, place: str = "") -> None:
    get(world, f"http://{world.host}:{PORT}{place}")


def huge(world: World) -> None:
    output = world.client("bash", "-o", "pipefail", "-c", f"curl -sSfg '{url(world, files.HUGE)}' | sha256sum", timeout=120)
    must(output.split()[0] == files.checksum(files.HUGE), f"{named(files.HUGE)} came with another checksum")


def keep_alive(world: World) -> None:
    before = world.opens()
    world.client("curl", "-sSf", "-o", f"{SCRATCH}/got.#1", f"{url(world, 1000)}?[1-200]")
    made = world.opens() - before
    must(made.native_active + made.ours_active == 1, f"{made.native_active + made.ours_active} connections instead of one")
    for number in range(1, 201):
        files.same(SCRATCH / f"got.{number}", 1000)


def get_parallel(world: World, count: int, address: str, size: int) -> None:
    wanted = []
    for number in range(count):
        wanted += ["-o", SCRATCH / f"got.{number}", address]
    world.client("curl", "-sSfg", "-Z", "--parallel-immediate", "--parallel-max", count, *wanted, timeout=120)
    for number in range(count):
        files.same(SCRATCH / f"got.{number}", size)
        (SCRATCH / f"got.{number}").unlink()


def parallel(world: World) -> None:
    get_parallel(world, 100, url(world, PARALLEL_SIZE), PARALLEL_SIZE)


def ranges(world: World) -> None:
    size = 1_000_003
    world.client("bash", "-ec", f"for at in 0 250000 500000 750000; do curl -sSfg -r $at-$((at + 249999)) '{url(world, size)}'; done "
                 f"> {SCRATCH}/got; curl -sSfg -r 1000000- '{url(world, size)}' >> {SCRATCH}/got")
    files.same(SCRATCH / "got", size)


def tls(world: World) -> None:
    get(world, f"https://{world.host}:{TLS}", "--cacert", SCRATCH / "cert", large=False)


def wrk(world: World) -> None:
    output = world.client("wrk", "-t", 2, "-c", 100, "-d", SECONDS, "--timeout", 10 * PATIENCE, url(world, 1000))
    must("Socket errors" not in output and "Non-2xx" not in output, " ".join(output.split()))
    found = re.search(r"(\d+) requests in", output)
    must(found is not None and int(found[1]) >= 100, " ".join(output.split()))


def ab(world: World, *flags: str) -> None:
    wanted = REQUESTS
    output = world.client("ab", "-q", "-n", wanted, "-c", 50, *flags, url(world, 65_536))
    for line in (rf"Complete requests: +{wanted}\n", r"Failed requests: +0\n", rf"HTML transferred: +{wanted * 65_536} bytes\n"):
        if not re.search(line, output):
            raise Failure(" ".join(output.split())[-300:])


PROGRAMS = [
    Program("nginx, curl", nginx, (
        Case("sizes", f"curl of 1 byte to {named(files.LARGE)}, sendfile on; checksums", sizes, quick=True),
        Case("copied", "the same with sendfile off; checksums", lambda world: sizes(world, "/copied"), emulated=False),
        Case("threads", "the same with aio threads; checksums", lambda world: sizes(world, "/threads"), emulated=False),
        Case("huge", f"curl of {named(files.HUGE)}, sendfile on; checksum", huge, VETH),
        Case("keep-alive", "curl, 200 requests on one connection; checksums, one connection counted", keep_alive),
        Case("100 parallel", f"curl, 100 files of {named(PARALLEL_SIZE)} at the same time; checksums", parallel, quick=True),
        Case("ranges", "curl of a file by five ranges; checksum", ranges, emulated=False),
        Case("TLS", "curl by https, 1 byte to 1 MB; checksums", tls, emulated=False),
    )),
    Program("nginx, wrk", nginx, (
        Case("100 connections", f"wrk, 100 connections, {SECONDS} s; no socket error, each answer 2xx", wrk),
    )),
    Program("nginx, ab", nginx, (
        Case("close", f"ab, {REQUESTS:,} requests of 64 KiB, 50 at a time, a connection each; none failed, bytes counted", ab),
        Case("keep-alive", "the same with -k", lambda world: ab(world, "-k"), emulated=False),
    )),
]
