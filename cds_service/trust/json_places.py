"""The values of a deployer's JSON file, each with the place where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cds_service.errors import FileError
from cds_service.trust.strict_json import strict_json


@dataclass(frozen=True, slots=True)
class Place:
    """A value of the file, and where it stands: what is refused there is an ``error`` with file and path."""

    error: type[FileError]
    file: str
    path: str
    value: object

    def refused(self, expected: str, found: str | None = None) -> FileError:
        """The error that names this place; without ``found`` it shows the value."""
        return self.error(self.file, self.path, found or _shown(self.value), expected)

    def members(self, required: frozenset[str], optional: frozenset[str]) -> dict[str, Place]:
        """The members of an object: all that are ``required`` and none that nobody knows."""
        if not isinstance(self.value, dict):
            raise self.refused("an object")
        if missing := required - self.value.keys():
            raise self.refused(f"the member {min(missing)}", "none")
        if unknown := self.value.keys() - required - optional:
            known = ", ".join(sorted(required | optional))
            raise self.refused(f"only {known}", f"the member {min(unknown)!r}")
        return {name: self._below(f".{name}", value) for name, value in self.value.items()}

    def items(self) -> tuple[Place, ...]:
        """The items of an array that has at least one."""
        if not isinstance(self.value, list) or not self.value:
            raise self.refused("an array with at least one item")
        return tuple(self._below(f"[{n}]", item) for n, item in enumerate(self.value))

    def text(self) -> str:
        """A string that is not empty and has no control characters."""
        if not isinstance(self.value, str) or not self.value or not self.value.isprintable():
            raise self.refused("text")
        return self.value

    def truth(self) -> bool:
        """true or false."""
        if not isinstance(self.value, bool):
            raise self.refused("true or false")
        return self.value

    def one_of(self, choices: frozenset[str]) -> str:
        """One of these strings."""
        if self.text() not in choices:
            raise self.refused(f"one of {', '.join(sorted(choices))}")
        return self.text()

    def _below(self, step: str, value: object) -> Place:
        return Place(self.error, self.file, self.path + step, value)


def json_file(path: Path, error: type[FileError]) -> Place:
    """The whole value of the file at ``path``. An ``error`` when it cannot be read or is no JSON."""
    try:
        return Place(error, str(path), "$", strict_json(path.read_bytes()))
    except OSError as failure:
        raise error(str(path), "$", failure.strerror or "no file", "a file that can be read") from None
    except ValueError as failure:
        raise error(str(path), "$", str(failure), "JSON in UTF-8, no member named twice") from None


def _shown(value: object) -> str:
    if isinstance(value, str):
        return repr(value[:80])
    return {dict: "an object", list: "an array", type(None): "null"}.get(type(value), repr(value)[:80])
