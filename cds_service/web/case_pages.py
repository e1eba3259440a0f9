"""The cases that prove a policy, each as a person reads it: what is known, and what must come of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cds_service.hooks.words import OUTCOME_WORDS
from cds_service.policies.cases import Case
from cds_service.policies.policy import Policy
from cds_service.record.dates import date_in_words
from cds_service.record.resources import codings, text
from cds_service.web.templating import rendered


@dataclass(frozen=True)
class CaseLine:
    """Cases of one file, which differ in a code only."""

    name: str
    day: str
    clauses: tuple[str, ...]
    facts: tuple[str, ...]
    expected: tuple[str, ...]
    count: int


def cases_page(policy: Policy, cases: Sequence[Case]) -> str:
    """The cases that prove a policy: what is known, and what must come of it."""
    lines = [_line(list(each)) for _, each in groupby(cases, key=lambda case: case.file)]
    return rendered("policy_cases.html", {"policy": policy, "lines": lines, "count": len(cases)})


def _line(cases: Sequence[Case]) -> CaseLine:
    case = cases[0]
    situation = case.situation
    return CaseLine(
        name=_sentence(case.file.stem.replace("-", " ")),
        day=date_in_words(situation.now.date().isoformat()),
        clauses=case.cites,
        facts=tuple(_facts(case)),
        expected=tuple(_expected(case.expect)),
        count=len(cases),
    )


def _facts(case: Case) -> Iterable[str]:
    situation = case.situation
    ordered = ", ".join(code for _, code in codings(situation.order.resource.get("code")))
    yield f"Order: {ordered or 'no code'}"
    for name, answer in situation.record.answers.items():
        yield f"{_sentence(name)} in the record: {_counted(answer.resources)}"
    for name, value in (situation.answers.values if situation.answers else {}).items():
        yield f"Answered {name}: {_plainly(value)}"


def _counted(resources: Sequence[Mapping[str, Any]]) -> str:
    codes = [
        text(resource.get("code"), "text") or ", ".join(code for _, code in codings(resource.get("code")))
        for resource in resources
    ]
    return "; ".join(code or "without a code" for code in codes) or "none"


def _expected(expect: Mapping[str, Any]) -> Iterable[str]:
    if "applies" in expect:
        yield "The policy applies" if expect["applies"] else "The policy does not apply"
    if "outcome" in expect:
        yield _sentence(OUTCOME_WORDS.get(expect["outcome"], "not yet decided"))
    if "possibleOutcomes" in expect:
        possible = " or ".join(OUTCOME_WORDS[each] for each in expect["possibleOutcomes"])
        yield f"Not yet decided: {possible}"
    for name, value in expect.items():
        if name in {"rule", "redirectTo"}:
            yield f"{'Rule' if name == 'rule' else 'Redirected to'}: {value}"
    if expect.get("outstanding"):
        yield f"Asks: {', '.join(expect['outstanding'])}"
    for name, value in expect.get("findings", {}).items():
        shown = f"unknown, {value['unknown']}" if isinstance(value, dict) else _plainly(value)
        yield f"{name}: {shown}"


def _plainly(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value)) or "none of them"
    if value is None:
        return "don't know"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]
