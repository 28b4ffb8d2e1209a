"""The files that are moved: of each size one, with contents that no two of their parts share."""

import hashlib
import os
import pathlib
import random

from world import CHECKOUT, amount, must, run

KEPT = CHECKOUT / "build/programs/files"
# Where other users than root find them too, wherever the checkout lies.
DIRECTORY = pathlib.Path("/dev/shm/programs-files")
PART = 1 << 20
SMALL = (1, 1000, 65_536, 1_000_003)
MIDDLE = 10 << 20
LARGE = amount(100 << 20, MIDDLE)
HUGE = amount(1 << 30, 100 << 20)


# Whether the large files are left out.
_quick = False


def quick() -> bool:
    return _quick


def path(size: int) -> pathlib.Path:
    return DIRECTORY / str(size)


def make(sizes: tuple[int, ...]) -> None:
    """Those that are not there yet, each with its checksum beside it."""
    KEPT.mkdir(parents=True, exist_ok=True)
    KEPT.chmod(0o755)
    for size in sizes:
        if not (KEPT / f"{size}.sha256").exists():
            make_one(size)


def prepare(quick: bool) -> None:
    """Puts them where a guest's programs find them."""
    global _quick
    _quick = quick
    make(SMALL if quick else (*SMALL, MIDDLE, LARGE, HUGE))
    run(f"mkdir {DIRECTORY}; mount --bind {KEPT} {DIRECTORY}")


def make_one(size: int) -> None:
    whole = hashlib.sha256()
    work = KEPT / f"making.{os.getpid()}"
    with open(work, "wb") as out:
        for start in range(0, size, PART):
            part = random.Random(start).randbytes(min(PART, size - start))
            whole.update(part)
            out.write(part)
    work.chmod(0o644)
    work.replace(KEPT / str(size))
    (KEPT / f"{size}.sha256").write_text(whole.hexdigest())
    (KEPT / f"{size}.sha256").chmod(0o644)


def checksum(size: int) -> str:
    return path(size).with_suffix(".sha256").read_text()


def same(file: pathlib.Path, size: int) -> None:
    """Fails unless the file has the contents of ours of that size."""
    must(file.exists(), f"{file.name} did not come")
    with open(file, "rb") as got:
        there = hashlib.file_digest(got, "sha256").hexdigest()
    must(there == checksum(size), f"{file.name} of {size} bytes came with {file.stat().st_size} and another checksum")


if __name__ == "__main__":
    # For all guests.
    make((*SMALL, MIDDLE, 100 << 20, 1 << 30))
