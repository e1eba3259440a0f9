"""A policy with other rules: its criteria cut anew and its diagram drawn anew, everything else as it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cds_service.errors import DiagramTooLargeError
from cds_service.policies.conditions import comparisons
from cds_service.policies.diagram import Diagram, DiagramBuilder
from cds_service.policies.domains import Domain
from cds_service.policies.policy import Criterion, Policy, Rule
from cds_service.policies.rule_diagram import cut, drawn

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
        criteria = tuple(cut(criterion, used) for criterion in self._policy.criteria)
        diagram = self._drawn(criteria, rules)
        return replace(self._policy, criteria=criteria, rules=tuple(rules), diagram=diagram)

    def _drawn(self, criteria: Sequence[Criterion], rules: Sequence[Rule]) -> Diagram:
        domains = tuple(criterion.domain for criterion in criteria)
        try:
            return drawn(criteria, rules, self._builders.setdefault(domains, _builder(domains)))
        except DiagramTooLargeError:
            # It may be the earlier rules that filled it up: once more, with room for these alone.
            self._builders[domains] = _builder(domains)
            return drawn(criteria, rules, self._builders[domains])


def with_rules(policy: Policy, rules: Sequence[Rule]) -> Policy:
    """The policy with other rules, once. Errors as of ``Reruling.with_rules``."""
    return Reruling(policy).with_rules(rules)


def _builder(domains: Iterable[Domain]) -> DiagramBuilder:
    return DiagramBuilder([domain.size for domain in domains], MOST_NODES)
