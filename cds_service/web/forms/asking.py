"""Which control puts a question: by its type, its options and its ``itemControl``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cds_service.questionnaires.answer_values import value_of_answer
from cds_service.record.resources import Resource
from cds_service.web.forms.boxes import Dated, Measured, Written
from cds_service.web.forms.choosing import Chosen
from cds_service.web.forms.controls import Control, Repeated
from cds_service.web.forms.entries import typed_decimal, typed_integer, typed_text, typed_time, typed_url
from cds_service.web.forms.form import FormOnPage
from cds_service.web.forms.given import Given
from cds_service.web.forms.items import (
    UNIT,
    UNIT_OPTION,
    controls,
    extension_values,
    kind,
    repeats,
    unit_words,
)
from cds_service.web.forms.options import DONT_KNOW_OPTION, offers_dont_know, options, strays

# More options than these are a list to pull down, unless the item says otherwise.
_MOST_RADIOS = 7
_WRITTEN: dict[str, tuple[str, Callable[[str], Any], str, str]] = {
    # type → element of the answer, reader, width, input mode
    "string": ("valueString", typed_text, "", ""),
    "text": ("valueString", typed_text, "", ""),
    "url": ("valueUri", typed_url, "", "url"),
    "integer": ("valueInteger", typed_integer, "5", "numeric"),
    "decimal": ("valueDecimal", typed_decimal, "5", "decimal"),
    "time": ("valueTime", typed_time, "5", ""),
}
_CHOICES = frozenset({"boolean", "choice", "open-choice"})
_LONG = frozenset({"text-box", "textarea"})
TYPES_ASKED = _WRITTEN.keys() | _CHOICES | {"date", "dateTime", "quantity"}


def control_of(item: Resource, said: Given, form: FormOnPage) -> Control:
    """The control for a question that is answered so far as ``said``. KeyError for a type that is not asked."""
    if kind(item) in _CHOICES or "answerOption" in item or "answerValueSet" in item:
        return _chosen(item, said, form)
    single = _single(item, said, form)
    return Repeated(replace(single, dont_know=False)) if repeats(item) else single


def _single(item: Resource, said: Given, form: FormOnPage) -> Written | Dated | Measured:
    unknown = form.may_be_unknown(item["linkId"])
    if kind(item) in {"date", "dateTime"}:
        return Dated(form.zone, timed=kind(item) == "dateTime", dont_know=unknown)
    if kind(item) == "quantity":
        units = (
            *extension_values(item, UNIT),
            *(unit for unit in extension_values(item, UNIT_OPTION) if isinstance(unit, dict)),
        )
        return Measured(units, dont_know=unknown)
    return _written(item, said, unknown=unknown)


def _written(item: Resource, said: Given, *, unknown: bool) -> Written:
    element, read, width, inputmode = _WRITTEN[kind(item)]
    is_text = kind(item) in {"string", "text"}
    long = kind(item) == "text" or bool(controls(item) & _LONG) or (is_text and _has_lines(said))
    most = item.get("maxLength")
    return Written(
        element,
        read,
        rows=5 if long else 1,
        width=width,
        inputmode=inputmode,
        suffix=unit_words(item) or "",
        max_length=most if isinstance(most, int) else None,
        dont_know=unknown and not is_text and kind(item) != "url",
    )


def _has_lines(said: Given) -> bool:
    """Whether an answer has several lines, which a one-line box would run together."""
    values = (value_of_answer(answer) for answer in said.answers)
    return any(found and isinstance(found[1], str) and {"\n", "\r"} & set(found[1]) for found in values)


def _chosen(item: Resource, said: Given, form: FormOnPage) -> Chosen:
    offered = options(item, form)
    is_open = kind(item) == "open-choice"
    kept = [each for each in said.answers if not (is_open and "valueString" in each)]
    every = (*offered, *strays(offered, kept))
    if form.may_be_unknown(item["linkId"]) and not offers_dont_know(every):
        every = (*every, DONT_KNOW_OPTION)
    return Chosen(every, several=repeats(item), drop_down=_is_list(item, len(offered)), open=is_open)


def _is_list(item: Resource, offered: int) -> bool:
    wanted = controls(item)
    if wanted & {"radio-button", "check-box"}:
        return False
    return offered > _MOST_RADIOS or bool(wanted & {"drop-down", "autocomplete"})
