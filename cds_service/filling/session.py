"""What is kept of a form: first what its card was about, then, once it is opened, how far it is filled in.

Both go sealed into the store, and expire. Neither is ever part of an address, a log or an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import orjson

from cds_service.policies.stated import Stated
from cds_service.record.resources import Resource

OPEN, COMPLETED = "open", "completed"
# What the store calls them.
FORM_CONTEXT, FORM_SESSION, LAUNCH = "form context", "form session", "launch"


@dataclass(frozen=True)
class FormContext:
    """What a card was about that offers a form. ``kind`` as in ``hooks.cards``; ``policy`` is a versioned canonical.

    ``funding_outcome`` is what the funding policies said, for advice that depends on it.
    ``client`` is the CDS client's name, None in development mode. ``order`` is the draft order, which an EHR's FHIR
    server need not show; ``determination`` what the card said, for software.
    """

    kind: str
    card: str
    client: str | None
    patient_id: str
    order: Resource
    policy: str
    funding_outcome: str
    determination: Mapping[str, Any]

    def to_json(self) -> bytes:
        """This as the store keeps it."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, content: bytes) -> FormContext:
        """What ``to_json`` wrote."""
        return cls(**orjson.loads(content))


@dataclass(frozen=True)
class FormSession:
    """A form that somebody has open. ``key_digest`` is of the secret that only their browser knows.

    ``smart``: the sealed launch. ``form``: the Questionnaire's versioned canonical. ``populated`` is the response as the
    record filled it in, ``response`` as it stands now; ``evidence``: linkId → the resources that speak to it.
    ``stated``: the findings from the record, of a policy's form; ``unread``: what of the record could not be read.
    ``asked``: the questions put so far, in order. ``patient`` and ``user`` are as the EHR showed them; ``guidance`` is
    the GuidanceResponse that a funding request rests on. ``response_id`` names the completed form, ``written`` where
    the EHR keeps it, ``not_written`` why it does not.
    """

    context: FormContext
    key_digest: str
    smart: str
    form: str
    populated: Resource
    response: Resource
    evidence: Mapping[str, list[dict[str, str | None]]]
    stated: Stated
    unread: tuple[str, ...]
    asked: tuple[str, ...]
    status: str
    patient: Resource | None
    user: Resource | None
    shows_patient: bool
    guidance: Resource | None
    response_id: str
    written: str | None
    not_written: str | None

    def with_response(self, response: Resource) -> FormSession:
        """The same form with these answers."""
        return replace(self, response=response)

    def to_json(self) -> bytes:
        """This as the store keeps it."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, content: bytes) -> FormSession:
        """What ``to_json`` wrote."""
        kept = orjson.loads(content)
        members = {each.name: kept[each.name] for each in fields(cls)}
        members["context"] = FormContext(**kept["context"])
        return cls(**{**members, "unread": tuple(kept["unread"]), "asked": tuple(kept["asked"])})
