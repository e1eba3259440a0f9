"""Expressions and records made at random: where fhirpathpy and fhirpathrs agree, we agree with them.

Each of the two has faults of its own, so one alone proves nothing; what both say is taken for true, with these exceptions, where
both differ from the specification and nothing of the kind is made:

- a quantity beside a number, and the order of dates of different precision (both decide what cannot be decided);
- a primitive that has only extensions (neither knows the sibling ``_name``);
- strings compared with ``~`` (fhirpathrs keeps case and spacing), and ``&`` on collections of several strings.

Where only one of them agrees with us, or they raise, nothing is claimed: the official suite and test_traps speak there.
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
RECORD = st.lists(PATIENT | CONDITION | OBSERVATION, max_size=5).map(
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


@st.composite
def text_collection(draw: st.DrawFn, of: str, depth: int) -> str:
    found = draw(st.sampled_from(STRINGS[of]))
    if depth and draw(st.booleans()):
        found += draw(
            st.sampled_from(
                [
                    ".distinct()",
                    ".tail()",
                    ".skip(1)",
                    ".take(2)",
                    ".where($this = 'a')",
                    ".where($this != 'a')",
                ]
                + [
                    ".select($this & 'x')",
                    ".exclude('a')",
                    ".intersect('a' | 'b')",
                    ".combine('a')",
                    ".union('b')",
                ]
            )
        )
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


@st.composite
def truth(draw: st.DrawFn, of: str, depth: int) -> str:
    kinds = ["exists", "empty", "equal", "same", "number", "in", "text"]
    if of in DATES:
        kinds.append("date")
    if depth:
        kinds += ["logic", "logic", "logic", "not", "where", "where", "all", "iif"]
    kind = draw(st.sampled_from(kinds))
    match kind:
        case "equal":
            return f"({draw(text(of, depth))} {draw(st.sampled_from(['=', '!=']))} {draw(text(of, depth))})"
        case "same":
            return f"({draw(text_collection(of, depth))} = {draw(text_collection(of, depth))})"
        case "number":
            operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
            return f"({draw(number(of, depth))} {operator} {draw(number(of, depth))})"
        case "in":
            return f"({draw(text(of, 0))} in {draw(text_collection(of, depth))})"
        case "text":
            asked = draw(st.sampled_from(["startsWith", "endsWith", "contains"]))
            return f"{draw(text(of, depth))}.{asked}({draw(st.sampled_from(LITERALS))})"
        case "date":
            operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">="]))
            return f"({draw(st.sampled_from(DATES[of]))} {operator} @{draw(DAYS)})"
        case "logic":
            operator = draw(st.sampled_from(["and", "or", "xor", "implies"]))
            return f"({draw(truth(of, depth - 1))} {operator} {draw(truth(of, depth - 1))})"
        case "not":
            return f"{draw(truth(of, depth - 1))}.not()"
        case "iif":
            return f"iif({draw(truth(of, depth - 1))}, {draw(truth(of, 0))}, {draw(truth(of, 0))})"
        case "where" | "all" if of in ELEMENTS:
            path, type_ = draw(st.sampled_from(ELEMENTS[of]))
            criteria = draw(truth(type_, depth - 1))
            return f"{path}.all({criteria})" if kind == "all" else f"{path}.where({criteria}).exists()"
    return f"{draw(text_collection(of, depth))}.{'empty' if kind == 'empty' else 'exists'}()"


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
