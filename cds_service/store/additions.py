"""Rows that are added together: what is written for nearly every call, and is spared the library's work where it can be.

SQLite takes them in its own words, with the values in order: on a processor that had been idle, SQLAlchemy's part of
it took longer than the policies. A server's answer takes longer than either, so PostgreSQL is asked through SQLAlchemy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects import sqlite as sqlite_dialect

Row = Mapping[str, Any]
"""Values by their columns' names, each of the column's type."""

_SQLITE = sqlite_dialect.dialect()


class Addition:
    """How rows are added to a table: an INSERT that is built once. ``unless_there``: a row that is there stays."""

    def __init__(self, table: Table, *, unless_there: bool = False) -> None:
        self._unless_there = unless_there
        in_postgresql, in_sqlite = postgresql.insert(table), sqlite_dialect.insert(table)
        if unless_there:
            in_postgresql = in_postgresql.on_conflict_do_nothing()
            in_sqlite = in_sqlite.on_conflict_do_nothing()
        self._statement = in_postgresql
        # Asked back, not counted: PostgreSQL's driver counts no row of an INSERT that may do nothing.
        self._asking_back = in_postgresql.returning(*table.primary_key)
        self._words = str(in_sqlite.compile(dialect=_SQLITE))
        self._in_order: Sequence[tuple[str, Callable[[Any], Any] | None]] = [
            (column.name, column.type.bind_processor(_SQLITE)) for column in table.columns
        ]

    def made_in_sqlite(self, connection: sqlite3.Connection, row: Row) -> bool:
        """Add a row. Whether it was not there. sqlite3.Error when it cannot be added."""
        values = [row[name] if written is None else written(row[name]) for name, written in self._in_order]
        return connection.execute(self._words, values).rowcount == 1

    def made(self, connection: Connection, rows: Sequence[Row]) -> bool:
        """As ``made_in_sqlite``, in PostgreSQL, up to the first that was there. DBAPIError when one cannot be added."""
        if self._unless_there:
            return all(connection.execute(self._asking_back, row).one_or_none() is not None for row in rows)
        connection.execute(self._statement, rows)
        return True


@dataclass(frozen=True, slots=True)
class Additions:
    """Rows to be added one after the other, as a change of the store. One that was there ends it: the rest is not added.

    What it returns is whether all were added.
    """

    rows: Sequence[tuple[Addition, Row]]

    def __call__(self, connection: Connection) -> bool:
        """Add them through SQLAlchemy's connection; to a SQLite file behind its back."""
        file = connection.connection.dbapi_connection
        if isinstance(file, sqlite3.Connection):
            return self.made_in_sqlite(file)
        together = groupby(self.rows, key=lambda addition_and_row: addition_and_row[0])
        return all(addition.made(connection, [row for _, row in rows]) for addition, rows in together)

    def made_in_sqlite(self, connection: sqlite3.Connection) -> bool:
        """Add them to a SQLite file, in a transaction that was begun. sqlite3.Error when one cannot be added."""
        return all(addition.made_in_sqlite(connection, row) for addition, row in self.rows)
