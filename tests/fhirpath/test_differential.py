"""Expressions and records made at random: where fhirpathpy and fhirpathrs agree, we agree with them.

Each of the two has faults of its own, so one alone proves nothing; what both say is taken for true. One exception is known, so
nothing of the kind is made: of a Quantity in kg/m2 and the number 41 both say that they are not equal, where the specification
says empty. Not made either, because they differ there from each other: ``_name`` siblings and ``~`` (fhirpathrs knows no sibling
and keeps case), moments with and without an offset (fhirpathpy decides), units and calendar units (one or the other raises).
The official suite and test_traps speak of those.
"""

from __future__ import annotations

import copy
from collections import Counter
from decimal import Decimal
from typing import Any

import fhirpathpy
import fhirpathrs
from fhirpathpy.models import models
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from cds_service.errors import FhirPathError
from tests.fhirpath.asking import ask

# records

CODES = st.sampled_from(["a", "b", "c"])
WORDS = st.sampled_from(["Ann", "Bob", "ann", "Cy", ""])
DAYS = st.dates().map(lambda day: day.replace(year=2020 + day.year % 3, day=1 + day.day % 5).isoformat())


def some(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=1, max_size=3)


def element(**parts: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An element in which any part may be missing."""
    return st.fixed_dictionaries({}, optional=parts)


CODING = element(system=CODES, code=CODES, display=WORDS.filter(bool))
CONCEPT = element(coding=some(CODING), text=WORDS.filter(bool))
NAME = element(use=CODES, family=WORDS.filter(bool), given=some(WORDS.filter(bool)))
PATIENT = element(
    id=CODES,
    active=st.booleans(),
    gender=CODES,
    birthDate=DAYS,
    name=some(NAME),
    maritalStatus=CONCEPT,
    multipleBirthInteger=st.integers(0, 4),
).map(lambda found: {"resourceType": "Patient", **found})
CONDITION = element(
    id=CODES,
    clinicalStatus=CONCEPT,
    code=CONCEPT,
    category=some(CONCEPT),
    recordedDate=DAYS,
).map(lambda found: {"resourceType": "Condition", **found})
OBSERVATION = element(
    id=CODES,
    status=CODES,
    code=CONCEPT,
    category=some(CONCEPT),
    component=some(element(code=CONCEPT)),
).map(lambda found: {"resourceType": "Observation", **found})
RECORD = st.lists(PATIENT | CONDITION | OBSERVATION, min_size=2, max_size=8).map(
    lambda resources: {
        "resourceType": "Bundle",
        "type": "searchset",
        "entry": [{"resource": each} for each in resources],
    }
)

# expressions, by the type of what they yield and of what they are asked of

STRINGS = {
    "Patient": [
        "id",
        "gender",
        "name.use",
        "name.family",
        "name.given",
        "maritalStatus.coding.code",
        "maritalStatus.text",
    ],
    "Condition": [
        "id",
        "code.text",
        "code.coding.code",
        "code.coding.system",
        "category.coding.code",
        "clinicalStatus.text",
    ],
    "Observation": [
        "id",
        "status",
        "code.coding.code",
        "category.coding.system",
        "component.code.coding.code",
    ],
    "Coding": ["system", "code", "display"],
    "CodeableConcept": ["text", "coding.code", "coding.system"],
    "HumanName": ["use", "family", "given"],
}
DATES = {"Patient": ["birthDate"], "Condition": ["recordedDate"]}
ELEMENTS = {
    "Patient": [("name", "HumanName"), ("maritalStatus", "CodeableConcept")],
    "Condition": [("code", "CodeableConcept"), ("category", "CodeableConcept"), ("code.coding", "Coding")],
    "Observation": [
        ("category", "CodeableConcept"),
        ("component.code", "CodeableConcept"),
        ("code.coding", "Coding"),
    ],
    "CodeableConcept": [("coding", "Coding")],
}
LITERALS = ["'a'", "'b'", "'Ann'", "''", "'bob'"]

SELECTIONS = [".distinct()", ".tail()", ".skip(1)", ".take(2)", ".where($this = 'a')", ".where($this != 'a')"]
SELECTIONS += [
    ".select($this & 'x')",
    ".exclude('a')",
    ".intersect('a' | 'b')",
    ".combine('a')",
    ".union('b')",
]


@st.composite
def text_collection(draw: st.DrawFn, of: str, depth: int) -> str:
    found = draw(st.sampled_from(STRINGS[of]))
    if depth and draw(st.booleans()):
        found += draw(st.sampled_from(SELECTIONS))
    return found


@st.composite
def text(draw: st.DrawFn, of: str, depth: int) -> str:
    kind = draw(st.sampled_from(["literal", "first", "last", "indexed", "changed", "joined"]))
    collection = draw(text_collection(of, depth))
    match kind:
        case "literal":
            return draw(st.sampled_from(LITERALS))
        case "indexed":
            return f"{collection}[{draw(st.integers(0, 2))}]"
        case "changed":
            change = draw(
                st.sampled_from(
                    ["upper()", "lower()", "substring(1)", "substring(0, 1)", "replace('a', 'b')"]
                )
            )
            return f"{collection}.first().{change}"
        case "joined":
            return f"({collection}.first() & {draw(st.sampled_from(LITERALS))})"
    return f"{collection}.{kind}()"


@st.composite
def number(draw: st.DrawFn, of: str, depth: int) -> str:
    kind = draw(st.sampled_from(["literal", "count", "length", "sum", "quotient"]))
    match kind:
        case "literal":
            return draw(st.sampled_from(["0", "1", "2", "1.5"]))
        case "count":
            return f"{draw(text_collection(of, depth))}.count()"
        case "length":
            return f"{draw(text(of, 0))}.length()"
        case "sum":
            operator = draw(st.sampled_from(["+", "-", "*"]))
            return f"({draw(number(of, 0))} {operator} {draw(number(of, 0))})"
    return f"({draw(number(of, 0))} {draw(st.sampled_from(['div', 'mod']))} 2)"


EQUALS = st.sampled_from(["=", "!="])
ORDERS = st.sampled_from(["=", "!=", "<", "<=", ">", ">="])
CONNECTIVES = st.sampled_from(["and", "or", "xor", "implies"])
ASKED_OF_TEXT = st.sampled_from(["startsWith", "endsWith", "contains"])
LITERAL = st.sampled_from(LITERALS)


@st.composite
def plain_truth(draw: st.DrawFn, of: str, depth: int) -> str:
    """A criterion without another inside."""
    made = {
        "equal": lambda: f"({draw(text(of, depth))} {draw(EQUALS)} {draw(text(of, depth))})",
        "same": lambda: f"({draw(text_collection(of, depth))} = {draw(text_collection(of, depth))})",
        "number": lambda: f"({draw(number(of, depth))} {draw(ORDERS)} {draw(number(of, depth))})",
        "in": lambda: f"({draw(text(of, 0))} in {draw(text_collection(of, depth))})",
        "text": lambda: f"{draw(text(of, depth))}.{draw(ASKED_OF_TEXT)}({draw(LITERAL)})",
        "exists": lambda: f"{draw(text_collection(of, depth))}.exists()",
        "empty": lambda: f"{draw(text_collection(of, depth))}.empty()",
    }
    if of in DATES:
        made["date"] = lambda: f"({draw(st.sampled_from(DATES[of]))} {draw(ORDERS)} @{draw(DAYS)})"
    return made[draw(st.sampled_from(sorted(made)))]()


@st.composite
def truth(draw: st.DrawFn, of: str, depth: int) -> str:
    """A criterion, with others inside while there is depth left."""
    if not depth or draw(st.integers(0, 2)) == 0:
        return draw(plain_truth(of, depth))
    inner = truth(of, depth - 1)
    made = {
        "logic": lambda: f"({draw(inner)} {draw(CONNECTIVES)} {draw(inner)})",
        "not": lambda: f"{draw(inner)}.not()",
        "iif": lambda: f"iif({draw(inner)}, {draw(inner)}, {draw(inner)})",
    }
    if of in ELEMENTS:
        path, type_ = draw(st.sampled_from(ELEMENTS[of]))
        below = truth(type_, depth - 1)
        made["where"] = lambda: f"{path}.where({draw(below)}).exists()"
        made["all"] = lambda: f"{path}.all({draw(below)})"
    return made[draw(st.sampled_from(sorted(made)))]()


@st.composite
def expression(draw: st.DrawFn) -> str:
    """Something asked of the resources of one type, and of what is found of them."""
    of = draw(st.sampled_from(["Patient", "Condition", "Observation"]))
    resources = f"entry.resource.ofType({of})"
    selected = f"{resources}.where({draw(truth(of, 2))})" if draw(st.booleans()) else resources
    kind = draw(st.sampled_from(["exists", "count", "ids", "texts", "all", "select"]))
    match kind:
        case "ids":
            return f"{selected}.id"
        case "texts":
            return f"{selected}.{draw(text_collection(of, 0))}"
        case "all":
            return f"{selected}.all({draw(truth(of, 1))})"
        case "select":
            return f"{selected}.select({draw(truth(of, 1))})"
    return f"{selected}.{kind}()"


# the three answers

RAISED = "raised"


def plain(found: Any) -> Any:
    """Results as JSON has them, so that three libraries can be set side by side."""
    if found is None:
        return []
    values = found if isinstance(found, list) else [found]
    return [
        float(each)
        if isinstance(each, Decimal)
        else each
        if isinstance(each, bool | int | float)
        else str(each)
        for each in values
    ]


def by_python(text_: str, record: dict[str, Any]) -> Any:
    try:
        return plain(fhirpathpy.evaluate(copy.deepcopy(record), text_, {}, models["r4"]))
    except Exception:  # noqa: BLE001 - it raises Exception itself, for whatever it does not like
        return RAISED


def by_rust(text_: str, record: dict[str, Any]) -> Any:
    try:
        return plain(fhirpathrs.evaluate(text_, record))
    except (ValueError, RuntimeError):
        return RAISED


def ours(text_: str, record: dict[str, Any], *, context: str | None, strict: bool) -> Any:
    try:
        return plain(ask(text_, record, context=context, strict=strict))
    except FhirPathError as error:
        return f"{RAISED}: {error}"


@settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
)
@given(text_=expression(), record=RECORD)
def test_where_the_two_others_agree_we_agree_with_them(text_: str, record: dict[str, Any]) -> None:
    before = copy.deepcopy(record)
    python, rust = by_python(text_, record), by_rust(text_, record)

    typed = ours(text_, record, context="Bundle", strict=True)
    untyped = ours(text_, record, context=None, strict=False)

    assert record == before
    assert typed == untyped
    event("agreed" if python == rust != RAISED else "not agreed")
    if python == rust != RAISED:
        assert typed == python


def test_the_two_others_agree_often_enough_for_this_to_mean_something() -> None:
    agreed: Counter[bool] = Counter()

    @settings(max_examples=100, database=None, suppress_health_check=list(HealthCheck))
    @given(text_=expression(), record=RECORD)
    def look(text_: str, record: dict[str, Any]) -> None:
        python, rust = by_python(text_, record), by_rust(text_, record)
        agreed[python == rust != RAISED] += 1

    look()

    assert agreed[True] > agreed[False]
