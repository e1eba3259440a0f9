"""What clinicians did with a card. The same feedback, sent again, is the same row."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC

from sqlalchemy import Connection, select

from cds_service.store.entries import FeedbackItem
from cds_service.store.schema import cards, feedback
from cds_service.store.sealing import Seal
from cds_service.store.upserts import upsert


def append(
    connection: Connection, seal: Seal, client: str | None, items: Sequence[FeedbackItem]
) -> tuple[FeedbackItem, ...]:
    """Write the feedback on ``client``'s own cards, and pass over the rest. What of it was new."""
    offered = _suggestions(connection, client, {item.card for item in items})
    return tuple(
        item
        for item in items
        if item.card in offered and _is_new(connection, _row(seal, item, offered[item.card]))
    )


def on_decision(connection: Connection, seal: Seal, decision_id: str) -> tuple[FeedbackItem, ...]:
    """The feedback on a decision's cards, in order of time."""
    wanted = select(feedback).join(cards).where(cards.c.decision_id == decision_id)
    rows = connection.execute(wanted.order_by(feedback.c.outcome_timestamp, feedback.c.digest))
    return tuple(
        FeedbackItem(
            row.card_id,
            row.outcome,
            row.outcome_timestamp,
            tuple(json.loads(row.accepted_suggestions)),
            row.reason_system,
            row.reason_code,
            None
            if row.user_comment is None
            else seal.opened(row.user_comment, "feedback", row.digest).decode(),
        )
        for row in rows
    )


def _suggestions(
    connection: Connection, client: str | None, card_ids: set[str]
) -> Mapping[str, frozenset[str]]:
    """For each of the cards that is this client's, the suggestions that it made."""
    own = cards.c.card_id.in_(card_ids), cards.c.client.is_not_distinct_from(client)
    rows = connection.execute(select(cards.c.card_id, cards.c.suggestions).where(*own))
    return {row.card_id: frozenset(json.loads(row.suggestions)) for row in rows}


def _is_new(connection: Connection, row: Mapping[str, object]) -> bool:
    once = upsert(connection, feedback).values(row).on_conflict_do_nothing()
    return connection.execute(once.returning(feedback.c.digest)).one_or_none() is not None


def _row(seal: Seal, item: FeedbackItem, offered: frozenset[str]) -> dict[str, object]:
    # Only what the card offered: an id of the sender's making could say anything.
    accepted = json.dumps(sorted(offered & set(item.accepted_suggestions)))
    moment = item.outcome_timestamp.astimezone(UTC).isoformat()
    digest = hashlib.sha256(json.dumps([item.card, item.outcome, moment, accepted]).encode()).hexdigest()
    comment = item.user_comment
    return {
        "digest": digest,
        "card_id": item.card,
        "outcome": item.outcome,
        "outcome_timestamp": item.outcome_timestamp,
        "accepted_suggestions": accepted,
        "reason_system": item.reason_system,
        "reason_code": item.reason_code,
        "user_comment": None if comment is None else seal.sealed(comment.encode(), "feedback", digest),
    }
