"""Which plans this very program found good before, so that unchanged ones need not be checked again.

One file for each set of plans folders: what each plan is found by, under the digest of its files, and the files'
contents, packed. It counts for one program and one directory of commissioners. A plan is known when its seal is unbroken
(``seals``), or else when its files, read again, hold what they held; anything else is checked whole. The file may be
deleted at any time.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from sys import version as python_version
from typing import Any, BinaryIO

from cds_service.policies.index import Codes
from cds_service.policies.listing import Listing, read, written
from cds_service.policies.loading.files import PackedFiles
from cds_service.policies.loading.seals import Seal, local_devices
from cds_service.record.commissioners import Directory

_PACKAGE = Path(__file__).parents[2]
_PARTS = ("errors.py", "fhirpath", "policies", "record")
_ALIKE = ("queries", "redirects", "value_sets")
# Bytes read at once: the contents are small, and in the usual 8 KB every one of them is read from the disk by itself.
_AT_ONCE = 1 << 16
_DEPENDENCIES = ("fhir.resources", "fhir-core", "pydantic", "pydantic-core")


@dataclass(frozen=True)
class CheckedBefore:
    """The plans that were checked, and their files' packed ``contents`` by sha256. Empty, and written nowhere, without
    a ``file``.

    ``plans``: digest of the files → entry as ``listing.written`` writes it (None: a shared form), its order codes. Codes,
    and what of an entry many plans have alike, are places in ``shared``.
    ``program``: the digest of all that a check depends on besides the plan. ``seals``: seal's digest → digest of the
    files and, in their names' order, the places of their contents in ``contents``; they count on ``devices``.
    """

    file: Path | None
    program: str
    plans: Mapping[str, tuple[dict[str, Any] | None, int]] = field(default_factory=dict)
    shared: tuple[Any, ...] = ()
    contents: Mapping[bytes, bytes] = field(default_factory=dict)
    seals: Mapping[str, tuple[str, Sequence[int]]] = field(default_factory=dict)
    devices: frozenset[int] = frozenset()

    def found(self, digest: str, folder: str) -> tuple[Listing | None, Codes] | None:
        """The entry (None: a shared form) and the order codes of the plan in a folder; None when it was not checked."""
        if digest not in self.plans:
            return None
        members, codes = self.plans[digest]
        if members is None:
            return None, self.shared[codes]
        alike = {name: self.shared[members[name]] for name in _ALIKE}
        return read(members | alike, folder), self.shared[codes]

    def sealed(self, seal: Seal) -> tuple[str, list[bytes]] | None:
        """The digest of a plan's files and, in their names' order, of their contents, when its seal was noted."""
        if seal.device not in self.devices or seal.digest not in self.seals:
            return None
        digest, places = self.seals[seal.digest]
        return digest, [self._digests[place] for place in places]

    @cached_property
    def _digests(self) -> list[bytes]:
        return list(self.contents)

    def note(
        self,
        plans: Mapping[str, tuple[Listing | None, Codes]],
        contents: Mapping[bytes, bytes],
        sealed: Mapping[Seal, PackedFiles],
    ) -> None:
        """Write down the plans that are good now, by digest and by such seals as count, instead of those before.

        A disk that is full or read-only costs time at the next start, no more.
        """
        sealed = {seal: files for seal, files in sealed.items() if seal.device in self.devices}
        is_known = (plans.keys(), contents.keys()) == (self.plans.keys(), self.contents.keys())
        # A seal that is missing now, because its files were just written, is no reason to write.
        if self.file is None or (is_known and {seal.digest for seal in sealed} <= self.seals.keys()):
            return
        unfinished = self.file.with_name(f"{self.file.name}.{os.getpid()}")
        try:
            with unfinished.open("wb") as file:
                _write(file, [_header(self.program, plans, contents, sealed), *contents.values()])
            unfinished.replace(self.file)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()


def checked_before(cache: Path | None, folders: Iterable[Path], directory: Directory) -> CheckedBefore:
    """The plans of these folders checked before that a cache folder tells of.

    None of them without a cache folder, or with one that somebody else can write to.
    """
    if cache is None:
        return CheckedBefore(None, "")
    program = sha256(f"{_program()}{_digest_of(directory)}".encode()).hexdigest()
    where = sha256("\0".join(str(folder.absolute()) for folder in folders).encode()).hexdigest()
    file = cache / "plans" / f"{where}.checked"
    nothing = CheckedBefore(file, program, devices=local_devices())
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not all(_is_ours(each.stat()) for each in (cache, file.parent)):
            return CheckedBefore(None, program)
        with file.open("rb", buffering=_AT_ONCE) as noted:
            return _read(noted, nothing)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return nothing


# the file: sha256 of all that follows; a line of JSON; the contents one after the other


def _header(
    program: str,
    plans: Mapping[str, tuple[Listing | None, Codes]],
    contents: Mapping[bytes, bytes],
    sealed: Mapping[Seal, PackedFiles],
) -> bytes:
    places: dict[Hashable, int] = {}

    def place(value: Hashable) -> int:
        return places.setdefault(value, len(places))

    def entry(listing: Listing) -> dict[str, Any]:
        return written(listing) | {name: place(getattr(listing, name)) for name in _ALIKE}

    noted = {digest: (listing and entry(listing), place(codes)) for digest, (listing, codes) in plans.items()}
    sizes = [(digest.hex(), len(content)) for digest, content in contents.items()]
    lies = {digest: place for place, digest in enumerate(contents)}
    seals = {
        seal.digest: (files.digest, [lies[content] for _, content in files.files])
        for seal, files in sealed.items()
    }
    header = {
        "program": program,
        "plans": noted,
        "shared": list(places),
        "contents": sizes,
        "seals": seals,
    }
    return json.dumps(header).encode() + b"\n"


def _write(file: BinaryIO, parts: Iterable[bytes]) -> None:
    digest = sha256()
    file.write(digest.digest())
    for part in parts:
        digest.update(part)
        file.write(part)
    file.seek(0)
    file.write(digest.digest())


def _read(noted: BinaryIO, nothing: CheckedBefore) -> CheckedBefore:
    """What is noted for this program; nothing when it is another's. ValueError, LookupError, TypeError: it is torn."""
    expected, line = noted.read(sha256().digest_size), noted.readline()
    digest, header = sha256(line), json.loads(line)
    if header["program"] != nothing.program:
        return nothing
    contents = {}
    for name, size in header["contents"]:
        content = contents[bytes.fromhex(name)] = noted.read(size)
        digest.update(content)
    if digest.digest() != expected:
        raise ValueError(nothing.file)
    return replace(
        nothing,
        plans=header["plans"],
        shared=_frozen(header["shared"]),
        contents=contents,
        seals=header["seals"],
    )


def _frozen(value: Any) -> Any:
    """Lists as tuples, all the way down."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _program() -> str:
    """The digest of what a check depends on besides the plan and the directory: our code and what it stands on."""
    digest = sha256(python_version.encode())
    for name in _DEPENDENCIES:
        digest.update(f"{name} {version(name)}\0".encode())
    for part in _PARTS:
        root = _PACKAGE / part
        for file in sorted([root] if root.is_file() else root.rglob("*")):
            if file.suffix in {".py", ".json"}:
                digest.update(f"{file.relative_to(_PACKAGE)}\0".encode() + file.read_bytes())
    return digest.hexdigest()


def _digest_of(directory: Directory) -> str:
    known = sorted(
        [*identifier, organization] for identifier, organization in directory.by_identifier.items()
    )
    return sha256(json.dumps(known).encode()).hexdigest()
