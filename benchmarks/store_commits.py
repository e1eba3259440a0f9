"""What durability costs: decisions written down per second, and how long each waits, by how many come at once.

    python benchmarks/store_commits.py [postgresql://…]

Beside the store, in the same run on the same disk: a bare sqlite3 loop that inserts the same row and commits. SQLite's
file is made in the working directory, whose disk it is that is measured.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import astuple, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from cds_service.store.entries import DecisionEntry, IssuedCard
from cds_service.store.store import Store, open_store

SECONDS = 3.0
AT_ONCE = (1, 8, 64)
# As long as a decision on two orders.
TEXT = '{"criterion": "age", "value": 71, "origin": "record"}' * 40


def entry() -> DecisionEntry:
    """A decision like any other."""
    digests = ("a" * 64, "b" * 64, TEXT, "c" * 64)
    return DecisionEntry(
        str(uuid4()), datetime.now(UTC), "order-sign", str(uuid4()), "client", *digests, 4.2, TEXT
    )


def bare(folder: str) -> list[float]:
    """Seconds that each insert and commit took with sqlite3 alone, WAL and synchronous FULL."""
    connection = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"CREATE TABLE decisions ({', '.join(each.name for each in fields(DecisionEntry))})")
    places = ", ".join("?" for _ in fields(DecisionEntry))
    taken, end = [], time.perf_counter() + SECONDS
    while (started := time.perf_counter()) < end:
        row = [str(value) for value in astuple(entry())]
        connection.execute(f"INSERT INTO decisions VALUES ({places})", row)  # noqa: S608 - question marks
        taken.append(time.perf_counter() - started)
    connection.close()
    return taken


async def timed(work: Callable[[], Awaitable[object]], at_once: int) -> list[float]:
    """Seconds that each piece of work took while so many went on at once."""
    taken: list[float] = []
    end = time.perf_counter() + SECONDS

    async def one_after_the_other() -> None:
        while (started := time.perf_counter()) < end:
            await work()
            taken.append(time.perf_counter() - started)

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return taken


def line(name: str, taken: list[float], commits: int) -> str:
    """Rate and waiting time of one measurement."""
    counted = sorted(taken)
    p50, p99 = statistics.median(counted) * 1000, counted[int(len(counted) * 0.99)] * 1000
    rates = f"{len(taken) / SECONDS:9.0f}/s {commits / SECONDS:9.0f}/s"
    return f"{name:44} {rates} {p50:8.3f} ms {p99:8.3f} ms"


async def measured(name: str, url: str) -> None:
    """Print what the store in this database does."""
    commits: list[float] = []
    store = open_store(url, None, commit_seconds=commits.append)
    for at_once in AT_ONCE:
        commits.clear()
        taken = await timed(lambda: appended(store), at_once)
        print(line(f"{name}: append, {at_once} at once", taken, len(commits)))
    commits.clear()
    until = (datetime.now(UTC) + timedelta(hours=1)).timestamp()
    uses = await timed(lambda: store.first_use("issuer", str(uuid4()), until), 1)
    print(line(f"{name}: first use of a token, 1 at once", uses, len(commits)))
    print(
        line(
            f"{name}: answers of a patient, 1 at once", await timed(lambda: store.responses(None, "1"), 1), 0
        )
    )
    await store.close()


async def appended(store: Store) -> None:
    """One decision with one card."""
    await store.append(entry(), [IssuedCard(str(uuid4()), ())], [])


def main() -> None:
    """Print one line for each measurement."""
    print(f"{'':44} {'done':>11} {'commits':>11} {'p50':>11} {'p99':>11}")
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as folder:
        taken = bare(folder)
        print(line("bare sqlite3: insert and commit", taken, len(taken)))
        asyncio.run(measured("SQLite", f"sqlite:///{folder}/store.db"))
    for url in sys.argv[1:]:
        asyncio.run(measured("PostgreSQL", url))


if __name__ == "__main__":
    main()
