"""``%factory.Coding(system, code, display)``: a Coding made in an expression."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.errors import FhirPathEvaluationError, FhirPathTypeError
from cds_service.fhirpath import Environment, compile_expression
from tests.fhirpath.asking import NOW, ask

SYSTEM = "https://example.org/colours"


def made(code: str, **more: str) -> dict[str, str]:
    return {"system": SYSTEM, "code": code, **more}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"%factory.Coding('{SYSTEM}', 'red')", [made("red")]),
        (f"%factory.Coding('{SYSTEM}', 'red', 'Red')", [made("red", display="Red")]),
        (f"%factory.Coding('{SYSTEM}', 'red', {{}})", [made("red")]),
        (f"%factory.Coding('{SYSTEM}', 'red', '')", [made("red")]),
        ("%factory.Coding({}, 'red')", [{"code": "red"}]),
        (f"%factory.Coding('{SYSTEM}', {{}})", []),
        (f"%factory.Coding('{SYSTEM}', '', 'Red')", []),
        (f"iif(false, %factory.Coding('{SYSTEM}', 'red'))", []),
        (f"(%factory).Coding('{SYSTEM}', 're' & 'd')", [made("red")]),
    ],
)
def test_a_coding_has_the_parts_that_are_given_and_is_none_without_a_code(
    text: str, expected: list[Any]
) -> None:
    assert ask(text) == expected
    assert ask(text, strict=True) == expected


@pytest.mark.parametrize(("declared"), [None, "System.String", "code"])
def test_every_code_of_a_collection_becomes_a_coding(declared: str | None) -> None:
    text = f"%codes.select(%factory.Coding('{SYSTEM}', $this))"

    assert ask(text, types={"codes": declared}, codes=["red", "blue"]) == [made("red"), made("blue")]
    assert ask(text, types={"codes": declared}, codes=[]) == []


def test_its_arguments_are_asked_of_the_focus_around_the_call() -> None:
    patient = {"resourceType": "Patient", "gender": "female"}

    found = ask(f"%factory.Coding('{SYSTEM}', gender)", patient, context="Patient", strict=True)

    assert found == [made("female")]


def test_what_is_made_is_a_coding_whose_elements_can_be_asked_for() -> None:
    text = f"%factory.Coding('{SYSTEM}', 'red')"
    asked = Environment(NOW, member_of=lambda url, system, code: (url, system, code) == ("x", SYSTEM, "red"))

    assert compile_expression(text, strict=True).type == "Coding"
    assert compile_expression(f"iif(true, {text}, {text})", strict=True).type == "Coding"
    assert ask(f"{text}.system", strict=True) == [SYSTEM]
    assert ask(f"{text} is Coding and ({text} = {text})", strict=True) == [True]
    assert ask(f"{text} = %factory.Coding('{SYSTEM}', 'blue')", strict=True) == [False]
    assert ask(f"{text}.memberOf('x')", strict=True, environment=asked) == [True]
    assert ask(f"(%given | {text}).count()", types={"given": "Coding"}, given=made("red")) == [1]


@pytest.mark.parametrize(
    ("text", "position", "message"),
    [
        ("%factory", 0, "%factory is no value, expected one of its functions"),
        ("%factory.exists()", 9, r"unknown function %factory.exists\(\), expected one of Coding"),
        ("%factory.code", 0, "%factory is no value"),
        ("%factory[0]", 0, "%factory is no value"),
        ("%factory | 1", 0, "%factory is no value"),
        ("%factory.first().Coding('a', 'b')", 17, "unknown function Coding"),
        (
            "%factory.Extension('a', 'b')",
            9,
            r"unknown function %factory.Extension\(\), expected one of Coding",
        ),
        ("%factory.coding('a', 'b')", 9, "did you mean Coding"),
        ("Coding('a', 'b')", 0, r"unknown function Coding\(\)"),
        ("%factry", 0, "undefined variable %factry, did you mean factory"),
        ("%factory.Coding('a')", 9, r"%factory.Coding\(\) has 1 arguments, expected 2 to 3"),
        ("%factory.Coding('a', 'b', 'c', 'd')", 9, r"%factory.Coding\(\) has 4 arguments, expected 2 to 3"),
        ("%factory.Coding(1, 'b')", 16, "found System.Integer, expected a string"),
        ("%factory.Coding('a', true)", 21, "found System.Boolean, expected a string"),
        ("%factory.Coding('a', %codes)", 21, "found Coding, expected a string"),
        ("%factory.Coding('a', 'b', today())", 26, "found System.Date, expected a string"),
        ("%factory.Coding('a', 'b').cde", 26, "cde is no element of Coding, did you mean code"),
    ],
)
def test_anything_but_a_coding_of_strings_is_refused(text: str, position: int, message: str) -> None:
    with pytest.raises(FhirPathTypeError, match=message) as raised:
        compile_expression(text, variables={"codes": "Coding"}, strict=True)

    assert raised.value.position == position


@pytest.mark.parametrize(
    ("codes", "message"), [(["red", "blue"], "found 2 items"), (7, "found System.Integer, expected a string")]
)
def test_data_that_is_no_single_string_is_an_error(codes: Any, message: str) -> None:
    with pytest.raises(FhirPathEvaluationError, match=message):
        ask(f"%factory.Coding('{SYSTEM}', %codes)", codes=codes)


def test_a_variable_that_is_declared_under_the_name_is_that_variable() -> None:
    assert ask("%factory.code", types={"factory": "Coding"}, factory=made("red")) == ["red"]
    assert ask("%factory.exists()", types={"factory": "Coding"}, factory=made("red")) == [True]
