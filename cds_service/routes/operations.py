"""Whether the service lives and can answer, what it has counted, and the policies read anew."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, FastAPI, Request, Response

from cds_service.errors import ClientRejectedError
from cds_service.operations.metrics import CONTENT_TYPE
from cds_service.operations.reloads import Reload, plan_of
from cds_service.routes.replies import fhir_reply, json_reply, outcome_reply
from cds_service.state import State


def operation_routes(state: State) -> APIRouter:
    """``/livez``, ``/readyz``, ``/metrics``, and ``/admin/reload``, which SIGHUP does too (docs/deployment)."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with _reloaded_on_hangup(state):
            yield

    router = APIRouter(lifespan=lifespan)
    _add_probes(router, state)

    @router.post("/admin/reload")
    async def reload(request: Request) -> Response:
        await _check_admin(request, state)
        made = await state.reload()
        if made.problems:
            return fhir_reply(_refusal(made), 422)
        return json_reply({"status": "reloaded", "set": made.digest})

    return router


def _add_probes(router: APIRouter, state: State) -> None:
    @router.get("/livez")
    async def livez() -> Response:
        return json_reply({"status": "alive"})

    @router.get("/readyz")
    async def readyz() -> Response:
        if state.traffic.is_stopping:
            return outcome_reply(503, "transient", "the service is about to stop")
        if state.library is None or state.store is None:
            return outcome_reply(503, "transient", state.problem or "starting")
        await state.store.check()
        ready = {"status": "ready", "policies": len(state.library.policies), "set": state.library.digest}
        return json_reply(ready | _last_reload(state))

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(state.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def _last_reload(state: State) -> dict[str, Any]:
    """The last reload, if there was one: when, whether it was good, and the plans that were not, by id alone."""
    last = state.reloads.last
    if last is None:
        return {}
    plans = sorted({plan_of(problem, state.settings.plans) for problem in last.problems})
    return {"lastReload": {"at": last.at.isoformat(), "ok": last.is_good, "problems": plans}}


def _refusal(made: Reload) -> dict[str, Any]:
    """Everything wrong with the policies on the disk, for who put them there."""
    issues = [
        {"severity": "error", "code": "invalid", "diagnostics": str(problem)} for problem in made.problems
    ]
    return {"resourceType": "OperationOutcome", "issue": issues}


async def _check_admin(request: Request, state: State) -> None:
    """ClientRejectedError unless a client calls that may; in development mode, unless a program on this machine does."""
    client = await state.caller(request, "/admin/reload")
    if not (client.admin if client else _is_local_program(request)):
        raise ClientRejectedError


def _is_local_program(request: Request) -> bool:
    """Whether the call comes from this machine, and not from a page of somebody else's in a browser here."""
    if request.client is None or "origin" in request.headers:
        return False
    try:
        return ip_address(request.client.host).is_loopback
    except ValueError:
        return False


@contextmanager
def _reloaded_on_hangup(state: State) -> Iterator[None]:
    """While this lasts, SIGHUP reloads the policies. Only a process' main thread can hear signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[Reload]] = set()

    def hung_up() -> None:
        task = loop.create_task(state.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    loop.add_signal_handler(signal.SIGHUP, hung_up)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
