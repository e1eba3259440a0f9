"""Small forms and responses, and what they are opened with, written for a test from their parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cds_service.errors import UnknownValueSetError
from cds_service.questionnaires.sight import Launch
from cds_service.record.patient_record import QueryAnswer

SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
CORE = "http://hl7.org/fhir/StructureDefinition/"
FORM = "https://forms.example/Questionnaire/form"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
COLOURS = "https://forms.example/ValueSet/colours"
COLOUR_SYSTEM = "https://forms.example/CodeSystem/colours"
PATIENT = {"resourceType": "Patient", "id": "p1", "gender": "female", "birthDate": "1960-05-01"}


def questionnaire(*items: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A form in version 2, with these items."""
    head = {"resourceType": "Questionnaire", "url": FORM, "version": "2", "status": "active"}
    return {**head, "item": [*items], **members}


def item(link_id: str, kind: str = "boolean", **members: Any) -> dict[str, Any]:
    """A question; ``below`` are the items in it."""
    below = members.pop("below", None)
    return {"linkId": link_id, "type": kind, **members, **({"item": below} if below else {})}


def when(question: str, operator: str, **answer: Any) -> list[dict[str, Any]]:
    """One enableWhen."""
    return [{"question": question, "operator": operator, **answer}]


def expression(url: str, text: str, **members: Any) -> dict[str, Any]:
    """An extension that holds an expression."""
    return {"url": url, "valueExpression": {"language": "text/fhirpath", "expression": text, **members}}


def variable(name: str, text: str, language: str = "text/fhirpath") -> dict[str, Any]:
    """A named expression."""
    return expression(f"{CORE}variable", text, name=name, language=language)


def query(name: str, text: str) -> dict[str, Any]:
    """A named query."""
    return variable(name, text, "application/x-fhir-query")


def launch_context(name: str, kind: str) -> dict[str, Any]:
    """A context that the form says it is launched with."""
    parts = [{"url": "name", "valueCoding": {"code": name}}, {"url": "type", "valueCode": kind}]
    return {"url": f"{SDC}launchContext", "extension": parts}


def constraint(key: str, text: str, severity: str = "error") -> dict[str, Any]:
    """A targetConstraint."""
    parts: list[dict[str, Any]] = [
        {"url": "key", "valueId": key},
        {"url": "severity", "valueCode": severity},
        {"url": "human", "valueString": f"{key} must hold"},
        {"url": "expression", "valueExpression": {"language": "text/fhirpath", "expression": text}},
    ]
    return {"url": f"{CORE}targetConstraint", "extension": parts}


def response(*items: dict[str, Any], status: str = "in-progress", **members: Any) -> dict[str, Any]:
    """A response to the form."""
    head = {"resourceType": "QuestionnaireResponse", "questionnaire": f"{FORM}|2", "status": status}
    return {**head, "item": [*items], **members}


def answered(
    link_id: str, *values: Any, below: Sequence[dict[str, Any]] = (), **members: Any
) -> dict[str, Any]:
    """An item with answers, by the Python type of each value; ``below`` stands under the first."""
    answers = [value if isinstance(value, dict) else {_ELEMENTS[type(value)]: value} for value in values]
    if below:
        answers[0] = {**answers[0], "item": [*below]}
    return {"linkId": link_id, "answer": answers, **members}


def group(link_id: str, *items: dict[str, Any]) -> dict[str, Any]:
    """A group in a response."""
    return {"linkId": link_id, "item": [*items]}


def coding(code: str, system: str = COLOUR_SYSTEM) -> dict[str, Any]:
    """An answer that is a code."""
    return {"valueCoding": {"system": system, "code": code}}


_ELEMENTS = {bool: "valueBoolean", int: "valueInteger", float: "valueDecimal", str: "valueString"}


def launch(
    contexts: Mapping[str, Any] | None = None, queries: Mapping[str, QueryAnswer] | None = None
) -> Launch:
    """An opening of a form on a fixed noon, by default with nothing; the value set COLOURS holds red and blue."""
    return Launch(
        now=NOW,
        subject="Patient/p1",
        contexts=contexts or {},
        queries=queries or {},
        member_of=_member_of,
        options=lambda url: _COLOURS if url == COLOURS else None,
        resolve=lambda _reference: None,
    )


_COLOURS = [{"system": COLOUR_SYSTEM, "code": code} for code in ("red", "blue")]


def _member_of(url: str, system: str | None, code: str) -> bool:
    if url != COLOURS:
        raise UnknownValueSetError(url)
    return {"system": system, "code": code} in _COLOURS


def found(*resources: dict[str, Any]) -> QueryAnswer:
    """A query that was read."""
    return QueryAnswer(resources)
