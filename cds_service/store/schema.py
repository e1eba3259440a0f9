"""The tables, one schema for SQLite and PostgreSQL. How a database gets there: ``migrations/``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    REAL,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)
from sqlalchemy.types import TypeEngine


class Moment(TypeDecorator[datetime]):
    """A moment, in UTC: ``timestamptz`` in PostgreSQL; in SQLite ISO 8601 of one length, so that text sorts as time."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        utc = value.astimezone(UTC)
        return utc.isoformat(timespec="microseconds") if dialect.name == "sqlite" else utc

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - the library's signature
        if value is None:
            return None
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
        return moment.astimezone(UTC)


# Eight bytes in both databases; STRICT tables know it by this name only.
NUMBER: TypeEngine[float] = Double().with_variant(REAL(), "sqlite")

metadata = MetaData()

decisions = Table(
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("at", Moment, nullable=False),
    Column("hook", Text, nullable=False),
    Column("hook_instance", Text, nullable=False),
    Column("client", Text),
    Column("request_digest", Text, nullable=False),
    Column("plan_set", Text, nullable=False),
    Column("determinations", Text, nullable=False),
    Column("cards_digest", Text, nullable=False),
    Column("milliseconds", NUMBER, nullable=False),
    Column("replay", Text),
    Index("decisions_by_time", "at", "id"),
    sqlite_strict=True,
)

cards = Table(
    "cards",
    metadata,
    Column("card_id", Text, primary_key=True),
    Column("decision_id", Text, ForeignKey("decisions.id"), nullable=False),
    Column("client", Text),
    Column("suggestions", Text, nullable=False),
    Index("cards_by_decision", "decision_id"),
    sqlite_strict=True,
)

feedback = Table(
    "feedback",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("card_id", Text, ForeignKey("cards.card_id"), nullable=False),
    Column("outcome", Text, nullable=False),
    Column("outcome_timestamp", Moment, nullable=False),
    Column("accepted_suggestions", Text, nullable=False),
    Column("reason_system", Text),
    Column("reason_code", Text),
    Column("user_comment", LargeBinary),
    Index("feedback_by_card", "card_id"),
    sqlite_strict=True,
)

sealed = Table(
    "sealed",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("expires_at", Moment, nullable=False),
    Column("version", Integer, nullable=False),
    Column("content", LargeBinary, nullable=False),
    Index("sealed_by_expiry", "expires_at"),
    sqlite_strict=True,
)

responses = Table(
    "responses",
    metadata,
    Column("id", Text, primary_key=True),
    Column("received_at", Moment, nullable=False),
    Column("client", Text),
    Column("patient_key", Text, nullable=False),
    Column("questionnaire", Text, nullable=False),
    Column("order_reference", Text),
    Column("status", Text, nullable=False),
    Column("written_reference", Text),
    Column("content", LargeBinary, nullable=False),
    Index("responses_by_patient", "patient_key", "received_at"),
    Index("responses_by_time", "received_at"),
    sqlite_strict=True,
)

# A token that was used, as the digest of its issuer and id; ``until`` in seconds since 1970.
tokens = Table(
    "tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("until", NUMBER, nullable=False),
    Index("tokens_by_expiry", "until"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    sqlite_strict=True,
)

# One row, written to learn whether anything can be.
checks = Table(
    "checks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    sqlite_strict=True,
)
