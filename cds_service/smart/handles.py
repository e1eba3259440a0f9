"""The handle by which a card's SMART link finds its form again: opaque, sealed and short-lived.

It travels in the link's ``appContext`` and, as some EHRs drop that, in its URL. It says nothing but the id of a row
that we keep; the row says which client, patient, order and policy the card was for, and a launch must be for the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cds_service.errors import HandleError, WrongLaunchError
from cds_service.smart.sealing import sealed, unsealed

_PURPOSE = "handle"
_LONGEST = 1_024


@dataclass(frozen=True)
class Binding:
    """What a card was made for. ``client``: the CDS client's name, None in development mode; ``order``: its reference."""

    client: str | None
    patient_id: str
    order: str
    policy: str


def handle(row_id: str, key: bytes, now: datetime, seconds: int) -> str:
    """The handle of a row, good for ``seconds`` from ``now``: some 150 characters that any URL can carry."""
    return sealed({"id": row_id, "exp": int(now.timestamp()) + seconds}, key, _PURPOSE)


def opened(text: str, key: bytes, now: datetime) -> str:
    """The id of the row that a handle stands for. HandleError when we did not make it, or not for so long."""
    found = unsealed(text, key, _PURPOSE) if len(text) <= _LONGEST else None
    if found is None:
        raise HandleError("tampered")
    if now.timestamp() >= found["exp"]:
        raise HandleError("expired")
    return str(found["id"])


def bound(binding: Binding, client: str | None, patient_id: str, fhir_context: Sequence[str]) -> Binding:
    """The binding, if a launch is for what it was made for. WrongLaunchError names what differs, and no value.

    ``fhir_context``: the references that the EHR launched with. An EHR need not name the order among them; one that
    names orders of its type must name it.
    """
    if binding.client != client:
        raise WrongLaunchError("client")
    if binding.patient_id != patient_id:
        raise WrongLaunchError("patient")
    same_type = f"{binding.order.partition('/')[0]}/"
    orders = [reference for reference in fhir_context if reference.startswith(same_type)]
    if orders and binding.order not in orders:
        raise WrongLaunchError("order")
    return binding
