"""Reads from what a test said which of its cases passed: their names, to "pass", "fail" or "skip"."""

import re
import xml.etree.ElementTree

SKIPPED = 4  # kselftest's exit code


def exit_code(_output, status, _extra):
    """The test is one case."""
    return {"": "pass" if status == 0 else "skip" if status == SKIPPED else "fail"}


def ksft(output, status, extra):
    """The kernel's: lines of TAP where there are any."""
    cases = {}
    for line in output.splitlines():
        found = re.match(r"\s*(not )?ok \d+\s*-?\s*(.*)", line)
        if found:
            name, _, directive = found[2].partition("# ")
            put(cases, name.strip(), "fail" if found[1] else "skip" if directive.upper().startswith("SKIP") else "pass")
    return cases or exit_code(output, status, extra)


def fcnal(output, status, extra):
    """fcnal-test.sh: `TEST: what it is  [ OK ]`, below a heading."""
    cases, heading = {}, ""
    for line in output.splitlines():
        found = re.match(r"\s*TEST: (.*?)\s+\[(.*)\]", line)
        if found:
            put(cases, f"{heading}: {found[1]}", {"OK": "pass", "SKIP": "skip"}.get(found[2].strip(), "fail"))
        elif found := re.match(r"(?:#####|SYSCTL:|With|No|Without|[A-Z][A-Za-z ]+:?$)\s*(.*)", line):
            heading = line.strip("# ")
    return cases or exit_code(output, status, extra)


def junit(output, status, extra):
    """CPython's regrtest, which writes a file of JUnit's."""
    cases = {}
    try:
        cases_told = xml.etree.ElementTree.parse(extra).getroot().iter("testcase")
    except xml.etree.ElementTree.ParseError:
        return verbose_unittest(output) or exit_code(output, status or 1, extra)
    for case in cases_told:
        bad = case.find("failure") is not None or case.find("error") is not None
        skipped = case.find("skipped") is not None or case.get("result") == "skipped"
        put(cases, case.get("name"), "fail" if bad else "skip" if skipped else "pass")
    return cases


def verbose_unittest(output):
    """What unittest said until it was cut off."""
    cases = {}
    for found in re.finditer(r"^(\w+) \(([\w.]+)\)(?:\n.*)?? \.\.\. (.*)$", output, re.M):
        result = found[3].rsplit(" ", 1)[-1] if found[3] else ""
        put(cases, found[2], {"ok": "pass"}.get(result, "skip" if "skipped" in found[3] else "fail"))
    return cases


def libtest(output, status, extra):
    """Rust's."""
    cases = {}
    for found in re.finditer(r"^test (\S+)(?: - [^.]*)? \.\.\. (.*)$", output, re.M):
        put(cases, found[1], "pass" if found[2].endswith("ok") else "skip" if found[2].startswith("ignored") else "fail")
    return cases or exit_code(output, status, extra)


def put(cases, name, result):
    """Names are taken twice by some."""
    number, chosen = 1, name
    while chosen in cases:
        number += 1
        chosen = f"{name} ({number})"
    cases[chosen] = result
