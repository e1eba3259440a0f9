"""SIGTERM under load: nobody who waits for an answer goes without, and the process ends with 0."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.operations.processes import Service, served
from tests.operations.sets import HOOK, asked, versions, write_set

STOPS = int(os.environ.get("STOPS", "3"))
"""How many services are stopped; 10 before a release."""
CLIENTS = 8


@pytest.mark.parametrize("number", range(STOPS))
def test_nothing_under_way_is_dropped_when_the_service_is_stopped(tmp_path: Path, number: int) -> None:
    write_set(tmp_path / "plans", "1")
    with served(tmp_path, plans=tmp_path / "plans") as service, ThreadPoolExecutor(CLIENTS + 1) as pool:
        leave = Event()
        clients = [pool.submit(_calls, service, leave) for _ in range(CLIENTS)]
        time.sleep(0.5)

        service.process.send_signal(signal.SIGTERM)
        stopped = time.monotonic()
        balancer = pool.submit(_leave_when_told, service, leave)

        assert service.process.wait(10) == 0
        assert time.monotonic() - stopped < 10
        answered = [answer for each in clients for answer in each.result()]
        assert balancer.result() == 503
    with closing(sqlite3.connect(tmp_path / "x.db")) as log:
        (written,) = log.execute("SELECT count(*) FROM decisions").fetchone()
    assert len(answered) > CLIENTS
    assert written == len(answered)
    assert "Traceback" not in service.log.read_text()


def test_a_second_sigterm_cuts_the_last_call_short(tmp_path: Path) -> None:
    write_set(tmp_path / "plans", "1")
    with served(tmp_path, plans=tmp_path / "plans") as service:
        service.process.send_signal(signal.SIGTERM)
        while httpx.get(f"{service.url}/readyz").status_code != 503:
            pass
        began = time.monotonic()

        service.process.send_signal(signal.SIGTERM)

        assert service.process.wait(10) == 0
        assert time.monotonic() - began < 1.9


def _calls(service: Service, leave: Event) -> list[list[str]]:
    """The answers to calls made one after the other, as a client behind a load balancer makes them: none may fail."""
    answers = []
    with httpx.Client(timeout=10) as client:
        while not leave.is_set():
            answer = client.post(service.url + HOOK, json=asked())
            assert answer.status_code == 200
            answers.append(versions(answer.json()))
    return answers


def _leave_when_told(service: Service, leave: Event) -> int:
    """The status by which the service told that it stops; no call is begun from then on."""
    with httpx.Client() as client:
        while (status := client.get(f"{service.url}/readyz").status_code) == httpx.codes.OK:
            time.sleep(0.02)
    leave.set()
    return status
