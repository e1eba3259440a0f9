"""A plan's own cases: small records and answers, each with the determination that the policy must give."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from cds_service.errors import PlanError
from cds_service.policies.determination import FINAL, Determination, determination
from cds_service.policies.domains import Value
from cds_service.policies.findings import NO_FUNDING_POLICY, Answers, Finding, Findings, Situation
from cds_service.policies.library import Library
from cds_service.policies.loading.documents import read_json
from cds_service.policies.policy import Policy
from cds_service.record.orders import Order, procedure_orders
from cds_service.record.patient_record import PATIENT_KEY, PatientRecord, QueryAnswer

PATIENT_ID = "example"
_KEYS = {"cites", "today", "each", "order", "record", "answers", "fundingOutcome", "overlay", "expect"}
# Written for the codings of a CodeableConcept: the case holds for each code that its member "each" lists, by itself.
EACH = "each"
_REQUIRED = {"cites", "today", "order", "expect"}
_EXPECTATIONS = {
    "applies",
    "outcome",
    "redirectTo",
    "rule",
    "possibleOutcomes",
    "outstanding",
    "findings",
    "evidence",
}


@dataclass(frozen=True)
class Case:
    """One case file. ``expect`` holds at least one expectation.

    ``codes``: order codes (``system|code``) that a deployer is taken to have added to the policy.
    """

    file: Path
    cites: tuple[str, ...]
    situation: Situation
    codes: frozenset[tuple[str, str]]
    expect: Mapping[str, Any]


@dataclass(frozen=True)
class CaseResult:
    """What came of a case: ``faults`` is empty when it passed; ``determination`` None when the policy did not apply."""

    case: Case
    determination: Determination | None
    faults: tuple[str, ...]


def read_cases(folder: Path) -> tuple[Case, ...]:
    """The cases below a plan folder, by name. PlanError for a file that is no case."""
    return tuple(case for file in sorted((folder / "cases").glob("*.json")) for case in _cases(file))


def run_case(case: Case, policy: Policy, library: Library) -> CaseResult:
    """Decide a case and hold the determination against what it expects."""
    situation = case.situation
    covered = policy.codes | case.codes
    applies = not covered.isdisjoint(situation.order.codes) and policy.in_force(
        situation.order.authored or situation.now.date()
    )
    if not applies or "applies" in case.expect:
        faults = () if applies == case.expect.get("applies", True) else (f"applies: {applies}",)
        return CaseResult(case, None, faults)
    findings = Findings(policy, situation)
    determined = determination(policy, findings, library.questions[policy.canonical])
    return CaseResult(case, determined, tuple(_faults(case.expect, determined, findings)))


def uncovered(policy: Policy, results: Iterable[CaseResult]) -> Iterator[str]:
    """What no case shows: rules that never win, and values (unknown is one) that a decision never looked at."""
    determined = [result.determination for result in results if result.determination is not None]
    won = {rule.id for each in determined for rule in each.rules}
    looked_at = {
        (finding.criterion.link_id, finding.cell) for each in determined for finding in each.findings
    }
    for rule in policy.rules:
        if rule.id not in won:
            yield f"no case in which the rule {rule.id} decides"
    for criterion in policy.criteria:
        for cell in (*range(criterion.domain.size), None):
            if (criterion.link_id, cell) not in looked_at:
                value = "unknown" if cell is None else criterion.domain.label(cell)
                yield f"no case that looks at {criterion.link_id} when it is: {value}"


def _faults(expect: Mapping[str, Any], determined: Determination, findings: Findings) -> Iterator[str]:
    found: dict[str, Any] = {
        "outcome": determined.outcome.code if determined.outcome else None,
        "redirectTo": determined.outcome.redirect_to if determined.outcome else None,
        "rule": determined.rules[0].id if len(determined.rules) == 1 else None,
        "possibleOutcomes": sorted({outcome.code for outcome in determined.possible}),
        "outstanding": [criterion.link_id for criterion in determined.outstanding],
    }
    for name, value in found.items():
        if name in expect and expect[name] != value:
            yield f"{name}: expected {expect[name]}, found {value}"
    if "possibleOutcomes" in expect and determined.status == FINAL:
        yield f"expected an open determination, found {found['outcome']}"
    criteria = {criterion.link_id: criterion for criterion in determined.policy.criteria}
    for name, wanted in expect.get("findings", {}).items():
        shown = _shown(findings[criteria[name]]) if name in criteria else "no such criterion"
        if shown != wanted:
            yield f"finding {name}: expected {wanted}, found {shown}"
    for name, references in expect.get("evidence", {}).items():
        shown = [each.reference for each in findings[criteria[name]].evidence] if name in criteria else None
        if shown != references:
            yield f"evidence of {name}: expected {references}, found {shown}"


def _shown(finding: Finding) -> object:
    if finding.value is None:
        return {"unknown": finding.why}
    return list(finding.value) if isinstance(finding.value, tuple) else finding.value


def _cases(file: Path) -> Iterator[Case]:
    """The cases that a file describes: one, or one for each code of its list."""
    content = read_json(file)
    if not isinstance(content, dict):
        raise PlanError(str(file), "$", "no object", f"an object with {', '.join(sorted(_KEYS))}")
    _check_members(file, "$", content, _KEYS, _REQUIRED)
    _check_members(file, "expect", content["expect"], _EXPECTATIONS, set())
    if not content["cites"] or not content["expect"]:
        raise PlanError(
            str(file), "$", "nothing cited or nothing expected", "at least one clause and one expectation"
        )
    codes = content.get("each")
    if codes is None:
        yield _case(file, content)
        return
    if not codes or f'"coding": "{EACH}"' not in json.dumps(content):
        raise PlanError(
            str(file), "each", "no codes, or no coding that stands for them", f'"coding": "{EACH}"'
        )
    for code in codes:
        yield _case(file, _with_code(content, code))


def _with_code(value: Any, code: Mapping[str, str]) -> Any:
    """The content of a case with one code in every place that stands for each of them."""
    if isinstance(value, dict):
        return {
            name: [code] if (name, member) == ("coding", EACH) else _with_code(member, code)
            for name, member in value.items()
        }
    return [_with_code(member, code) for member in value] if isinstance(value, list) else value


def _case(file: Path, content: Mapping[str, Any]) -> Case:
    try:
        today = date.fromisoformat(content["today"])
    except ValueError:
        raise PlanError(str(file), "today", repr(content["today"]), "a day as YYYY-MM-DD") from None
    overlay = content.get("overlay", {})
    _check_members(file, "overlay", overlay, {"codes", "bundles"}, set())
    situation = Situation(
        order=_order(file, content["order"]),
        record=_record(content.get("record", {})),
        answers=_answers(content),
        # Noon in UTC: the day that a case names is the day everywhere that its plans are used.
        now=datetime.combine(today, time(12), UTC),
        funding_outcome=content.get("fundingOutcome", NO_FUNDING_POLICY),
        lists=overlay.get("bundles", {}),
    )
    codes = frozenset(
        (system, code) for system, _, code in (each.partition("|") for each in overlay.get("codes", ()))
    )
    return Case(file, tuple(content["cites"]), situation, codes, content["expect"])


def _answers(content: Mapping[str, Any]) -> Answers | None:
    if "answers" not in content:
        return None
    values = {name: _answer(value) for name, value in content["answers"].items()}
    return Answers(None, content["today"], values)


def _answer(value: Any) -> Value | None:
    """An answer as JSON has it: a list is a selection of options, a decimal is exact."""
    if isinstance(value, float):
        return Decimal(repr(value))
    return tuple(value) if isinstance(value, list) else cast(Value | None, value)


def _check_members(
    file: Path, where: str, found: Mapping[str, Any], known: set[str], required: set[str]
) -> None:
    for name in sorted(found.keys() - known):
        raise PlanError(str(file), where, f"the member {name!r}", f"only {', '.join(sorted(known))}")
    for name in sorted(required - found.keys()):
        raise PlanError(str(file), where, f"no {name!r}", ", ".join(sorted(required)))


def _order(file: Path, given: Mapping[str, Any]) -> Order:
    whole = {
        "resourceType": "ServiceRequest",
        "id": "order",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{PATIENT_ID}"},
        **given,
    }
    orders = procedure_orders([whole])
    if not orders:
        raise PlanError(
            str(file), "order", "a resource that orders nothing", "a ServiceRequest that is being ordered"
        )
    return orders[0]


def _record(given: Mapping[str, Any]) -> PatientRecord:
    """The record of a case: queries that it leaves out were not read; the patient is there unless it says null."""
    patient = given.get(PATIENT_KEY, {})
    whole = None if patient is None else {"resourceType": "Patient", "id": PATIENT_ID, **patient}
    answers = {
        name: QueryAnswer(
            tuple({"subject": {"reference": f"Patient/{PATIENT_ID}"}, **each} for each in resources)
        )
        for name, resources in given.items()
        if name != PATIENT_KEY
    }
    return PatientRecord(PATIENT_ID, whole, answers)
