"""The service, the browser and the renderers that all tests here share."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser

from tests.chromium import CHROMIUM, launched_chromium
from tests.renderers.installed import FOLDER, RenderersUnavailableError, install
from tests.renderers.pages import LhcForms, Renderer, SmartForms, served_pages
from tests.renderers.situations import SITUATIONS, Situation, launch, situation
from tests.renderers.summary import pytest_terminal_summary
from tests.running_service import ROOT, running_service

__all__ = ["pytest_terminal_summary"]

REQUIRED = os.environ.get("RENDERERS") == "required"
Json = dict[str, Any]


@dataclass(frozen=True)
class Service:
    """The running service, and the situations that its fixtures tell of."""

    url: str
    client: httpx.Client
    situations: Mapping[tuple[str, str], Situation]


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js, everything installed. Skips without it, unless RENDERERS=required."""
    try:
        return install()
    except RenderersUnavailableError as problem:
        if REQUIRED:
            raise
        pytest.skip(f"renderers: {problem}")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    plans = (ROOT / "plans", ROOT / "fhir_fixtures" / "overlays")
    with (
        running_service(tmp_path_factory.mktemp("renderers") / "decisions.db", plans=plans) as url,
        httpx.Client(base_url=url, timeout=60, trust_env=False) as client,
    ):
        told = {(story, form): situation(client, story, form) for story, form in SITUATIONS}
        yield Service(url, client, told)


# Not for the session: while Playwright runs, its event loop holds the thread (see tests/chromium.py).
@pytest.fixture(scope="module")
def chromium(node: str) -> Iterator[Browser]:
    if not CHROMIUM.exists() and not REQUIRED:
        pytest.skip(f"no browser at {CHROMIUM} (CHROMIUM names another)")
    with launched_chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def pages() -> Iterator[str]:
    with served_pages() as address:
        yield address


@pytest.fixture(scope="module")
def opened(chromium: Browser, pages: str) -> dict[type[Renderer], Renderer]:
    """Each renderer's page."""
    return {kind: kind(chromium, pages) for kind in (LhcForms, SmartForms)}


@pytest.fixture(scope="session")
def populated_by_aehrc(node: str, service: Service) -> dict[tuple[str, str], Json]:
    """What `@aehrc/sdc-populate` makes of each situation: response and issues."""
    asked = [launch(each, service.url) for each in service.situations.values()]
    command = [node, str(FOLDER / "populate.mjs")]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=120, check=True)  # noqa: S603  # fmt: skip
    return dict(zip(service.situations, json.loads(done.stdout), strict=True))
