"""Prints results as KTAP and keeps their count."""

import sys


class Report:
    def __init__(self, total):
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        print("KTAP version 1")
        print(f"1..{total}", flush=True)

    def result(self, name, outcome, reasons=(), output="", seconds=0.0):
        """Outcome is 'pass', 'fail' or 'skip'. A failure shows all that is known of it; a pass only its name."""
        number = self.passed + self.failed + self.skipped + 1
        for line in "\n".join(reasons).splitlines():
            print(f"# {line}")
        if outcome == "fail":
            for line in output.splitlines():
                print(f"# {line}")
            self.failed += 1
            self.failures.append(name)
            print(f"not ok {number} {name}")
        elif outcome == "skip":
            self.skipped += 1
            print(f"ok {number} {name} # SKIP {' '.join(output.split())[:100]}")
        else:
            self.passed += 1
            print(f"ok {number} {name} # {seconds:.1f} s")
        sys.stdout.flush()

    def end(self):
        for name in self.failures:
            print(f"# failed: {name}")
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        print(f"{self.passed} passed, {self.failed} failed{skipped}", flush=True)
        return 0 if self.failed == 0 and self.passed > 0 else 1
