"""Where the nodes of a decision diagram are drawn: in rows, with lines that cross little and pass beside boxes.

Sugiyama's method: a line that skips rows gets a stop in each row that it skips (lines to one target share theirs), rows
are ordered by the mean place of their neighbours in turns from above and below, and then moved towards them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cds_service.policies.diagram import Diagram, Ref

# A row's number, and the node that is drawn there or that a line through there leads to.
Stop = tuple[int, Ref]
_SWEEPS = 8


@dataclass(frozen=True)
class Layout:
    """``rows``: the stops from the top, each from the left. ``x``: the middle of each. ``row_of``: each node's row."""

    rows: tuple[tuple[Stop, ...], ...]
    x: Mapping[Stop, float]
    row_of: Mapping[Ref, int]

    def way(self, ref: Ref, child: Ref) -> tuple[Stop, ...]:
        """The stops of the line from a node to its child, both included."""
        return (
            (self.row_of[ref], ref),
            *((row, child) for row in range(self.row_of[ref] + 1, self.row_of[child] + 1)),
        )


def layout(diagram: Diagram, node_width: float, leaf_width: float, line_width: float) -> Layout:
    """The diagram laid out, a row for each level and one for the leaves; widths include the gap to the next."""
    row_of = _row_of(diagram)
    hops = {
        ((row, ref if row == row_of[ref] else child), (row + 1, child))
        for ref in range(len(diagram))
        for child in diagram.children[ref]
        for row in range(row_of[ref], row_of[child])
    }
    above: dict[Stop, list[Stop]] = {}
    below: dict[Stop, list[Stop]] = {}
    for start, end in sorted(hops):
        below.setdefault(start, []).append(end)
        above.setdefault(end, []).append(start)
    stops = {*above, *below, *((row, ref) for ref, row in row_of.items())}
    rows = [sorted(stop for stop in stops if stop[0] == row) for row in range(max(row_of.values()) + 1)]

    def width(stop: Stop) -> float:
        if row_of[stop[1]] != stop[0]:
            return line_width
        return node_width if stop[1] >= 0 else leaf_width

    widths = {stop: width(stop) for stop in stops}
    x = _moved(_ordered(rows, above, below), above, below, widths)
    rows = [sorted(row, key=lambda stop: x[stop]) for row in rows]
    return Layout(tuple(map(tuple, rows)), x, row_of)


def _row_of(diagram: Diagram) -> dict[Ref, int]:
    levels = sorted(diagram.support())
    rows = {ref: levels.index(diagram.levels[ref]) for ref in range(len(diagram))}
    leaves = {ref for children in diagram.children for ref in children if ref < 0} or {diagram.root}
    return rows | dict.fromkeys(leaves, len(levels))


Neighbours = Mapping[Stop, Sequence[Stop]]


def _ordered(rows: Sequence[Sequence[Stop]], above: Neighbours, below: Neighbours) -> list[list[Stop]]:
    """The rows, each ordered by the mean place of its neighbours, in turns those above and those below."""
    ordered = [list(row) for row in rows]
    place = {stop: float(at) for row in ordered for at, stop in enumerate(row)}
    for sweep in range(_SWEEPS):
        neighbours, turn = (below, reversed(ordered)) if sweep % 2 else (above, iter(ordered))
        for row in turn:
            wanted = {
                stop: _mean([place[each] for each in neighbours.get(stop, ())], place[stop]) for stop in row
            }
            row.sort(key=wanted.__getitem__)
            place |= {stop: at - (len(row) - 1) / 2 for at, stop in enumerate(row)}
    return ordered


def _moved(
    rows: Sequence[Sequence[Stop]], above: Neighbours, below: Neighbours, widths: Mapping[Stop, float]
) -> dict[Stop, float]:
    """The middle of every stop: as near to its neighbours as its row lets it be; the leftmost begins at 0."""
    x: dict[Stop, float] = {}
    for row in rows:
        x |= _spread(row, dict.fromkeys(row, 0.0), widths)
    for sweep in range(_SWEEPS):
        neighbours, turn = (above, iter(rows)) if sweep % 2 else (below, reversed(rows))
        for row in turn:
            wanted = {stop: _mean([x[each] for each in neighbours.get(stop, ())], x[stop]) for stop in row}
            x |= _spread(row, wanted, widths)
    left = min(x[stop] - widths[stop] / 2 for stop in x)
    return {stop: at - left for stop, at in x.items()}


def _spread(
    row: Sequence[Stop], wanted: Mapping[Stop, float], widths: Mapping[Stop, float]
) -> dict[Stop, float]:
    """Places near those wanted, in order and not on top of each other: the mean of pushing right and pushing left."""
    pushed_right = _pushed(row, wanted, widths, 1)
    pushed_left = _pushed(tuple(reversed(row)), wanted, widths, -1)
    return {stop: (pushed_right[stop] + pushed_left[stop]) / 2 for stop in row}


def _pushed(
    row: Iterable[Stop], wanted: Mapping[Stop, float], widths: Mapping[Stop, float], direction: int
) -> dict[Stop, float]:
    at: dict[Stop, float] = {}
    last: Stop | None = None
    for stop in row:
        here = wanted[stop] * direction
        if last is not None:
            here = max(here, at[last] * direction + (widths[last] + widths[stop]) / 2)
        at[stop] = here * direction
        last = stop
    return at


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise
