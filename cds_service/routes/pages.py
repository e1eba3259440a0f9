"""The pages that a person reads. Made in worker threads, so that no hook call waits for them."""

from __future__ import annotations

from fastapi import APIRouter, Response
from starlette.exceptions import HTTPException

from cds_service.authoring.drawing import drawn_as_svg
from cds_service.policies.policy import Policy
from cds_service.routes.replies import page_reply
from cds_service.state import Clock, State
from cds_service.web.pages import SECURITY_HEADERS, library_page, policy_page, style_sheet


def page_routes(state: State, clock: Clock) -> APIRouter:  # noqa: ARG001
    """``/``, the policies' pages with their diagrams, and what the pages load."""
    router = APIRouter()
    pictures: dict[str, str] = {}

    @router.get("/")
    def library() -> Response:
        return page_reply(library_page(state.loaded_library().policies))

    @router.get("/policies/{policy_id}")
    def policy(policy_id: str) -> Response:
        return page_reply(policy_page(_policy(state, policy_id)))

    @router.get("/policies/{policy_id}/diagram.svg")
    def diagram(policy_id: str) -> Response:
        policy = _policy(state, policy_id)
        if policy.canonical not in pictures:
            pictures[policy.canonical] = drawn_as_svg(policy)
        return Response(pictures[policy.canonical], media_type="image/svg+xml", headers=SECURITY_HEADERS)

    @router.get("/static/style.css")
    def style() -> Response:
        return Response(style_sheet(), media_type="text/css", headers=SECURITY_HEADERS)

    return router


def _policy(state: State, policy_id: str) -> Policy:
    """The policy of this id that is in use."""
    for policy in state.loaded_library().policies:
        if policy.id == policy_id:
            return policy
    raise HTTPException(404, "no policy of this id is in use")
