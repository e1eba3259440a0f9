"""A large set of policies is loaded once at a start, and is replaced like any other."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import time
import weakref
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.testclient import TestClient

from cds_service import state
from cds_service.app import create_app
from cds_service.policies.library import load_library
from cds_service.policies.loading.processes import MANY
from cds_service.serving import loaded_beforehand
from cds_service.settings import Settings
from tests.operations.processes import served, workers_of
from tests.plan_folders import boolean, rule, write_organizations, write_plan

RULES = [rule("yes", "eligible", "%shown"), rule("no", "not-normally-funded")]


def write(plans: Path, number: int, version: str = "1") -> None:
    name = f"policy-{number:03}"
    shutil.rmtree(plans / name, ignore_errors=True)
    write_plan(plans, name, RULES, [boolean("shown")], f"{10_000 + number}", version=version)


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    plans = tmp_path / "plans"
    write_organizations(plans, "a")
    for number in range(MANY):
        write(plans, number)
    yield Settings(plans=(plans,), database_url=f"sqlite:///{tmp_path / 'x.db'}", cache=tmp_path / "cache")
    gc.unfreeze()


def test_what_is_loaded_before_the_service_starts_is_used(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = loaded_beforehand(settings)
    monkeypatch.setattr(state, "load_library", lambda *_: pytest.fail("it was loaded"))

    app = create_app(settings, library=library)
    with TestClient(app) as service:
        assert service.get("/readyz").status_code == 200
        assert app.state.service.library is library
        assert library is not None


def test_a_large_set_that_is_replaced_is_freed_although_it_was_frozen(settings: Settings) -> None:
    app = create_app(settings, library=loaded_beforehand(settings))
    with TestClient(app, client=("127.0.0.1", 50_000)) as service:
        replaced = weakref.ref(app.state.service.library)
        write(settings.plans[0], 0, "2")

        assert service.post("/admin/reload").status_code == 200

        assert gc.get_freeze_count() > 0
        assert replaced() is None


def test_a_worker_that_takes_anothers_place_has_the_policies_that_are_on_the_disk(
    tmp_path: Path, settings: Settings
) -> None:
    plans = settings.plans[0]
    with served(tmp_path, arguments=("--workers", "2"), plans=plans, cache=settings.cache) as service:
        time.sleep(3)
        before = workers_of(service)
        write(plans, 0, "2")
        new = load_library([plans]).digest
        os.kill(min(before), signal.SIGKILL)

        seen: set[str] = set()
        give_up = time.monotonic() + 60
        while len(seen) < 2 and time.monotonic() < give_up:
            seen.add(httpx.get(f"{service.url}/readyz").json().get("set", ""))
            time.sleep(0.05)

    assert new in seen
    assert len(seen) == 2
