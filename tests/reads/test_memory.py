"""Memory stays flat however many reads fail.

500 reads by default; ``CDS_READS=10000 pytest tests/reads/test_memory.py -s`` prints the figures of the long run.
"""

from __future__ import annotations

import asyncio
import gc
import os
from itertools import cycle, islice
from pathlib import Path

from cds_service.record.reads import Limits, RecordReader
from tests.reads.faulty_server import FaultyServer, faulty_server
from tests.reads.reading import RECORD, answers, reader_of

READS = int(os.environ.get("CDS_READS", "500"))
WARM_UP = 200
AT_ONCE = 5
MOST_MEGABYTES = 10.0
FAILING = (
    "500",
    "half body",
    "reset",
    "HTML",
    "closed without an answer",
    "slow header",
    "endless next",
    "404",
    "not HTTP",
    "slow body",
    "gzip bomb",
    "another patient's resource",
)


def resident_megabytes() -> float:
    """The memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


async def fail(reader: RecordReader, server: FaultyServer, reads: int) -> None:
    """Read so often, a few at a time, from a server that fails differently each time."""
    for fault in islice(cycle(FAILING), reads // AT_ONCE):
        server.fault = fault
        await asyncio.gather(*(answers(reader, server, seconds=0.05) for _ in range(AT_ONCE)))
        server.requests.clear()


async def growth(server: FaultyServer) -> float:
    """The megabytes by which the process grows over the reads, after a warm-up."""
    async with reader_of(server, limits=Limits(breaker_failures=1_000_000_000)) as reader:
        await fail(reader, server, WARM_UP)
        before = resident_megabytes()
        await fail(reader, server, READS)
        return resident_megabytes() - before


def test_memory_stays_flat_while_reads_fail() -> None:
    with faulty_server("500", RECORD) as server:
        grown = asyncio.run(growth(server))

    print(f"\n{READS} failing reads: {grown:+.1f} MB")
    assert grown < MOST_MEGABYTES
