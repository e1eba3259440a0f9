"""SDC ``QuestionnaireResponse/$extract``: the resources that a Questionnaire declares are to be made of its answers.

Definition-based (``definitionExtract``) and template-based (``templateExtract``, ``templateExtractBundle``), alone or
together. Read ``extraction_places`` (where), then ``extraction_by_definition`` and ``extraction_by_template`` (what).
Source: https://hl7.org/fhir/uv/sdc/extraction.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from cds_service.errors import ExtractionError, NothingToExtractError
from cds_service.policies.loading.extensions import extensions, value_of
from cds_service.questionnaires.extraction_by_definition import DEFINITION_EXTRACT, by_definition
from cds_service.questionnaires.extraction_by_template import (
    TEMPLATE_EXTRACT,
    TEMPLATE_EXTRACT_BUNDLE,
    by_template,
    template_named,
)
from cds_service.questionnaires.extraction_places import Place, places
from cds_service.questionnaires.items import questionnaire_items
from cds_service.record.resources import Resource, members

# Extension part → Bundle.entry.request element.
_CONDITIONS = ("ifNoneMatch", "ifModifiedSince", "ifMatch", "ifNoneExist")


def declares_extraction(questionnaire: Resource) -> bool:
    """Whether a Questionnaire says that something is to be made of its answers, in a way carried out here."""
    elements = (questionnaire, *(item for _, item in questionnaire_items(questionnaire)))
    wanted = (DEFINITION_EXTRACT, TEMPLATE_EXTRACT, TEMPLATE_EXTRACT_BUNDLE)
    return any(next(extensions(element, url), None) for element in elements for url in wanted)


def extracted(
    questionnaire: Resource, response: Resource, now: datetime, fresh_id: Callable[[], str]
) -> Resource:
    """A transaction Bundle of what the form declares; without entries when nothing of it was answered.

    ``now`` is aware; ``fresh_id`` gives new UUIDs. NothingToExtractError when the form declares nothing, ExtractionError
    when what it declares cannot be carried out.
    """
    if not declares_extraction(questionnaire):
        expected = "definitionExtract, templateExtract or templateExtractBundle (SDC) somewhere in the form"
        raise NothingToExtractError("Questionnaire", "no extraction declared", expected)
    entries: list[Any] = []
    for place in places(questionnaire, response, now, fresh_id):
        entries += _entries(place, fresh_id)
    bundle = {"resourceType": "Bundle", "type": "transaction", "timestamp": now.isoformat(timespec="seconds")}
    return {**bundle, "entry": entries} if entries else bundle


def _entries(place: Place, fresh_id: Callable[[], str]) -> Iterator[dict[str, Any]]:
    for _, extension in extensions(place.item, DEFINITION_EXTRACT):
        yield _entry(by_definition(place, extension), place, extension, fresh_id)
    for _, extension in extensions(place.item, TEMPLATE_EXTRACT):
        if made := by_template(place, template_named(place, value_of(extension, "template"))):
            yield _entry(made, place, extension, fresh_id)
    for _, extension in extensions(place.item, TEMPLATE_EXTRACT_BUNDLE):
        template = template_named(place, extension.get("valueReference"))
        if template.get("resourceType") != "Bundle":
            raise ExtractionError(place.path, f"a template {template.get('resourceType')}", "a Bundle")
        yield from (dict(entry) for entry in members(by_template(place, template), "entry"))


def _entry(
    made: dict[str, Any], place: Place, extension: Resource, fresh_id: Callable[[], str]
) -> dict[str, Any]:
    """The resource with how it is to be sent: created, or under a resourceId of its own updated."""
    if resource_id := _text(place, extension, "resourceId"):
        made = {"resourceType": made["resourceType"], "id": resource_id, **made}
    kind = made["resourceType"]
    request = (
        {"method": "PUT", "url": f"{kind}/{made['id']}"} if "id" in made else {"method": "POST", "url": kind}
    )
    for name in _CONDITIONS:
        if value := _text(place, extension, name):
            request[name] = value
    return {
        "fullUrl": _text(place, extension, "fullUrl") or f"urn:uuid:{fresh_id()}",
        "resource": made,
        "request": request,
    }


def _text(place: Place, extension: Resource, name: str) -> str | None:
    """What an expression of the declaration yields, as text; None when the declaration has none or it yields nothing."""
    expression = value_of(extension, name)
    found = place.results(expression) if isinstance(expression, str) else []
    return str(found[0]) if found else None
