"""Decision diagrams: a policy's ordered rules as one reduced, shared, ordered graph.

A node tests one criterion and has one child per cell of its domain; a leaf is a number (for conditions 0 or 1, for a
policy the position of the rule that wins). Along any path a criterion is tested at most once, and no node has children
that are all the same, so what a walk can reach with some criteria unknown is exactly what some completion of the
unknowns could give. (Multi-terminal binary decision diagrams, Bryant 1986 and Clarke et al. 1993, with more than two
branches.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cds_service.errors import DiagramTooLargeError

# A reference to a node: its position, or for a leaf holding n, the negative number -1 - n.
Ref = int


def leaf(value: int) -> Ref:
    """A reference to the leaf that holds ``value`` (0 or more)."""
    return -1 - value


def leaf_value(ref: Ref) -> int:
    """What the leaf holds."""
    return -1 - ref


FALSE, TRUE = leaf(0), leaf(1)


@dataclass(frozen=True)
class Diagram:
    """A finished diagram: ``levels[ref]`` is the criterion that a node tests, ``children[ref]`` its branches by cell."""

    root: Ref
    levels: tuple[int, ...]
    children: tuple[tuple[Ref, ...], ...]

    def __len__(self) -> int:
        return len(self.levels)

    def at(self, ref: Ref) -> tuple[int, tuple[Ref, ...]]:
        """A node's level and children."""
        return self.levels[ref], self.children[ref]

    def reachable_leaves(self, cell_at: Callable[[int], int | None]) -> frozenset[int]:
        """The leaves that a walk from the root can end in. ``cell_at(level)`` is the criterion's cell, None if unknown.

        Called once per node met, so criteria off every possible path are never asked for.
        """
        levels, children = self.levels, self.children
        seen: set[Ref] = set()
        waiting = [self.root]
        while waiting:
            ref = waiting.pop()
            if ref not in seen:
                seen.add(ref)
                if ref >= 0:
                    cell = cell_at(levels[ref])
                    if cell is None:
                        waiting += children[ref]
                    else:
                        waiting.append(children[ref][cell])
        return frozenset([leaf_value(ref) for ref in seen if ref < 0])

    def support(self) -> frozenset[int]:
        """The levels that the diagram's value depends on."""
        return frozenset(self.levels)


class DiagramBuilder:
    """Builds reduced, shared diagrams over criteria whose domains have ``sizes`` cells, in the order of ``sizes``."""

    def __init__(self, sizes: Sequence[int], limit: int) -> None:
        self._sizes = tuple(sizes)
        self._limit = limit
        self._nodes: list[tuple[int, tuple[Ref, ...]]] = []
        self._known: dict[tuple[int, tuple[Ref, ...]], Ref] = {}
        self._choices: dict[tuple[Ref, Ref, Ref], Ref] = {}

    def node(self, level: int, children: Sequence[Ref]) -> Ref:
        """The node that tests ``level`` and goes on to ``children``; the child itself when they are all the same."""
        first, key = children[0], (level, tuple(children))
        if all(child == first for child in children):
            return first
        known = self._known.get(key)
        if known is None:
            if len(self._nodes) >= self._limit:
                raise DiagramTooLargeError(f"more than {self._limit} nodes")
            known = self._known[key] = len(self._nodes)
            self._nodes.append(key)
        return known

    def test(self, level: int, holds: Sequence[bool]) -> Ref:
        """The condition that holds in the cells where ``holds`` is true."""
        return self.node(level, [TRUE if cell else FALSE for cell in holds])

    def choose(self, condition: Ref, then: Ref, otherwise: Ref) -> Ref:
        """The diagram that is ``then`` where the condition holds and ``otherwise`` where it does not."""
        if condition == TRUE or then == otherwise:
            return then
        if condition == FALSE:
            return otherwise
        key = (condition, then, otherwise)
        known = self._choices.get(key)
        if known is None:
            level = min(self._level(ref) for ref in key)
            branches = zip(*(self._branches(ref, level) for ref in key), strict=True)
            known = self._choices[key] = self.node(level, [self.choose(*branch) for branch in branches])
        return known

    def negation(self, condition: Ref) -> Ref:
        """not condition"""
        return self.choose(condition, FALSE, TRUE)

    def conjunction(self, left: Ref, right: Ref) -> Ref:
        """left and right"""
        return self.choose(left, right, FALSE)

    def disjunction(self, left: Ref, right: Ref) -> Ref:
        """left or right"""
        return self.choose(left, TRUE, right)

    def difference(self, left: Ref, right: Ref) -> Ref:
        """left xor right"""
        return self.choose(left, self.negation(right), right)

    def restricted(self, ref: Ref, level: int, cell: int) -> Ref:
        """The diagram once the criterion at ``level`` is known to lie in ``cell``."""
        done: dict[Ref, Ref] = {}

        def build(old: Ref) -> Ref:
            if self._level(old) > level:
                return old
            if old not in done:
                at, children = self._nodes[old]
                is_known = at == level
                done[old] = (
                    children[cell] if is_known else self.node(at, [build(child) for child in children])
                )
            return done[old]

        return build(ref)

    def copied(
        self,
        source: Diagram | DiagramBuilder,
        ref: Ref,
        cell_at: Callable[[int], int | None],
        leaf_of: Callable[[int], int],
    ) -> Ref:
        """``ref`` of another diagram over the same criteria, built again here with known criteria left out.

        ``leaf_of`` gives each leaf its new value, which may make nodes fall together.
        """
        done: dict[Ref, Ref] = {}

        def build(old: Ref) -> Ref:
            if old < 0:
                return leaf(leaf_of(leaf_value(old)))
            if old not in done:
                level, children = source.at(old)
                cell = cell_at(level)
                done[old] = (
                    self.node(level, [build(child) for child in children])
                    if cell is None
                    else build(children[cell])
                )
            return done[old]

        return build(ref)

    def at(self, ref: Ref) -> tuple[int, tuple[Ref, ...]]:
        """A node's level and children."""
        return self._nodes[ref]

    def finished(self, root: Ref) -> Diagram:
        """The diagram below ``root`` alone, its nodes numbered from the root downwards."""
        numbers: dict[Ref, Ref] = {}
        waiting = [root]
        while waiting:
            ref = waiting.pop(0)
            if ref >= 0 and ref not in numbers:
                numbers[ref] = len(numbers)
                waiting.extend(self._nodes[ref][1])
        ordered = [self._nodes[ref] for ref in numbers]
        return Diagram(
            numbers.get(root, root),
            tuple(level for level, _ in ordered),
            tuple(tuple(numbers.get(child, child) for child in children) for _, children in ordered),
        )

    def _level(self, ref: Ref) -> int:
        return self._nodes[ref][0] if ref >= 0 else len(self._sizes)

    def _branches(self, ref: Ref, level: int) -> tuple[Ref, ...]:
        if ref >= 0 and self._nodes[ref][0] == level:
            return self._nodes[ref][1]
        return (ref,) * self._sizes[level]


def restricted(
    diagram: Diagram, sizes: Sequence[int], known: Mapping[int, int], leaf_of: Callable[[int], int]
) -> Diagram:
    """A diagram once the criteria in ``known`` (level → cell) are settled, its leaves renamed by ``leaf_of``."""
    builder = DiagramBuilder(sizes, limit=len(diagram) + 1)
    return builder.finished(builder.copied(diagram, diagram.root, known.get, leaf_of))
