"""A policy with other rules: its criteria cut anew and its diagram drawn anew, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from cds_service.policies.conditions import Comparison, built, comparisons
from cds_service.policies.diagram import Diagram, DiagramBuilder, leaf
from cds_service.policies.domains import NumberDomain
from cds_service.policies.policy import Criterion, Policy, Rule

MOST_NODES = 100_000


def with_rules(policy: Policy, rules: Sequence[Rule]) -> Policy:
    """The policy as if its author had written these rules, of which the last has no condition.

    ValueError for a value that a criterion cannot have, DiagramTooLargeError beyond ``MOST_NODES``.
    """
    used = [each for rule in rules if rule.logic is not None for each in comparisons(rule.logic)]
    criteria = tuple(_cut(criterion, used) for criterion in policy.criteria)
    return replace(policy, criteria=criteria, rules=tuple(rules), diagram=drawn(criteria, rules))


def drawn(criteria: Sequence[Criterion], rules: Sequence[Rule]) -> Diagram:
    """The rules as one diagram over the criteria, built from the last to the first."""
    builder = DiagramBuilder([criterion.domain.size for criterion in criteria], MOST_NODES)
    levels = {criterion.link_id: level for level, criterion in enumerate(criteria)}
    domains = {criterion.link_id: criterion.domain for criterion in criteria}
    root = leaf(len(rules) - 1)
    for position, rule in reversed(list(enumerate(rules))):
        if rule.logic is not None:
            root = builder.choose(built(rule.logic, builder, levels, domains), leaf(position), root)
    return builder.finished(root)


def _cut(criterion: Criterion, used: Iterable[Comparison]) -> Criterion:
    if not isinstance(criterion.domain, NumberDomain):
        return criterion
    thresholds = (
        (each.operator, each.value)
        for each in used
        if each.criterion == criterion.link_id and isinstance(each.value, int | Decimal)
    )
    domain = criterion.domain.cut_by(thresholds)
    return criterion if domain == criterion.domain else replace(criterion, domain=domain)
