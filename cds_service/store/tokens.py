"""Tokens that were used, for all workers and over a restart."""

from __future__ import annotations

import hashlib
import json

from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from cds_service.store.schema import tokens

# Built once: every call with a token writes this. By the name of the database.
_ONCE = {
    "sqlite": sqlite.insert(tokens).on_conflict_do_nothing().returning(tokens.c.digest),
    "postgresql": postgresql.insert(tokens).on_conflict_do_nothing().returning(tokens.c.digest),
}


def first_use(connection: Connection, issuer: str, jti: str, until: float) -> bool:
    """Whether this token was not used before; from now on it was."""
    digest = hashlib.sha256(json.dumps([issuer, jti]).encode()).digest()
    # Asked back, not counted: PostgreSQL's driver counts no row of an INSERT that may do nothing.
    written = connection.execute(_ONCE[connection.dialect.name], {"digest": digest, "until": until})
    return written.one_or_none() is not None
