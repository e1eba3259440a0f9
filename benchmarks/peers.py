"""Our service beside HealthChain (PyPI) on the Derby policy: same request, same machine, same run.

    python -m benchmarks.peers [--seconds 5] [--repeats 3]

HealthChain, pinned, is installed into an environment of its own, ``benchmarks/.peers``, which git ignores. Its handler
(``healthchain_peer.py``) is what its documentation leads to; a second figure spares it the conversion of the prefetch to
FHIR objects. Ours decides, explains and writes a durable row; both run one process, without tokens, on uvicorn.

What the peer does not do: it shows a handler neither the draft orders nor the selections of the context, has no policies,
no unknowns, no log, no client tokens; its handler knows one policy, in Python, and reads two of its five criteria.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection, socket
from typing import Any

from benchmarks.clients import Target, by_timetable, saturated
from benchmarks.figures import ROOT, machine, percentile, quietest_and_median, write_down
from benchmarks.hook_latency import PATH, Setting, request, service

HEALTHCHAIN = "healthchain==0.16.1"
FOLDER = Path(__file__).parent / ".peers"
SIZES = (20, 100)


def ignored_folder() -> Path:
    """Where other people's software is installed for comparison."""
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / ".gitignore").write_text("*\n")
    return FOLDER


def environment() -> Path:
    """The Python that has HealthChain; made the first time."""
    python = ignored_folder() / "healthchain" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER / "healthchain")], check=True)  # noqa: S603
        subprocess.run([str(python), "-m", "pip", "install", "-q", HEALTHCHAIN], check=True)  # noqa: S603
    return python


@contextmanager
def healthchain(python: Path, *, plain: bool) -> Iterator[int]:
    """The port of a HealthChain service with the Derby policy."""
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = int(listening.getsockname()[1])
    command = [
        str(python),
        "-m",
        "uvicorn",
        "healthchain_peer:app",
        "--port",
        str(port),
        "--log-level",
        "error",
    ]
    given = {"FOLDER": str(ROOT / "plans" / "derby-mastopexy"), "PLAIN": "1" if plain else "0"}
    process = subprocess.Popen(  # noqa: S603  our own command
        command, cwd=Path(__file__).parent, env=os.environ | given, stdout=subprocess.DEVNULL
    )
    try:
        _await_listening(port)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _await_listening(port: int) -> None:
    for _ in range(600):
        try:
            create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("the peer did not start")


def measured(name: str, target: Target, given: argparse.Namespace, resources: int) -> dict[str, Any]:
    """Latency at a rate that both bear, and the rate when saturated."""
    by_timetable(target, given.rate, 1)
    runs = [by_timetable(target, given.rate, given.seconds) for _ in range(given.repeats)]
    rates = sorted(saturated(target, given.seconds) for _ in range(given.repeats))
    figures = {
        part: quietest_and_median([percentile(run, share) for run in runs])
        for part, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {
        "service": name,
        "resources": resources,
        **{part: [round(value, 2) for value in values] for part, values in figures.items()},
        "per_second": [round(rates[-1], 1), round(rates[len(rates) // 2], 1)],
    }


def rows(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each service and size."""
    python = environment()
    for size in SIZES:
        with service(Setting(1, size, None, "disk", None)) as running:
            ours = Target("127.0.0.1", running.port, PATH, request(size), None)
            yield measured("cds-service", ours, given, size)
        for name, plain in (("HealthChain, FHIR objects", False), ("HealthChain, plain JSON", True)):
            with healthchain(python, plain=plain) as port:
                theirs = Target("127.0.0.1", port, f"/cds{PATH}", request(size), None)
                yield measured(name, theirs, given, size)


def main() -> None:
    """Print a line for each, and write all of them down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rate", type=float, default=20)
    parser.add_argument("--quick", action="store_true", help="one short run each, nothing written down")
    given = parser.parse_args()
    if given.quick:
        given.seconds = given.repeats = 1
    print(machine())
    print(f"{'service':28} {'resources':>9} {'p50, ms':>16} {'p99, ms':>18} {'requests/s':>18}")
    found = []
    for row in rows(given):
        found.append(row)
        figures = "".join(
            f" {row[name][0]:9.2f} ({row[name][1]:.2f})" for name in ("p50", "p99", "per_second")
        )
        print(f"{row['service']:28} {row['resources']:9}{figures}", flush=True)
    if not given.quick:
        write_down("peers", "python -m benchmarks.peers", found)


if __name__ == "__main__":
    main()
