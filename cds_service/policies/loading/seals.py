"""Files known to be unchanged by what the file system says of them, without opening them, as git's index knows them.

A seal stands for a plan's files as they were when they were read: for each its name, device, inode, size, and its times
of modification and of change. No program can set a time of change, so whatever writes, renames, exchanges or links a
file breaks the seal: ``cp -p``, ``touch -d``, ``rsync -t`` and git too. Never sealed: a symbolic link, and a
file that changed less than two seconds before it was read, as it may change again within the same tick of the file
system's clock. No seal counts on a file system that other machines or programs speak for (``local_devices``).

What breaks no seal: a clock set back, and then a change at the very time of the former one; another disk under the
same device number, its times made up; bytes that rot or are written below the file system; a power cut that
loses a file's new time and not its new bytes; and a program that goes on writing through a memory map that it wrote
through before (the time of change is that of its first write after the system last wrote the page to the disk). The
service then goes on with what was checked, until the file is touched.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

# The coarsest clock of a file system of ours ticks once a second.
_SETTLED_NS = 2_000_000_000
# Kept by this machine's kernel, which alone sets a file's time of change. Not so: network file systems, FUSE, FAT, images
# with times made up, and overlays, below which any of them may lie. On btrfs, files are on devices that no mount names.
_LOCAL = {b"ext2", b"ext3", b"ext4", b"xfs", b"tmpfs"}


class Seal(NamedTuple):
    """What the file system says of some files on one ``device`` (its ``st_dev``), by its sha256."""

    device: int
    digest: str


def seal_of(folder: str, names: Iterable[str], statuses: Sequence[os.stat_result]) -> Seal | None:
    """The seal of the files of the plan in a folder of this name: None for none, for files on several devices, and when
    one is no regular file. ``names``: each file's, or its path when it lies in another folder.
    """
    devices = {each.st_dev for each in statuses}
    if len(devices) != 1 or not all(stat.S_ISREG(each.st_mode) for each in statuses):
        return None
    (device,) = devices
    told = [(each.st_ino, each.st_size, each.st_mtime_ns, each.st_ctime_ns) for each in statuses]
    # Names that are no UTF-8 are escaped by repr.
    return Seal(device, sha256(repr((folder, device, tuple(names), told)).encode()).hexdigest())


def is_settled(status: os.stat_result, read_ns: int) -> bool:
    """Whether a file that is read now (``read_ns``: nanoseconds since 1970) cannot change without its status changing."""
    return max(status.st_mtime_ns, status.st_ctime_ns) < read_ns - _SETTLED_NS


def local_devices(mounts: Path = Path("/proc/self/mountinfo")) -> frozenset[int]:
    """The devices (``st_dev``) on which a seal counts; none without ``mounts``, which proc(5) describes."""
    try:
        fields = [line.split(b" ") for line in mounts.read_bytes().split(b"\n") if line]
        local = [each[2].split(b":") for each in fields if each[each.index(b"-") + 1] in _LOCAL]
        return frozenset(os.makedev(int(major), int(minor)) for major, minor in local)
    except (OSError, ValueError, IndexError):
        return frozenset()
