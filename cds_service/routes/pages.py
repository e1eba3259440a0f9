"""The pages that a person reads. Made in worker threads, so that no hook call waits for them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from cds_service.authoring.drawing import drawn_as_svg
from cds_service.policies.cases import Case, read_cases
from cds_service.policies.library import plan_folders
from cds_service.policies.loading.documents import Problems
from cds_service.policies.policy import Policy
from cds_service.routes.replies import page_reply
from cds_service.state import Clock, State
from cds_service.web.case_pages import cases_page
from cds_service.web.pages import SECURITY_HEADERS
from cds_service.web.policy_pages import Around, Start, library_page, policy_page
from cds_service.web.static_files import CACHE_FOR_EVER, static_file

# How many diagrams and plans' cases are kept for whoever looks again.
_MOST_KEPT = 200


def page_routes(state: State, clock: Clock) -> APIRouter:
    """``/``, the policies' pages with their diagrams and cases, and what the pages load."""
    router = APIRouter()
    # By the set that is in use: a reload may bring other rules and cases under the same name.
    pictures: dict[tuple[str, str], str] = {}
    read = lru_cache(_MOST_KEPT)(lambda folder, _: read_cases(folder))

    def cases(folder: Path) -> tuple[Case, ...]:
        return read(folder, state.loaded_library().digest)

    @router.get("/")
    def library(q: str = "") -> Response:
        start = Start(can_try=state.settings.in_development, question=q)
        return page_reply(library_page(state.loaded_library(), clock().date(), start))

    @router.get("/policies/{policy_id}")
    def policy(policy_id: str, version: str | None = None) -> Response:
        shown, versions = _versions(state, clock, policy_id, version)
        around = Around(versions, _overlays(state, shown), cases(shown.folder))
        return page_reply(policy_page(shown, around, clock().date()))

    @router.get("/policies/{policy_id}/cases")
    def policy_cases(policy_id: str, version: str | None = None) -> Response:
        shown, _ = _versions(state, clock, policy_id, version)
        return page_reply(cases_page(shown, cases(shown.folder)))

    @router.get("/policies/{policy_id}/diagram.svg")
    def diagram(policy_id: str, version: str | None = None) -> Response:
        shown, _ = _versions(state, clock, policy_id, version)
        name = state.loaded_library().digest, shown.canonical
        if name not in pictures:
            if len(pictures) >= _MOST_KEPT:
                pictures.clear()
            pictures[name] = drawn_as_svg(shown)
        return Response(pictures[name], media_type="image/svg+xml", headers=SECURITY_HEADERS)

    @router.get("/static/{name}")
    def static(name: str, request: Request) -> Response:
        return _static(name, request)

    return router


def _versions(
    state: State, clock: Clock, policy_id: str, version: str | None
) -> tuple[Policy, tuple[Policy, ...]]:
    """The policy of this id, in the version named or else the one for orders of today, and all its versions."""
    library = state.loaded_library()
    listings = library.listings
    named = [
        place
        for place, each in enumerate(listings)
        if each.id == policy_id and version in {None, each.version}
    ]
    if not named:
        raise HTTPException(404, "no policy of this id and version is in use")
    today = clock().date()
    shown = next((place for place in named if listings[place].in_force(today)), named[-1])
    versions = library.index.by_url[listings[shown].url]
    return library.policies[shown], tuple(library.policies[place] for place in versions)


def _static(name: str, request: Request) -> Response:
    """A file that pages load; for ever where the URL names its content, else to be asked for again each time."""
    file = static_file(name)
    if file is None:
        raise HTTPException(404, "no such file")
    named_by_content = f'"{request.query_params.get("v")}"' == file.etag
    headers = {
        **SECURITY_HEADERS,
        "ETag": file.etag,
        "Cache-Control": CACHE_FOR_EVER if named_by_content else "no-cache",
    }
    if request.headers.get("if-none-match") == file.etag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


def _overlays(state: State, policy: Policy) -> tuple[str, ...]:
    """The names of the files that a deployer's folders lay over those of the policy."""
    plans = plan_folders(state.settings.plans, Problems())
    overlays = next((plan.overlays for plan in plans if plan.path == policy.folder), ())
    return tuple(sorted({file.name for folder in overlays for file in folder.glob("*.json")}))
