"""What is written out for the commonest shapes says what the long way says, on sound data and on any other."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cds_service.errors import FhirPathEvaluationError
from cds_service.fhirpath import Environment
from cds_service.fhirpath.dates import DateTime
from tests.fhirpath.asking import NOW, ask

VALUE_SETS = {"urn:vs": frozenset({("urn:s", "a")})}


def members(url: str, system: object, code: object) -> bool:
    """A value set that is not at hand, asked code by code."""
    return isinstance(code, str) and isinstance(system, str) and (system, code) in VALUE_SETS[url]


def told(text: str, concept: object, environment: Environment) -> object:
    """What an expression says of a Condition's code: its result, or the message of its error."""
    focus = {"resourceType": "Condition", "code": concept}
    try:
        return ask(text, focus, context="Condition", environment=environment)
    except FhirPathEvaluationError as error:
        return error.args


scalars = st.sampled_from(["a", "b", "urn:s", "", 1, 1.5, True, None])
odd = st.one_of(scalars, st.lists(scalars, max_size=2), st.dictionaries(st.just("x"), scalars, max_size=1))
codings = st.one_of(
    odd,
    st.fixed_dictionaries(
        {}, optional={"system": st.sampled_from(["urn:s", "urn:t"]), "code": st.sampled_from(["a", "b"])}
    ),
    st.fixed_dictionaries({}, optional={"system": odd, "code": odd, "_code": st.just({"id": "1"})}),
)
concepts = st.one_of(odd, st.fixed_dictionaries({"coding": st.one_of(odd, st.lists(codings, max_size=3))}))


@given(concepts)
def test_a_value_set_at_hand_says_what_one_that_is_asked_says(concept: Any) -> None:
    at_hand, asked = Environment(NOW, value_sets=VALUE_SETS), Environment(NOW, member_of=members)
    # A concept that cannot be looked up is left to whoever can be asked.
    both = at_hand._replace(member_of=members)

    for text in ("code.memberOf('urn:vs')", "(code).memberOf('urn:vs')"):
        assert told(text, concept, both) == told(text, concept, asked)


# Whether it is a member is unknown, so the rest is asked, and cannot be told.
@example([({"coding": [{"system": "urn:s", "code": None}]}, "odd")])
@example([({"coding": []}, "odd")])
# It is none, so the rest is not asked.
@example([({"coding": [{"system": "urn:s", "code": "b"}]}, "odd")])
@given(st.lists(st.tuples(concepts, concepts), max_size=4))
@pytest.mark.parametrize(
    "rest", ["", " and verificationStatus.coding.where(code = 'a').empty()", " and 'a' = id and true"]
)
def test_members_are_picked_out_of_a_record_as_if_each_resource_were_asked(
    rest: str, found: list[tuple[Any, Any]]
) -> None:
    conditions = [
        {
            "resourceType": "Condition",
            "id": "a" if place % 2 else "b",
            "code": code,
            "verificationStatus": status,
        }
        for place, (code, status) in enumerate(found)
    ]
    focus = {"resourceType": "Bundle", "entry": [{"resource": each} for each in conditions]}
    record, member = "entry.resource.ofType(Condition)", "code.memberOf('urn:vs')"

    # What begins with something else is asked of each resource, one after the other.
    for environment in (
        Environment(NOW, member_of=members, value_sets=VALUE_SETS),
        Environment(NOW, member_of=members),
    ):
        short, long = (
            _picked(f"{record}.where({criteria})", focus, environment)
            for criteria in (f"{member}{rest}", f"true and {member}{rest}")
        )
        assert short == long


def _picked(text: str, focus: Any, environment: Environment) -> Any:
    try:
        return ask(text, focus, context="Bundle", environment=environment)
    except FhirPathEvaluationError:
        return "cannot be told"


def test_a_value_set_that_is_not_at_hand_is_asked_for() -> None:
    environment = Environment(
        NOW, member_of=lambda url, _system, _code: url == "urn:other", value_sets=VALUE_SETS
    )
    concept = {"coding": [{"system": "urn:s", "code": "b"}]}

    assert told("code.memberOf('urn:other')", concept, environment) == [True]
    assert told("code.memberOf('urn:vs')", concept, environment) == [False]


@given(concepts)
@pytest.mark.parametrize(
    ("short", "long"),
    [
        (
            "code.coding.where(system = 'urn:s' and code = 'a').count()",
            "code.coding.where(('urn:s' = system) and ('a' = code)).count()",
        ),
        ("code.coding.exists(code = 'a')", "code.coding.exists('a' = code)"),
        ("code.coding.where(code = 'a').empty()", "code.coding.where('a' = code).empty()"),
        ("code.coding.where(code = 'a').count()", "code.coding.where('a' = code).count()"),
        ("'a' in code.coding.code", "code.coding.code.where($this = 'a').count() > 0"),
    ],
)
def test_texts_of_an_object_are_compared_as_any_two_values_are(short: str, long: str, concept: Any) -> None:
    environment = Environment(NOW)

    found, expected = told(short, concept, environment), told(long, concept, environment)

    assert isinstance(found, list) is isinstance(expected, list)
    if isinstance(found, list):
        assert found == expected


@pytest.mark.parametrize(
    "criteria", ["code = 'a'", "system = 'urn:s' and code = 'a'", "system = 'urn:s' or code = 'a'"]
)
def test_a_null_among_the_codings_is_no_match(criteria: str) -> None:
    assert told(f"code.coding.exists({criteria})", {"coding": [None]}, Environment(NOW)) == [False]


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-28T23:59:59Z",
        "2026-02-29T00:00:00Z",
        "2024-02-29T00:00:00+14:00",
        "2024-02-29T00:00:00-00:00",
        "2024-02-29T00:00:00-12:30",
        "2024-02-29T24:00:00Z",
        "2024-02-29T23:59:60Z",
        "2024-02-29T23:60:00Z",
        "2024-02-29T23:00:00+25:00",
        "0000-01-01T00:00:00Z",
        "2024-02-29 00:00:00Z",
    ],
)
def test_a_moment_to_the_second_is_read_as_one_with_a_fraction_is(text: str) -> None:
    found, longer = DateTime.parse(text), DateTime.parse(f"{text[:19]}.0{text[19:]}")

    assert (found is None) is (longer is None)
    if found is not None and longer is not None:
        assert (found.parts, found.offset, found.is_utc) == (longer.parts, longer.offset, longer.is_utc)
        assert str(found) == str(longer).replace(".0", "")
