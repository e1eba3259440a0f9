"""The pages in a browser: axe, the keyboard, a phone's width, with scripts and without."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import parse_qs

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from cds_service.web.form_pages import FormView, PolicyLine, form_page
from cds_service.web.forms import answered, form_fields
from tests.web.conftest import HOST, Show, shown
from tests.web.sample_pages import derby, every_page, form_of, response, whole_form

PAGES = every_page()
PHONE = 320  # CSS pixels


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_and_nothing_is_forbidden_or_too_wide_for_a_phone(name: str, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.set_viewport_size({"width": PHONE, "height": 640})

    shown(page, PAGES[name])

    assert Axe().run(page).response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE
    assert page.locator("h1").count() == 1
    assert said == []


def test_the_problems_have_the_focus_and_lead_to_their_questions(show: Show) -> None:
    page = show(PAGES["whole form with problems"])

    expect(page.locator(".nhsuk-error-summary")).to_be_focused()
    expect(page).to_have_title("Error: Funding questions – Procedure funding")
    page.get_by_role("link", name="Earlier symmetry operations").press("Enter")
    expect(page.get_by_role("textbox", name="How many operations to match")).to_be_focused()


def test_the_skip_link_comes_first_and_leads_past_the_header(show: Show) -> None:
    page = show(whole_form())

    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to main content")).to_be_focused()
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"


@pytest.fixture
def without_scripts(chromium: Browser) -> Iterator[Page]:
    """A page in a browser that runs no script."""
    context = chromium.new_context(java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_without_scripts_the_keyboard_alone_answers_and_sends_a_question(without_scripts: Page) -> None:
    page = shown(without_scripts, PAGES["one question"])

    page.get_by_role("radio", name="Yes: both breasts").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Continue", exact=True).last).to_be_focused()
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.keyboard.press("Enter")

    body = parse_qs(sent.value.post_data or "")
    assert body["asked"] == ["q:reconstructionPurpose"]
    assert body["do"] == ["continue"]
    assert body["q:reconstructionPurpose"][0].endswith("|both-breasts")


def test_without_scripts_a_button_updates_the_questions(without_scripts: Page) -> None:
    page = shown(without_scripts, whole_form())

    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Update questions").click()

    assert parse_qs(sent.value.post_data or "")["do"] == ["update"]


def test_the_enter_key_in_a_box_continues(show: Show) -> None:
    page = show(PAGES["a number"])

    page.get_by_label("How many operations to match").first.fill("2")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.keyboard.press("Enter")

    assert parse_qs(sent.value.post_data or "")["do"] == ["continue"]


def _served(page: Page) -> list[dict[str, list[str]]]:
    """A server of two questions, the second asked only after a yes; gives the posts that it gets."""
    posts: list[dict[str, list[str]]] = []
    form = form_of(
        {
            "resourceType": "Questionnaire",
            "item": [
                {"linkId": "a", "type": "boolean", "text": "Is it so?"},
                {"linkId": "b", "type": "string", "text": "Why?"},
            ],
        }
    )
    decided = derby()[2]

    def html(body: dict[str, list[str]]) -> str:
        read = answered(form, response(), body).response
        yes = {"linkId": "a", "answer": [{"valueBoolean": True}]} in read.get("item", [])
        fields = form_fields(form, read, {"a", "b"} if yes else {"a"})
        return form_page(
            FormView(
                "Two questions",
                "Example",
                PolicyLine("Example"),
                fields,
                "/form",
                whole=True,
                verdict=decided,
            )
        )

    def answer(route: Route) -> None:
        body = parse_qs(route.request.post_data or "", keep_blank_values=True)
        posts.append(body)
        route.fulfill(body=html(body), content_type="text/html; charset=utf-8")

    shown(page, html({}))
    page.route(f"{HOST}/form", answer)
    return posts


def test_with_scripts_a_changed_answer_shows_the_questions_that_follow_and_says_so(page: Page) -> None:
    posts = _served(page)
    expect(page.get_by_role("button", name="Update questions")).to_be_hidden()

    page.get_by_role("radio", name="Yes").check()

    expect(page.get_by_label("Why?")).to_be_visible()
    expect(page.locator("#said")).to_contain_text("The questions have changed.")
    expect(page.get_by_role("radio", name="Yes")).to_be_focused()
    assert posts[0]["do"] == ["update"]

    page.get_by_role("radio", name="No", exact=True).check()

    expect(page.get_by_label("Why?")).to_have_count(0)


def test_what_is_typed_while_an_answer_is_on_its_way_is_not_lost(page: Page) -> None:
    _served(page)
    page.get_by_role("radio", name="Yes").check()
    page.get_by_label("Why?").fill("because")

    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"{HOST}/form", hold)

    with page.expect_request(f"{HOST}/form"):
        page.get_by_label("Why?").blur()
    page.get_by_label("Why?").press("End")
    page.get_by_label("Why?").press_sequentially(" of this")
    with page.expect_response(f"{HOST}/form"):
        held[0].fallback()

    expect(page.get_by_label("Why?")).to_have_value("because of this")


def test_the_page_that_opened_the_form_hears_that_it_is_done(page: Page) -> None:
    shown(page, PAGES["trouble"])
    page.evaluate(
        "void (window.heard = new Promise(tell => { new BroadcastChannel('procedure-funding').onmessage = e => tell(e.data) }))"
    )
    other = page.context.new_page()
    shown(other, PAGES["done"])

    assert page.evaluate("window.heard") == {"done": "f1"}


def test_a_document_prints_without_what_is_only_for_the_screen(show: Show) -> None:
    page = show(PAGES["document"])
    page.emulate_media(media="print")

    expect(page.get_by_role("banner")).to_be_hidden()
    expect(page.get_by_role("link", name="Download as FHIR")).to_be_hidden()
    expect(page.get_by_role("heading", name="Statement")).to_be_visible()
