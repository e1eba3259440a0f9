"""A store brings its database up to date, one worker at a time, and leaves alone what it does not know."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from cds_service.errors import StoreError
from cds_service.store.database import database
from cds_service.store.entries import DecisionEntry
from cds_service.store.schema import metadata
from cds_service.store.store import open_store
from tests.store.entries import NOW, SECRET, another, child

pytestmark = pytest.mark.anyio

# As version 1 made it, to the letter.
VERSION_1 = """
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
OPEN_WHEN_TOLD = """
import asyncio, sys
from cds_service.store.store import open_store
print("ready", flush=True)
sys.stdin.readline()
store = open_store(sys.argv[1], None)
print(store.secret.hex())
asyncio.run(store.close())
"""


def _write_version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as old, old:
        old.execute("PRAGMA journal_mode = WAL")
        old.execute(VERSION_1)
        old.execute("PRAGMA user_version = 1")
        rows = [
            (
                "id-1",
                "2026-11-22T09:30:15.000250+00:00",
                "order-sign",
                "i",
                "sandbox",
                "a",
                "b",
                "[]",
                "c",
                3.25,
            ),
            ("id-2", "2026-11-22T09:30:15.000250+00:00", "order-select", "", None, "a", "b", "[1]", "c", 0.5),
        ]
        old.executemany("INSERT INTO decisions VALUES (?,?,?,?,?,?,?,?,?,?)", rows)


async def test_the_decisions_of_version_1_are_kept(path: Path, sqlite_url: str) -> None:
    _write_version_1(path)

    store = open_store(sqlite_url, SECRET)

    assert [entry async for entry in store.decisions()] == [
        DecisionEntry("id-1", NOW, "order-sign", "i", "sandbox", "a", "b", "[]", "c", 3.25, None),
        DecisionEntry("id-2", NOW, "order-select", "", None, "a", "b", "[1]", "c", 0.5, None),
    ]
    await store.append(another(), [], [])
    await store.close()


async def test_version_1_would_refuse_what_is_now_a_later_version(path: Path, sqlite_url: str) -> None:
    _write_version_1(path)
    await open_store(sqlite_url, SECRET).close()

    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("PRAGMA user_version").fetchone() == (2,)


async def test_a_migration_that_fails_leaves_version_1_as_it_was(path: Path, sqlite_url: str) -> None:
    _write_version_1(path)
    with closing(sqlite3.connect(path)) as meddler, meddler:
        meddler.execute("CREATE TABLE tokens (in_the_way)")

    with pytest.raises(StoreError, match="SQLITE_ERROR"):
        open_store(sqlite_url, SECRET)

    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("SELECT count(*) FROM decisions").fetchone() == (2,)
        assert reader.execute("PRAGMA user_version").fetchone() == (1,)


@pytest.mark.parametrize(
    "marked", ["PRAGMA user_version = 3", "UPDATE alembic_version SET version_num = '3'"]
)
async def test_a_file_of_a_later_version_is_refused(path: Path, sqlite_url: str, marked: str) -> None:
    if "alembic" in marked:
        await open_store(sqlite_url, SECRET).close()
    with closing(sqlite3.connect(path)) as later, later:
        later.execute(marked)

    with pytest.raises(StoreError, match="found schema version 3; expected 2 or earlier"):
        open_store(sqlite_url, SECRET)


async def test_the_migrations_lead_to_the_schema_that_is_used(url: str) -> None:
    await open_store(url, SECRET).close()
    opened = database(url)

    with opened.reading.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    opened.close()


async def test_workers_that_start_together_make_one_database(url: str) -> None:
    workers = [child(OPEN_WHEN_TOLD, url) for _ in range(3)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("now\n")
        worker.stdin.flush()

    secrets = [worker.communicate()[0].strip() for worker in workers]

    assert [worker.returncode for worker in workers] == [0, 0, 0]
    assert len(set(secrets)) == 1
    assert len(secrets[0]) == 64


@pytest.mark.parametrize("url", ["sqlite://", "mysql://host/database", "decisions.db", ""])
def test_another_kind_of_database_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match=r"expected sqlite:///FILE or postgresql://…"):
        open_store(url, SECRET)
