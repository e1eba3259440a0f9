"""A decision explained, to the client that got its cards."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from cds_service.errors import ResourceNotFoundError
from cds_service.explaining import explanation
from cds_service.routes.replies import json_reply, page_reply
from cds_service.state import State
from cds_service.trust.clients import name_of
from cds_service.web.decision_pages import decision_page


def decision_routes(state: State) -> APIRouter:
    """``/decisions/{id}``: the id of a decision or of one of its cards; JSON, or a page for a browser."""
    router = APIRouter()

    @router.get("/decisions/{decision_id}")
    async def decision(decision_id: str, request: Request) -> Response:
        client = await state.caller(request, f"/decisions/{decision_id}")
        store = state.opened_store()
        entry = await store.decision(decision_id) or await store.decision_of_card(decision_id)
        if entry is None or entry.client != name_of(client):
            raise ResourceNotFoundError(
                "id", "no decision of this id", "the id of a decision or card that you got"
            )
        library = state.loaded_library()
        if "text/html" in request.headers.get("accept", ""):
            return page_reply(decision_page(entry, library))
        feedback = await store.feedback(entry.id)
        told = explanation(entry, library)
        told["feedback"] = [
            {
                "card": item.card,
                "outcome": item.outcome,
                "outcomeTimestamp": item.outcome_timestamp.isoformat(),
                "acceptedSuggestions": [*item.accepted_suggestions],
                "reason": item.reason_code,
            }
            for item in feedback
        ]
        return json_reply(told)

    return router
