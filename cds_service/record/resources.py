"""Reading JSON that somebody else wrote: what is there in the right shape, and nothing otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

Resource = Mapping[str, Any]


def members(value: object, name: str) -> Iterator[Resource]:
    """The objects in the list ``value[name]``; whatever is not an object is passed over."""
    found = value.get(name) if isinstance(value, dict) else None
    for item in found if isinstance(found, list) else ():
        if isinstance(item, dict):
            yield item


def text(value: object, *path: str) -> str | None:
    """The string at ``path`` below ``value``, or None when there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and value else None


def logical_id(reference: str) -> str:
    """The id that a reference ends in: ``Patient/1``, an absolute URL with or without ``/_history/2``, or a bare id."""
    if "/_history/" in reference:
        reference = reference.split("/_history/", maxsplit=1)[0]
    last = reference.rpartition("/")[2]
    return last or reference.rstrip("/").rpartition("/")[2]


def codings(concept: object) -> tuple[tuple[str, str], ...]:
    """The (system, code) pairs of a CodeableConcept; a coding without either is not a code."""
    return tuple(
        (coding["system"], coding["code"])
        for coding in members(concept, "coding")
        if isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str)
    )


def identifiers(resource: object) -> Iterator[tuple[str, str]]:
    """The (system, value) pairs of ``resource.identifier``."""
    for identifier in members(resource, "identifier"):
        if (system := text(identifier, "system")) and (value := text(identifier, "value")):
            yield system, value


def full_date(value: str | None) -> date | None:
    """The calendar day that a FHIR date or dateTime states, in the zone it was written in; None when it states none."""
    try:
        return date.fromisoformat(value[:10]) if value else None
    except ValueError:
        return None
