"""Runs scenarios of the goodput benchmark inside a guest; prints one line of JSON per measurement."""

import argparse
import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from scenarios import SCENARIOS, Scenario

STREAM = "build/tests/stream"
FAR = "10.9.2.2"
# Bytes of a full frame on the wire, for queues that are given in packets.
FRAME = 1514


def run(command: str) -> str:
    return subprocess.run(command, shell=True, check=True, capture_output=True, text=True).stdout


class Network:
    """near - router - path - far. The router's queue towards the far end is the bottleneck, the path delays and loses.

    Each stands in a namespace of its own, so that neither end feels a queue of its own device, and what the path reorders
    has been through the bottleneck. Frames leave the ends cut to the MTU, as a real router sees them.
    """

    CHAIN = ("near", "router", "path", "far")

    def __init__(self) -> None:
        for name in self.CHAIN:
            run(f"ip netns add {name}; ip -n {name} link set lo up")
        for number, (left, right) in enumerate(itertools.pairwise(self.CHAIN)):
            # Each device is named after the one at its other end.
            run(f"ip -n {left} link add {right} type veth peer name {left} netns {right}")
            for namespace, device, host in ((left, right, 1), (right, left, 2)):
                run(f"ip -n {namespace} addr add 10.9.{number}.{host}/24 dev {device}")
                run(f"ip netns exec {namespace} ethtool -K {device} tso off gro off")
                run(f"ip -n {namespace} link set {device} up")
        run("ip -n near route add default via 10.9.0.2; ip -n router route add 10.9.2.0/24 via 10.9.1.2")
        run("ip -n far route add default via 10.9.2.1; ip -n path route add 10.9.0.0/24 via 10.9.1.1")
        for name in ("router", "path"):
            run(f"ip netns exec {name} sysctl -qw net.ipv4.ip_forward=1")
        for name in ("near", "far"):
            # What one connection has learnt must not help the next.
            run(f"ip netns exec {name} sysctl -qw net.ipv4.tcp_no_metrics_save=1")

    def shape(self, scenario: Scenario, seed: int) -> None:
        """Fresh queues, with the same chances for every pairing that has the same seed."""
        for namespace, device in (("router", "path"), ("path", "far"), ("path", "router")):
            run(f"tc -n {namespace} qdisc del dev {device} root 2>/dev/null; true")
        run(f"tc -n router qdisc add dev path root handle 1: tbf rate {scenario.rate}mbit burst {FRAME + 100} limit {scenario.queue * FRAME}")
        run(f"tc -n router qdisc add dev path parent 1:1 handle 2: pfifo limit {scenario.queue}")
        chances = (f" loss {scenario.loss}%" if scenario.loss else "") + (f" reorder {scenario.reorder}%" if scenario.reorder else "")
        # No chances are in a clean path: there the seed makes it a little longer, so that runs differ in their phases.
        longer = scenario.delay + (0.13 * seed if not chances else 0)
        run(f"tc -n path qdisc add dev far root netem delay {longer}ms limit 100000{chances} seed {seed}")
        run(f"tc -n path qdisc add dev router root netem delay {scenario.rtt - scenario.delay}ms limit 100000")


def command(scenario: Scenario, sender: str, receiver: str, port: int, samples: str) -> list[str]:
    amount = ["-t", str(scenario.seconds)] if scenario.seconds else ["-n", str(scenario.bytes), "-c", str(scenario.count)]
    sampling = ["-i", "20", "-o", samples] if samples else []
    return [STREAM, "-s", sender, "-r", receiver, "-a", "near", "-b", "far", "-d", FAR, "-p", str(port), *amount, *sampling]


def measure(network: Network, scenario: Scenario, pairing: str, seed: int, samples: str) -> dict:
    """One run; two flows at the same time if the pairing has two halves, as in inet>inet+oxtcp>inet."""
    network.shape(scenario, seed)
    pairs = list(enumerate(pairing.split("+")))
    if seed % 2 == 0:
        # Who comes first has an advantage for a while.
        pairs.reverse()
    flows = {}
    for place, (number, pair) in enumerate(pairs):
        if place:
            time.sleep(1 + random.Random(seed).random())
        sender, receiver = pair.split(">")
        path = f"{samples}/{scenario.name}.{pairing.replace('>', '-')}.{seed}.{number}" if samples else ""
        flows[number] = subprocess.Popen(command(scenario, sender, receiver, 5001 + number, path), stdout=subprocess.PIPE)
    results = []
    for _, flow in sorted(flows.items()):
        output, _ = flow.communicate()
        if flow.returncode:
            raise SystemExit(f"{scenario.name}, {pairing}, seed {seed}: a flow has failed")
        results.append(json.loads(output))
    return {"scenario": scenario.name, "pairing": pairing, "seed": seed, "flows": results}


@contextlib.contextmanager
def captured(directory: str, name: str) -> Iterator[None]:
    """Writes what both ends see to files NAME.near.pcap and NAME.far.pcap."""
    if not directory:
        yield
        return
    dumps = []
    for end, device in (("near", "router"), ("far", "path")):
        path = f"{directory}/{name}.{end}.pcap"
        words = ["ip", "netns", "exec", end, "tcpdump", "-n", "-i", device, "-s", "100", "-Z", "root", "-B", "65536", "--time-stamp-precision=nano", "-w", path, "tcp"]
        dumps.append(subprocess.Popen(words, stderr=subprocess.PIPE, text=True))
        dumps[-1].stderr.readline()  # it listens
    time.sleep(0.5)
    yield
    time.sleep(2)  # what it has not read yet would be lost
    for dump in dumps:
        dump.send_signal(signal.SIGINT)
        dump.wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenario", action="append", choices=[scenario.name for scenario in SCENARIOS], required=True)
    parser.add_argument("--pairing", action="append")
    parser.add_argument("--seeds", type=lambda text: [int(part) for part in text.split(",")], default=[1])
    parser.add_argument("--samples", default="", help="directory for the sender's TCP_INFO every 20 ms")
    parser.add_argument("--capture", default="", help="directory for what tcpdump sees at both ends")
    options = parser.parse_args()
    network = Network()
    for directory in (options.samples, options.capture):
        if directory:
            os.makedirs(directory, exist_ok=True)
    for scenario in SCENARIOS:
        if scenario.name not in options.scenario:
            continue
        for seed in options.seeds:
            for pairing in options.pairing or scenario.pairings:
                name = f"{scenario.name}.{pairing.replace('>', '-')}.{seed}"
                with captured(options.capture, name):
                    print(json.dumps(measure(network, scenario, pairing, seed, options.samples)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
