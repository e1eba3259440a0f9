"""A decision is on the disk before it is given, or it is an error."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from threading import Timer
from uuid import uuid4

import pytest

from cds_service.errors import DecisionLogError
from cds_service.store.decisions import DecisionEntry, DecisionLog

ROOT = Path(__file__).parents[2]
NAME = "Jones, Alice"

ENTRY = DecisionEntry(
    id="5d0b7a43-6d1b-4a4e-8a1c-2f4e3f9a9b10",
    at=datetime(2026, 11, 22, 9, 30, 15, 250, tzinfo=UTC),
    hook="order-sign",
    hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    client="sandbox",
    request_digest="a" * 64,
    plan_set="b" * 64,
    determinations='[{"order": "ServiceRequest/1", "status": "final"}]',
    cards_digest="c" * 64,
    milliseconds=3.25,
)

APPEND_UNTIL_KILLED = """
import sys, uuid
from dataclasses import replace
from pathlib import Path
from tests.store.test_decisions import ENTRY
from cds_service.store.decisions import DecisionLog
log = DecisionLog(Path(sys.argv[1]))
while True:
    id = str(uuid.uuid4())
    log.append(replace(ENTRY, id=id))
    print(id, flush=True)
"""

OPEN_AS_NOBODY = """
import os, sys
from pathlib import Path
from cds_service.errors import DecisionLogError
from cds_service.store.decisions import DecisionLog
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    DecisionLog(Path(sys.argv[1]))
except DecisionLogError as error:
    print(error)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "decisions.db"


@pytest.fixture
def log(path: Path) -> Iterator[DecisionLog]:
    opened = DecisionLog(path)
    yield opened
    opened.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def another() -> DecisionEntry:
    return replace(ENTRY, id=str(uuid4()))


def child(script: str, path: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own script


def test_what_was_appended_is_read_back_equal(log: DecisionLog) -> None:
    log.append(ENTRY)

    assert log.get(ENTRY.id) == ENTRY


def test_an_entry_without_a_client_is_read_back_without_one(log: DecisionLog) -> None:
    log.append(replace(ENTRY, client=None))

    assert log.get(ENTRY.id) == replace(ENTRY, client=None)


def test_an_id_that_was_never_written_has_no_entry(log: DecisionLog) -> None:
    assert log.get("5d0b7a43-6d1b-4a4e-8a1c-2f4e3f9a9b11") is None


def test_the_moment_is_kept_in_utc_whatever_zone_it_came_in(log: DecisionLog, path: Path) -> None:
    log.append(replace(ENTRY, at=datetime(2026, 6, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))))

    with sqlite3.connect(path) as reader:
        assert reader.execute("SELECT at FROM decisions").fetchone() == ("2026-05-31T23:30:00.000000+00:00",)
    reader.close()


def test_a_moment_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        replace(ENTRY, at=datetime(2026, 6, 1, 0, 30))  # noqa: DTZ001 - the point of the test


def test_an_id_is_written_once_and_never_replaced(log: DecisionLog) -> None:
    log.append(ENTRY)

    with pytest.raises(DecisionLogError, match="SQLITE_CONSTRAINT"):
        log.append(replace(ENTRY, hook="order-select"))
    assert log.get(ENTRY.id) == ENTRY


def test_a_reopened_log_has_its_entries_and_takes_more(path: Path) -> None:
    first = DecisionLog(path)
    first.append(ENTRY)
    first.close()

    second = DecisionLog(path)
    second.append(more := another())
    assert (second.get(ENTRY.id), second.get(more.id)) == (ENTRY, more)
    second.close()


def test_every_entry_acknowledged_before_a_kill_is_there_after_it(path: Path) -> None:
    writer = child(APPEND_UNTIL_KILLED, path)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(50)]

    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.stdout.read().split()
    writer.stdout.close()

    assert writer.wait() == -signal.SIGKILL
    log = DecisionLog(path)
    assert [lost for lost in acknowledged if log.get(lost) is None] == []
    log.close()


def test_every_commit_waits_for_the_disk(log: DecisionLog) -> None:
    # 2 is FULL. Nothing short of cutting the power shows the difference from outside.
    assert log._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert log._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_nobody_else_on_the_machine_may_read_the_log(log: DecisionLog, path: Path) -> None:
    log.append(ENTRY)

    files = list(path.parent.iterdir())
    assert len(files) == 3
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_two_threads_lose_nothing(log: DecisionLog) -> None:
    entries = [another() for _ in range(100)]

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(log.append, entries))

    assert [log.get(entry.id) for entry in entries] == entries


def test_two_logs_on_one_file_lose_nothing(log: DecisionLog, path: Path) -> None:
    other = DecisionLog(path)
    entries = [another() for _ in range(50)]

    with ThreadPoolExecutor(2) as threads:
        ours = threads.map(log.append, entries[:25])
        theirs = threads.map(other.append, entries[25:])
        assert [*ours, *theirs] == [None] * 50

    assert [log.get(entry.id) for entry in entries] == entries
    other.close()


def test_a_log_waits_while_another_process_is_making_the_same_file(path: Path) -> None:
    maker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")
    made = Timer(0.2, maker.execute, ["COMMIT"])
    made.start()

    log = DecisionLog(path)

    log.append(ENTRY)
    made.join()
    maker.close()
    log.close()


def test_a_log_does_not_wait_for_ever_for_a_file_that_is_being_made(path: Path) -> None:
    maker = sqlite3.connect(path, isolation_level=None)
    maker.execute("BEGIN IMMEDIATE")

    with pytest.raises(DecisionLogError, match="SQLITE_BUSY"):
        DecisionLog(path)
    maker.close()


def test_a_locked_database_is_an_error_after_a_second_and_none_once_it_is_free(
    log: DecisionLog, path: Path
) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    began = time.monotonic()
    with pytest.raises(DecisionLogError, match="SQLITE_BUSY"):
        log.append(ENTRY)
    assert 0.9 < time.monotonic() - began < 3

    holder.execute("ROLLBACK")
    holder.close()
    log.append(ENTRY)
    assert log.get(ENTRY.id) == ENTRY


def test_threads_do_not_wait_for_one_another_longer_than_for_the_database(
    log: DecisionLog, path: Path
) -> None:
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")

    began = time.monotonic()
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(log.append, another()) for _ in range(4)]
    holder.close()

    assert [type(append.exception()) for append in waiting] == [DecisionLogError] * 4
    assert time.monotonic() - began < 3


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DecisionLogError, match="No such file or directory"):
        DecisionLog(tmp_path / "missing" / "decisions.db")


def test_a_folder_in_the_place_of_the_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DecisionLogError, match="SQLITE_CANTOPEN"):
        DecisionLog(tmp_path)


def test_a_file_that_is_no_database_is_an_error_and_left_alone(path: Path) -> None:
    path.write_text("not a database " * 100)

    with pytest.raises(DecisionLogError, match="SQLITE_NOTADB"):
        DecisionLog(path)
    assert path.read_text() == "not a database " * 100


def test_a_file_with_a_later_schema_is_an_error(path: Path) -> None:
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 2")
    later.close()

    with pytest.raises(DecisionLogError, match="found schema version 2; expected 1"):
        DecisionLog(path)


@pytest.mark.parametrize(("file_mode", "folder_mode"), [(0o444, 0o755), (0o666, 0o555)])
def test_a_file_or_folder_that_may_not_be_written_is_an_error(
    open_folder: Path, file_mode: int, folder_mode: int
) -> None:
    path = open_folder / "decisions.db"
    DecisionLog(path).close()
    path.chmod(file_mode)
    open_folder.chmod(folder_mode)

    printed, _ = child(OPEN_AS_NOBODY, path).communicate()

    assert printed.startswith(f"{path}: ")
    assert ("Permission denied" if file_mode == 0o444 else "SQLITE_") in printed


def test_a_full_disk_is_an_error_and_none_once_there_is_room(log: DecisionLog, path: Path) -> None:
    # A limit on the size of files stands in for the disk: SQLite sees a write that fails either way.
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = Path(f"{path}-wal").stat().st_size
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, hard))
        with pytest.raises(DecisionLogError, match=r"SQLITE_(FULL|IOERR)"):
            log.append(ENTRY)
        with pytest.raises(DecisionLogError, match=r"SQLITE_(FULL|IOERR)"):
            log.check()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert log.get(ENTRY.id) is None
    log.check()
    log.append(ENTRY)
    assert log.get(ENTRY.id) == ENTRY


def test_a_check_writes_to_the_disk_and_adds_no_entry(log: DecisionLog, path: Path) -> None:
    before = Path(f"{path}-wal").stat().st_size
    log.check()

    assert Path(f"{path}-wal").stat().st_size > before
    assert log._connection.execute("SELECT count(*) FROM decisions").fetchone() == (0,)


def test_a_closed_log_refuses_entries(path: Path) -> None:
    log = DecisionLog(path)
    log.close()

    with pytest.raises(DecisionLogError, match="closed"):
        log.append(ENTRY)


def test_no_error_says_anything_of_the_entry(log: DecisionLog) -> None:
    entry = replace(ENTRY, determinations=NAME, hook_instance=NAME)
    log.append(entry)

    with pytest.raises(DecisionLogError) as refused:
        log.append(entry)
    assert NAME not in f"{refused.value} {refused.value.__cause__}"
    assert os.fspath(log._path) in str(refused.value)
