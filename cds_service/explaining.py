"""A decision that was written down, told again: on which rules and facts, what would have changed it, and whether it
would be decided alike today. Pure: from the row and a policy set, never from the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from cds_service.hooks.cards import determination_extension
from cds_service.policies.determination import FINAL, Determination, determination
from cds_service.policies.library import Library
from cds_service.policies.policy import Criterion, Outcome, Policy
from cds_service.policies.stated import StatedFindings
from cds_service.record.orders import Order
from cds_service.store.entries import DecisionEntry

# How many facts together are tried as what would have changed an outcome.
_MOST_TOGETHER = 2


@dataclass(frozen=True)
class Difference:
    """Where deciding again comes to something else: of which card, which member, what it said and what it says now."""

    card: str
    member: str
    told: Any
    now: Any


@dataclass(frozen=True)
class Change:
    """Facts that would have changed the outcome: each criterion with the value it would have to have."""

    facts: tuple[tuple[Criterion, str], ...]
    outcomes: tuple[Outcome, ...]


@dataclass(frozen=True)
class Redetermined:
    """One card's determination made again, and those that sent the order on to it. ``told`` is what the card said."""

    told: Mapping[str, Any]
    determination: Determination
    redirected_from: tuple[Determination, ...]
    extension: Mapping[str, Any]


def redetermined(entry: DecisionEntry, library: Library) -> Iterator[Redetermined | Difference]:
    """Each determination of a row made again from its findings; a Difference for one whose policy is not loaded."""
    told_all = json.loads(entry.determinations)
    kept_all = json.loads(entry.replay) if entry.replay else []
    for told, kept in zip(told_all, kept_all, strict=False):
        steps = [_decided_again(step, library) for step in kept["policies"]]
        missing = [step["policy"] for step, made in zip(kept["policies"], steps, strict=True) if made is None]
        made = [each for each in steps if each is not None]
        if missing:
            yield Difference(told["id"], "policy", missing[0], None)
            continue
        order = Order({}, kept.get("order"), (), None)
        extension = determination_extension(made[-1], order, told["id"], made[:-1])
        yield Redetermined(told, made[-1], tuple(made[:-1]), extension)


def replay_differences(entry: DecisionEntry, library: Library) -> tuple[Difference, ...]:
    """Where a row, decided again with these policies, says something else; empty when it says the same."""
    if entry.replay is None:
        return (Difference(entry.id, "replay", "a row of a version that did not keep its findings", None),)
    found: list[Difference] = []
    for each in redetermined(entry, library):
        found += [each] if isinstance(each, Difference) else _differences(each)
    return tuple(found)


def _differences(again: Redetermined) -> Iterator[Difference]:
    # As JSON, so that a number is compared as the card had it.
    now = json.loads(json.dumps(again.extension))
    for member in sorted({*again.told, *now}):
        if again.told.get(member) != now.get(member):
            yield Difference(again.told["id"], member, again.told.get(member), now.get(member))


def _decided_again(step: Mapping[str, Any], library: Library) -> Determination | None:
    policy = library.policy(step["policy"])
    if policy is None:
        return None
    findings = StatedFindings(policy, step["findings"], None)
    return determination(policy, findings, library.questions[policy.canonical])


def changes(determined: Determination) -> tuple[Change, ...]:
    """The fewest facts that, had they been otherwise, would have changed a final outcome; all that are equally few."""
    if determined.status != FINAL or determined.outcome is None or not determined.rules:
        return ()
    policy = determined.policy
    levels = {criterion.link_id: level for level, criterion in enumerate(policy.criteria)}
    cells = {
        levels[each.criterion.link_id]: each.cell for each in determined.findings if each.cell is not None
    }
    for together in range(1, _MOST_TOGETHER + 1):
        found = tuple(_changes_of(policy, cells, determined.outcome, together))
        if found:
            return found
    return ()


def _changes_of(
    policy: Policy, cells: Mapping[int, int], outcome: Outcome, together: int
) -> Iterator[Change]:
    for levels in combinations(sorted(cells), together):
        others = [
            [cell for cell in range(policy.criteria[level].domain.size) if cell != cells[level]]
            for level in levels
        ]
        for chosen in product(*others):
            outcomes = _outcomes(policy, {**cells, **dict(zip(levels, chosen, strict=True))})
            if outcome not in outcomes:
                yield Change(_facts(policy, levels, chosen), outcomes)


def _outcomes(policy: Policy, cells: Mapping[int, int]) -> tuple[Outcome, ...]:
    leaves = policy.diagram.reachable_leaves(cells.get)
    return tuple(dict.fromkeys(policy.rules[position].outcome for position in sorted(leaves)))


def _facts(policy: Policy, levels: Sequence[int], chosen: Sequence[int]) -> tuple[tuple[Criterion, str], ...]:
    criteria = [policy.criteria[level] for level in levels]
    return tuple(
        (criterion, criterion.domain.label(cell)) for criterion, cell in zip(criteria, chosen, strict=True)
    )


def explanation(entry: DecisionEntry, library: Library) -> dict[str, Any]:
    """A row as JSON for whoever got its cards; what a policy that is no longer loaded said stands as it was told."""
    told = {each["id"]: each for each in json.loads(entry.determinations)}
    for each in redetermined(entry, library):
        if isinstance(each, Redetermined):
            told[each.told["id"]] = {**each.told, **_more(each)}
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "hook": entry.hook,
        "hookInstance": entry.hook_instance,
        "policySet": entry.plan_set,
        "milliseconds": round(entry.milliseconds, 3),
        "determinations": [*told.values()],
    }


def _more(again: Redetermined) -> dict[str, Any]:
    determined = again.determination
    return {
        "policyTitle": determined.policy.title,
        "rules": [{"id": rule.id, "title": rule.title} for rule in determined.rules],
        "wouldHaveChangedIt": [
            {
                "facts": [
                    {"criterion": criterion.link_id, "name": criterion.name, "value": value}
                    for criterion, value in change.facts
                ],
                "outcomes": sorted({outcome.code for outcome in change.outcomes}),
            }
            for change in changes(determined)
        ],
    }
