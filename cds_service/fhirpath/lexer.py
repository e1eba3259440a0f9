"""Text → tokens.

Source: FHIRPath N1, appendix A (lexical elements), http://hl7.org/fhirpath/N1/#grammar
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from cds_service.errors import FhirPathSyntaxError


class Token(NamedTuple):
    """``text`` is what it stands for (a string without quotes and escapes), ``position`` where it begins."""

    kind: str
    text: str
    position: int


_TIME = r"[0-9]{2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?)?"
_DATE = r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?"
_QUOTED = r"(?:[^'\\]|\\.)*"
_TOKEN = re.compile(
    rf"""
      (?P<space>\s+|//[^\r\n]*|/\*(?:[^*]|\*(?!/))*\*/)
    | (?P<datetime>@{_DATE}T(?:{_TIME}(?:Z|[+-][0-9]{{2}}:[0-9]{{2}})?)?)
    | (?P<time>@T{_TIME})
    | (?P<date>@{_DATE})
    | (?P<number>[0-9]+(?:\.[0-9]+)?)
    | (?P<string>'{_QUOTED}')
    | (?P<delimited>`(?:[^`\\]|\\.)*`)
    | (?P<variable>%(?:[A-Za-z_][A-Za-z0-9_]*|'{_QUOTED}'|`(?:[^`\\]|\\.)*`))
    | (?P<special>\$(?:this|index|total)\b)
    | (?P<identifier>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<operator><=|>=|!=|!~|[-+*/|&<>=~.,()\[\]{{}}])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"f": "\f", "n": "\n", "r": "\r", "t": "\t", **{c: c for c in "`'\"\\/"}}
_UNFINISHED = {
    "'": "a closing '",
    "`": "a closing `",
    "/": "a closing */",
    "@": "a date or a time",
    "%": "a name",
}


def tokens(text: str) -> list[Token]:
    """The tokens, the last of kind ``end``; a FhirPathSyntaxError where the text cannot be read."""
    found: list[Token] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _unreadable(text, position)
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(Token(kind, _meaning(kind, match[0], text, position), position))
        position = match.end()
    found.append(Token("end", "", len(text)))
    return _refusing_open_comments(found, text)


def _meaning(kind: str, raw: str, text: str, position: int) -> str:
    if kind in {"string", "delimited"}:
        return unescaped(raw[1:-1], text, position)
    if kind == "variable":
        name = raw[1:]
        return unescaped(name[1:-1], text, position) if name[0] in "'`" else name
    return raw


def unescaped(raw: str, text: str, position: int) -> str:
    """The string that ``raw`` writes (N1 §4.1.2); an unknown escape is an error, not a guess."""

    def character(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        if match[2] not in _ESCAPED:
            expected = r"expected one of \' \" \` \\ \/ \f \n \r \t \uXXXX"
            raise FhirPathSyntaxError(f"unknown escape \\{match[2]}, {expected}", text, position)
        return _ESCAPED[match[2]]

    return _ESCAPE.sub(character, raw) if "\\" in raw else raw


def _refusing_open_comments(found: list[Token], text: str) -> list[Token]:
    """An unfinished comment reads as the operators ``/`` and ``*``, which never stand together otherwise."""
    for left, right in pairwise(found):
        if left.text == "/" and right.text == "*" and right.position == left.position + 1:
            raise FhirPathSyntaxError("comment without an end, expected a closing */", text, left.position)
    return found


def _unreadable(text: str, position: int) -> FhirPathSyntaxError:
    expected = _UNFINISHED.get(text[position], "an operator, a name or a value")
    return FhirPathSyntaxError(f"unexpected {text[position]!r}, expected {expected}", text, position)
