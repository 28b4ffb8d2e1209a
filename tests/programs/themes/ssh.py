"""OpenSSH."""

import contextlib
from collections.abc import Iterator

import files
from program import VETH, Case, Program
from world import SCRATCH, World, amount, must, named, run

PORT = 2222
LOGINS = amount(5, 2)


@contextlib.contextmanager
def sshd(world: World) -> Iterator[None]:
    run(f"mkdir -p /run/sshd; chmod 755 /run/sshd {SCRATCH}; for name in host user; do "
        f"ssh-keygen -q -t ed25519 -N '' -f {SCRATCH}/$name; done; cp {SCRATCH}/user.pub {SCRATCH}/authorized")
    (SCRATCH / "sshd_config").write_text(f"""
Port {PORT}
ListenAddress {world.address}
HostKey {SCRATCH}/host
AuthorizedKeysFile {SCRATCH}/authorized
StrictModes no
PermitRootLogin yes
UsePAM no
PidFile none
Subsystem sftp /usr/lib/openssh/sftp-server
""")
    host = f"[{world.address}]:{PORT} {(SCRATCH / 'host.pub').read_text()}"
    (SCRATCH / "known").write_text(host)
    with world.server("/usr/sbin/sshd", "-D", "-e", "-f", SCRATCH / "sshd_config", port=PORT):
        yield


def options() -> list:
    return ["-F", "none", "-i", SCRATCH / "user", "-o", f"UserKnownHostsFile={SCRATCH}/known", "-o", "StrictHostKeyChecking=yes",
            "-o", "BatchMode=yes"]


def there(world: World, flag: str = "-s") -> None:
    world.client("scp", "-q", flag, "-P", PORT, *options(), files.path(files.LARGE), f"root@{world.host}:{SCRATCH}/got", timeout=120)
    files.same(SCRATCH / "got", files.LARGE)


def back(world: World, flag: str = "-s") -> None:
    world.client("scp", "-q", flag, "-P", PORT, *options(), f"root@{world.host}:{files.path(files.LARGE)}", SCRATCH / "got", timeout=120)
    files.same(SCRATCH / "got", files.LARGE)


def commands(world: World) -> None:
    for number in range(LOGINS):
        output = world.client("ssh", *options(), "-p", PORT, f"root@{world.address}", f"echo $((6 * {number}))")
        must(output.strip() == str(6 * number), output)


PROGRAMS = [
    Program("OpenSSH", sshd, (
        Case("scp to", f"scp of {named(files.LARGE)} to the server; checksum", there),
        Case("scp from", f"scp of {named(files.LARGE)} from the server; checksum", back, emulated=False),
        Case("scp -O", "the same from the server by the protocol of rcp; checksum", lambda world: back(world, "-O"), VETH, emulated=False),
        Case("commands", f"{LOGINS} logins that run a command; output", commands),
    )),
]
