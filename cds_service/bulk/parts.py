"""Big files read in parts that may be read at the same time, and what is wrong with a line that cannot be used."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from cds_service.bulk.export import ExportFile, opened
from cds_service.record.patient_record import subject_id
from cds_service.record.resources import Resource, text

_BLOCK_BYTES = 2**20
# The patient of a compact line is found without parsing it: it is the only reference that such an element holds.
REFERENCE = b'":{"reference":"'
SUBJECT_NAMES = (b'"subject', b'"patient', b'"beneficiary')
# What such a reference says, up to its end or that of its line.
PATIENT = re.compile(rb'Patient/([A-Za-z0-9.-]{1,64})(?:["\n]|\Z)').match
_PRINTABLE = re.compile(r"[!-~]+").fullmatch


class LineFaultError(ValueError):
    """A line cannot be used; the message says why and quotes nothing of it."""


class BrokenOffError(ValueError):
    """A file cannot be read to its end."""


@dataclass(frozen=True)
class Part:
    """The lines of a file that start between two offsets; ``end`` None: all, of a file that cannot be read from within.

    ``place``: the part's place among all parts, by which everything is put in order.
    """

    place: int
    file: Path
    resource_type: str
    is_orders: bool
    start: int
    end: int | None

    @property
    def fingerprint(self) -> str:
        """What tells the part from that of a changed file, without reading it: names, size and time of change."""
        stat = self.file.stat()
        names = (self.file.name, self.resource_type, self.is_orders, self.start, self.end)
        return hashlib.sha256(repr((*names, stat.st_size, stat.st_mtime_ns)).encode()).hexdigest()[:20]


def parts_of(orders: Path, records: Sequence[ExportFile], part_bytes: int) -> tuple[Part, ...]:
    """The parts of the orders and of the records, in order."""
    found: list[Part] = []
    for file, is_orders in (
        (ExportFile(orders, "ServiceRequest"), True),
        *((each, False) for each in records),
    ):
        for start, end in _ranges(file.path, part_bytes):
            found.append(Part(len(found), file.path, file.resource_type, is_orders, start, end))
    return tuple(found)


def blocks(part: Part) -> Iterator[bytes]:
    """The bytes of a part, whole lines at a time. BrokenOffError where a compressed file breaks off."""
    with opened(part.file) as stream:
        if part.start:
            stream.seek(part.start - 1)
            stream.readline()
        while part.end is None or stream.tell() < part.end:
            room = _BLOCK_BYTES if part.end is None else min(_BLOCK_BYTES, part.end - stream.tell())
            block = _whole_lines(stream, room)
            if not block:
                return
            yield block


def _whole_lines(stream: BinaryIO, room: int) -> bytes:
    """So many bytes, and the rest of the line that they end in."""
    try:
        block = stream.read(room)
        return block if block.endswith(b"\n") else block + stream.readline()
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise BrokenOffError("it breaks off") from None


def patient_in(line: bytes, resource_type: str) -> bytes:
    """The id of the patient that a line is about. LineFaultError when it says none."""
    if resource_type != "Patient":
        parts = line.split(REFERENCE)
        if len(parts) != 2 or not parts[0].endswith(SUBJECT_NAMES):
            parts = [b"", *(after for before, after in pairwise(parts) if before.endswith(SUBJECT_NAMES))]
        if len(parts) == 2 and (found := PATIENT(parts[1])):
            patient: bytes = found[1]
            return patient
    parsed = patient_of(resource_in(line, resource_type))
    if not _PRINTABLE(parsed):
        raise LineFaultError("the patient's id is not one that FHIR allows")
    return parsed.encode()


def resource_in(line: bytes, resource_type: str) -> Resource:
    """The resource that a line holds. LineFaultError when it holds none of this type."""
    try:
        resource: Any = orjson.loads(line)
    except orjson.JSONDecodeError:
        raise LineFaultError("not JSON") from None
    if not isinstance(resource, dict) or resource.get("resourceType") != resource_type:
        raise LineFaultError(f"no {resource_type}, as the rest of the file")
    return resource


def patient_of(resource: Resource) -> str:
    """The id of the patient that a resource is about. LineFaultError when it names none."""
    if resource["resourceType"] == "Patient":
        if own := text(resource, "id"):
            return own
        raise LineFaultError("a Patient without an id")
    if named := subject_id(resource):
        return named
    raise LineFaultError("it names no patient")


def _ranges(file: Path, part_bytes: int) -> Iterator[tuple[int, int | None]]:
    if file.suffix == ".gz":
        yield 0, None
        return
    size = file.stat().st_size
    for start in range(0, size, part_bytes) or (0,):
        yield start, min(start + part_bytes, size)
