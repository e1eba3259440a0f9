"""What cannot be written down is an error, soon, says nothing of the patient, and is over when the fault is."""

from __future__ import annotations

import asyncio
import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread, Timer

import pytest

from cds_service.errors import DecisionLogError, StoreError
from cds_service.store.store import Store, open_store
from tests.store.entries import ENTRY, SECRET, another, child
from tests.store.postgresql import Server

pytestmark = pytest.mark.anyio

OPEN_AS_NOBODY = """
import os, sys
from cds_service.errors import StoreError
from cds_service.store.store import open_store
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    open_store(sys.argv[1], None)
except StoreError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


async def test_every_commit_waits_for_the_disk(sqlite_store: Store) -> None:
    # 2 is FULL. From outside, only a power cut shows the difference; test_killed.py comes closest.
    with sqlite_store._access._ways.database.writing.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


async def test_every_commit_waits_for_the_servers_disk(postgresql_url: str) -> None:
    store = open_store(f"{postgresql_url}&options=-csynchronous_commit%3Doff+-cwork_mem%3D5MB", SECRET)
    with store._access._ways.database.writing.connect() as connection:
        assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == "on"
        assert connection.exec_driver_sql("SHOW work_mem").scalar() == "5MB"
    await store.close()


async def test_nobody_else_on_the_machine_may_read_the_file(sqlite_store: Store, path: Path) -> None:
    await sqlite_store.append(ENTRY, [], [])

    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


async def test_a_store_waits_while_another_process_is_making_the_same_file(
    path: Path, sqlite_url: str
) -> None:
    maker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")
    made = Timer(0.2, maker.execute, ["COMMIT"])
    made.start()

    store = open_store(sqlite_url, SECRET)

    await store.append(ENTRY, [], [])
    made.join()
    maker.close()
    await store.close()


def test_a_store_does_not_wait_for_ever_for_a_file_that_is_being_made(path: Path, sqlite_url: str) -> None:
    maker = sqlite3.connect(path, isolation_level=None)
    maker.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="SQLITE_BUSY"):
        open_store(sqlite_url, SECRET)
    maker.close()


async def test_a_locked_database_is_an_error_after_a_second_for_all_who_wait_and_none_once_it_is_free(
    sqlite_store: Store, path: Path
) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    began = time.monotonic()
    appends = [sqlite_store.append(another(), [], []) for _ in range(20)]
    answers = await asyncio.gather(*appends, return_exceptions=True)
    assert [str(answer) for answer in answers] == [f"{path}: SQLITE_BUSY"] * 20
    assert 0.9 < time.monotonic() - began < 4

    holder.execute("ROLLBACK")
    holder.close()
    await sqlite_store.append(ENTRY, [], [])
    assert await sqlite_store.decision(ENTRY.id) == ENTRY


async def test_a_writer_finds_its_turn_beside_one_who_hardly_ever_lets_go(
    sqlite_store: Store, path: Path
) -> None:
    over = Event()

    def write_all_the_time() -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            while not over.is_set():
                other.execute("BEGIN IMMEDIATE")
                time.sleep(0.005)
                other.execute("COMMIT")
                time.sleep(0.0002)

    busy = Thread(target=write_all_the_time)
    busy.start()
    try:
        for _ in range(20):
            await sqlite_store.append(another(), [], [])
    finally:
        over.set()
        busy.join()

    assert len([entry async for entry in sqlite_store.decisions()]) == 20


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No such file or directory"):
        open_store(f"sqlite:///{tmp_path}/missing/decisions.db", SECRET)


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="SQLITE_CANTOPEN"):
        open_store(f"sqlite:///{tmp_path}", SECRET)


def test_a_file_that_is_no_database_is_an_error_and_left_alone(path: Path, sqlite_url: str) -> None:
    path.write_text("not a database " * 100)

    with pytest.raises(StoreError, match="SQLITE_NOTADB"):
        open_store(sqlite_url, SECRET)
    assert path.read_text() == "not a database " * 100


async def test_a_file_that_was_damaged_is_an_error(path: Path, sqlite_url: str) -> None:
    await open_store(sqlite_url, SECRET).close()
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))

    with pytest.raises(StoreError, match="SQLITE_CORRUPT"):
        open_store(sqlite_url, SECRET)


async def test_a_damaged_table_is_an_error_and_no_missing_decision(path: Path, sqlite_url: str) -> None:
    store = open_store(sqlite_url, SECRET)
    await store.append(ENTRY, [], [])
    await store.close()
    with closing(sqlite3.connect(path)) as reader:
        (page,) = reader.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'decisions'").fetchone()
    damaged = bytearray(path.read_bytes())
    damaged[(page - 1) * 4096 : page * 4096] = b"\xff" * 4096
    path.write_bytes(damaged)

    store = open_store(sqlite_url, SECRET)
    with pytest.raises(StoreError, match="SQLITE_CORRUPT"):
        await store.decision(ENTRY.id)
    with pytest.raises(DecisionLogError, match="SQLITE_CORRUPT"):
        await store.append(another(), [], [])
    await store.close()


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o755), (0o666, 0o555)])
async def test_a_file_or_folder_that_may_not_be_written_is_an_error(
    open_folder: Path, file_mode: int, folder_mode: int
) -> None:
    path = open_folder / "decisions.db"
    await open_store(f"sqlite:///{path}", None).close()
    path.chmod(file_mode)
    open_folder.chmod(folder_mode)

    printed, _ = child(OPEN_AS_NOBODY, f"sqlite:///{path}").communicate()

    assert printed.startswith(f"{path}: ")
    assert ("Permission denied" if file_mode == 0o444 else "SQLITE_") in printed


async def test_a_full_disk_is_an_error_and_none_once_there_is_room(sqlite_store: Store, path: Path) -> None:
    # A limit on the size of files stands in for the disk: SQLite sees a write that fails either way.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = Path(f"{path}-wal").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        with pytest.raises(DecisionLogError, match=r"SQLITE_(FULL|IOERR)"):
            await sqlite_store.append(ENTRY, [], [])
        with pytest.raises(DecisionLogError, match=r"SQLITE_(FULL|IOERR)"):
            await sqlite_store.check()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert await sqlite_store.decision(ENTRY.id) is None
    await sqlite_store.check()
    await sqlite_store.append(ENTRY, [], [])
    assert await sqlite_store.decision(ENTRY.id) == ENTRY


async def test_a_server_that_stops_is_an_error_and_none_once_it_runs_again(
    server: Server, postgresql_url: str
) -> None:
    store = open_store(postgresql_url, SECRET)
    await store.append(ENTRY, [], [])
    assert await store.decision(ENTRY.id) == ENTRY

    server.control("-m", "immediate", "stop")
    try:
        with pytest.raises(DecisionLogError, match=str(server.folder)):
            await store.append(another(), [], [])
        with pytest.raises(StoreError, match=str(server.folder)):
            await store.decision(ENTRY.id)
    finally:
        server.start()

    await store.append(more := another(), [], [])
    assert {entry.id async for entry in store.decisions()} == {ENTRY.id, more.id}
    await store.close()


async def test_a_server_that_restarts_between_two_writes_goes_unnoticed(
    server: Server, postgresql_url: str
) -> None:
    store = open_store(postgresql_url, SECRET)
    await store.append(ENTRY, [], [])
    assert await store.decision(ENTRY.id) == ENTRY

    server.control("-m", "immediate", "stop")
    server.start()

    assert await store.decision(ENTRY.id) == ENTRY
    await store.append(another(), [], [])
    await store.close()


def test_a_server_that_cannot_be_reached_is_an_error_that_keeps_the_password(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/decisions") as refused:
        open_store("postgresql://someone:a-password@127.0.0.1:1/decisions", SECRET)
    assert "a-password" not in f"{refused.value} {refused.value.__cause__}"
