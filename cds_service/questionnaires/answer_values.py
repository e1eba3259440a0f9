"""The values of answers: which element holds them, and how two of them compare.

Source: https://hl7.org/fhir/R4/questionnaireresponse-definitions.html#QuestionnaireResponse.item.answer.value_x_
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from decimal import Decimal
from typing import Any

from cds_service.fhirpath import Date, DateTime, Quantity, Time
from cds_service.fhirpath.dates import compare as compare_dates
from cds_service.fhirpath.dates import compare_times
from cds_service.fhirpath.quantities import compare as compare_quantities
from cds_service.record.resources import Resource, members, text

ABSENT_SYSTEM = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
ABSENT_EXTENSION = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
# The reasons that mean that the question was put and nobody knows, or will say.
DONT_KNOW = frozenset({"asked-unknown", "unknown", "asked-declined"})
_UCUM = "http://unitsofmeasure.org"

# Item type → the elements that may hold its answers.
VALUE_NAMES: Mapping[str, tuple[str, ...]] = {
    "boolean": ("valueBoolean",),
    "decimal": ("valueDecimal",),
    "integer": ("valueInteger",),
    "date": ("valueDate",),
    "dateTime": ("valueDateTime",),
    "time": ("valueTime",),
    "string": ("valueString",),
    "text": ("valueString",),
    "url": ("valueUri",),
    "choice": ("valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"),
    "open-choice": ("valueCoding", "valueString", "valueInteger", "valueDate", "valueTime", "valueReference"),
    "attachment": ("valueAttachment",),
    "reference": ("valueReference",),
    "quantity": ("valueQuantity",),
}


def value_names(answer: Resource) -> tuple[str, ...]:
    """The names of the value elements that an answer has."""
    return tuple(name for name in answer if name.startswith("value"))


def value_of_answer(answer: Resource) -> tuple[str, Any] | None:
    """The element name and value of an answer, None when it has none."""
    return next(((name, answer[name]) for name in value_names(answer)), None)


def is_dont_know(answer: Resource) -> bool:
    """Whether an answer says that nobody knows: by its Coding, or by data-absent-reason in the place of its value."""
    coding = answer.get("valueCoding")
    if isinstance(coding, dict):
        return coding.get("system") == ABSENT_SYSTEM and coding.get("code") in DONT_KNOW
    siblings = [value for name, value in answer.items() if name.startswith("_value")]
    return any(states_absence(each) for each in (answer, *siblings)) and not value_names(answer)


def states_absence(element: object) -> bool:
    """Whether data-absent-reason on an element says that the question was put and nobody knows."""
    return any(
        extension.get("url") == ABSENT_EXTENSION and text(extension, "valueCode") in DONT_KNOW
        for extension in members(element, "extension")
    )


def equal(left: Any, right: Any) -> bool:
    """Whether two JSON values are the same answer: codes by system and code, numbers by value, references by target."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if "code" in left and "code" in right and "value" not in left:
            return (left.get("system"), left["code"]) == (right.get("system"), right["code"])
        if "reference" in left or "reference" in right:
            return bool(left.get("reference") == right.get("reference"))
        return _parts(left) == _parts(right)
    return type(_number(left)) is type(_number(right)) and bool(_number(left) == _number(right))


def compared(name: str, left: Any, right: Any, zone: tzinfo) -> int | None:
    """-1, 0 or 1 for two values of one kind (``Decimal``, ``Date`` …, as answer[x] ends); None when it cannot be told."""
    if name in {"Decimal", "Integer"}:
        one, other = _number(left), _number(right)
        known = isinstance(one, Decimal) and isinstance(other, Decimal)
        return (one > other) - (one < other) if known else None
    if name == "Quantity":
        amounts = quantity(left), quantity(right)
        return None if None in amounts else compare_quantities(*amounts)  # type: ignore[arg-type]
    if name in _ORDERED and isinstance(left, str) and isinstance(right, str):
        parse, compare = _ORDERED[name]
        moments = parse(left), parse(right)
        return None if None in moments else compare(*moments, zone)
    if name == "String" and isinstance(left, str) and isinstance(right, str):
        return (left > right) - (left < right)
    return None


_ORDERED: Mapping[str, tuple[Callable[[str], Any], Callable[..., int | None]]] = {
    "Date": (Date.parse, compare_dates),
    "DateTime": (DateTime.parse, compare_dates),
    "Time": (Time.parse, lambda left, right, _zone: compare_times(left, right)),
}


def quantity(value: object) -> Quantity | None:
    """A FHIR Quantity's amount; one that is not in UCUM compares only with the same unit, one with a comparator not."""
    number = _number(value.get("value")) if isinstance(value, Mapping) else None
    if not isinstance(number, Decimal) or not isinstance(value, Mapping) or value.get("comparator"):
        return None
    system, code = text(value, "system"), text(value, "code")
    if code is not None and system in {None, _UCUM}:
        return Quantity(number, code)
    unit = code or text(value, "unit")
    return Quantity(number, "1") if unit is None else Quantity(number, f"{system}|{unit}", is_opaque=True)


def _number(value: Any) -> Any:
    """A JSON number as the decimal that was written; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return value
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def _parts(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _number(part) for name, part in value.items()}
