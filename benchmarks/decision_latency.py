"""How long one decision takes: a request's bytes in, the response's bytes out, one order, one policy, one core.

    python benchmarks/decision_latency.py [REQUEST.json …]

Prints median and 99th percentile in milliseconds, and beside them the time that reading the request's JSON alone takes.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import orjson

from cds_service.hooks.requests import hook_request
from cds_service.policies.library import Library, load_library
from cds_service.service import Terms, decide

ROOT = Path(__file__).parents[1]
RUNS = 1_000
TERMS = Terms(datetime.now(UTC), lambda: str(uuid4()), "http://127.0.0.1:8000", 90)


def milliseconds(work: Callable[[], object]) -> tuple[float, float]:
    """Median and 99th percentile of many runs, after a warm-up."""
    taken = []
    for _ in range(RUNS + 50):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    counted = sorted(taken[50:])
    return statistics.median(counted), counted[int(len(counted) * 0.99)]


def answered(body: bytes, library: Library) -> bytes:
    """What the service does between the request's last byte and the response's first, without HTTP and log."""
    return orjson.dumps(decide(hook_request(orjson.loads(body)), library, TERMS).response)


def main() -> None:
    """Print one line for each request."""
    library = load_library([ROOT / "plans"])
    files = [Path(name) for name in sys.argv[1:]] or sorted(
        (ROOT / "fhir_fixtures" / "hooks").glob("derby-*.json")
    )
    print(f"{'request':55} {'KB':>6} {'cards':>5} {'decision p50':>13} {'p99':>8} {'JSON alone':>11}")
    for file in files:
        body = file.read_bytes()
        cards = len(orjson.loads(answered(body, library))["cards"])
        whole = milliseconds(partial(answered, body, library))
        parsing = milliseconds(partial(orjson.loads, body))
        size = f"{len(body) / 1024:6.1f} {cards:5}"
        print(f"{file.stem:55} {size} {whole[0]:10.3f} ms {whole[1]:5.2f} ms {parsing[0]:8.3f} ms")


if __name__ == "__main__":
    main()
