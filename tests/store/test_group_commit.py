"""Writes that wait share a commit; each hears of its own fate, and of nobody else's."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cds_service.errors import DecisionLogError, StoreBusyError, StoreError
from cds_service.store.entries import DecisionEntry, Document
from cds_service.store.store import Store, open_store
from tests.store.entries import ENTRY, NOW, SECRET, SOON, another

pytestmark = pytest.mark.anyio


async def _appended(store: Store, entries: list[DecisionEntry]) -> list[object]:
    """What became of each, all at once: True for one that was written."""
    return await asyncio.gather(*(store.append(entry, [], []) for entry in entries), return_exceptions=True)


async def test_ten_thousand_at_once_are_written_in_few_commits(sqlite_url: str) -> None:
    commits: list[float] = []
    store = open_store(sqlite_url, SECRET, commit_seconds=commits.append, patience=60)

    assert await _appended(store, [another() for _ in range(10_000)]) == [True] * 10_000
    assert 40 <= len(commits) <= 60
    assert all(0 < seconds < 10 for seconds in commits)
    assert len([entry async for entry in store.decisions()]) == 10_000
    await store.close()


async def test_one_after_the_other_each_has_its_own_commit(url: str) -> None:
    commits: list[float] = []
    store = open_store(url, SECRET, commit_seconds=commits.append)

    for _ in range(5):
        await store.append(another(), [], [])
    assert len(commits) == 5
    await store.close()


async def test_one_bad_row_fails_alone(store: Store) -> None:
    await store.append(ENTRY, [], [])
    good = [another() for _ in range(9)]

    answers = await _appended(store, [*good[:4], ENTRY, *good[4:]])

    assert [type(answer) for answer in answers] == [*[bool] * 4, DecisionLogError, *[bool] * 5]
    assert {entry.id async for entry in store.decisions()} == {ENTRY.id, *(entry.id for entry in good)}


async def test_a_row_that_the_driver_refuses_fails_alone(store: Store) -> None:
    # A lone surrogate is no text in any encoding.
    unwritable = replace(another(), hook_instance="\ud800")

    answers = await _appended(store, [another(), unwritable, another()])

    assert [answer is True for answer in answers] == [True, False, True]


async def test_more_than_may_wait_are_refused_at_once(sqlite_url: str, path: Path) -> None:
    store = open_store(sqlite_url, SECRET, capacity=3)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    first = asyncio.create_task(store.append(another(), [], []))
    await asyncio.sleep(0.2)  # the writer has taken the first, and waits for the file

    began = time.monotonic()
    waiting = [asyncio.create_task(store.append(another(), [], [])) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(StoreBusyError, match="3 changes wait"):
        await store.append(another(), [], [])
    assert time.monotonic() - began < 0.5

    holder.execute("ROLLBACK")
    holder.close()
    await asyncio.gather(first, *waiting)
    await store.close()


async def test_who_has_waited_long_enough_is_told_and_nothing_is_written_later(
    sqlite_url: str, path: Path
) -> None:
    store = open_store(sqlite_url, SECRET, patience=0.3)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    taken_up = asyncio.create_task(store.append(another(), [], []))
    await asyncio.sleep(0.1)

    with pytest.raises(DecisionLogError, match=r"no commit within 0\.3 s"):
        await store.append(ENTRY, [], [])
    with pytest.raises(DecisionLogError):
        await taken_up
    holder.execute("ROLLBACK")
    holder.close()
    await asyncio.sleep(0.5)
    await store.check()
    assert await store.decision(ENTRY.id) is None
    await store.close()


async def test_closing_writes_what_waits(url: str) -> None:
    store = open_store(url, SECRET)
    entries = [another() for _ in range(500)]
    waiting = asyncio.create_task(_appended(store, entries))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    await store.close()

    assert await waiting == [True] * 500
    again = open_store(url, SECRET)
    assert len([entry async for entry in again.decisions()]) == 500
    await again.close()


async def test_a_closed_store_refuses_everything_and_may_be_closed_again(url: str) -> None:
    store = open_store(url, SECRET)
    await store.close()
    await store.close()

    with pytest.raises(DecisionLogError, match="the store is closed"):
        await store.append(ENTRY, [], [])
    with pytest.raises(DecisionLogError, match="the store is closed"):
        await store.check()
    with pytest.raises(StoreError, match="the store is closed"):
        await store.decision(ENTRY.id)


async def test_a_bug_in_one_write_is_its_own_and_the_writer_goes_on(store: Store) -> None:
    class Unwritable:
        pass

    broken = Document("form", "1", b"", Unwritable())  # type: ignore[arg-type]
    answers = await asyncio.gather(
        store.append(ENTRY, [], []), store.append(another(), [], [broken]), return_exceptions=True
    )

    assert answers[0] is True
    assert isinstance(answers[1], Exception)
    await store.check()
    assert await store.kept("form", "1", NOW) is None


def test_several_event_loops_share_a_store(sqlite_url: str) -> None:
    store = open_store(sqlite_url, SECRET)
    entries = [another() for _ in range(40)]

    with ThreadPoolExecutor(2) as threads:
        halves = threads.map(lambda half: asyncio.run(_appended(store, half)), [entries[:20], entries[20:]])
        assert [answer for half in halves for answer in half] == [True] * 40

    assert asyncio.run(_count(store)) == 40
    asyncio.run(store.close())


async def _count(store: Store) -> int:
    return len([entry async for entry in store.decisions()])


def test_a_process_that_is_forked_off_goes_on_with_the_store(url: str) -> None:
    store = open_store(url, SECRET)
    asyncio.run(store.append(ENTRY, [], []))

    if (forked := os.fork()) == 0:
        found = asyncio.run(_answers_of_a_fork(store))
        os._exit(0 if found == (ENTRY, b"of the fork") else 1)

    assert os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]) == 0
    kept = asyncio.run(store.kept("form", "1", NOW))
    assert kept is not None
    assert kept.content == b"of the fork"
    asyncio.run(store.append(another(), [], []))
    asyncio.run(store.close())


async def _answers_of_a_fork(store: Store) -> tuple[DecisionEntry | None, bytes | None]:
    await store.keep("form", "1", b"of the fork", SOON)
    kept = await store.kept("form", "1", NOW)
    answers = await store.decision(ENTRY.id), None if kept is None else kept.content
    await store.close()
    return answers
