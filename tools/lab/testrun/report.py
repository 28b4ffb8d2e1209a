"""Prints results as KTAP and keeps their count."""

import sys
import threading

SHOWN = 150  # lines of what is known of a failure; the logs have the rest


class Report:
    def __init__(self, total):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.lock = threading.Lock()
        print("KTAP version 1")
        print(f"1..{total}", flush=True)

    def result(self, name, outcome, reasons=(), output="", took=""):
        """Outcome is 'pass', 'fail' or 'skip'. A failure shows all that is known of it; a pass its name and what it took."""
        with self.lock:
            self.show(name, outcome, reasons, output, took)

    def comment(self, text):
        with self.lock:
            print(f"# {text}", flush=True)

    def show(self, name, outcome, reasons, output, took):
        number = self.passed + self.failed + self.skipped + 1
        known = "\n".join(reasons).splitlines()
        if outcome == "fail":
            known += output.splitlines()
        for line in known[:SHOWN]:
            print(f"# {line}")
        if len(known) > SHOWN:
            print(f"# ... {len(known) - SHOWN} more lines in the log")
        if outcome == "fail":
            self.failed += 1
            self.failures.append(name)
            print(f"not ok {number} {name}")
        elif outcome == "skip":
            self.skipped += 1
            print(f"ok {number} {name} # SKIP {' '.join(output.split())[:100]}")
        else:
            self.passed += 1
            print(f"ok {number} {name}{took and ' # '}{took}")
        sys.stdout.flush()

    def end(self):
        for name in self.failures:
            print(f"# failed: {name}")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1
