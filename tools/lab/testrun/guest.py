"""Starts one guest of a flavour and follows what happens in it."""

import fcntl
import json
import os
import pathlib
import signal
import socket
import struct
import subprocess
import time

# Seconds of the host's wall clock. Emulated guests are slower, and a debug kernel much more so: a test's own timeout is
# given for User-Mode Linux and multiplied.
BOOT = {"uml": 30, "umlsmp": 30, "stock": 240, "debug": 480}
SLOWER = {"uml": 1, "umlsmp": 1, "stock": 4, "debug": 10}
# Seconds of the guest's clock in which the module must become free of what its connections still hold.
UNLOAD = 75
TEARDOWN = UNLOAD + 45

# MiB, unless a test asks for other than that.
MEMORY = {"uml": 1024, "umlsmp": 1024, "stock": 2048, "debug": 1024}

# Every slab object is checked and poisoned where that is cheap; caches are not merged, so that ours keep their names.
# In the debug guest the other caches are checked too: that also keeps them from using sheaves, whose stale pointers to
# objects hide leaks from kmemleak (tried: ten leaked objects of one kmalloc cache went unnoticed).
SLAB = {"uml": "slab_debug=FZPU", "umlsmp": "slab_debug=FZPU", "stock": "slab_debug=FZPU,oxtcp*", "debug": "slab_debug=FZPU,oxtcp*;F"}

# Caching is safe: while a guest runs, the host only reads what the guest has written with fsync.
NINE_P = "version=9p2000.L,trans=virtio,msize=512000,cache=loose"


def take_cpu():
    """A host CPU that no other guest is pinned to, locked until the returned descriptor is closed.

    Unpinned, a one-CPU User-Mode Linux guest crosses CPUs at each switch and runs several times slower.
    """
    cpus = sorted(os.sched_getaffinity(0), reverse=True)
    # First come, first served: with more guests than CPUs, one that only looked now and then could wait for ever.
    queue = os.open("/dev/shm/oxtcp-lab-queue.lock", os.O_RDWR | os.O_CREAT, 0o666)
    fcntl.flock(queue, fcntl.LOCK_EX)
    try:
        while True:
            for cpu in cpus:
                lock = os.open(f"/dev/shm/oxtcp-lab-cpu{cpu}.lock", os.O_RDWR | os.O_CREAT, 0o666)
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return cpu, lock
                except BlockingIOError:
                    os.close(lock)
            time.sleep(0.1)
    finally:
        os.close(queue)


def kvm_works(cache):
    """Whether a kernel really starts under KVM; a /dev/kvm that cannot run one is not rare. Remembered until the host reboots."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot_id = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = pathlib.Path(cache) / f"kvm-{boot_id}"
    if not answer.exists():
        command = ["qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512", "-nographic", "-no-reboot",
                   "-kernel", stock_kernel(), "-append", "console=ttyS0 panic=-1"]
        try:
            out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=15).stdout
        except subprocess.TimeoutExpired as expired:
            out = expired.stdout or b""
        answer.parent.mkdir(parents=True, exist_ok=True)
        # Without a root the kernel panics, which is far enough.
        answer.write_text("yes" if b"Unable to mount root fs" in out else "no")
    return answer.read_text() == "yes"


def write_plan(work, vm, clock, module, tests, teardown=True, proofs=(), shell=False):
    """Says what guest_agent.py shall do."""
    plan = {"vm": vm, "time": clock, "module": module, "tests": tests, "teardown": teardown, "proofs": proofs, "shell": shell,
            "unload_seconds": UNLOAD, "kmemleak_seconds": 6}
    (work / "plan.json").write_text(json.dumps(plan))


def stock_kernel():
    return "/boot/vmlinuz-" + pathlib.Path("/etc/oxtcp-kernel-release").read_text().strip()


class Guest:
    """One boot. The work directory is shared with the guest; see guest_agent.py for what lies in it."""

    def __init__(self, lab, vm, time_mode, work, memory=0, kernel_args=()):
        self.lab = lab
        self.vm = vm
        self.time = time_mode
        self.work = work
        self.memory = memory or MEMORY[vm]
        self.kernel_args = kernel_args
        self.console = work / "console.log"
        self.process = None
        self.umid = f"guest{time.time_ns()}"
        self.cpu_lock = None
        self.read_to = 0

    def command(self, interactive=False):
        """What starts the guest. Values in it hold no spaces: they pass through a kernel command line."""
        init = f"{self.lab.checkout}/tools/lab/guest-init"
        variables = {"GUEST_WORK": str(self.work), "GUEST_CHECKOUT": self.lab.checkout, "GUEST_TERM": os.environ.get("TERM", "dumb")}
        common = ["log_buf_len=4M", SLAB[self.vm], "slab_nomerge", "panic=-1", "oops=panic", "printk.devkmsg=on", *self.kernel_args,
                  *self.lab.append]
        if self.vm in ("uml", "umlsmp"):
            command = [f"{self.lab.kdirs[self.vm]}/linux", f"mem={self.memory}M", "rootfstype=hostfs", "rootflags=/", "rw", f"init={init}",
                       "con=null", "con0=fd:0,fd:1", "ssl=null", "seccomp=on", "uml_dir=/var/tmp", f"umid={self.umid}", *common,
                       *(f"{name}={value}" for name, value in variables.items())]
            if interactive:
                command.append("quiet")
            if self.time != "real":
                command.append("time-travel" if self.time == "virtual" else "time-travel=inf-cpu")
            if self.vm == "umlsmp":
                return [*command, f"ncpus={os.cpu_count()}"]
            cpu, self.cpu_lock = take_cpu()
            return ["taskset", "-c", str(cpu), *command]
        return self.qemu([*common, f"guest_init={init}", *(f"{name}={value}" for name, value in variables.items())], interactive)

    def qemu(self, arguments, interactive):
        arguments = ["console=ttyS0", "mitigations=off", "tsc=reliable", "rw", f"rootflags={NINE_P}", *arguments]
        if self.vm == "debug":
            boot = ["-kernel", f"{self.lab.kdirs['debug']}/arch/x86/boot/bzImage"]
            init = next(argument for argument in arguments if argument.startswith("guest_init="))
            # With 5-level paging, KASAN reports a wild access before anything else has run, which turns lockdep off.
            arguments += ["root=/dev/root", "rootfstype=9p", init.replace("guest_init=", "init="), "no5lvl"]
        else:
            initramfs = self.work / "initramfs"
            subprocess.run([f"{self.lab.checkout}/tools/lab/initramfs", initramfs], check=True)
            boot = ["-kernel", stock_kernel(), "-initrd", str(initramfs)]
        # An emulated serial line is slow: only what may be trouble goes there, all the rest is in the log that the agent reads.
        arguments.append("loglevel=5")
        accel = ["-accel", "kvm", "-cpu", "host"] if kvm_works(self.lab.cache) else ["-accel", "tcg,thread=multi,tb-size=512"]
        serial = ["-serial", "mon:stdio"] if interactive else ["-serial", "stdio"]
        return ["qemu-system-x86_64", *accel, "-machine", "q35", "-smp", "2", "-m", f"{self.memory}M", "-nodefaults", "-display", "none",
                "-no-reboot", *serial, "-fsdev", "local,id=root,path=/,security_model=none,multidevs=remap",
                "-device", "virtio-9p-pci,fsdev=root,mount_tag=/dev/root", *boot, "-append", " ".join(arguments)]

    def start(self):
        with open(self.console, "wb") as console:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=console,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        return self

    def events(self):
        """What the agent has reported since the last call."""
        try:
            with open(self.work / "events.jsonl", "rb") as file:
                file.seek(self.read_to)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self.read_to += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def alive(self):
        return self.process.poll() is None

    def cpu_seconds(self):
        """What its processes have taken of the host's processors so far; those that have ended count by their parents."""
        ticks = 0
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = path.read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it has ended meanwhile
            if int(fields[2]) == self.process.pid:  # the process group
                ticks += sum(map(int, fields[11:15]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def show_tasks(self):
        """Has the kernel print where its tasks wait, for a guest that makes no progress. Only User-Mode Linux can be asked."""
        control = f"/var/tmp/{self.umid}/mconsole"
        if not os.path.exists(control):
            return
        request = b"sysrq t"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.bind("")  # a name of the kernel's choice, for the answer
            channel.settimeout(2)
            try:
                channel.sendto(struct.pack("Iii512s", 0xCAFEBABE, 2, len(request), request), control)
                channel.recv(65536)
            except OSError:
                pass  # it cannot even answer; the console so far must do

    def stop(self):
        """Ends the guest with all its processes; User-Mode Linux has one per address space."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        if self.cpu_lock is not None:
            os.close(self.cpu_lock)
            self.cpu_lock = None

    def console_lines(self):
        """The console from the first program on: what comes before is the same at every boot."""
        try:
            text = self.console.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return []
        lines = [line.rstrip() for line in text.replace("\r", "\n").splitlines() if line.strip()]
        first = next((number for number, line in enumerate(lines) if " as init process" in line), 0)
        return lines[first:]
