"""Rows of a table as lines of CSV (RFC 4180, lines ending in a line feed), written in bulk."""

from __future__ import annotations

from collections.abc import Iterable


def csv_line(values: Iterable[object]) -> str:
    """The line of a row of several values: texts as they are, quoted where they have to be; numbers as they print.

    The csv module says the same of every value but one with a lone carriage return, which it leaves bare and readers
    take for the end of the row. It also looks at every character by itself, and rows have hundreds.
    """
    return ",".join([_cell(str(value)) for value in values]) + "\n"


def _cell(text: str) -> str:
    if '"' in text:
        return '"' + text.replace('"', '""') + '"'
    return f'"{text}"' if "," in text or "\n" in text or "\r" in text else text
