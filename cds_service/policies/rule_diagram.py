"""A policy's ordered rules as one diagram over its criteria."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from cds_service.policies.conditions import Comparison, built
from cds_service.policies.diagram import Diagram, DiagramBuilder, leaf
from cds_service.policies.domains import NumberDomain
from cds_service.policies.policy import Criterion, Rule


def drawn(criteria: Sequence[Criterion], rules: Sequence[Rule], builder: DiagramBuilder) -> Diagram:
    """The rules as one diagram, built from the last to the first. Its leaves are positions in ``rules``.

    ValueError for a value that a criterion cannot have, DiagramTooLargeError beyond the builder's limit.
    """
    levels = {criterion.link_id: level for level, criterion in enumerate(criteria)}
    domains = {criterion.link_id: criterion.domain for criterion in criteria}
    root = leaf(len(rules) - 1)
    for position, rule in reversed(list(enumerate(rules))):
        if rule.logic is not None:
            root = builder.choose(built(rule.logic, builder, levels, domains), leaf(position), root)
    return builder.finished(root)


def cut(criterion: Criterion, used: Iterable[Comparison]) -> Criterion:
    """The criterion, its numbers cut where these comparisons of conditions cut them; others as they are."""
    if not isinstance(criterion.domain, NumberDomain):
        return criterion
    # What is no number is left out here and refused where the diagram is built.
    thresholds = (
        (each.operator, each.value)
        for each in used
        if each.criterion == criterion.link_id and isinstance(each.value, int | Decimal)
    )
    domain = criterion.domain.cut_by(thresholds)
    return criterion if domain == criterion.domain else replace(criterion, domain=domain)
