"""Chromium for tests, and pages on which no script may fail, nothing be forbidden and no other origin be asked.

It is started for a module and stopped with it: while Playwright runs, its event loop holds the thread, and a test that runs
a loop of its own could not. A conftest or a test module that imports the fixtures has them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
# Without a sandbox, as root needs, and without anything that calls home.
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
DESK = ViewportSize(width=1200, height=900)
# CSS pixels: the narrowest that WCAG 2.2 asks a page to reflow to.
PHONE = ViewportSize(width=320, height=640)


@contextmanager
def launched_chromium() -> Iterator[Browser]:
    """A browser, without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser. Skips where there is none."""
    if not CHROMIUM.exists():
        pytest.skip(f"no browser at {CHROMIUM} (CHROMIUM names another)")
    with launched_chromium() as browser:
        yield browser


@contextmanager
def watched(browser: Browser, **options: Any) -> Iterator[BrowserContext]:
    """A context whose pages may not have faults: a failed script, something their policy forbids, a second origin."""
    context = browser.new_context(**{"viewport": DESK, **options})
    context.set_default_timeout(15_000)
    faults: list[str] = []
    origins: set[str] = set()
    context.on("weberror", lambda found: faults.append(str(found.error)))
    context.on(
        "console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None
    )
    context.on(
        "request", lambda request: origins.add("{0.scheme}://{0.netloc}".format(urlsplit(request.url)))
    )
    yield context
    context.close()
    assert faults == []
    assert len(origins - {"data://"}) <= 1, f"the pages ask {sorted(origins)}"


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A watched page."""
    with watched(chromium) as context:
        yield context.new_page()
