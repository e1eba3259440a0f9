"""Whether one value can be the answer of its item: its form, its bounds, its options.

Sources: https://hl7.org/fhir/R4/datatypes.html (the forms of primitives);
https://hl7.org/fhir/R4/questionnaire-profiles.html (minValue, regex …)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from decimal import Decimal
from typing import Any

import re2

from cds_service.fhirpath import Date, DateTime, Time
from cds_service.policies.loading.extensions import MAX_VALUE, MIN_VALUE, extensions, value_of
from cds_service.questionnaires.answer_values import VALUE_NAMES, compared, value_names
from cds_service.questionnaires.form import Form, FormItem
from cds_service.questionnaires.form_features import CORE, SDC
from cds_service.questionnaires.options import chosen, options_of
from cds_service.questionnaires.problems import ERROR, WARNING
from cds_service.questionnaires.sight import Launch
from cds_service.record.resources import Resource, members, text

# (severity, FHIR issue type, words)
Fault = tuple[str, str, str]

_TIME = re.compile(r"\d{2}:\d{2}:\d{2}(\.\d+)?")
# R4: a dateTime with a time has seconds and a zone.
_DATE_TIME = re.compile(r"[^T]*(T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2}))?")
_INT32 = 2**31


def answer_faults(form: Form, item: FormItem, answer: Resource, launch: Launch) -> Iterator[Fault]:
    """Everything that keeps an answer with a value from being one of its item."""
    names = value_names(answer)
    if len(names) != 1:
        yield ERROR, "structure", f"an answer has one value, here are {len(names)}"
        return
    name, value = names[0], answer[names[0]]
    allowed = VALUE_NAMES.get(item.type, ())
    if name not in allowed:
        yield ERROR, "value", f"found a {name}, expected {' or '.join(allowed[:2]) or 'no answer'}"
    elif words := _shape_fault(name, value):
        yield ERROR, "value", words
    else:
        yield from _bound_faults(item, name, value, launch)
        yield from _text_faults(item, value)
        yield from _attachment_faults(item, name, value)
        yield from _option_faults(form, item, name, value, launch)


def _shape_fault(name: str, value: Any) -> str | None:
    expected, fits = _SHAPES[name]
    return None if fits(value) else f"the value is no {expected}"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -_INT32 <= value < _INT32


def _is_date(value: Any) -> bool:
    return isinstance(value, str) and Date.parse(value) is not None


def _is_date_time(value: Any) -> bool:
    return (
        isinstance(value, str)
        and DateTime.parse(value) is not None
        and _DATE_TIME.fullmatch(value) is not None
    )


def _is_time(value: Any) -> bool:
    return isinstance(value, str) and _TIME.fullmatch(value) is not None and Time.parse(value) is not None


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_uri(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"\S+", value) is not None


def _has_text(*names: str) -> Callable[[Any], bool]:
    return lambda value: any(text(value, name) is not None for name in names)


_SHAPES: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "valueBoolean": ("true or false", lambda value: isinstance(value, bool)),
    "valueDecimal": ("number", _is_number),
    "valueInteger": ("whole number of 32 bits", _is_integer),
    "valueDate": ("date (YYYY, YYYY-MM or YYYY-MM-DD)", _is_date),
    "valueDateTime": ("dateTime (a date, or one with a time to the second and a zone)", _is_date_time),
    "valueTime": ("time (hh:mm:ss)", _is_time),
    "valueString": ("text", _is_text),
    "valueUri": ("uri", _is_uri),
    "valueCoding": ("Coding with a code or a display", _has_text("code", "display")),
    "valueReference": (
        "Reference with a reference, an identifier or a display",
        lambda value: (
            _has_text("reference", "display")(value) or (isinstance(value, dict) and "identifier" in value)
        ),
    ),
    "valueAttachment": ("Attachment with data or a url", _has_text("data", "url")),
    "valueQuantity": (
        "Quantity with a value",
        lambda value: isinstance(value, dict) and _is_number(value.get("value")),
    ),
}


def _bound_faults(item: FormItem, name: str, value: Any, launch: Launch) -> Iterator[Fault]:
    kind, zone = name.removeprefix("value"), launch.now.tzinfo or UTC
    for url, wrong, words in (
        (MIN_VALUE, -1, "at least"),
        (MAX_VALUE, 1, "at most"),
        (f"{SDC}minQuantity", -1, "at least"),
        (f"{SDC}maxQuantity", 1, "at most"),
    ):
        bound = value_of(item.resource, url)
        if bound is None:
            continue
        order = compared(kind, value, bound, zone)
        shown = f"{bound.get('value')} {bound.get('unit', '')}".strip() if isinstance(bound, dict) else bound
        if order is None:
            yield WARNING, "processing", f"cannot be compared with the bound {shown}"
        elif order == wrong:
            yield ERROR, "value", f"expected {words} {shown}"
    places = value_of(item.resource, f"{CORE}maxDecimalPlaces")
    if isinstance(places, int) and kind in {"Decimal", "Quantity"} and _decimals(value) > places:
        yield ERROR, "value", f"expected at most {places} decimal places"


def _decimals(value: Any) -> int:
    number = value["value"] if isinstance(value, dict) else value
    exponent = Decimal(str(number)).normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _text_faults(item: FormItem, value: Any) -> Iterator[Fault]:
    if not isinstance(value, str):
        return
    longest, shortest = item.resource.get("maxLength"), value_of(item.resource, f"{CORE}minLength")
    if isinstance(longest, int) and len(value) > longest:
        yield ERROR, "too-long", f"found {len(value)} characters, expected at most {longest}"
    if isinstance(shortest, int) and len(value) < shortest:
        yield ERROR, "value", f"found {len(value)} characters, expected at least {shortest}"
    pattern = value_of(item.resource, f"{CORE}regex")
    if isinstance(pattern, str):
        yield from _pattern_faults(pattern, value)


def _pattern_faults(pattern: str, value: str) -> Iterator[Fault]:
    """In RE2, whose time is linear; a pattern that it does not know is said to be unchecked."""
    options = re2.Options()
    options.log_errors = False
    try:
        matches = re2.compile(pattern, options).fullmatch(value) is not None
    except re2.error:
        yield WARNING, "not-supported", f"not checked: RE2 does not know the pattern {pattern}"
        return
    if not matches:
        yield ERROR, "value", f"expected the pattern {pattern}"


def _attachment_faults(item: FormItem, name: str, value: Any) -> Iterator[Fault]:
    if name != "valueAttachment":
        return
    kinds = [each.get("valueCode") for _, each in extensions(item.resource, f"{CORE}mimeType")]
    if kinds and value.get("contentType") not in kinds:
        yield ERROR, "value", f"expected an attachment of {', '.join(map(str, kinds))}"
    most = value_of(item.resource, f"{CORE}maxSize")
    # In megabytes; base64 writes three bytes in four characters.
    size = value.get("size") or len(value.get("data") or "") * 3 // 4
    if most is not None and isinstance(size, int) and size > Decimal(str(most)) * 1_000_000:
        yield ERROR, "too-long", f"expected an attachment of at most {most} MB"


def _option_faults(form: Form, item: FormItem, name: str, value: Any, launch: Launch) -> Iterator[Fault]:
    if item.type not in {"choice", "open-choice"} or (item.type == "open-choice" and name == "valueString"):
        return
    options = options_of(form, item, launch)
    if options is None:
        words = f"not checked: the value set {text(item.resource, 'answerValueSet')} is not known"
        yield WARNING, "not-found", words
        return
    # A choice that lists nothing says nothing of what may be chosen; an open one may be any Coding.
    found = chosen(options, value)
    if options and item.type == "choice" and (found is None or found[0] != name):
        yield ERROR, "code-invalid", "found none of the options"


def exclusive_fault(item: FormItem, answers: list[Resource]) -> Fault | None:
    """An option that excludes all others, chosen with others."""
    for option in members(item.resource, "answerOption"):
        if value_of(option, f"{CORE}questionnaire-optionExclusive") is True and len(answers) > 1:
            value = next((each for name, each in option.items() if name.startswith("value")), None)
            if any(chosen([("", value)], each[name]) for each in answers for name in value_names(each)):
                return ERROR, "business-rule", "an option that excludes all others is chosen with others"
    return None
