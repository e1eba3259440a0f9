"""What other implementations get wrong, and what must never be got wrong here."""

from __future__ import annotations

import copy
import json
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cds_service.errors import (
    FhirPathBudgetError,
    FhirPathEvaluationError,
    FhirPathTypeError,
    QueryNotReadError,
)
from cds_service.fhirpath import Date, DateTime, Environment, Quantity, Time, compile_expression
from tests.fhirpath.asking import NOW, ask, bundle, observation, value

TRUTHS = {"true": True, "false": False, "{}": None}
TABLES = {
    # columns: true and true, true and false, true and {}, false and true, …  FHIRPath N1 §6.5
    "and": (True, False, None, False, False, False, None, False, None),
    "or": (True, True, True, True, False, None, True, None, None),
    "xor": (False, True, None, True, False, None, None, None, None),
    "implies": (True, False, None, True, True, True, True, None, None),
}
TABLE_ROWS = [
    (left, operator, right, expected)
    for operator, row in TABLES.items()
    for (left, right), expected in zip(product(TRUTHS, TRUTHS), row, strict=True)
]


def known(found: bool | None) -> list[bool]:
    return [] if found is None else [found]


@pytest.mark.parametrize(("left", "operator", "right", "expected"), TABLE_ROWS)
def test_three_valued_logic_is_the_table_of_the_specification(
    left: str, operator: str, right: str, expected: bool | None
) -> None:
    assert ask(f"{left} {operator} {right}") == known(expected)


@pytest.mark.parametrize(("left", "operator", "right", "expected"), TABLE_ROWS)
def test_three_valued_logic_is_the_same_of_values_that_only_the_data_tells(
    left: str, operator: str, right: str, expected: bool | None
) -> None:
    found = ask(f"%a {operator} %b", types={"a": "boolean", "b": None}, a=TRUTHS[left], b=TRUTHS[right])

    assert found == known(expected)


EMPTY = {
    "{} = 1": [],
    "{} = {}": [],
    "{} != 1": [],
    "{} ~ 1": [False],
    "{} ~ {}": [True],
    "{} !~ {}": [False],
    "{} < 1": [],
    "1 + {}": [],
    "'a' & {}": ["a"],
    "{} in (1 | 2)": [],
    "1 in {}": [False],
    "{} contains 1": [False],
    "(1 | 2) contains {}": [],
    "{}.not()": [],
    "{}.exists()": [False],
    "{}.empty()": [True],
    "{}.all(false)": [True],
    "{}.allTrue()": [True],
    "{}.anyTrue()": [False],
    "{}.count()": [0],
    "{}.first()": [],
    "{}.where(true)": [],
    "(1 | 2).where({})": [],
    "{}.select(1)": [],
    "iif({}, 'yes', 'no')": ["no"],
    "iif({}, 'yes')": [],
    "{} is Patient": [],
    "{}.as(Patient)": [],
    "{}.single()": [],
    "-{}": [],
    "{}[0]": [],
    "{} | 1": [1],
    "{}.isDistinct()": [True],
    "{}.subsetOf(1)": [True],
    "{}.toInteger()": [],
    "{}.convertsToInteger()": [],
    "{}.matches('a')": [],
    "'a'.matches({})": [],
}


@pytest.mark.parametrize("text", EMPTY)
def test_the_empty_collection_behaves_as_the_specification_says(text: str) -> None:
    assert ask(text) == EMPTY[text]


def test_a_criterion_that_is_not_known_is_neither_true_nor_false() -> None:
    focus = {"resourceType": "Patient", "gender": "female"}

    assert ask("Patient.where(gender = language).exists()", focus, context="Patient") == [False]
    assert ask("Patient.where((gender = language).not()).exists()", focus, context="Patient") == [False]
    assert ask("Patient.where((language = gender).not()).exists()", focus, context="Patient") == [False]


@pytest.mark.parametrize(
    "text", ["(1 | 2 | 3).take(-1)", "(1 | 2).take(0)", "(1 | 2).skip(5)", "(1 | 2)[-1]", "(1 | 2)[2]"]
)
def test_nothing_lies_outside_of_a_collection(text: str) -> None:
    assert ask(text) == []


# elements and their siblings

ACTIVE_FALSE = {"resourceType": "Patient", "active": False}


def test_where_on_false_drops_and_where_on_true_keeps() -> None:
    assert ask("Patient.where(active)", ACTIVE_FALSE, context="Patient") == []
    assert ask("Patient.where(active)", ACTIVE_FALSE | {"active": True}, context="Patient") != []


def test_a_false_element_exists() -> None:
    assert ask("active.exists()", ACTIVE_FALSE, context="Patient") == [True]
    assert ask("active.not()", ACTIVE_FALSE, context="Patient") == [True]


ABSENT = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
ONLY_EXTENDED = {
    "resourceType": "Patient",
    "birthDate": None,
    "_birthDate": {"extension": [ABSENT]},
    "_active": {"extension": [ABSENT]},
    "name": [{"given": [None, "Ann"], "_given": [{"extension": [ABSENT]}, None]}],
}
SIBLING = {
    "birthDate.exists()": [True],
    "birthDate.hasValue()": [False],
    "birthDate.getValue()": [],
    "birthDate < today()": [],
    "birthDate = @1990-01-01": [],
    "birthDate.extension.value": ["unknown"],
    f"birthDate.extension('{ABSENT['url']}').value = 'unknown'": [True],
    "active and true": [],
    "active or true": [True],
    "active.not()": [],
    "where(active).exists()": [False],
    "name.given.count()": [2],
    "name.given.hasValue()": [False],
    "name.given.select(hasValue())": [False, True],
    "name.given[1]": ["Ann"],
    "name.given.where($this = 'Ann')": ["Ann"],
    "'Ann' in name.given": [True],
    "name.given.where(startsWith('A')).count()": [1],
}


@pytest.mark.parametrize("text", SIBLING)
@pytest.mark.parametrize("context", ["Patient", None])
def test_an_element_that_has_only_an_extension_exists_but_has_no_value(
    text: str, context: str | None
) -> None:
    assert ask(text, ONLY_EXTENDED, context=context) == SIBLING[text]


def test_an_element_without_a_value_comes_out_as_its_extensions() -> None:
    assert ask("birthDate", ONLY_EXTENDED, context="Patient") == [ONLY_EXTENDED["_birthDate"]]


def test_primitives_come_out_as_system_values_and_elements_as_they_went_in() -> None:
    quantity = value(41.5, "kg/m2")
    focus = {
        "resourceType": "Observation",
        "effectiveDateTime": "2026-05",
        "valueQuantity": quantity,
        "issued": "2026-05-01T10:00:00.5Z",
    }

    assert ask("effective", focus, context="Observation") == [DateTime((2026, 5))]
    assert ask("value", focus, context="Observation")[0] is quantity
    assert ask("value.value", focus, context="Observation") == [Decimal("41.5")]
    assert [str(found) for found in ask("issued | effective", focus, context="Observation")] == [
        "2026-05-01T10:00:00.5Z",
        "2026-05",
    ]


def test_a_choice_is_read_at_the_key_of_the_type_asked_for() -> None:
    focus = {"resourceType": "Condition", "onsetAge": value(40, "a"), "abatementDateTime": "2020"}

    assert ask("onset.ofType(Age).value", focus, context="Condition", strict=True) == [40]
    assert ask("onset.ofType(dateTime)", focus, context="Condition", strict=True) == []
    assert ask("(abatement as dateTime) = @2020", focus, context="Condition", strict=True) == [True]
    assert ask("onset is Quantity", focus, context="Condition") == [True]


def test_an_age_in_an_extension_is_a_quantity_too() -> None:
    focus = {"resourceType": "Patient", "extension": [{"url": "u", "valueAge": value(40, "a")}]}

    assert ask("extension('u').value.ofType(Quantity).value", focus, context="Patient") == [40]


# quantities

UNITS = [
    ("41.5", "kg/m2", ">= 40 'kg/m2'", [True]),
    ("41500", "g/m2", ">= 40 'kg/m2'", [True]),
    ("41.5", "kg", ">= 40 'kg/m2'", []),
    ("7", "%", "> 53 'mmol/mol'", []),
    ("53", "mmol/mol", "< 7 '%'", []),
    ("53", "mmol/mol", ">= 53000 'umol/mol'", [True]),
    ("1", "[in_i]", "= 2.54 'cm'", [True]),
    ("1", "[lb_av]", "= 453.59237 'g'", [True]),
    ("1", "L", "= 1 'dm3'", [True]),
    ("1", "mL", "= 1 'cm3'", [True]),
    ("120", "mm[Hg]", "> 15.9 'kPa'", [True]),
    ("3", "{score}", ">= 3 '1'", [True]),
    ("3", "{score}", ">= 3 '{points}'", [True]),
    ("3", "10*9/L", "= 3 '10*3/uL'", [True]),
    ("37", "Cel", "> 98 '[degF]'", []),
    ("2", "h", "= 120 'min'", [True]),
    ("2", "h", "= 2 hours", [True]),
    ("1", "a", "= 1 year", []),
    ("1", "mo", "= 1 month", []),
    ("6", "wk", "= 42 days", [True]),
    ("1", "nonsense", "> 1 'kg'", []),
    ("5", "[IU]/L", "= 5 'U/L'", []),
    ("0.1", "kg", "= 100 'g'", [True]),
]


@pytest.mark.parametrize(("number", "code", "comparison", "expected"), UNITS)
def test_quantities_compare_only_when_they_measure_the_same_thing(
    number: str, code: str, comparison: str, expected: list[bool]
) -> None:
    focus = observation(value(float(number), code))

    assert ask(f"value.ofType(Quantity) {comparison}", focus, context="Observation", strict=True) == expected
    assert ask(f"value {comparison}", focus) == expected


def test_a_number_is_never_compared_with_a_quantity_that_has_a_unit() -> None:
    assert ask("value > 40", observation(value(41.5, "kg/m2"))) == []
    with pytest.raises(FhirPathTypeError, match="a unit with the number"):
        ask("value.ofType(Quantity) > 40", {}, context="Observation", strict=True)


def test_a_quantity_below_a_limit_of_detection_is_not_the_limit() -> None:
    focus = observation(value(5, "mg/L", comparator="<"))

    assert ask("value = 5 'mg/L'", focus, context="Observation") == []
    assert ask("value < 6 'mg/L'", focus, context="Observation") == []
    assert ask("value.exists()", focus, context="Observation") == [True]


def test_a_unit_of_no_known_system_is_only_its_own() -> None:
    local = {"value": 5, "unit": "kg/m2"}

    coded = {"value": 5, "system": "urn:local", "code": "kg/m2"}

    assert ask("value > 4 'kg/m2'", observation(local), context="Observation") == []
    assert ask("value > 4 'kg/m2'", observation(coded), context="Observation") == []
    assert ask("value > 4 'kg/m2'", observation({"value": 5, "code": "kg/m2"}), context="Observation") == []
    assert ask(
        "value = %other.value", observation(local), context="Observation", other=observation(local)
    ) == [True]


def test_calendar_months_are_no_number_of_days() -> None:
    assert ask("1 month = 30 days") == []
    assert ask("1 year = 12 months") == [True]
    assert ask("1 year ~ 1 'a'") == [True]
    assert ask("1 'a' > 364 days") == [True]


# dates

DATES = [
    ("@2018-03 < @2018-03-01", []),
    ("@2018-02 < @2018-03-01", [True]),
    ("@2018 = @2018-03", []),
    ("@2018 = @2017-03", [False]),
    ("@2018-03-01 = @2018-03-01T00:00:00", []),
    ("@2018-03-01T10:00:00 < @2018-03-01T10:00:00.5", [True]),
    ("@2018-03-01T10:00:00Z = @2018-03-01T12:00:00+02:00", [True]),
    ("@2018-03-01T10:00:00Z = @2018-03-01T10:00:00", []),
    ("@2018-03-01T10:00:00Z < @2018-03-01T10:00:00", []),
    ("@2018-03-01T10:00:00Z < @2018-03-03T10:00:00", [True]),
    ("@2018-03-01T10:00:00Z < @2018-03-01T22:00:00", []),
    ("@2018-03-01T10:00:00Z < @2018-03-02T00:00:00", []),
    ("@2018-03-01T10:00:00Z < @2018-03-02T00:00:01", [True]),
    ("@2018-03-01T10:00:00Z > @2018-02-28T22:00:00", []),
    ("@2018-03-01T10:00:00Z > @2018-02-28T21:59:59", [True]),
    ("@2018-03-01T10:00Z < @2018-03-01T10:00:30Z", []),
    ("@2018-03-01T10:00Z < @2018-03-01T12:00:30+01:00", [True]),
    ("@2018-03-01T10:00Z = @2018-03-01T11:00+01:00", [True]),
    ("now() > today()", []),
    ("now() > today() - 1 day", [True]),
    ("today() = @2026-06-30", [True]),
    ("now() = @2026-06-30T12:00:00Z", [True]),
    ("timeOfDay() = @T12:00:00.000", [True]),
    ("@T10:30 < @T10:30:00", []),
    ("@T10:30 < @T10:31:00", [True]),
    ("@2012-02-29 + 1 year = @2013-02-28", [True]),
    ("@2026-03-31 - 1 month = @2026-02-28", [True]),
    ("@2014 + 24 months = @2016", [True]),
    ("@2014-05 + 30 days = @2014-06", [True]),
    ("@2014-05 + 29 days = @2014-05", [True]),
    ("@2026-06-30 + 36 hours = @2026-07-01", [True]),
    ("@T23:30 + 1 hour = @T00:30", [True]),
    ("@2026-06-30T23:59:59+01:00 + 1 second = @2026-07-01T00:00:00+01:00", [True]),
    ("@9999-12-31 + 1 day", []),
    ("@0001-01-01 - 1 month", []),
]


@pytest.mark.parametrize(("text", "expected"), DATES)
def test_dates_are_compared_as_far_as_they_are_known(text: str, expected: list[bool]) -> None:
    assert ask(text) == expected


def test_a_moved_moment_keeps_its_offset_and_its_precision() -> None:
    found = ask("@2026-06-30T10:00+01:00 + 1 day")

    assert found == [DateTime((2026, 7, 1, 10, 0), 60)]
    assert str(found[0]) == "2026-07-01T10:00+01:00"


@pytest.mark.parametrize(
    ("zone", "expected"),
    [(UTC, [True]), (ZoneInfo("Europe/London"), []), (timezone(timedelta(hours=-5)), [True])],
)
def test_a_moment_is_set_against_a_day_in_the_zone_of_the_evaluation(zone: Any, expected: list[bool]) -> None:
    """Half past eleven at night in Greenwich is the next day in a British summer, and some time of a day is not decided."""
    focus = {"resourceType": "Procedure", "performedDateTime": "2026-06-29T23:30:00Z"}
    environment = Environment(NOW.astimezone(zone))

    found = ask(
        "performed.ofType(dateTime) < @2026-06-30", focus, context="Procedure", environment=environment
    )

    assert found == expected


@pytest.mark.parametrize(
    ("performed", "expected"),
    [
        ("2025-12-30", [True]),
        ("2025-12-29", [False]),
        ("2025-12", []),
        ("2025-11", [False]),
        ("2026", [True]),
        ("2025-12-30T00:00:00Z", []),
        ("2025-12-29T23:59:59Z", [False]),
        ("2025-12-31T00:00:00Z", [True]),
    ],
)
def test_the_edge_of_a_window(performed: str, expected: list[bool]) -> None:
    """A moment on the very day is not decided (N1 §6.2): compare days, or ask from the day before."""
    focus = {"resourceType": "Procedure", "performedDateTime": performed}

    found = ask("performed.ofType(dateTime) >= today() - 6 months", focus, context="Procedure", strict=True)

    assert found == expected


# variables and the right side that is not asked


class Record(Mapping[str, Any]):
    """A record of which some queries were not read; it counts what it was asked."""

    def __init__(self, read: dict[str, Any]) -> None:
        self.read = read
        self.asked: list[str] = []

    def __getitem__(self, name: str) -> Any:
        self.asked.append(name)
        if name not in self.read:
            raise QueryNotReadError(name, "the server did not answer")
        return self.read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read)

    def __len__(self) -> int:
        return len(self.read)


SPARED = [
    ("%read.exists() or %unread.exists()", [True]),
    ("%read.empty() and %unread.exists()", [False]),
    ("%read.empty() implies %unread.exists()", [True]),
    ("%read.exists() or %unread.exists() or %unread.empty()", [True]),
    ("iif(%read.exists(), 1, %unread)", [1]),
    ("iif(%read.empty(), %unread, 2)", [2]),
]


@pytest.mark.parametrize(("text", "expected"), SPARED)
def test_the_right_side_is_not_asked_when_the_left_decides(text: str, expected: list[Any]) -> None:
    record = Record({"read": bundle()})
    expression = compile_expression(text, variables={"read": "Bundle", "unread": "Bundle"}, strict=True)

    found = expression.evaluate({}, Environment(NOW, record))

    assert found == expected
    assert "unread" not in record.asked


@pytest.mark.parametrize(
    "text",
    [
        "%unread.exists()",
        "%read.empty() or %unread.exists()",
        "{} or %unread.exists()",
        "{} and %unread.exists()",
        "%read.exists() implies %unread.exists()",
        "%read.entry.where(%unread.exists()).exists() or %unread.exists()",
        "%unread.entry.count() > 1",
    ],
)
def test_an_unread_variable_raises_through_untouched(text: str) -> None:
    expression = compile_expression(text, variables={"read": "Bundle", "unread": "Bundle"}, strict=True)

    with pytest.raises(QueryNotReadError, match="the server did not answer"):
        expression.evaluate({}, Environment(NOW, Record({"read": bundle()})))


def test_a_variable_is_asked_each_time_it_is_evaluated() -> None:
    record = Record({"read": bundle({"resourceType": "Patient"})})
    expression = compile_expression("%read.exists() and %read.entry.exists()", variables={"read": "Bundle"})

    expression.evaluate({}, Environment(NOW, record))

    assert record.asked == ["read", "read"]


def test_a_declared_variable_without_a_value_is_an_error() -> None:
    expression = compile_expression("%a", variables={"a": None})

    with pytest.raises(FhirPathEvaluationError, match="%a has no value"):
        expression.evaluate({}, Environment(NOW))


def test_a_variable_of_another_resource_type_than_declared_is_an_error() -> None:
    outcome = {"resourceType": "OperationOutcome"}

    with pytest.raises(FhirPathEvaluationError, match="%found is a OperationOutcome, expected a Bundle"):
        ask("%found.entry.exists()", types={"found": "Bundle"}, found=outcome)


def test_the_expression_says_which_variables_it_uses_and_its_type() -> None:
    text = "%a.entry.exists() and %b = today() and %sct.exists() and %context.exists()"
    expression = compile_expression(text, variables={"a": "Bundle", "b": "date", "c": None})

    assert expression.variables == frozenset({"a", "b"})
    assert expression.type == "System.Boolean"
    assert compile_expression("name.given", context="Patient").type == "string"
    assert compile_expression("value", context="Observation").type is None


def test_the_focus_has_three_names_unless_the_environment_says_otherwise() -> None:
    patient = {"resourceType": "Patient", "id": "1"}
    expression = compile_expression("name.select(%resource.id | %rootResource.id | %context.id)")

    found = expression.evaluate(patient | {"name": [{}]}, Environment(NOW))
    other = expression.evaluate(
        patient | {"name": [{}]}, Environment(NOW, {"resource": {"resourceType": "Group", "id": "2"}})
    )

    assert (found, other) == (["1"], ["2", "1"])


# value sets and references


def members(url: str, system: str | None, code: str) -> bool:
    return (url, system, code) == ("urn:vs", "urn:s", "a")


CODED = [
    ({"coding": [{"system": "urn:s", "code": "b"}, {"system": "urn:s", "code": "a"}]}, [True]),
    ({"coding": [{"system": "urn:s", "code": "b"}]}, [False]),
    ({"coding": [{"system": "urn:t", "code": "a"}]}, [False]),
    ({"coding": [{"code": "a"}]}, [False]),
    ({"text": "a"}, []),
    ({"coding": [{"display": "a"}]}, []),
]


@pytest.mark.parametrize(("concept", "expected"), CODED)
@pytest.mark.parametrize("context", ["Condition", None])
def test_a_concept_is_a_member_when_any_of_its_codings_is(
    concept: dict[str, Any], expected: list[bool], context: str | None
) -> None:
    focus = {"resourceType": "Condition", "code": concept}
    environment = Environment(NOW, member_of=members)

    assert ask("code.memberOf('urn:vs')", focus, context=context, environment=environment) == expected


def test_member_of_needs_somewhere_to_look() -> None:
    focus = {"resourceType": "Condition", "code": {"coding": [{"code": "a"}]}}

    with pytest.raises(FhirPathEvaluationError, match="nothing to look value sets up in"):
        ask("code.memberOf('urn:vs')", focus, context="Condition")


def test_what_a_value_set_raises_passes_through() -> None:
    def unreadable(url: str, system: str | None, code: str) -> bool:
        raise QueryNotReadError(url, "not expanded")

    focus = {"resourceType": "Condition", "code": {"coding": [{"code": "a"}]}}
    with pytest.raises(QueryNotReadError):
        ask(
            "code.memberOf('u')",
            focus,
            context="Condition",
            environment=Environment(NOW, member_of=unreadable),
        )


def test_references_are_resolved_by_the_environment_and_dead_ones_left_out() -> None:
    patient = {"resourceType": "Patient", "id": "1", "birthDate": "1990-01-01"}
    environment = Environment(NOW, resolve=lambda reference: patient if reference == "Patient/1" else None)
    focus = {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/1"},
        "asserter": {"reference": "x/2"},
    }

    text = "(subject | asserter).resolve().ofType(Patient).birthDate"

    assert ask(text, focus, context="Condition", strict=True, environment=environment) == [Date((1990, 1, 1))]


# data that is not shaped like FHIR


@pytest.mark.parametrize(
    ("text", "focus"),
    [
        ("code.coding.exists(system = 'a')", {"code": "a code"}),
        ("code.coding.exists(system = 'a')", {"code": [{"coding": []}]}),
        ("code.coding.exists(system = 'a')", {"code": {"coding": ["a code"]}}),
        ("code.coding.exists(system = 'a')", {"code": {"coding": [{"system": ["a"]}]}}),
        ("code.coding.system = 'a'", {"code": {"coding": [None]}}),
        ("code.memberOf('u')", {"code": "a code"}),
        ("code.memberOf('u')", {"code": {"coding": ["a code"]}}),
        ("code.coding.memberOf('u')", {"code": {"coding": ["a code"]}}),
        ("onset.ofType(dateTime) > today()", {"onsetDateTime": "last year"}),
        ("recordedDate > today()", {"recordedDate": "2026-13-01"}),
        ("recordedDate > today()", {"recordedDate": 2026}),
        ("onset.ofType(Age) > 1 'a'", {"onsetAge": {"value": "40"}}),
    ],
)
def test_data_that_is_not_shaped_like_fhir_is_an_error_and_never_an_absence(text: str, focus: Any) -> None:
    if isinstance(focus, dict):
        focus["resourceType"] = "Condition"

    with pytest.raises(FhirPathEvaluationError, match="in the data, expected"):
        ask(text, focus, context="Condition", environment=Environment(NOW, member_of=members))


@pytest.mark.parametrize("context", ["Condition", None])
def test_two_values_where_fhir_has_one_are_an_error(context: str | None) -> None:
    focus = {"resourceType": "Condition", "onsetString": "young", "onsetDateTime": "1990"}

    with pytest.raises(FhirPathEvaluationError, match="found 2 items, expected at most one"):
        ask("Condition.where(onset = 'young').exists()", focus, context=context)


def test_bad_data_is_blamed_on_the_path_that_met_it() -> None:
    with pytest.raises(FhirPathEvaluationError) as raised:
        ask(
            "true and code.coding.exists(system = 'a')",
            {"resourceType": "Condition", "code": "x"},
            context="Condition",
        )

    assert raised.value.position == len("true and code.")


def test_a_focus_of_another_type_than_declared_is_an_error() -> None:
    with pytest.raises(FhirPathEvaluationError, match="the focus is a Patient, expected a Condition"):
        ask("onset.exists()", {"resourceType": "Patient"}, context="Condition")
    with pytest.raises(FhirPathEvaluationError, match=r"the focus is a System.String, expected a Condition"):
        ask("onset.exists()", ["Condition"], context="Condition")


def test_a_message_never_holds_what_the_record_says() -> None:
    focus = {"resourceType": "Condition", "recordedDate": "secret", "note": [{"text": "secret"}]}

    with pytest.raises(FhirPathEvaluationError) as raised:
        ask("recordedDate > today()", focus, context="Condition")

    assert "secret" not in str(raised.value)


# nothing remembered, nothing changed

RECORD = {
    "resourceType": "Patient",
    "name": [{"given": ["A", "B"], "_given": [None, {"id": "x"}]}, {"family": "C"}],
    "contact": [{"name": {"family": "D"}}],
    "multipleBirthInteger": 2,
}
TOUCHING = [
    "name.given | name.family",
    "descendants().count()",
    "name.given.combine(name.given).distinct()",
    "name.tail().skip(0).take(5)",
    "name.sort(family)",
    "repeat(children())",
    "name.given.exclude('A')",
    "multipleBirth.ofType(integer) + 1",
    "(1 | 2 | 3).aggregate($this + $total, 0)",
    "name.select($index)",
    "name.where($index = 1).family",
]


@pytest.mark.parametrize("text", TOUCHING)
def test_the_input_is_never_changed(text: str) -> None:
    focus = copy.deepcopy(RECORD)

    found = ask(text, focus)
    found.clear()

    assert focus == RECORD


def test_a_result_may_be_changed_without_changing_the_data() -> None:
    focus = copy.deepcopy(RECORD)

    ask("name", focus, context="Patient").clear()

    assert focus == RECORD


def test_the_result_does_not_depend_on_what_ran_before() -> None:
    alone = {text: compile_expression(text).evaluate(RECORD, Environment(NOW)) for text in TOUCHING}
    expressions = {text: compile_expression(text) for text in reversed(TOUCHING)}

    for day in (NOW, NOW + timedelta(days=400), NOW):
        for text, expression in expressions.items():
            assert expression.evaluate(RECORD, Environment(day)) == alone[text]


def test_now_is_read_anew_in_each_evaluation() -> None:
    expression = compile_expression("today() - 1 day | now()")

    first, second = (expression.evaluate({}, Environment(NOW + timedelta(days=days))) for days in (0, 1))

    assert [str(found) for found in first] == ["2026-06-29", "2026-06-30T12:00:00.000Z"]
    assert [str(found) for found in second] == ["2026-06-30", "2026-07-01T12:00:00.000Z"]


def test_one_expression_serves_many_threads() -> None:
    expression = compile_expression(
        "%b.entry.resource.ofType(Patient).where($index = 3 or id = 'p7').select($index.toString() & id)",
        variables={"b": "Bundle"},
    )
    failed: list[Any] = []

    def evaluate(number: int) -> None:
        patients = [{"resourceType": "Patient", "id": f"p{each + number}"} for each in range(10)]
        expected = [
            "0" + patients[3]["id"],
            *([f"1p{7}"] if 0 <= 7 - number < 10 and 7 - number != 3 else []),
        ]
        for _ in range(50):
            found = expression.evaluate({}, Environment(NOW, {"b": bundle(*patients)}))
            if sorted(text[1:] for text in found) != sorted(text[1:] for text in expected):
                failed.append((number, found, expected))

    threads = [threading.Thread(target=evaluate, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failed == []


def test_an_index_is_that_of_the_loop_it_stands_in() -> None:
    found = ask("(10 | 20).select($index | ('a' | 'b' | 'c').select($index + 100) | ($index + 1000))")

    assert found == [0, 100, 101, 102, 1000, 1, 100, 101, 102, 1001]


# work without end


def test_the_budget_ends_an_expression_that_looks_at_too_much() -> None:
    many = bundle(*({"resourceType": "Patient", "id": str(number)} for number in range(300)))
    text = "%b.entry.where(%b.entry.where(%b.entry.resource.id.exists()).exists()).exists()"

    with pytest.raises(FhirPathBudgetError, match="used more than 1000 steps"):
        ask(text, environment=Environment(NOW, {"b": many}, steps=1000), b=many)


@pytest.mark.parametrize(
    "text",
    [
        "%b.descendants().select(%b.descendants())",
        "%b.descendants().where(%b.descendants().empty())",
        "%b.descendants().all(%b.descendants().exists())",
        "%b.descendants().exists(%b.descendants().empty())",
        "%b.repeat(descendants() | %b.descendants())",
        "('a' | 'b').repeat($this & 'x')",
        "%b.descendants().aggregate($total | %b.descendants())",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'.select(replace('', $this)).select(replace('', $this)).select(replace('', $this))",
        "%b.entry.sort(%b.entry.resource.id.first())",
        "%b.entry.resource.children().intersect(%b.descendants())",
    ],
)
def test_no_function_escapes_the_budget(text: str) -> None:
    many = bundle(*({"resourceType": "Patient", "id": str(number)} for number in range(200)))
    begin = time.perf_counter()

    with pytest.raises(FhirPathEvaluationError, match=r"steps|characters"):
        ask(text, environment=Environment(NOW, {"b": many}, steps=400), b=many)

    assert time.perf_counter() - begin < 1


def test_the_budget_counts_what_exists_looks_at() -> None:
    codings = [{"code": "a"}] * 10_000
    many = bundle({"resourceType": "Condition", "code": {"coding": codings}})
    text = "%b.entry.resource.ofType(Condition).where(code.coding.exists(code = 'b')).count()"
    expression = compile_expression(text, variables={"b": "Bundle"}, strict=True)

    assert expression.evaluate({}, Environment(NOW, {"b": many}, steps=11_000)) == [0]
    with pytest.raises(FhirPathBudgetError):
        expression.evaluate({}, Environment(NOW, {"b": many}, steps=9_000))


def test_a_regular_expression_takes_time_linear_in_the_text() -> None:
    text = "a" * 5000 + "!"
    begin = time.perf_counter()

    assert ask("%long.matches('^(a+)+$')", long=text) == [False]
    assert ask("%long.replaceMatches('(a*)*b', 'x')", long=text) == [text]

    assert time.perf_counter() - begin < 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("'2026-06-30'.replaceMatches('([0-9]+)-([0-9]+)-([0-9]+)', '$3/$2/$1')", ["30/06/2026"]),
        ("'a.b'.replaceMatches('[.]', '$$')", ["a$b"]),
        ("'naïve'.matches('^na.ve$')", [True]),
        ("'abc'.matchesFull('ab')", [False]),
        ("'abc'.matches('ab')", [True]),
    ],
)
def test_regular_expressions_match_and_replace(text: str, expected: list[Any]) -> None:
    assert ask(text) == expected


def test_a_union_of_two_thousand_items_compiles_and_runs() -> None:
    text = " | ".join(str(number % 1500) for number in range(2000))

    assert len(ask(text)) == 1500
    assert ask(" or ".join(["false"] * 2000 + ["true"])) == [True]


def test_deep_data_is_walked_without_recursion() -> None:
    item: dict[str, Any] = {"linkId": "0"}
    for number in range(1, 3000):
        item = {"linkId": str(number), "item": [item]}
    form = {"resourceType": "Questionnaire", "item": [item]}

    assert ask("descendants().ofType(string).count()", form, context="Questionnaire") == [3000]
    with pytest.raises(FhirPathEvaluationError, match="nested more than 200 levels"):
        ask("item.isDistinct()", form, context="Questionnaire")


def test_expressions_nest_a_hundred_levels_and_no_more() -> None:
    assert ask("(" * 95 + "1" + ")" * 95) == [1]
    assert ask("iif(true, " * 60 + "1" + ")" * 60) == [1]


def test_results_are_the_same_after_a_json_round_trip() -> None:
    focus = observation(value(0.1, "kg"))

    assert ask("value.value + 0.2", json.loads(json.dumps(focus)), context="Observation") == [Decimal("0.3")]


def test_exported_values_print_as_fhir_writes_them() -> None:
    printed = [str(found) for found in (Date((2026, 6)), DateTime((2026, 6, 30, 9, 5), 60), Time((9, 5)))]

    assert printed == ["2026-06", "2026-06-30T09:05+01:00", "09:05"]
    assert str(Quantity(Decimal("1.50"), "kg/m2")) == "1.50 'kg/m2'"
    assert str(Quantity(Decimal(2), "day", is_calendar=True)) == "2 days"


def test_the_moment_of_an_evaluation_must_have_a_zone() -> None:
    naive = datetime(2026, 6, 30)  # noqa: DTZ001 - that is the point

    with pytest.raises(FhirPathEvaluationError, match="expected an aware datetime"):
        ask("1", environment=Environment(naive))
