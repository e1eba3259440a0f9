"""What is counted while orders are decided, and added up over buckets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from cds_service.bulk.impact import Answer, Change, greatest
from cds_service.bulk.rows import Row


@dataclass(frozen=True)
class Counts:
    """Orders by what became of them; rows by (policy, outcome or status); answers by what changes; orders likewise."""

    orders: Counter[str] = field(default_factory=Counter)
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[Change] = field(default_factory=Counter)
    changed_orders: Counter[str] = field(default_factory=Counter)

    def count_rows(self, rows: Iterable[Row]) -> None:
        """Count the rows of a decided order."""
        self.orders["decided"] += 1
        self.answers.update((row.policy, row.said) for row in rows)

    def count_changes(self, changes: Sequence[Change]) -> None:
        """Count how the answers to an order differ."""
        self.changes.update(changes)
        self.changed_orders[greatest(changes)] += 1

    def add(self, other: Counts) -> None:
        """Count all that another has counted."""
        self.orders.update(other.orders)
        self.answers.update(other.answers)
        self.changes.update(other.changes)
        self.changed_orders.update(other.changed_orders)


def written(counts: Counts) -> bytes:
    """The counts as JSON."""
    return orjson.dumps(
        {
            "orders": counts.orders,
            "answers": [[*key, count] for key, count in sorted(counts.answers.items())],
            "changes": [
                [each.kind, each.policy, [*each.before], [*each.after], count]
                for each, count in sorted(counts.changes.items())
            ],
            "changed_orders": counts.changed_orders,
        }
    )


def read(content: bytes) -> Counts:
    """The counts that ``written`` wrote."""
    found: Any = orjson.loads(content)
    return Counts(
        Counter(found["orders"]),
        Counter({(policy, said): count for policy, said, count in found["answers"]}),
        Counter(
            {
                Change(kind, policy, Answer(*before), Answer(*after)): count
                for kind, policy, before, after, count in found["changes"]
            }
        ),
        Counter(found["changed_orders"]),
    )
