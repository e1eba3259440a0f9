"""How long hooks wait while the policies are reloaded: the same load without reloads, and with one after the other.

    PYTHONPATH=. python benchmarks/reload_under_load.py [SECONDS]

A service of its own process, the repository's policies, requests at a fixed rate however long the answers take.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx

from tests.operations.processes import ROOT, served

RATE = 20
REQUEST = (ROOT / "fhir_fixtures" / "hooks" / "derby-not-normally-funded.json").read_bytes()


async def seconds_of_hooks(url: str, seconds: float) -> list[float]:
    """How long each of the hooks took, counted from when it was due."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        began = time.perf_counter()
        due = [began + number / RATE for number in range(int(seconds * RATE))]
        return list(await asyncio.gather(*(_seconds(client, moment) for moment in due)))


async def _seconds(client: httpx.AsyncClient, due: float) -> float:
    await asyncio.sleep(due - time.perf_counter())
    answer = await client.post("/cds-services/procedure-funding", content=REQUEST)
    assert answer.status_code == 200
    return time.perf_counter() - due


async def reloads(url: str, until: float) -> list[float]:
    """How long each of the reloads took that were made, one after the other, until then."""
    taken = []
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        while (began := time.perf_counter()) < until:
            assert (await client.post("/admin/reload")).status_code == 200
            taken.append(time.perf_counter() - began)
    return taken


async def measured(url: str, seconds: float) -> None:
    """Print a line for each kind of time."""
    await seconds_of_hooks(url, 2)
    _show("hooks, no reload", await seconds_of_hooks(url, seconds))
    during, taken = await asyncio.gather(
        seconds_of_hooks(url, seconds), reloads(url, time.perf_counter() + seconds)
    )
    _show("hooks, reloading all the time", during)
    _show("reloads", taken)


def _show(name: str, taken: list[float]) -> None:
    ordered = sorted(each * 1000 for each in taken)
    p99 = ordered[int(len(ordered) * 0.99)]
    print(
        f"{name:32} {len(ordered):5}   p50 {statistics.median(ordered):8.1f} ms   p99 {p99:8.1f} ms   "
        f"longest {ordered[-1]:8.1f} ms"
    )


def main() -> None:
    """Print how long hooks take without and with reloads."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    with TemporaryDirectory() as folder, served(Path(folder), plans=ROOT / "plans") as service:
        asyncio.run(measured(service.url, seconds))


if __name__ == "__main__":
    main()
