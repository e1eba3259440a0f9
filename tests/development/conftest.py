"""A service in development mode on the example patients, at a time that tests can move on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fhir_fixtures"


class Clock:
    """Noon on 22 November 2026, and whatever a test adds."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_seconds(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def one_plan(tmp_path: Path) -> Path:
    """A folder with one of our plans and the form that it shares: what is tried here hangs on none, and one is quickly loaded."""
    plans = tmp_path / "plans"
    plans.mkdir()
    for name in ("derby-mastopexy", "ifr-request", "organizations.json"):
        (plans / name).symlink_to(ROOT / "plans" / name)
    return plans


@pytest.fixture
def service(tmp_path: Path, one_plan: Path, clock: Clock) -> Iterator[TestClient]:
    """An HTTP client that follows no redirect."""
    settings = Settings(
        plans=(one_plan,), database_url=f"sqlite:///{tmp_path / 'decisions.db'}", fixtures=FIXTURES
    )
    with TestClient(create_app(settings, clock), follow_redirects=False) as client:
        yield client
