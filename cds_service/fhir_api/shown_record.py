"""The patient's record as one call shows it: what its data hold, what it names, and what it therefore leaves unread."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl

from cds_service.errors import RequestError
from cds_service.fhir_api.parameters import Given, Inputs
from cds_service.record.patient_record import (
    OWN_QUERIES,
    PATIENT_KEY,
    PatientRecord,
    QueryAnswer,
    query_answer,
)
from cds_service.record.resources import Resource, logical_id, members, text

# A query of these parameters alone asks for all of the patient's resources of its type.
_OF_THE_PATIENT = frozenset({"patient", "subject", "beneficiary", "_count", "_sort"})


@dataclass(frozen=True)
class Shown:
    """What a call shows of a patient. ``named``: answers under the name of their query. ``complete``: see $populate."""

    data: Resource | None
    complete: bool
    named: Mapping[str, object]


def shown(inputs: Inputs, named: Mapping[str, object]) -> Shown:
    """What the parameters ``data`` and ``complete`` show, beside what is ``named``."""
    return Shown(inputs.value("data"), inputs.value("complete") is True, named)


def record_shown(patient_id: str, queries: Mapping[str, str], sent: Shown) -> PatientRecord:
    """The record of a patient as far as a call shows it. ``queries``: name → FHIR query.

    A query is answered by the value of its name; else by the resources of its type in ``data``. Where ``data`` has none
    of that type the query was not read, unless the sender vouches that there are none.
    """
    answers = {
        name: answer
        for name, query in {**OWN_QUERIES, **queries}.items()
        if (answer := _answer(patient_id, name, query, sent)) is not None
    }
    found = answers[PATIENT_KEY].resources if PATIENT_KEY in answers else ()
    return PatientRecord(patient_id, found[0] if found else None, MappingProxyType(answers))


def resource_type_of(query: str) -> str:
    """The resource type that a FHIR query asks for."""
    return query.partition("?")[0].partition("/")[0]


def _answer(patient_id: str, name: str, query: str, sent: Shown) -> QueryAnswer | None:
    kind = resource_type_of(query)
    if name in sent.named:
        return query_answer(sent.named[name], kind, patient_id)
    if sent.data is None or not _is_whole(query):
        return None
    answer = query_answer(_only(sent.data, kind), kind, patient_id)
    if answer.not_read is None and not answer.resources and not sent.complete:
        return None
    return answer


def _is_whole(query: str) -> bool:
    """Whether a query asks for all of a type; of a narrower one it cannot be told what ``data`` would answer."""
    return {name for name, _ in parse_qsl(query.partition("?")[2])} <= _OF_THE_PATIENT


def _only(data: Resource, kind: str) -> dict[str, Any]:
    """A Bundle with the entries of one type, and with every sign that it is not whole."""
    kept = [
        entry
        for entry in members(data, "entry")
        if text(entry, "resource", "resourceType") in {kind, "OperationOutcome"}
    ]
    whole: dict[str, Any] = {"resourceType": "Bundle", "entry": kept}
    if "link" in data:
        whole["link"] = data["link"]
    total = data.get("total")
    if isinstance(total, int):
        whole["total"] = len(kept) + max(0, total - sum(1 for _ in members(data, "entry")))
    return whole


def patient_id_of(reference: str | None, where: str) -> str:
    """The id of the patient that a reference names. RequestError when it names none."""
    kind, _, patient_id = (reference or "").split("/_history/", maxsplit=1)[0].rpartition("/")
    if not patient_id or (kind and kind.rpartition("/")[2] != "Patient"):
        raise RequestError(where, "no reference to a patient", "a reference of the form Patient/id")
    return patient_id


def subject_of(given: Given) -> str:
    """The id of the patient that a ``subject`` parameter names, as words or as a Reference."""
    value = given.value
    return patient_id_of(text(value, "reference") if isinstance(value, dict) else value, given.where)


def refuse_other_patient(order: Resource, where: str, patient_id: str) -> None:
    """RequestError when an order is for another patient than the call."""
    reference = text(order, "subject", "reference")
    if reference is not None and logical_id(reference) != patient_id:
        raise RequestError(f"{where}.subject", "another patient", "the patient of the call")


def named_by_context(inputs: Inputs) -> dict[str, Resource]:
    """The launch context and query answers that ``context`` names: several contents of one name as one Bundle.

    A Reference is resolved in ``data``; RequestError when it is not there.
    """
    held = _by_reference(inputs.value("data"))
    named: dict[str, list[Resource]] = {}
    for context in inputs.all("context"):
        name = context.part("name")
        for content in context.parts_named("content"):
            if name is not None:
                named.setdefault(name.value, []).append(_content(content, held))
    return {
        name: contents[0] if len(contents) == 1 else _bundle(contents) for name, contents in named.items()
    }


def _content(content: Given, held: Mapping[str, Resource]) -> Resource:
    value: Resource = content.value
    if "resourceType" in value:
        return value
    reference = text(value, "reference") or ""
    if reference not in held:
        raise RequestError(content.where, "a reference to what data does not hold", "the resource itself")
    return held[reference]


def _by_reference(data: object) -> dict[str, Resource]:
    held: dict[str, Resource] = {}
    for entry in members(data, "entry"):
        resource = entry.get("resource")
        kind, resource_id = text(resource, "resourceType"), text(resource, "id")
        if isinstance(resource, dict) and kind and resource_id:
            held[f"{kind}/{resource_id}"] = resource
            if full_url := text(entry, "fullUrl"):
                held[full_url] = resource
    return held


def _bundle(resources: list[Resource]) -> Resource:
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset", "entry": entries}
