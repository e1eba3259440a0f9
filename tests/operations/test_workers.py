"""Two worker processes on one port, as ``cds-service serve --workers 2`` starts them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx

from tests.operations.processes import Service, served

REQUEST = (
    Path(__file__).parents[2] / "fhir_fixtures" / "hooks" / "derby-not-normally-funded.json"
).read_bytes()


def workers_of(service: Service) -> set[int]:
    """The processes that the service's first process started."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


def answered(service: Service) -> int:
    """The status of a hook call; 0 while nobody answers."""
    try:
        return httpx.post(
            f"{service.url}/cds-services/procedure-funding", content=REQUEST, timeout=30
        ).status_code
    except httpx.TransportError:
        return 0


def test_a_worker_that_is_killed_is_replaced_and_the_other_goes_on(tmp_path: Path) -> None:
    with served(tmp_path, arguments=("--workers", "2")) as service:
        before = workers_of(service)
        time.sleep(3)

        os.kill(min(before), signal.SIGKILL)
        give_up = time.monotonic() + 60
        while len(workers_of(service) - before) < 1 and time.monotonic() < give_up:
            time.sleep(0.05)

        assert len(before) == 2
        assert max(before) in workers_of(service)
        assert len(workers_of(service)) == 2
        assert 200 in {answered(service) for _ in range(4)}


def test_both_workers_end_when_the_service_is_told_to(tmp_path: Path) -> None:
    with served(tmp_path, arguments=("--workers", "2")) as service:
        workers = workers_of(service)
        time.sleep(3)

        service.process.terminate()
        status = service.process.wait(timeout=60)

        assert status == 0
        assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_workers_do_not_outlive_a_first_process_that_is_killed(tmp_path: Path) -> None:
    with served(tmp_path, arguments=("--workers", "2")) as service:
        workers = workers_of(service)
        service.process.kill()
        service.process.wait()

        give_up = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < give_up:
            time.sleep(0.1)

    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]
