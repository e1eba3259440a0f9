"""Writers that are killed at no moment in particular, for ``test_killed``. Run as a process of its own, since it forks."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import time

from cds_service.store.entries import Document, IssuedCard
from cds_service.store.store import Store, open_store
from tests.store.entries import NOW, SECRET, SOON, another

TASKS = 8
# Far beyond any day on which this runs: a writer forgets what has expired, by the real clock.
UNTIL = 4e9


def main() -> None:
    """Kill as many writers to the database as told, one after the other, and print what became of their rows."""
    url, kills = sys.argv[1], int(sys.argv[2])
    acknowledged: list[str] = []
    seconds: list[float] = []
    for _ in range(kills):
        written, ready = _writer_killed(url)
        acknowledged += written
        seconds.append(ready)
    lost = asyncio.run(_lost(url, acknowledged))
    print(json.dumps({"acknowledged": len(acknowledged), "lost": lost, "seconds": max(seconds)}))


def _writer_killed(url: str) -> tuple[list[str], float]:
    """What one writer acknowledged until it was killed, and how many seconds it took to its first word."""
    reading, writing = os.pipe()
    started = time.monotonic()
    if (writer := os.fork()) == 0:
        asyncio.run(_write_until_killed(url, writing))
    os.close(writing)
    with open(reading) as acknowledged:  # noqa: PTH123 - a pipe
        ids = [acknowledged.readline()]
        ready = time.monotonic() - started
        ids += [acknowledged.readline() for _ in range(random.randrange(40))]  # noqa: S311
        time.sleep(random.random() / 100)  # noqa: S311
        os.kill(writer, signal.SIGKILL)
        # The last line may be cut off: it was never told.
        ids += [line for line in acknowledged if line.endswith("\n")]
    if os.waitstatus_to_exitcode(os.waitpid(writer, 0)[1]) != -signal.SIGKILL:
        raise SystemExit("the writer ended by itself")
    return [each.strip() for each in ids], ready


async def _write_until_killed(url: str, told: int) -> None:
    store = open_store(url, SECRET)
    await asyncio.gather(*(_append_for_ever(store, told) for _ in range(TASKS)))


async def _append_for_ever(store: Store, told: int) -> None:
    while True:
        entry = another()
        await store.first_use("issuer", entry.id, UNTIL)
        await store.append(entry, [IssuedCard(entry.id, ())], [Document("form", entry.id, b"a form", SOON)])
        os.write(told, f"{entry.id}\n".encode())


async def _lost(url: str, acknowledged: list[str]) -> list[str]:
    """Those of which anything is missing."""
    store = open_store(url, SECRET)
    lost = [
        each
        for each in acknowledged
        if await store.decision_of_card(each) is None
        or await store.kept("form", each, NOW) is None
        or await store.first_use("issuer", each, UNTIL)
    ]
    await store.close()
    return lost
