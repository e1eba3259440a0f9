"""The way of a clinician through the pages, step by step."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from playwright.sync_api import Locator, Page, expect

DERBY = {"patient": "derby-after-mastectomy", "order": "derby-undetermined-asks-two-questions"}
NOT_FUNDED = {"patient": "derby-no-cancer", "order": "derby-not-normally-funded", "hook": "order-sign"}
PURPOSE, EARLIER_OPERATIONS = "Is this mastopexy part of rebuilding", "How many operations to match"
OPPOSITE_BREAST = "Yes: the opposite breast, to match"


def ordered(page: Page, service: str, story: Mapping[str, str]) -> Locator:
    """The card of an order that is placed on ``/try``."""
    page.goto(f"{service}/try?{urlencode(story)}")
    expect(page.locator("#hook-status")).to_contain_text("answered with 200")
    return page.locator("article")


def opened(card: Locator, label: str) -> Page:
    """The form that a card's link opens in another tab."""
    with card.page.context.expect_page() as launched:
        card.get_by_role("link", name=label).click()
    launched.value.wait_for_load_state()
    return launched.value


def answered(form: Page, question: str, answer: str) -> None:
    """Answer the question that the page puts, and go on: by the words of an option, or what is typed."""
    expect(form.get_by_role("heading", level=1)).to_contain_text(question)
    typed = form.locator("main").get_by_role("textbox")
    if typed.count():
        typed.fill(answer)
    else:
        form.get_by_label(answer, exact=True).check()
    continued(form)


def continued(form: Page) -> None:
    """Press Continue, the button that is seen: another, for the Enter key, stands first."""
    with form.expect_navigation():
        form.locator("button[value=continue]").last.click()


def submitted(form: Page) -> None:
    """Send what was looked over."""
    with form.expect_navigation():
        form.locator("button[value=submit]").click()


def completed(form: Page, words: str) -> None:
    """Answer what a long form will not go on without, each text with ``words``, and go on as often as it takes."""
    continued(form)
    for _ in range(4):
        open_questions = form.locator(".app-question").filter(has=form.locator(".nhsuk-error-message"))
        names = open_questions.evaluate_all("(all) => all.map((each) => each.dataset.question)")
        if not names:
            return
        for name in names:
            _answer(form.locator(f'[data-question="{name}"]'), words)
        continued(form)


def _answer(question: Locator, words: str) -> None:
    choices = question.locator("input[type=radio]")
    if choices.count():
        choices.first.check()
        return
    boxes = question.locator("input[type=text], textarea")
    if boxes.count() == 3:
        for box, part in zip(boxes.all(), ("22", "11", "2026"), strict=True):
            box.fill(part)
    else:
        boxes.first.fill("1" if boxes.first.get_attribute("inputmode") == "numeric" else words)
