"""What can be ordered on the order-entry screen, and the hook request that the screen sends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cds_service.development.fixtures import Fixtures, Story
from cds_service.record.resources import Resource, members, text

# Where the record comes from: with the request, from the FHIR server that it names, or from nowhere.
SENT, READ, WITHHELD = "sent", "read", "withheld"
RECORDS = (SENT, READ, WITHHELD)
CODE_SYSTEMS = {
    "https://fhir.hl7.org.uk/CodeSystem/OPCS-4": "OPCS-4",
    "http://fhir.hl7.org.uk/CodeSystem/OPCS-4": "OPCS-4",
    "http://snomed.info/sct": "SNOMED CT",
    "http://www.ama-assn.org/go/cpt": "CPT",
}


@dataclass(frozen=True)
class OrderChoice:
    """Draft orders to choose; ``story`` when they are as one tells them, else one plain procedure."""

    key: str
    label: str
    drafts: tuple[Resource, ...]
    selected: tuple[str, ...]
    story: Story | None


@dataclass(frozen=True)
class OrderEntry:
    """What is chosen on the screen; ``record`` is one of ``RECORDS``."""

    patient_id: str
    order: OrderChoice
    requester: str
    hook: str
    record: str


def order_choices(fixtures: Fixtures) -> tuple[OrderChoice, ...]:
    """Each procedure that a story orders, once and plain; then the stories' own orders."""
    plain = {choice.key: choice for choice in _plain(fixtures.stories)}
    told = (
        OrderChoice(story.id, story.title, story.drafts, story.selected, story) for story in fixtures.stories
    )
    return (*sorted(plain.values(), key=lambda choice: choice.label), *told)


def requesters(fixtures: Fixtures) -> tuple[str, ...]:
    """References to the practitioners who order in the stories."""
    return tuple(sorted({story.requester for story in fixtures.stories}))


def hook_body(entry: OrderEntry, fhir_server: str, instance: str) -> dict[str, Any]:
    """The hook request without its prefetch."""
    drafts = [_drafted(draft, entry) for draft in entry.order.drafts]
    context: dict[str, Any] = {"userId": entry.requester, "patientId": entry.patient_id}
    if entry.hook == "order-select":
        context["selections"] = [f"ServiceRequest/{each}" for each in entry.order.selected]
    context["draftOrders"] = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": draft} for draft in drafts],
    }
    body = {"hook": entry.hook, "hookInstance": instance, "context": context}
    return body if entry.record == WITHHELD else {**body, "fhirServer": fhir_server}


def named(code: Resource) -> str:
    """A procedure in words: what it is called, its code, and whose code that is."""
    for coding in members(code, "coding"):
        system = CODE_SYSTEMS.get(text(coding, "system") or "", text(coding, "system"))
        return f"{text(code, 'text') or 'Procedure'} ({system} {text(coding, 'code')})"
    return f"{text(code, 'text') or 'Procedure'} (no code)"


def _plain(stories: Iterable[Story]) -> Iterator[OrderChoice]:
    """The shortest name of each code wins, so that a side or a purpose of one story is not everybody's."""
    codes = (draft["code"] for story in stories for draft in story.drafts)
    for code in sorted(codes, key=lambda each: -len(each.get("text", ""))):
        coding = next(members(code, "coding"), {})
        key = f"order-{text(coding, 'code') or text(code, 'text') or 'procedure'}"
        draft = {
            "resourceType": "ServiceRequest",
            "id": key,
            "status": "draft",
            "intent": "order",
            "code": code,
        }
        yield OrderChoice(key, named(code), (draft,), (key,), None)


def _drafted(draft: Resource, entry: OrderEntry) -> Resource:
    return {
        **draft,
        "subject": {"reference": f"Patient/{entry.patient_id}"},
        "requester": {"reference": entry.requester},
    }
