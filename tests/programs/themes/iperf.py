"""iperf3."""

import contextlib
import json
import pathlib
from collections.abc import Iterator

from program import VETH, Case, Program
from world import Failure, World, amount, must, named

PORT = 5201
AMOUNT = amount(128 << 20, 8 << 20)


@contextlib.contextmanager
def server(world: World) -> Iterator[None]:
    with world.server("iperf3", "-s", "-B", world.address, "-p", PORT, port=PORT):
        yield


def buffers() -> int:
    """The most octets that may be on their way between two sockets."""
    return sum(int(pathlib.Path(f"/proc/sys/net/ipv4/{name}").read_text().split()[2]) for name in ("tcp_rmem", "tcp_wmem"))


def iperf(world: World, *flags, streams: int = 1, ways: int = 1) -> None:
    words = ["iperf3", "-c", world.address, "-p", PORT, "-J", *flags]
    output = world.client(*words, *(["-n", AMOUNT] if "-t" not in flags else []), timeout=90)
    try:
        result = json.loads(output)
    except ValueError:
        raise Failure(f"iperf3 printed no JSON: {output[:200]}") from None
    must("error" not in result, str(result.get("error")))
    end = result["end"]
    must(len(end["streams"]) == streams * ways, f"{len(end['streams'])} streams instead of {streams * ways}")
    for way in ("", "_bidir_reverse")[:ways]:
        sent, received = end[f"sum_sent{way}"]["bytes"], end[f"sum_received{way}"]["bytes"]
        # What is in a stream's buffers when an end stops counts at one end only.
        slack = min(streams * (131_072 + buffers()), AMOUNT // 2) if "-t" not in flags else sent
        must(received > 0 and received <= sent + slack, f"{received} bytes received of {sent} sent")
        must("-t" in flags or ways == 2 or received >= AMOUNT - slack, f"{received} bytes received of {AMOUNT}")


PROGRAMS = [
    Program("iperf3", server, (
        Case("forward", f"iperf3 -n {named(AMOUNT)}; bytes received", iperf, quick=True),
        Case("reverse", f"iperf3 -R -n {named(AMOUNT)}; bytes received", lambda world: iperf(world, "-R")),
        Case("both ways", f"iperf3 --bidir -n {named(AMOUNT)}; bytes received", lambda world: iperf(world, "--bidir", ways=2)),
        Case("parallel", f"iperf3 -P 8 -n {named(AMOUNT)}; streams, bytes received", lambda world: iperf(world, "-P", 8, streams=8), VETH),
        Case("parallel reverse", f"iperf3 -P 8 -R -n {named(AMOUNT)}; streams, bytes received", lambda world: iperf(world, "-P", 8, "-R", streams=8), VETH),
        Case("zero-copy", f"iperf3 -Z (sendfile) -n {named(AMOUNT)}; bytes received", lambda world: iperf(world, "-Z")),
        Case("small writes", "iperf3 -l 100 -N (TCP_NODELAY) -t 2; bytes received", lambda world: iperf(world, "-l", 100, "-N", "-t", 2), VETH),
        Case("options", f"iperf3 -M 1000 -w 200K -C reno -S 0x10 -n {named(AMOUNT)}; bytes received",
             lambda world: iperf(world, "-M", 1000, "-w", "200K", "-C", "reno", "-S", "0x10"), VETH),
        Case("paced", "iperf3 --fq-rate 200M -t 2; bytes received", lambda world: iperf(world, "--fq-rate", "200M", "-t", 2), VETH),
    )),
]
