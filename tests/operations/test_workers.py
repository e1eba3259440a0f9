"""Two worker processes on one port, as ``cds-service serve --workers 2`` starts them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from socket import socket

import httpx
import pytest

from tests.operations.processes import ROOT, Service, served, workers_of

REQUEST = (
    Path(__file__).parents[2] / "fhir_fixtures" / "hooks" / "derby-not-normally-funded.json"
).read_bytes()


def sockets_of(pid: int) -> int:
    """How many sockets a process has open."""
    return sum(str(each.readlink()).startswith("socket:") for each in Path(f"/proc/{pid}/fd").iterdir())


def listening_sockets(port: int) -> int:
    """How many sockets of this machine listen on a port: proc(5), /proc/net/tcp."""
    entries = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(each[1].endswith(f":{port:04X}") and each[3] == "0A" for each in entries)


def within_seconds(seconds: float, holds: Callable[[], bool]) -> bool:
    """Whether something comes to hold within so many seconds."""
    give_up = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < give_up:
        time.sleep(0.05)
    return held


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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the workers accept from one socket")
def test_connections_are_spread_also_over_a_worker_that_does_not_wake_first(tmp_path: Path) -> None:
    with served(tmp_path, arguments=("--workers", "2")) as service, ExitStack() as clients:
        address = ("127.0.0.1", int(service.url.rpartition(":")[2]))
        assert within_seconds(30, lambda: listening_sockets(address[1]) == 2)
        workers = workers_of(service)
        before = {pid: sockets_of(pid) for pid in workers}
        os.kill(min(workers), signal.SIGSTOP)
        for _ in range(40):
            client = clients.enter_context(socket())
            client.setblocking(False)
            client.connect_ex(address)
        time.sleep(1)
        os.kill(min(workers), signal.SIGCONT)

        def accepted() -> list[int]:
            return [sockets_of(pid) - before[pid] for pid in workers]

        assert within_seconds(30, lambda: sum(accepted()) == 40)
        assert (
            min(accepted()) >= 5
        )  # each of 40 falls to one of two at random: fewer than once in a million runs


def test_a_service_of_several_workers_does_not_share_its_port_with_another(tmp_path: Path) -> None:
    with served(tmp_path, arguments=("--workers", "2")) as service:
        port = service.url.rpartition(":")[2]
        for workers in ("1", "2"):
            command = [sys.executable, "-m", "cds_service.cli", "serve", "--port", port, "--workers", workers]
            second = subprocess.run(  # noqa: S603 - our own
                command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
            )

            assert second.returncode == 3
            assert second.stderr.endswith(
                f"cannot listen on 127.0.0.1, port {port}: Address already in use\n"
            )


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
