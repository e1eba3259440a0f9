"""JSON read so that it has one meaning only."""

from __future__ import annotations

import json
from typing import NoReturn


def strict_json(text: bytes) -> object:
    """The value of ``text``: UTF-8 JSON in which no object names a member twice. Else ValueError."""
    try:
        return json.loads(text.decode(), object_pairs_hook=_members, parse_constant=_refused)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")
