"""Counts what passes over AF_OXTCP of what passes natively, and holds the rest against the list of exceptions."""

import collections
import dataclasses
import fnmatch
import pathlib

EXCEPTIONS = pathlib.Path(__file__).with_name("exceptions")


@dataclasses.dataclass(frozen=True)
class Exception_:
    """What need not pass, by patterns of the shell, and why."""

    suite: str
    test: str
    case: str
    reason: str

    def covers(self, suite, test, case):
        return self.suite == suite and fnmatch.fnmatchcase(test, self.test) and fnmatch.fnmatchcase(case, self.case)


@dataclasses.dataclass
class Count:
    """The cases of a suite, or of a test."""

    native: int = 0  # what passed natively
    both: int = 0  # and over AF_OXTCP
    skipped: int = 0  # what natively did not pass: nothing to hold ours against
    failed: list = dataclasses.field(default_factory=list)  # (test, case) without a reason
    excepted: list = dataclasses.field(default_factory=list)  # (test, case, exception)


def exceptions():
    """The list, checked."""
    found = []
    for number, line in enumerate(EXCEPTIONS.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = [field.strip() for field in line.split(" | ")]
        if len(fields) != 4 or not all(fields):
            raise SystemExit(f"{EXCEPTIONS.name}:{number}: not SUITE | TEST | CASE | REASON")
        found.append(Exception_(*fields))
    return found


def count(runs, known):
    """A Count for each suite of these runs, and the exceptions that were of use or of no use: (used, passing)."""
    by_test = collections.defaultdict(dict)
    for run in runs:
        by_test[run["suite"], run["test"]][run["stack"]] = run["cases"]
    counts, used, passing = collections.defaultdict(Count), set(), set()
    for (suite, test), stacks in by_test.items():
        here, ours = counts[suite], stacks.get("oxtcp", {})
        for case, result in stacks.get("native", {}).items():
            if result != "pass":
                here.skipped += 1
                continue
            here.native += 1
            exception = next((one for one in known if one.covers(suite, test, case)), None)
            if ours.get(case) == "pass":
                here.both += 1
                if exception:
                    passing.add(exception)
            elif exception:
                used.add(exception)
                here.excepted.append((test, case, exception))
            else:
                here.failed.append((test, case))
    return counts, used, passing - used


def name(test, case):
    return f"{test}: {case}" if case else test
