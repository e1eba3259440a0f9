"""Tables of plain text whose cells are wrapped so that the whole fits a width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from textwrap import wrap

_GAP = "  "
_NARROWEST = 6


def table(head: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """The lines of a table: its head, a line, its rows, apart from each other when one of them takes several lines."""
    widths = _widths([head, *rows], width)
    yield from _lines(head, widths)
    yield _GAP.join("─" * each for each in widths)
    written = [list(_lines(row, widths)) for row in rows]
    apart = any(len(lines) > 1 for lines in written)
    for place, lines in enumerate(written):
        if apart and place:
            yield ""
        yield from lines


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """What each column needs, the widest made narrower until all fit; no word is broken unless it must be."""
    columns = list(zip(*rows, strict=True))
    widths = [max(_NARROWEST, *map(len, column)) for column in columns]
    room = max(width - len(_GAP) * (len(widths) - 1), _NARROWEST * len(widths))
    words = [max(len(piece) for text in column for piece in _pieces(text)) for column in columns]
    while sum(widths) > room:
        spare = [each - floor for each, floor in zip(widths, words, strict=True)]
        of = spare if max(spare) > 0 else widths
        widths[of.index(max(of))] -= 1
    return widths


def _pieces(text: str) -> list[str]:
    """What a line may be broken between: words, and parts of a hyphenated one with the hyphen."""
    return [piece for word in text.split() for piece in word.replace("-", "- ").split()] or [""]


def _lines(row: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    cells = [wrap(text, width) or [""] for text, width in zip(row, widths, strict=True)]
    for line in zip_longest(*cells, fillvalue=""):
        padded = (text.ljust(width) for text, width in zip(line, widths, strict=True))
        yield _GAP.join(padded).rstrip()
