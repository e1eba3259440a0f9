"""The order-entry screen in Chromium: the hook called from the page, its cards drawn, and asked again after a form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, expect

from cds_service.web.card_markdown import as_html
from tests.chromium import chromium, page
from tests.running_service import ROOT, running_service

__all__ = ["chromium", "page"]

UNDETERMINED = (
    "/try?patient=derby-after-mastectomy&order=derby-undetermined-asks-two-questions&hook=order-select"
)
NOT_FUNDED = "/try?patient=derby-no-cancer&order=derby-not-normally-funded&hook=order-sign"
OVERLAID = "/try?patient=lancashire-skin-tag&order=lancashire-with-overlay-suggests-community&hook=order-sign"
PAGES = ("/", "/?q=none", "/policies/derby-mastopexy", "/policies/centene-cosmetic-reconstructive",
         "/policies/derby-mastopexy/cases", "/try", UNDETERMINED, NOT_FUNDED, OVERLAID)  # fmt: skip


@dataclass(frozen=True)
class Service:
    """A running service's address."""

    url: str


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with a deployer's overlay, so that there is a suggestion."""
    plans = (ROOT / "plans", ROOT / "fhir_fixtures" / "overlays")
    with running_service(tmp_path_factory.mktemp("browser") / "decisions.db", plans=plans) as url:
        yield Service(url)


def opened(page: Page, url: str) -> None:
    """Go to the screen, and wait until the hook was answered."""
    page.goto(url)
    expect(page.locator("#hook-status")).to_contain_text("answered with")


def test_the_page_calls_the_hook_and_draws_the_card(page: Page, running: Service) -> None:
    opened(page, running.url + UNDETERMINED)

    card = page.locator("article")
    expect(card.locator("h3")).to_contain_text("2 questions to settle")
    expect(card.locator("ol > li")).to_have_count(2)
    expect(page.locator("#hook-status")).to_contain_text("order-select was answered with 200 in")
    expect(page.locator("#request-json")).to_contain_text('"prefetch"')
    expect(page.locator("#response-json")).to_contain_text('"uuid"')
    expect(page.get_by_role("button", name="Call the hook")).to_be_hidden()


def test_with_and_without_scripts_the_card_says_the_same(
    chromium: Browser, page: Page, running: Service
) -> None:
    opened(page, running.url + UNDETERMINED)
    plain = chromium.new_context(java_script_enabled=False).new_page()
    plain.goto(running.url + UNDETERMINED)
    plain.get_by_role("button", name="Call the hook").click()

    for part in ("h3", ".app-card__detail"):
        drawn, rendered = (each.locator(f"article {part}").inner_html() for each in (page, plain))
        assert "".join(drawn.split()) == "".join(rendered.split())
    plain.context.close()


@pytest.mark.parametrize(
    "text",
    [
        "<img src=x onerror=alert(1)> **b** \\*c\\*",
        "[a](javascript:alert(1)) [b](https://b.example/?c=d&e=f)",
        "- a\n- **b** [c](http://c.example)",
        "1. a\n2. \\<b\\>",
        "a\n- b",
        "**a\\*b** ** c **",
    ],
)
def test_the_script_draws_markdown_as_the_server_does(page: Page, running: Service, text: str) -> None:
    page.goto(running.url + "/try")

    drawn = page.evaluate(
        "async (text) => { const { markdown } = await import(document.querySelector('script[src]').src);"
        " const box = document.createElement('div'); box.append(...markdown(text)); return box.innerHTML }",
        text,
    )
    parsed = page.evaluate(
        "(html) => new DOMParser().parseFromString(html, 'text/html').body.innerHTML", str(as_html(text))
    )

    assert drawn.replace("\n", "") == parsed.replace("\n", "")


def test_a_card_full_of_script_runs_nothing(page: Page, running: Service) -> None:
    attack = '<script>document.title = "run"</script><img src=x onerror="document.title = \'run\'">'
    card = {
        "uuid": "c",
        "summary": attack,
        "detail": f"{attack}\n\n[{attack}](javascript:document.title)",
        "indicator": "info",
        "source": {"label": attack, "url": "javascript:document.title"},
        "links": [{"label": attack, "url": "javascript:document.title", "type": "absolute"}],
        "suggestions": [{"label": attack, "uuid": "s", "actions": []}],
        "overrideReasons": [{"code": "a", "system": "b", "display": attack}],
    }
    page.route("**/cds-services/procedure-funding", lambda route: route.fulfill(json={"cards": [card]}))

    opened(page, running.url + UNDETERMINED)

    expect(page.locator("article h3")).to_have_text(attack)
    assert page.locator("article img, article script").count() == 0
    assert page.locator("a[href^=javascript]").count() == 0
    assert page.title() != "run"


def test_a_suggestion_that_is_taken_changes_the_order_and_the_hook_is_called_again(
    page: Page, running: Service
) -> None:
    told: list[str] = []
    page.on(
        "request", lambda request: told.append(request.post_data or "") if "feedback" in request.url else None
    )
    opened(page, running.url + OVERLAID)
    suggestion = page.locator("article .app-buttons button").first
    label = suggestion.inner_text()
    before = page.locator("#request-json").text_content() or ""

    suggestion.click()

    expect(page.locator("#cards")).to_contain_text("No cards")
    after = page.locator("#request-json").text_content() or ""
    assert label
    assert before.count("Example hospital") > after.count("Example hospital")
    assert '"accepted"' in told[0]


def test_a_reason_to_go_on_all_the_same_is_passed_on(page: Page, running: Service) -> None:
    sent: list[str] = []

    def received(route: Route) -> None:
        sent.append(route.request.post_data or "")
        route.fulfill(status=200, body="")

    page.route("**/feedback", received)
    opened(page, running.url + NOT_FUNDED)

    page.locator("article summary").click()
    page.get_by_label("Reason").select_option(label="The patient has declined")
    page.get_by_role("button", name="Go on all the same").click()

    expect(page.locator("article")).to_contain_text("The reason was passed on.")
    assert '"outcome":"overridden"' in sent[0]
    assert '"code":"patient-refuses"' in sent[0]


def test_a_smart_link_is_launched_as_an_ehr_does_and_the_hook_is_called_again_afterwards(
    page: Page, running: Service
) -> None:
    calls = 0

    def answered(route: Route) -> None:
        nonlocal calls
        calls += 1
        link = {
            "label": "Answer 2 questions",
            "url": f"{running.url}/try",
            "type": "smart",
            "appContext": "handle-1",
        }
        extension = {"cds-service.determination": {"order": "ServiceRequest/mastopexy-1"}}
        card = {"uuid": "c", "summary": f"Call {calls}", "indicator": "info", "source": {"label": "s"}}
        route.fulfill(json={"cards": [{**card, "links": [link], "extension": extension}]})

    page.route("**/cds-services/procedure-funding", answered)
    opened(page, running.url + UNDETERMINED)

    with page.context.expect_page() as form:
        page.get_by_role("link", name="Answer 2 questions").click()
    form.value.wait_for_url("**/try?iss=*")
    assert "launch=" in form.value.url
    form.value.evaluate("new BroadcastChannel('procedure-funding').postMessage('answered')")

    expect(page.locator("article h3")).to_have_text("Call 2")


def test_from_an_open_order_through_the_form_to_an_eligible_card(page: Page, running: Service) -> None:
    opened(page, running.url + "/try?patient=derby-after-mastectomy&order=order-B31.3&hook=order-select")
    with page.context.expect_page() as launched:
        page.locator("article").get_by_role("link", name="Answer 2 questions").click()
    form = launched.value.locator("main")

    form.get_by_label("Yes: the opposite breast, to match").check()
    form.get_by_role("button", name="Continue").click()
    form.get_by_role("textbox").fill("0")
    form.get_by_role("button", name="Continue").click()
    form.get_by_role("button", name="Submit answers").click()

    expect(form.locator("h1")).to_have_text("Answers sent")
    expect(page.locator("article h3")).to_contain_text("eligible, as part of breast reconstruction")


def test_a_service_that_cannot_be_reached_is_said(page: Page, running: Service) -> None:
    page.route("**/cds-services", lambda route: route.abort())

    page.goto(running.url + UNDETERMINED)

    expect(page.locator("#hook-status")).to_have_text("The service could not be reached.")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_nothing_that_axe_finds_and_nothing_to_scroll_sideways(
    page: Page, running: Service, path: str
) -> None:
    page.goto(running.url + path)
    page.wait_for_load_state("networkidle")
    too_wide = {}
    for width in (1200, 320):
        page.set_viewport_size({"width": width, "height": 900})
        too_wide[width] = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )

    found = Axe().run(page)

    assert too_wide == {1200: 0, 320: 0}
    assert [each["id"] for each in found.response["violations"]] == []


def test_an_order_is_placed_with_the_keyboard_alone(page: Page, running: Service) -> None:
    page.goto(running.url + "/try")
    page.get_by_label("Patient", exact=True).focus()
    for _ in range(20):
        if page.evaluate("document.activeElement.textContent") == "Sign the order":
            break
        page.keyboard.press("Tab")

    page.keyboard.press("Enter")

    expect(page.locator("#hook-status")).to_contain_text("order-sign was answered with 200")
