"""The service on a port of its own, for tests that need a real server: SMART launches go from it to itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn

from cds_service.app import create_app
from cds_service.settings import Settings

ROOT = Path(__file__).parents[1]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@contextmanager
def running_service(
    database: Path, clock: Callable[[], datetime] = lambda: NOON, **settings: Any
) -> Iterator[str]:
    """The address of a running service with the real plans, its database in a file, in development mode."""
    listening = socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    given = {"plans": (ROOT / "plans",), "fixtures": ROOT / "fhir_fixtures", "public_url": url, **settings}
    app = create_app(Settings(database_url=f"sqlite:///{database}", **given), clock)
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield url
    finally:
        server.should_exit = True
        thread.join()
