"""The same path with the keyboard alone, without scripts, and for whoever has several forms open or comes back to one."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Look
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
from tests.chromium import watched


def tabbed_to(page: Page, selector: str) -> None:
    """Press Tab until what the selector names has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.locator(selector).evaluate_all("(all) => all.includes(document.activeElement)"):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def test_the_keyboard_alone_orders_answers_and_sends(page: Page, service: str) -> None:
    card = ordered(page, service, DERBY)

    tabbed_to(page, "article a[target=_blank]")
    with page.context.expect_page() as launched:
        page.keyboard.press("Enter")
    form = launched.value
    form.wait_for_load_state()
    tabbed_to(form, "input[type=radio]")
    form.keyboard.press("ArrowDown")
    expect(form.get_by_label(OPPOSITE_BREAST)).to_be_checked()
    tabbed_to(form, "button[value=continue]")
    form.keyboard.press("Enter")
    expect(form.get_by_role("heading", level=1)).to_contain_text(EARLIER_OPERATIONS)
    tabbed_to(form, "input[type=text]")
    form.keyboard.type("0")
    form.keyboard.press("Enter")
    expect(form.get_by_role("heading", level=1)).to_have_text("Check your answers")
    tabbed_to(form, "button[value=submit]")
    form.keyboard.press("Space")

    expect(form.get_by_role("heading", level=1)).to_have_text("Answers sent")
    expect(card.locator("h3")).to_contain_text("eligible, as part of breast reconstruction")


def test_without_scripts_everything_works_by_its_buttons(chromium: Browser, service: str) -> None:
    with watched(chromium, java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{service}/try?patient={DERBY['patient']}&order={DERBY['order']}")
        page.get_by_role("button", name="Call the hook").click()
        form = opened(page.locator("article"), "Answer 2 questions")
        answered(form, PURPOSE, OPPOSITE_BREAST)
        answered(form, EARLIER_OPERATIONS, "0")
        submitted(form)
        expect(form.get_by_role("heading", level=1)).to_have_text("Answers sent")
        page.reload()
        expect(page.locator("article h3")).to_contain_text("eligible, as part of breast reconstruction")

        page.goto(f"{service}/try?patient={NOT_FUNDED['patient']}&order={NOT_FUNDED['order']}")
        page.get_by_role("button", name="Call the hook").click()
        request = opened(page.locator("article"), "Request individual funding")
        completed(request, "As the record shows.")
        submitted(request)
        request.get_by_role("link", name="See and print the request").click()
        expect(request.get_by_text("As the record shows.").first).to_be_visible()


def test_a_reload_loses_nothing_and_two_forms_side_by_side_stay_apart(
    page: Page, service: str, look: Look
) -> None:
    card = ordered(page, service, DERBY)
    first = opened(card, "Answer 2 questions")
    second = opened(card, "Answer 2 questions")
    answered(first, PURPOSE, OPPOSITE_BREAST)
    answered(second, PURPOSE, "Yes: both breasts")

    for form in (first, second):
        form.reload()
        expect(form.get_by_role("heading", level=1)).to_contain_text(EARLIER_OPERATIONS)

    expect(first.locator("main")).to_contain_text("opposite breast")
    expect(first.locator("main")).not_to_contain_text("both breasts")
    expect(second.locator("main")).to_contain_text("both breasts")
    second.goto(f"{service}/form/of-somebody-else")
    expect(second.get_by_role("heading", level=1)).to_have_text("The form cannot be opened")
    look(second, "trouble")
