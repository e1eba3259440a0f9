"""What the benchmarks have in common: the machine they ran on, percentiles, and figures written down for the report."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
_VERSIONS = ("fastapi", "uvicorn", "uvloop", "orjson", "sqlalchemy")


def machine() -> str:
    """In one line: processor, cores, system, Python and its ``yardstick``."""
    system = f"{platform.system()} {platform.release()}"
    return f"{_processor()}, {os.cpu_count()} cores, {system}, Python {platform.python_version()} ({yardstick():.1f} ms)"


def yardstick() -> float:
    """Milliseconds that a fixed loop of Python takes here and now, best of five.

    Python's own speed differs by a third between builds (with or without profile-guided optimisation), and that of a
    shared machine by more from one hour to the next: figures are to be read beside this.
    """

    def loop() -> float:
        started, found = time.perf_counter(), {"code": -1}
        for step in range(100_000):
            if found.get("code") == step:
                found = dict(found)
        return (time.perf_counter() - started) * 1000

    return min(loop() for _ in range(5))


def versions() -> str:
    """The packages that speed hangs on."""
    return ", ".join(f"{name} {version(name)}" for name in _VERSIONS)


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which ``part`` of the values lie, by the nearest rank."""
    counted = sorted(values)
    return counted[min(len(counted) - 1, int(len(counted) * part))]


def quietest_and_median(values: Sequence[float]) -> tuple[float, float]:
    """Of several runs of the same: the least, which others disturbed least, and the median."""
    return min(values), statistics.median(values)


def write_down(name: str, command: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep the figures of one run for ``report.py``, with when, where and how they were measured."""
    RESULTS.mkdir(exist_ok=True)
    run = {
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "versions": versions(),
        "rows": list(rows),
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(run, indent=1, ensure_ascii=False) + "\n")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )
