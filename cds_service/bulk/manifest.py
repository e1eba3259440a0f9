"""The manifest of a Bulk Data export: what it says of types and of what could not be exported."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from cds_service.errors import BulkInputError
from cds_service.record.resources import members, text

MANIFEST = "manifest.json"
_FAILED = frozenset({"error", "fatal"})


@dataclass(frozen=True)
class Manifest:
    """File name → resource type of ``output``, and the names of the files with the exporter's OperationOutcomes."""

    types: Mapping[str, str]
    error_files: tuple[str, ...]

    def not_read(self, folder: Path, types: Collection[str]) -> dict[str, str]:
        """By type why it cannot be gone by: a file of it is missing, or the exporter met an error with it.

        An error that names no type may concern any, so it concerns all.
        """
        missing = {
            kind: f"{name} is in the manifest and not in the folder"
            for name, kind in self.types.items()
            if kind in types and not (folder / name).is_file()
        }
        for name in self.error_files:
            for issue in _failures(folder / name):
                named = _types_in(issue, types)
                missing |= dict.fromkeys(named or types, f"the exporter reports an error in {name}")
        return missing


def read_manifest(file: Path) -> Manifest:
    """The manifest, empty when there is none. BulkInputError when the files are not the whole of an export."""
    if not file.is_file():
        return Manifest({}, ())
    try:
        manifest: Any = orjson.loads(file.read_bytes())
    except orjson.JSONDecodeError:
        raise BulkInputError(str(file), "$", "no JSON", "a Bulk Data manifest") from None
    if any(members(manifest, "deleted")):
        raise BulkInputError(
            str(file), "deleted", "deleted resources", "a whole export, not the changes since another"
        )
    if any(link.get("relation") == "next" for link in members(manifest, "link")):
        raise BulkInputError(
            str(file), "link", "a further manifest", "the last of an export, with all its files"
        )
    types = {_name(item): kind for item in members(manifest, "output") if (kind := text(item, "type"))}
    return Manifest(types, tuple(_name(item) for item in members(manifest, "error")))


def _name(item: object) -> str:
    """The name under which the file of a manifest's item is kept: the end of its URL."""
    return (text(item, "url") or "").partition("?")[0].rsplit("/", 1)[-1]


def _failures(file: Path) -> list[Any]:
    """The issues in a file of OperationOutcomes that something was left out for; a missing file may hold any."""
    if not file.is_file():
        return [{}]
    outcomes = [_outcome(line) for line in file.read_bytes().splitlines() if line.strip()]
    return [
        issue
        for outcome in outcomes
        for issue in members(outcome, "issue")
        if issue.get("severity") in _FAILED
    ]


def _outcome(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return {"issue": [{"severity": "error"}]}


def _types_in(issue: object, types: Collection[str]) -> set[str]:
    """The resource types that an issue names anywhere in its words."""
    return set(re.findall("[A-Za-z]+", orjson.dumps(issue).decode())) & set(types)
