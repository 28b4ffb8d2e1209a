"""Makes the table of the results: one row for each case, by text or for the documentation."""

import dataclasses
import importlib
import pathlib
import statistics
import textwrap

import exceptions

NATIVE = "native"


@dataclasses.dataclass
class Row:
    program: str
    case: str
    what: str
    passed: dict[str, list[bool]]  # by pairing
    seconds: dict[str, list[float]]
    reasons: list[str]

    def native(self) -> str:
        return ratio(self.passed.get(NATIVE, []))

    def ours(self) -> str:
        return ", ".join(f"{pairing} {ratio(passed)}" for pairing, passed in self.passed.items() if pairing != NATIVE)

    def share(self) -> str:
        """Of what native passes, in percent."""
        ours = [good for pairing, passed in self.passed.items() if pairing != NATIVE for good in passed]
        native = self.passed.get(NATIVE, [])
        if not ours or not any(native):
            return "-"
        return f"{100 * (sum(ours) / len(ours)) / (sum(native) / len(native)):.0f} %"

    def speed(self) -> str:
        """Median seconds of a run, native and with all sides ours; says something on a quiet machine only."""
        values = [statistics.median(self.seconds[pairing]) for pairing in (NATIVE, list(self.seconds)[-1]) if pairing in self.seconds]
        return " / ".join(f"{value:.1f}" for value in values)


def ratio(passed: list[bool]) -> str:
    return f"{sum(passed)}/{len(passed)}"


def descriptions() -> dict[tuple[str, str], str]:
    """What each case runs, as its theme has it."""
    themes = sorted((pathlib.Path(__file__).parent / "themes").glob("[a-z]*.py"))
    modules = [importlib.import_module(f"themes.{path.stem}") for path in themes]
    return {(program.name, case.name): case.what for module in modules for program in module.PROGRAMS for case in program.cases}


def rows(results: list[dict], known: dict[str, str]) -> list[Row]:
    what = descriptions()
    made: dict[tuple[str, str], Row] = {}
    for result in results:
        key = result["program"], result["case"]
        row = made.setdefault(key, Row(*key, what[key], {}, {}, []))
        row.passed.setdefault(result["pairing"], []).append(not result["reason"])
        row.seconds.setdefault(result["pairing"], []).append(result["seconds"])
        reason = exceptions.known_reason(known, result)
        if reason and reason not in row.reasons:
            row.reasons.append(reason)
    return list(made.values())


HEAD = ("program", "case", "native", "AF_OXTCP", "ratio", "s native / ours")


def cells(row: Row) -> tuple[str, ...]:
    return row.program, row.case, row.native(), row.ours(), row.share(), row.speed()


def text(table: list[Row]) -> list[str]:
    lines = [HEAD, *map(cells, table)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    shown = []
    for number, line in enumerate(lines):
        shown.append("  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip())
        if number:
            shown += [f"    exception: {reason}" for reason in table[number - 1].reasons]
    return shown


INTRODUCTION = """.. SPDX-License-Identifier: GPL-2.0

=============
Real programs
=============

Made by ``make programs``{variable} (``tests/programs/programs --write``). Programs of Debian 13, as they come, run by
``oxtcp_run --strict`` on the sides that are to use AF_OXTCP: *client*, *server* or *both*, and where a relay stands between
them also *relay* and *all*. Each case runs over IPv4 and over IPv6, over loopback and between two network namespaces
(``tests/programs/program.py`` has which of the combinations); numbers are passed runs of all runs. A run passes if the
program's own check holds, and each side's connections were opened by the stack that was meant (by the counters of both,
``/proc/net/snmp`` and ``/proc/net/oxtcp_snmp``) and no other; a complaint of the kernel or a leak fails the whole. The ratio
is that of the passes on AF_OXTCP to those of Linux's own TCP. Exceptions stand in ``tests/programs/exceptions``, each with
its reason.

Versions: {versions}.

"""


def paragraph(words: list[str]) -> str:
    """Below the first line as wide as the rest of the document."""
    return textwrap.fill(", ".join(words), 120, initial_indent=" " * len("Versions: "), break_on_hyphens=False).strip()


def document(table: list[Row], vm: str, versions: list[str]) -> str:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for line in (("program", "what was run", "native", "AF_OXTCP", "ratio", "exceptions"),
                 *((row.program, row.what, row.native(), row.ours(), row.share(), "; ".join(row.reasons) or "none") for row in table)):
        lines += [f"   {'* -' if not number else '  -'} {cell}" for number, cell in enumerate(line)]
    return INTRODUCTION.format(variable="" if vm == "uml" else f" ``VM={vm}``", versions=paragraph(versions)) + "\n".join(lines) + "\n"
