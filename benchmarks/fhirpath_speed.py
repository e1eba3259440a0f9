"""How long policy-like expressions take: ours beside fhirpathpy and fhirpathrs, in the same run on the same data.

    python benchmarks/fhirpath_speed.py [--sizes 5 20 100 1000]

Each time is the median of several rounds, in milliseconds, of evaluating an expression that is already compiled on data
that is already parsed. The record is made here: Conditions of two codings each and Observations with a body mass index,
where only the last resource meets the criterion, so that nobody profits from stopping early. memberOf is given to
fhirpathpy as a function of its own; fhirpathrs has no place for one. A library that raises, or does not answer true, has
no time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import fhirpathpy
import fhirpathrs
from fhirpathpy.models import models

from cds_service.fhirpath import Environment, compile_expression

SNOMED, ICD10 = "http://snomed.info/sct", "http://hl7.org/fhir/sid/icd-10"
VALUE_SET = "https://example.org/ValueSet/osteoarthritis"
MEMBERS = frozenset({(SNOMED, "239873007")})
NOW = datetime.now(UTC)
RECENT = (NOW - timedelta(days=30)).isoformat(timespec="seconds")

CONDITIONS = "%conditions.entry.resource.ofType(Condition)"
OBSERVATIONS = "%observations.entry.resource.ofType(Observation)"
EXPRESSIONS = {
    "coding by system and code": (
        f"{CONDITIONS}.where(code.coding.where(system='{SNOMED}' and code='239873007').exists()).exists()"
    ),
    "coding, exists(criteria)": (
        f"{CONDITIONS}.exists(code.coding.exists(system='{SNOMED}' and code='239873007'))"
    ),
    "code among the codings": f"{CONDITIONS}.where('239873007' in code.coding.code).exists()",
    "memberOf a value set": f"{CONDITIONS}.where(code.memberOf('{VALUE_SET}')).exists()",
    "active and a code": (
        f"{CONDITIONS}.where(clinicalStatus.coding.exists(code='active')"
        " and code.coding.exists(code='239873007')).exists()"
    ),
    "onset in the last six months": (
        f"{CONDITIONS}.where(onset.ofType(dateTime) >= today() - 6 months).exists()"
    ),
    "body mass index with its unit": (
        f"{OBSERVATIONS}.where(code.coding.exists(code='39156-5') and value.ofType(Quantity) >= 40 'kg/m2').exists()"
    ),
    "latest value": f"{OBSERVATIONS}.where(status = 'final').last().value.ofType(Quantity).value >= 40",
}
ROUNDS = 7
SHORTEST = 0.02
"""Seconds that a round lasts at least."""


def condition(number: int, *, is_last: bool) -> dict[str, Any]:
    """A knee osteoarthritis if it is the last, otherwise something else; onset within six months likewise."""
    snomed = "239873007" if is_last else str(100000000 + number)
    return {
        "resourceType": "Condition",
        "id": f"c{number}",
        "clinicalStatus": {
            "coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
            ]
        },
        "code": {
            "coding": [{"system": ICD10, "code": "M17.1"}, {"system": SNOMED, "code": snomed}],
            "text": "a condition",
        },
        "subject": {"reference": "Patient/1"},
        "onsetDateTime": RECENT if is_last else "2019-03-01T10:00:00Z",
    }


def observation(number: int, *, is_last: bool) -> dict[str, Any]:
    """A body mass index, above 40 if it is the last."""
    value = 41.5 if is_last else 24.5
    return {
        "resourceType": "Observation",
        "id": f"o{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "39156-5"}]},
        "effectiveDateTime": RECENT,
        "valueQuantity": {
            "value": value,
            "unit": "kg/m2",
            "system": "http://unitsofmeasure.org",
            "code": "kg/m2",
        },
    }


def bundle(build: Callable[..., dict[str, Any]], size: int) -> dict[str, Any]:
    """A searchset Bundle of ``size`` resources."""
    entries = [{"resource": build(number, is_last=number == size - 1)} for number in range(size)]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}


def median(run: Callable[[], object]) -> float:
    """Milliseconds a call, the median of the rounds."""
    calls, seconds = 1, 0.0
    while seconds < SHORTEST:
        begin = time.perf_counter()
        for _ in range(calls):
            run()
        seconds = time.perf_counter() - begin
        calls *= 2
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(calls // 2 or 1):
            run()
        times.append((time.perf_counter() - begin) / (calls // 2 or 1))
    return statistics.median(times) * 1000


def ours(text: str, data: dict[str, Any]) -> Callable[[], object]:
    """Compiled strictly, as policies are."""
    expression = compile_expression(text, variables=dict.fromkeys(data, "Bundle"), strict=True)
    environment = Environment(NOW, data, member_of=lambda _url, system, code: (system, code) in MEMBERS)
    return lambda: expression.evaluate({}, environment)


def pythons(text: str, data: dict[str, Any]) -> Callable[[], object]:
    """fhirpathpy, with memberOf as a function of the user's."""

    def member_of(concepts: list[Any], _url: object) -> bool:
        plain = (getattr(concept, "data", concept) for concept in concepts)
        codings = (coding for concept in plain for coding in concept["coding"])
        return any((coding["system"], coding["code"]) in MEMBERS for coding in codings)

    options = {"userInvocationTable": {"memberOf": {"fn": member_of, "arity": {1: ["String"]}}}}
    run = fhirpathpy.compile(text, models["r4"], options)
    return lambda: run({}, data)


def rusts(text: str, data: dict[str, Any]) -> Callable[[], object]:
    """fhirpathrs, which reads text and data anew each time: it has no compiled form."""
    return lambda: fhirpathrs.evaluate(text, {}, data)


def timed(
    build: Callable[[str, dict[str, Any]], Callable[[], object]], text: str, data: dict[str, Any]
) -> float | None:
    """None when the library cannot do it, or gives another answer than true."""
    try:
        run = build(text, data)
        found = run()
    except Exception as error:  # noqa: BLE001 - what a library raises on what it lacks is its own affair
        print(f"    {build.__name__}: {type(error).__name__}: {str(error)[:100]}")
        return None
    if found not in (True, [True]):
        print(f"    {build.__name__}: {found}")
        return None
    return median(run)


def main() -> None:
    """Print a table for each size, then the time that compiling takes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[100])
    for size in parser.parse_args().sizes:
        data = {"conditions": bundle(condition, size), "observations": bundle(observation, size)}
        data = json.loads(json.dumps(data))
        print(f"{size} resources, ms a call (median)      ours   fhirpathpy      ×   fhirpathrs      ×")
        for name, text in EXPRESSIONS.items():
            mine, python, rust = (timed(build, text, data) for build in (ours, pythons, rusts))
            assert mine is not None, name
            print(f"  {name:32}{mine:10.4f}{_column(python, mine)}{_column(rust, mine)}")
    print("compile, ms                                ours")
    for name, text in EXPRESSIONS.items():
        print(f"  {name:32}{median(compiling(text)):10.4f}")


def compiling(text: str) -> Callable[[], object]:
    """Compiling it as a policy's."""
    variables = {"conditions": "Bundle", "observations": "Bundle"}
    return lambda: compile_expression(text, variables=variables, strict=True)


def _column(other: float | None, mine: float | None) -> str:
    return f"{other:13.3f}{other / mine:7.0f}" if other and mine else f"{'–':>13}{'–':>7}"


if __name__ == "__main__":
    main()
