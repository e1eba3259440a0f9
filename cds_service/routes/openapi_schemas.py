"""What goes in and out over the wire, as JSON Schema 2020-12: what is required, and no more than is enforced.

Requests are read leniently, so their schemas leave open what is merely passed over. Answers are ours, and told exactly.
"""

from __future__ import annotations

from typing import Any

from cds_service.hooks.cards import EXTENSION, SUMMARY_LIMIT
from cds_service.hooks.feedback import ACCEPTED, MOST_ITEMS, OVERRIDDEN
from cds_service.hooks.requests import HOOKS, ORDER_SELECT
from cds_service.policies.determination import FINAL, UNDETERMINED
from cds_service.trust.limits import LONGEST_NAME, MOST_DRAFTS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string", "minLength": 1}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}


def record(
    required: dict[str, Any], optional: dict[str, Any] | None = None, *, closed: bool = True
) -> Schema:
    """An object with these members; ``closed`` when it has no others."""
    schema: Schema = {"type": "object", "properties": {**required, **(optional or {})}}
    schema |= {"required": [*required]} if required else {}
    return schema | ({"additionalProperties": False} if closed else {})


def listed(item: Schema, **limits: int) -> Schema:
    """A list of such items."""
    return {"type": "array", "items": item, **limits}


def named(name: str) -> Schema:
    """One of ``schemas()``, by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def fhir_resource(*types: str) -> Schema:
    """A FHIR resource, of one of these types if any are named."""
    kind: Schema = {"enum": [*types]} if types else _TEXT
    return record({"resourceType": kind}, closed=False)


def schemas() -> dict[str, Schema]:
    """Every schema that the document refers to, by name."""
    return {
        "HookRequest": _hook_request(),
        "HookResponse": record({"cards": listed(named("Card"))}),
        "Card": _card(),
        "Determination": _determination(),
        "Services": record({"services": listed(_service())}),
        "Feedback": record({"feedback": listed(_feedback(), maxItems=MOST_ITEMS)}, closed=False),
        "OperationOutcome": record(
            {
                "resourceType": {"const": "OperationOutcome"},
                "issue": listed(
                    record({"severity": _TEXT, "code": _TEXT, "diagnostics": _TEXT}, {"expression": _TEXTS}),
                    minItems=1,
                ),
            }
        ),
    }


def _hook_request() -> Schema:
    """One hook or the other: ``selections`` are looked at in one of them only."""
    return {"anyOf": [_request(hook) for hook in HOOKS]}


def _request(hook: str) -> Schema:
    selections: Schema = {
        "description": f"References to drafts, at most {MOST_DRAFTS}; all drafts if left out.",
        "type": ["array", "null"],
        "maxItems": MOST_DRAFTS,
    }
    context = record(
        {
            "patientId": _NAME,
            "draftOrders": record({}, {"entry": {"type": "array", "maxItems": MOST_DRAFTS}}, closed=False),
        },
        {
            **({"selections": selections} if hook == ORDER_SELECT else {}),
            "userId": {"description": "Not needed."},
        },
        closed=False,
    )
    described = "By discovery's keys, the answers to its queries. null: read, and empty. Left out: not read."
    return record(
        {"hook": {"const": hook}, "context": context},
        {
            "hookInstance": {"description": "A UUID; written down with the decision."},
            "prefetch": {"description": described, "type": ["object", "null"]},
            "fhirServer": {
                "description": "Base URL of the FHIR server to read what the prefetch leaves out."
            },
            "fhirAuthorization": {"description": "As CDS Hooks has it: what that server may be read with."},
        },
        closed=False,
    )


def _card() -> Schema:
    source = record({"label": _TEXT, "url": _TEXT, "topic": coding()})
    link = record(
        {"label": _TEXT, "url": _TEXT, "type": {"enum": ["absolute", "smart"]}}, {"appContext": _TEXT}
    )
    action = record(
        {"type": {"enum": ["create", "update", "delete"]}, "description": _TEXT},
        {"resource": fhir_resource(), "resourceId": _TEXT},
    )
    return record(
        {
            "uuid": {"type": "string", "format": "uuid"},
            "summary": {**_TEXT, "maxLength": SUMMARY_LIMIT},
            "detail": {**_TEXT, "description": "GitHub-flavoured Markdown."},
            "indicator": {"enum": ["info", "warning"]},
            "source": source,
            "extension": record({EXTENSION: named("Determination")}),
        },
        {
            "suggestions": listed(
                record(
                    {"label": _TEXT, "uuid": {"type": "string", "format": "uuid"}, "actions": listed(action)}
                ),
                minItems=1,
            ),
            "selectionBehavior": {"const": "at-most-one"},
            "links": listed(link, minItems=1),
            "overrideReasons": listed(coding(), minItems=1),
        },
    )


def coding() -> Schema:
    """A Coding as we write it: with its display."""
    return record({"system": _TEXT, "code": _TEXT, "display": _TEXT})


def _determination() -> Schema:
    origin = {"enum": ["record", "answer", "assumed", "unknown"]}
    value = {"type": ["boolean", "number", "string", "array"]}
    finding = record(
        {"criterion": _TEXT, "origin": origin}, {"value": value, "why": _TEXT, "evidence": _TEXTS}
    )
    return record(
        {"id": {"type": "string", "format": "uuid"}, "status": {"enum": [FINAL, UNDETERMINED]}},
        {
            "order": _TEXT,
            "policy": {**_TEXT, "description": "Canonical URL and version of the PlanDefinition."},
            "redirectedFrom": _TEXTS,
            "outcome": _TEXT,
            "possibleOutcomes": _TEXTS,
            "outstanding": {**_TEXTS, "description": "linkIds of the questions that can still settle it."},
            "citations": listed(record({"label": _TEXT}, {"url": _TEXT})),
            "findings": listed(finding),
        },
    )


def _service() -> Schema:
    return record(
        {
            "id": _TEXT,
            "hook": {"enum": [*HOOKS]},
            "title": _TEXT,
            "description": _TEXT,
            "prefetch": {"type": "object", "additionalProperties": _TEXT},
            "usageRequirements": _TEXT,
        }
    )


def _feedback() -> Schema:
    return record(
        {
            "card": _NAME,
            "outcome": {"enum": [ACCEPTED, OVERRIDDEN]},
            "outcomeTimestamp": {"type": "string", "format": "date-time"},
        },
        {
            "acceptedSuggestions": {
                "description": "Of an accepted card: objects, each with the suggestion's id."
            },
            "overrideReason": {"description": "Of an overridden card: reason (a Coding) and userComment."},
        },
        closed=False,
    )
