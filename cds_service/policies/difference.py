"""Where two versions of a policy decide differently: exactly, with an example of each.

Both diagrams are drawn again over the criteria of either version, whose domains are cut wherever one of the two cuts
them, and are then walked side by side. A value that only one version knows (an option that was added, a number outside
the other's bounds) leaves the other without a decision, unless it does not look at that criterion on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from cds_service.policies.diagram import Diagram, DiagramBuilder, Ref, leaf, leaf_value, restricted
from cds_service.policies.domains import (
    BooleanDomain,
    ChoiceDomain,
    Cut,
    Domain,
    NumberDomain,
    SeveralChoicesDomain,
    Value,
)
from cds_service.policies.examples import example_value
from cds_service.policies.policy import Criterion, Outcome, Policy

MOST_NODES = 200_000
_BEFORE, _AFTER = 0, 1


@dataclass(frozen=True)
class SharedCriterion:
    """A criterion of either version or of both. ``domain`` tells apart whatever one of them tells apart."""

    before: Criterion | None
    after: Criterion | None
    domain: Domain

    @property
    def criterion(self) -> Criterion:
        """The criterion, as it is now where it still is."""
        found = self.after or self.before
        assert found is not None  # noqa: S101  one of the two is always there
        return found


@dataclass(frozen=True)
class Decision:
    """The rule that decides and its outcome; neither, where a version cannot be told these values."""

    rule: str | None
    outcome: Outcome | None


@dataclass(frozen=True)
class Difference:
    """Situations decided by one rule before and by another after, or with another outcome.

    ``example`` holds the values that bring this about, whatever the other criteria are. ``situations`` counts the
    combinations of values that are decided so, each criterion's values being told apart as finely as the rules do.
    """

    before: Decision
    after: Decision
    example: tuple[tuple[SharedCriterion, Value], ...]
    situations: int

    @property
    def of_outcome(self) -> bool:
        """Whether the outcome differs, and not only the rule that gives it."""
        return self.before.outcome != self.after.outcome


@dataclass(frozen=True)
class Comparison:
    """Two versions side by side; ``situations`` is the number of combinations that can be told apart."""

    criteria: tuple[SharedCriterion, ...]
    differences: tuple[Difference, ...]
    situations: int


def compared(before: Policy, after: Policy) -> Comparison:
    """Every way in which two versions decide differently. DiagramTooLargeError when they are too unlike to hold."""
    criteria = tuple(_shared_criteria(before, after))
    sizes = tuple(each.domain.size for each in criteria)
    builder = DiagramBuilder(sizes, MOST_NODES)
    pairs = _Pairs(builder)
    root = pairs.of(
        _redrawn(builder, before, _places(criteria, [each.before for each in criteria])),
        _redrawn(builder, after, _places(criteria, [each.after for each in criteria])),
    )
    return Comparison(
        criteria,
        tuple(_differences(builder.finished(root), criteria, pairs.found, (before, after))),
        prod(sizes),
    )


def same_rules_win(before: Policy, after: Policy) -> bool:
    """Whether the same rule with the same outcome decides in every situation."""
    return not compared(before, after).differences


def _shared_criteria(before: Policy, after: Policy) -> Iterator[SharedCriterion]:
    earlier = {criterion.link_id: criterion for criterion in before.criteria}
    for criterion in after.criteria:
        old = earlier.pop(criterion.link_id, None)
        both = None if old is None else _merged(old.domain, criterion.domain)
        if both is not None:
            yield SharedCriterion(old, criterion, both)
        else:
            yield SharedCriterion(None, criterion, criterion.domain)
            if old is not None:
                yield SharedCriterion(old, None, old.domain)
    for old in earlier.values():
        yield SharedCriterion(old, None, old.domain)


def _merged(before: Domain, after: Domain) -> Domain | None:
    """A domain that tells apart what either does; None when they are of different kinds."""
    match before, after:
        case (BooleanDomain(), BooleanDomain()):
            return before
        case (ChoiceDomain(), ChoiceDomain()):
            return ChoiceDomain(*_options(before, after))
        case (SeveralChoicesDomain(), SeveralChoicesDomain()):
            return SeveralChoicesDomain(*_options(before, after))
        case (NumberDomain(), NumberDomain()):
            return _numbers(before, after)
    return None


def _options(
    before: ChoiceDomain | SeveralChoicesDomain, after: ChoiceDomain | SeveralChoicesDomain
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    options = dict(zip(before.codes, before.displays, strict=True))
    options |= dict(zip(after.codes, after.displays, strict=True))
    return tuple(options), tuple(options.values())


def _numbers(before: NumberDomain, after: NumberDomain) -> NumberDomain:
    """The numbers of both, cut where either cuts, and where one ends and the other goes on."""
    whole = before.whole and after.whole
    least = None if None in (before.minimum, after.minimum) else _least(before, after)
    most = None if None in (before.maximum, after.maximum) else _most(before, after)
    ends = {*_ends(before, whole=whole), *_ends(after, whole=whole)}
    cuts = {*before.cuts, *after.cuts, *ends}
    return NumberDomain(whole, least, most, tuple(sorted(cut for cut in cuts if _inside(cut, least, most))))
