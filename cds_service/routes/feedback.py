"""What clinicians did with our cards, told by the client that showed them."""

from __future__ import annotations

import logging
from dataclasses import asdict

from fastapi import APIRouter, Request, Response

from cds_service.errors import UnknownServiceError
from cds_service.hooks.discovery import SERVICE_ID
from cds_service.hooks.feedback import feedback_items
from cds_service.routes.replies import body_of, json_reply, parsed
from cds_service.state import State
from cds_service.store.entries import FeedbackItem
from cds_service.trust.clients import name_of

logger = logging.getLogger("cds_service")

_LARGEST_BODY = 1_000_000


def feedback_routes(state: State) -> APIRouter:
    """``/cds-services/procedure-funding/feedback``."""
    router = APIRouter()

    @router.post("/cds-services/{service_id}/feedback")
    async def feedback(service_id: str, request: Request) -> Response:
        if service_id != SERVICE_ID:
            raise UnknownServiceError(f"no CDS service {service_id[:60]!r}; there is {SERVICE_ID}")
        client = await state.caller(request, f"/cds-services/{SERVICE_ID}/feedback")
        items = feedback_items(parsed(await body_of(request, _LARGEST_BODY)))
        kept = [FeedbackItem(**asdict(item)) for item in items]
        new = await state.opened_store().append_feedback(name_of(client), kept)
        for item in new:
            state.metrics.given_feedback(item.outcome)
            logger.info("feedback on card %s: %s", item.card, item.outcome)
        # The same whatever was told: who asks about another client's card learns nothing.
        return json_reply({})

    return router
