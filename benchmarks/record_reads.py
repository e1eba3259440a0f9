"""What reading a record from a FHIR server adds, beside a client that asks one query after another.

    PYTHONPATH=. python benchmarks/record_reads.py

A server on loopback, in a process of its own, answers four queries (a Patient and three searches of 20 resources each)
after 0, 20 and 200 ms. Prints, in milliseconds, the median and the 99th percentile of ``RecordReader.read`` with
kept-alive connections, the sum of the delays that a client needs which asks one query after another, and what such a
client was measured to need.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection

import httpx

from cds_service.record.reads import RecordReader
from cds_service.trust.outbound import Token, allowed_servers
from tests.reads.faulty_server import faulty_server

PATIENT = "1"
TYPES = ("Condition", "Procedure", "Coverage")
QUERIES = {"patient": "Patient/{{%patient.id}}"} | {
    kind.lower(): f"{kind}?patient={{{{%patient.id}}}}" for kind in TYPES
}
RECORD = {"Patient": [{"resourceType": "Patient", "id": PATIENT}]} | {
    kind: [
        {
            "resourceType": kind,
            "id": f"{kind}-{n}",
            "subject": {"reference": f"Patient/{PATIENT}"},
            "code": {"text": "x" * 400},
        }
        for n in range(20)
    ]
    for kind in TYPES
}
RUNS = {0: 300, 20: 100, 200: 20}


async def milliseconds(work: Callable[[], Awaitable[object]], runs: int) -> tuple[float, float]:
    """Median and 99th percentile of some runs, after a few to warm up."""
    taken = []
    for run in range(runs + 3):
        started = time.perf_counter()
        await work()
        if run >= 3:
            taken.append((time.perf_counter() - started) * 1_000)
    return statistics.median(taken), statistics.quantiles(taken, n=100, method="inclusive")[98]


async def together(base_url: str, runs: int) -> tuple[float, float]:
    """The figures of our reader."""
    reader = RecordReader(allowed_servers([base_url]))

    async def read() -> None:
        answers = await reader.read(base_url, Token("benchmark"), PATIENT, QUERIES, 4.5)
        assert all(answer.not_read is None for answer in answers.values())

    try:
        return await milliseconds(read, runs)
    finally:
        await reader.aclose()


async def one_by_one(base_url: str, runs: int) -> tuple[float, float]:
    """The figures of a plain client that waits for each answer before it asks again."""
    async with httpx.AsyncClient(trust_env=False) as client:

        async def read() -> None:
            for template in QUERIES.values():
                path = template.replace("{{%patient.id}}", PATIENT)
                assert (await client.get(f"{base_url}/{path}")).json()

        return await milliseconds(read, runs)


def serve(delay: int, channel: Connection) -> None:
    """In a process of its own: a server, until anything comes over the channel."""
    with faulty_server("healthy", RECORD, delay=delay / 1_000) as server:
        channel.send(server.base_url)
        channel.recv()


def row(delay: int) -> str:
    """The figures for one delay of the server."""
    here, there = Pipe()
    process = Process(target=serve, args=(delay, there))
    process.start()
    base_url = here.recv()
    ours = asyncio.run(together(base_url, RUNS[delay]))
    theirs = asyncio.run(one_by_one(base_url, RUNS[delay]))
    here.send("stop")
    process.join()
    sums = len(QUERIES) * delay
    return f"{delay:8} {ours[0]:10.1f} {ours[1]:8.1f} {sums:14} {theirs[0]:18.1f} {theirs[1]:8.1f}"


def main() -> None:
    """Print a line for each delay."""
    print(
        f"{'delay':>8} {'read, p50':>10} {'p99':>8} {'sum of delays':>14} {'one by one, p50':>18} {'p99':>8}"
    )
    for delay in RUNS:
        print(row(delay))


if __name__ == "__main__":
    main()
