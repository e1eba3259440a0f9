"""Ways into an open database: one writer, a few readers; anew in each process that forks off."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cds_service.errors import StoreError
from cds_service.store.database import Database, reason
from cds_service.store.writer import Change, GroupWriter

T = TypeVar("T")
_READERS = 4


class LookUp:
    """A query by one key, as a statement and in SQLite's words. Built once."""

    def __init__(self, statement: Select[*tuple[Any, ...]]) -> None:
        self.statement = statement
        self.in_sqlite = str(statement.compile(dialect=sqlite.dialect()))


@dataclass(frozen=True)
class _Ways:
    """Into the database, for the process ``pid``."""

    pid: int
    database: Database
    writer: GroupWriter
    readers: ThreadPoolExecutor


class Access:
    """Writes and reads one database. Threads, event loops and forked processes may share it.

    ``database`` gives the database to a process, ``writer`` what writes to it.
    """

    def __init__(self, database: Callable[[], Database], writer: Callable[[Database], GroupWriter]) -> None:
        self._database = database
        self._writer = writer
        self._ways = self._made()
        self._inherited: list[_Ways] = []

    def writing(self, change: Change[T], seconds: float) -> Awaitable[T]:
        """Write at once, as far as nobody is waited for; to be awaited, in the same event loop, for the rest.

        What ``change`` returned, once it is durable. DecisionLogError when it is not, or not within ``seconds``.
        """
        return self._own().writer.writing(change, seconds)

    async def written(self, change: Change[T], seconds: float) -> T:
        """As ``writing``, begun when it is awaited."""
        return await self.writing(change, seconds)

    async def read(self, question: Callable[[Connection], T]) -> T:
        """The answer to a question that changes nothing. StoreError when the database cannot answer."""
        ways = self._own()
        try:
            answer = asyncio.get_running_loop().run_in_executor(
                ways.readers, _answered, ways.database, question
            )
        except RuntimeError:  # the executor's word for shut down
            raise StoreError(f"{ways.database.name}: the store is closed") from None
        return await answer

    async def looked_up(self, query: LookUp, **values: str) -> Sequence[Sequence[Any]]:
        """The rows of a look-up by key; as ``read``, but where a file tells them at once without a change of thread.

        Two changes of thread and the library's work cost thirty times as much as SQLite's answer.
        """
        looking = self._own().database.looking
        if looking is not None:
            # Whatever is wrong, the other way waits its turn, tries again and says it.
            with suppress(sqlite3.Error):
                return looking.rows(query.in_sqlite, *values.values())
        return await self.read(lambda connection: connection.execute(query.statement, values).all())

    async def close(self) -> None:
        """Write what waits to be written, and let go of the database."""
        ways = self._own()
        await asyncio.to_thread(ways.writer.close)
        await asyncio.to_thread(ways.readers.shutdown)
        ways.database.close()

    def _own(self) -> _Ways:
        """This process's ways. Threads stay behind in a fork, and SQLite's connections must not be used across one."""
        if self._ways.pid != os.getpid():
            # Kept, so that nothing in this process closes the parent's connections either.
            self._inherited.append(self._ways)
            self._ways = self._made()
        return self._ways

    def _made(self) -> _Ways:
        database = self._database()
        readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        return _Ways(os.getpid(), database, self._writer(database), readers)


def _answered(database: Database, question: Callable[[Connection], T], *, again: bool = True) -> T:
    try:
        with database.reading.connect() as connection:
            return question(connection)
    except (SQLAlchemyError, OSError) as error:
        stale = isinstance(error, DBAPIError) and error.connection_invalidated
        why = reason(error)
    if again and stale:
        return _answered(database, question, again=False)
    raise StoreError(f"{database.name}: {why}")
