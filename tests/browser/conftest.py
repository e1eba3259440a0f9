"""A service of each test's own, and what is looked at on every page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.chromium import DESK, PHONE, chromium, page
from tests.running_service import running_service

__all__ = ["chromium", "page"]

SCREENSHOTS = Path(__file__).parent / "screenshots"
Look = Callable[[Page, str], None]


@pytest.fixture
def service(tmp_path: Path) -> Iterator[str]:
    """The address of a service on the real plans and fixtures, to which nothing was sent yet."""
    with running_service(tmp_path / "service.db") as url:
        yield url


@pytest.fixture
def look() -> Look:
    """Looks at a page as a desk and as a phone show it, keeps both pictures by name, and fails for what axe finds."""
    return _looked_at


def _looked_at(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
    found = [each["id"] for each in Axe().run(page).response["violations"]]
    page.set_viewport_size(PHONE)
    page.screenshot(path=SCREENSHOTS / f"{name}-phone.png", full_page=True)
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    page.set_viewport_size(DESK)
    assert (name, found, sideways) == (name, [], 0)
    assert page.locator("h1").count() == 1, name
