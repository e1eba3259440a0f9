"""What is kept no longer. In batches, so that a decision that is being made waits for one of them at most."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Connection, Delete, Select, Table, delete, select, tuple_

from cds_service.store.schema import cards, decisions, feedback, responses, sealed, tokens

BATCH = 500
Counts = dict[str, int]


def purge_decisions(connection: Connection, before: datetime) -> Counts:
    """Remove a batch of the decisions made before then, with their cards and the feedback on these."""
    old = select(decisions.c.id).where(decisions.c.at < before).order_by(decisions.c.at).limit(BATCH)
    ids = connection.scalars(old).all()
    issued = select(cards.c.card_id).where(cards.c.decision_id.in_(ids))
    return {
        "feedback": _removed(connection, delete(feedback).where(feedback.c.card_id.in_(issued))),
        "cards": _removed(connection, delete(cards).where(cards.c.decision_id.in_(ids))),
        "decisions": _removed(connection, delete(decisions).where(decisions.c.id.in_(ids))),
    }


def purge_responses(connection: Connection, before: datetime) -> Counts:
    """Remove a batch of the answers received before then."""
    old = select(responses.c.id).where(responses.c.received_at < before).limit(BATCH)
    return {"responses": _removed_batch(connection, responses, (responses.c.id,), old)}


def purge_sealed(connection: Connection, now: datetime) -> Counts:
    """Remove a batch of the documents that have expired."""
    key = sealed.c.kind, sealed.c.id
    old = select(*key).where(sealed.c.expires_at <= now).limit(BATCH)
    return {"sealed": _removed_batch(connection, sealed, key, old)}


def purge_tokens(connection: Connection, now: datetime) -> Counts:
    """Remove a batch of the tokens that have expired, which the verifier refuses for that."""
    old = select(tokens.c.digest).where(tokens.c.until < now.timestamp()).limit(BATCH)
    return {"tokens": _removed_batch(connection, tokens, (tokens.c.digest,), old)}


def _removed_batch(
    connection: Connection, table: Table, key: tuple[Column[object], ...], old: Select[*tuple[object, ...]]
) -> int:
    return _removed(connection, delete(table).where(tuple_(*key).in_(old)))


def _removed(connection: Connection, rows: Delete) -> int:
    return connection.execute(rows).rowcount
