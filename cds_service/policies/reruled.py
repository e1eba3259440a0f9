"""A policy with other rules: its criteria cut anew and its diagram drawn anew, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from cds_service.policies.conditions import Comparison, built, comparisons
from cds_service.policies.diagram import Diagram, DiagramBuilder, DiagramTooLargeError, leaf
from cds_service.policies.domains import Domain, NumberDomain
from cds_service.policies.policy import Criterion, Policy, Rule

MOST_NODES = 100_000


class Reruling:
    """Gives one policy other rules, again and again; what several sets of rules have in common is drawn once."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._builders: dict[tuple[Domain, ...], DiagramBuilder] = {}

    def with_rules(self, rules: Sequence[Rule]) -> Policy:
        """The policy as if its author had written these rules, of which the last has no condition.

        ValueError for a value that a criterion cannot have, DiagramTooLargeError beyond ``MOST_NODES``.
        """
        used = [each for rule in rules if rule.logic is not None for each in comparisons(rule.logic)]
        criteria = tuple(_cut(criterion, used) for criterion in self._policy.criteria)
        diagram = self._drawn(criteria, rules)
        return replace(self._policy, criteria=criteria, rules=tuple(rules), diagram=diagram)

    def _drawn(self, criteria: Sequence[Criterion], rules: Sequence[Rule]) -> Diagram:
        domains = tuple(criterion.domain for criterion in criteria)
        try:
            return _drawn(criteria, rules, self._builders.setdefault(domains, _builder(domains)))
        except DiagramTooLargeError:
            # It may be the earlier rules that filled it up: once more, with room for these alone.
            self._builders[domains] = _builder(domains)
            return _drawn(criteria, rules, self._builders[domains])


def with_rules(policy: Policy, rules: Sequence[Rule]) -> Policy:
    """The policy with other rules, once. Errors as of ``Reruling.with_rules``."""
    return Reruling(policy).with_rules(rules)


def _builder(domains: Iterable[Domain]) -> DiagramBuilder:
    return DiagramBuilder([domain.size for domain in domains], MOST_NODES)


def _drawn(criteria: Sequence[Criterion], rules: Sequence[Rule], builder: DiagramBuilder) -> Diagram:
    """The rules as one diagram over the criteria, built from the last to the first."""
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
