"""The README's table of speed, from what the benchmarks wrote down (``benchmarks/results``).

    python -m benchmarks.report [--write]

Prints the table; with ``--write`` puts it between the README's performance markers. A benchmark that has not been run on
this machine keeps the figures that are checked in, with their own date and machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from typing import Any

from benchmarks.figures import RESULTS, ROOT

BEGIN, END = "<!-- performance -->", "<!-- /performance -->"
Row = dict[str, Any]


def results(name: str) -> dict[str, Any]:
    """What a benchmark wrote down. FileNotFoundError when it was never run."""
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return found


def hooks() -> Iterator[str]:
    """Latency and throughput of a hook, of the configurations that people ask about."""
    rows = results("hook_latency")["rows"]
    for row in rows:
        if "p50" in row and row["workers"] == 1 and (row["token"], row["row"]) == ("RS384", "disk"):
            what = f"a hook with {row['resources']} resources, {row['rate']:g} a second"
            yield f"| {what} | p50 {_figure(row['p50'])} ms, p99 {_figure(row['p99'])} ms |"
    for row in rows:
        if "p50" in row and row["row"] == "none" and row["resources"]:
            what = f"the same {row['resources']} resources parsed and answered with nothing (`benchmarks/bare.py`)"
            yield f"| {what} | p50 {_figure(row['p50'])} ms, p99 {_figure(row['p99'])} ms |"
    for row in rows:
        if "per_second" in row and (row["token"], row["row"]) == ("RS384", "disk"):
            processes = "one process" if row["workers"] == 1 else f"{row['workers']} processes"
            yield f"| hooks with 100 resources, {processes} saturated | {_figure(row['per_second'])} a second |"


def peers() -> Iterator[str]:
    """The same request to other services."""
    for row in results("peers")["rows"]:
        if row["resources"] == 100:
            speed = f"p50 {_figure(row['p50'])} ms, {_figure(row['per_second'])} a second saturated"
            yield f"| the same without tokens: {row['service']} | {speed} |"


def expressions() -> Iterator[str]:
    """How much longer other libraries take on the median expression."""
    rows = [row for row in results("fhirpath_speed")["rows"] if row.get("resources") == 100]
    for library in rows[0]["ms"] if rows else ():
        ratios = [row["ms"][library] / row["ms"]["ours"] for row in rows if row["ms"][library]]
        if library != "ours" and ratios:
            what = f"FHIRPath on 100 resources, median of {len(ratios)}: {library}"
            yield f"| {what} | {statistics.median(ratios):.0f} × our time |"


def table() -> str:
    """The whole table, and where its figures are from."""
    lines = ["| what | measured |", "|---|---|", *hooks(), *peers(), *expressions()]
    run = results("hook_latency")
    note = (
        f"Measured {run['date']} on {run['machine']}, client and service on the same shared machine; the quietest of "
        "several runs and, in brackets, their median (behind Python: what a fixed loop takes, to compare by). A hook "
        "here is decided by a policy, its token (RS384) checked and its row on the disk before the answer leaves. More, "
        "and the commands: [docs/performance.md](docs/performance.md)."
    )
    return "\n".join([*lines, "", note])


def _figure(values: list[float]) -> str:
    """The quietest run and the median of the runs."""
    quietest, middle = (f"{value:.0f}" if value >= 100 else f"{value:.1f}" for value in values)
    return f"{quietest} ({middle})"


def main() -> None:
    """Print the table, or put it into the README."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true")
    made = table()
    if not parser.parse_args().write:
        print(made)
        return
    readme = ROOT / "README.md"
    before, begin, rest = readme.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise SystemExit(f"README.md: found no {BEGIN} … {END}")
    readme.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")


if __name__ == "__main__":
    main()
