"""Makes the table of the results: one row for each case, by text or for the documentation."""

import dataclasses
import statistics
import textwrap

import exceptions

NATIVE = "native"
GUESTS = ("uml", "umlsmp", "stock", "debug")
# Those of which the document has parts.
WRITTEN = ("uml", "stock")


@dataclasses.dataclass
class Row:
    program: str
    case: str
    what: str
    passed: dict[str, list[bool]]  # by pairing
    seconds: dict[str, list[float]]
    reasons: list[str]
    places: set[tuple[int, str]] = dataclasses.field(default_factory=set)  # version of IP, and net

    def over(self) -> str:
        return ", ".join(f"IPv{ip} {net}" for ip, net in sorted(self.places))

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


def rows(results: list[dict], known: dict[str, str]) -> list[Row]:
    made: dict[tuple[str, str], Row] = {}
    for result in results:
        key = result["program"], result["case"]
        row = made.setdefault(key, Row(*key, result["what"], {}, {}, []))
        row.passed.setdefault(result["pairing"], []).append(not result["reason"])
        row.seconds.setdefault(result["pairing"], []).append(result["seconds"])
        row.places.add((result["ip"], result["net"]))
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


def listed(table: list[Row]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for line in (("program", "what was run", "over", "native", "AF_OXTCP", "ratio", "exceptions"),
                 *((row.program, row.what, row.over(), row.native(), row.ours(), row.share(), "; ".join(row.reasons) or "none")
                   for row in table)):
        lines += [f"   {'* -' if not number else '  -'} {cell}" for number, cell in enumerate(line)]
    return lines


def summary(table: list[Row]) -> str:
    native = [good for row in table for good in row.passed.get(NATIVE, [])]
    ours = [good for row in table for pairing, passed in row.passed.items() if pairing != NATIVE for good in passed]
    return f"{len(table)} cases; passed runs: native {ratio(native)}, AF_OXTCP {ratio(ours)}."


def document(text: str, vm: str, table: list[Row], dates: set[str], versions: list[str]) -> str:
    """The document with the part between this guest's marks made anew."""
    begin, end = f".. begin {vm}\n", f".. end {vm}\n"
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    when = " to ".join(sorted({min(dates), max(dates)}))
    packages = textwrap.fill(f"{when}. {summary(table)} Versions: {', '.join(versions)}.", 120, break_on_hyphens=False)
    return before + begin + "\n".join(["", packages, "", *listed(table), ""]) + "\n" + end + after
