"""Says which kernel messages mean that something went wrong."""

import re

# Each of these is printed by the kernel only for a defect (or by one of its checkers, which the lab turns on).
TROUBLE = re.compile(
    "|".join(
        [
            r"\bWARNING: (?!.*(?:Spectre|out-of-tree))",
            r"\bBUG\b[: ]",
            r"\bBUG [a-z]",
            r"kernel BUG at",
            r"\bOops\b",
            r"Kernel panic",
            r"KASAN:",
            r"KFENCE:",
            r"UBSAN:",
            r"KCSAN:",
            r"ODEBUG:",
            r"DEBUG_LOCKS_WARN_ON",
            r"kmemleak: \d+ new suspected",
            r"kmemleak: (?:Cannot|Found object|Kernel memory leak detector disabled)",
            r"possible (?:circular|recursive|irq lock inversion)",
            r"(?:circular|inconsistent|recursive) (?:locking|lock state)",
            r"bad unlock balance",
            r"held lock freed",
            r"lock held (?:when|at)",
            r"suspicious RCU usage",
            r"Invalid wait context",
            r"trying to register non-static key",
            r"sleeping function called",
            r"scheduling while atomic",
            r"INFO: task .* blocked for more than",
            r"rcu: INFO:|rcu_\w+ (?:self-)?detected stall|rcu_\w+ kthread starved",
            r"soft lockup|hard LOCKUP|workqueue lockup",
            r"unregister_netdevice: waiting",
            r"ref_tracker:|leaked \d+ users|leaked reference",
            r"refcount_t:",
            r"list_(?:add|del) corruption|list corruption",
            r"Objects remaining|Slab cache still has objects|Poison overwritten|Redzone|Object already free|slab err",
            r"Bad page state|Bad rss-counter|page dumped because",
            r"general protection fault",
            r"[Uu]nable to handle",
            r"Segfault with no mm|segfault at .* in vmlinux",
            r"stack-protector: Kernel stack is corrupted",
            r"panicked at",
            r"invoked oom-killer|Out of memory",
            r"page allocation failure",
            r"Call Trace:",
            r"^lab: BUG",
        ]
    )
)

# What the kernels of the lab's guests say without the module, too. Each with its reason.
HARMLESS = re.compile(
    "|".join(
        [
            # The module is neither in the kernel's tree nor signed; nothing else follows from that.
            r"loading out-of-tree module taints kernel",
            r"module verification failed: signature and/or required key missing",
        ]
    )
)


def trouble(lines):
    """The lines among these kernel messages that mean a defect."""
    return [line for line in lines if TROUBLE.search(line.split("] ", 1)[-1]) and not HARMLESS.search(line)]


def split_task_dump(lines):
    """What came before the kernel was asked for its tasks, and of its answer the tasks that are no kernel threads."""
    start = next((number for number, line in enumerate(lines) if "sysrq: Show State" in line), len(lines))
    before, tasks, wanted = lines[:start], [], False
    for line in lines[start:]:
        if " task:" in line:
            wanted = not re.search(r"ppid:\s*[02]\b", line)
        elif "Sched Debug" in line:
            break
        if wanted:
            tasks.append(line)
    return before, tasks


def missing(lines, patterns):
    """The patterns that none of these kernel messages match."""
    return [pattern for pattern in patterns if not any(re.search(pattern, line) for line in lines)]
