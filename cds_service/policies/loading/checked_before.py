"""Which plans this very program found good before, so that unchanged ones need not be checked again.

One small JSON file for each plan, named for the digests of its files, of the program and of the directory of
commissioners: when any of them changes it is not found, and the plan is checked whole. It holds what the plan is found by
and no more; policies are always built from the plan's own files. It may be deleted at any time.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from sys import version as python_version

from cds_service.policies.index import Codes
from cds_service.policies.listing import Listing, read, written
from cds_service.record.commissioners import Directory

_PACKAGE = Path(__file__).parents[2]
_PARTS = ("errors.py", "fhirpath", "policies", "record")
_DEPENDENCIES = ("fhir.resources", "fhir-core", "pydantic", "pydantic-core")


@dataclass(frozen=True)
class CheckedBefore:
    """The plans that were checked, in a ``folder`` that belongs to one program and one directory."""

    folder: Path

    def found(self, digest: str, plan: str) -> tuple[Listing, Codes] | None:
        """The entry and the order codes of the plan in folder ``plan``; None when it was not checked before."""
        try:
            listing, codes = json.loads(self._file(digest).read_bytes())
            return read(listing, plan), tuple((system, tuple(values)) for system, values in codes)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None

    def note(self, digest: str, listing: Listing, codes: Codes) -> None:
        """Write down that a plan was checked. A disk that is full or read-only costs time at the next start, no more."""
        file = self._file(digest)
        unfinished = file.with_name(f"{file.name}.{os.getpid()}")
        try:
            file.parent.mkdir(mode=0o700, exist_ok=True)
            unfinished.write_text(json.dumps([written(listing), codes]))
            unfinished.replace(file)
        except OSError:
            return

    def _file(self, digest: str) -> Path:
        return self.folder / digest[:2] / f"{digest}.json"


def checked_before(cache: Path | None, directory: Directory) -> CheckedBefore | None:
    """The plans checked before that a cache folder tells of; None without one that nobody else can write to."""
    if cache is None:
        return None
    folder = cache / "plans" / sha256(f"{_program()}{_digest_of(directory)}".encode()).hexdigest()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = all(_is_ours(each.stat()) for each in (cache, folder.parent, folder))
    except OSError:
        return None
    return CheckedBefore(folder) if kept else None


def _is_ours(status: os.stat_result) -> bool:
    return status.st_uid == os.getuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _program() -> str:
    """The digest of all that a check depends on besides the plan and the directory: our code and what it stands on."""
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
