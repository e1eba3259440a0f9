"""What a policy's diagram says about the policy: rules that nobody can reach, criteria that change nothing."""

from __future__ import annotations

from collections.abc import Iterator

from cds_service.policies.policy import Policy


def weaknesses(policy: Policy) -> Iterator[str]:
    """What is probably a mistake of the author: each a sentence."""
    reachable = policy.diagram.reachable_leaves(lambda _: None)
    for position, rule in enumerate(policy.rules):
        if position not in reachable:
            yield f"the rule {rule.id} can never decide: the rules before it leave no patient for it"
    deciding = policy.diagram.support()
    for level, criterion in enumerate(policy.criteria):
        if level not in deciding:
            yield f"the criterion {criterion.link_id} never changes which rule decides"
