"""Past orders through a policy set, or through two to be compared. Read this first.

    orders and records → parts → spools, by patient → buckets decided → decisions, quarantine, counts → impact

The files in between lie in a folder of the output's, hold what the inputs hold, and go when all is done; until then a run
that was stopped is taken up by the next. Nothing in the output depends on how many worked on it, on the order of the
input's lines or files, or on where a run was stopped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from cds_service.bulk.buckets import BucketTask, PlanSet, Question, decided_bucket, loaded
from cds_service.bulk.deciding import Circumstances
from cds_service.bulk.export import Export, found_export
from cds_service.bulk.parts import Part, parts_of
from cds_service.bulk.results import Sources, Summary, merged
from cds_service.bulk.spool import Spooled, SpoolTask, numbered, spooled
from cds_service.bulk.work import Workers
from cds_service.bulk.work_folder import WorkFolder, work_folder
from cds_service.errors import BulkInputError
from cds_service.hooks.discovery import resource_types
from cds_service.policies.library import Library

# Called with what is being done, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]
_Task = TypeVar("_Task")
_Result = TypeVar("_Result", Spooled, Path)
_LEAST_BUCKETS, _MOST_BUCKETS = 8, 4096
# How much bigger than its file the content of a gzip file is taken to be.
_GZIP_RATIO = 10


@dataclass(frozen=True)
class Evaluation:
    """What is to be evaluated, and the folder for the results.

    ``against``: the folders of the policy set to compare with, empty for none. ``practices``: see ``load_library``.
    """

    orders: Path
    records: Path
    plans: tuple[Path, ...]
    against: tuple[Path, ...]
    practices: Path | None
    out: Path
    with_patient: bool
    circumstances: Circumstances


@dataclass(frozen=True)
class Sizes:
    """Bytes of a part, which one worker reads at a time, and of a bucket, which one worker holds in memory."""

    part: int
    bucket: int


USUAL_SIZES = Sizes(part=32 * 2**20, bucket=16 * 2**20)


@dataclass(frozen=True)
class _Run:
    """Who works, where the files in between lie, and who is told how far it is."""

    folder: WorkFolder
    workers: Workers
    progress: Progress
    sizes: Sizes


def evaluated(evaluation: Evaluation, workers: Workers, progress: Progress, sizes: Sizes) -> Summary:
    """Decide all orders and write the results. PlansError or BulkInputError when policies or inputs cannot be used."""
    plan_sets = _plan_sets(evaluation)
    export = found_export(evaluation.records, _types(plan_sets))
    with closing(workers):
        # Before the work folder is locked: a lock that workers share would outlive this process for a moment.
        workers.start()
        with work_folder(evaluation.out, workers) as folder:
            run = _Run(folder, workers, progress, sizes)
            sources = _read(evaluation.orders, export, run)
            question = Question(
                tuple(plan_set for plan_set, _ in plan_sets),
                evaluation.circumstances,
                {**export.not_read, **_broken(sources.spools)},
                evaluation.with_patient,
            )
            return merged(sources, question, _decided(sources, question, run), evaluation.out)


def _read(orders: Path, export: Export, run: _Run) -> Sources:
    """The first pass: all lines in the buckets of their patients."""
    parts = parts_of(orders, export.files, run.sizes.part)
    buckets = _bucket_count(parts, run.sizes)
    tasks = [SpoolTask(part, run.folder.spool, buckets, run.folder.outlives_machine) for part in parts]
    return Sources(numbered(_in_order(tasks, spooled, run, "Reading")), buckets)


def _decided(sources: Sources, question: Question, run: _Run) -> tuple[Path, ...]:
    """The second pass: the result of each bucket."""
    digest = _digest(sources, question)[:20]
    tasks = [
        BucketTask(
            number,
            sources.spools,
            question,
            run.folder.buckets / f"{number:06d}-{digest}",
            run.folder.outlives_machine,
        )
        for number in range(sources.buckets)
    ]
    return _in_order(tasks, decided_bucket, run, "Deciding")


def _in_order(
    tasks: Sequence[_Task], done: Callable[[_Task], _Result], run: _Run, doing: str
) -> tuple[_Result, ...]:
    """The results of all tasks, in an order that does not depend on who is done first."""
    found: list[_Result] = []
    run.progress(doing, 0, len(tasks))
    for result in run.workers.done(done, tasks):
        found.append(result)
        run.progress(doing, len(found), len(tasks))
    return tuple(sorted(found))


def _plan_sets(evaluation: Evaluation) -> tuple[tuple[PlanSet, Library], ...]:
    """The policy sets, loaded once here so that what is wrong with them is said before anything is read."""
    named = filter(None, (evaluation.plans, evaluation.against))
    return tuple(loaded(folders, evaluation.practices) for folders in named)


def _types(plan_sets: Iterable[tuple[PlanSet, Library]]) -> frozenset[str]:
    """The resource types that the policies ask for."""
    return frozenset(kind for _, library in plan_sets for kind in resource_types(library.queries).values())


def _bucket_count(parts: Iterable[Part], sizes: Sizes) -> int:
    files = {part.file for part in parts}
    content = sum(file.stat().st_size * (_GZIP_RATIO if file.suffix == ".gz" else 1) for file in files)
    return min(max(content // sizes.bucket + 1, _LEAST_BUCKETS), _MOST_BUCKETS)


def _broken(spools: Iterable[Spooled]) -> dict[str, str]:
    """The types of which a file breaks off: what stood in the rest nobody knows. BulkInputError for the orders' file."""
    broken = {}
    for spool in spools:
        if spool.broken and spool.is_orders:
            raise BulkInputError(spool.file, "$", "a file cut short", "all orders")
        if spool.broken:
            broken[spool.resource_type] = f"{spool.file}: {spool.broken}"
    return broken


def _digest(sources: Sources, question: Question) -> str:
    """What a bucket's result follows from: the bytes read, the policies, how it is asked, and this software."""
    read = [(spool.file, spool.digest, spool.resource_type, spool.is_orders) for spool in sources.spools]
    sets = [(each.digest, each.practices and each.practices.read_bytes()) for each in question.plan_sets]
    asked = (question.circumstances, sorted(question.not_read.items()), question.with_patient)
    said = repr((version("cds-service"), read, sets, asked, sources.buckets))
    return hashlib.sha256(said.encode()).hexdigest()
