"""Whether the service lives, and whether it can answer."""

from __future__ import annotations

import anyio.to_thread
from fastapi import APIRouter, Response

from cds_service.routes.replies import json_reply, outcome_reply
from cds_service.state import State


def operation_routes(state: State) -> APIRouter:
    """``/livez`` and ``/readyz``."""
    router = APIRouter()

    @router.get("/livez")
    async def livez() -> Response:
        return json_reply({"status": "alive"})

    @router.get("/readyz")
    async def readyz() -> Response:
        if state.library is None or state.log is None:
            return outcome_reply(503, "transient", state.problem or "starting")
        await anyio.to_thread.run_sync(state.log.check)
        return json_reply(
            {"status": "ready", "policies": len(state.library.policies), "set": state.library.digest}
        )

    return router
