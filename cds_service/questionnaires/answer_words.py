"""One answer in words, as a person in the UK writes it: Yes, 3 March 2024, 12.5 cm."""

from __future__ import annotations

from typing import Any

from cds_service.questionnaires.answer_values import value_of_answer
from cds_service.record.dates import date_in_words
from cds_service.record.resources import Resource, text


def answer_in_words(answer: Resource, unit: str | None = None) -> str:
    """One answer in words; ``""`` without a value."""
    found = value_of_answer(answer)
    if found is None:
        return ""
    name, value = found
    if name in {"valueDate", "valueDateTime"}:
        return date_in_words(value) if isinstance(value, str) else ""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, dict):
        return _complex_in_words(name, value)
    return f"{number_text(value)}{f' {unit}' if unit and name in {'valueInteger', 'valueDecimal'} else ''}"


def number_text(value: Any) -> str:
    """A number as it is written out, without an exponent; any other value as it stands."""
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".") if "e" in repr(value) else repr(value)
    return str(value)


def _complex_in_words(name: str, value: Resource) -> str:
    if name == "valueQuantity":
        unit = text(value, "unit") or text(value, "code")
        number = number_text(value.get("value", ""))
        return f"{text(value, 'comparator') or ''}{number}{f' {unit}' if unit else ''}"
    for element in ("display", "title", "reference", "code", "url"):
        if words := text(value, element):
            return words
    return ""
