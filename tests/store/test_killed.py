"""What was acknowledged is there after a kill, a crash of the server, and, as far as can be seen, a power cut."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from cds_service.errors import DecisionLogError
from cds_service.store.store import Store, open_store
from tests.store.entries import ROOT, SECRET, another, child
from tests.store.postgresql import Server

KILLS = int(os.environ.get("STORE_KILLS", "20"))
"""How many writers are killed; 100 before a release."""

TELL_AFTER_EACH = """
import asyncio, os, sys
from cds_service.store.store import open_store
from tests.store.entries import another
async def tell():
    store = open_store(sys.argv[1], None)
    for _ in range(20):
        await store.append(another(), [], [])
        os.write(1, b"acknowledged\\n")
asyncio.run(tell())
"""


def test_nothing_acknowledged_is_lost_when_writers_are_killed(path: Path, sqlite_url: str) -> None:
    printed, _ = child("from tests.store.killing import main; main()", sqlite_url, str(KILLS)).communicate()

    outcome = json.loads(printed)
    assert outcome["lost"] == []
    assert outcome["acknowledged"] >= KILLS
    assert outcome["seconds"] < 3
    with closing(sqlite3.connect(path)) as reader:
        assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert reader.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.anyio
async def test_nothing_acknowledged_is_lost_when_the_server_crashes(
    server: Server, postgresql_url: str
) -> None:
    store = open_store(postgresql_url, SECRET)
    acknowledged: list[str] = []
    for _ in range(2):
        writers = [asyncio.create_task(_append_until_refused(store, acknowledged)) for _ in range(8)]
        await asyncio.sleep(0.3)
        await asyncio.to_thread(server.control, "-m", "immediate", "stop")
        await asyncio.gather(*writers)
        await asyncio.to_thread(server.start)

    written = {entry.id async for entry in store.decisions()}
    assert len(acknowledged) > 2
    assert set(acknowledged) <= written
    await store.close()


async def _append_until_refused(store: Store, acknowledged: list[str]) -> None:
    while True:
        entry = another()
        try:
            await store.append(entry, [], [])
        except DecisionLogError:
            return
        acknowledged.append(entry.id)


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace is installed")
def test_each_acknowledgement_follows_a_write_to_the_disk(sqlite_url: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    subprocess.run(  # noqa: S603 - our own script
        ["strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fdatasync,fsync,write", sys.executable, "-c", TELL_AFTER_EACH, sqlite_url],  # noqa: S607 - wherever it is
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip

    calls = re.findall(
        r"(f(?:data)?sync)\(\d+\) *= 0|sync resumed>\) *= 0|write\(1, \"(acknowledged)", trace.read_text()
    )
    told = "".join("A" if acknowledged else "S" for _, acknowledged in calls)
    assert told.count("A") == 20
    assert "AA" not in told
