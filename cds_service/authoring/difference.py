"""Where two versions of a policy decide differently: exactly, with an example of each.

Both diagrams are drawn again over the criteria of either version, whose domains are cut wherever one of the two cuts
them, and are then walked side by side. A value that one version does not know (an option that was added, a number outside
its bounds) is for it as if it were unknown: it decides when every value that it does know would lead to the same rule.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from math import prod

from cds_service.authoring.examples import example_value
from cds_service.policies.diagram import (
    FALSE,
    TRUE,
    Diagram,
    DiagramBuilder,
    Ref,
    leaf,
    leaf_value,
    restricted,
)
from cds_service.policies.domains import (
    BooleanDomain,
    ChoiceDomain,
    Domain,
    NumberDomain,
    SeveralChoicesDomain,
    Value,
)
from cds_service.policies.policy import Criterion, Outcome, Policy

MOST_NODES = 200_000
# The comparison that cuts a number line just before a number, and just after it.
_CUTTING = ("<", "<=")


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
    """The rule that decides and its outcome; neither, where a version does not know a value and so cannot decide."""

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
    pairs = _Pairs()
    root = _Applied(builder, sizes, pairs.leaf).of(
        _redrawn(builder, before, criteria, [each.before for each in criteria]),
        _redrawn(builder, after, criteria, [each.after for each in criteria]),
    )
    return Comparison(
        criteria,
        tuple(_differences(builder.finished(root), criteria, list(pairs.found), (before, after))),
        prod(sizes),
    )


def same_rules_win(before: Policy, after: Policy) -> bool:
    """Whether the same rule with the same outcome decides in every situation."""
    if [each.domain for each in before.criteria] == [each.domain for each in after.criteria]:
        return _same_walks(before, after)
    return not compared(before, after).differences


def _same_walks(before: Policy, after: Policy) -> bool:
    """The same for policies with the same criteria in the same order, up to the first difference."""
    seen: set[tuple[Ref, Ref]] = set()
    waiting = [(before.diagram.root, after.diagram.root)]
    while waiting:
        pair = waiting.pop()
        if pair in seen:
            continue
        seen.add(pair)
        one, other = pair
        if one < 0 and other < 0:
            if _decision(before, leaf_value(one)) != _decision(after, leaf_value(other)):
                return False
            continue
        level = min(
            side.levels[ref] for side, ref in ((before.diagram, one), (after.diagram, other)) if ref >= 0
        )
        size = before.criteria[level].domain.size
        branches = (_below(before.diagram, one, level, size), _below(after.diagram, other, level, size))
        waiting += zip(*branches, strict=True)
    return True


def _below(diagram: Diagram, ref: Ref, level: int, size: int) -> tuple[Ref, ...]:
    """Where a walk goes on from a node for each cell of a level, which the node need not test."""
    return diagram.children[ref] if ref >= 0 and diagram.levels[ref] == level else (ref,) * size


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
    """The numbers of both, cut where either is cut, and where one ends and the other goes on."""
    lowest, highest = (before.minimum, after.minimum), (before.maximum, after.maximum)
    shared = NumberDomain(
        before.whole and after.whole,
        None if None in lowest else min(each for each in lowest if each is not None),
        None if None in highest else max(each for each in highest if each is not None),
    )
    return shared.cut_by((*_cuts(before), *_cuts(after)))


def _cuts(domain: NumberDomain) -> Iterator[tuple[str, Decimal]]:
    """The places where the line is cut or ends, as the comparisons that cut there."""
    yield from ((_CUTTING[side], at) for at, side in domain.cuts)
    if domain.minimum is not None:
        yield "<", domain.minimum
    if domain.maximum is not None:
        yield "<=", domain.maximum


# For each level and cell of the shared criteria the cell of one version, None where it knows no such value.
_Cells = Sequence[Sequence[int | None]]


def _redrawn(
    builder: DiagramBuilder,
    policy: Policy,
    criteria: Sequence[SharedCriterion],
    sides: Sequence[Criterion | None],
) -> Ref:
    """One version's diagram over the shared criteria; undecided, where it must, is the leaf after its rules."""
    cells, sizes = _cells(criteria, sides), [each.domain.size for each in criteria]
    levels = {each.link_id: level for level, each in enumerate(sides) if each is not None}
    undecided = leaf(len(policy.rules))
    agreed = _Applied(builder, sizes, lambda one, other: one if one == other else undecided)
    done: dict[Ref, Ref] = {}

    def draw(old: Ref) -> Ref:
        if old < 0:
            return old
        if old not in done:
            at, children = policy.diagram.at(old)
            level, below = levels[policy.criteria[at].link_id], [draw(child) for child in children]
            drawn = reduce(agreed.of, below) if None in cells[level] else undecided
            for cell, child in enumerate(below):
                here = builder.test(level, [each == cell for each in cells[level]])
                drawn = builder.choose(here, child, drawn)
            done[old] = drawn
        return done[old]

    return draw(policy.diagram.root)


def _cells(criteria: Sequence[SharedCriterion], sides: Sequence[Criterion | None]) -> _Cells:
    return [
        [_cell(side, example_value(each.domain, cell)) for cell in range(each.domain.size)]
        for each, side in zip(criteria, sides, strict=True)
    ]


def _cell(side: Criterion | None, value: Value) -> int | None:
    try:
        return None if side is None else side.domain.cell(value)
    except ValueError:
        return None


class _Applied:
    """Two diagrams as one, whose leaves are what ``leaf_of`` makes of theirs."""

    def __init__(
        self, builder: DiagramBuilder, sizes: Sequence[int], leaf_of: Callable[[Ref, Ref], Ref]
    ) -> None:
        self._builder = builder
        self._sizes = sizes
        self._leaf_of = leaf_of
        self._known: dict[tuple[Ref, Ref], Ref] = {}

    def of(self, one: Ref, other: Ref) -> Ref:
        """The diagram of both."""
        if one < 0 and other < 0:
            return self._leaf_of(one, other)
        known = self._known.get((one, other))
        if known is None:
            known = self._known[one, other] = self._node(one, other)
        return known

    def _node(self, one: Ref, other: Ref) -> Ref:
        level = min(self._builder.at(ref)[0] for ref in (one, other) if ref >= 0)
        branches = zip(self._branches(one, level), self._branches(other, level), strict=True)
        return self._builder.node(level, [self.of(*branch) for branch in branches])

    def _branches(self, ref: Ref, level: int) -> tuple[Ref, ...]:
        if ref >= 0 and self._builder.at(ref)[0] == level:
            return self._builder.at(ref)[1]
        return (ref,) * self._sizes[level]


class _Pairs:
    """The pairs of leaves met so far; a pair's leaf is its place in ``found``."""

    def __init__(self) -> None:
        self.found: dict[tuple[int, int], int] = {}

    def leaf(self, one: Ref, other: Ref) -> Ref:
        """The leaf of a pair, the same each time."""
        return leaf(self.found.setdefault((leaf_value(one), leaf_value(other)), len(self.found)))


def _differences(
    diagram: Diagram,
    criteria: Sequence[SharedCriterion],
    pairs: Sequence[tuple[int, int]],
    versions: tuple[Policy, Policy],
) -> Iterator[Difference]:
    sizes = [each.domain.size for each in criteria]
    counts = _situations(diagram, sizes)
    for place, (one, other) in sorted(enumerate(pairs), key=lambda pair: pair[1]):
        before, after = _decision(versions[0], one), _decision(versions[1], other)
        if before != after and place in counts:
            example = tuple(
                (criteria[level], example_value(criteria[level].domain, cell))
                for level, cell in _shortest_way(diagram, sizes, place)
            )
            yield Difference(before, after, example, counts[place])


def _decision(policy: Policy, position: int) -> Decision:
    if position == len(policy.rules):
        return Decision(None, None)
    rule = policy.rules[position]
    return Decision(rule.id, rule.outcome)


def _situations(diagram: Diagram, sizes: Sequence[int]) -> dict[int, int]:
    """How many combinations of cells end in each leaf."""
    reached = defaultdict[Ref, int](int, {diagram.root: prod(sizes)})
    for ref in sorted(range(len(diagram)), key=lambda node: diagram.levels[node]):
        for child in diagram.children[ref]:
            reached[child] += reached[ref] // len(diagram.children[ref])
    return {leaf_value(ref): count for ref, count in reached.items() if ref < 0}


def _shortest_way(diagram: Diagram, sizes: Sequence[int], wanted: int) -> list[tuple[int, int]]:
    """The fewest (level, cell) pairs found that bring a walk to one leaf, whatever the other criteria are."""
    only = restricted(diagram, sizes, {}, lambda value: int(value == wanted))
    ways: dict[Ref, list[tuple[int, int]]] = {only.root: []}
    waiting = deque(ways)
    while TRUE not in ways:
        ref = waiting.popleft()
        level, children = only.at(ref)
        for cell, child in enumerate(children):
            if child not in ways and child != FALSE:
                ways[child] = [*ways[ref], (level, cell)]
                waiting.append(child)
    return ways[TRUE]
