"""What another policy set would change: the orders that it answers otherwise, and how many of each kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cds_service.bulk.rows import NO_POLICY, Row

OUTCOME, CLAUSE, NONE = "outcome", "clause", "none"


class Answer(NamedTuple):
    """What one policy set says of an order by one policy: the outcome, or the status without one; and its clauses."""

    said: str
    clauses: str


class Change(NamedTuple):
    """One order and policy under two policy sets. ``kind``: whether the outcome, only the clauses, or nothing differs."""

    kind: str
    policy: str
    before: Answer
    after: Answer


CHANGE_COLUMNS = (
    "order",
    "patient",
    "policy",
    "changed",
    "outcome_before",
    "outcome_after",
    "clauses_before",
    "clauses_after",
)
_ABSENT = Answer(NO_POLICY, "")


def compared(before: Iterable[Row], after: Iterable[Row]) -> tuple[Change, ...]:
    """An order's answers under two policy sets, policy by policy; versions of one policy are the same policy."""
    old, new = _answers(before), _answers(after)
    # A row without a policy says why there is none, unless the other set has a policy to say something by.
    urls = sorted({*old, *new} - {""}) or [""]
    before_without, after_without = old.get("", _ABSENT), new.get("", _ABSENT)
    return tuple(_change(url, old.get(url, before_without), new.get(url, after_without)) for url in urls)


def change_cells(order: Row, change: Change, *, with_patient: bool) -> list[str]:
    """The values of CHANGE_COLUMNS; the patient is left out on request."""
    patient = [order.patient] if with_patient else []
    said, clauses = zip(change.before, change.after, strict=True)
    return [order.order, *patient, change.policy, change.kind, *said, *clauses]


def change_columns(*, with_patient: bool) -> tuple[str, ...]:
    """The names of the columns."""
    return tuple(name for name in CHANGE_COLUMNS if with_patient or name != "patient")


def by_outcome(changes: Counter[Change]) -> list[tuple[str, str, int]]:
    """Outcome before, outcome after and how many, the unchanged included; the most frequent first."""
    counts: Counter[tuple[str, str]] = Counter()
    for change, count in changes.items():
        counts[change.before.said, change.after.said] += count
    return [(*pair, count) for pair, count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))]


def by_clause(changes: Counter[Change]) -> list[tuple[Change, int]]:
    """The changes, policy and clauses told apart; the most frequent first."""
    changed = [(change, count) for change, count in changes.items() if change.kind != NONE]
    return sorted(changed, key=lambda each: (-each[1], each[0]))


def greatest(changes: Sequence[Change]) -> str:
    """What differs about an order at all: its outcome by some policy, else clauses, else nothing."""
    found = {change.kind for change in changes}
    return next(kind for kind in (OUTCOME, CLAUSE, NONE) if kind in found)


def _answers(rows: Iterable[Row]) -> dict[str, Answer]:
    return {row.policy_url: Answer(row.said, row.clauses) for row in rows}


def _change(url: str, before: Answer, after: Answer) -> Change:
    if before.said != after.said:
        return Change(OUTCOME, url, before, after)
    return Change(CLAUSE if before.clauses != after.clauses else NONE, url, before, after)
