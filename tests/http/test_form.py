"""The form that a card opens, from the card's link to the card that follows, as a browser goes through it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running_service import NOON, ROOT, running_service
from tests.web.posting import posted

HOOK = "/cds-services/procedure-funding"
TWO_QUESTIONS = "derby-undetermined-asks-two-questions"
NOT_FUNDED = "derby-not-normally-funded"
SCRIPT = "<script>document.title='owned'</script>"


@dataclass
class Clock:
    """Noon, and whatever a test adds."""

    passed: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return NOON + self.passed


@dataclass
class Ehr:
    """An EHR's user: orders in one place, opens forms in another."""

    browser: httpx.Client
    order: dict[str, Any]

    def cards(self) -> list[dict[str, Any]]:
        return list(self.browser.post(HOOK, json=self.order).raise_for_status().json()["cards"])

    def link(self, label: str) -> dict[str, str]:
        links = [link for card in self.cards() for link in card.get("links", ())]
        return next(link for link in links if link["label"].startswith(label))

    def launched(self, label: str, **other: str) -> httpx.Response:
        """The first page of the form that a card's link opens."""
        link = self.link(label)
        context = {
            "url": link["url"],
            "appContext": link["appContext"],
            "patient": self.order["context"]["patientId"],
        }
        return self.browser.get("/development/launch", params={**context, **other})

    def sent(self, page: httpx.Response, button: str = "continue", **answers: str) -> httpx.Response:
        """The page after this one; ``answers`` by linkId, a choice's by the end of its value."""
        fields = posted(page.text, button)
        for link_id, answer in answers.items():
            fields[f"q:{link_id}"] = [_value(page.text, f"q:{link_id}", answer)]
        return self.browser.post(page.url.copy_with(query=None), data=fields)


def _value(page: str, name: str, answer: str) -> str:
    """The value of the radio button whose value ends in the answer, else the answer itself."""
    values = [
        part.split('"', 1)[0] for part in page.split('value="') if f'name="{name}"' in part or name in part
    ]
    return next((each for each in values if each == answer or each.endswith(f"|{answer}")), answer)


def order(name: str) -> dict[str, Any]:
    """A hook request of the fixtures."""
    read: dict[str, Any] = json.loads((ROOT / "fhir_fixtures" / "hooks" / f"{name}.json").read_text())
    return read


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(tmp_path: Path, clock: Clock) -> Iterator[str]:
    with running_service(tmp_path / "form.db", clock) as url:
        yield url


@pytest.fixture
def ehr(url: str) -> Iterator[Ehr]:
    with httpx.Client(base_url=url, follow_redirects=True, timeout=60) as browser:
        yield Ehr(browser, order(TWO_QUESTIONS))


def outcome(card: dict[str, Any]) -> str | None:
    told: str | None = card["extension"]["cds-service.determination"].get("outcome")
    return told


def test_two_answers_turn_an_open_card_into_an_eligible_one(ehr: Ehr) -> None:
    first = ehr.launched("Answer 2 questions")
    second = ehr.sent(first, reconstructionPurpose="same-breast")
    review = ehr.sent(second, priorSymmetryOperations="0")
    done = ehr.sent(review, "submit")

    assert "Question 1 of at most 2" in first.text
    assert "Procedure, 27 March 2023" in first.text
    assert "Question 2 of at most 2" in second.text
    assert "Eligible" in review.text
    assert "Your answers are in the patient&#39;s record." in done.text
    assert [outcome(card) for card in ehr.cards()] == ["eligible"]


def test_the_form_in_the_record_says_where_each_answer_comes_from(ehr: Ehr) -> None:
    review = ehr.sent(
        ehr.sent(ehr.launched("Answer"), reconstructionPurpose="same-breast"), priorSymmetryOperations="0"
    )
    done = ehr.sent(review, "submit")

    form = ehr.browser.get(f"{done.url.path}/answers.json").json()

    origins = {
        item["linkId"]: part["valueCode"]
        for item in form["item"]
        for answer in item.get("answer", ())
        for extension in answer["extension"]
        for part in extension["extension"]
        if part["url"] == "source"
    }
    assert form["status"] == "completed"
    assert form["basedOn"] == [{"reference": "ServiceRequest/mastopexy-1"}]
    assert origins["breastCancer"] == "auto-server"
    assert origins["reconstructionPurpose"] == "manual"


def test_a_card_whose_questions_nobody_can_answer_goes_to_individual_review(ehr: Ehr) -> None:
    first = ehr.launched("Answer")
    second = ehr.sent(first, reconstructionPurpose="?")
    page = ehr.sent(second, **{"priorSymmetryOperations!unknown": "?"})
    ehr.sent(page, "submit")

    assert [outcome(card) for card in ehr.cards()] == ["ifr-required"]


def test_a_question_left_open_is_asked_again_and_nothing_is_lost_on_reload(ehr: Ehr) -> None:
    first = ehr.launched("Answer")
    unanswered = ehr.sent(first)
    second = ehr.sent(unanswered, reconstructionPurpose="same-breast")
    reloaded = ehr.browser.get(second.url)

    assert unanswered.status_code == 422
    assert "Choose an answer" in unanswered.text
    assert "Question 2 of at most 2" in reloaded.text
    assert "Yes: the breast that had the cancer" in reloaded.text


def test_the_whole_form_on_one_page_comes_to_the_same(ehr: Ehr) -> None:
    first = ehr.launched("Answer")
    whole = ehr.browser.get(first.url, params={"all": "1"})
    review = ehr.sent(whole, reconstructionPurpose="same-breast", priorSymmetryOperations="0")
    ehr.sent(review, "submit")

    assert [outcome(card) for card in ehr.cards()] == ["eligible"]


def test_a_request_for_individual_funding_becomes_a_document_and_is_never_prefilled_with_the_case(
    ehr: Ehr,
) -> None:
    ehr.order = order(NOT_FUNDED)

    page = ehr.launched("Request individual funding")
    fields = posted(page.text)

    assert page.status_code == 200
    assert "mastopexy" in page.text.lower()
    assert not any("exception" in name.lower() and any(values) for name, values in fields.items())


def test_another_browser_cannot_open_the_form(ehr: Ehr) -> None:
    page = ehr.launched("Answer")

    stranger = httpx.get(str(page.url))

    assert stranger.status_code == 410
    assert "not open in this browser" in stranger.text


def test_a_handle_that_was_changed_opens_nothing(ehr: Ehr) -> None:
    link = ehr.link("Answer")
    changed = link["appContext"][:-4] + "AAAA"

    page = ehr.launched("Answer", appContext=changed)

    assert page.status_code == 410
    assert "not a link that we gave" in page.text


def test_a_handle_is_good_for_an_hour(ehr: Ehr, clock: Clock) -> None:
    link = ehr.link("Answer")
    patient = ehr.order["context"]["patientId"]
    clock.passed = timedelta(minutes=61)

    page = ehr.browser.get(
        "/development/launch",
        params={"url": link["url"], "appContext": link["appContext"], "patient": patient},
    )

    assert page.status_code == 410
    assert "no longer good" in page.text


def test_the_handle_in_the_url_does_where_the_ehr_drops_the_app_context(ehr: Ehr) -> None:
    assert "Question 1 of" in ehr.launched("Answer", appContext="").text


def test_a_form_of_another_patient_does_not_open(ehr: Ehr) -> None:
    page = ehr.launched("Answer", patient="derby-no-cancer")

    assert page.status_code == 403
    assert "another patient" in page.text


def test_a_form_of_a_policy_that_is_gone_says_so(tmp_path: Path, ehr: Ehr, url: str) -> None:
    page = ehr.launched("Answer")
    left = tmp_path / "plans"
    left.mkdir()
    for name in ("central-east-breast-asymmetry", "ifr-request", "organizations.json"):
        (left / name).symlink_to(ROOT / "plans" / name)

    with running_service(tmp_path / "form.db", plans=(left,)) as without:
        cookies = {cookie.name: cookie.value or "" for cookie in ehr.browser.cookies.jar}
        gone = httpx.get(f"{without}{page.url.path}", cookies=cookies)

    assert gone.status_code == 410
    assert "no longer in force" in gone.text


@pytest.mark.parametrize(("characters", "status"), [(1_000_000, 422), (5_000_000, 413)])
def test_a_text_that_is_too_long_is_refused_on_a_page_and_what_was_there_is_kept(
    ehr: Ehr, characters: int, status: int
) -> None:
    ehr.order = order(NOT_FUNDED)
    page = ehr.launched("Request individual funding")
    fields = posted(page.text, "continue")
    name = re.findall('<textarea[^>]* name="([^"]*)"', page.text)[0]

    refused = ehr.browser.post(page.url.copy_with(query=None), data={**fields, name: ["x" * characters]})

    assert refused.status_code == status
    assert "</html>" in refused.text
    assert ehr.browser.get(page.url).status_code == 200


def test_script_in_an_answer_is_shown_as_text(ehr: Ehr) -> None:
    ehr.order = order(NOT_FUNDED)
    page = ehr.launched("Request individual funding")
    fields = posted(page.text, "update")
    names = re.findall('<textarea[^>]* name="([^"]*)"', page.text)
    assert names

    again = ehr.browser.post(
        page.url.copy_with(query=None), data={**fields, **{name: [SCRIPT] for name in names}}
    )

    assert SCRIPT not in again.text
    assert again.text.count("&lt;script&gt;") >= len(names)


def test_only_a_configured_ehr_may_show_the_form_in_a_frame(tmp_path: Path, ehr: Ehr) -> None:
    own_window = ehr.launched("Answer").headers["content-security-policy"]
    with running_service(tmp_path / "framed.db", frame_ancestors=("https://ehr.example",)) as url:
        stranger = httpx.get(f"{url}/form/none").headers["content-security-policy"]

    assert "frame-ancestors 'none'" in own_window
    assert "frame-ancestors https://ehr.example" in stranger
