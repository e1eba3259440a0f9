"""Codes of a loaded value set, which holds each in every spelling, as the plan's author wrote them: each once."""

from __future__ import annotations

from collections.abc import Iterable

from cds_service.record.codes import spellings

Code = tuple[str, str]


def each_once(codes: Iterable[Code]) -> dict[Code, frozenset[Code]]:
    """For each code, in its preferred spelling and in the order of system and code, all its spellings."""
    groups = {frozenset(spellings(system, code)) for system, code in codes}
    return {_preferred(group): group for group in sorted(groups, key=_preferred)}


def _preferred(group: frozenset[Code]) -> Code:
    """The system's first spelling, and the code with OPCS-4's dot, which sorts before every letter and digit."""
    system, code = min(group)
    return next(spellings(system, code))[0], code
