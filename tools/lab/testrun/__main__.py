"""Runs the test lists in guests; started by tools/lab/runner, inside the lab's root."""

import argparse
import collections
import concurrent.futures
import dataclasses
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import time

import guest as guests
import kernlog
import plan
import report

SKIP = 4  # kselftest's exit code


@dataclasses.dataclass
class Lab:
    checkout: str
    cache: str
    kdirs: dict
    append: list
    logs: str
    module: str  # instead of oxtcp.ko, if not empty


class ListRun:
    """The tests of one virtual machine and clock: in one guest while that lives, the rest in a fresh one."""

    def __init__(self, lab, tests, result, work, part=""):
        self.lab = lab
        self.vm = tests[0].vm
        self.time = tests[0].time
        self.memory = tests[0].memory
        self.kernel_args = tests[0].kernel_args
        self.result = result
        self.work = work
        self.pending = collections.deque(tests)
        self.boots = 0
        self.teardown = f"{self.vm}.{self.time}.teardown{part}"
        self.torn_down = not self.left()
        self.log_dir = pathlib.Path(lab.checkout) / lab.logs / self.vm
        self.log_dir.mkdir(parents=True, exist_ok=True)

    def left(self):
        """Tests that are to come before the teardown. Proofs of the checkers, which leave a guest in disorder, come after it."""
        return [test for test in self.pending if not test.expect_log]

    def run(self):
        while self.pending:
            before = len(self.pending)
            self.boots += 1
            self.run_guest()
            if len(self.pending) == before:
                # A guest that does not even reach the first test will not do so next time.
                for test in self.pending:
                    self.result.result(test.id, "fail", ["the guest did not come as far as this test"])
                break
        if not self.torn_down:
            self.result.result(self.teardown, "skip", [], "the last guest did not live to be torn down")

    def run_guest(self):
        boot = f"{self.pending[0].id}.{self.boots}"
        work = self.work / boot
        work.mkdir(parents=True)
        module = self.module(work)
        guests.write_plan(work, self.vm, self.time, module, steps(self.left()), bool(self.left()),
                          steps(test for test in self.pending if test.expect_log))
        guest = guests.Guest(self.lab, self.vm, self.time, work, self.memory, self.kernel_args).start()
        try:
            self.follow(guest)
        finally:
            guest.stop()
            shutil.copy(guest.console, self.log_dir / f"{boot}.console.log")
            shutil.rmtree(work, ignore_errors=True)

    def module(self, work):
        """A copy, since the module may be built anew while the guest runs; without what debuggers read, nine tenths of Debian's."""
        built = pathlib.Path(self.lab.checkout) / (self.lab.module or f"build/{self.vm}/module/oxtcp.ko")
        subprocess.run(["strip", "--strip-debug", "-o", work / built.name, built], check=True)
        return str(work / built.name)

    def follow(self, guest):
        """Takes the guest's events until its list is done, it dies, or something takes too long."""
        phase, limit, began, used = "boot", guests.BOOT[self.vm], time.monotonic(), 0
        while True:
            alive = guest.alive()
            for event in guest.events():
                kind = event["event"]
                if kind == "boot":
                    if event["error"]:
                        return self.broken(guest, "boot", event["error"], event["kmsg"])
                    self.result.comment(f"{self.vm}.{self.time} booted in {took(guest, began, used)}")
                    self.check_boot(event["kmsg"])
                    phase, limit = "between", 30 * guests.SLOWER[self.vm]
                elif kind == "start":
                    phase, limit = "test", self.pending[0].timeout * guests.SLOWER[self.vm]
                elif kind == "end":
                    self.judge(guest, event, took(guest, began, used))
                    phase, limit = "between", guests.TEARDOWN * guests.SLOWER[self.vm]
                elif kind == "teardown":
                    self.judge_teardown(event, took(guest, began, used))
                    phase = "ending"
                elif kind == "done":
                    return None
                elif kind == "agent-failed":
                    return self.broken(guest, phase, event["error"], event["kmsg"])
                began, used = time.monotonic(), guest.cpu_seconds()
            if not alive:
                return self.broken(guest, phase, f"the guest died with exit code {guest.process.returncode}", [])
            if time.monotonic() - began > limit:
                guest.show_tasks()
                return self.broken(guest, phase, f"no progress for {limit} s", [])
            time.sleep(0.02)

    def check_boot(self, kmsg):
        trouble = kernlog.trouble(kmsg)
        if trouble:
            self.result.result(f"{self.vm}.{self.time}.boot", "fail", ["the kernel complained before the first test:", *trouble])

    def judge(self, guest, event, took):
        test = self.pending.popleft()
        assert test.id == event["id"], f"the guest ran {event['id']} instead of {test.id}"
        output = self.keep_log(guest, test, event["kmsg"])
        trouble = kernlog.trouble(event["kmsg"])
        reasons = []
        if test.expect_log:
            # The proof that the kernel's checkers and ours are awake: silence is the failure.
            reasons += [f"the kernel's log lacks /{pattern}/" for pattern in kernlog.missing(event["kmsg"], test.expect_log)]
            if not trouble:
                reasons.append("the log checker found nothing wrong")
        elif trouble:
            reasons += ["kernel:", *event["kmsg"]]
        if event["status"] not in (0, SKIP):
            reasons.append(f"exit code {event['status']}")
        elif failed := failed_subtests(output):
            reasons.append(f"exit code {event['status']}, yet: {failed[0].strip()}")
        if reasons:
            self.result.result(test.id, "fail", reasons, output)
        else:
            self.result.result(test.id, "skip" if event["status"] == SKIP else "pass", [], output, took)

    def judge_teardown(self, event, took):
        self.torn_down = True
        reasons = event["problems"] + kernlog.trouble(event["kmsg"])
        if reasons:
            reasons += ["kernel:", *event["kmsg"]]
        (self.log_dir / f"{self.teardown}.log").write_text("\n".join(reasons) + "\n")
        self.result.result(self.teardown, "fail" if reasons else "pass", reasons, "", took)

    def broken(self, guest, phase, what, kmsg):
        """The guest is of no more use. The test that ran is guilty; the teardown's failure is a result of its own."""
        reasons = [f"{what} (in phase: {phase})"]
        lines, tasks = kernlog.split_task_dump(guest.console_lines())
        guilty = kernlog.trouble(lines)[:5]
        output = "\n".join([*kmsg, *guilty, "console:", *lines[-40:], *tasks])
        if phase == "test":
            test = self.pending.popleft()
            self.result.result(test.id, "fail", reasons, self.keep_log(guest, test, kmsg) + output)
        elif phase == "boot" or self.left():
            self.result.result(f"{self.vm}.{self.time}.boot", "fail", reasons, output)
        else:
            self.torn_down = True
            self.result.result(self.teardown, "fail", reasons, output)

    def keep_log(self, guest, test, kmsg):
        try:
            output = (guest.work / f"{test.id}.out").read_bytes().decode(errors="replace")
        except FileNotFoundError:
            output = ""
        lines = [f"# {line}" for line in output.splitlines()] + [f"kernel: {line}" for line in kmsg]
        (self.log_dir / f"{test.id}.log").write_text("\n".join(lines) + "\n")
        return output


def steps(tests):
    return [{"id": test.id, "cmd": test.cmd, "family": test.family} for test in tests]


def took(guest, began, used):
    """Since then, by the clock and of the processors: the latter says what a test costs where others run beside it."""
    return f"{time.monotonic() - began:.1f} s, of the processors {guest.cpu_seconds() - used:.1f} s"


def failed_subtests(output):
    """A test that exits with 0 although one of its KTAP lines says otherwise is not to be believed."""
    lines = [line for line in output.splitlines() if "# SKIP" not in line and "# TODO" not in line]
    return [line for line in lines if line.lstrip().startswith(("not ok ", "Bail out!"))]


def run_command(lab, vm, time_mode, command, work, seconds):
    """Runs one command in a guest with the module loaded, its output as it comes; the kernel's log is checked as in tests."""
    test = plan.Test("command", command, "none", vm, time_mode, 600)
    run = ListRun(lab, [test], None, work)
    work.mkdir(parents=True)
    module = run.module(work)
    guests.write_plan(work, vm, time_mode, module, steps([test]))
    guest = guests.Guest(lab, vm, time_mode, work).start()
    shown, problems, status, done = 0, [], 1, False
    limit = time.monotonic() + seconds * guests.SLOWER[vm]
    try:
        while not done:
            alive = guest.alive()
            events = guest.events()
            out = work / f"{test.id}.out"
            if out.exists():
                data = out.read_bytes()
                sys.stdout.buffer.write(data[shown:])
                sys.stdout.flush()
                shown = len(data)
            for event in events:
                status = event.get("status", status)
                problems += [error for error in (event.get("error"),) if error] + event.get("problems", [])
                problems += kernlog.trouble(event["kmsg"])
                done = done or event["event"] in ("done", "agent-failed")
            if not done and (not alive or time.monotonic() > limit):
                problems += ["the guest died" if not alive else "the guest took too long", *guest.console_lines()[-40:]]
                break
            time.sleep(0.02)
    finally:
        guest.stop()
        shutil.copy(guest.console, run.log_dir / "command.console.log")
        shutil.rmtree(work, ignore_errors=True)
    for problem in problems:
        print(f"lab: {problem}")
    return status or (1 if problems else 0)


def shell(lab, vm, time_mode, work):
    work.mkdir(parents=True)
    run = ListRun(lab, [plan.Test("shell", "", "none", vm, time_mode, 600)], None, work)
    guests.write_plan(work, vm, time_mode, run.module(work), [], shell=True)
    guest = guests.Guest(lab, vm, time_mode, work)
    try:
        return subprocess.run(guest.command(interactive=True)).returncode
    finally:
        shutil.rmtree(work, ignore_errors=True)


def arguments():
    parser = argparse.ArgumentParser(prog="tools/lab/runner", description="Runs the kernel tests in guests.")
    parser.add_argument("--vm", action="append", choices=plan.VMS, help="only these guests (default: uml)")
    parser.add_argument("--time", action="append", choices=plan.TIMES, help="only these clocks (default: all)")
    parser.add_argument("--real-as", choices=plan.TIMES, default="real", metavar="CLOCK",
                        help="run uml tests that ask for the real clock by this one: waiting then costs nothing")
    parser.add_argument("--skip-slow", action="store_true", help="leave out what the lists call slow")
    parser.add_argument("--only", action="append", metavar="NAME", help="only the tests of these names")
    parser.add_argument("--family", action="append", choices=plan.FAMILIES, help="only these families")
    parser.add_argument("--share-families", action="store_true",
                        help="in stock and debug, run a test of both our families with one: in each guest with another")
    parser.add_argument("--list", action="store_true", help="name the tests and run none")
    parser.add_argument("--command", metavar="CMD", help="run this command in the guest instead of tests")
    parser.add_argument("--timeout", type=int, default=900, metavar="SECONDS", help="for the command, times 4 in stock, times 10 in debug (%(default)s)")
    parser.add_argument("--shell", action="store_true", help="a shell in the guest instead of tests; not from a terminal: runs standard input there")
    parser.add_argument("--jobs", type=int, default=0, metavar="N",
                        help="guests at a time; lists are split among them (default: as many as CPUs, one for QEMU)")
    parser.add_argument("--append", action="append", default=[], metavar="ARG", help="argument for the guest's kernel")
    parser.add_argument("--lists", action="append", metavar="FILE", help="these lists instead of tests/tests.toml and tests/*/tests.toml")
    parser.add_argument("--logs", default="build/logs", metavar="DIR", help="where logs go (default: %(default)s)")
    parser.add_argument("--layer", default="", metavar="NAME", help="the guests' root has the packages of tools/lab/layers/NAME too")
    parser.add_argument("--module", default="", metavar="FILE", help="load this module instead of oxtcp.ko")
    parser.add_argument("--kdir", action="append", default=[], metavar="VM=DIR", help=argparse.SUPPRESS)
    parser.add_argument("--cache", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.vm = options.vm or ["uml"]
    return options


def chosen(options, checkout):
    tests = plan.read(options.lists or plan.lists(checkout))
    if options.share_families:
        tests = plan.share_families(tests)
    tests = [
        dataclasses.replace(test, time=options.real_as)
        if (test.vm, test.time) == ("uml", "real") and not test.only_real
        else test
        for test in tests
    ]
    for name in options.only or []:
        if name not in {test.name for test in tests}:
            raise plan.PlanError(f"no test is named {name!r}")
    tests = [
        test
        for test in tests
        if test.vm in options.vm
        and not (test.slow and options.skip_slow)
        and (not options.time or test.time in options.time)
        and (not options.only or test.name in options.only)
        and (not options.family or test.family in options.family)
    ]
    if not tests:
        raise plan.PlanError("no test is left of the lists with these options")
    return tests


def main():
    options = arguments()
    checkout = str(pathlib.Path(__file__).resolve().parents[3])
    lab = Lab(checkout, options.cache, dict(pair.split("=", 1) for pair in options.kdir), options.append, options.logs, options.module)
    work = pathlib.Path(checkout) / "build" / "work" / str(time.time_ns())
    if options.shell or options.command:
        clock = (options.time or ["real"])[0]
        if options.shell and sys.stdin.isatty():
            return shell(lab, options.vm[0], clock, work)
        if options.shell:
            # A serial line loses what comes before somebody reads it.
            options.command = sys.stdin.read()
        return run_command(lab, options.vm[0], clock, options.command, work, options.timeout)
    try:
        tests = chosen(options, checkout)
    except plan.PlanError as error:
        print(f"runner: error: {error}", file=sys.stderr)
        print("0 passed, 1 failed")
        return 1
    if options.list:
        print("\n".join(test.id for test in tests))
        return 0
    began = time.monotonic()
    # A guest in QEMU has all of the host's CPUs already.
    jobs = options.jobs or (1 if {"stock", "debug"} & set(options.vm) else os.cpu_count())
    groups = plan.guests(tests, jobs)
    teardowns = sum(1 for _, group in groups if not all(test.expect_log for test in group))
    result = report.Report(len(tests) + teardowns)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [pool.submit(ListRun(lab, group, result, work, part).run) for part, group in groups]
        for run in runs:
            run.result()
    os.sync()
    shutil.rmtree(work, ignore_errors=True)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(f"# {time.monotonic() - began:.0f} s, of the processors {used.ru_utime + used.ru_stime:.0f} s")
    return result.end()


if __name__ == "__main__":
    sys.exit(main())
