"""Runs inside a guest: loads the module, runs the planned tests, tears down; reports each step to a file.

It judges nothing but leftovers: outputs, exit codes and the kernel's messages go to the host, which decides. The guest's
first program calls main(WORK), where WORK holds plan.json and receives events.jsonl and one .out file per test.
"""

import bisect
import ctypes
import json
import os
import re
import select
import signal
import subprocess
import time

SYS_FINIT_MODULE, SYS_DELETE_MODULE = 313, 176  # of x86-64

libc = ctypes.CDLL(None, use_errno=True)


def read(path):
    with open(path) as file:
        return file.read()


def module_call(*arguments):
    """The error, empty if there is none. The programs for it would take an emulated processor a second to start."""
    return os.strerror(ctypes.get_errno()) if libc.syscall(*arguments) != 0 else ""


def load(path):
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    error = module_call(SYS_FINIT_MODULE, file, b"", 0)
    os.close(file)
    return error and f"loading {path}: {error}"


def unload(name):
    return module_call(SYS_DELETE_MODULE, name.encode(), os.O_NONBLOCK)


class Kmsg:
    """The kernel's log, read record by record from where the last reading ended."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)

    def read(self):
        lines = []
        while True:
            try:
                record = os.read(self.fd, 8192)
            except BlockingIOError:
                return lines
            except BrokenPipeError:
                lines.append("lab: BUG: kernel messages were lost, the log buffer is too small")
                continue
            head, _, text = record.decode(errors="replace").partition(";")
            stamp = int(head.split(",")[2]) / 1e6
            # Continuation lines are the record's dictionary, not messages.
            lines.append(f"[{stamp:12.6f}] {text.splitlines()[0] if text.strip() else ''}")


class ModuleSymbols:
    """Names for the addresses of modules, kept from before they were unloaded."""

    def __init__(self):
        with open("/proc/kallsyms") as file:
            found = (line.split() for line in file if line.endswith("]\n"))
            self.symbols = sorted((int(fields[0], 16), fields[2]) for fields in found)

    def name_in(self, report):
        return re.sub(r"\b0x([0-9a-f]{6,16})$", self.name, report, flags=re.M)

    def name(self, match):
        address = int(match[1], 16)
        at = bisect.bisect_right(self.symbols, (address, "~")) - 1
        if at < 0 or address - self.symbols[at][0] > 0x10000:
            return match[0]
        return f"{self.symbols[at][1]}+{address - self.symbols[at][0]:#x}"


class Agent:
    def __init__(self, work):
        self.work = work
        self.plan = json.loads(read(f"{work}/plan.json"))
        self.kmsg = Kmsg()

    def event(self, kind, **fields):
        """Tells the host; the file must be on the host's side before anything else happens that may end the guest."""
        line = json.dumps({"event": kind, "kmsg": self.kmsg.read(), **fields}) + "\n"
        fd = os.open(f"{self.work}/events.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(fd, line.encode())
        os.fsync(fd)
        os.close(fd)

    def run(self):
        error = load(self.plan["module"]) if self.plan["module"] else ""
        self.event("boot", error=error)
        if self.plan["shell"]:
            # A first program has no controlling terminal, without which a shell has no job control.
            subprocess.run(["setsid", "--wait", "busybox", "cttyhack", "bash"])
            return
        if error:
            return
        self.run_tests(self.plan["tests"])
        if self.plan["teardown"]:
            self.event("teardown", problems=self.tear_down())
        self.run_tests(self.plan["proofs"])
        self.event("done")

    def run_tests(self, tests):
        for test in tests:
            self.event("start", id=test["id"])
            status = self.run_test(test)
            self.clean_up()
            self.event("end", id=test["id"], status=status)

    def run_test(self, test):
        """The test's output reaches the host as it comes, so that a test which hangs has said where."""
        environment = dict(os.environ, VM=self.plan["vm"], TIME=self.plan["time"], MODULE=self.plan["module"])
        environment.pop("FAMILY", None)
        if test["family"] != "none":
            environment["FAMILY"] = test["family"]
        out = os.open(f"{self.work}/{test['id']}.out", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_SYNC)
        child = subprocess.Popen(["bash", "-c", test["cmd"]], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, env=environment, start_new_session=True)
        pipe = child.stdout.fileno()
        exited = os.pidfd_open(child.pid)
        while True:
            ready, _, _ = select.select([pipe, exited], [], [])
            if pipe in ready:
                data = os.read(pipe, 65536)
                os.write(out, data)
                if not data:
                    break
            elif exited in ready:
                break  # what still holds the pipe was left behind by the test
        status = child.wait()
        os.close(exited)
        os.close(out)
        child.stdout.close()
        return status

    def clean_up(self):
        """Ends what a test left behind, so that it cannot disturb the next one."""
        while True:
            children = []
            for task in os.listdir("/proc/self/task"):
                children += map(int, read(f"/proc/self/task/{task}/children").split())
            if not children:
                break
            for pid in children:
                try:
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                except (ProcessLookupError, ChildProcessError):
                    pass
        if os.path.isdir("/run/netns") and os.listdir("/run/netns"):
            subprocess.run(["ip", "-all", "netns", "delete"], stdout=subprocess.DEVNULL)

    def tear_down(self):
        """Unloads the module and looks for what it left: slab caches, leaks, checkers that had switched themselves off."""
        problems = []
        # An object is reported from the second scan on that finds it unreferenced and unchanged.
        self.scan_for_leaks(0)
        symbols = ModuleSymbols()
        if self.plan["module"]:
            problems += self.unload(os.path.basename(self.plan["module"]).removesuffix(".ko").replace("-", "_"))
        problems += self.slabs_left("oxtcp")
        report = self.scan_for_leaks(self.plan["kmemleak_seconds"])
        if report:
            problems.append("kmemleak: " + symbols.name_in(report))
        if os.path.exists("/proc/lockdep_stats"):
            switches = [line.split()[-1] for line in read("/proc/lockdep_stats").splitlines() if line.strip().startswith("debug_locks:")]
            if switches != ["1"]:
                problems.append("lockdep had switched itself off")
        return problems

    def unload(self, name):
        # Connections that are still saying goodbye may hold the module for a while, but not for ever.
        limit = time.monotonic() + self.plan["unload_seconds"]
        while True:
            error = unload(name)
            if not error:
                return []
            if time.monotonic() > limit:
                return [f"unloading {name}: {error}", *self.connections_left(name)]
            time.sleep(0.5)

    def connections_left(self, name):
        # Who holds the module? Those of other namespaces do not show here.
        table = f"/proc/net/{name}"
        return read(table).splitlines() if os.path.exists(table) else []

    def slabs_left(self, prefix):
        # A cache whose objects are freed by RCU goes away a grace period after the module.
        limit = time.monotonic() + 5
        while True:
            try:
                names = [line.split()[0] + " " + line.split()[1] for line in open("/proc/slabinfo") if line.startswith(prefix)]
            except OSError:
                return ["/proc/slabinfo cannot be read"]
            if not names or time.monotonic() > limit:
                return [f"slab cache left after rmmod: {name} objects" for name in names]
            time.sleep(0.5)

    def scan_for_leaks(self, wait):
        control = "/sys/kernel/debug/kmemleak"
        if not os.path.exists(control):
            return ""
        try:
            time.sleep(wait)  # kmemleak does not report objects younger than 5 s
            with open(control, "w") as file:
                file.write("scan\n")
            return read(control).strip()
        except OSError as error:
            return f"scan failed: {error}"


def main(work):
    agent = Agent(work)
    try:
        agent.run()
    except Exception as error:  # the host must learn of it: a silent end would look like a crash of the guest
        agent.event("agent-failed", error=f"{type(error).__name__}: {error}")
        raise
