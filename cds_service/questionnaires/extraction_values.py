"""Values on their way into an extracted resource: what they are, and what becomes of them in an element of a type."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cds_service.errors import ExtractionError
from cds_service.fhirpath import Date, DateTime, Time
from cds_service.fhirpath.model import r4
from cds_service.record.resources import Resource, members

_TEXTS = frozenset(
    {"string", "markdown", "code", "uri", "url", "canonical", "id", "oid", "uuid", "base64Binary"}
)
_NUMBERS = frozenset({"integer", "decimal", "positiveInt", "unsignedInt"})
_KIND_OF = {bool: "boolean", int: "integer", float: "decimal", str: "string"}
# The types that a value may be made into where its own type does not fit, the likeliest first.
_NEAR = {
    "integer": ("decimal", "positiveInt", "unsignedInt", "Quantity", "string"),
    "decimal": ("Quantity", "string"),
    "date": ("dateTime", "string"),
    "dateTime": ("instant", "date", "string"),
    "Coding": ("CodeableConcept", "code", "string"),
    "string": (
        *sorted(_TEXTS - {"string"}),
        "date",
        "dateTime",
        "instant",
        "time",
        "Reference",
        "CodeableConcept",
    ),
}
_MARKS = {"CodeableConcept": {"coding"}, "Reference": {"reference"}, "Quantity": {"value", "unit"}}
_CODING = {"id", "extension", "system", "version", "code", "display", "userSelected"}
# Complex types that a primitive may stand for, and the element that it then is.
_WRAPPED = {"Quantity": "value", "Reference": "reference", "CodeableConcept": "text"}


@dataclass(frozen=True)
class Typed:
    """A value as JSON has it and the FHIR type it has; ``kind`` is None for a complex element of unknown type."""

    kind: str | None
    json: Any

    def made(self, wanted: str) -> Any | None:
        """The value as an element of this type, None when it can be none."""
        if self.kind is None or self.kind == wanted:
            return self.json if isinstance(self.json, dict) == (wanted not in r4().system_of) else None
        kind = "string" if self.kind in _TEXTS else self.kind
        return _made(kind, self.json, wanted) if wanted == kind or wanted in _NEAR.get(kind, ()) else None


@dataclass(frozen=True)
class Slot:
    """Where a value goes in an element: its JSON key there, the type that stands under it, and whether it is a list."""

    key: str
    type: str
    is_list: bool


def answers_of(focus: Resource) -> Iterator[Typed]:
    """The values of a response item's answers."""
    for answer in members(focus, "answer"):
        yield from fixed_value(answer)


def fixed_value(element: Resource) -> Iterator[Typed]:
    """The value[x] of an element: an answer, an extension."""
    for name, value in element.items():
        if name.startswith("value"):
            kind = name.removeprefix("value")
            small = kind[:1].lower() + kind[1:]
            yield Typed(small if small in r4().system_of else kind, value)


def result(value: Any) -> Typed:
    """What an expression yields, as JSON has it."""
    if isinstance(value, Date | DateTime | Time):
        return Typed(type(value).__name__[0].lower() + type(value).__name__[1:], str(value))
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value()
        return Typed("decimal", int(value) if whole else float(value))
    if isinstance(value, dict):
        return Typed(_kind_of(value), value)
    return Typed(_KIND_OF.get(type(value)), value)


def slot(type_: str, key: str) -> Slot | None:
    """The slot of an element by its JSON key (``valueQuantity``), None when the type has no such element."""
    for element in r4().elements(type_).values():
        for name, kind in element.keys:
            if name == key:
                return Slot(key, kind, element.is_list)
    return None


def slots(type_: str, name: str) -> tuple[Slot, ...]:
    """The slots of an element by its name (``value`` for ``value[x]``): one for each type that it can have."""
    element = r4().element(type_, name)
    return tuple(Slot(key, kind, element.is_list) for key, kind in element.keys) if element else ()


def made_for(value: Typed, candidates: tuple[Slot, ...], where: str) -> tuple[Slot, Any]:
    """The slot that fits a value best, and the value as it goes in. ExtractionError when it fits none."""
    for candidate in sorted(candidates, key=lambda each: _distance(value, each.type)):
        if (made := value.made(candidate.type)) is not None:
            return candidate, made
    expected = " or ".join(each.type for each in candidates)
    raise ExtractionError(where, f"a value of type {value.kind or 'unknown'}", expected)


def _distance(value: Typed, wanted: str) -> int:
    near = _NEAR.get("string" if value.kind in _TEXTS else value.kind or "", ())
    return 0 if value.kind == wanted else 1 + (near.index(wanted) if wanted in near else len(near))


def _made(kind: str, value: Any, wanted: str) -> Any:
    """A value of one type as a near one."""
    if kind == "Coding":
        return {"coding": [value]} if wanted == "CodeableConcept" else _of_coding(value, wanted)
    if wanted in _WRAPPED:
        return {_WRAPPED[wanted]: value}
    if (kind, wanted) == ("dateTime", "date"):
        return value[:10]
    return str(value) if wanted == "string" and kind in _NUMBERS else value


def _of_coding(coding: Resource, wanted: str) -> Any:
    return (coding.get("display") or coding.get("code")) if wanted == "string" else coding.get("code")


def _kind_of(value: Resource) -> str | None:
    """The type of a complex value, told by its elements: an expression does not say."""
    for kind, marks in _MARKS.items():
        if marks & value.keys():
            return kind
    return "Coding" if "code" in value and value.keys() <= _CODING else None
