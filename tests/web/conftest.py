"""A page in Chromium, served from memory: no server, and nothing else to be reached."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route

from cds_service.web.pages import SECURITY_HEADERS
from cds_service.web.static_files import static_file
from tests.chromium import chromium, page

__all__ = ["chromium", "page"]

HOST = "http://pages.test"
Show = Callable[[str], Page]


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
