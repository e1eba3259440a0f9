"""A decision is on the disk before it is given, or it is an error."""

from __future__ import annotations

import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cds_service.errors import DecisionLogError
from cds_service.store.decisions import DecisionLog
from tests.store.entries import ENTRY, another, child

NAME = "Jones, Alice"

APPEND_UNTIL_KILLED = """
import sys, uuid
from dataclasses import replace
from pathlib import Path
from tests.store.entries import ENTRY
from cds_service.store.decisions import DecisionLog
log = DecisionLog(Path(sys.argv[1]))
while True:
    id = str(uuid.uuid4())
    log.append(replace(ENTRY, id=id))
    print(id, flush=True)
"""


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
