"""What a theme declares: programs, and the cases that are run with each of them in all worlds."""

import contextlib
import dataclasses
from collections.abc import Callable

from world import EMULATED, World

# The sides that are ours, by the name that the table has for it.
PAIRINGS = {"native": (), "client": ("client",), "server": ("server",), "both": ("client", "server")}
RELAYS = {
    "native": (),
    "client": ("client",),
    "relay": ("relay",),
    "server": ("server",),
    "client+relay": ("client", "relay"),
    "relay+server": ("relay", "server"),
    "client+server": ("client", "server"),
    "all": ("client", "relay", "server"),
}
if EMULATED:
    RELAYS = {name: RELAYS[name] for name in ("native", "relay", "client+server", "all")}


# Versions of IP, and what lies between client and server. A program's first case takes all combinations, most others the
# first two: all would take twice as long, and what depends on both at once is for the tests of the family.
HALF = ((4, "lo"), (6, "veth"))
VETH = ((4, "veth"), (6, "veth"))
ALL = (*HALF, (4, "veth"), (6, "lo"))


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    what: str  # what is run and checked, for the table
    run: Callable[[World], None]  # raises Failure
    places: tuple[tuple[int, str], ...] = HALF
    quick: bool = False  # part of the quick selection
    emulated: bool = True  # run in emulated guests too


@dataclasses.dataclass(frozen=True)
class Program:
    name: str
    serve: Callable[[World], contextlib.AbstractContextManager]  # the server lives as long as the context
    cases: tuple[Case, ...]
    pairings: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=lambda: PAIRINGS)

    flags: tuple[str, ...] = ()  # of oxtcp_run

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(sorted({side for sides in self.pairings.values() for side in sides}))
