"""FHIR files as we accept them from ourselves: strict JSON, strict R4 shape, every problem with its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from cds_service.errors import FhirPathError, PlanError
from cds_service.record.resources import Resource


@dataclass(frozen=True)
class Document:
    """One FHIR resource and the file it was read from. ``digest``: sha256 of the content, when that is known."""

    file: Path
    resource: Resource
    digest: bytes | None = None

    def problem(self, path: str, found: object, expected: str) -> PlanError:
        """A PlanError at ``path``, which is given below the resource (``action[0].title``)."""
        return PlanError(str(self.file), f"{self.resource['resourceType']}.{path}", _shown(found), expected)


@dataclass
class Problems:
    """The problems met so far. A check that cannot go on raises PlanError; ``noted`` writes it down and goes on."""

    found: list[PlanError] = field(default_factory=list)

    def add(self, problem: PlanError) -> None:
        """Write a problem down."""
        self.found.append(problem)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Write a PlanError of the enclosed check down instead of raising it."""
        try:
            yield
        except PlanError as problem:
            self.found.append(problem)


def document(file: Path, content: bytes, digest: bytes, resource_type: str) -> Document:
    """The resource in a file. PlanError when its content is not JSON, or not exactly this resource type.

    ``digest``: sha256 of the content.
    """
    value = _json(file, content)
    found = value.get("resourceType") if isinstance(value, dict) else value
    if found != resource_type:
        raise PlanError(str(file), "resourceType", _shown(found), resource_type)
    return Document(file, value, digest)


def read_json(file: Path) -> Any:
    """The JSON in a file; a member that stands twice in one object is an error. PlanError when it cannot be read."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PlanError(str(file), "$", error.strerror or "an unreadable file", "a readable file") from None
    return _json(file, content)


def _json(file: Path, content: bytes) -> Any:
    try:
        return json.loads(content, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise PlanError(str(file), "$", f"{error.msg} at {place}", "JSON") from None
    except UnicodeDecodeError as error:
        raise PlanError(
            str(file), "$", f"bytes that are no UTF-8 at offset {error.start}", "JSON in UTF-8"
        ) from None
    except _RepeatedMemberError as error:
        raise PlanError(
            str(file), "$", f"the member {error} twice in one object", "each member once"
        ) from None


@contextmanager
def expression_refused_at(document: Document, path: str, body: str) -> Iterator[None]:
    """What the enclosed reading of an expression refuses, as a problem of the document at ``path``."""
    try:
        yield
    except FhirPathError as error:
        raise document.problem(path, body, str(error)) from error


def shape_problems(document: Document) -> Iterator[PlanError]:
    """Everything about the resource that FHIR does not allow."""
    try:
        get_fhir_model_class(document.resource["resourceType"]).model_validate(document.resource)
    except ValidationError as errors:
        for error in errors.errors(include_url=False):
            path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])[1:]
            yield document.problem(path or "$", error["input"], _wanted(error["msg"]))


class _RepeatedMemberError(ValueError):
    """A JSON object has two members of one name."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        raise _RepeatedMemberError(repr(next(name for name in names if names.count(name) > 1)))
    return members


def _wanted(message: str) -> str:
    if message.startswith("Extra inputs"):
        return "no such member in FHIR R4"
    return message.removeprefix("Input should be ").removeprefix("Value error, ")


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return repr(text) if len(text) <= 80 else repr(text[:77] + "…")
