"""What it takes to replay a decision; cards and their feedback, sealed documents, answers, used tokens, the secret."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cds_service.store.schema import NUMBER, Moment

revision = "2"
down_revision = "1"

_OF_VERSION_1 = (
    "id, at, hook, hook_instance, client, request_digest, "
    "plan_set, determinations, cards_digest, milliseconds"
)


def upgrade() -> None:
    """Make the tables, and keep every decision."""
    _replace_decisions()
    _create_cards_and_feedback()
    _create_sealed_and_responses()
    _create_small_tables()
    if op.get_bind().dialect.name == "sqlite":
        # So that version 1 of the service, which looks here, refuses the file.
        op.execute("PRAGMA user_version = 2")


def _replace_decisions() -> None:
    """A new table: rows of this length want row numbers, which the old one had not."""
    op.rename_table("decisions", "decisions_of_version_1")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER INDEX decisions_pkey RENAME TO decisions_of_version_1_pkey")
    op.create_table(
        "decisions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("at", Moment, nullable=False),
        sa.Column("hook", sa.Text, nullable=False),
        sa.Column("hook_instance", sa.Text, nullable=False),
        sa.Column("client", sa.Text),
        sa.Column("request_digest", sa.Text, nullable=False),
        sa.Column("plan_set", sa.Text, nullable=False),
        sa.Column("determinations", sa.Text, nullable=False),
        sa.Column("cards_digest", sa.Text, nullable=False),
        sa.Column("milliseconds", NUMBER, nullable=False),
        sa.Column("replay", sa.Text),
        sqlite_strict=True,
    )
    op.execute(
        f"INSERT INTO decisions ({_OF_VERSION_1}) SELECT {_OF_VERSION_1} FROM decisions_of_version_1"  # noqa: S608
    )
    op.drop_table("decisions_of_version_1")
    op.create_index("decisions_by_time", "decisions", ["at", "id"])


def _create_cards_and_feedback() -> None:
    op.create_table(
        "cards",
        sa.Column("card_id", sa.Text, primary_key=True),
        sa.Column("decision_id", sa.Text, sa.ForeignKey("decisions.id"), nullable=False),
        sa.Column("client", sa.Text),
        sa.Column("suggestions", sa.Text, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("cards_by_decision", "cards", ["decision_id"])
    op.create_table(
        "feedback",
        sa.Column("digest", sa.Text, primary_key=True),
        sa.Column("card_id", sa.Text, sa.ForeignKey("cards.card_id"), nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("outcome_timestamp", Moment, nullable=False),
        sa.Column("accepted_suggestions", sa.Text, nullable=False),
        sa.Column("reason_system", sa.Text),
        sa.Column("reason_code", sa.Text),
        sa.Column("user_comment", sa.LargeBinary),
        sqlite_strict=True,
    )
    op.create_index("feedback_by_card", "feedback", ["card_id"])


def _create_sealed_and_responses() -> None:
    op.create_table(
        "sealed",
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("expires_at", Moment, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("sealed_by_expiry", "sealed", ["expires_at"])
    op.create_table(
        "responses",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("received_at", Moment, nullable=False),
        sa.Column("client", sa.Text),
        sa.Column("patient_key", sa.Text, nullable=False),
        sa.Column("questionnaire", sa.Text, nullable=False),
        sa.Column("order_reference", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("written_reference", sa.Text),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_index("responses_by_patient", "responses", ["patient_key", "received_at"])
    op.create_index("responses_by_time", "responses", ["received_at"])


def _create_small_tables() -> None:
    op.create_table(
        "tokens",
        sa.Column("digest", sa.LargeBinary, primary_key=True),
        sa.Column("until", NUMBER, nullable=False),
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
    op.create_index("tokens_by_expiry", "tokens", ["until"])
    op.create_table(
        "secrets",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sqlite_strict=True,
    )
    op.create_table(
        "checks",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("count", sa.Integer, nullable=False),
        sqlite_strict=True,
    )
