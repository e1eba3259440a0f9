"""How long policy-like expressions take: ours beside other libraries, in the same run on the same data.

    python -m benchmarks.fhirpath_speed [--sizes 5 20 100 1000]

Beside ours: fhirpathpy, fhirpathrs, and fhirpath.js under Node where npm installs it (``benchmarks/.peers``, which git
ignores).

Each time is the median of several rounds, in milliseconds, of evaluating an expression that is already compiled on data
that is already parsed. The record is made here: Conditions of two codings each and Observations with a body mass index,
where only the last resource meets the criterion, so that nobody profits from stopping early. memberOf is given to
fhirpathpy as a function of its own; fhirpathrs and fhirpath.js have no place for one. A library that raises, or does not
answer true, has no time. fhirpathrs has no compiled form: it reads text and data anew each time, and has to be called so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fhirpathpy
import fhirpathrs
from fhirpathpy.models import models

from benchmarks.figures import machine, write_down
from benchmarks.peers import ignored_folder
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
OTHERS = ("fhirpathpy", "fhirpathrs", "fhirpath.js")
FHIRPATH_JS = "fhirpath@4.11.0"
JAVASCRIPT = """
const fhirpath = require("fhirpath"), r4 = require("fhirpath/fhir-context/r4");
const given = JSON.parse(require("fs").readFileSync(0)), told = {};
const milliseconds = (run, calls) => {
  const begin = performance.now();
  for (let call = 0; call < calls; call++) run();
  return (performance.now() - begin) / calls;
};
for (const [name, text] of Object.entries(given.expressions)) {
  try {
    const compiled = fhirpath.compile(text, r4), run = () => compiled({}, given.data);
    if (JSON.stringify(run()) !== "[true]") continue;
    let calls = 1;
    while (milliseconds(run, calls) * calls < given.shortest * 1000) calls *= 2;
    const rounds = Array.from({length: given.rounds}, () => milliseconds(run, calls)).sort((a, b) => a - b);
    told[name] = rounds[rounds.length >> 1];
  } catch (error) { /* what it lacks has no time */ }
}
console.log(JSON.stringify(told));
"""
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
    environment = Environment(NOW, data, value_sets={VALUE_SET: MEMBERS})
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


def javascripts(data: dict[str, Any]) -> dict[str, float]:
    """Milliseconds a call by expression, of what fhirpath.js answers true; none where there is no Node or no package."""
    folder = ignored_folder() / "node"
    if not (folder / "node_modules" / "fhirpath").exists() and not _installed(folder):
        return {}
    sent = json.dumps({"expressions": EXPRESSIONS, "data": data, "rounds": ROUNDS, "shortest": SHORTEST})
    command = ["node", "-e", JAVASCRIPT]
    run = subprocess.run(command, cwd=folder, input=sent, capture_output=True, text=True, check=True)  # noqa: S603
    told: dict[str, float] = json.loads(run.stdout)
    return told


def _installed(folder: Path) -> bool:
    if shutil.which("npm") is None:
        return False
    folder.mkdir(exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", FHIRPATH_JS]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0  # noqa: S603


def measured(size: int) -> Iterator[dict[str, Any]]:
    """A row for each expression: milliseconds a call by library."""
    data = {"conditions": bundle(condition, size), "observations": bundle(observation, size)}
    data = json.loads(json.dumps(data))
    javascript = javascripts(data)
    for name, text in EXPRESSIONS.items():
        mine, python, rust = (timed(build, text, data) for build in (ours, pythons, rusts))
        assert mine is not None, name
        figures = {
            "ours": mine,
            "fhirpathpy": python,
            "fhirpathrs": rust,
            "fhirpath.js": javascript.get(name),
        }
        yield {"resources": size, "expression": name, "ms": figures}


def compiling(text: str) -> Callable[[], object]:
    """Compiling it as a policy's."""
    variables = {"conditions": "Bundle", "observations": "Bundle"}
    return lambda: compile_expression(text, variables=variables, strict=True)


def faster(rows: Sequence[Mapping[str, Any]], library: str) -> float | None:
    """How many times as long a library takes on the median expression that it can do."""
    ratios = [row["ms"][library] / row["ms"]["ours"] for row in rows if row["ms"][library]]
    return statistics.median(ratios) if ratios else None


def printed(row: Mapping[str, Any]) -> str:
    """A line of the table."""
    mine = row["ms"]["ours"]
    return f"  {row['expression']:32}{mine:10.4f}" + "".join(
        _column(row["ms"][name], mine) for name in OTHERS
    )


def _column(other: float | None, mine: float) -> str:
    return f"{other:13.3f}{other / mine:7.1f}" if other else f"{'–':>13}{'–':>7}"


def main() -> None:
    """Print a table for each size, then the time that compiling takes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[5, 20, 100, 1000])
    print(machine())
    rows: list[dict[str, Any]] = []
    for size in parser.parse_args().sizes:
        head = "".join(f"{name:>13}{'×':>7}" for name in OTHERS)
        print(f"{f'{size} resources, ms a call (median)':34}{'ours':>10}{head}")
        of_size = []
        for row in measured(size):
            of_size.append(row)
            print(printed(row), flush=True)
        ratios = (faster(of_size, name) for name in OTHERS)
        print(f"  {'median ratio':32}{'':10}" + "".join(f"{ratio or 0:20.1f}" for ratio in ratios))
        rows += of_size
    print("compile, ms                                ours")
    for name, text in EXPRESSIONS.items():
        taken = median(compiling(text))
        rows.append({"compile": name, "ms": {"ours": taken}})
        print(f"  {name:32}{taken:10.4f}")
    write_down("fhirpath_speed", "python -m benchmarks.fhirpath_speed", rows)


if __name__ == "__main__":
    main()
