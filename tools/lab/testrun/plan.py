"""Reads the test lists and checks them: nothing in them may be dropped without a word."""

import dataclasses
import pathlib
import tomllib

VMS = ("uml", "umlsmp", "stock", "debug")
EMULATED = ("stock", "debug")
TIMES = ("real", "virtual", "inf-cpu")
FAMILIES = ("inet", "inet6", "oxtcp", "oxtcp6", "none")
FIELDS = {"name", "cmd", "families", "vms", "time", "timeout", "own_guest", "expect_log", "slow", "only_real", "memory",
          "kernel_args"}


class PlanError(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Test:
    name: str
    cmd: str
    family: str
    vm: str
    time: str
    timeout: int
    own_guest: bool = False  # needs a guest that no other test has touched and that none follows
    slow: bool = False  # not part of `make check`
    memory: int = 0  # MiB of the guest, if not what others have
    kernel_args: tuple = ()  # of the guest's kernel, if it must be booted with more than others
    only_real: bool = False  # means something only by the real clock, in `make check` too
    expect_log: tuple = ()  # regular expressions: the test passes only if the kernel's log of it has each, and looks broken

    @property
    def id(self):
        return f"{self.vm}.{self.time}.{self.name}.{self.family}"


def read(paths):
    """All tests of these lists, one for each virtual machine and family of an entry."""
    tests = []
    names = set()
    for path in paths:
        try:
            with open(path, "rb") as file:
                data = tomllib.load(file)
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise PlanError(f"{path}: {error}") from error
        unknown = set(data) - {"test"}
        if unknown:
            raise PlanError(f"{path}: unknown tables {sorted(unknown)}")
        for entry in data.get("test", []):
            tests += expand(path, entry, names)
    if not tests:
        raise PlanError(f"no test in {', '.join(map(str, paths))}")
    return tests


def expand(path, entry, names):
    def fail(what):
        raise PlanError(f"{path}: test {entry.get('name', entry)!r}: {what}")

    unknown = set(entry) - FIELDS
    if unknown:
        fail(f"unknown fields {sorted(unknown)}")
    for field in ("name", "cmd", "vms"):
        if not entry.get(field):
            fail(f"no {field}")
    name = entry["name"]
    if name in names:
        fail("the name is not unique")
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        fail("a name has letters, digits, '-', '_' and '.' only")
    names.add(name)
    families = entry.get("families", ["none"])
    time = entry.get("time", "real")
    timeout = entry.get("timeout", 60)
    if not families or set(families) - set(FAMILIES):
        fail(f"families {families}, known are {FAMILIES}")
    if set(entry["vms"]) - set(VMS):
        fail(f"vms {entry['vms']}, known are {VMS}")
    if time not in TIMES:
        fail(f"time {time!r}, known are {TIMES}")
    if time != "real" and entry["vms"] != ["uml"]:
        fail(f"time {time!r} exists only in the uml guest, but vms is {entry['vms']}")
    if not isinstance(timeout, int) or timeout <= 0:
        fail(f"timeout {timeout!r}")
    memory = entry.get("memory", 0)
    if not isinstance(memory, int) or memory < 0:
        fail(f"memory {memory!r}")
    kernel_args = entry.get("kernel_args", [])
    if not isinstance(kernel_args, list) or not all(isinstance(arg, str) and arg and arg.split() == [arg] for arg in kernel_args):
        fail(f"kernel_args {kernel_args!r} is no list of words")
    alone = entry.get("own_guest", [])
    if not isinstance(alone, list) or set(alone) - set(entry["vms"]):
        fail(f"own_guest {alone!r} is no list of some of {entry['vms']}")
    return [
        Test(name, entry["cmd"], family, vm, time, timeout, vm in alone,
             bool(entry.get("slow", False)), memory, tuple(kernel_args), bool(entry.get("only_real", False)), tuple(entry.get("expect_log", [])))
        for vm in entry["vms"]
        for family in families
        # The emulated guests, which are slow, look for errors of the module; that the tests are right the others show.
        if vm not in EMULATED or family not in ("inet", "inet6")
    ]


def share_families(tests):
    """In the emulated guests each test of both our families runs with one of them, in the two guests with another."""
    both = {}
    for test in tests:
        both.setdefault((test.name, test.vm), set()).add(test.family)
    names = {name: number for number, name in enumerate(dict.fromkeys(test.name for test in tests))}
    left_out = ("oxtcp", "oxtcp6")
    return [
        test
        for test in tests
        if test.vm not in EMULATED
        or not both[test.name, test.vm].issuperset(left_out)
        or test.family != left_out[(names[test.name] + EMULATED.index(test.vm)) % 2]
    ]


def lists(checkout):
    """The main list, and the lists of test modules beside their sources."""
    main = pathlib.Path(checkout) / "tests" / "tests.toml"
    return [main, *sorted(main.parent.glob("*/tests.toml"))]


# A guest must be worth its boot and its teardown.
SMALLEST_PART = 10


def guests(tests, jobs=1):
    """Groups of tests that share one guest; long ones in up to so many parts, which have names."""
    groups = {}
    for number, test in enumerate(tests):
        key = (test.vm, test.time, number if test.own_guest else -1, test.memory, test.kernel_args)
        groups.setdefault(key, []).append(test)
    parts = []
    # A proof of the checkers comes last, when its guest has been torn down.
    for group in groups.values():
        group.sort(key=lambda test: bool(test.expect_log))
    # Tests with a guest of their own come first: a long one is not to begin when all else is done.
    for _, group in sorted(groups.items(), key=lambda item: item[0][2] < 0):
        number = max(1, min(jobs, len(group) // SMALLEST_PART))
        for part in range(number):
            parts.append(("" if number == 1 else f".{part + 1}", group[part::number]))
    return parts
