"""Runs themes inside a guest. Prints a line of JSON for each run of a case, or without --json what went wrong."""

import argparse
import importlib
import json
import os
import pathlib
import sys
import time

sys.dont_write_bytecode = True

import exceptions  # noqa: E402
import files  # noqa: E402
import world  # noqa: E402
from program import ALL, HALF, Case, Program  # noqa: E402

THEMES = [path.stem for path in sorted((pathlib.Path(__file__).parent / "themes").glob("[a-z]*.py"))]


def one(case: Case, here: world.World) -> str:
    """Why the case failed, or nothing."""
    try:
        before = here.opens()
        case.run(here)
        here.judge_opens(here.opens() - before)
    except world.Failure as failure:
        return str(failure)
    return ""


def worlds(program: Program, options: argparse.Namespace):
    for pairing, ours in program.pairings.items():
        for ip, net in ALL:
            # Emulated guests have no time for both versions of IP where one side only is ours.
            if world.EMULATED and len(ours) == 1 and ip != (4 if "client" in ours else 6):
                continue
            if (not options.pairing or pairing in options.pairing) and (not options.net or net in options.net) \
                    and (not options.ip or ip in options.ip):
                yield pairing, world.World(frozenset(ours), ip, net, program.sides, program.flags)


def places(program: Program, case: Case, options: argparse.Namespace) -> tuple:
    if options.everywhere:
        return ALL
    if options.quick:
        return HALF
    # Emulated guests have no time for this.
    return ALL if case is program.cases[0] and not world.EMULATED else case.places


def run_program(program: Program, options: argparse.Namespace, tell) -> None:
    for pairing, here in worlds(program, options):
        cases = [case for case in program.cases if (here.ip, here.net) in places(program, case, options)
                 and (case.emulated or not world.EMULATED) and (case.quick or not options.quick) and (not options.case or case.name in options.case)]
        if not cases:
            continue
        left = list(cases)
        world.fresh_scratch()

        def result(case: Case, reason: str, seconds: float, pairing=pairing, here=here) -> None:
            tell({"program": program.name, "case": case.name, "what": case.what, "pairing": pairing, "ip": here.ip, "net": here.net,
                  "reason": reason, "seconds": round(seconds, 2)})

        try:
            with program.serve(here):
                while left:
                    began = time.monotonic()
                    reason = one(left[0], here)
                    result(left.pop(0), reason, time.monotonic() - began)
        except world.Failure as failure:
            # The server did not start, or did not live to the end: then the last case is to blame.
            for case in left or cases[-1:]:
                result(case, str(failure), 0)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--theme", action="append", choices=THEMES)
    parser.add_argument("--program", action="append")
    parser.add_argument("--case", action="append")
    parser.add_argument("--pairing", action="append")
    parser.add_argument("--ip", action="append", type=int, choices=(4, 6))
    parser.add_argument("--net", action="append", choices=("lo", "veth"))
    parser.add_argument("--everywhere", action="store_true", help="each case in all combinations of IP version and net")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    # Programs that go on with a deleted file find it gone on the file system of emulated guests.
    os.environ["TMPDIR"] = "/dev/shm"
    world.install_tools()
    files.prepare(options.quick)
    world.make_networks()
    known = exceptions.read()
    count = {"passed": 0, "failed": 0}

    def tell(result: dict) -> None:
        failed = exceptions.unexpected(known, result)
        count["failed" if failed else "passed"] += 1
        if options.json:
            print(json.dumps(result), flush=True)
        elif failed:
            print(f"# {exceptions.title(result)}: {failed}", flush=True)

    for theme in options.theme or THEMES:
        for program in importlib.import_module(f"themes.{theme}").PROGRAMS:
            if not options.program or program.name in options.program:
                run_program(program, options, tell)
    print(f"# {count['passed']} passed, {count['failed']} failed")
    return 0 if count["failed"] == 0 and count["passed"] > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
