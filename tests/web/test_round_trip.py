"""A form that is posted as it was shown is the response that it was made from."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cds_service.web.forms import answered, form_fields
from tests.web.posting import posted
from tests.web.sample_pages import all_item_types, form_of, response

FORM = form_of(all_item_types())
ABSENT = {
    "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
    "valueCode": "asked-unknown",
}
ORIGIN = "http://hl7.org/fhir/us/davinci-dtr/StructureDefinition/information-origin"
_texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), whitelist_characters="\n\t\r<>&\"'{}%"),
    min_size=1,
    max_size=30,
).filter(lambda text: text.strip())
_days = st.dates(date(1900, 1, 1), date(2100, 1, 1)).map(lambda day: day.isoformat())
_numbers = st.integers(-(10**9), 10**9)
_decimals = st.floats(-1e12, 1e12, allow_nan=False) | _numbers
_moments = (
    st.datetimes().map(lambda at: f"{at.isoformat(timespec='seconds')}+02:00") | _days | st.just("2024-03")
)
_clocks = st.times().map(lambda at: at.isoformat(timespec="seconds"))


def _codes(link_id: str) -> st.SearchStrategy[dict[str, Any]]:
    item = next(each for each in all_item_types()["item"] if each["linkId"] == link_id)
    stray = {
        "valueCoding": {"system": "http://example.org/old", "code": "gone", "display": "No longer offered"}
    }
    return st.sampled_from([*item["answerOption"], stray])


def _quantities(*units: str) -> st.SearchStrategy[dict[str, Any]]:
    return st.tuples(_decimals, st.sampled_from(units)).map(
        lambda pair: {
            "valueQuantity": {
                "value": pair[0],
                "unit": pair[1],
                "system": "http://unitsofmeasure.org",
                "code": pair[1],
            }
        }
    )


def _of(element: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return values.map(lambda value: {element: value})


# linkId → what its one answer, or each of its answers, can be.
ONE = {
    "boolean": _of("valueBoolean", st.booleans()),
    "decimal": _of("valueDecimal", _decimals),
    "integer": _of("valueInteger", _numbers),
    "date": _of("valueDate", _days | st.sampled_from(["2024", "2024-03"])),
    "dateTime": _of("valueDateTime", _moments),
    "time": _of("valueTime", _clocks),
    "string": _of("valueString", _texts),
    "text": _of("valueString", _texts),
    "box": _of("valueString", _texts),
    "url": _of("valueUri", st.just("https://example.org/a?b=c&d=%20")),
    "choice": _codes("choice"),
    "long-choice": _codes("long-choice"),
    "asked-unknown": _codes("asked-unknown"),
    "strings": _codes("strings"),
    "open": _codes("open") | _of("valueString", _texts),
    "quantity": _quantities("stone", "kg"),
    "quantity-unit": _quantities("cm"),
    "quantity-units": _quantities("g", "mg"),
    "hidden": _of("valueString", _texts),
    "read-only": _of("valueDate", _days),
}
SEVERAL = {
    "several": _codes("several"),
    "several-open": _codes("several-open"),
    "names": _of("valueString", _texts.filter(lambda text: not {"\n", "\r"} & set(text))),
    "days": _of("valueDate", _days),
}
_UNKNOWN = (
    "boolean",
    "decimal",
    "integer",
    "date",
    "dateTime",
    "time",
    "choice",
    "long-choice",
    "several",
    "quantity",
)


@st.composite
def _items(draw: st.DrawFn) -> list[dict[str, Any]]:
    items: dict[str, dict[str, Any]] = {}
    for link_id, answers in {**ONE, **SEVERAL}.items():
        if not draw(st.booleans()):
            continue
        if link_id in _UNKNOWN and draw(st.integers(0, 5)) == 0:
            items[link_id] = {"linkId": link_id, "extension": [ABSENT]}
            continue
        count = draw(st.integers(1, 3)) if link_id in SEVERAL else 1
        drawn = draw(st.lists(answers, min_size=count, max_size=count, unique_by=repr))
        marked = [{**each, "extension": [{"url": ORIGIN}]} for each in drawn]
        items[link_id] = {"linkId": link_id, "text": "kept", "answer": marked}
    if draw(st.booleans()):
        items["section 1/2"] = {"linkId": "section 1/2", "item": draw(_treatments())}
    if draw(st.booleans()):
        child = {"linkId": "child", "answer": [{"valueString": draw(_texts)}]}
        items["parent"] = {"linkId": "parent", "answer": [{**draw(ONE["boolean"]), "item": [child]}]}
    order = [item["linkId"] for item in all_item_types()["item"]]
    return [items[link_id] for link_id in order if link_id in items]


@st.composite
def _treatments(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [
        {
            "linkId": "treatments",
            "item": [
                {"linkId": "treatment.name", "answer": [{"valueString": draw(_texts)}]},
                *(
                    {"linkId": "doses", "item": [{"linkId": "dose", "answer": [draw(ONE["decimal"])]}]}
                    for _ in range(draw(st.integers(0, 2)))
                ),
            ],
        }
        for _ in range(draw(st.integers(1, 3)))
    ]


@settings(max_examples=15)
@given(_items())
def test_a_form_posted_untouched_is_the_response_it_was_made_from(items: list[dict[str, Any]]) -> None:
    shown = response(*items)

    read = answered(FORM, shown, posted(form_fields(FORM, shown).html))

    assert read.problems == {}
    assert read.response == (shown if items else response_without_items())


def response_without_items() -> dict[str, Any]:
    """A response that says nothing."""
    return {name: value for name, value in response().items() if name != "item"}


@settings(max_examples=15)
@given(_items())
def test_what_is_read_is_shown_again_and_read_the_same(items: list[dict[str, Any]]) -> None:
    """The answers typed into an empty form, rather than kept from a response, say the same when they are shown again."""
    offered = [item for item in items if "No longer offered" not in repr(item)]
    shown = response(*offered)
    typed = posted(form_fields(FORM, shown).html)

    first = answered(FORM, response(), typed)
    again = answered(
        FORM, first.response, posted(form_fields(FORM, first.response, unread=first.unread).html)
    )

    assert again.response == first.response
    assert again.problems == first.problems


_NAMES = sorted(
    {*posted(form_fields(FORM, response()).html), "do", "q:integer!unknown", "q:date!unknown", "q:choice"}
)
_VALUES = st.sampled_from(
    [
        "",
        "?",
        "2",
        "x",
        "99999999999999999999",
        "boolean:true",
        "add q:treatments",
        "remove q:treatments:0",
        "²",
    ]
)


@settings(max_examples=15)
@given(
    st.dictionaries(st.sampled_from(_NAMES), st.lists(_VALUES | _texts, max_size=3), max_size=12),
    st.lists(st.sampled_from([name for name in _NAMES if "!" not in name]), max_size=12),
)
def test_whatever_is_posted_is_read_or_shown_again_with_its_problem(
    fields: dict[str, list[str]], asked: list[str]
) -> None:
    read = answered(FORM, response(), {**fields, "asked": asked})

    again = form_fields(FORM, read.response, None, read.problems, unread=read.unread)

    assert len(again.problems) == len(read.problems)
