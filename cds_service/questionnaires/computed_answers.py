"""What an expression yields, as the answers of an item. Nothing is guessed: what does not fit is no answer.

Source: https://hl7.org/fhir/uv/sdc/populate.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from cds_service.fhirpath import Date, DateTime, Quantity, Time
from cds_service.questionnaires.answer_checks import answer_faults
from cds_service.questionnaires.form import Form, FormItem
from cds_service.questionnaires.options import chosen, options_of
from cds_service.questionnaires.problems import ERROR
from cds_service.questionnaires.sight import Launch
from cds_service.record.resources import members, text

_UCUM = "http://unitsofmeasure.org"
_WHOLE_DAYS = 3  # parts of a date that is known to the day


def computed_answers(
    form: Form, item: FormItem, results: Sequence[Any], launch: Launch
) -> list[dict[str, Any]]:
    """The answers of an item whose expression yielded ``results``. ValueError when they cannot be its answers."""
    # A string of FHIR is never empty: an expression that yields one has nothing to say.
    results = [each for each in results if each != ""]
    if len(results) > 1 and not item.repeats:
        raise ValueError(f"found {len(results)} values, expected one")
    answers = _answers(form, item, results, launch)
    for answer in answers:
        for severity, _, words in answer_faults(form, item, answer, launch):
            if severity == ERROR:
                raise ValueError(words)
    return answers


def _answers(form: Form, item: FormItem, results: Sequence[Any], launch: Launch) -> list[dict[str, Any]]:
    if item.type in {"choice", "open-choice"}:
        options = options_of(form, item, launch) if results else None
        return [_choice(item, options, each) for each in results]
    name, convert = _CONVERSIONS[item.type]
    converted = [convert(each) for each in results]
    if any(each is None for each in converted):
        raise ValueError(f"found something else than an answer of type {item.type}")
    return [{name: each} for each in converted]


def _choice(item: FormItem, options: Sequence[tuple[str, Any]] | None, result: Any) -> dict[str, Any]:
    value = _coding(result)
    found = chosen(options or (), value)
    if found is not None:
        return {found[0]: found[1]}
    if item.type == "open-choice" and isinstance(value, str):
        return {"valueString": value}
    if (not options or item.type == "open-choice") and isinstance(value, Mapping):
        return {"valueCoding": value}
    if options is None:
        raise ValueError("found a code, and the value set of the options is not known")
    raise ValueError("found none of the options")


def _coding(result: Any) -> Any:
    """A CodeableConcept of one coding as that Coding; dates and the like as they are written."""
    if isinstance(result, Mapping) and "coding" in result:
        codings = [*members(result, "coding")]
        if len(codings) != 1:
            raise ValueError(f"found a concept of {len(codings)} codings, expected one")
        return codings[0]
    return str(result) if isinstance(result, Date | Time) else result


def _boolean(result: Any) -> bool | None:
    return result if isinstance(result, bool) else None


def _decimal(result: Any) -> int | float | None:
    if isinstance(result, bool) or not isinstance(result, int | Decimal):
        return None
    return int(result) if result == int(result) else float(result)


def _integer(result: Any) -> int | None:
    number = _decimal(result)
    return number if isinstance(number, int) else None


def _date(result: Any) -> str | None:
    if isinstance(result, DateTime):
        return str(Date(result.parts[:_WHOLE_DAYS]))
    return str(result) if isinstance(result, Date) else _text_of(result, Date.parse)


def _date_time(result: Any) -> str | None:
    return str(result) if isinstance(result, Date | DateTime) else _text_of(result, DateTime.parse)


def _time(result: Any) -> str | None:
    return str(result) if isinstance(result, Time) else _text_of(result, Time.parse)


def _text_of(result: Any, parse: Callable[[str], object]) -> str | None:
    return result if isinstance(result, str) and parse(result) is not None else None


def _string(result: Any) -> str | None:
    return result if isinstance(result, str) and result else None


def _reference(result: Any) -> Mapping[str, Any] | None:
    """A Reference, the address of one, or the resource itself."""
    if isinstance(result, str):
        return {"reference": result}
    if not isinstance(result, Mapping):
        return None
    kind, logical = text(result, "resourceType"), text(result, "id")
    if kind is not None:
        return {"reference": f"{kind}/{logical}"} if logical else None
    return result if text(result, "reference") or "identifier" in result else None


def _attachment(result: Any) -> Mapping[str, Any] | None:
    return result if isinstance(result, Mapping) and ("url" in result or "data" in result) else None


def _quantity(result: Any) -> Mapping[str, Any] | None:
    if isinstance(result, Mapping):
        return result if "value" in result else None
    if isinstance(result, Quantity) and not result.is_opaque:
        value = {"value": _decimal(result.value), "unit": result.unit}
        return value if result.is_calendar else {**value, "system": _UCUM, "code": result.unit}
    return None


_CONVERSIONS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "boolean": ("valueBoolean", _boolean),
    "decimal": ("valueDecimal", _decimal),
    "integer": ("valueInteger", _integer),
    "date": ("valueDate", _date),
    "dateTime": ("valueDateTime", _date_time),
    "time": ("valueTime", _time),
    "string": ("valueString", _string),
    "text": ("valueString", _string),
    "url": ("valueUri", _string),
    "reference": ("valueReference", _reference),
    "attachment": ("valueAttachment", _attachment),
    "quantity": ("valueQuantity", _quantity),
}
