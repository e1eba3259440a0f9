"""A policy's decision diagram as a picture: one row for each criterion, one box for each rule, as self-contained SVG."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from cds_service.policies.diagram import Diagram, Ref, leaf_value
from cds_service.policies.explain import in_cells
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
_MARGIN, _GAP, _LINE, _ABOVE_LINES = 16, 34, 15, 34
_NODE = (158, 40)
_RULE = (206, 58)
_NODE_TEXT, _RULE_TEXT, _EDGE_TEXT = 21, 28, 26


@dataclass(frozen=True)
class _Box:
    """Where a criterion or a rule is drawn: the middle of its box, and the box's size."""

    x: float
    y: float
    width: float
    height: float


def drawn_as_svg(policy: Policy) -> str:
    """The diagram. The same policy gives the same text; it needs nothing from elsewhere and runs nothing."""
    rows = _rows(policy.diagram)
    boxes = _boxes(policy.diagram, rows)
    width = max(box.x + box.width / 2 for box in boxes.values()) + _MARGIN
    height = max(box.y + box.height / 2 for box in boxes.values()) + _MARGIN
    name = escape(policy.id)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="{name}-title {name}-desc" '
        f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="system-ui,sans-serif" font-size="13" text-anchor="middle">',
        f'<title id="{name}-title">{_text(f"How this is decided: {policy.title}")}</title>',
        f'<desc id="{name}-desc">{_text(_description(policy))}</desc>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *_edges(policy, boxes),
        *(
            _criterion(policy, ref, box) if ref >= 0 else _rule(policy, ref, box)
            for ref, box in boxes.items()
        ),
        *_edge_labels(policy, boxes),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _description(policy: Policy) -> str:
    rules = "; ".join(f"{rule.id}: {rule.outcome.code}" for rule in policy.rules)
    return f"Each row asks one question, lines carry the answers, the last row is the rules that decide: {rules}."


def _rows(diagram: Diagram) -> list[list[Ref]]:
    """The nodes by criterion, then the rules; each row in an order that lets few lines cross."""
    by_level: dict[int, list[Ref]] = {}
    for ref in range(len(diagram)):
        by_level.setdefault(diagram.levels[ref], []).append(ref)
    leaves = {ref for children in diagram.children for ref in children if ref < 0} or {diagram.root}
    return _untangled(diagram, [*(by_level[level] for level in sorted(by_level)), sorted(leaves)])


def _untangled(diagram: Diagram, rows: Iterable[Sequence[Ref]]) -> list[list[Ref]]:
    """From the top down, each row ordered by the mean place of what leads into it (the barycentre method)."""
    parents: dict[Ref, list[Ref]] = {}
    for ref, children in enumerate(diagram.children):
        for child in children:
            parents.setdefault(child, []).append(ref)
    at: dict[Ref, float] = {}
    ordered: list[list[Ref]] = []
    for row in rows:
        mean = {ref: _mean([at[parent] for parent in parents.get(ref, ())]) for ref in row}
        ordered.append(sorted(row, key=lambda ref: (mean[ref], ref)))
        at |= {ref: (place + 0.5) / len(row) for place, ref in enumerate(ordered[-1])}
    return ordered


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.5


def _boxes(diagram: Diagram, rows: Sequence[Sequence[Ref]]) -> dict[Ref, _Box]:
    """The rows one below the other, each in the middle of the widest, with room for the answers between them."""
    sizes = [_NODE if row[0] >= 0 else _RULE for row in rows]
    widths = [len(row) * (width + _GAP) - _GAP for row, (width, _) in zip(rows, sizes, strict=True)]
    boxes, top = {}, float(_MARGIN)
    for row, (width, height), row_width in zip(rows, sizes, widths, strict=True):
        left = _MARGIN + (max(widths) - row_width) / 2
        for place, ref in enumerate(row):
            x = left + place * (width + _GAP) + width / 2
            boxes[ref] = _Box(x, top + height / 2, width, height)
        top += height + _ABOVE_LINES + _LINE * max(len(_branches(diagram, ref)) for ref in row)
    return boxes


def _branches(diagram: Diagram, ref: Ref) -> dict[Ref, list[int]]:
    """Where a node leads, each with the cells that lead there."""
    branches: dict[Ref, list[int]] = {}
    for cell, child in enumerate(diagram.children[ref] if ref >= 0 else ()):
        branches.setdefault(child, []).append(cell)
    return branches


def _edges(policy: Policy, boxes: dict[Ref, _Box]) -> Iterator[str]:
    yield '<g fill="none" stroke="#8a8a8a" stroke-width="1.2">'
    for ref in range(len(policy.diagram)):
        for child in _branches(policy.diagram, ref):
            (x, y), (to_x, to_y) = _ends(boxes, ref, child)
            bend = (to_y - y) / 2
            curve = f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
            yield f'<path d="M{x:.1f} {y:.1f}{curve}"/>'
    yield "</g>"


def _ends(boxes: dict[Ref, _Box], ref: Ref, child: Ref) -> tuple[tuple[float, float], tuple[float, float]]:
    start, end = boxes[ref], boxes[child]
    return (start.x, start.y + start.height / 2), (end.x, end.y - end.height / 2)


def _edge_labels(policy: Policy, boxes: dict[Ref, _Box]) -> Iterator[str]:
    """The answers, on their lines just below the question, one under the other so that none covers another."""
    halo = 'stroke="#ffffff" stroke-width="4" stroke-linejoin="round" paint-order="stroke"'
    yield f'<g font-size="11" fill="#111111" {halo}>'
    for ref in range(len(policy.diagram)):
        criterion = policy.criteria[policy.diagram.levels[ref]]
        branches = sorted(_branches(policy.diagram, ref).items(), key=lambda branch: boxes[branch[0]].x)
        for place, (child, cells) in enumerate(branches, start=1):
            start, end = _ends(boxes, ref, child)
            below = 12 + _LINE * place
            words = in_cells(criterion, cells)
            yield (
                f'<text x="{_x_below(start, end, below):.1f}" y="{start[1] + below:.1f}">'
                f"{_tooltip(words)}{_text(_cut(words, _EDGE_TEXT))}</text>"
            )
    yield "</g>"


def _x_below(start: tuple[float, float], end: tuple[float, float], below: float) -> float:
    """Where a line is, so far below its start. Its curve is ``(1-t)³, 3(1-t)²t, 3(1-t)t², t³`` of four points."""
    low, high = 0.0, 1.0
    for _ in range(20):
        t = (low + high) / 2
        # The inner points stand half way down, so that down is 1.5 t (1-t) + t³ of the whole height.
        if (1.5 * t * (1 - t) + t**3) * (end[1] - start[1]) < below:
            low = t
        else:
            high = t
    return start[0] + (end[0] - start[0]) * (3 * low**2 - 2 * low**3)


def _criterion(policy: Policy, ref: Ref, box: _Box) -> str:
    criterion = policy.criteria[policy.diagram.levels[ref]]
    lines = _lines(criterion.name, _NODE_TEXT, 2)
    return _box(box, _PLAIN, 18, f"{criterion.link_id}: {criterion.text}", [(line, 400) for line in lines])


def _rule(policy: Policy, ref: Ref, box: _Box) -> str:
    rule = policy.rules[leaf_value(ref)]
    lines = [(rule.outcome.code, 700), *((line, 400) for line in _lines(rule.id, _RULE_TEXT, 2))]
    return _box(box, _COLOURS[rule.outcome.code], 6, f"{rule.id}: {rule.title}", lines)


def _box(
    box: _Box, colours: tuple[str, str], corner: int, tooltip: str, lines: Sequence[tuple[str, int]]
) -> str:
    fill, line = colours
    first = box.y + 5 - _LINE * (len(lines) - 1) / 2
    texts = "".join(
        f'<text x="{box.x:.1f}" y="{first + _LINE * place:.1f}" font-weight="{weight}" fill="#111111">'
        f"{_text(words)}</text>"
        for place, (words, weight) in enumerate(lines)
    )
    return (
        f'<g>{_tooltip(tooltip)}<rect x="{box.x - box.width / 2:.1f}" y="{box.y - box.height / 2:.1f}" '
        f'width="{box.width}" height="{box.height}" rx="{corner}" fill="{fill}" stroke="{line}"/>{texts}</g>'
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
