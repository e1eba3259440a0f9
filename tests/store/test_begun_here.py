"""A decision that comes alone is added to a SQLite file where it was made; the store's thread only waits for the disk."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import DecisionLogError
from cds_service.store.additions import Additions
from cds_service.store.database import Beginning
from cds_service.store.entries import Document, IssuedCard
from cds_service.store.store import Store
from tests.store.entries import ENTRY, SOON, another

pytestmark = pytest.mark.anyio

CARD = IssuedCard("card-1", ("suggestion-1",))
FORM = Document("form", "form-1", b"{}", SOON)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, bool]]:
    """What was done, in order, and whether by the event loop's thread."""
    done: list[tuple[str, bool]] = []

    def told_of(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def telling(*arguments: Any) -> Any:
            done.append((name, threading.current_thread() is threading.main_thread()))
            return function(*arguments)

        return telling

    monkeypatch.setattr(Additions, "made_in_sqlite", told_of("added", Additions.made_in_sqlite))
    monkeypatch.setattr(Beginning, "commit", told_of("committed", Beginning.commit))
    return done


async def test_one_decision_is_added_here_and_committed_by_the_thread(
    sqlite_store: Store, told: list[tuple[str, bool]]
) -> None:
    await _settled(sqlite_store)

    assert await sqlite_store.append(ENTRY, [CARD], [FORM])

    assert told == [("added", True), ("committed", False)]
    assert await sqlite_store.decision_of_card(CARD.id) == ENTRY


async def test_while_a_commit_waits_for_the_disk_the_loop_goes_on_and_others_queue(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _settled(sqlite_store)
    begun, disk = threading.Event(), threading.Event()
    commit = Beginning.commit

    def slow(beginning: Beginning) -> None:
        begun.set()
        assert disk.wait(10)
        commit(beginning)

    monkeypatch.setattr(Beginning, "commit", slow)
    first = asyncio.create_task(sqlite_store.append(ENTRY, [], []))
    while not begun.is_set():
        await asyncio.sleep(0.001)
    others = [asyncio.create_task(sqlite_store.append(another(), [], [])) for _ in range(3)]
    for _ in range(20):
        await asyncio.sleep(0.001)

    assert not first.done()
    assert not any(each.done() for each in others)
    assert await sqlite_store.decision(ENTRY.id) is None
    disk.set()
    assert await asyncio.gather(first, *others) == [True] * 4
    assert await sqlite_store.decision(ENTRY.id) == ENTRY


async def test_a_commit_that_fails_is_told_and_leaves_nothing(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch, path: Path
) -> None:
    await _settled(sqlite_store)
    opened = Beginning._opened
    with monkeypatch.context() as broken:
        broken.setattr(Beginning, "_opened", lambda beginning: _Failing(opened(beginning)))
        with pytest.raises(DecisionLogError, match=str(path)):
            await sqlite_store.append(ENTRY, [], [])

    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other_worker:
        other_worker.execute("BEGIN IMMEDIATE")
    assert await sqlite_store.decision(ENTRY.id) is None
    assert await sqlite_store.append(ENTRY, [], [])
    assert await sqlite_store.decision(ENTRY.id) == ENTRY


async def test_a_row_that_fails_here_fails_in_the_threads_words_and_leaves_nothing(
    sqlite_store: Store, told: list[tuple[str, bool]]
) -> None:
    await sqlite_store.append(ENTRY, [CARD], [])
    await _settled(sqlite_store)
    told.clear()

    with pytest.raises(DecisionLogError, match="SQLITE_CONSTRAINT_PRIMARYKEY"):
        await sqlite_store.append(another(), [CARD], [])

    assert told == [("added", True), ("added", False)]
    assert len([each async for each in sqlite_store.decisions()]) == 1


async def test_beside_one_who_writes_it_is_left_to_the_thread_to_wait(
    sqlite_store: Store, path: Path, told: list[tuple[str, bool]]
) -> None:
    await _settled(sqlite_store)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    began = time.monotonic()
    waiting = asyncio.create_task(sqlite_store.append(ENTRY, [], []))
    await asyncio.sleep(0.1)
    holder.execute("ROLLBACK")
    holder.close()

    assert await waiting
    assert time.monotonic() - began < 1
    assert told == [("added", False), ("committed", False)]


async def test_who_comes_while_another_thread_adds_waits_for_that_commit(
    sqlite_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _settled(sqlite_store)
    adding, go_on = threading.Event(), threading.Event()
    added = Additions.made_in_sqlite

    def slow(additions: Additions, connection: sqlite3.Connection) -> bool:
        if not adding.is_set():
            adding.set()
            assert go_on.wait(10)
        return added(additions, connection)

    monkeypatch.setattr(Additions, "made_in_sqlite", slow)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(asyncio.run, sqlite_store.append(ENTRY, [], []))
        assert adding.wait(10)
        second = threads.submit(asyncio.run, sqlite_store.append(another(), [], []))
        time.sleep(0.2)
        go_on.set()

        assert first.result(10)
        assert second.result(10)


async def test_closing_commits_what_was_begun(sqlite_store: Store, path: Path) -> None:
    await _settled(sqlite_store)
    waiting = asyncio.create_task(sqlite_store.append(ENTRY, [], []))
    await asyncio.sleep(0)

    await sqlite_store.close()

    assert await waiting
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT id FROM decisions").fetchall() == [(ENTRY.id,)]


class _Failing:
    """A connection whose disk fails it when it is to commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        raise sqlite3.OperationalError("disk I/O error")


async def _settled(store: Store) -> None:
    """Once its thread rests: it has something to do at first, and after each commit."""
    await store.check()
    await asyncio.sleep(0.05)
