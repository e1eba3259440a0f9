"""A CDS Hooks request as we take it: lenient with what is merely odd, exact about what cannot be decided on."""

from __future__ import annotations

from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import Any

from cds_service.errors import RequestError
from cds_service.record.orders import Order, procedure_orders
from cds_service.record.resources import Resource, logical_id, text
from cds_service.trust.limits import LONGEST_NAME, MOST_DRAFTS, MOST_ENTRIES
from cds_service.trust.outbound import Token

ORDER_SELECT = "order-select"
ORDER_SIGN = "order-sign"
HOOKS = (ORDER_SELECT, ORDER_SIGN)

# In the place of an answer too long to be gone through: not read, which is not the same as empty.
_TOO_LONG = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "too-long", "diagnostics": f"over {MOST_ENTRIES} entries"}],
}


@dataclass(frozen=True)
class HookRequest:
    """A call of one of our hooks. ``orders``: the procedure orders in scope, selected or being signed."""

    hook: str
    instance: str | None
    patient_id: str
    orders: tuple[Order, ...]
    prefetch: Mapping[str, Any]
    access: FhirAccess | None


@dataclass(frozen=True)
class FhirAccess:
    """The caller's FHIR server, as the request names it, and what it may be read with for how many seconds."""

    server: str
    token: Token | None
    seconds: float | None


def hook_request(body: object) -> HookRequest:
    """The request in a parsed JSON body. RequestError when it is none, or names no patient or no drafts."""
    if not isinstance(body, Mapping):
        raise RequestError("$", _kind(body), "a JSON object: a CDS Hooks request")
    hook = body.get("hook")
    if hook not in HOOKS:
        raise RequestError("hook", _shown(hook), f"{' or '.join(HOOKS)}")
    context = body.get("context")
    if not isinstance(context, Mapping):
        raise RequestError("context", _kind(context), f"an object, the context of {hook}")
    prefetch = body.get("prefetch")
    if prefetch is not None and not isinstance(prefetch, Mapping):
        raise RequestError("prefetch", _kind(prefetch), "an object, or no such member")
    patient_id = text(context, "patientId")
    if patient_id is None:
        raise RequestError("context.patientId", _kind(context.get("patientId")), "the id of a Patient")
    instance = text(body, "hookInstance")
    _refuse_longer("context.patientId", patient_id, LONGEST_NAME, "characters")
    _refuse_longer("hookInstance", instance or "", LONGEST_NAME, "characters")
    return HookRequest(
        hook=hook,
        instance=instance,
        patient_id=logical_id(patient_id),
        orders=_orders(context, hook, logical_id(patient_id)),
        prefetch={key: _TOO_LONG if _is_too_long(sent) else sent for key, sent in (prefetch or {}).items()},
        access=_access(body),
    )


def _is_too_long(sent: object) -> bool:
    entries = sent.get("entry") if isinstance(sent, Mapping) else None
    return isinstance(entries, list) and len(entries) > MOST_ENTRIES


def _refuse_longer(where: str, value: Sized, most: int, what: str) -> None:
    if len(value) > most:
        raise RequestError(where, f"{len(value)} {what}", f"at most {most}")


def _access(body: Mapping[str, Any]) -> FhirAccess | None:
    """None when the request names no FHIR server, or gives a token that has expired or that no server could be shown."""
    server = text(body, "fhirServer")
    if server is None:
        return None
    authorization = body.get("fhirAuthorization")
    if not isinstance(authorization, Mapping):
        return FhirAccess(server, None, None)
    seconds = authorization.get("expires_in")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        seconds = None
    try:
        token = Token(text(authorization, "access_token") or "")
    except ValueError:
        return None
    return None if seconds is not None and seconds <= 0 else FhirAccess(server, token, seconds)


def _orders(context: Mapping[str, Any], hook: str, patient_id: str) -> tuple[Order, ...]:
    drafts = _drafts(context)
    chosen = drafts if hook == ORDER_SIGN else _selected(drafts, context)
    for position, draft in chosen.items():
        reference = text(draft, "subject", "reference")
        is_ours = draft.get("resourceType") == "ServiceRequest"
        if is_ours and reference is not None and logical_id(reference) != patient_id:
            where = f"context.draftOrders.entry[{position}].resource.subject"
            raise RequestError(where, "a reference to somebody else", "the patient of context.patientId")
    return procedure_orders(chosen.values())


def _drafts(context: Mapping[str, Any]) -> dict[int, Resource]:
    """The draft resources by position; an entry that holds none is passed over."""
    bundle = context.get("draftOrders")
    if not isinstance(bundle, Mapping):
        raise RequestError("context.draftOrders", _kind(bundle), "a Bundle of draft orders")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise RequestError("context.draftOrders.entry", _kind(entries), "a list of entries")
    _refuse_longer("context.draftOrders.entry", entries, MOST_DRAFTS, "drafts")
    return {
        position: entry["resource"]
        for position, entry in enumerate(entries)
        if isinstance(entry, Mapping) and isinstance(entry.get("resource"), Mapping)
    }


def _selected(drafts: dict[int, Resource], context: Mapping[str, Any]) -> dict[int, Resource]:
    """The drafts that ``selections`` names; all of them for a client that sends no selections."""
    selections = context.get("selections")
    if selections is None:
        return drafts
    if not isinstance(selections, list):
        raise RequestError("context.selections", _kind(selections), "a list of references to draft orders")
    _refuse_longer("context.selections", selections, MOST_DRAFTS, "selections")
    chosen: dict[int, Resource] = {}
    for place, selection in enumerate(selections):
        named = {position: draft for position, draft in drafts.items() if _names(selection, draft)}
        if not named:
            where = f"context.selections[{place}]"
            raise RequestError(where, _shown(selection), "a reference to a resource in context.draftOrders")
        chosen |= named
    return dict(sorted(chosen.items()))


def _names(selection: object, draft: Resource) -> bool:
    """Whether ``Type/id`` (or the bare id that some clients send) names this draft."""
    if not isinstance(selection, str) or not text(draft, "id"):
        return False
    kind = selection.rsplit("/", 2)[-2] if "/" in selection else None
    return logical_id(selection) == draft["id"] and (kind is None or kind == draft.get("resourceType"))


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    """A string of the request, cut; anything else by its kind, so that an error never repeats a resource."""
    return repr(value[:60]) if isinstance(value, str) else _kind(value)
