"""What cannot be written down is an error, at once, and says nothing of the patient."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Timer

import pytest

from cds_service.errors import DecisionLogError
from cds_service.store.decisions import DecisionLog
from tests.store.entries import ENTRY, another, child

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
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


def test_a_log_waits_while_another_process_is_making_the_same_file(path: Path) -> None:
    maker = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    maker.execute("BEGIN IMMEDIATE")
    made = Timer(0.2, maker.execute, ["COMMIT"])
    made.start()

    log = DecisionLog(path)

    log.append(ENTRY)
    assert log.get(ENTRY.id) == ENTRY
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
