"""A policy's decision diagram as a picture: one row for each criterion, one box for each rule, as self-contained SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from textwrap import wrap

from cds_service.authoring.explain import in_cells
from cds_service.authoring.layout import Layout, Stop, layout
from cds_service.policies.diagram import Diagram, Ref, leaf_value
from cds_service.policies.policy import (
    ADVICE,
    ELIGIBLE,
    IFR_REQUIRED,
    INFORMATION_NEEDED,
    NOT_APPLICABLE,
    NOT_NORMALLY_FUNDED,
    REDIRECT,
    Policy,
)

# Fill and line of a rule's box by outcome; the text on each is black.
_COLOURS = {
    ELIGIBLE: ("#c9efd2", "#1a7f37"),
    NOT_NORMALLY_FUNDED: ("#ffd8d3", "#b3261e"),
    IFR_REQUIRED: ("#ffe7b3", "#9a6700"),
    INFORMATION_NEEDED: ("#e9dcfb", "#6f42c1"),
    REDIRECT: ("#d3e6fd", "#0b5cad"),
    ADVICE: ("#cdeef0", "#0b6e75"),
    NOT_APPLICABLE: ("#e8e8e8", "#595959"),
}
_PLAIN = ("#ffffff", "#333333")
# Sizes in pixels; text is wrapped and cut by characters, which are taken to be of average width.
_MARGIN, _GAP, _LINE, _ABOVE_LINES = 16, 30, 15, 30
_NODE = (158, 40)
_RULE = (206, 58)
_NODE_TEXT, _RULE_TEXT, _EDGE_TEXT = 21, 28, 26


Point = tuple[float, float]


@dataclass(frozen=True)
class _Picture:
    """The layout, and the top of each row: a line that passes a row goes straight through it."""

    policy: Policy
    layout: Layout
    tops: tuple[float, ...]

    def size(self) -> Point:
        """Width and height."""
        right = max(
            self.layout.x[stop] + (_GAP + _width(stop[1])) / 2 for row in self.layout.rows for stop in row
        )
        return right + 2 * _MARGIN, self.tops[-1] + _RULE[1] + _MARGIN

    def top(self, stop: Stop) -> Point:
        """Where lines come in."""
        return self.layout.x[stop] + _MARGIN, self.tops[stop[0]]

    def bottom(self, stop: Stop) -> Point:
        """Where lines go out."""
        x, top = self.top(stop)
        return x, top + _NODE[1]


def drawn_as_svg(policy: Policy) -> str:
    """The diagram. The same policy gives the same text; it needs nothing from elsewhere and runs nothing."""
    picture = _picture(policy)
    width, height = picture.size()
    name = escape(policy.id)
    boxes = sorted(picture.layout.row_of.items(), key=lambda pair: (pair[1], pair[0]))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-title {name}-desc" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="system-ui,sans-serif" font-size="13" text-anchor="middle">',
        f'<title id="{name}-title">{_text(f"How this is decided: {policy.title}")}</title>',
        f'<desc id="{name}-desc">{_text(_description(policy))}</desc>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *_lines_drawn(picture),
        *(_criterion(picture, ref) if ref >= 0 else _rule(picture, ref) for ref, _ in boxes),
        *_answers(picture),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _picture(policy: Policy) -> _Picture:
    placed = layout(policy.diagram, _NODE[0] + _GAP, _RULE[0] + _GAP, _LINE)
    tops, top = [], float(_MARGIN)
    for number, row in enumerate(placed.rows):
        tops.append(top)
        most = max(
            len(_branches(policy.diagram, ref)) if placed.row_of[ref] == number else 0 for _, ref in row
        )
        top += _NODE[1] + _ABOVE_LINES + _LINE * most
    return _Picture(policy, placed, tuple(tops))


def _width(ref: Ref) -> int:
    return _NODE[0] if ref >= 0 else _RULE[0]


def _description(policy: Policy) -> str:
    rules = "; ".join(f"{rule.id}: {rule.outcome.code}" for rule in policy.rules)
    return f"Each row asks one question, lines carry the answers, the last row is the rules that decide: {rules}."


def _branches(diagram: Diagram, ref: Ref) -> dict[Ref, list[int]]:
    """Where a node leads, each with the cells that lead there."""
    branches: dict[Ref, list[int]] = {}
    for cell, child in enumerate(diagram.children[ref] if ref >= 0 else ()):
        branches.setdefault(child, []).append(cell)
    return branches


def _lines_drawn(picture: _Picture) -> Iterator[str]:
    """Every line once, from stop to stop; lines to the same target run together."""
    ways = [
        picture.layout.way(ref, child)
        for ref, children in enumerate(picture.policy.diagram.children)
        for child in dict.fromkeys(children)
    ]
    hops = {hop for way in ways for hop in pairwise(way)}
    passed = {stop for way in ways for stop in way[1:-1]}
    yield '<g fill="none" stroke="#8a8a8a" stroke-width="1.2">'
    for start, end in sorted(hops):
        (x, y), (to_x, to_y) = picture.bottom(start), picture.top(end)
        middle = (y + to_y) / 2
        yield f'<path d="M{x:.1f} {y:.1f}C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"/>'
    for stop in sorted(passed):
        (x, y), (_, to_y) = picture.top(stop), picture.bottom(stop)
        yield f'<path d="M{x:.1f} {y:.1f}V{to_y:.1f}"/>'
    yield "</g>"


def _answers(picture: _Picture) -> Iterator[str]:
    """The answers, on their lines just below the question, one under the other so that none covers another."""
    diagram, criteria = picture.policy.diagram, picture.policy.criteria
    halo = 'stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    yield f'<g font-size="11" fill="#111111" {halo}>'
    for ref in range(len(diagram)):
        hops = [
            (picture.layout.way(ref, child)[:2], cells) for child, cells in _branches(diagram, ref).items()
        ]
        hops.sort(key=lambda hop: picture.top(hop[0][1]))
        for place, ((start, end), cells) in enumerate(hops, start=1):
            below = 8 + _LINE * place
            x = _x_below(picture.bottom(start), picture.top(end), below)
            words = in_cells(criteria[diagram.levels[ref]], cells)
            y = picture.bottom(start)[1] + below
            yield f'<text x="{x:.1f}" y="{y:.1f}">{_tooltip(words)}{_text(_cut(words, _EDGE_TEXT))}</text>'
    yield "</g>"


def _x_below(start: Point, end: Point, below: float) -> float:
    """Where a line is, so far below its start: a cubic curve whose inner points stand half way down."""
    low, high = 0.0, 1.0
    for _ in range(20):
        t = (low + high) / 2
        if (1.5 * t * (1 - t) + t**3) * (end[1] - start[1]) < below:
            low = t
        else:
            high = t
    return start[0] + (end[0] - start[0]) * (3 * low**2 - 2 * low**3)


def _criterion(picture: _Picture, ref: Ref) -> str:
    criterion = picture.policy.criteria[picture.policy.diagram.levels[ref]]
    lines = [(line, 400) for line in _lines(criterion.name, _NODE_TEXT, 2)]
    return _box(picture, ref, _NODE, _PLAIN, f"{criterion.link_id}: {criterion.text}", lines)


def _rule(picture: _Picture, ref: Ref) -> str:
    rule = picture.policy.rules[leaf_value(ref)]
    lines = [(rule.outcome.code, 700), *((line, 400) for line in _lines(rule.id, _RULE_TEXT, 2))]
    return _box(picture, ref, _RULE, _COLOURS[rule.outcome.code], f"{rule.id}: {rule.title}", lines)


def _box(
    picture: _Picture,
    ref: Ref,
    size: tuple[int, int],
    colours: tuple[str, str],
    tooltip: str,
    lines: Sequence[tuple[str, int]],
) -> str:
    (x, y), (width, height), (fill, line) = picture.top((picture.layout.row_of[ref], ref)), size, colours
    first = y + height / 2 + 5 - _LINE * (len(lines) - 1) / 2
    texts = "".join(
        f'<text x="{x:.1f}" y="{first + _LINE * place:.1f}" font-weight="{weight}" fill="#111111">'
        f"{_text(words)}</text>"
        for place, (words, weight) in enumerate(lines)
    )
    return (
        f'<g>{_tooltip(tooltip)}<rect x="{x - width / 2:.1f}" y="{y:.1f}" width="{width}" height="{height}" '
        f'rx="{18 if ref >= 0 else 6}" fill="{fill}" stroke="{line}"/>{texts}</g>'
    )


def _lines(text: str, width: int, most: int) -> list[str]:
    """The text in at most so many lines, what is too much replaced by an ellipsis."""
    lines = wrap(text, width)
    return lines if len(lines) <= most else [*lines[: most - 1], _cut(" ".join(lines[most - 1 :]), width)]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1].rstrip() + "…"


def _tooltip(text: str) -> str:
    return f"<title>{_text(text)}</title>"


def _text(text: str) -> str:
    """Escaped, and without what XML cannot hold."""
    return escape("".join(character for character in text if character >= " " or character in "\t\n"))
