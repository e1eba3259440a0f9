"""The folder of the files in between, and whether what an earlier run left there can be gone by."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from cds_service.bulk.work import Workers
from cds_service.errors import BulkInputError

_WORK = ".evaluation"
# Says of which start of the machine the files are, when they may be gone with it.
_START = "machine-started"
# Another at each start of a Linux kernel.
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class WorkFolder:
    """Where spools and the results of buckets lie.

    ``outlives_machine``: whether a file must be on the disk before it appears under its name. If not, it is whole as
    long as the machine is up, without waiting for the disk; when the machine starts anew, nothing of it is gone by.
    """

    spool: Path
    buckets: Path
    outlives_machine: bool


@contextmanager
def work_folder(out: Path, workers: Workers) -> Iterator[WorkFolder]:
    """The folder of the files in between, this run's alone; gone when all is done, kept when it is not."""
    work = out / _WORK
    # It holds a copy of the records: for nobody else's eyes.
    work.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except OSError:
            raise BulkInputError(
                str(out), "$", "another evaluation under way", "a folder of its own"
            ) from None
        start = _start_of_machine() if workers.is_one_machine else None
        folder = WorkFolder(work / "spool", work / "buckets", start is None)
        _let_go_of_lost(work / _START, folder)
        if start is not None:
            _write(work / _START, start)
        for path in (folder.spool, folder.buckets):
            path.mkdir(mode=0o700, exist_ok=True)
        yield folder
        shutil.rmtree(work)


def _let_go_of_lost(note: Path, folder: WorkFolder) -> None:
    """Remove what was not yet on the disk for certain when the machine went down."""
    if note.exists() and note.read_text() != _start_of_machine():
        shutil.rmtree(folder.spool, ignore_errors=True)
        shutil.rmtree(folder.buckets, ignore_errors=True)


def _write(note: Path, start: str) -> None:
    """Have the note on the disk before anything that depends on it."""
    note.write_text(start)
    for path in (note, note.parent):
        sync(path)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _start_of_machine() -> str | None:
    """What tells this start of the machine from others; None where the system does not say."""
    try:
        return _BOOT_ID.read_text()
    except OSError:
        return None
