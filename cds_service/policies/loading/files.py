"""A plan's files, read once: everything that is checked, kept and built from comes from these very bytes."""

from __future__ import annotations

import os
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

from cds_service.errors import PlanError
from cds_service.policies.loading.documents import Problems
from cds_service.policies.loading.seals import Seal, is_settled, seal_of

KINDS = ("PlanDefinition-", "Questionnaire-", "ValueSet-", "Bundle-")


@dataclass(frozen=True, slots=True)
class PlanFile:
    """One file's content as it was when it was read, and its sha256."""

    path: str
    content: bytes
    digest: bytes


@dataclass(frozen=True)
class PlanFiles:
    """The files of a plan by name, in the names' order, replaced ones left out.

    ``seal``: by which they are known again while they do not change; None when they cannot be.
    """

    folder: str
    by_name: Mapping[str, PlanFile]
    seal: Seal | None

    def of_kind(self, kind: str) -> list[PlanFile]:
        """The files of one resource type."""
        return [file for name, file in self.by_name.items() if name.startswith(f"{kind}-")]

    @property
    def packed(self) -> PackedFiles:
        """The same files by their contents' digests."""
        names = ((_packed_name(self.folder, file.path), file.digest) for file in self.by_name.values())
        return PackedFiles(self.folder, tuple(names))


@dataclass(frozen=True, slots=True)
class PackedFiles:
    """The names and contents' digests of a plan's files, the contents lying packed elsewhere, equal ones once.

    ``files``: (name, or whole path when it lies in another folder; sha256 of the content).
    """

    folder: str
    files: tuple[tuple[str, bytes], ...]

    @property
    def digest(self) -> str:
        """sha256 over the names of the files and of their folders, and the contents' digests."""
        digest = sha256(_last(self.folder).encode())
        for name, content in self.files:
            is_laid_over = os.sep in name
            digest.update(f"\0{_last(name)}\0{is_laid_over:d}".encode() + content)
        return digest.hexdigest()

    @property
    def is_form(self) -> bool:
        """Whether they are a Questionnaire that policies share, and no policy."""
        kinds = {_last(name).partition("-")[0] for name, _ in self.files}
        return "PlanDefinition" not in kinds and "Questionnaire" in kinds

    def unpacked(self, content_of: Callable[[bytes], bytes]) -> PlanFiles:
        """The files again; ``content_of`` gives the packed content of a digest. RuntimeError when it is another's."""
        return PlanFiles(self.folder, dict(self._unpacked(content_of)), seal=None)

    def _unpacked(self, content_of: Callable[[bytes], bytes]) -> Iterator[tuple[str, PlanFile]]:
        for name, digest in self.files:
            content = zlib.decompress(content_of(digest))
            if sha256(content).digest() != digest:
                raise RuntimeError(f"{self._path(name)} is not what was checked")
            yield _last(name), PlanFile(self._path(name), content, digest)

    def _path(self, name: str) -> str:
        return name if os.sep in name else f"{self.folder}{os.sep}{name}"


def read_files(folder: Path, overlays: Iterable[Path], problems: Problems) -> PlanFiles:
    """A plan's files from the disk, unreadable ones noted. Plain calls of ``os``: thousands of plans are many files."""
    noted, read_ns = len(problems.found), time.time_ns()
    entries: dict[str, os.DirEntry[str]] = {}
    for each in (folder, *overlays):
        try:
            entries |= _plan_files(each)
        except OSError as error:
            found = error.strerror or "an unreadable folder"
            problems.add(PlanError(str(each), "$", found, "a readable folder"))
    by_name: dict[str, PlanFile] = {}
    statuses: list[os.stat_result] = []
    for name in sorted(entries):
        path = entries[name].path
        try:
            status, content = _content(path)
        except OSError as error:
            found = error.strerror or "an unreadable file"
            problems.add(PlanError(path, "$", found, "a readable file"))
        else:
            by_name[name] = PlanFile(path, content, sha256(content).digest())
            statuses.append(status)
    files = PlanFiles(str(folder), by_name, seal=None)
    # What changed while it was read, before its status was asked for, is not settled either.
    if len(problems.found) > noted or not all(is_settled(each, read_ns) for each in statuses):
        return files
    return replace(files, seal=seal_of(folder.name, (name for name, _ in files.packed.files), statuses))


def unopened(folder: Path, overlays: Sequence[Path]) -> tuple[Seal | None, list[str]]:
    """The seal of a plan's files as they lie there now, and their names as ``PackedFiles`` has them."""
    entries: dict[str, os.DirEntry[str]] = {}
    try:
        for each in (folder, *overlays):
            entries |= _plan_files(each)
        names = sorted(entries)
        statuses = [entries[name].stat(follow_symlinks=False) for name in names]
    except OSError:
        return None, []
    if overlays:
        names = [_packed_name(str(folder), entries[name].path) for name in names]
    return seal_of(folder.name, names, statuses), names


def compressed(files: PlanFiles, left_out: AbstractSet[bytes]) -> dict[bytes, bytes]:
    """The files' contents by their digests, compressed, but for those ``left_out``.

    Level 1: three times as fast as the usual, and a third larger.
    """
    return {
        file.digest: zlib.compress(file.content, 1)
        for file in files.by_name.values()
        if file.digest not in left_out
    }


def _plan_files(folder: Path) -> dict[str, os.DirEntry[str]]:
    """The files in a folder that are a plan's, by name."""
    with os.scandir(folder) as entries:
        return {
            each.name: each for each in entries if each.name.startswith(KINDS) and each.name.endswith(".json")
        }


def _packed_name(folder: str, path: str) -> str:
    """The name of a plan's file, or its path when it is laid over from another folder."""
    parent, _, name = path.rpartition(os.sep)
    return name if parent == folder else path


def _last(path: str) -> str:
    """What a path ends in."""
    return path.rpartition(os.sep)[2]


def _content(path: str) -> tuple[os.stat_result, bytes]:
    """A file's bytes, and its status once they were read; without Python's file object, which takes longer to make."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        parts = []
        while part := os.read(descriptor, 1 << 20):
            parts.append(part)
        return os.fstat(descriptor), b"".join(parts)
    finally:
        os.close(descriptor)
