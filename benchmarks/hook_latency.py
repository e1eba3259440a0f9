"""How long a hook takes and how many are answered a second, with real processes, sockets, tokens and durable rows.

    python -m benchmarks.hook_latency [--seconds 8] [--repeats 3] [--quick]

Starts ``cds-service serve`` with the real plans and asks it from this process, at 50 requests a second by a timetable
(``clients.py``), then as fast as it answers (wrk where installed). The request is the 100-resource one of fhir_fixtures,
with fewer resources or more of the same. Every setting is measured ``repeats`` times, in turns; printed are the quietest
run and the median of the runs, as other work shares the machine.

What is compared: ``token`` none (a service without clients), RS384 or ES384, each token used once, as the service
demands. ``row``: ``disk``, where a commit is on the disk before the answer leaves, or ``memory``, the same service with
its database on a file system in memory: the same rows, never waiting for a disk. No switch leaves the row out; ``none``
is another service, ``bare``, which parses the same requests and does nothing with them.
``processor`` is the service's own processor time for a request, in all its threads and workers.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path
from socket import socket
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from benchmarks.clients import CONNECTIONS, Target, by_timetable, saturated
from benchmarks.figures import ROOT, machine, percentile, versions, write_down
from tests.trust.tokens import ISSUER, bearer, claims, header, jwk

REQUEST = ROOT / "fhir_fixtures" / "hooks" / "derby-100-resources.json"
PATH = "/cds-services/procedure-funding"
SIZES = (0, 20, 100, 1000)
RATE = 50
KEYS = {"RS384": "RSA-2048", "ES384": "P-384"}
MEMORY = Path("/dev/shm")  # noqa: S108  a file system in memory is the point


@dataclass(frozen=True)
class Setting:
    """What one measurement is of. ``resources``: how many the prefetch holds; ``token``: its algorithm, or none.

    ``rate``: requests a second by a timetable; none for as many as are answered.
    """

    workers: int
    resources: int
    token: str | None
    row: str
    rate: float | None


@dataclass(frozen=True)
class Load:
    """How long each run takes, and how many runs there are of each setting."""

    seconds: int
    repeats: int


@dataclass(frozen=True)
class Service:
    """A running service: its port, and the process that it started as."""

    port: int
    pid: int

    def processor_seconds(self) -> float:
        """What it and its workers have used of the processors so far, which other work hardly changes."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        told = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2] for pid in (self.pid, *children)]
        return sum(int(ticks) for each in told for ticks in each.split()[11:13]) / os.sysconf("SC_CLK_TCK")


def request(resources: int) -> bytes:
    """The request with so many Conditions and Procedures, seven to three, the last ones kept."""
    body = json.loads(REQUEST.read_text())
    for key, share in (("conditions", 0.7), ("procedures", 0.3)):
        entries = body["prefetch"][key]["entry"]
        wanted = [_entry(entries, place) for place in range(round(resources * share))]
        body["prefetch"][key] = {"resourceType": "Bundle", "type": "searchset", "entry": wanted}
    return json.dumps(body, separators=(",", ":")).encode()


def _entry(entries: list[dict[str, Any]], place: int) -> dict[str, Any]:
    """The entry at a place counted from the end; beyond the first, one like it with an id of its own."""
    entry = deepcopy(entries[-1 - place % len(entries)])
    if place >= len(entries):
        entry["resource"]["id"] += f"-{place // len(entries)}"
        entry["fullUrl"] += f"-{place // len(entries)}"
    return entry


@contextmanager
def service(setting: Setting) -> Iterator[Service]:
    """A running service with its own database, on disk or in memory."""
    where = MEMORY if setting.row == "memory" else Path.cwd()
    with tempfile.TemporaryDirectory(dir=where, prefix="benchmark-") as folder:
        port = _free_port()
        log = Path(folder) / "log"
        command = [sys.executable, "-m", *_served(setting, port)]
        with log.open("wb") as lines:
            process = subprocess.Popen(  # noqa: S603  our own command
                command, cwd=ROOT, env=os.environ | _environment(setting, port, Path(folder)), stderr=lines
            )
        try:
            _await_ready(port, process, log)
            yield Service(port, process.pid)
        finally:
            process.terminate()
            process.wait(30)


def _served(setting: Setting, port: int) -> list[str]:
    if setting.row == "none":
        quietly = ("--no-access-log", "--log-level", "warning", "--lifespan", "off")
        return ["uvicorn", "benchmarks.bare:app", "--port", str(port), *quietly]
    workers = ["--workers", str(setting.workers)] if setting.workers > 1 else []
    return ["cds_service.cli", "serve", "--port", str(port), *workers]


def _environment(setting: Setting, port: int, folder: Path) -> dict[str, str]:
    given = {
        "CDS_DATABASE_URL": f"sqlite:///{folder}/decisions.db",
        "CDS_PUBLIC_URL": f"http://127.0.0.1:{port}",
    }
    if setting.token is None:
        return given
    client = {
        "name": "benchmark",
        "issuer": ISSUER,
        "jwks": {"keys": [jwk(key) for key in KEYS.values()]},
        "algorithms": list(KEYS),
    }
    # Forms are offered as in development mode, so that the rows are the same.
    server = {
        "issuer": "https://ehr.example/fhir",
        "client": "benchmark",
        "client_id": "cds-service",
        "authentication": {"method": "none"},
    }
    (folder / "clients.json").write_text(json.dumps({"clients": [client]}))
    (folder / "servers.json").write_text(json.dumps({"servers": [server]}))
    return given | {
        "CDS_CLIENTS": f"{folder}/clients.json",
        "CDS_SMART_SERVERS": f"{folder}/servers.json",
    }


def _free_port() -> int:
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _await_ready(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    give_up = time.monotonic() + 120
    while time.monotonic() < give_up and process.poll() is None:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.status == 200:
                    return
        except (URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError(f"the service did not start:\n{log.read_text()[-2000:]}")


def target(setting: Setting, port: int) -> Target:
    """Where a configuration's requests go."""
    tokens = None if setting.token is None else _tokens(setting.token, port)
    return Target("127.0.0.1", port, PATH, request(setting.resources), tokens)


def _tokens(algorithm: str, port: int) -> Iterator[str]:
    """Tokens, each with a name of its own."""
    key = KEYS[algorithm]
    for number in count():
        now = int(time.time())
        said = claims(aud=f"http://127.0.0.1:{port}{PATH}", iat=now, exp=now + 600, jti=f"{now}-{number}")
        yield bearer(header(alg=algorithm, kid=key, jku=None), said)


@contextmanager
def services(settings: Sequence[Setting]) -> Iterator[Callable[[Setting], Service]]:
    """The service that a setting is measured on: all run at once, the idle ones cost nothing."""
    kinds = sorted({_kind(each) for each in settings}, key=str)
    with ExitStack() as running:
        started = {kind: running.enter_context(service(kind)) for kind in kinds}
        yield lambda setting: started[_kind(setting)]


def _kind(setting: Setting) -> Setting:
    """The setting that stands for all that one service can be asked."""
    return replace(setting, resources=100, token=setting.token and "RS384", rate=None)


def measured(settings: Sequence[Setting], load: Load) -> Iterator[dict[str, Any]]:
    """The figures of every setting. The runs go round and round, so that all meet the same noise."""
    found: dict[Setting, list[Any]] = {setting: [] for setting in settings}
    with services(settings) as service_of:
        targets = {setting: target(setting, service_of(setting).port) for setting in settings}
        for setting, asked in targets.items():
            by_timetable(asked, setting.rate or 20, 1)
        for _ in range(load.repeats):
            for setting, asked in targets.items():
                found[setting].append(_run(setting, asked, load, service_of(setting)))
    for setting, runs in found.items():
        yield _row(setting, load, **_figures(runs))


def _run(setting: Setting, asked: Target, load: Load, asking: Service) -> dict[str, float]:
    """Milliseconds a request by timetable, of processor time too; or requests a second, saturated."""
    if setting.rate is None:
        return {"per_second": saturated(asked, load.seconds)}
    before = asking.processor_seconds()
    taken = by_timetable(asked, setting.rate, load.seconds)
    spent = asking.processor_seconds() - before
    parts = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    figures = {name: percentile(taken, part) for name, part in parts.items()}
    return figures | {"processor": spent * 1000 / (len(taken) + CONNECTIONS)}


def _figures(runs: list[dict[str, float]]) -> dict[str, list[float]]:
    """Of each figure the best run and the median of the runs."""
    best = {"per_second": max}
    found = {name: [run[name] for run in runs] for name in runs[0]}
    return {name: [best.get(name, min)(each), statistics.median(each)] for name, each in found.items()}


def _row(setting: Setting, load: Load, **figures: list[float]) -> dict[str, Any]:
    rounded = {name: [round(value, 2) for value in values] for name, values in figures.items()}
    return asdict(setting) | asdict(load) | rounded


def by_timetable_settings() -> tuple[Setting, ...]:
    """What is asked by a timetable: every size in full, and the parts of a request's cost one by one."""
    sizes = tuple(Setting(1, size, "RS384", "disk", RATE if size < 1000 else RATE / 5) for size in SIZES)
    parts = tuple(
        Setting(1, 100, token, row, RATE)
        for token, row in ((None, "memory"), (None, "disk"), ("RS384", "memory"), ("ES384", "disk"))
    )
    bare = tuple(Setting(1, size, None, "none", RATE) for size in (0, 100))
    return (*sizes, *parts, Setting(2, 100, "RS384", "disk", RATE), *bare)


def saturated_settings() -> tuple[Setting, ...]:
    """What is asked as fast as it is answered."""
    ours = tuple(
        Setting(workers, 100, token, row, None)
        for workers in (1, 2)
        for token, row in ((None, "memory"), (None, "disk"), ("RS384", "disk"))
    )
    return (*ours, Setting(1, 100, None, "none", None))


def printed(row: dict[str, Any]) -> str:
    """A line of the table: of each figure the quietest run and, in brackets, the median of the runs."""
    what = f"{row['workers']:7} {row['resources']:9} {row['token'] or 'none':>6} {row['row']:>7}"
    names = ("per_second",) if "per_second" in row else ("p50", "p90", "p99", "max", "processor")
    return what + "".join(f"  {row[name][0]:8.2f} ({row[name][1]:.2f})" for name in names)


def main() -> None:
    """Print a line for each setting, and write all of them down."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=8, help="how long each run takes")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one short run each, nothing written down")
    given = parser.parse_args()
    load = Load(1, 1) if given.quick else Load(given.seconds, given.repeats)
    print(f"{machine()}; {versions()}")
    rows = []
    head = f"{'workers':>7} {'resources':>9} {'token':>6} {'row':>7}"
    print(
        f"{RATE} requests/s by a timetable ({RATE / 5:g} at 1,000 resources), ms: quietest run (median of {load.repeats})"
    )
    print(f"{head}  {'p50':>8} {'p90':>15} {'p99':>15} {'max':>15} {'processor':>18}")
    for row in measured(by_timetable_settings(), load):
        rows.append(row)
        print(printed(row), flush=True)
    print("saturated, requests/s")
    for row in measured(saturated_settings(), load):
        rows.append(row)
        print(printed(row), flush=True)
    if not given.quick:
        write_down("hook_latency", "python -m benchmarks.hook_latency", rows)


if __name__ == "__main__":
    main()
