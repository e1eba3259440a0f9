"""What thousands of policies cost: to load from nothing, to load unchanged, to hold, and to decide among.

    python benchmarks/many_policies.py [--policies 5,100,1000,10000] [--folder FOLDER]

The policies are the real five and copies of them under other canonicals, for fifty other commissioners in turn, and
for each further fifty on other order codes. Every copy is checked whole; its clinical value sets are the real ones,
as funders share them. Each load is a process of its own. One line for each size: seconds to load with nothing
remembered (and the processors' seconds), and unchanged; kilobytes of memory for each policy; median and 99th
percentile of a decision as the hook makes it (queries and cards, one order of a Derby patient, among the policies of
fifty others on that code) and over HTTP with the decision log; milliseconds to build a policy that nobody asked for
before, and what one search through all policies would take instead of the index.
"""

from __future__ import annotations

import argparse
import gc
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import uvicorn

from cds_service.app import create_app
from cds_service.hooks.requests import HookRequest, hook_request
from cds_service.policies.library import Library, load_library
from cds_service.policies.listing import Listing
from cds_service.service import Terms, decide, queries_to_read
from cds_service.settings import Settings

ROOT = Path(__file__).parents[1]
REAL = (
    "derby-mastopexy",
    "centene-cosmetic-reconstructive",
    "central-east-breast-asymmetry",
    "lancashire-minor-plastic-surgery",
    "nmbra-reconstruction-information",
)
COMMISSIONERS = 50
ODS = "https://fhir.nhs.uk/Id/ods-organization-code"
SNOMED = "http://snomed.info/sct"
REQUEST = ROOT / "fhir_fixtures" / "hooks" / "derby-undetermined-asks-two-questions.json"
TERMS = Terms(datetime.now(UTC), lambda: str(uuid4()), "http://127.0.0.1:8000", 90)


def written_copies(folder: Path, count: int) -> Path:
    """A plans folder of ``count`` policies, the same whenever it is made: the real ones first, then their copies."""
    plans = folder / f"policies-{count}"
    if not plans.exists():
        unfinished = plans.with_suffix(".unfinished")
        unfinished.mkdir(parents=True)
        _write_organizations(unfinished)
        _link(ROOT / "plans" / "ifr-request", unfinished / "ifr-request", set())
        for number in range(count):
            _write_copy(unfinished, REAL[number % len(REAL)], number // len(REAL))
        unfinished.rename(plans)
    return plans


# writing the policies


def _write_organizations(plans: Path) -> None:
    bundle = json.loads((ROOT / "plans" / "organizations.json").read_text())
    for number in range(1, COMMISSIONERS + 1):
        organization = {
            "resourceType": "Organization",
            "id": f"copy-{number}",
            "identifier": [{"system": ODS, "value": f"COPY{number}"}],
            "name": f"Commissioner {number}",
        }
        bundle["entry"].append({"resource": organization})
    (plans / "organizations.json").write_text(json.dumps(bundle))


def _write_copy(plans: Path, real: str, number: int) -> None:
    """One policy; copy 0 is the real one. Its clinical value sets are the real ones, as funders share them."""
    source = ROOT / "plans" / real
    if number == 0:
        _link(source, plans / real, set())
        return
    name, folder = f"{real}-{number:06}", plans / f"{real}-{number:06}"
    plan = json.loads((source / f"PlanDefinition-{real}.json").read_text())
    asked = json.loads((source / f"Questionnaire-{real}.json").read_text())
    orders = plan["action"][0]["input"][0]["codeFilter"][0]["valueSet"]
    file = f"ValueSet-{orders.rpartition('/')[2]}.json"
    changed = {f"PlanDefinition-{real}.json", f"Questionnaire-{real}.json", file}
    _link(source, folder, changed)
    value_set = json.loads((source / file).read_text())
    _rename(plan, real, name)
    _rename(asked, real, name)
    plan["action"][0]["definitionCanonical"] = f"{asked['url']}|{asked['version']}"
    identifier = {"system": ODS, "value": f"COPY{1 + number % COMMISSIONERS}"}
    program = {"system": "http://terminology.hl7.org/CodeSystem/usage-context-type", "code": "program"}
    plan["useContext"] = [{"code": program, "valueReference": {"identifier": identifier}}]
    _renumber(value_set, number // COMMISSIONERS)
    for resource, at in ((plan, plan["id"]), (asked, asked["id"]), (value_set, value_set["id"])):
        (folder / f"{resource['resourceType']}-{at}.json").write_text(json.dumps(resource, indent=2))


def _link(source: Path, folder: Path, left_out: set[str]) -> None:
    folder.mkdir()
    for file in source.glob("*.json"):
        if file.name not in left_out:
            os.link(file, folder / file.name) if _same_disk(file, folder) else (
                folder / file.name
            ).write_bytes(file.read_bytes())


def _same_disk(file: Path, folder: Path) -> bool:
    return file.stat().st_dev == folder.stat().st_dev


def _rename(resource: dict[str, Any], real: str, name: str) -> None:
    resource["id"] = name
    resource["url"] = resource["url"].replace(real, name)


def _renumber(value_set: dict[str, Any], generation: int) -> None:
    """Other codes for every fifty commissioners: none that exist; SNOMED's stay, whose check digit must be right."""
    listed = [(each["system"], each) for each in value_set["expansion"].get("contains", ())]
    for include in value_set.get("compose", {}).get("include", ()):
        listed += [(include["system"], each) for each in include["concept"]]
    for system, each in listed:
        if generation and system != SNOMED:
            each["code"] += f"-{generation}"


# measuring


def measured(plans: Path, cache: Path) -> dict[str, float]:
    """One load, and decisions among what was loaded. Memory is what this process has more than before, resident."""
    gc.collect()
    before, started = _resident(), (time.perf_counter(), _processor_seconds())
    library = load_library([plans], None, cache)
    seconds, processors = time.perf_counter() - started[0], _processor_seconds() - started[1]
    gc.collect()
    kilobytes = (_resident() - before) / len(library.policies)
    body = REQUEST.read_bytes()
    decision = milliseconds(partial(answered, body, library))
    with _served(library) as connection:
        over_http = milliseconds(partial(_posted, connection, body))
    return {
        "policies": len(library.policies),
        "seconds": seconds,
        "processors": processors,
        "kilobytes": kilobytes,
        "decision": decision[0],
        "decision_99": decision[1],
        "http": over_http[0],
        "http_99": over_http[1],
        "build": milliseconds(_builds(library), 100)[0],
        "scan": milliseconds(_scan(library, hook_request(orjson.loads(body))), 20)[0],
    }


def milliseconds(work: Callable[[], object], runs: int = 1_000) -> tuple[float, float]:
    """Median and 99th percentile of many runs, after a warm-up of a twentieth as many."""
    taken = []
    for _ in range(runs + runs // 20):
        started = time.perf_counter()
        work()
        taken.append((time.perf_counter() - started) * 1000)
    counted = sorted(taken[runs // 20 :])
    return statistics.median(counted), counted[int(len(counted) * 0.99)]


def answered(body: bytes, library: Library) -> bytes:
    """What the service does between the request's last byte and the response's first, without HTTP and log."""
    request = hook_request(orjson.loads(body))
    queries_to_read(request, library, TERMS.now.date())
    return orjson.dumps(decide(request, library, TERMS).response)


def _builds(library: Library) -> Callable[[], object]:
    """Asks for another policy each time, spread over all of them."""
    step = max(1, len(library.policies) // 111)
    places = count(1, step)
    return lambda: library.policies[next(places) % len(library.policies)]


def _scan(library: Library, request: HookRequest) -> Callable[[], list[Listing]]:
    """The policies on an order's codes, looked for one by one."""
    codes: list[set[tuple[str, str]]] = [set() for _ in library.listings]
    for system, values in library.index.by_system.items():
        for code, places in values.items():
            for place in (each for some in places.values() for each in some):
                codes[place].add((system, code))
    (order,) = request.orders
    day: date = order.authored or TERMS.now.date()
    pairs = list(zip(library.listings, codes, strict=True))
    return lambda: [each for each, own in pairs if each.in_force(day) and not own.isdisjoint(order.codes)]


@contextmanager
def _served(library: Library) -> Iterator[http.client.HTTPConnection]:
    """A connection to a service that decides by these policies, on a free port of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(plans=(ROOT / "plans",), database_url=f"sqlite:///{folder}/decisions.db")
        app = create_app(settings)
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        app.state.service.library = library
        connection = http.client.HTTPConnection(*server.servers[0].sockets[0].getsockname()[:2])
        yield connection
        connection.close()
        server.should_exit = True
        thread.join()


def _posted(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/cds-services/procedure-funding", body, headers)
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"status {response.status}: {answer[:200]!r}")
    return answer


def _resident() -> int:
    """Kilobytes of this process in memory."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _in_a_process(plans: Path, cache: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", str(plans), str(cache)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)  # noqa: S603  this very program
    return dict(json.loads(done.stdout))


def _line(cold: dict[str, float], warm: dict[str, float]) -> str:
    return (
        f"{warm['policies']:8.0f} {cold['seconds']:8.1f} s ({cold['processors']:6.1f}) {warm['seconds']:8.2f} s "
        f"({warm['processors']:5.1f}) {warm['kilobytes']:8.1f} KB {warm['decision']:7.2f} {warm['decision_99']:7.2f} ms "
        f"{warm['http']:7.2f} {warm['http_99']:7.2f} ms {warm['build']:7.2f} ms {warm['scan']:8.2f} ms"
    )


def main() -> None:
    """Print one line for each number of policies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--policies", default="5,100,1000,10000")
    parser.add_argument(
        "--folder", type=Path, help="where the policies are written, and found again next time"
    )
    parser.add_argument("--measure", type=Path, nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured(*options.measure)))
        return
    folder = options.folder or Path(tempfile.mkdtemp())
    print(
        f"{'policies':>8} {'from nothing (CPU)':>19} {'unchanged (CPU)':>18} {'memory':>11} {'decision p50, p99':>18} "
        f"{'HTTP p50, p99':>18} {'build':>10} {'scan':>11}"
    )
    try:
        for number in map(int, options.policies.split(",")):
            plans = written_copies(folder, number)
            with tempfile.TemporaryDirectory() as cache:
                print(_line(_in_a_process(plans, Path(cache)), _in_a_process(plans, Path(cache))), flush=True)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
