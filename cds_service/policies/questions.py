"""Which questions settle a policy, fewest first.

The best next question is the first of the questionnaire that asks fewest questions on average, every cell of an
unknown criterion being taken for equally likely; found exactly by searching every order while at most ``EXACT`` criteria
can matter, and beyond that by how much each question alone narrows the outcomes (information gain).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache
from math import log2

from cds_service.policies.diagram import Diagram, DiagramBuilder, Ref, restricted
from cds_service.policies.policy import Criterion, Policy

EXACT = 6
_REMEMBERED = 4096


class Questions:
    """The outstanding questions of one policy. The answers depend on the policy alone, so they are remembered."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._sizes = tuple(criterion.domain.size for criterion in policy.criteria)
        outcomes = list(dict.fromkeys(rule.outcome for rule in policy.rules))
        self._outcome_of = tuple(outcomes.index(rule.outcome) for rule in policy.rules)
        self._ranked = lru_cache(_REMEMBERED)(self._rank)

    def outstanding(self, known: tuple[tuple[int, int], ...]) -> tuple[Criterion, ...]:
        """The criteria that can still change the outcome, best question first. ``known``: (level, cell) pairs."""
        return tuple(self._policy.criteria[level] for level in self._ranked(known))

    def _rank(self, known: tuple[tuple[int, int], ...]) -> tuple[int, ...]:
        diagram = restricted(self._policy.diagram, self._sizes, dict(known), self._outcome_of.__getitem__)
        return ranked(diagram, self._sizes)


def ranked(diagram: Diagram, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """The levels that a diagram's value turns on, best question first."""
    if len(diagram.support()) <= EXACT:
        return Strategy(diagram, sizes).order()
    bits = gains(diagram, sizes)
    return tuple(sorted(bits, key=lambda level: (-bits[level], level)))


class Strategy:
    """The questioning of a small diagram that asks fewest questions on average."""

    def __init__(self, diagram: Diagram, sizes: tuple[int, ...]) -> None:
        self._sizes = sizes
        self._builder = DiagramBuilder(sizes, limit=100_000)
        self._root = self._builder.copied(diagram, diagram.root, lambda _: None, lambda value: value)
        self._levels: dict[Ref, frozenset[int]] = {}
        self._best: dict[Ref, tuple[float, int, int]] = {}

    def order(self) -> tuple[int, ...]:
        """Every criterion that the questioning may come to, in the order in which it does, earliest first."""
        met: dict[int, None] = {}
        waiting = [self._root]
        seen: set[Ref] = set()
        while waiting:
            ref = waiting.pop(0)
            if ref >= 0 and ref not in seen:
                seen.add(ref)
                level = self._next(ref)[2]
                met[level] = None
                waiting += [self._builder.restricted(ref, level, cell) for cell in range(self._sizes[level])]
        return tuple(met)

    def average(self) -> float:
        """How many questions are asked on average."""
        return 0.0 if self._root < 0 else self._next(self._root)[0]

    def _next(self, ref: Ref) -> tuple[float, int, int]:
        """(questions on average, questions at worst, criterion to ask): the least of these for this diagram."""
        best = self._best.get(ref)
        if best is None:
            best = self._best[ref] = min(self._costs(ref, level) for level in self._support(ref))
        return best

    def _costs(self, ref: Ref, level: int) -> tuple[float, int, int]:
        after = [self._builder.restricted(ref, level, cell) for cell in range(self._sizes[level])]
        costs = [(0.0, 0, 0) if each < 0 else self._next(each) for each in after]
        average = 1 + sum(cost[0] for cost in costs) / len(costs)
        return round(average, 9), 1 + max(cost[1] for cost in costs), level

    def _support(self, ref: Ref) -> frozenset[int]:
        known = self._levels.get(ref)
        if known is None:
            level, children = self._builder.at(ref)
            below = [self._support(child) for child in children if child >= 0]
            known = self._levels[ref] = frozenset({level}).union(*below)
        return known


def gains(diagram: Diagram, sizes: tuple[int, ...]) -> dict[int, float]:
    """Level → how many bits of the value its question alone gives on average, every cell being equally likely.

    Whether a node is reached turns on earlier levels only. So what comes of one cell is what comes of all ways, with the
    cell's own branch in place of all branches of the level's nodes: one pass up and one down tell it for all levels.
    """
    values = sorted({child for children in diagram.children for child in children if child < 0})
    chances: dict[Ref, list[float]] = {
        each: [1.0 if each == value else 0.0 for value in values] for each in values
    }
    # Nodes are numbered from the root downwards, but a node may be met before a parent that stands further down.
    downwards = sorted(range(len(diagram)), key=lambda node: diagram.levels[node])
    for ref in reversed(downwards):
        branches = [chances[child] for child in diagram.children[ref]]
        chances[ref] = [sum(each) / len(branches) for each in zip(*branches, strict=True)]
    after = {level: [list(chances[diagram.root]) for _ in range(sizes[level])] for level in diagram.levels}
    reached: defaultdict[Ref, float] = defaultdict(float, {diagram.root: 1.0})
    for ref in downwards:
        level, children = diagram.at(ref)
        share, anyhow = reached[ref], chances[ref]
        for child, cell in zip(children, after[level], strict=True):
            reached[child] += share / len(children)
            for place, chance in enumerate(chances[child]):
                cell[place] += share * (chance - anyhow[place])
    now = _entropy(chances[diagram.root])
    return {level: round(now - sum(map(_entropy, cells)) / len(cells), 9) for level, cells in after.items()}


def _entropy(chances: Iterable[float]) -> float:
    return -sum(chance * log2(chance) for chance in chances if chance > 0)
