"""Runs inside a guest: stress-ng's stressors of sockets through oxtcp_run, each for --seconds; fails if one does.

A stressor fails by stress-ng's own verdict (--verify), and where it uses TCP also if AF_OXTCP saw no connection. The kernel's
log is the runner's to judge.
"""

import argparse
import subprocess
import sys

sys.dont_write_bytecode = True

import world  # noqa: E402

# By name: whether it uses TCP, and its own options. The others only show that nothing else is disturbed.
STRESSORS = {
    "sock": (True, ["--sock-domain", "ipv4", "--sock-type", "stream", "--sock-opts", "random"]),
    "sock6": (True, ["--sock-domain", "ipv6", "--sock-type", "stream", "--sock-opts", "random"]),
    "sock-zerocopy": (True, ["--sock-zerocopy", "--sock-msgs", "1000"]),
    "sockabuse": (True, []),
    "sockfd": (False, []),
    "sockmany": (True, []),
    "epoll": (True, ["--epoll-domain", "ipv4"]),
    "epoll6": (True, ["--epoll-domain", "ipv6"]),
    "splice": (False, []),
}


def stress(name: str, seconds: int) -> str:
    """What went wrong, or nothing."""
    uses_tcp, options = STRESSORS[name]
    stressor = name.rstrip("6").partition("-")[0]
    words = ["stress-ng", f"--{stressor}", "2", *options, "--timeout", f"{seconds}s", "--verify", "--metrics-brief", "--oom-avoid"]
    here = world.World(frozenset({"client", "server"}), 4, "lo")
    before = here.opens()
    process = here.start("client", words, stdout=subprocess.PIPE, text=True, errors="replace")
    output, _ = process.communicate()
    made = here.opens() - before
    print(*(f"#   {line}" for line in output.splitlines() if stressor in line or "fail" in line), sep="\n")
    if process.returncode:
        return f"exit code {process.returncode}"
    if uses_tcp and not (made.ours_active and made.ours_passive):
        return f"no connection of AF_OXTCP: {made}"
    if made.native_active:
        return f"connections of Linux's own TCP: {made}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", action="append", choices=STRESSORS)
    options = parser.parse_args()
    world.install_tools()
    world.fresh_scratch()
    world.make_networks()
    failed = 0
    for name in options.only or STRESSORS:
        wrong = stress(name, options.seconds)
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} - {name}{f' # {wrong}' if wrong else ''}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
