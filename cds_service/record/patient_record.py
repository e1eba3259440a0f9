"""What we were shown of a patient's record, and what we were not.

A query is *read* (perhaps empty) or *not read*. The difference is kept to the end: nothing that was not read is ever
taken for a "no".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

from cds_service.errors import QueryNotReadError
from cds_service.record.resources import Resource, logical_id, members, text

PATIENT_KEY = "patient"
COVERAGES_KEY = "coverages"
RESPONSES_KEY = "questionnaireResponses"
# What every request needs, whatever the policy: who commissions the patient's care, and answers already given.
OWN_QUERIES = {
    PATIENT_KEY: "Patient/{{%patient.id}}",
    COVERAGES_KEY: "Coverage?patient={{%patient.id}}",
    RESPONSES_KEY: "QuestionnaireResponse?patient={{%patient.id}}",
}

# The element that names the patient, by resource type; most types call it "subject" or "patient".
_SUBJECT_ELEMENTS = ("subject", "patient", "beneficiary")
_FAILED = frozenset({"error", "fatal"})


@dataclass(frozen=True)
class QueryAnswer:
    """The answer to one query: its resources, or ``not_read`` saying why there are none to go by.

    ``refused`` says of each passed-over entry why it was.
    """

    resources: tuple[Resource, ...] = ()
    not_read: str | None = None
    refused: tuple[str, ...] = ()

    @cached_property
    def bundle(self) -> Resource:
        """The resources as the searchset Bundle that expressions see."""
        return {
            "resourceType": "Bundle",
            "type": "searchset",
            "entry": [{"resource": resource} for resource in self.resources],
        }


NOT_SENT = QueryAnswer(not_read="not sent")


@dataclass(frozen=True)
class PatientRecord:
    """Everything shown of one patient. A query that is not in ``answers`` was not sent."""

    patient_id: str
    patient: Resource | None
    answers: Mapping[str, QueryAnswer]

    def answer(self, query: str) -> QueryAnswer:
        """The answer to a query by its name."""
        return self.answers.get(query, NOT_SENT)

    def bundle(self, query: str) -> Resource:
        """The resources of a query as a Bundle. QueryNotReadError when it was not read."""
        answer = self.answer(query)
        if answer.not_read is not None:
            raise QueryNotReadError(query, answer.not_read)
        return answer.bundle

    def resource(self, reference: str) -> Resource | None:
        """The resource that a relative or absolute reference names, if it was shown."""
        parts = reference.split("/_history/", maxsplit=1)[0].rsplit("/", 2)
        return self._by_reference.get("/".join(parts[-2:]))

    @cached_property
    def _by_reference(self) -> Mapping[str, Resource]:
        shown = [resource for answer in self.answers.values() for resource in answer.resources]
        shown += [self.patient] if self.patient is not None else []
        return MappingProxyType(
            {f"{each['resourceType']}/{each['id']}": each for each in shown if text(each, "id")}
        )


def patient_record(
    patient_id: str,
    prefetch: Mapping[str, Any],
    queries: Mapping[str, str],
    read: Mapping[str, QueryAnswer] = MappingProxyType({}),
) -> PatientRecord:
    """The record that a hook's prefetch shows, and what was ``read`` of the keys that it leaves out.

    ``queries``: prefetch key → the resource type it asks for. Keys that nobody asked for are ignored.
    """
    sent = {
        key: query_answer(prefetch[key], resource_type, patient_id)
        for key, resource_type in queries.items()
        if key in prefetch
    }
    answers = {**read, **sent} if sent else read
    found = answers[PATIENT_KEY].resources if PATIENT_KEY in answers else ()
    return PatientRecord(patient_id, found[0] if found else None, MappingProxyType(answers))


def query_answer(sent: object, resource_type: str, patient_id: str) -> QueryAnswer:
    """One prefetch value, read entry by entry.

    None: the client has none. An OperationOutcome: the client tried and failed. A Bundle with a next page or with
    fewer entries than its total: cut off, so what is missing is unknown.
    """
    if sent is None:
        return QueryAnswer()
    if not isinstance(sent, dict):
        return QueryAnswer(not_read="the value sent is no FHIR resource")
    kind = sent.get("resourceType")
    if kind == resource_type:
        answer = _answer([sent], resource_type, patient_id)
        return QueryAnswer(not_read="; ".join(answer.refused)) if answer.refused else answer
    if kind == "OperationOutcome":
        return QueryAnswer(not_read="the client could not read it")
    if kind != "Bundle":
        return QueryAnswer(not_read=f"the value sent is neither a Bundle nor a {resource_type}")
    if any(link.get("relation") == "next" for link in members(sent, "link")):
        return QueryAnswer(not_read="only the first page was sent")
    return _answer_of_bundle(sent, resource_type, patient_id)


def _answer_of_bundle(bundle: Resource, resource_type: str, patient_id: str) -> QueryAnswer:
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        return QueryAnswer(not_read="the Bundle's entry is no list")
    resources = [entry.get("resource") if isinstance(entry, dict) else None for entry in entries]
    answer = _answer(resources, resource_type, patient_id)
    # A failure is an entry of another type, so it is among the refused.
    if answer.refused and any(_is_failure(resource) for resource in resources):
        return QueryAnswer(not_read="the client could read it only in part")
    total = bundle.get("total")
    if isinstance(total, int) and total > len(answer.resources) + len(answer.refused):
        return QueryAnswer(not_read=f"only {len(answer.resources)} of {total} entries were sent")
    return answer


def _is_failure(resource: object) -> bool:
    return (
        isinstance(resource, dict)
        and resource.get("resourceType") == "OperationOutcome"
        and any(issue.get("severity") in _FAILED for issue in members(resource, "issue"))
    )


def _answer(resources: list[Any], resource_type: str, patient_id: str) -> QueryAnswer:
    kept: list[Resource] = []
    refused: list[str] = []
    reference = patient_reference(patient_id)
    for resource in resources:
        if (
            resource.__class__ is dict
            and resource.get("resourceType") == resource_type
            and resource_type != "Patient"
            and is_subject(reference, resource)
        ):
            kept.append(resource)
            continue
        fault = _fault(resource, resource_type, patient_id)
        if fault is None:
            kept.append(resource)
        else:
            refused.append(fault)
    return QueryAnswer(tuple(kept), refused=tuple(refused))


def _fault(resource: object, resource_type: str, patient_id: str) -> str | None:
    if not isinstance(resource, dict):
        return "an entry without a resource"
    if resource.get("resourceType") != resource_type:
        return f"an entry that is no {resource_type}"
    subject = resource.get("id") if resource_type == "Patient" else subject_id(resource)
    if isinstance(subject, str) and subject != patient_id:
        return f"a {resource_type} of another patient"
    return None


def patient_reference(patient_id: str) -> str | None:
    """The reference that nearly all resources name a patient by; None for an id that cannot be told from it."""
    reference = f"Patient/{patient_id}"
    return reference if logical_id(reference) == patient_id else None


def is_subject(reference: str | None, resource: Resource) -> bool:
    """Whether it is the ``subject`` of the resource, so that ``subject_id`` would say the same."""
    subject = resource.get("subject")
    return reference is not None and subject.__class__ is dict and subject.get("reference") == reference


def subject_id(resource: Resource) -> str | None:
    """The id of the patient that a resource names; None when it names none."""
    for element in _SUBJECT_ELEMENTS:
        named = resource.get(element)
        if isinstance(named, dict):
            reference = named.get("reference")
            if isinstance(reference, str) and reference:
                return logical_id(reference)
    return None
