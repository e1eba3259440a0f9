"""Past orders decided as the hook would have when they were written: one order a request, at noon of its day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from cds_service.bulk.parts import LineFaultError
from cds_service.bulk.patients import BulkPatient
from cds_service.bulk.rows import Found, Row, rows_of
from cds_service.errors import MissingDataError
from cds_service.hooks.requests import ORDER_SIGN, HookRequest
from cds_service.policies.library import Library
from cds_service.record.orders import Order, procedure_orders
from cds_service.record.patient_record import QueryAnswer
from cds_service.record.resources import Resource, full_date, text
from cds_service.service import Terms, commissioner_cards, determined, queries_to_read

# Cards are not written down here, so they need no ids that differ.
_CARD_ID = "00000000-0000-0000-0000-000000000000"
_PAST = frozenset({"completed", "revoked"})


@dataclass(frozen=True)
class Circumstances:
    """What every order is decided under. ``as_of``: a day that all orders are taken to be written on; else their own."""

    as_of: date | None
    zone: str
    public_url: str
    answers_valid_days: int


def order_as_written(resource: Resource, as_of: date | None) -> Order | None:
    """The order as it was before it was placed; None for what orders nothing. LineFaultError when it has no day."""
    draft: dict[str, Any] = dict(resource)
    if draft.get("status") in _PAST:
        # It ended since; when it was written it was an order like the others.
        draft["status"] = "active"
    if as_of is not None:
        draft["authoredOn"] = as_of.isoformat()
    elif full_date(text(draft, "authoredOn")) is None:
        raise LineFaultError("no authoredOn, so no day to decide it as of (--as-of names one for all)")
    return next(iter(procedure_orders([draft])), None)


def rows_decided(
    order: Order, patient: BulkPatient, library: Library, circumstances: Circumstances
) -> tuple[Row, ...]:
    """What the hook would have answered to an order, as rows."""
    if order.authored is None:
        raise ValueError("an order without a day is not decided in bulk")
    terms = _terms(order.authored, circumstances)
    request = HookRequest(ORDER_SIGN, None, patient.id, (order,), {}, None)
    needed = queries_to_read(request, library, order.authored)
    # What no policy is about needs no record to say so.
    found = _determined(request, library, terms, patient.answers(needed)) if needed else None
    return rows_of(order, patient.id, order.authored.isoformat(), found)


def _determined(
    request: HookRequest, library: Library, terms: Terms, read: Mapping[str, QueryAnswer]
) -> Found | MissingDataError:
    try:
        found = determined(request, library, terms, read)
    except MissingDataError as missing:
        return missing
    return Found(found.determined, commissioner_cards(found, terms))


def _terms(day: date, circumstances: Circumstances) -> Terms:
    noon = datetime.combine(day, time(12), ZoneInfo(circumstances.zone))
    return Terms(noon, lambda: _CARD_ID, circumstances.public_url, circumstances.answers_valid_days)
