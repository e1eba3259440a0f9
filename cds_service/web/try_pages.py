"""The order-entry screen of development mode: choose a patient and an order, see the cards as an EHR would show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
from markupsafe import Markup

from cds_service.development.fixtures import Story
from cds_service.development.order_entry import CODE_SYSTEMS, RECORDS, OrderChoice, OrderEntry, named
from cds_service.hooks.cards import EXTENSION
from cds_service.record.resources import Resource, members, text
from cds_service.web.card_markdown import as_html
from cds_service.web.templating import rendered

_RECORDS_IN_WORDS = {
    "sent": "sent with the request (prefetch)",
    "read": "read by the service from the FHIR server",
    "withheld": "neither sent nor readable",
}


@dataclass(frozen=True)
class Choices:
    """What the screen offers."""

    patients: Sequence[Resource]
    payers: Mapping[str, str]
    orders: Sequence[OrderChoice]
    requesters: Sequence[str]
    stories: Sequence[Story]


@dataclass(frozen=True)
class Exchange:
    """One hook call: what was sent, what came back with which status, and how many milliseconds it took."""

    request: Mapping[str, Any]
    status: int
    response: Any
    milliseconds: float


@dataclass(frozen=True)
class CardView:
    """A card as it is drawn: its own members, its detail as HTML, and its links as they are opened from here."""

    card: Mapping[str, Any]
    detail: Markup
    links: tuple[Mapping[str, str], ...]


def try_page(
    choices: Choices, entry: OrderEntry | None, body: Mapping[str, Any] | None, exchange: Exchange | None
) -> str:
    """The screen: nothing ordered yet, or an ``entry`` with the request ``body`` that it makes, or the answer to it."""
    cards = exchange.response.get("cards", []) if exchange and isinstance(exchange.response, dict) else []
    return rendered(
        "try.html",
        {
            "choices": choices,
            "entry": entry,
            "body": body,
            "body_json": None if body is None else _for_script(body),
            "drafts": [] if body is None else drafts(body),
            "exchange": exchange,
            "cards": [_card(card, body or {}) for card in cards],
            "who": who,
            "records": [(each, _RECORDS_IN_WORDS[each]) for each in RECORDS],
            "story_url": story_url,
            "query": "" if entry is None else _query(entry),
            "named": named,
            "systems": CODE_SYSTEMS,
            "pretty": pretty,
        },
    )


def unavailable_page() -> str:
    """What ``/try`` says when there are no fixtures to try it on."""
    return rendered("try_unavailable.html", {})


def patients_page(patients: Sequence[Resource], query: Mapping[str, str]) -> str:
    """The choice of a patient for an app that was opened by itself; ``query`` is what the app asked with."""
    urls = {
        each["id"]: "/development/authorize?" + urlencode({**query, "patient": each["id"]})
        for each in patients
    }
    return rendered("try_patients.html", {"patients": patients, "urls": urls, "who": who})


def who(patient: Resource) -> str:
    """A patient in a line: name, date of birth, id."""
    name = next(members(patient, "name"), {})
    called = " ".join([*name.get("given", []), name.get("family", "")])
    return f"{called}, born {patient.get('birthDate', 'on no known day')} ({patient['id']})"


def payer(patient_id: str, resources: Sequence[Resource]) -> str:
    """Who pays, as the record has it: the payor of a coverage, else the practice."""
    for element, kind, holder in (
        ("payor", "Coverage", "beneficiary"),
        ("generalPractitioner", "Patient", ""),
    ):
        for resource in resources:
            if resource["resourceType"] != kind:
                continue
            owner = text(resource, holder, "reference") if holder else f"Patient/{resource['id']}"
            named_payers = [text(each, "display") for each in members(resource, element)]
            if owner == f"Patient/{patient_id}" and any(named_payers):
                return ", ".join(filter(None, named_payers))
    return "nobody named"


def drafts(body: Mapping[str, Any]) -> list[Resource]:
    """The draft orders of a request."""
    return [entry["resource"] for entry in body["context"]["draftOrders"]["entry"]]


def story_url(story: Story) -> str:
    """The screen as a story begins it."""
    chosen = {
        "patient": story.patient_id,
        "order": story.id,
        "requester": story.requester,
        "record": "sent" if story.sends_record else "withheld",
        "hook": story.hook,
    }
    return f"/try?{urlencode(chosen)}"


def pretty(value: object) -> str:
    """JSON for people."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _query(entry: OrderEntry) -> str:
    return urlencode(
        {
            "patient": entry.patient_id,
            "order": entry.order.key,
            "requester": entry.requester,
            "record": entry.record,
            "hook": entry.hook,
        }
    )


def _card(card: Mapping[str, Any], body: Mapping[str, Any]) -> CardView:
    return CardView(
        card=card,
        detail=as_html(card.get("detail", "")),
        links=tuple(_opened(link, card, body) for link in card.get("links", ())),
    )


def _opened(link: Mapping[str, str], card: Mapping[str, Any], body: Mapping[str, Any]) -> Mapping[str, str]:
    """A link of a card; a smart one goes through the development server, as an EHR would launch it."""
    if link.get("type") != "smart":
        return link
    context = body["context"]
    launch = {
        "url": link["url"],
        "patient": context["patientId"],
        "user": context["userId"],
        "order": card.get("extension", {}).get(EXTENSION, {}).get("order", ""),
        "appContext": link.get("appContext", ""),
    }
    return {**link, "url": f"/development/launch?{urlencode(launch)}"}


def _for_script(value: object) -> Markup:
    """JSON inside a data block of a page: no character of it can end the block."""
    json = orjson.dumps(value).decode()
    for character in "<>&":
        json = json.replace(character, f"\\u{ord(character):04x}")
    return Markup(json)  # noqa: S704  what HTML could take for its own is written as JSON escapes
