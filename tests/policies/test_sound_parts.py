"""A resource is well-shaped exactly when fhir.resources says so of the whole, whatever was seen before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.policies.loading.documents import Document, shape_problems
from cds_service.policies.loading.sound_parts import SoundParts

PLANS = Path(__file__).parents[2] / "plans"
RESOURCES = [
    json.loads(file.read_bytes())
    for policy in ("derby-mastopexy", "nmbra-reconstruction-information")
    for kind in ("PlanDefinition", "Questionnaire", "ValueSet")
    for file in sorted((PLANS / policy).glob(f"{kind}-*.json"))[:1]
]
# What may stand where something else belongs. Some look alike, some mean a missing value, some are right in places.
ODD: list[Any] = [
    None,
    True,
    1,
    1.0,
    float("nan"),
    "",
    "x",
    "text/fhirpath",
    [],
    [None],
    ["x"],
    {},
    [{}],
    {"x": 1},
    {"extension": []},
    {"extension": [{"url": "http://x", "valueString": "why"}]},
    {"extension": [{"url": "http://x"}]},
    [{"extension": [{"url": "http://x", "valueString": "one", "valueCode": "two"}]}],
    {"resourceType": "Patient"},
    '{"url": "http://x", "valueString": "JSON in a text"}',
]
# Members that some element has, and some that none has.
NAMES = [
    "id",
    "extension",
    "_title",
    "_type",
    "_linkId",
    "item",
    "action",
    "valueString",
    "contained",
    "colour",
]


# Parts from this size on are taken apart: all of them, some, none.
SMALL = [0, 500, 1_000_000]


def is_sound(resource: dict[str, Any]) -> bool:
    """What the validation of the whole says."""
    return not list(shape_problems(Document(Path("file"), resource)))


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Everything that holds something, with the name or the position that it holds it under."""
    for key, each in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(each, dict | list):
            yield from places(each)


@st.composite
def changed(draw: st.DrawFn) -> tuple[dict[str, Any], dict[str, Any]]:
    """A resource of ours, and the same with one or two places changed."""
    resource = draw(st.sampled_from(RESOURCES))
    other = deepcopy(resource)
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(other))
        holder, key = found[draw(st.integers(0, len(found) - 1))]
        change = draw(st.sampled_from(["left out", "replaced", "added", "moved"]))
        if change == "replaced" or (change != "left out" and isinstance(holder, list)):
            holder[key] = deepcopy(draw(st.sampled_from(ODD)))
        elif change == "added":
            holder[draw(st.sampled_from(NAMES))] = deepcopy(draw(st.sampled_from(ODD)))
        elif change == "moved":
            holder[draw(st.sampled_from(NAMES))] = holder.pop(key)
        else:
            del holder[key]
    # The type is known before the shape is looked at.
    other["resourceType"] = resource["resourceType"]
    return resource, other


@given(changed(), st.sampled_from(SMALL))
def test_it_is_the_same_whether_what_is_alike_was_seen_before_or_not(
    pair: tuple[dict[str, Any], dict[str, Any]], small: int
) -> None:
    before, after = pair
    parts, expected = SoundParts(1_000, small), is_sound(after)
    assert SoundParts(1_000, small).make_up(after) == expected
    assert parts.make_up(before)
    assert parts.make_up(after) == expected
    assert parts.make_up(before)


def questionnaire(*items: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "draft", "item": list(items)}


def item(link_id: str, **members: Any) -> dict[str, Any]:
    return {"linkId": link_id, "type": "group", **members}


@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize(
    ("sound", "wrong"),
    [
        (item("a", required=True), item("a", required="perhaps")),
        (item("a", maxLength=1), item("a", maxLength=1.5)),
        (item("a", item=[item("b")]), item("a", item=[item("b"), {"type": "group"}])),
        (item("a", item=[item("b", item=[item("c")])]), item("a", item=[item("b", item=[item("c", x=1)])])),
        (item("a", code=[{"code": "b"}]), item("a", code=[{"code": "b"}, None])),
        (item("a", code=[{"code": "b"}]), item("a", code={"code": "b", "colour": "red"})),
        (
            item("a", answerOption=[{"valueCoding": {"code": "b"}}]),
            item("a", answerOption=[{"valueCoding": {"code": "b"}, "valueString": "b"}]),
        ),
        (
            {"type": "group", "_linkId": {"extension": [{"url": "http://x", "valueString": "none"}]}},
            {"type": "group", "_linkId": {"id": "x"}},
        ),
    ],
)
def test_what_is_wrong_is_found_beside_what_is_alike_and_right(
    sound: dict[str, Any], wrong: dict[str, Any], small: int
) -> None:
    parts = SoundParts(1_000, small)
    for _ in range(2):
        assert parts.make_up(questionnaire(sound)) is is_sound(questionnaire(sound)) is True
        assert parts.make_up(questionnaire(sound, wrong)) is is_sound(questionnaire(sound, wrong)) is False


@pytest.mark.parametrize("small", SMALL)
def test_a_part_that_is_right_as_one_type_may_be_wrong_as_another(small: int) -> None:
    parts = SoundParts(1_000, small)
    assert parts.make_up(questionnaire(item("a", code=[{"code": "b", "version": "1"}])))
    assert not parts.make_up(
        {
            **questionnaire(),
            "useContext": [{"code": {"code": "b"}, "valueRange": {"code": "b", "version": "1"}}],
        }
    )


@pytest.mark.parametrize("small", SMALL)
@pytest.mark.parametrize(
    "alike", [(1, 1.0), (1, True), (0, False), (0.0, -0.0), (None, float("nan")), ("1", 1)]
)
def test_values_that_only_look_alike_are_told_apart(alike: tuple[Any, Any], small: int) -> None:
    for one, other in (alike, alike[::-1]):
        parts = SoundParts(1_000, small)
        parts.make_up(questionnaire(item("a", maxLength=one)))
        changed = questionnaire(item("a", maxLength=other))
        assert parts.make_up(changed) == is_sound(changed)


def test_no_more_parts_are_kept_than_asked_for() -> None:
    parts = SoundParts(2, 0)
    for _ in range(2):
        for resource in RESOURCES:
            assert parts.make_up(resource)
    assert not parts.make_up(questionnaire(item("a"), item("b"), item("c", colour="red")))
