"""Findings written down and read back, so that a determination can be made again without the record.

The JSON is one object by linkId: ``{"value"?, "origin", "why"?, "overrides"?, "evidence"?: [{"reference"?, "date"?}]}``.
A decimal is written as ``{"decimal": "1.50"}``, so that it comes back exactly, and a choice of several options as a list
of codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cds_service.policies.domains import Value
from cds_service.policies.findings import (
    FAILED,
    UNKNOWN,
    Answers,
    Evidence,
    Finding,
    answered_over,
)
from cds_service.policies.policy import Criterion, Policy

Stated = Mapping[str, Mapping[str, Any]]


class StatedFindings:
    """The findings on a policy's criteria as they were written down, with later answers laid over them.

    A criterion of which nothing was written down, or a value that it can no longer have, is unknown: failed.
    """

    def __init__(self, policy: Policy, stated: Stated, answers: Answers | None) -> None:
        self._policy = policy
        self._stated = stated
        self._answers = answers
        self._made: dict[str, Finding] = {}

    def __getitem__(self, criterion: Criterion) -> Finding:
        made = self._made.get(criterion.link_id)
        if made is None:
            written = finding_from(criterion, self._stated.get(criterion.link_id))
            made = self._made[criterion.link_id] = answered_over(written, self._answers)
        return made

    def made(self) -> tuple[Finding, ...]:
        """The findings asked for so far, in the Questionnaire's order."""
        return tuple(self._made[each.link_id] for each in self._policy.criteria if each.link_id in self._made)


def stated(findings: Iterable[Finding]) -> dict[str, dict[str, Any]]:
    """Findings as JSON, by linkId."""
    return {finding.criterion.link_id: _written(finding) for finding in findings}


def finding_from(criterion: Criterion, written: Mapping[str, Any] | None) -> Finding:
    """A finding as ``stated`` wrote it."""
    if written is None:
        return Finding(criterion, None, UNKNOWN, FAILED)
    value, overrides = _value(written.get("value")), _value(written.get("overrides"))
    try:
        if value is not None:
            criterion.domain.cell(value)
    except ValueError:
        return Finding(criterion, None, UNKNOWN, FAILED)
    evidence = tuple(
        Evidence(each.get("reference"), each.get("date")) for each in written.get("evidence", ())
    )
    return Finding(criterion, value, written["origin"], written.get("why"), evidence, overrides)


def _written(finding: Finding) -> dict[str, Any]:
    written = {
        "value": _json(finding.value),
        "origin": finding.origin,
        "why": finding.why,
        "overrides": _json(finding.overrides),
        # An empty list is a value too: none of the options.
        "evidence": [_evidence(each) for each in finding.evidence] or None,
    }
    return {name: value for name, value in written.items() if value is not None}


def _evidence(evidence: Evidence) -> dict[str, str]:
    members = {"reference": evidence.reference, "date": evidence.date}
    return {name: value for name, value in members.items() if value is not None}


def _json(value: Value | None) -> Any:
    if isinstance(value, Decimal):
        return {"decimal": str(value)}
    return list(value) if isinstance(value, tuple) else value


def _value(written: Any) -> Value | None:
    if isinstance(written, Mapping):
        return Decimal(written["decimal"])
    return tuple(written) if isinstance(written, list) else written
