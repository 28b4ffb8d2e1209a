"""What the goodput benchmark measures."""

import dataclasses

NATIVE = "inet>inet"
# Sender and receiver: the first tells of our sender alone, the second of our receiver alone.
ALONE = (NATIVE, "oxtcp>inet", "inet>oxtcp", "oxtcp>oxtcp")
SHARING = (f"{NATIVE}+{NATIVE}", f"oxtcp>inet+{NATIVE}", "oxtcp>inet+oxtcp>inet")


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    rate: float = 100  # Mbit/s of the bottleneck
    rtt: float = 50  # ms, without queueing
    delay: float = 25  # ms of it on the way there
    queue: int = 400  # packets, about one bandwidth-delay product
    loss: float = 0  # percent, on the way there
    reorder: float = 0  # percent that overtake, by `delay`
    seconds: float = 0  # a flow sends for so long,
    bytes: int = 0  # or so much,
    count: int = 1  # so many times
    pairings: tuple[str, ...] = ALONE


SCENARIOS = (
    Scenario("clean", "clean", seconds=15),
    Scenario("loss-0.1", "loss 0.1 %", loss=0.1, seconds=60),
    Scenario("loss-1", "loss 1 %", loss=1, seconds=240),
    Scenario("loss-3", "loss 3 %", loss=3, seconds=400),
    Scenario("reorder", "reordering 25 %", delay=10, reorder=25, seconds=20),
    Scenario("shallow", "shallow buffer", rate=50, rtt=40, delay=20, queue=40, seconds=30),
    Scenario("short-10k", "10 KB", bytes=10_000, count=5),
    Scenario("short-100k", "100 KB", bytes=100_000, count=5),
    Scenario("short-1m", "1 MB", bytes=1_000_000, count=5),
    Scenario("short-loss", "100 KB, loss 2 %", loss=2, bytes=100_000, count=200),
    Scenario("sharing", "two flows", rate=10, queue=40, seconds=120, pairings=SHARING),
)
