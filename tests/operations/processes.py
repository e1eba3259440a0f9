"""``cds-service serve`` as a process of its own, which signals can be sent to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import httpx

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Service:
    """A running service: its process, address and log."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path


def free_port() -> int:
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


@contextmanager
def served(folder: Path, arguments: Sequence[str] = (), **settings: object) -> Iterator[Service]:
    """The service, ready, with its database and log in ``folder``; ``arguments`` are further ones of ``serve``."""
    port, log = free_port(), folder / "log"
    given = {"DATABASE_URL": f"sqlite:///{folder / 'x.db'}", **settings}
    environment = {**os.environ, **{f"CDS_{name.upper()}": str(value) for name, value in given.items()}}
    command = [sys.executable, "-m", "cds_service.cli", "serve", "--port", str(port), *arguments]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=errors)  # noqa: S603 - our own
    try:
        service = Service(process, f"http://127.0.0.1:{port}", log)
        _await_ready(service)
        yield service
    finally:
        process.kill()
        process.wait()


def workers_of(service: Service) -> set[int]:
    """The processes that the service's first process started."""
    children = Path(f"/proc/{service.process.pid}/task/{service.process.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


def _await_ready(service: Service) -> None:
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up and service.process.poll() is None:
        try:
            if httpx.get(f"{service.url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(service.log.read_text())
