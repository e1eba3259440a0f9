"""The renderers in Chromium, each on a loopback page of its own: what they show, and answering in them as a person does."""

from __future__ import annotations

import re
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from playwright.sync_api import Browser, Locator, Page

from tests.renderers.answers import answers, comparable
from tests.renderers.installed import FOLDER
from tests.running_service import NOON

Json = dict[str, Any]
_SECONDS = 5.0


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """A page's files are no news."""


@contextmanager
def served_pages() -> Iterator[str]:
    """The address at which the pages and all that they load are served, on a port of their own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(FOLDER)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/pages"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Renderer(ABC):
    """A renderer's page, opened; it shows one form after the other."""

    name: str

    def __init__(self, browser: Browser, address: str) -> None:
        self.page: Page = browser.new_context(viewport={"width": 1200, "height": 900}).new_page()
        self.page.set_default_timeout(_SECONDS * 1000)
        self.page.add_init_script(f"globalThis.shownSince = {NOON.timestamp() * 1000:.0f};")
        self.page.add_init_script(path=FOLDER / "pages" / "clock.js")
        self.page.goto(f"{address}/{self.name}.html")
        self.page.wait_for_function("globalThis.ready")

    def show(self, launch: Json) -> None:
        """Draw a form and fill it in from the record."""
        self.page.evaluate("async (launch) => { await shown(launch) }", launch)

    def response(self) -> Json:
        """The QuestionnaireResponse that the renderer exports of the form as it stands."""
        found: Json = self.page.evaluate("response()")
        return found

    def answer(self, item: Json, given: list[Json]) -> None:
        """Answer a question with the mouse and the keyboard, unless it is so answered already."""
        wanted = [comparable(each) for each in given]
        if self._answered(item) != wanted:
            for position, answer in enumerate(given):
                self._enter(item, position, answer)
            self._wait_until(item, wanted)

    @abstractmethod
    def _enter(self, item: Json, position: int, answer: Json) -> None:
        """Enter one answer of an item, `position` of several."""

    def _answered(self, item: Json) -> list[Any] | None:
        return answers(self.response()).get(item["linkId"])

    def _wait_until(self, item: Json, wanted: list[Any]) -> None:
        """What is typed counts after a while. Raises TimeoutError when it never does."""
        ends = time.monotonic() + _SECONDS
        while (found := self._answered(item)) != wanted:
            if time.monotonic() > ends:
                raise TimeoutError(f"{self.name} {item['linkId']}: found {found}; expected {wanted}")
            self.page.wait_for_timeout(50)


class LhcForms(Renderer):
    """LHC-Forms: a boolean is three radio buttons, a choice an input with a list below it."""

    name = "lforms"

    def _enter(self, item: Json, position: int, answer: Json) -> None:  # noqa: ARG002 - one field takes several
        if item["type"] == "boolean":
            self._of(item, "label", f"|{str(answer['valueBoolean']).lower()}").click()
        elif item["type"] == "choice":
            self._of(item, "input").click()
            self.page.locator("#lhc-tools-searchResults li", has_text=_whole(answer, r"(\d+:\s*)?")).click()
        else:
            field = self._of(item, "input").or_(self._of(item, "textarea"))
            field.fill(str(_value(answer)))
            field.blur()

    def _of(self, item: Json, element: str, ending: str = "") -> Locator:
        """The element of an item, whose id is the linkIds down to it and then a number for each."""
        name = item["linkId"]
        starts = (f'[id^="{name}/1"]', f'[id*="/{name}/1"]')
        return self.page.locator(",".join(f'{element}{each}[id$="1{ending}"]' for each in starts))


class SmartForms(Renderer):
    """Smart Forms: a boolean is two radio buttons, a choice a combobox, one for each answer of several."""

    name = "smart-forms"

    def _enter(self, item: Json, position: int, answer: Json) -> None:
        box = self.page.locator(f'[data-linkid="{item["linkId"]}"]').first
        if item["type"] == "boolean":
            box.locator(f'input[value="{str(answer["valueBoolean"]).lower()}"]').check()
        elif item["type"] == "choice":
            if position:
                box.get_by_role("button", name="Add Item").click()
            box.get_by_role("combobox").nth(position).click()
            self.page.get_by_role("option", name=_whole(answer)).click()
        else:
            box.locator("input, textarea").first.fill(str(_value(answer)))


def _value(answer: Json) -> Any:
    return next(value for name, value in answer.items() if name.startswith("value"))


def _whole(answer: Json, numbered: str = "") -> re.Pattern[str]:
    """An option's whole text, with the number that a list may write before it."""
    return re.compile(f"^{numbered}{re.escape(_value(answer)['display'])}$")
