"""The order-entry screen, as a browser without scripts uses it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import cmarkgfm
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from cds_service.app import create_app
from cds_service.development.fixtures import read_fixtures
from cds_service.hooks.markdown import escaped
from cds_service.settings import Settings
from cds_service.web.card_markdown import as_html
from cds_service.web.try_pages import story_url

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fhir_fixtures"
FOUND = read_fixtures(FIXTURES)
assert FOUND is not None
STORIES = FOUND.stories
ORDER = {"patient": "derby-after-mastectomy", "order": "order-B31.3", "hook": "order-select"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = Settings(
        plans=(ROOT / "plans",),
        database_url=f"sqlite:///{tmp_path_factory.mktemp('try') / 'decisions.db'}",
        fixtures=FIXTURES,
    )
    with TestClient(create_app(settings, lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))) as client:
        yield client


def request_shown(page: str) -> Any:
    """The request that the screen shows as JSON."""
    found = re.search(r'id="request-json"[^>]*>(.*?)</pre>', page, re.DOTALL)
    assert found
    return json.loads(unescape(found[1]))


def headings(page: str) -> list[str]:
    """The summaries of the cards."""
    return [unescape(each) for each in re.findall(r'<article class="app-card[^>]*>\s*<h3>(.*?)</h3>', page)]


def test_the_screen_offers_every_patient_with_who_pays_and_one_procedure_without_a_policy(
    service: TestClient,
) -> None:
    page = unescape(service.get("/try").text)

    assert page.count("Testpatient, born") == len(list((FIXTURES / "patients").glob("*.json")))
    assert "(derby-after-mastectomy), NHS Derby and Derbyshire" in page
    assert "(practice-outside-the-directory), Example practice outside the directory" in page
    assert "Mastopexy, left (OPCS-4 B31.3)" in page
    assert "(CPT 27447)" in page


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.id)
def test_a_story_ends_as_its_recorded_request_does(service: TestClient, story: Any) -> None:
    recorded = json.loads((FIXTURES / "hooks" / f"{story.id}.json").read_text())
    answer = service.post("/cds-services/procedure-funding", json=recorded).json()

    page = service.post(story_url(story)).text

    assert headings(page) == [card["summary"] for card in answer.get("cards", [])]
    assert story_url(story) in unescape(service.get("/try").text)


def test_what_is_chosen_stands_in_the_address_and_stays(service: TestClient) -> None:
    page = service.get("/try", params={**ORDER, "record": "read"}).text

    chosen = re.findall(r'<option[^>]*value="([^"]+)" selected>', page)
    assert chosen == ["derby-after-mastectomy", "order-B31.3", "read"]


@pytest.mark.parametrize(
    ("record", "names_server", "sends_prefetch"),
    [("sent", True, True), ("read", True, False), ("withheld", False, False)],
)
def test_the_record_is_sent_or_left_to_be_read_or_withheld(
    service: TestClient, record: str, names_server: bool, sends_prefetch: bool
) -> None:
    page = service.post("/try", params={**ORDER, "record": record}).text

    sent = request_shown(page)
    assert ("fhirServer" in sent, "prefetch" in sent) == (names_server, sends_prefetch)
    if sends_prefetch:
        assert sent["prefetch"]["patient"]["id"] == "derby-after-mastectomy"
    if record == "withheld":
        assert "answered with 412" in page
        assert "without the prefetch" in page


def test_a_form_that_was_written_for_the_order_is_in_the_next_call(service: TestClient) -> None:
    before = service.post("/try", params=ORDER).text
    form = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "https://funding-policies.example/fhir/Questionnaire/derby-mastopexy|2.0.0",
        "subject": {"reference": "Patient/derby-after-mastectomy"},
        "basedOn": [{"reference": "ServiceRequest/order-B31.3"}],
        "authored": "2026-11-22T11:00:00Z",
        "item": [
            {
                "linkId": "reconstructionPurpose",
                "answer": [
                    {
                        "valueCoding": {
                            "system": "https://funding-policies.example/fhir/CodeSystem/criteria",
                            "code": "none",
                        }
                    }
                ],
            }
        ],
    }

    service.post("/development/fhir/QuestionnaireResponse", json=form)
    after = service.post("/try", params=ORDER).text
    service.post("/try/forget")
    forgotten = service.post("/try", params=ORDER).text

    assert "2 questions to settle" in headings(before)[0]
    assert headings(after) == ["Mastopexy: not normally funded by NHS Derby and Derbyshire"]
    assert headings(forgotten) == headings(before)


@pytest.mark.parametrize("name", ["patient", "order", "hook", "requester", "record"])
def test_what_is_not_on_the_screen_cannot_be_ordered(service: TestClient, name: str) -> None:
    assert service.get("/try", params={**ORDER, name: "<b>nobody</b>"}).status_code == 404


def test_a_call_without_an_order_leads_back_to_the_screen(service: TestClient) -> None:
    assert service.post("/try", follow_redirects=False).headers["location"] == "/try"


def test_the_screen_runs_no_script_but_its_own_file(service: TestClient) -> None:
    page = service.get("/try", params=ORDER)

    policy = page.headers["content-security-policy"]
    scripts = re.findall(r"<script([^>]*)>", page.text)
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert all("src=" in each or 'type="application/json"' in each for each in scripts)
    assert not re.search(r"\son\w+=| style=", page.text)


def test_the_requests_data_block_cannot_be_ended_from_inside(tmp_path: Path) -> None:
    name = "</script><!-- & -->"
    for folder in ("patients", "hooks"):
        (tmp_path / folder).mkdir()
    shutil.copy(FIXTURES / "patients" / "us-patient.json", tmp_path / "patients")
    told = json.loads((FIXTURES / "hooks" / "us-order-in-no-plan.json").read_text())
    told["context"]["draftOrders"]["entry"][0]["resource"]["code"]["text"] = name
    (tmp_path / "hooks" / "attack.json").write_text(json.dumps(told))
    settings = Settings(
        plans=(ROOT / "plans",), database_url=f"sqlite:///{tmp_path / 'd.db'}", fixtures=tmp_path
    )

    with TestClient(create_app(settings)) as client:
        page = client.get("/try", params={"patient": "us-patient", "order": "attack"}).text

    block = page.partition('id="hook-body">')[2].partition("</script>")[0]
    draft = json.loads(block)["context"]["draftOrders"]["entry"][0]["resource"]
    assert draft["code"]["text"] == name
    assert not set("<>&") & set(block)


def normal(html: str) -> str:
    """HTML with what does not count left out: space between elements, quotation marks written out."""
    spaced = re.sub(r"\s*(</?(?:p|ul|ol|li)>)\s*", r"\1", str(html).strip())
    return (
        re.sub(r'<ol start="\d+">', "<ol>", spaced)
        .replace("&quot;", '"')
        .replace("&#34;", '"')
        .replace("&#39;", "'")
    )


@pytest.mark.parametrize("file", sorted((FIXTURES / "hooks").glob("*.json")), ids=lambda file: file.stem)
def test_the_details_of_our_cards_look_as_github_draws_them(service: TestClient, file: Path) -> None:
    answer = service.post("/cds-services/procedure-funding", json=json.loads(file.read_text())).json()

    for card in answer.get("cards", []):
        assert normal(as_html(card["detail"])) == normal(
            cmarkgfm.github_flavored_markdown_to_html(card["detail"])
        )


PIECES = (
    st.lists(
        st.one_of(
            st.text("ab <>&\"'.", min_size=1, max_size=8).map(escaped),
            st.text("ab ", min_size=1, max_size=5).map(lambda text: f"**{escaped(text) or 'b'}**"),
            st.text("ab ", min_size=1, max_size=5).map(
                lambda text: f"[{escaped(text) or 'l'}](https://a.example/b?c=d&e=f)"
            ),
        ),
        min_size=1,
        max_size=5,
    )
    .map(" ".join)
    .filter(str.strip)
)


@given(
    st.lists(
        st.one_of(PIECES, PIECES.map(lambda text: f"- {text}\n- b"), PIECES.map(lambda text: f"1. {text}"))
    )
)
def test_what_our_cards_can_say_looks_as_github_draws_it(blocks: list[str]) -> None:
    # Between two lists of one kind Markdown sees no end of the first; our cards never have them.
    markdown = "\n\nand\n\n".join(block.strip() for block in blocks if block.strip())

    assert normal(as_html(markdown)) == normal(cmarkgfm.github_flavored_markdown_to_html(markdown))


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[a](javascript:alert(1))",
        "[a](javascript:alert)",
        "[a](data:text/html,a)",
        '[a](https://a.example/"onclick="alert(1))',
        "![a](https://a.example/picture.png)",
        "<img src=x onerror=alert(1)>",
        "**<b>**",
        "- <i>",
    ],
)
def test_no_text_becomes_an_element_of_its_own(text: str) -> None:
    html = as_html(text)

    assert set(re.findall(r"<(\w+)", html)) <= {"p", "ul", "li", "strong", "a"}
    assert set(re.findall(r"<\w+ ([\w-]+)=", html)) <= {"href"}
    assert all(url.startswith("https://") for url in re.findall(r'href="([^"]*)"', html))


def test_a_line_before_a_list_is_not_lost() -> None:
    assert as_html("a\n- b") == "<p>a\n- b</p>"


@given(st.text())
def test_whatever_the_text_only_our_elements_come_of_it(text: str) -> None:
    html = as_html(text)

    assert set(re.findall(r"<[^>]*>", html)) <= {
        *("<p>", "</p>", "<ul>", "</ul>", "<ol>", "</ol>", "<li>", "</li>", "<strong>", "</strong>", "</a>"),
        *(
            each
            for each in re.findall(r"<[^>]*>", html)
            if re.fullmatch(r'<a href="https?://[^"<>]+">', each)
        ),
    }
