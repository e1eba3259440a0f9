"""The decision log, as it was before there were migrations: SQLite's ``user_version`` 1."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from cds_service.store.schema import NUMBER, Moment

revision = "1"
down_revision = None


def upgrade() -> None:
    """Make the table of decisions."""
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
        sqlite_strict=True,
        sqlite_with_rowid=False,
    )
