"""JSON that somebody sent, held to what it may be: one meaning, and no more of it than we can take.

orjson refuses what is no JSON: other encodings than UTF-8, a byte order mark, lone surrogates, NaN, numbers that no
double holds. It takes nesting up to 1024 deep and, of a member that is named twice, the last. Writing the value again
shows both without a walk through it in Python: orjson writes no deeper than 254, and what was lost on the way was a
member named twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from cds_service.errors import RequestError

# A FHIR form nested thirty groups deep needs 64; no published profile comes near.
MOST_NESTED = 64
_DEEPER = 254 - MOST_NESTED

MOST_DRAFTS = 200
"""Draft orders in one ordering session, and selections among them."""
MOST_ENTRIES = 10_000
"""Entries in the answer to one query."""
LONGEST_NAME = 256
"""Characters of an id that we keep."""

# How an escaped colon begins.
_ESCAPED_COLON = b"\\u003"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_JSON = f"JSON in UTF-8, nested at most {MOST_NESTED} deep"


def limited_json(body: bytes) -> object:
    """The JSON in a body. RequestError when it is none, nests too deeply, names a member twice or holds a NUL."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise RequestError("$", f"{error.msg} at {place}", _JSON) from None
    try:
        written = orjson.dumps(_nested(value))
    except orjson.JSONEncodeError:
        raise RequestError("$", f"JSON nested more than {MOST_NESTED} deep", _JSON) from None
    if written[_DEEPER:-_DEEPER] != body and _may_have_lost(body, written):
        _refuse_repeated(body)
    if b"\\u0000" in written and _NUL.search(written):
        raise RequestError(_place_of_nul(value), "the character NUL", "text that FHIR allows")
    return value


def _may_have_lost(body: bytes, written: bytes) -> bool:
    """Whether a member may be gone. Most senders write as orjson does, and are not even asked."""
    # A colon that was sent as an escape is written as itself: then the count tells nothing.
    return _ESCAPED_COLON in body or body.count(b":") != written.count(b":")


def _nested(value: object) -> object:
    """The value so deep in lists that orjson can write it just when it is itself nested no deeper than it may."""
    for _ in range(_DEEPER):
        value = [value]
    return value


@dataclass(frozen=True)
class _Repeated:
    """An object that names one of its members twice."""

    member: str


def _refuse_repeated(body: bytes) -> None:
    """RequestError when a member is named twice, with its path. Ten times slower than parsing: for doubtful bodies."""
    try:
        value = json.loads(body, object_pairs_hook=_members)
    except RecursionError:  # in a member that its namesake hid from the check of depth
        raise RequestError("$", f"JSON nested more than {MOST_NESTED} deep", _JSON) from None
    for path, part in _parts(value, "$"):
        if isinstance(part, _Repeated):
            raise RequestError(
                _told(f"{path}.{part.member[:60]}"), "a member named twice", "each member of an object once"
            )


def _members(pairs: list[tuple[str, Any]]) -> object:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            return _Repeated(name)
        members[name] = value
    return members


def _place_of_nul(value: object) -> str:
    return next(
        _told(path)
        for path, part in _parts(value, "$")
        if (isinstance(part, str) and "\0" in part)
        or (isinstance(part, dict) and any("\0" in name for name in part))
    )


def _told(path: str) -> str:
    """A path as callers are told it: without the whole at its front, unless nothing else is left of it."""
    return path.removeprefix("$.") or "$"


def _parts(value: object, path: str) -> Iterator[tuple[str, object]]:
    """Everything in a value that nests no deeper than it may, each with its path."""
    yield path, value
    if isinstance(value, dict):
        for name, member in value.items():
            yield from _parts(member, f"{path}.{name[:60]}")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _parts(item, f"{path}[{position}]")
