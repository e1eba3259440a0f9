"""What tests share: the service over HTTP, and how many examples hypothesis tries."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import settings

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.reads import summary as reads_summary
from tests.renderers import summary as renderers_summary

ROOT = Path(__file__).parents[1]

settings.register_profile("ci", max_examples=100, deadline=None)
settings.register_profile("long", max_examples=5_000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests measured on the way."""
    reads_summary.pytest_terminal_summary(terminalreporter)
    renderers_summary.pytest_terminal_summary(terminalreporter)


@pytest.fixture(autouse=True)
def _own_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test that starts the service's logging sets for the whole process is taken back after it."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Which FHIR server the checks of ``tests/live`` are run against."""
    parser.addoption("--live", metavar="URL", help="base URL of a FHIR R4 server to check against")
    parser.addoption("--live-token", metavar="TOKEN", help="bearer token to read it with")


@pytest.fixture
def configured(tmp_path: Path) -> Settings:
    """The settings of a service on the real plans, with its log in a folder of the test's own."""
    return Settings(plans=(ROOT / "plans",), database_url=f"sqlite:///{tmp_path / 'decisions.db'}")


@pytest.fixture(scope="session")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """An HTTP client of one running service on the real plans, where it is noon on 22 November 2026."""
    log = tmp_path_factory.mktemp("service") / "decisions.db"
    app = create_app(
        Settings(plans=(ROOT / "plans",), database_url=f"sqlite:///{log}"),
        clock=lambda: datetime(2026, 11, 22, 12, tzinfo=UTC),
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
