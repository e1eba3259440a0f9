"""Policies reloaded while the service runs: a good set as a whole, of a bad one nothing."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.errors import PlanError, PlansError
from cds_service.operations.reloads import Reload, Reloads, plan_of
from cds_service.policies.library import Library
from cds_service.serving import loaded_beforehand
from cds_service.settings import Settings
from tests.operations.processes import served
from tests.operations.sets import HOOK, asked, versions, write_set
from tests.running_service import running_service
from tests.trust.tokens import ISSUER, bearer, claims, header, jwk

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
RELOADS = int(os.environ.get("RELOADS", "18"))
"""How many reloads there are under load; 1,000 before a release."""
PUBLIC = "https://cds.example"
HERE = ("127.0.0.1", 50_000)


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    write_set(tmp_path / "plans", "1")
    return tmp_path / "plans"


@pytest.fixture
def settings(tmp_path: Path, plans: Path) -> Settings:
    return Settings(plans=(plans,), database_url=f"sqlite:///{tmp_path / 'x.db'}")


@pytest.fixture
def service(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings, clock=lambda: NOW), client=HERE) as client:
        yield client


def in_use(service: TestClient) -> list[str]:
    """The versions that a hook is answered with."""
    return versions(service.post(HOOK, json=asked()).json())


def test_a_good_set_is_used_from_the_next_request_on(service: TestClient, plans: Path) -> None:
    before = service.get("/readyz").json()
    write_set(plans, "2")
    assert in_use(service) == ["1", "1"]

    answer = service.post("/admin/reload")

    after = service.get("/readyz").json()
    assert answer.status_code == 200
    assert answer.json() == {"status": "reloaded", "set": after["set"]}
    assert in_use(service) == ["2", "2"]
    assert "lastReload" not in before
    assert after["set"] != before["set"]
    assert after["lastReload"] == {"at": NOW.isoformat(), "ok": True, "problems": []}


def test_of_a_bad_set_nothing_is_used_and_readiness_names_the_plan(service: TestClient, plans: Path) -> None:
    before = service.get("/readyz").json()
    write_set(plans, "2", broken=True)

    answer = service.post("/admin/reload")

    assert answer.status_code == 422
    assert "PlanDefinition-of-b.json" in answer.json()["issue"][0]["diagnostics"]
    assert in_use(service) == ["1", "1"]
    readiness = service.get("/readyz")
    assert readiness.status_code == 200
    assert readiness.json()["set"] == before["set"]
    assert readiness.json()["lastReload"] == {"at": NOW.isoformat(), "ok": False, "problems": ["of-b"]}


def test_a_set_one_of_whose_own_cases_fails_is_bad(service: TestClient, plans: Path) -> None:
    write_set(plans, "2")
    cases = plans / "of-a" / "cases"
    cases.mkdir()
    coding = [{"system": "http://www.ama-assn.org/go/cpt", "code": "19316"}]
    case = {
        "cites": ["1"],
        "today": "2026-11-22",
        "order": {"code": {"coding": coding}},
        "answers": {"needed": True},
        "expect": {"outcome": "not-normally-funded"},
    }
    (cases / "needed.json").write_text(json.dumps(case))

    refused = service.post("/admin/reload")
    case["expect"] = {"outcome": "eligible"}
    (cases / "needed.json").write_text(json.dumps(case))
    accepted = service.post("/admin/reload")

    assert refused.status_code == 422
    assert "expected not-normally-funded, found eligible" in refused.json()["issue"][0]["diagnostics"]
    assert accepted.status_code == 200


def test_a_file_among_the_cases_that_is_no_case_makes_a_set_bad(service: TestClient, plans: Path) -> None:
    (plans / "of-a" / "cases").mkdir()
    (plans / "of-a" / "cases" / "broken.json").write_text("{")

    assert service.post("/admin/reload").status_code == 422


def test_a_service_that_started_without_policies_is_mended_by_a_reload(
    settings: Settings, plans: Path
) -> None:
    write_set(plans, "1", broken=True)
    with TestClient(create_app(settings, clock=lambda: NOW), client=HERE) as service:
        assert service.get("/readyz").status_code == 503
        write_set(plans, "2")

        service.post("/admin/reload")

        assert service.get("/readyz").status_code == 200
        assert in_use(service) == ["2", "2"]


@pytest.mark.parametrize(
    ("caller", "headers"),
    [(("10.0.0.9", 50_000), {}), (("somewhere", 1), {}), (HERE, {"Origin": "https://elsewhere.example"})],
    ids=["from another machine", "from nowhere known", "from a page in a browser here"],
)
def test_in_development_only_a_program_on_this_machine_may_reload(
    settings: Settings, caller: tuple[str, int], headers: dict[str, str]
) -> None:
    with TestClient(create_app(settings, clock=lambda: NOW), client=caller) as service:
        assert service.post("/admin/reload", headers=headers).status_code == 401
        assert "lastReload" not in service.get("/readyz").json()


@pytest.mark.parametrize(
    ("members", "path", "status"),
    [
        ({"admin": True}, "/admin/reload", 200),
        ({"admin": False}, "/admin/reload", 401),
        ({}, "/admin/reload", 401),
        ({"admin": True}, HOOK, 401),
    ],
    ids=["an administrator", "said not to be one", "any client", "a token for something else"],
)
def test_with_clients_only_an_administrator_may_reload(
    settings: Settings, tmp_path: Path, members: dict[str, Any], path: str, status: int
) -> None:
    client = {"name": "a", "issuer": ISSUER, "algorithms": ["ES384"], "jwks": {"keys": [jwk("P-384")]}}
    (tmp_path / "clients.json").write_text(json.dumps({"clients": [client | members]}))
    closed = settings.model_copy(update={"clients": tmp_path / "clients.json", "public_url": PUBLIC})
    token = {"Authorization": bearer(header(jku=None), claims(aud=PUBLIC + path))}

    with TestClient(create_app(closed, clock=lambda: NOW), client=HERE) as service:
        assert service.post("/admin/reload").status_code == 401
        assert service.post("/admin/reload", headers=token).status_code == status


def test_no_request_fails_and_none_sees_two_sets_while_sets_are_reloaded(tmp_path: Path, plans: Path) -> None:
    over, seen = Event(), []

    def client(url: str) -> None:
        with httpx.Client(base_url=url, timeout=30) as calls:
            while not over.is_set():
                answer = calls.post(HOOK, json=asked())
                assert answer.status_code == 200, answer.text
                seen.append(versions(answer.json()))

    good = "1"
    with (
        running_service(tmp_path / "x.db", plans=(plans,)) as url,
        httpx.Client(base_url=url, timeout=30) as administrator,
        ThreadPoolExecutor(2) as pool,
    ):
        clients = [pool.submit(client, url) for _ in range(2)]
        try:
            for number in range(2, RELOADS + 2):
                broken = number % 3 == 0
                write_set(plans, str(number), broken=broken)
                answer = administrator.post("/admin/reload")
                assert answer.status_code == (422 if broken else 200)
                good = good if broken else str(number)
                assert versions(administrator.post(HOOK, json=asked()).json()) == [good, good]
        finally:
            over.set()
        for each in clients:
            each.result()

    assert len(seen) > RELOADS
    assert [each for each in seen if len(each) != 2 or len(set(each)) != 1] == []
    assert len({each[0] for each in seen}) > RELOADS / 3
    assert not {int(each[0]) for each in seen} & {n for n in range(2, RELOADS + 2) if n % 3 == 0}


def test_a_set_that_is_replaced_is_freed_whatever_serve_has_frozen(settings: Settings, plans: Path) -> None:
    loaded_beforehand(settings)
    try:
        app = create_app(settings, clock=lambda: NOW)
        with TestClient(app, client=HERE) as service:
            in_use(service)
            # The set itself goes with its last reference; its policies are circles.
            replaced = weakref.ref(app.state.service.library.policies[0])
            write_set(plans, "2")

            service.post("/admin/reload")

            assert gc.get_freeze_count() > 0
            assert replaced() is None
    finally:
        gc.unfreeze()


def test_a_hangup_reloads(tmp_path: Path, plans: Path) -> None:
    with served(tmp_path, plans=plans) as service:
        write_set(plans, "2")

        service.process.send_signal(signal.SIGHUP)

        give_up = time.monotonic() + 20
        while "lastReload" not in (ready := httpx.get(f"{service.url}/readyz").json()):
            assert time.monotonic() < give_up
            time.sleep(0.05)
        assert ready["lastReload"]["ok"]
        assert versions(httpx.post(service.url + HOOK, json=asked()).json()) == ["2", "2"]


@pytest.mark.anyio
async def test_who_asks_before_a_reload_begins_shares_it_and_who_asks_later_gets_the_next() -> None:
    begun, goes_on = asyncio.Event(), Event()
    loop = asyncio.get_running_loop()
    reads: list[int] = []
    told: list[Reload] = []

    def read() -> Library:
        reads.append(len(reads))
        loop.call_soon_threadsafe(begun.set)
        goes_on.wait(10)
        raise PlansError([PlanError(str(reads[-1]), "$", "nothing", "something")])

    reloads = Reloads(read, lambda _: None, told.append, lambda: NOW)
    first = [asyncio.create_task(reloads.made()) for _ in range(3)]
    await begun.wait()
    later = [asyncio.create_task(reloads.made()) for _ in range(3)]
    await asyncio.sleep(0)
    goes_on.set()

    outcomes = [await each for each in (*first, *later)]

    assert [outcome.problems[0].file for outcome in outcomes] == ["0", "0", "0", "1", "1", "1"]
    assert len(told) == 2


@pytest.mark.anyio
async def test_a_fault_in_a_reload_is_no_bad_set_and_the_next_reload_is_made() -> None:
    faults: list[Exception] = [ZeroDivisionError(), PlansError([PlanError("a", "$", "b", "c")])]

    def read() -> Library:
        raise faults.pop(0)

    reloads = Reloads(read, lambda _: None, lambda _: None, lambda: NOW)
    with pytest.raises(ZeroDivisionError):
        await reloads.made()

    assert not (await reloads.made()).is_good


@pytest.mark.anyio
async def test_one_who_waits_and_goes_away_does_not_stop_the_reload() -> None:
    goes_on = Event()
    told: list[Reload] = []

    def read() -> Library:
        goes_on.wait(10)
        raise PlansError([PlanError("a", "$", "b", "c")])

    reloads = Reloads(read, lambda _: None, told.append, lambda: NOW)
    stays, goes = asyncio.create_task(reloads.made()), asyncio.create_task(reloads.made())
    await asyncio.sleep(0.01)
    goes.cancel()
    goes_on.set()

    assert isinstance(await stays, Reload)
    assert len(told) == 1


@pytest.mark.parametrize(
    ("file", "plan"),
    [
        ("plans/derby/PlanDefinition-derby.json", "derby"),
        ("plans/derby/cases/no.json", "derby"),
        ("own/derby/ValueSet-x.json", "derby"),
        ("plans/organizations.json", "organizations.json"),
        ("plans", "plans"),
        ("elsewhere/epraccur.csv", "elsewhere"),
    ],
)
def test_a_problem_is_told_by_the_plan_it_is_in(file: str, plan: str) -> None:
    problem = PlanError(file, "$", "nothing", "something")

    assert plan_of(problem, [Path("plans"), Path("own")]) == plan
