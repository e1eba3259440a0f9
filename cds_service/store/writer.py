"""One writer for the process: a thread that commits, together, everything that came while it committed.

A durable commit costs a write to the disk however many rows it holds; so the rows that wait share one, and each
waiter hears of it only after that commit.

While the thread rests, who has rows to add to a SQLite file adds them where it is, and leaves to the thread only what
waits for the disk: a thread that wakes on another processor finds nothing at hand, and took three times as long.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from threading import Condition, Thread
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from cds_service.errors import DecisionLogError, StoreBusyError
from cds_service.store.additions import Additions
from cds_service.store.database import LOCK_SECONDS, Beginning, Database, is_waited_for, reason

T = TypeVar("T")
Change = Callable[[Connection], T]
"""Statements that belong together, on a connection in a transaction. What it returns, its waiter gets."""

_GROUP = 256
"""Rows beyond these wait for the next commit: a larger one would keep the first waiting for the last."""


_FAULTS = (SQLAlchemyError, sqlite3.Error, OSError)


@dataclass(frozen=True, slots=True)
class _Waiting:
    change: Change[Any]
    answer: asyncio.Future[Any]


@dataclass(frozen=True, slots=True)
class _Begun:
    """A change that was made where it came from, in a transaction that is to be committed."""

    waiting: _Waiting
    result: Any
    commit: Callable[[], None]


class GroupWriter:
    """Writes changes to one database, in the order they come. Any number of event loops may share it.

    ``capacity``: how many changes may wait. ``commit_seconds`` is told how long each commit took, in the writer's thread.
    """

    def __init__(
        self, database: Database, capacity: int, commit_seconds: Callable[[float], None] = lambda _: None
    ) -> None:
        self._database = database
        self._capacity = capacity
        self._commit_seconds = commit_seconds
        self._queue: deque[_Waiting] = deque()
        self._turn = Condition()
        self._closing = False
        self._is_resting = False
        self._is_beginning = False
        self._begun: _Begun | None = None
        # Not to be waited for by an interpreter that ends without close(): what it has not committed nobody was told.
        self._thread = Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()

    def writing(self, change: Change[T], seconds: float) -> Awaitable[T]:
        """Write at once, as far as nobody is waited for; to be awaited, in the same event loop, for the rest.

        What ``change`` returned, once it is durable. DecisionLogError when it is not, or not within ``seconds``.
        """
        waiting = _Waiting(change, asyncio.get_running_loop().create_future())
        if not self._begun_here(waiting):
            self._queued(waiting)
        return self._durable(waiting, seconds)

    async def _durable(self, waiting: _Waiting, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await waiting.answer
        except TimeoutError:
            raise self._failed(f"no commit within {seconds:g} s") from None

    def close(self) -> None:
        """Take no more, write what waits, and end. Blocks; safe to call twice."""
        with self._turn:
            self._closing = True
            self._turn.notify()
        self._thread.join()

    def _begun_here(self, waiting: _Waiting) -> bool:
        """Whether the change is made, and waits for nothing but its commit."""
        beginning, change = self._database.beginning, waiting.change
        if beginning is None or not isinstance(change, Additions):
            return False
        with self._turn:
            is_free = self._is_resting and not self._is_beginning and self._begun is None
            if not is_free or self._queue or self._closing:
                return False
            # Whoever comes from now on queues for the thread, and the thread waits for what is begun.
            self._is_beginning = True
        begun = None
        try:
            # Whatever is wrong, the thread finds it again, waits its turn, tries again and says it.
            with suppress(Exception):
                begun = _Begun(waiting, beginning.begun(change.made_in_sqlite), beginning.commit)
        finally:
            with self._turn:
                self._begun, self._is_beginning = begun, False
                self._turn.notify()
        return begun is not None

    def _queued(self, waiting: _Waiting) -> None:
        with self._turn:
            if self._closing:
                waiting.answer.set_exception(self._failed("the store is closed"))
            elif len(self._queue) >= self._capacity:
                full = f"{self._database.name}: {self._capacity} changes wait to be written"
                waiting.answer.set_exception(StoreBusyError(full))
            else:
                self._queue.append(waiting)
                self._turn.notify()

    def _run(self) -> None:
        while work := self._next_work():
            if isinstance(work, _Begun):
                _tell([work.waiting], [self._answer(work)])
                continue
            # A waiter that gave up was told that nothing was written, so nothing is.
            wanted = [waiting for waiting in work if not waiting.answer.cancelled()]
            _tell(wanted, self._answers(wanted))

    def _next_work(self) -> _Begun | list[_Waiting]:
        """What was begun, else what waits, as soon as there is anything; nothing at all once the writer is closing."""
        self._prepare()
        with self._turn:
            self._is_resting = True
            while self._begun is None and (self._is_beginning or not (self._queue or self._closing)):
                self._turn.wait()
            self._is_resting = False
            if self._begun is not None:
                begun, self._begun = self._begun, None
                return begun
            group = list(islice(self._queue, _GROUP))
            for _ in group:
                self._queue.popleft()
            return group

    def _prepare(self) -> None:
        """Open the file for whoever begins next: that may take its time."""
        if self._database.beginning is not None:
            with suppress(sqlite3.Error):  # nobody begins then, and who queues hears what is wrong
                self._database.beginning.open()

    def _answer(self, begun: _Begun) -> Any:
        """What a change returned that was begun, once it is committed; or the exception that its waiter is to see."""
        try:
            self._commit(begun.commit)
        except Exception as error:  # noqa: BLE001 - a writer that died would leave everybody waiting
            return self._shown(error)
        return begun.result

    def _answers(self, group: Sequence[_Waiting], *, again: bool = True) -> list[Any]:
        """For each of the group what its change returned, or the exception that its waiter is to see."""
        if not group:
            return []
        try:
            return self._committed(group)
        except _NotCommittedError as undone:
            fault = undone.fault
        except Exception as error:  # noqa: BLE001 - a writer that died would leave everybody waiting
            # No connection; or the commit failed, and when the server went away in it nobody knows: never tried twice.
            return [self._shown(error)] * len(group)
        if again and isinstance(fault, DBAPIError) and fault.connection_invalidated:
            return self._answers(group, again=False)
        if len(group) == 1 or is_waited_for(fault):
            return [self._shown(fault)] * len(group)
        # Something is wrong with one of them; its neighbours are not to fail for it.
        return [answer for waiting in group for answer in self._answers([waiting])]

    def _committed(self, group: Sequence[_Waiting]) -> list[Any]:
        beginning = self._database.beginning
        additions = [each.change for each in group if isinstance(each.change, Additions)]
        if beginning is not None and len(additions) == len(group):
            return self._committed_in_sqlite(beginning, additions)
        with self._database.writing.connect() as connection:
            try:
                # Said, as rows are added behind the library's back.
                connection.begin()
                results = [waiting.change(connection) for waiting in group]
            except Exception as error:  # noqa: BLE001 - a bug too must not be committed in part
                raise _NotCommittedError(error) from None
            self._commit(connection.commit)
        return results

    def _committed_in_sqlite(self, beginning: Beginning, additions: Sequence[Additions]) -> list[bool]:
        """In SQLite's own words, on the connection that others begin on, who begin nothing while this thread works."""
        try:
            beginning.open()
            results = beginning.begun(
                lambda file: [each.made_in_sqlite(file) for each in additions], LOCK_SECONDS
            )
        except Exception as error:  # noqa: BLE001 - as above
            raise _NotCommittedError(error) from None
        self._commit(beginning.commit)
        return results

    def _commit(self, commit: Callable[[], None]) -> None:
        started = time.perf_counter()
        commit()
        self._commit_seconds(time.perf_counter() - started)

    def _shown(self, error: Exception) -> Exception:
        """A fault of the database by its code alone; a bug as it is."""
        return self._failed(reason(error)) if isinstance(error, _FAULTS) else error

    def _failed(self, why: str) -> DecisionLogError:
        return DecisionLogError(f"{self._database.name}: {why}")


class _NotCommittedError(Exception):
    """A group failed before its commit was asked for."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        super().__init__()


def _tell(group: Sequence[_Waiting], answers: Sequence[Any]) -> None:
    """Wake the waiters, with one call for each event loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = defaultdict(list)
    for waiting, answer in zip(group, answers, strict=True):
        by_loop[waiting.answer.get_loop()].append((waiting.answer, answer))
    for loop, told in by_loop.items():
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_settle, told)


def _settle(told: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, answer in told:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
