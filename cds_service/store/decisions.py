"""The decision log: one row for each hook response, on the disk before the response is sent.

A row is what a dispute needs: when, which hook, which client, which policies, what was determined. It holds
digests of the request and the cards, never the request, a name or a token.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from time import monotonic, sleep

from cds_service.errors import DecisionLogError

_SCHEMA_VERSION = 1
_CREATE = """
CREATE TABLE decisions (
    id TEXT PRIMARY KEY,
    at TEXT NOT NULL,
    hook TEXT NOT NULL,
    hook_instance TEXT NOT NULL,
    client TEXT,
    request_digest TEXT NOT NULL,
    plan_set TEXT NOT NULL,
    determinations TEXT NOT NULL,
    cards_digest TEXT NOT NULL,
    milliseconds REAL NOT NULL
) STRICT, WITHOUT ROWID
"""
_PATIENCE = 1.0
"""Seconds to wait for another writer: a clinician is waiting too."""


@dataclass(frozen=True, slots=True)
class DecisionEntry:
    """One hook response. Digests are lower-case hexadecimal SHA-256.

    ``id`` is a UUID; ``at`` has a time zone; ``client`` is the configured client's name, none in development;
    ``plan_set`` is the digest of the policies that decided; ``determinations`` is JSON text.
    """

    id: str
    at: datetime
    hook: str
    hook_instance: str
    client: str | None
    request_digest: str
    plan_set: str
    determinations: str
    cards_digest: str
    milliseconds: float

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"at: found {self.at.isoformat()} without a time zone; expected one with")


_COLUMNS = ", ".join(field.name for field in fields(DecisionEntry))
_PLACES = ", ".join("?" for _ in fields(DecisionEntry))
_INSERT = f"INSERT INTO decisions ({_COLUMNS}) VALUES ({_PLACES})"  # noqa: S608 - names of our own class
_SELECT = f"SELECT {_COLUMNS} FROM decisions WHERE id = ?"  # noqa: S608 - names of our own class


class DecisionLog:
    """An append-only SQLite file. Several threads may share one log; several processes may open one file.

    Every method raises ``DecisionLogError``, which names the file and SQLite's code and nothing of an entry.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = Lock()
        with self._errors_named():
            self._connection = _opened(path)

    def append(self, entry: DecisionEntry) -> None:
        """Write ``entry``, whose ``id`` is new; once this returns, it survives a crash and a power cut."""
        at = entry.at.astimezone(UTC).isoformat(timespec="microseconds")
        row = (entry.id, at, *astuple(entry)[2:])
        with self._connected() as connection:
            connection.execute(_INSERT, row)

    def get(self, id: str) -> DecisionEntry | None:  # noqa: A002 - the column's name
        """The entry with this ``id``, if it was written."""
        with self._connected() as connection:
            row = connection.execute(_SELECT, (id,)).fetchone()
        return None if row is None else DecisionEntry(row[0], datetime.fromisoformat(row[1]), *row[2:])

    def check(self) -> None:
        """Write durably what is already there, to learn whether an entry could be."""
        with self._connected() as connection:
            connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")

    def close(self) -> None:
        """Let go of the file; a closed log refuses everything else."""
        with self._connected() as connection:
            connection.close()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for one thread at a time."""
        if not self._turn.acquire(timeout=_PATIENCE):
            raise DecisionLogError(f"{self._path}: other threads held the decision log for {_PATIENCE} s")
        try:
            with self._errors_named():
                yield self._connection
        finally:
            self._turn.release()

    @contextmanager
    def _errors_named(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise DecisionLogError(f"{self._path}: {_reason(error)}") from error


def _opened(path: Path) -> sqlite3.Connection:
    # Made here, not by SQLite, so that nobody else on the machine may read it; its WAL follows suit.
    path.touch(mode=0o600, exist_ok=True)
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _prepare(connection)
    except (sqlite3.Error, OSError):
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection) -> None:
    mode = _journal_mode(connection)
    if mode != "wal":
        raise sqlite3.NotSupportedError(f"found journal mode {mode}; expected wal")
    # FULL: a commit is on the disk when it returns. NORMAL, WAL's usual companion, may lose the last ones.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("BEGIN IMMEDIATE")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == 0:
        connection.execute(_CREATE)
        connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
    elif version != _SCHEMA_VERSION:
        raise sqlite3.DatabaseError(f"found schema version {version}; expected {_SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _journal_mode(connection: sqlite3.Connection) -> str:
    """The mode after asking for WAL, the one thing for which SQLite does not wait its turn."""
    give_up = monotonic() + _PATIENCE
    while True:
        try:
            return str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > give_up:
                raise
        sleep(0.01)


def _reason(error: sqlite3.Error | OSError) -> str:
    """SQLite's own code, or the system's word; else a message of the driver, which quotes no value."""
    return getattr(error, "sqlite_errorname", None) or getattr(error, "strerror", None) or str(error)
