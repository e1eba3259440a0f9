"""Tokens that were used, for all workers and over a restart."""

from __future__ import annotations

import hashlib
import json

from sqlalchemy import Connection

from cds_service.store.schema import tokens
from cds_service.store.upserts import upsert


def first_use(connection: Connection, issuer: str, jti: str, until: float) -> bool:
    """Whether this token was not used before; from now on it was."""
    digest = hashlib.sha256(json.dumps([issuer, jti]).encode()).digest()
    once = upsert(connection, tokens).values(digest=digest, until=until).on_conflict_do_nothing()
    # Asked back, not counted: PostgreSQL's driver counts no row of an INSERT that may do nothing.
    return connection.execute(once.returning(tokens.c.digest)).one_or_none() is not None
