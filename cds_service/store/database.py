"""Where the rows are: a SQLite file or a PostgreSQL database, and what to call its faults."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from cds_service.errors import StoreError

T = TypeVar("T")

LOCK_SECONDS = 1.0
"""How long a statement waits for another writer: a clinician is waiting too."""

_TRIES_EVERY = 0.001

_POSTGRESQL_OPTIONS = " ".join(
    f"-c {setting}"
    for setting in (
        # A commit is on the disk when it returns, whatever the server's own setting.
        "synchronous_commit=on",
        f"lock_timeout={LOCK_SECONDS * 1000:.0f}",
        "statement_timeout=5000",
        "timezone=UTC",
    )
)
# Codes of faults that hit whatever is written next just the same, after the same wait.
_WAITED = frozenset({"SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_BUSY_RECOVERY", "55P03", "57014"})


@dataclass(frozen=True)
class Database:
    """Ways into one database: ``writing``, one connection for one thread, and ``reading``, for several.

    ``looking`` and ``beginning`` are for the thread that must not wait; None where a server would have to be asked.
    ``name`` is the file, or host and database: what errors say, never a user or a password.
    """

    name: str
    writing: Engine
    reading: Engine
    looking: Looking | None = None
    beginning: Beginning | None = None

    def close(self) -> None:
        """Let go of every connection that is not in use."""
        for each in (self.looking, self.beginning):
            if each is not None:
                each.close()
        self.reading.dispose()
        self.writing.dispose()


class _Kept:
    """One connection to a SQLite file, kept until it fails; none any more once this is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False

    def close(self) -> None:
        """Let go of the file, for good."""
        self._is_closed = True
        self._let_go()

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Looking(_Kept):
    """Rows of a SQLite file by their key, told in microseconds or not at all."""

    def rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        """The rows of a query. sqlite3.Error for whatever is wrong; also when somebody else has locked the file."""
        if self._is_closed:
            raise sqlite3.ProgrammingError("closed")
        try:
            if self._connection is None:
                uri = f"{self._path.as_uri()}?mode=ro"
                self._connection = sqlite3.connect(
                    uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False
                )
            return self._connection.execute(query, values).fetchall()
        except sqlite3.Error:
            self._let_go()
            raise


class Beginning(_Kept):
    """Transactions of a SQLite file that one thread begins, in microseconds or not at all, and another commits.

    One at a time: who begins next waits until the last is ended.
    """

    def open(self) -> None:
        """Make ready for the next transaction, in the thread that may wait. sqlite3.Error when it cannot be."""
        if self._connection is None and not self._is_closed:
            self._connection = _connected(self._path, reading=False)

    def begun(self, change: Callable[[sqlite3.Connection], T], seconds: float = 0) -> T:
        """What the change returned, in a transaction that stays open. ``seconds``: how long other writers are waited for.

        What it raises, or sqlite3.Error, also when somebody else is still writing: then there is no transaction.
        """
        connection = self._opened()
        _become_writer(connection, seconds)
        try:
            return change(connection)
        except BaseException:
            # Closed, so that nothing of it is left and the next begins afresh.
            self._let_go()
            raise

    def commit(self) -> None:
        """End the transaction. sqlite3.Error when it cannot be made durable."""
        connection = self._opened()
        try:
            connection.commit()
        except sqlite3.Error:
            self._let_go()
            raise

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("not open")
        return self._connection


def database(url: str) -> Database:
    """The database of a URL, ``sqlite:///FILE`` or ``postgresql://…``; nothing is opened yet. StoreError for others."""
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise StoreError("the database URL: found none; expected sqlite:///FILE or postgresql://…") from None
    if parsed.drivername == "sqlite" and parsed.database:
        return _sqlite(Path(parsed.database))
    if parsed.drivername in {"postgresql", "postgresql+psycopg"}:
        return _postgresql(parsed.set(drivername="postgresql+psycopg"))
    raise StoreError(
        f"the database URL: found {parsed.drivername}://…; expected sqlite:///FILE or postgresql://…"
    )


def reason(error: Exception) -> str:
    """A fault in a word: the database's own code, the system's word, else the kind of error. It quotes no value."""
    fault = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    words = (getattr(fault, name, None) for name in ("sqlite_errorname", "sqlstate", "strerror"))
    return next((str(word) for word in words if word), type(fault).__name__)


def is_waited_for(error: Exception) -> bool:
    """Whether the fault took its time and would again: a lock, a server that is gone."""
    gone = isinstance(error, DBAPIError) and error.connection_invalidated
    return gone or reason(error) in _WAITED


def _sqlite(path: Path) -> Database:
    address = URL.create("sqlite", database=str(path))
    writing = _engine(address, creator=lambda: _connected(path, reading=False))
    # At once the only writer: a lock that is asked for later, half-way, could not be waited for.
    event.listen(writing, "begin", _begin_immediate)
    reading = _engine(address, creator=lambda: _connected(path, reading=True))
    return Database(str(path), writing, reading, Looking(path), Beginning(path))


def _connected(path: Path, *, reading: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=LOCK_SECONDS if reading else 0, isolation_level=None, check_same_thread=False
    )
    try:
        _prepare(connection, reading=reading)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, *, reading: bool) -> None:
    mode = _journal_mode(connection)
    if mode != "wal":
        raise sqlite3.NotSupportedError(f"found journal mode {mode}; expected wal")
    # FULL: a commit is on the disk when it returns. NORMAL, WAL's usual companion, may lose the last ones.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    # What is forgotten is overwritten.
    connection.execute("PRAGMA secure_delete = ON")
    if reading:
        connection.execute("PRAGMA query_only = ON")


def _journal_mode(connection: sqlite3.Connection) -> str:
    """The mode after asking for WAL, the one thing for which SQLite does not wait its turn."""
    give_up = monotonic() + LOCK_SECONDS
    while True:
        try:
            with closing(connection.execute("PRAGMA journal_mode = WAL")) as asked:
                return str(asked.fetchone()[0])
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or monotonic() > give_up:
                raise
        sleep(0.01)


def _begin_immediate(connection: Connection) -> None:
    """Become the only writer, once it is our turn."""
    file = connection.connection.dbapi_connection
    with suppress(sqlite3.OperationalError):
        _become_writer(file, LOCK_SECONDS)  # type: ignore[arg-type]
        return
    # What is wrong is said in the library's words.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _become_writer(file: sqlite3.Connection, seconds: float) -> None:
    """Begin a transaction as the only writer. sqlite3.OperationalError when it is not our turn within ``seconds``.

    SQLite's own wait sleeps up to 100 ms between two tries: amid workers who write all the time it may never find the
    file free, and a clinician waits for nothing.
    """
    give_up = monotonic() + seconds
    while True:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic() >= give_up:
                raise
            sleep(_TRIES_EVERY)
        else:
            return


def _postgresql(url: URL) -> Database:
    arguments: dict[str, object] = {
        "connect_timeout": 3,
        "tcp_user_timeout": 5_000,
        "application_name": "cds-service",
        # Of a setting that stands there twice, the last counts.
        "options": f"{url.query.get('options', '')} {_POSTGRESQL_OPTIONS}",
    }
    writing = _engine(url, connect_args=arguments)
    reading = _engine(url, connect_args=arguments, isolation_level="AUTOCOMMIT")
    host = url.host or url.query.get("host") or "localhost"
    return Database(f"{host}:{url.port or 5432}/{url.database}", writing, reading)


def _engine(url: URL, **arguments: object) -> Engine:
    # Parameters are what rows hold: no error of the library may quote them.
    return create_engine(url, hide_parameters=True, **arguments)
