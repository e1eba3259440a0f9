"""Who pays: the ladder from a patient's record to the organisations whose policies apply.

Coverage payor, else the patient's practice or managing organisation, each looked up in the directory
(``organizations.json``) and followed upwards through ``partOf``. When nothing on the ladder answers, nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cds_service.record.patient_record import COVERAGES_KEY, PATIENT_KEY, PatientRecord
from cds_service.record.resources import Resource, identifiers, logical_id, members, text

Identifier = tuple[str, str]


@dataclass(frozen=True)
class Directory:
    """The organisations we know: names and parents by FHIR id, ids by identifier."""

    names: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    by_identifier: Mapping[Identifier, str] = field(default_factory=dict)

    @classmethod
    def of(cls, organizations: list[Resource]) -> Directory:
        """A directory of FHIR Organizations, each with an id."""
        return cls(
            names={each["id"]: text(each, "name") or each["id"] for each in organizations},
            parents={
                each["id"]: logical_id(parent)
                for each in organizations
                if (parent := text(each, "partOf", "reference"))
            },
            by_identifier={pair: each["id"] for each in organizations for pair in identifiers(each)},
        )

    def with_ancestors(self, organization: str) -> tuple[str, ...]:
        """The organisation's id and those it is part of, nearest first; a circle is walked once."""
        line: dict[str, None] = {}
        current: str | None = organization
        while current is not None and current in self.names and current not in line:
            line[current] = None
            current = self.parents.get(current)
        return tuple(line)


@dataclass(frozen=True)
class Commissioners:
    """The directory ids of the organisations that may commission this patient's care.

    Empty ``organizations`` with ``unread`` keys: none of these prefetch keys, on which the ladder stands, was read.
    Empty with ``unknown`` identifiers: the record names organisations that the directory does not hold.
    """

    organizations: frozenset[str]
    unread: tuple[str, ...] = ()
    unknown: tuple[Identifier, ...] = ()


def commissioners(record: PatientRecord, directory: Directory, client: str | None = None) -> Commissioners:
    """Who commissions this patient's care; ``client`` is the directory id configured for the calling client."""
    payors, practices = tuple(_payors(record)), tuple(_practices(record))
    for named in (payors, practices):
        known = frozenset(
            ancestor
            for identifier in named
            if identifier in directory.by_identifier
            for ancestor in directory.with_ancestors(directory.by_identifier[identifier])
        )
        if known:
            return Commissioners(known)
    if client is not None:
        return Commissioners(frozenset(directory.with_ancestors(client)))
    ladder = (PATIENT_KEY, COVERAGES_KEY)
    nothing_read = all(record.answer(key).not_read is not None for key in ladder)
    return Commissioners(frozenset(), ladder if nothing_read else (), payors + practices)


def _payors(record: PatientRecord) -> Iterator[Identifier]:
    for coverage in record.answer(COVERAGES_KEY).resources:
        if coverage.get("status", "active") == "active":
            for payor in members(coverage, "payor"):
                yield from _reference_identifiers(payor, coverage)


def _practices(record: PatientRecord) -> Iterator[Identifier]:
    patient = record.patient
    if patient is None:
        return
    for practice in members(patient, "generalPractitioner"):
        yield from _reference_identifiers(practice, patient)
    managing = patient.get("managingOrganization")
    if isinstance(managing, Mapping):
        yield from _reference_identifiers(managing, patient)


def _reference_identifiers(reference: Resource, holder: Resource) -> Iterator[Identifier]:
    """The identifiers of what a Reference names: its own, or those of a contained resource."""
    identifier = reference.get("identifier")
    if (system := text(identifier, "system")) and (value := text(identifier, "value")):
        yield system, value
    if (local := text(reference, "reference")) and local.startswith("#"):
        for contained in members(holder, "contained"):
            if contained.get("id") == local[1:]:
                yield from identifiers(contained)
