"""The second pass: the patients of a bucket, each with their orders and as much of their record as is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple
from zlib import crc32

import orjson

from cds_service.bulk.parts import LineFaultError, patient_of, resource_in
from cds_service.bulk.spool import Spooled, SpooledRun, runs_in
from cds_service.hooks.discovery import resource_types
from cds_service.record.patient_record import QueryAnswer, is_subject, patient_reference
from cds_service.record.resources import Resource

# A query of these parameters alone asks for all of the patient's resources of its type.
_OF_THE_PATIENT = frozenset({"patient", "subject", "beneficiary", "_count", "_sort"})


# A line: its JSON, its number within the part, and the part. Sorts by content, so that nothing depends on the
# order of a file. A plain tuple, because there are millions.
FoundLine = tuple[bytes, int, Spooled]
# Lines behind each other, not yet split, and the part.
FoundRun = tuple[SpooledRun, Spooled]


class Fault(NamedTuple):
    """A line that could not be used, and why; nothing of what it holds."""

    file: str
    number: int
    why: str


def fault_of(line: FoundLine, fault: LineFaultError) -> Fault:
    """Where a line stands in its file, and what is wrong with it."""
    _, number, spool = line
    return Fault(spool.file, spool.first_line + number, str(fault))


@dataclass
class BulkPatient:
    """One patient of a bucket: the runs of lines of their orders, and of their record by resource type.

    Lines are parsed when they are first asked for; one that cannot be used goes to ``faults``, the rest to the answers.
    """

    id: str
    orders: Sequence[FoundRun]
    record: Mapping[str, Sequence[FoundRun]]
    not_read: Mapping[str, str]
    faults: list[Fault]
    _answers: dict[str, QueryAnswer] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._reference = patient_reference(self.id)

    def answers(self, queries: Mapping[str, str]) -> Mapping[str, QueryAnswer]:
        """The answer to each query (key → template): of a type that was exported all of the patient's, maybe none.

        Each is read when it is first looked at: most of what policies may ask for, a decision does without.
        """
        return _Answers(self, queries)

    def answer(self, template: str) -> QueryAnswer:
        """The answer to one query."""
        return self._answer(*_asked(template))

    def resource(self, line: bytes, resource_type: str) -> Resource:
        """The resource of a line. LineFaultError when it cannot be used."""
        resource = resource_in(line, resource_type)
        is_ours = resource_type != "Patient" and is_subject(self._reference, resource)
        if not is_ours and patient_of(resource) != self.id:
            raise LineFaultError("it names more than one patient")
        return resource

    def _answer(self, resource_type: str, is_for_all: bool) -> QueryAnswer:
        if resource_type in self.not_read:
            return QueryAnswer(not_read=self.not_read[resource_type])
        if not is_for_all:
            return QueryAnswer(not_read="an export is not searched by parameters other than the patient")
        if resource_type not in self._answers:
            runs = self.record.get(resource_type, ())
            try:
                resources = tuple(self._all(runs, resource_type))
            except LineFaultError:
                resources = tuple(self._usable(runs, resource_type))
            self._answers[resource_type] = QueryAnswer(resources)
        return self._answers[resource_type]

    def _all(self, runs: Sequence[FoundRun], resource_type: str) -> list[Resource]:
        """The resources of all lines, in the lines' order. LineFaultError when one cannot be used."""
        lines = sorted([line for run, _ in runs for line in run.lines()])
        try:
            found: list[Any] = list(map(orjson.loads, lines))
        except orjson.JSONDecodeError:
            raise LineFaultError("not JSON") from None
        if not self._are_ours(found, resource_type):
            for line in lines:
                self.resource(line, resource_type)
        return found

    def _are_ours(self, found: Sequence[Any], resource_type: str) -> bool:
        """Whether all are of the type and name the patient as nearly all do; others are to be looked at one by one."""
        try:
            if resource_type == "Patient":
                return all(each["resourceType"] == "Patient" and each["id"] == self.id for each in found)
            # None: no reference is known to name the patient.
            reference = self._reference or ()
            return all(
                each["resourceType"] == resource_type and each["subject"]["reference"] == reference
                for each in found
            )
        except (KeyError, TypeError):
            return False

    def _usable(self, runs: Sequence[FoundRun], resource_type: str) -> Iterator[Resource]:
        """The resources of the lines that can be used, in the lines' order."""
        for line in sorted_lines(runs):
            try:
                yield self.resource(line[0], resource_type)
            except LineFaultError as fault:
                self.faults.append(fault_of(line, fault))


class _Answers(Mapping[str, QueryAnswer]):
    """What a patient's record answers to queries (key → template), read as it is looked at."""

    def __init__(self, patient: BulkPatient, queries: Mapping[str, str]) -> None:
        self._patient = patient
        self._queries = queries

    def __getitem__(self, key: str) -> QueryAnswer:
        return self._patient.answer(self._queries[key])

    def __contains__(self, key: object) -> bool:
        return key in self._queries

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)


def sorted_lines(runs: Sequence[FoundRun]) -> list[FoundLine]:
    """The lines of runs, by what they hold."""
    return sorted(
        (line, number, spool) for run, spool in runs for number, line in enumerate(run.lines(), run.first)
    )


def patients_in(
    bucket: int, spools: Sequence[Spooled], not_read: Mapping[str, str], faults: list[Fault]
) -> Iterator[BulkPatient]:
    """The patients of a bucket that have orders, in the order of the hashes of their ids.

    ``faults`` is where the lines go that turn out not to be usable.
    """
    orders = _gathered((spool for spool in spools if spool.is_orders), bucket, None)
    records = _gathered((spool for spool in spools if not spool.is_orders), bucket, orders)
    for patient in sorted(orders, key=lambda patient: (crc32(patient), patient)):
        runs = orders[patient]["ServiceRequest"]
        yield BulkPatient(patient.decode(), runs, records.pop(patient, {}), not_read, faults)


def _gathered(
    spools: Iterator[Spooled], bucket: int, wanted: Mapping[bytes, Any] | None
) -> dict[bytes, defaultdict[str, list[FoundRun]]]:
    """Patient → resource type → runs of lines, of the patients that are ``wanted``; None: of all."""
    found: defaultdict[bytes, defaultdict[str, list[FoundRun]]] = defaultdict(lambda: defaultdict(list))
    for spool in spools:
        kind = spool.resource_type
        for run in runs_in(spool, bucket):
            if wanted is None or run.patient in wanted:
                found[run.patient][kind].append((run, spool))
    return found


@cache
def _asked(template: str) -> tuple[str, bool]:
    """The resource type that a query of a policy asks for, and whether it asks for all of the patient's."""
    _, _, parameters = template.partition("?")
    is_for_all = all(each.partition("=")[0] in _OF_THE_PATIENT for each in parameters.split("&") if each)
    return resource_types({"": template})[""], is_for_all
