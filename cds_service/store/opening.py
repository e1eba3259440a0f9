"""What happens when a store is opened, by one worker at a time: the schema is brought up to date, the secret settled."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Lock

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from cds_service.errors import StoreError
from cds_service.store.database import Database, reason
from cds_service.store.schema import secrets
from cds_service.store.sealing import SECRET_BYTES, Seal

_MIGRATIONS = Path(__file__).with_name("migrations")
# Any number, as long as it is the same for all workers.
_ADVISORY_LOCK = 0xCD5
# Alembic keeps the migration that runs in a module's variable.
_MIGRATING = Lock()


def opened(database: Database, given_secret: bytes | None) -> Seal:
    """Make the database ready, and the seal of its secret.

    StoreError when it cannot be read or written, has a later schema, or was sealed with another secret.
    """
    try:
        if database.writing.dialect.name == "sqlite":
            # Made here, not by SQLite, so that nobody else on the machine may read it; its WAL follows suit.
            Path(database.name).touch(mode=0o600, exist_ok=True)
        with _MIGRATING, database.writing.begin() as connection:
            _await_other_workers(connection)
            _refuse_a_careless_server(connection, database.name)
            _upgrade(connection, database.name)
            return _seal(connection, given_secret)
    except (SQLAlchemyError, OSError) as error:
        # From None: a fault's own text may quote what a row holds.
        raise StoreError(f"{database.name}: {reason(error)}") from None


def _await_other_workers(connection: Connection) -> None:
    """From here to the commit this worker is alone. SQLite is locked by the transaction itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL lock_timeout = '60s'"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


def _refuse_a_careless_server(connection: Connection, name: str) -> None:
    if connection.dialect.name == "postgresql":
        fsync = connection.scalar(text("SHOW fsync"))
        if fsync != "on":
            raise StoreError(f"{name}: found fsync {fsync}; expected on, or what is written is not kept")


def _upgrade(connection: Connection, name: str) -> None:
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)
    known = [script.revision for script in scripts.walk_revisions()]
    found = _revision(connection)
    if found is not None and found not in known:
        raise StoreError(f"{name}: found schema version {found}; expected {known[0]} or earlier")
    if found is None and inspect(connection).has_table("decisions"):
        command.stamp(config, "1")
    if found != known[0]:
        command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    """The schema's version; none in a new database, and in one from before there were migrations."""
    if inspect(connection).has_table("alembic_version"):
        found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        return found
    if connection.dialect.name == "sqlite":
        marked = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
        return str(marked) if marked > 1 else None
    return None


def _seal(connection: Connection, given: bytes | None) -> Seal:
    """The seal of the given secret, else of the one that the first worker made and left for all."""
    kept = dict(connection.execute(select(secrets.c.name, secrets.c.value)).all())
    own = kept.get("secret") or os.urandom(SECRET_BYTES)
    seal = Seal(own if given is None else given)
    if "fingerprint" not in kept:
        rows = [{"name": "fingerprint", "value": seal.fingerprint}]
        rows += [] if given is not None else [{"name": "secret", "value": seal.secret}]
        connection.execute(insert(secrets), rows)
    elif kept["fingerprint"] != seal.fingerprint:
        found = "none" if given is None else "another"
        raise StoreError(
            f"the secret: found {found}; expected the one that the database was first opened with"
        )
    return seal
