"""What a rule suggests doing with the draft order: whole resources that differ only where the plan says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cds_service.policies.findings import Findings
from cds_service.policies.policy import Change, Rule, Suggestion
from cds_service.record.orders import Order
from cds_service.record.resources import Resource


@dataclass(frozen=True)
class SuggestedChange:
    """One action of a suggestion: the whole ``resource`` to update or create, or the ``reference`` to delete."""

    type: str
    description: str
    resource: Resource | None
    reference: str | None


@dataclass(frozen=True)
class Suggested:
    """A suggestion worked out for one order."""

    label: str
    changes: tuple[SuggestedChange, ...]


def suggested(rules: tuple[Rule, ...], order: Order, findings: Findings) -> tuple[Suggested, ...]:
    """The suggestions of the rule that decides. One whose values cannot be had, or that changes nothing, is left out."""
    return tuple(
        found
        for rule in rules[:1]
        if len(rules) == 1
        for suggestion in rule.suggestions
        if (found := _worked_out(suggestion, order, findings))
    )


def _worked_out(suggestion: Suggestion, order: Order, findings: Findings) -> Suggested | None:
    changes = [_changed(change, order, findings) for change in suggestion.changes]
    complete = tuple(change for change in changes if change is not None)
    return Suggested(suggestion.label, complete) if len(complete) == len(changes) else None


def _changed(change: Change, order: Order, findings: Findings) -> SuggestedChange | None:
    if order.reference is None:
        return None
    if change.type == "delete":
        return SuggestedChange(change.type, change.description, None, order.reference)
    elements = dict(_elements(change, findings))
    whole = {**order.resource, **elements}
    if len(elements) < len(change.elements) or whole == order.resource:
        return None
    if change.type == "create":
        whole["id"] = f"{order.resource['id']}-suggested"
    return SuggestedChange(change.type, change.description, whole, None)


def _elements(change: Change, findings: Findings) -> Iterator[tuple[str, Any]]:
    for name, expression, is_list in change.elements:
        values = findings.results(expression)
        if values:
            yield name, values if is_list else values[0]
