"""The decision log: one row for each hook response, with its cards and the forms that they open."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from sqlalchemy import Connection, literal, select, tuple_

from cds_service.store.additions import Addition, Row
from cds_service.store.entries import DecisionEntry, IssuedCard
from cds_service.store.schema import Moment, cards, decisions

_MEMBERS = tuple(field.name for field in fields(DecisionEntry))
_COLUMNS = tuple(decisions.c[name] for name in _MEMBERS)
_DECISION, _CARD = Addition(decisions), Addition(cards)


def additions(entry: DecisionEntry, issued: Sequence[IssuedCard]) -> list[tuple[Addition, Row]]:
    """The rows of one decision, whose ``id`` is new as are those of its cards."""
    row = {name: getattr(entry, name) for name in _MEMBERS}
    return [(_DECISION, row), *((_CARD, _card_row(entry, card)) for card in issued)]


def decision(connection: Connection, decision_id: str) -> DecisionEntry | None:
    """The decision of this id."""
    row = connection.execute(select(*_COLUMNS).where(decisions.c.id == decision_id)).one_or_none()
    return None if row is None else DecisionEntry(*row)


def decision_of_card(connection: Connection, card_id: str) -> DecisionEntry | None:
    """The decision that this card told."""
    of_card = select(*_COLUMNS).join(cards, cards.c.decision_id == decisions.c.id)
    row = connection.execute(of_card.where(cards.c.card_id == card_id)).one_or_none()
    return None if row is None else DecisionEntry(*row)


def page(
    connection: Connection,
    since: datetime | None,
    until: datetime | None,
    after: DecisionEntry | None,
    size: int,
) -> list[DecisionEntry]:
    """At most ``size`` decisions in order of time: not before ``since``, before ``until``, and following ``after``."""
    wanted = select(*_COLUMNS).order_by(decisions.c.at, decisions.c.id).limit(size)
    if since is not None:
        wanted = wanted.where(decisions.c.at >= since)
    if until is not None:
        wanted = wanted.where(decisions.c.at < until)
    if after is not None:
        last = tuple_(literal(after.at, Moment), literal(after.id))
        wanted = wanted.where(tuple_(decisions.c.at, decisions.c.id) > last)
    return [DecisionEntry(*row) for row in connection.execute(wanted)]


def _card_row(entry: DecisionEntry, card: IssuedCard) -> dict[str, str | None]:
    return {
        "card_id": card.id,
        "decision_id": entry.id,
        "client": entry.client,
        "suggestions": json.dumps(card.suggestions),
    }
