"""A page in Chromium, served from memory: no server, and nothing else to be reached."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from cds_service.web.pages import SECURITY_HEADERS
from cds_service.web.static_files import static_file

CHROMIUM = Path("/usr/bin/chromium")
HOST = "http://pages.test"
Show = Callable[[str], Page]


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    """How Chromium starts: without a sandbox, as root needs, and without anything that calls home."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM}")
    switches = (
        "no-sandbox",
        "disable-gpu",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
        "no-first-run",
    )
    return {"executable_path": str(CHROMIUM), "args": [f"--{switch}" for switch in switches]}


@pytest.fixture(scope="session")
def base_url() -> None:
    """No address: pages come from memory. The plugin's own fixture is of a kind that pytest warns of."""


@pytest.fixture
def show(page: Page) -> Show:
    """Opens a page of this HTML. Whatever it asks for that is not ours, and whatever its policy forbids, fails the test."""
    return lambda html: shown(page, html)


def shown(page: Page, html: str) -> Page:
    """The page with this HTML on it."""

    def answer(route: Route) -> None:
        path = urlsplit(route.request.url).path
        file = static_file(path.removeprefix("/static/")) if path.startswith("/static/") else None
        if file is not None:
            route.fulfill(body=file.content, content_type=file.media_type)
        else:
            assert route.request.url.startswith(f"{HOST}/"), f"the page asks for {route.request.url}"
            route.fulfill(body=html, content_type="text/html; charset=utf-8", headers=SECURITY_HEADERS)

    page.set_default_timeout(10_000)
    page.route("**/*", answer)
    page.goto(f"{HOST}/form")
    return page
