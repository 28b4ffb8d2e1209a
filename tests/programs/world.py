"""Where a program meets its peer: namespaces, and processes whose sockets are AF_OXTCP's or Linux's own.

A world is one arrangement: which sides are ours, the version of IP, loopback or a veth pair between two namespaces.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
CLIENTS = CHECKOUT / "tests/programs/clients"
# Copies, since a checkout may lie where other users than root cannot look.
TOOLS = pathlib.Path("/dev/shm/programs-tools")
# Turns the stream sockets of what it starts into AF_OXTCP's, and refuses to start it if it cannot.
OXTCP_RUN = (TOOLS / "oxtcp_run", "--strict")
# Emulated guests compute about twenty times slower, and share a busy machine.
PATIENCE = {"stock": 8, "debug": 20}.get(os.environ.get("VM", ""), 1)
EMULATED = PATIENCE > 1
SCRATCH = pathlib.Path("/dev/shm/programs")

ADDRESSES = {("lo", 4): "127.0.0.1", ("lo", 6): "::1", ("veth", 4): "10.9.0.2", ("veth", 6): "fd09::2"}
NEAR = {"lo": "alone", "veth": "near"}
FAR = {"lo": "alone", "veth": "far"}
ANY = {4: "0.0.0.0", 6: "::"}


class Failure(Exception):
    """What did not go as it should, in one line."""


def must(condition: bool, reason: str) -> None:
    if not condition:
        raise Failure(reason)


def run(command: str) -> None:
    subprocess.run(command, shell=True, check=True)


def amount(whole: int, emulated: int) -> int:
    """How much of something there is to do: less in emulated guests."""
    return emulated if EMULATED else whole


def named(size: int) -> str:
    """A size for people: 100 MiB."""
    for unit, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 1 << unit and size % (1 << unit) == 0:
            return f"{size >> unit} {name}"
    return f"{size:,} byte{'s' if size > 1 else ''}"


def install_tools() -> None:
    TOOLS.mkdir()
    TOOLS.chmod(0o755)
    for name in ("oxtcp_run", "liboxtcp-preload.so"):
        shutil.copy(CHECKOUT / "build/tools" / name, TOOLS)
        (TOOLS / name).chmod(0o755)


def make_networks() -> None:
    for name in ("alone", "near", "far"):
        run(f"ip netns add {name}; ip -n {name} link set lo up")
    run("ip -n near link add far type veth peer name near netns far")
    for name, peer, host in (("near", "far", 1), ("far", "near", 2)):
        run(f"ip -n {name} addr add 10.9.0.{host}/24 dev {peer}; ip -n {name} addr add fd09::{host}/64 dev {peer} nodad")
        run(f"ip -n {name} link set {peer} up")


@dataclasses.dataclass(frozen=True)
class Opens:
    """How many connections each stack has opened (active) and been asked for (passive)."""

    native_active: int
    native_passive: int
    ours_active: int
    ours_passive: int

    def __sub__(self, before: "Opens") -> "Opens":
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(before), strict=True)
        return Opens(*(after - start for after, start in pairs))


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """What is read and started meanwhile is in the network namespace."""
    with open("/proc/self/ns/net", "rb") as own, open(f"/run/netns/{namespace}", "rb") as other:
        os.setns(other.fileno(), os.CLONE_NEWNET)
        try:
            yield
        finally:
            os.setns(own.fileno(), os.CLONE_NEWNET)


def read_in(namespace: str, path: str) -> str:
    with inside(namespace):
        return pathlib.Path(path).read_text()


def opens(namespace: str, path: str) -> tuple[int, int]:
    names, values = (line.split()[1:] for line in read_in(namespace, path).splitlines() if line.startswith("Tcp:"))
    table = dict(zip(names, values, strict=True))
    return int(table["ActiveOpens"]), int(table["PassiveOpens"])


@dataclasses.dataclass
class World:
    ours: frozenset[str]  # of "client", "server", "relay"
    ip: int
    net: str
    sides: tuple[str, ...] = ("client", "server")
    flags: tuple[str, ...] = ()  # of oxtcp_run

    @property
    def address(self) -> str:
        return ADDRESSES[self.net, self.ip]

    @property
    def any(self) -> str:
        """The address of a server that listens on all of this version of IP."""
        return ANY[self.ip]

    @property
    def host(self) -> str:
        """The address as it stands in a URL."""
        return f"[{self.address}]" if self.ip == 6 else self.address

    def where(self, side: str) -> str:
        return NEAR[self.net] if side == "client" else FAR[self.net]

    def start(self, side: str, words: tuple, **options) -> subprocess.Popen:
        stack = (*OXTCP_RUN, *self.flags) if side in self.ours else ()
        with inside(self.where(side)):
            return subprocess.Popen([*map(str, stack), *map(str, words)], stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT,
                                    cwd=SCRATCH, start_new_session=True, **options)

    def client(self, *words, timeout: float = 60, **options) -> str:
        """Runs a command of the client's to its end and returns what it wrote; anything but success is a Failure."""
        process = self.start("client", words, stdout=subprocess.PIPE, text=True, errors="replace", **options)
        try:
            output, _ = process.communicate(timeout=timeout * PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            raise Failure(f"{words[0]} did not end in {timeout * PATIENCE} s: {last(output)}") from None
        must(process.returncode == 0, f"{words[0]}: exit code {process.returncode}: {last(output)}")
        return output

    @contextlib.contextmanager
    def server(self, *words, port: int, side: str = "server", **options) -> Iterator[subprocess.Popen]:
        """A server that listens when the body begins. It must live until the body ends and then obey SIGTERM."""
        log = SCRATCH / f"{side}.log"
        with open(log, "wb") as out:
            process = self.start(side, words, stdout=out, **options)
        try:
            limit = time.monotonic() + 30 * PATIENCE
            while not self.listens(side, port):
                must(process.poll() is None, f"{words[0]} ended: {last(log.read_text(errors='replace'))}")
                must(time.monotonic() < limit, f"{words[0]} does not listen: {last(log.read_text(errors='replace'))}")
                time.sleep(0.02)
            yield process
            must(process.poll() is None, f"{words[0]} died: {last(log.read_text(errors='replace'))}")
        finally:
            self.end(process)

    @staticmethod
    def end(process: subprocess.Popen) -> None:
        """By SIGTERM to the server, and whatever is left of its group by SIGKILL."""
        process.terminate()
        try:
            process.wait(10 * PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def listens(self, side: str, port: int) -> bool:
        """Whether a socket of the side's own stack listens on the port, looked up without a connection."""
        name = "oxtcp" if side in self.ours else "tcp"
        for table in (name, f"{name}6"):
            for line in read_in(self.where(side), f"/proc/net/{table}").splitlines()[1:]:
                fields = line.split()
                if fields[1].endswith(f":{port:04X}") and fields[3] == "0A":
                    return True
        return False

    def opens(self) -> Opens:
        spaces = {self.where(side) for side in self.sides}
        native = [opens(space, "/proc/net/snmp") for space in spaces]
        ours = [opens(space, "/proc/net/oxtcp_snmp") for space in spaces]
        return Opens(*map(sum, zip(*native, strict=True)), *map(sum, zip(*ours, strict=True)))

    def judge_opens(self, made: Opens) -> None:
        """Each side must have used its own stack and no other; a relay is a server to the client and a client to the server."""
        for what, sides in (("active", ("client", "relay")), ("passive", ("server", "relay"))):
            stacks = {side in self.ours for side in sides if side in self.sides}
            for name, ours in (("ours", True), ("native", False)):
                count = getattr(made, f"{name}_{what}")
                must((count > 0) == (ours in stacks), f"{count} connections of the {name} stack were {what} opens")


def last(output: str) -> str:
    """The end of an output, in one line."""
    return " / ".join(line.strip() for line in output.splitlines() if line.strip())[-300:]


def fresh_scratch() -> None:
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    SCRATCH.chmod(0o777)
