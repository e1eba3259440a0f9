"""Procedure orders, read from the drafts of an ordering session."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from cds_service.record.resources import Resource, codings, full_date, text

# A FHIR request that asks for nothing any more, or never did.
# More than any procedure is called.
_LONGEST_NAME = 250
_NOT_ORDERING = frozenset({"revoked", "completed", "entered-in-error"})


@dataclass(frozen=True)
class Order:
    """One ServiceRequest that somebody is about to place.

    ``reference`` is ``ServiceRequest/<id>``, None when the draft has no id. ``authored`` is the day it was written.
    """

    resource: Resource
    reference: str | None
    codes: tuple[tuple[str, str], ...]
    authored: date | None

    @property
    def name(self) -> str:
        """What the sender calls the procedure, cut: request-derived text, to be escaped where it is shown."""
        concept = self.resource.get("code")
        if own := text(concept, "text"):
            return own[:_LONGEST_NAME]
        for coding in concept.get("coding", ()) if isinstance(concept, dict) else ():
            if display := text(coding, "display") or text(coding, "code"):
                return display[:_LONGEST_NAME]
        return "unnamed procedure"


def procedure_orders(resources: Iterable[Resource]) -> tuple[Order, ...]:
    """The resources that order a procedure: ServiceRequests, but none that forbids it or has ended."""
    return tuple(
        Order(
            resource=resource,
            reference=f"ServiceRequest/{resource['id']}" if text(resource, "id") else None,
            codes=codings(resource.get("code")),
            authored=full_date(text(resource, "authoredOn")),
        )
        for resource in resources
        if resource.get("resourceType") == "ServiceRequest"
        and resource.get("doNotPerform") is not True
        and text(resource, "status") not in _NOT_ORDERING
    )
