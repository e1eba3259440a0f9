"""A write that adds nothing, to learn whether anything could be written."""

from __future__ import annotations

from sqlalchemy import Connection

from cds_service.store.schema import checks
from cds_service.store.upserts import upsert


def count_up(connection: Connection) -> None:
    """Change the one row that is there for this."""
    first = upsert(connection, checks).values(id=1, count=1)
    changed = {"count": checks.c.count + 1}
    connection.execute(first.on_conflict_do_update(index_elements=["id"], set_=changed))
