"""The runs that are known to fail, with reasons, and what is to be made of a result in view of them."""

import pathlib

LIST = pathlib.Path(__file__).with_name("exceptions")


def title(result: dict) -> str:
    return f"{result['program']}, {result['case']}, {result['pairing']}, ipv{result['ip']}, {result['net']}"


def read() -> dict[str, str]:
    """By PROGRAM/CASE/PAIRING/ipN/NET, where each of the last three may be an asterisk."""
    found = {}
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            key, _, reason = line.partition(": ")
            found[key] = reason
    return found


def known_reason(known: dict[str, str], result: dict) -> str:
    words = [result["program"], result["case"], result["pairing"], f"ipv{result['ip']}", result["net"]]
    for key, reason in known.items():
        parts = key.split("/")
        if len(parts) == len(words) and all(part in ("*", word) for part, word in zip(parts, words, strict=True)):
            return reason
    return ""


def unexpected(known: dict[str, str], result: dict) -> str:
    """What is wrong with the result, or nothing."""
    listed = known_reason(known, result)
    if listed and not result["reason"]:
        return "passes although it is listed as an exception"
    return "" if listed else result["reason"]
