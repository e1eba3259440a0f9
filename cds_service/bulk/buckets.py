"""One bucket decided: its rows, what would change, and the lines that could not be used, in a folder of its own.

The folder appears under its name only when all in it is written, so an interrupted run is taken up where it was.
"""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TextIO

import orjson

from cds_service.bulk.counts import Counts, written
from cds_service.bulk.deciding import Circumstances, order_as_written, rows_decided
from cds_service.bulk.impact import change_cells, compared
from cds_service.bulk.parts import LineFaultError
from cds_service.bulk.patients import BulkPatient, Fault, fault_of, patients_in, sorted_lines
from cds_service.bulk.rows import Row, cells
from cds_service.bulk.spool import Spooled
from cds_service.bulk.tables import csv_line
from cds_service.bulk.work_folder import sync
from cds_service.errors import BulkInputError, PlansError
from cds_service.policies.library import Library, load_library
from cds_service.record.orders import Order

DECISIONS, AGAINST, CHANGES = "decisions.csv", "decisions-against.csv", "changes.csv"
QUARANTINE, COUNTS = "quarantine.ndjson", "counts.json"
# Allocations between two looks of the collector: most of what is allocated here is a record, gone by reference count.
_SELDOM = 100_000


@dataclass(frozen=True)
class PlanSet:
    """Where a policy set lies, the file of practices that belongs to it, and what its files are (``digest``)."""

    folders: tuple[Path, ...]
    practices: Path | None
    digest: str


@dataclass(frozen=True)
class Question:
    """What is asked of every order: what the policy sets (one, or two to be compared) say of it, and under what.

    ``not_read``: resource type → why nothing is known of it. ``with_patient``: whether rows name the patient.
    """

    plan_sets: tuple[PlanSet, ...]
    circumstances: Circumstances
    not_read: Mapping[str, str]
    with_patient: bool


# The policy sets that this process has loaded.
_LOADED: dict[PlanSet, Library] = {}


class BucketTask(NamedTuple):
    """A bucket to be decided, and the folder that its result is to stand in. ``outlives_machine``: see WorkFolder."""

    number: int
    spools: tuple[Spooled, ...]
    question: Question
    result: Path
    outlives_machine: bool


def decided_bucket(task: BucketTask) -> Path:
    """The folder with the bucket's result, written unless an earlier run left it whole."""
    if not task.result.exists():
        # Named after the process: a worker of a run that was killed may be at the same bucket for a moment.
        partial = task.result.with_suffix(f".{os.getpid()}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        _write(task, partial)
        if task.outlives_machine:
            for path in (*partial.iterdir(), partial):
                sync(path)
        partial.rename(task.result)
    return task.result


class _Result:
    """The open files of a bucket's result, and its counts."""

    def __init__(self, folder: Path, question: Question, files: ExitStack) -> None:
        self.counts = Counts()
        self.faults: list[Fault] = []
        self._with_patient = question.with_patient
        self._files = [files.enter_context(_opened(folder / name)) for name in (DECISIONS, AGAINST, CHANGES)]

    def write_decided(self, sets: tuple[tuple[Row, ...], ...]) -> None:
        """Write what the policy sets say of one order."""
        self.counts.count_rows(sets[0])
        for file, rows in zip(self._files, sets, strict=False):
            file.writelines([csv_line(cells(row, with_patient=self._with_patient)) for row in rows])
        if len(sets) > 1:
            changes = compared(*sets)
            self.counts.count_changes(changes)
            self._files[2].writelines(
                csv_line(change_cells(sets[0][0], change, with_patient=self._with_patient))
                for change in changes
                if change.before != change.after
            )


def _write(task: BucketTask, folder: Path) -> None:
    question = task.question
    libraries = tuple(_library(each) for each in question.plan_sets)
    with ExitStack() as files, _seldom_collected():
        result = _Result(folder, question, files)
        for patient in patients_in(task.number, task.spools, question.not_read, result.faults):
            for order in _orders(patient, question.circumstances, result.counts):
                decided = [rows_decided(order, patient, each, question.circumstances) for each in libraries]
                result.write_decided(tuple(decided))
    result.counts.orders["records quarantined"] = len(result.faults) - result.counts.orders["quarantined"]
    (folder / QUARANTINE).write_bytes(b"".join(map(fault_line, sorted(result.faults))))
    (folder / COUNTS).write_bytes(written(result.counts))


def fault_line(fault: Fault) -> bytes:
    """A line of the quarantine: where, and why; never what the line holds."""
    return orjson.dumps({"file": fault.file, "line": fault.number, "why": fault.why}) + b"\n"


def _orders(patient: BulkPatient, circumstances: Circumstances, counts: Counts) -> Iterator[Order]:
    """The patient's orders that can be decided; the others are counted."""
    for line in sorted_lines(patient.orders):
        try:
            order = order_as_written(patient.resource(line[0], "ServiceRequest"), circumstances.as_of)
        except LineFaultError as fault:
            patient.faults.append(fault_of(line, fault))
            counts.orders["quarantined"] += 1
        else:
            counts.orders["passed over"] += order is None
            if order is not None:
                yield order


def loaded(folders: tuple[Path, ...], practices: Path | None) -> tuple[PlanSet, Library]:
    """A policy set as it is now, kept for the buckets that this process, or one forked from it, decides."""
    library = load_library(folders, practices)
    plan_set = PlanSet(folders, practices, library.digest)
    _LOADED[plan_set] = library
    return plan_set, library


def _library(plan_set: PlanSet) -> Library:
    """The policy set that the run began with; a worker that was not forked loads it when its first bucket needs it."""
    if plan_set not in _LOADED:
        with suppress(PlansError):
            loaded(plan_set.folders, plan_set.practices)
    if plan_set not in _LOADED:
        folders = ", ".join(map(str, plan_set.folders))
        raise BulkInputError(folders, "$", "policies that changed meanwhile", "those that the run began with")
    return _LOADED[plan_set]


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """Let the collector look seldom, and never at what is loaded."""
    gc.freeze()
    thresholds = gc.get_threshold()
    gc.set_threshold(_SELDOM, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _opened(file: Path) -> TextIO:
    return file.open("w", encoding="utf-8", newline="")
