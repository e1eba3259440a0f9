"""A Questionnaire and what is needed from outside it to put it on a page."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from cds_service.record.resources import Resource, members, text

# A value set's canonical → its codings, in order; None when it cannot be expanded.
Expand = Callable[[str], Sequence[Resource] | None]


@dataclass(frozen=True)
class FormOnPage:
    """``zone``: what clock times typed here are in. ``dont_know``: the linkIds that may be answered so, None for all.

    "Don't know" is only ever offered for booleans, choices, numbers, dates and times: text can say it itself.
    """

    questionnaire: Resource
    expand: Expand
    zone: tzinfo
    dont_know: Container[str] | None = None

    def may_be_unknown(self, link_id: str) -> bool:
        """Whether this question may be answered with "don't know"."""
        return self.dont_know is None or link_id in self.dont_know

    def codings(self, canonical: str) -> Sequence[Resource] | None:
        """The codings of a value set: one the Questionnaire contains (``#id``), else by ``expand``."""
        if not canonical.startswith("#"):
            return self.expand(canonical)
        for value_set in members(self.questionnaire, "contained"):
            if text(value_set, "id") == canonical[1:]:
                return _enumerated(value_set)
        return None


def _enumerated(value_set: Resource) -> list[Resource] | None:
    """The codings that a value set lists: its expansion, else the concepts of its compose; None when it lists none."""
    listed = [
        {name: each[name] for name in ("system", "code", "display") if name in each}
        for each in members(value_set.get("expansion"), "contains")
    ]
    for include in members(value_set.get("compose"), "include") if not listed else ():
        listed += [
            {"system": include.get("system"), "code": concept.get("code"), "display": concept.get("display")}
            for concept in members(include, "concept")
        ]
    return [{name: value for name, value in each.items() if value} for each in listed] or None
