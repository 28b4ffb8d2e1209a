"""The files that are moved: of each size one, with contents that no two of their parts share."""

import hashlib
import os
import pathlib
import random

from world import CHECKOUT, must

DIRECTORY = CHECKOUT / "build/programs/files"
PART = 1 << 20
SMALL = (1, 1000, 65_536, 1_000_003)
MIDDLE = 10 << 20
LARGE = 100 << 20
HUGE = 1 << 30


# Whether the large files are left out.
_quick = False


def quick() -> bool:
    return _quick


def path(size: int) -> pathlib.Path:
    return DIRECTORY / str(size)


def make(without_large: bool) -> None:
    """Those that are not there yet, each with its checksum beside it."""
    global _quick
    _quick = without_large
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    for size in SMALL if without_large else (*SMALL, MIDDLE, LARGE, HUGE):
        if not path(size).with_suffix(".sha256").exists():
            make_one(size)


def make_one(size: int) -> None:
    whole = hashlib.sha256()
    work = DIRECTORY / f"making.{os.getpid()}"
    with open(work, "wb") as out:
        for start in range(0, size, PART):
            part = random.Random(start).randbytes(min(PART, size - start))
            whole.update(part)
            out.write(part)
    work.replace(path(size))
    path(size).with_suffix(".sha256").write_text(whole.hexdigest())


def checksum(size: int) -> str:
    return path(size).with_suffix(".sha256").read_text()


def same(file: pathlib.Path, size: int) -> None:
    """Fails unless the file has the contents of ours of that size."""
    must(file.exists(), f"{file.name} did not come")
    with open(file, "rb") as got:
        there = hashlib.file_digest(got, "sha256").hexdigest()
    must(there == checksum(size), f"{file.name} of {size} bytes came with {file.stat().st_size} and another checksum")


if __name__ == "__main__":
    make(False)
