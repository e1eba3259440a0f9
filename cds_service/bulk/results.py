"""The results of all buckets put together, each file whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from cds_service.bulk import buckets
from cds_service.bulk.buckets import Question, fault_line
from cds_service.bulk.counts import Counts, read
from cds_service.bulk.impact import by_clause, by_outcome, change_columns
from cds_service.bulk.impact_page import impact_page
from cds_service.bulk.patients import Fault
from cds_service.bulk.rows import columns
from cds_service.bulk.spool import Spooled, faults_in
from cds_service.bulk.tables import csv_line

SUMMARY, IMPACT, IMPACT_PAGE = "summary.json", "impact.csv", "impact.html"
_IMPACT_COLUMNS = (
    "changed",
    "policy",
    "outcome_before",
    "clauses_before",
    "outcome_after",
    "clauses_after",
    "answers",
)


@dataclass(frozen=True)
class Sources:
    """What was read, and over how many buckets it was spread."""

    spools: tuple[Spooled, ...]
    buckets: int


@dataclass(frozen=True)
class Summary:
    """How many lines came in and what became of them, and how often each policy said what.

    ``orders``: "in", and what it is the sum of: "decided", "passed over" (they order nothing), "quarantined".
    ``records``: "in" and "quarantined". ``not_read``: resource type → why nothing is known of it.
    """

    orders: Mapping[str, int]
    records: Mapping[str, int]
    not_read: Mapping[str, str]
    counts: Counts
    compared: bool


def merged(sources: Sources, question: Question, results: Sequence[Path], out: Path) -> Summary:
    """Write the results of all buckets to ``out``."""
    counts = Counts()
    for result in results:
        counts.add(read((result / buckets.COUNTS).read_bytes()))
    summary = _summary(sources, question, counts)
    header = columns(with_patient=question.with_patient)
    _join(out / buckets.DECISIONS, header, results)
    _write_parquet(out / buckets.DECISIONS, header)
    if summary.compared:
        _join(out / buckets.AGAINST, header, results)
        _write_parquet(out / buckets.AGAINST, header)
        _join(out / buckets.CHANGES, change_columns(with_patient=question.with_patient), results)
        _write_impact(out, summary)
    _write_quarantine(out / buckets.QUARANTINE, sources, results)
    with _whole(out / SUMMARY) as stream:
        stream.write(orjson.dumps(_shown(summary, question), option=orjson.OPT_INDENT_2) + b"\n")
    return summary


def _summary(sources: Sources, question: Question, counts: Counts) -> Summary:
    orders = [spool for spool in sources.spools if spool.is_orders]
    records = [spool for spool in sources.spools if not spool.is_orders]
    return Summary(
        {
            "in": sum(spool.used + spool.refused for spool in orders),
            "decided": counts.orders["decided"],
            "passed over": counts.orders["passed over"],
            "quarantined": counts.orders["quarantined"] + sum(spool.refused for spool in orders),
        },
        {
            "in": sum(spool.used + spool.refused for spool in records),
            "quarantined": counts.orders["records quarantined"] + sum(spool.refused for spool in records),
        },
        dict(sorted(question.not_read.items())),
        counts,
        len(question.plan_sets) > 1,
    )


def _shown(summary: Summary, question: Question) -> dict[str, Any]:
    """The summary as JSON."""
    shown = {
        "orders": summary.orders,
        "records": summary.records,
        "notRead": summary.not_read,
        "plans": [each.digest for each in question.plan_sets],
        "asOf": question.circumstances.as_of,
        "answers": [
            {"policy": policy, "said": said, "rows": count}
            for (policy, said), count in sorted(summary.counts.answers.items())
        ],
    }
    return {**shown, "orders changed": summary.counts.changed_orders} if summary.compared else shown


def _join(file: Path, header: Sequence[str], results: Iterable[Path]) -> None:
    """Put the buckets' files of one name behind each other, under a header."""
    with _whole(file) as stream:
        stream.write(csv_line(header).encode())
        for result in results:
            with (result / file.name).open("rb") as part:
                shutil.copyfileobj(part, stream, 2**20)


def _write_quarantine(file: Path, sources: Sources, results: Iterable[Path]) -> None:
    """Put together what the first pass could not use, by file and line, and what the second could not."""
    with _whole(file) as stream:
        for spool in sources.spools:
            for number, why in faults_in(spool, sources.buckets):
                stream.write(fault_line(Fault(spool.file, spool.first_line + number, why)))
        for result in results:
            stream.write((result / buckets.QUARANTINE).read_bytes())


def _write_impact(out: Path, summary: Summary) -> None:
    with _whole(out / IMPACT) as stream:
        stream.write(csv_line(_IMPACT_COLUMNS).encode())
        for (kind, policy, before, after), count in by_clause(summary.counts.changes):
            stream.write(csv_line((kind, policy, *before, *after, count)).encode())
    with _whole(out / IMPACT_PAGE) as stream:
        page = impact_page(
            summary.orders["decided"],
            summary.counts.changed_orders,
            by_outcome(summary.counts.changes),
            by_clause(summary.counts.changes),
        )
        stream.write(page.encode())


def _write_parquet(decisions: Path, names: Sequence[str]) -> None:
    """The same rows as Parquet, when pyarrow is installed; read a block at a time."""
    if find_spec("pyarrow") is None:
        return
    arrow, reading, parquet = (import_module(name) for name in ("pyarrow", "pyarrow.csv", "pyarrow.parquet"))
    types = {name: arrow.int32() if name == "outstanding_count" else arrow.string() for name in names}
    options = {
        "read_options": reading.ReadOptions(use_threads=False),
        "parse_options": reading.ParseOptions(newlines_in_values=True),
        "convert_options": reading.ConvertOptions(column_types=types, strings_can_be_null=False),
    }
    with (
        reading.open_csv(decisions, **options) as rows,
        _whole(decisions.with_suffix(".parquet")) as stream,
        parquet.ParquetWriter(stream, rows.schema) as writer,
    ):
        for batch in rows:
            writer.write_batch(batch)


@contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """A file that appears, or replaces that of an earlier run, only when it is on disk whole."""
    partial = file.with_name(f".{file.name}.partial")
    with partial.open("wb") as stream:
        yield stream
        stream.flush()
        os.fsync(stream.fileno())
    partial.rename(file)
