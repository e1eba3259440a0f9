"""An evaluation told at a terminal: its summary as tables, and how far it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from cds_service.bulk.impact import CLAUSE, NONE, OUTCOME, by_outcome
from cds_service.bulk.results import Summary

_WIDTH = 30


def told(summary: Summary) -> str:
    """The summary as text."""
    return "\n".join(_lines(summary)) + "\n"


def show_progress(doing: str, done: int, of: int) -> None:
    """Draw how far it is on standard error, when that is a terminal."""
    if sys.stderr.isatty():
        full = _WIDTH * done // of if of else _WIDTH
        end = "\n" if done == of else ""
        sys.stderr.write(f"\r{doing:9} [{'#' * full}{'.' * (_WIDTH - full)}] {done}/{of}{end}")
        sys.stderr.flush()


def _lines(summary: Summary) -> Iterator[str]:
    orders, records = summary.orders, summary.records
    yield (
        f"{orders['in']:,} orders: {orders['decided']:,} decided, {orders['passed over']:,} passed over, "
        f"{orders['quarantined']:,} quarantined"
    )
    yield f"{records['in']:,} lines of records, {records['quarantined']:,} quarantined"
    for kind, why in summary.not_read.items():
        yield f"{kind} not read: {why}"
    yield ""
    yield f"{'rows':>12}  {'said':22} policy"
    for (policy, said), count in sorted(summary.counts.answers.items(), key=lambda each: (-each[1], each[0])):
        yield f"{count:>12,}  {said:22} {policy}"
    if summary.compared:
        yield from _impact(summary)


def _impact(summary: Summary) -> Iterator[str]:
    orders = summary.counts.changed_orders
    yield ""
    yield (
        f"{orders[OUTCOME]:,} orders with another outcome, {orders[CLAUSE]:,} with other clauses only, "
        f"{orders[NONE]:,} the same"
    )
    yield f"{'answers':>12}  before → after"
    for before, after, count in by_outcome(summary.counts.changes):
        yield f"{count:>12,}  {before} → {after}{'' if before != after else ' (the same)'}"
