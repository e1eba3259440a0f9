"""The official R4 suite as data, and what one of its tests gives when our compiler runs it.

The suite lies beside the repository and is never copied into it; its address may be given in ``FHIRPATH_SUITE``.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from cds_service.errors import FhirPathError
from cds_service.fhirpath import Date, DateTime, Environment, Quantity, Time, compile_expression

BESIDE = Path(__file__).parents[2].parent / "shared" / "third-party" / "fhirpath"
FOLDER = Path(os.environ.get("FHIRPATH_SUITE", BESIDE))
NOW = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)

_CLASSES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "decimal": (Decimal, int),
    "string": (str,),
    "code": (str,),
    "id": (str,),
    "date": (Date,),
    "dateTime": (DateTime,),
    "time": (Time,),
    "Quantity": (Quantity,),
}


@dataclass(frozen=True)
class Case:
    """One test; ``id`` is unique even where the suite repeats a name."""

    id: str
    test: dict[str, Any]

    @property
    def is_invalid(self) -> bool:
        return bool(self.test["invalid"])


def cases() -> list[Case]:
    """Every test of the suite; none when the suite is not there."""
    if not (FOLDER / "tests.json").exists():
        return []
    seen: Counter[str] = Counter()
    found = []
    for test in json.loads((FOLDER / "tests.json").read_bytes()):
        name = f"{test['group']}/{test['name']}"
        seen[name] += 1
        found.append(Case(name if seen[name] == 1 else f"{name}#{seen[name]}", test))
    return found


@cache
def _resource(name: str) -> Any:
    return json.loads((FOLDER / name).read_bytes())


def miss(case: Case) -> tuple[str, str] | None:
    """None when the test passes; otherwise ``raises`` or ``wrong``, and what happened."""
    try:
        found = _evaluated(case.test)
    except FhirPathError as error:
        return None if case.is_invalid else ("raises", str(error))
    if case.is_invalid:
        return "wrong", f"expected a refusal, found {found}"
    if case.test["predicate"]:
        found = [bool(found) and found != [False]]
    expected = [tuple(output) for output in case.test["outputs"]]
    return (
        None
        if _agree(found, expected, is_ordered=case.test["ordered"] is not False)
        else ("wrong", f"{found}")
    )


def _evaluated(test: dict[str, Any]) -> list[Any]:
    focus: Any = _resource(test["input"]) if test["input"] else []
    context = focus["resourceType"] if test["input"] else None
    expression = compile_expression(test["expr"], context=context, strict=test["mode"] == "strict")
    return expression.evaluate(focus, Environment(NOW))


def _agree(found: list[Any], expected: list[tuple[str | None, str]], *, is_ordered: bool) -> bool:
    if len(found) != len(expected):
        return False
    if is_ordered:
        return all(_is(value, type_, text) for value, (type_, text) in zip(found, expected, strict=True))
    remaining = list(expected)
    for value in found:
        match = next((output for output in remaining if _is(value, *output)), None)
        if match is None:
            return False
        remaining.remove(match)
    return True


def _is(value: Any, type_: str | None, text: str) -> bool:
    if type_ is not None and type(value) not in _CLASSES[type_]:
        return False
    if isinstance(value, bool):
        return text == str(value).lower()
    if isinstance(value, Decimal):
        return Decimal(text) == value
    return str(value) == text.removeprefix("@").removeprefix("T" if isinstance(value, Time) else "")
