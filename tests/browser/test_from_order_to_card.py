"""The whole path in a browser: an order, an open card, the form, its answers, and the card that follows."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import SCREENSHOTS, Look
from tests.browser.walking import (
    DERBY,
    EARLIER_OPERATIONS,
    NOT_FUNDED,
    OPPOSITE_BREAST,
    PURPOSE,
    answered,
    completed,
    opened,
    ordered,
    submitted,
)

SCRIPT = "<script>document.title = 'run'</script><img src=x onerror=\"document.title = 'run'\">"
CENTRAL_EAST = {
    "patient": "east-asymmetry",
    "order": "central-east-undetermined-without-a-reason",
}
CENTENE = {
    "patient": "us-centene-medicaid",
    "order": "centene-undetermined-panniculectomy-asks-about-function",
}


def test_derby_asks_two_questions_and_says_eligible(page: Page, service: str, look: Look) -> None:
    card = ordered(page, service, DERBY)
    expect(card.locator("h3")).to_contain_text("2 questions to settle")
    look(page, "derby-1-open-card")

    form = opened(card, "Answer 2 questions")
    look(form, "derby-2-first-question")
    form.get_by_role("link", name="See all questions").click()
    look(form, "derby-3-whole-form")
    form.get_by_role("link", name="One question at a time").click()
    answered(form, PURPOSE, OPPOSITE_BREAST)
    expect(form.locator("main")).to_contain_text("Question 2 of at most 2")
    look(form, "derby-4-second-question")
    answered(form, EARLIER_OPERATIONS, "many")
    expect(form.get_by_role("alert")).to_contain_text("There is a problem")
    look(form, "derby-5-problem")
    answered(form, EARLIER_OPERATIONS, "0")
    look(form, "derby-6-review")
    submitted(form)
    expect(form.get_by_role("heading", level=1)).to_have_text("Answers sent")
    look(form, "derby-7-sent")

    expect(card.locator("h3")).to_have_text(
        "Mastopexy: eligible, as part of breast reconstruction after breast cancer"
    )
    look(page, "derby-8-eligible-card")


@pytest.mark.parametrize(
    ("story", "questions", "answers", "summary"),
    [
        pytest.param(
            CENTRAL_EAST,
            "Answer 4 questions",
            [
                ("What is this breast operation mainly for?", "After breast cancer or its treatment"),
                ("Is this operation a stage of", "Yes"),
            ],
            "eligible",
            id="Central East",
        ),
        pytest.param(
            CENTENE,
            "Answer 5 questions",
            [
                ("Is the function of an abnormal body part impaired", "Yes"),
                ("What made the body part abnormal?", "Illness, infection or tumor"),
                ("Has treatment without surgery been tried?", "Tried, and failed"),
                ("Are the medical records that support this request attached?", "Yes"),
                ("Are photographs attached?", "Attached"),
            ],
            "medical necessity criteria met",
            id="Centene",
        ),
    ],
)
def test_answers_settle_an_open_card_of_another_funder(
    page: Page,
    service: str,
    look: Look,
    story: dict[str, str],
    questions: str,
    answers: list[tuple[str, str]],
    summary: str,
) -> None:
    card = ordered(page, service, story)
    form = opened(card, questions)
    name = story["patient"]

    for question, answer in answers:
        answered(form, question, answer)
    look(form, f"{name}-review")
    submitted(form)

    expect(form.get_by_role("heading", level=1)).to_have_text("Answers sent")
    expect(card.locator("h3")).to_contain_text(summary)
    look(page, f"{name}-card")


def test_what_is_not_funded_becomes_a_request_that_shows_script_as_text(
    page: Page, service: str, look: Look
) -> None:
    card = ordered(page, service, NOT_FUNDED)
    look(page, "request-1-card")

    form = opened(card, "Request individual funding")
    look(form, "request-2-form")
    completed(form, SCRIPT)
    expect(form.get_by_role("heading", level=1)).to_have_text("Check your answers")
    look(form, "request-3-review")
    submitted(form)
    expect(form.get_by_role("heading", level=1)).to_have_text("Request complete")
    look(form, "request-4-complete")
    form.get_by_role("link", name="See and print the request").click()
    look(form, "request-5-document")
    form.emulate_media(media="print")
    form.screenshot(path=SCREENSHOTS / "request-6-printed.png", full_page=True)

    expect(form.get_by_role("banner")).to_be_hidden()
    expect(form.get_by_text(SCRIPT).first).to_be_visible()
    assert form.title() != "run"
