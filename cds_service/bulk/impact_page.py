"""The impact of another policy set as a page of its own: figures, a chart and tables, with nothing fetched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from cds_service.bulk.impact import CLAUSE, NONE, OUTCOME, Change

_STYLE = """
body{font:1rem/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#212b32;background:#fff}
table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;vertical-align:top;padding:.4rem .6rem;border-bottom:1px solid #d8dde0}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:600}
svg{width:100%;height:auto}
svg text{font:14px system-ui,sans-serif;fill:#212b32}
"""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_ROW, _LABEL, _CHART, _MOST_BARS = 30, 430, 900, 20


def impact_page(
    decided: int,
    orders: Mapping[str, int],
    outcomes: Sequence[tuple[str, str, int]],
    changes: Sequence[tuple[Change, int]],
) -> str:
    """The page. ``orders``: by what changes of an order at all; ``outcomes``: before, after, how many answers."""
    changed = [each for each in outcomes if each[0] != each[1]]
    body = (
        f"<h1>What the other policies would change</h1>\n{_figures(decided, orders)}",
        f"<h2>By outcome</h2>\n{_chart(changed)}\n{_outcome_table(outcomes)}",
        f"<h2>By policy and clause</h2>\n{_clause_table(changes)}",
    )
    return (
        '<!doctype html>\n<html lang="en-GB">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>What the other policies would change</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{chr(10).join(body)}\n</main>\n</body>\n</html>\n"
    )


def _figures(decided: int, orders: Mapping[str, int]) -> str:
    by_outcome, by_clause, same = (orders.get(kind, 0) for kind in (OUTCOME, CLAUSE, NONE))
    return (
        f"<p>Of {decided:,} orders, <strong>{by_outcome:,}</strong> ({_share(by_outcome, decided)}) have another "
        f"outcome, {by_clause:,} ({_share(by_clause, decided)}) the same outcome by other clauses, and {same:,} "
        f"({_share(same, decided)}) stay as they are.</p>"
        "<p>Which orders they are is in changes.csv. Below, an answer is what one policy says of one order.</p>"
    )


def _chart(changed: Sequence[tuple[str, str, int]]) -> str:
    """Bars of the most frequent changes; the table below says the same in figures."""
    if not changed:
        return "<p>No outcome changes.</p>"
    shown, most = changed[:_MOST_BARS], changed[0][2]
    bars = "\n".join(_bar(place, *each, most) for place, each in enumerate(shown))
    height = len(shown) * _ROW
    return (
        f'<svg role="img" aria-labelledby="chart-title" viewBox="0 0 {_CHART} {height}">\n'
        f'<title id="chart-title">Answers by outcome before and after: {_told(shown)}</title>\n{bars}\n</svg>'
    )


def _bar(place: int, before: str, after: str, count: int, most: int) -> str:
    top, width = place * _ROW, max(2, round((_CHART - _LABEL - 100) * count / most))
    return (
        f'<text x="{_LABEL - 10}" y="{top + 20}" text-anchor="end">{escape(before)} → {escape(after)}</text>'
        f'<rect x="{_LABEL}" y="{top + 5}" width="{width}" height="{_ROW - 10}" fill="#005eb8"/>'
        f'<text x="{_LABEL + width + 8}" y="{top + 20}">{count:,}</text>'
    )


def _told(changed: Iterable[tuple[str, str, int]]) -> str:
    return escape("; ".join(f"{before} to {after}: {count:,}" for before, after, count in changed))


def _outcome_table(outcomes: Iterable[tuple[str, str, int]]) -> str:
    rows = ((escape(before), escape(after), f"{count:,}") for before, after, count in outcomes)
    return _table("Answers by outcome", ("Before", "After", "Answers"), rows)


def _clause_table(changes: Iterable[tuple[Change, int]]) -> str:
    rows = (
        (
            escape(change.policy),
            f"{escape(change.before.said)}<br>{escape(change.before.clauses)}",
            f"{escape(change.after.said)}<br>{escape(change.after.clauses)}",
            f"{count:,}",
        )
        for change, count in changes
    )
    return _table("Answers that change", ("Policy", "Before", "After", "Answers"), rows)


def _table(caption: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose last column is figures; the cells are HTML."""
    names = "".join(_cell("th", 'scope="col"', name, place, head) for place, name in enumerate(head))
    lines = "\n".join(
        f"<tr>{''.join(_cell('td', '', cell, place, head) for place, cell in enumerate(row))}</tr>"
        for row in rows
    )
    return f"<table>\n<caption>{caption}</caption>\n<thead><tr>{names}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>"


def _cell(tag: str, attributes: str, content: str, place: int, head: Sequence[str]) -> str:
    figure = ' class="n"' if place == len(head) - 1 else ""
    return f"<{tag}{figure}{' ' + attributes if attributes else ''}>{content}</{tag}>"


def _share(count: int, total: int) -> str:
    return f"{100 * count / total:.1f} %" if total else "–"
