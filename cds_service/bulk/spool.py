"""The first pass: the lines of a part, spread over buckets by patient, so that all lines of a patient meet again.

A spool file holds, segment after segment, the part's lines by bucket, and after each segment where each bucket starts.
An export mostly has a patient's lines together, so a bucket begins with its runs of them (patient, number of the first
line, bytes), and after an empty line come their lines. The bucket after the last holds what is wrong with the lines that
could not be used. A file appears under its name only when it is whole.
"""

from __future__ import annotations

import hashlib
import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zlib import crc32

import orjson

from cds_service.bulk.parts import BrokenOffError, LineFaultError, Part, blocks, resource_in
from cds_service.bulk.runs import attributed

# Of memory: a usual part and what holds it together.
_SEGMENT_BYTES = 36 * 2**20
# What a run takes besides its lines. Where each is a line of its own, as of Patients, that is as much again.
_RUN_BYTES = 256
# A bucket is a range of the hashes of patients' ids: buckets follow each other as the hashes do, however many there are.
_HASHES = 2**32
# In the names of the files: one that an earlier version left is not taken for one of ours.
_FORMAT = 3


class SpoolTask(NamedTuple):
    """A part to be spooled into a folder, over so many buckets. ``outlives_machine``: see WorkFolder."""

    part: Part
    folder: Path
    buckets: int
    outlives_machine: bool


@dataclass(frozen=True, order=True)
class Spooled:
    """A part that was spooled: how many ``lines`` it has, how many of them are ``used`` and how many ``refused``.

    ``indexes``: where each segment's index stands in ``path``.
    ``digest``: sha256 of the bytes read. ``broken``: why the file cannot be trusted to be whole. ``first_line``: how many
    lines of the file stand before the part.
    """

    place: int
    path: Path
    file: str
    resource_type: str
    is_orders: bool
    indexes: tuple[int, ...]
    lines: int
    used: int
    refused: int
    digest: str
    broken: str | None
    first_line: int = 0


def spooled(task: SpoolTask) -> Spooled:
    """The part's spool, written unless an earlier run left it whole."""
    path = task.folder / f"{task.part.place:06d}-{task.part.fingerprint}-{task.buckets}-{_FORMAT}"
    if not path.exists():
        partial = path.with_suffix(f".{os.getpid()}")
        with partial.open("wb") as stream:
            _write(task.part, _Segments(stream, task.buckets))
            if task.outlives_machine:
                stream.flush()
                os.fsync(stream.fileno())
        partial.rename(path)
    return _footer(task.part, path)


def numbered(spools: tuple[Spooled, ...]) -> tuple[Spooled, ...]:
    """The spools, each with the number of lines that stand before it in its file."""
    found: list[Spooled] = []
    for spool in spools:
        before = found[-1] if found and _source(found[-1]) == _source(spool) else None
        first = before.first_line + before.lines if before else 0
        found.append(replace(spool, first_line=first))
    return tuple(found)


class SpooledRun(NamedTuple):
    """Lines of one patient: the number of the first within the part, and where they stand in ``section``."""

    patient: bytes
    first: int
    section: bytes
    start: int
    end: int

    def lines(self) -> list[bytes]:
        """The lines, with their ends: a stream finds these several times as fast as ``split`` does."""
        return list(BytesIO(self.section[self.start : self.end]))


def runs_in(spool: Spooled, bucket: int) -> Iterator[SpooledRun]:
    """The runs of one bucket in the order of the file."""
    for section in _sections(spool, bucket):
        start = section.index(b"\n\n") + 2
        for run in section[: start - 2].split(b"\n"):
            patient, first, size = run.split(b"\t")
            end = start + int(size)
            yield SpooledRun(patient, int(first), section, start, end)
            start = end


def faults_in(spool: Spooled, buckets: int) -> Iterator[tuple[int, str]]:
    """The part's lines that could not be used: number within the part, and why."""
    for run in runs_in(spool, buckets):
        yield run.first, run.lines()[0].decode().rstrip("\n")


class _Segments:
    """Lines gathered by bucket, written out whenever they fill a segment, so that memory stays bounded."""

    def __init__(self, stream: BinaryIO, buckets: int) -> None:
        self.stream = stream
        self.indexes: list[int] = []
        self.used = self.refused = 0
        self._buckets = buckets
        # Of each bucket, what its runs are and then their lines.
        self._runs: list[list[bytes]] = [[] for _ in range(buckets + 1)]
        self._lines: list[list[bytes]] = [[] for _ in range(buckets + 1)]
        self._bytes = 0

    def add(self, block: bytes, before: int, resource_type: str) -> int:
        """Gather the lines of a block in the buckets of their patients, and say how many there are.

        ``before``: how many of the part stand before them.
        """
        if not block.endswith(b"\n"):
            block += b"\n"
        found = attributed(block, before, resource_type)
        for patient, first, lines, start, end in found.runs:
            self._gather(crc32(patient) * self._buckets // _HASHES, patient, first, block[start:end])
            self.used += lines
        for number, why in found.refused:
            self._gather(self._buckets, b"-", number, why.encode() + b"\n")
        self.refused += len(found.refused)
        self._bytes += len(block) + len(found.runs) * _RUN_BYTES
        if self._bytes >= _SEGMENT_BYTES:
            self.write()
        return found.lines

    def _gather(self, bucket: int, patient: bytes, first: int, lines: bytes) -> None:
        self._runs[bucket].append(b"%b\t%d\t%d\n" % (patient, first, len(lines)))
        self._lines[bucket].append(lines)

    def write(self) -> None:
        """Write what is gathered, bucket by bucket, and where each bucket starts."""
        starts = array("Q", [self.stream.tell()])
        for runs, lines in zip(self._runs, self._lines, strict=True):
            if runs:
                self.stream.write(b"".join((*runs, b"\n", *lines)))
            starts.append(self.stream.tell())
            runs.clear()
            lines.clear()
        self.indexes.append(self.stream.tell())
        self.stream.write(starts.tobytes())
        self._bytes = 0


def _source(spool: Spooled) -> tuple[bool, str]:
    return spool.is_orders, spool.file


def _write(part: Part, segments: _Segments) -> None:
    """Write a part's lines and its footer."""
    digest, lines, last, broken = hashlib.sha256(), 0, b"\n", None
    try:
        for block in blocks(part):
            digest.update(block)
            lines += segments.add(block, lines, part.resource_type)
            last = block
    except BrokenOffError as error:
        broken = str(error)
    if not last.endswith(b"\n") and not _is_whole(last.rsplit(b"\n", 1)[-1], part.resource_type):
        broken = "it breaks off within its last line"
    segments.write()
    content = orjson.dumps(
        {
            "indexes": segments.indexes,
            "lines": lines,
            "used": segments.used,
            "refused": segments.refused,
            "digest": digest.hexdigest(),
            "broken": broken,
        }
    )
    segments.stream.write(content + len(content).to_bytes(8, "big"))


def _is_whole(line: bytes, resource_type: str) -> bool:
    try:
        return bool(resource_in(line, resource_type))
    except LineFaultError:
        return False


def _footer(part: Part, path: Path) -> Spooled:
    with path.open("rb") as stream:
        stream.seek(-8, os.SEEK_END)
        size = int.from_bytes(stream.read(8), "big")
        stream.seek(-8 - size, os.SEEK_END)
        footer = orjson.loads(stream.read(size))
    indexes = tuple(footer.pop("indexes"))
    return Spooled(
        part.place, path, part.file.name, part.resource_type, part.is_orders, indexes=indexes, **footer
    )


def _sections(spool: Spooled, bucket: int) -> Iterator[bytes]:
    """The bytes of a bucket in each segment."""
    with spool.path.open("rb") as stream:
        for index in spool.indexes:
            stream.seek(index + bucket * 8)
            start, end = array("Q", stream.read(16))
            stream.seek(start)
            if end > start:
                yield stream.read(end - start)
