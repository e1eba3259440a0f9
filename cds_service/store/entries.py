"""What is put into the store, and what comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class DecisionEntry:
    """One hook response. Digests are lower-case hexadecimal SHA-256.

    ``id`` is a UUID; ``at`` has a time zone; ``client`` is the configured client's name, none in development;
    ``plan_set`` is the digest of the policies that decided; ``determinations`` is JSON text; ``replay`` is JSON text of
    what it takes to decide again, and is none in rows older than this member. No name of a patient, no token.
    """

    id: str
    at: datetime
    hook: str
    hook_instance: str
    client: str | None
    request_digest: str
    plan_set: str
    determinations: str
    cards_digest: str
    milliseconds: float
    replay: str | None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"at: found {self.at.isoformat()} without a time zone; expected one with")


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """A card as feedback will name it: the UUIDs of the card and of its suggestions."""

    id: str
    suggestions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """Something kept until it expires: a form's context, a form session, the state of a launch. ``kind`` says which."""

    kind: str
    id: str
    content: bytes
    expires: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """A document's content as it was read, and its version: 1 for the first, one more each time it is replaced."""

    content: bytes
    version: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A QuestionnaireResponse given to us. ``order``: the reference of the order that it is about, if it is about one.

    ``questionnaire`` is a canonical with its version; ``status`` the resource's; ``resource`` the resource itself.
    """

    id: str
    received_at: datetime
    client: str | None
    patient_id: str
    questionnaire: str
    order: str | None
    status: str
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class FeedbackItem:
    """What became of one card: ``outcome`` is ``accepted`` or ``overridden``.

    ``reason_system`` and ``reason_code`` are the coding of why it was overridden.
    """

    card: str
    outcome: str
    outcome_timestamp: datetime
    accepted_suggestions: tuple[str, ...]
    reason_system: str | None
    reason_code: str | None
    user_comment: str | None
