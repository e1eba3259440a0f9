"""A FHIR Bulk Data export on disk: which resource types it holds, in which files, and which it does not show.

One resource type a file (Bulk Data Access IG 2.0.0, "Response - Complete Status"); a type may have several files. A type
with a file was exported: a patient without a line in it has none. A type without a file was not: nothing is known of it.
"""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, cast

import orjson

from cds_service.bulk.manifest import MANIFEST, Manifest, read_manifest
from cds_service.errors import BulkInputError
from cds_service.record.resources import text

# How many lines at the head of a file are looked at for the resource type it holds.
_LINES_AT_THE_HEAD = 100


@dataclass(frozen=True)
class ExportFile:
    """One NDJSON file, plain or gzip, and the resource type of its lines."""

    path: Path
    resource_type: str


@dataclass(frozen=True)
class Export:
    """The files whose types are wanted, in name order, and by type why it counts as not read."""

    files: tuple[ExportFile, ...]
    not_read: Mapping[str, str]


def found_export(folder: Path, types: Collection[str]) -> Export:
    """The export in a folder, as far as ``types`` go. BulkInputError when there is none, or it is not a whole one."""
    paths = sorted(path for path in folder.glob("*") if path.name.endswith((".ndjson", ".ndjson.gz")))
    if not paths:
        raise BulkInputError(
            str(folder), "*.ndjson", "no file", "a FHIR Bulk Data export, .ndjson or .ndjson.gz"
        )
    manifest = read_manifest(folder / MANIFEST)
    found = (
        (path, _type_of(path, manifest, types)) for path in paths if path.name not in manifest.error_files
    )
    held = [ExportFile(path, kind) for path, kind in found if kind is not None and kind in types]
    exported = {file.resource_type for file in held}
    missing = dict.fromkeys(sorted(set(types) - exported), "not exported")
    doubted = manifest.not_read(folder, types)
    readable = tuple(file for file in held if file.resource_type not in doubted)
    return Export(readable, MappingProxyType({**missing, **doubted}))


def opened(path: Path) -> BinaryIO:
    """The content of a file, decompressed when its name says that it is gzip."""
    return cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb"))


def _type_of(path: Path, manifest: Manifest, types: Collection[str]) -> str | None:
    """What the manifest says, else what the lines say, else what an empty file is called; None when nothing says."""
    return manifest.types.get(path.name) or _type_of_lines(path) or _type_in_name(path.name, types)


def _type_of_lines(path: Path) -> str | None:
    return next(filter(None, (text(line, "resourceType") for line in _head(path))), None)


def _head(path: Path) -> Iterator[object]:
    """The first lines that can be read; the rest of the file is told of when it is read."""
    try:
        with opened(path) as lines:
            for line in islice(lines, _LINES_AT_THE_HEAD):
                try:
                    yield orjson.loads(line)
                except orjson.JSONDecodeError:
                    continue
    except (OSError, EOFError, zlib.error):
        return


def _type_in_name(name: str, types: Collection[str]) -> str | None:
    return next((part for part in re.split("[^A-Za-z]+", name) if part in types), None)
