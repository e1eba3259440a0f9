"""The pages that cards link to: the policy library, and each policy as a person reads it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from fastapi.testclient import TestClient

from cds_service.app import create_app
from cds_service.settings import Settings
from tests.hook_requests import everything_read, hook_request
from tests.plan_folders import boolean, rule, write_plan

ROOT = Path(__file__).parents[2]
POLICIES = sorted(path.parent.name for path in (ROOT / "plans").glob("*/PlanDefinition-*.json"))
TODAY = datetime(2026, 11, 22, 12, tzinfo=UTC)


def said(page: str) -> str:
    """What a page says, without its elements, in single spaces."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.fixture
def versions(tmp_path: Path) -> Iterator[TestClient]:
    """Three versions of one policy: ended, in force, and to come. The last asks more."""
    rules = [rule("small", "eligible", "%small"), rule("otherwise", "not-normally-funded")]
    strict = [rule("small", "eligible", "%small and %sore"), rules[1]]
    periods = {
        "1": ("2020-01-01", "2024-12-31"),
        "2": ("2025-01-01", "2026-12-31"),
        "3": ("2027-01-01", None),
    }
    for version, (start, end) in periods.items():
        period = {"start": start} | ({"end": end} if end else {})
        criteria = [boolean("small"), *([boolean("sore")] if version == "3" else [])]
        write_plan(
            tmp_path / version,
            "knee",
            strict if version == "3" else rules,
            criteria,
            commissioner=None,
            version=version,
            effectivePeriod=period,
        )
    shutil.copy(ROOT / "plans" / "organizations.json", tmp_path / "1")
    plans = tuple(tmp_path / version for version in periods)
    settings = Settings(plans=plans, database_url=f"sqlite:///{tmp_path / 'd.db'}")
    with TestClient(create_app(settings, lambda: TODAY)) as client:
        yield client


def test_the_library_lists_every_policy_under_its_funder(client: TestClient) -> None:
    page = client.get("/")

    assert page.status_code == 200
    assert page.text.count('href="/policies/') == client.get("/readyz").json()["policies"]
    funders = re.findall(r"<h2>(.+)</h2>", page.text)
    assert funders[0] == "Centene health plans"
    assert funders.index("National advice") == len(funders) - 2
    assert "in force from 1 March 2020" in said(page.text)


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("B31.3", ["central-east-breast-asymmetry", "derby-mastopexy"]),
        ("b313", ["central-east-breast-asymmetry", "derby-mastopexy"]),
        ("B31", []),
        ("15830", ["centene-cosmetic-reconstructive"]),
        ("mastopexy derbyshire", ["derby-mastopexy"]),
        ("Abdominoplasty", ["centene-cosmetic-reconstructive"]),
        ("hernia", []),
        ("  ", POLICIES),
    ],
)
def test_the_library_is_searched_by_words_and_by_codes(
    client: TestClient, question: str, found: list[str]
) -> None:
    page = client.get("/", params={"q": question})

    assert sorted(re.findall(r'href="/policies/([\w-]+)', page.text)) == found


def test_what_was_searched_for_is_shown_as_text(client: TestClient) -> None:
    page = client.get("/", params={"q": '"><script>alert(1)</script>'})

    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text


def test_the_library_tells_policies_in_force_from_those_to_come_and_those_over(versions: TestClient) -> None:
    page = said(versions.get("/").text)

    assert "1, ended from 1 January 2020 to 31 December 2024" in page
    assert "2, in force from 1 January 2025" in page
    assert "3, upcoming from 1 January 2027" in page


def test_a_card_links_to_the_page_of_its_policy(client: TestClient) -> None:
    (card,) = client.post("/cds-services/procedure-funding", json=hook_request(**everything_read())).json()[
        "cards"
    ]

    page = client.get(card["source"]["url"].removeprefix("http://127.0.0.1:8000"))

    assert page.status_code == 200
    assert "000-S1.x1" in page.text
    assert "%breastCancer" in page.text


def test_a_policys_page_says_its_position_first_and_its_rules_in_words(client: TestClient) -> None:
    page = client.get("/policies/derby-mastopexy").text

    assert page.index("own position: not normally funded") < page.index('id="rules"')
    first_rule = said(
        page[page.index('id="symmetry-limit-reached"') : page.index('id="cancer-reconstruction"')]
    )
    assert "Individual funding request required when all of these hold:" in first_rule
    assert "Breast cancer or DCIS: yes" in first_rule
    assert "Earlier symmetry operations ≥ 1" in first_rule
    assert "%breastCancer" not in first_rule


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policys_page_shows_every_rule_clause_question_and_order_code(
    client: TestClient, policy: str
) -> None:
    folder = ROOT / "plans" / policy
    plan = json.loads((folder / f"PlanDefinition-{policy}.json").read_text())
    shown = said(client.get(f"/policies/{policy}").text)

    for action in plan["action"][0]["action"]:
        assert action["title"] in shown
        assert all(each["label"] in shown for each in action["documentation"])
    questionnaire = json.loads((folder / f"Questionnaire-{policy}.json").read_text())
    items = [item for item in questionnaire["item"] if item["type"] not in {"group", "display"}]
    assert items
    assert all(" ".join(item["text"].split()) in shown for item in items)
    orders = plan["action"][0]["input"][0]["codeFilter"][0]["valueSet"].rpartition("/")[2]
    value_set = json.loads((folder / f"ValueSet-{orders}.json").read_text())
    codes = [each["code"] for each in value_set["expansion"].get("contains", [])]
    assert all(code in shown for code in codes)


@pytest.mark.parametrize("policy", POLICIES)
def test_every_case_of_a_policy_is_on_its_page_of_cases(client: TestClient, policy: str) -> None:
    files = list((ROOT / "plans" / policy / "cases").glob("*.json"))

    page = client.get(f"/policies/{policy}/cases").text

    assert page.count("<h2") == len(files)


def test_a_case_says_what_is_known_and_what_must_come_of_it(client: TestClient) -> None:
    page = said(client.get("/policies/derby-mastopexy/cases").text)

    assert "Known on 22 November 2026 Order: B31.3 Conditions in the record: 254837009" in page
    assert "Not yet decided: eligible or individual funding request required or not normally funded" in page


def test_the_version_for_todays_orders_is_shown_unless_another_is_asked_for(versions: TestClient) -> None:
    today, next_one = (said(versions.get(f"/policies/knee{query}").text) for query in ("", "?version=3"))

    assert "2, in force" in today
    assert "3, upcoming" in next_one


def test_the_history_says_what_changes_between_versions(versions: TestClient) -> None:
    page = said(versions.get("/policies/knee").text)

    assert "Version 1 , from 1 January 2020" in page
    assert "What changed between versions 3 and 2" in page
    assert "eligible (small) → not-normally-funded (otherwise)" in page
    assert "What changed between versions 1 and 2" in page
    assert "DECIDED DIFFERENTLY never" in page


def test_a_version_that_is_not_in_use_has_no_page(versions: TestClient) -> None:
    assert versions.get("/policies/knee?version=4").status_code == 404


def test_what_a_deployer_laid_over_a_policy_is_named(tmp_path: Path) -> None:
    overlays = ROOT / "fhir_fixtures" / "overlays"
    settings = Settings(plans=(ROOT / "plans", overlays), database_url=f"sqlite:///{tmp_path / 'd.db'}")

    with TestClient(create_app(settings, lambda: TODAY)) as client:
        changed = said(client.get("/policies/lancashire-minor-plastic-surgery").text)
        unchanged = said(client.get("/policies/derby-mastopexy").text)

    assert (
        "Changed locally Bundle-communityProviders.json, ValueSet-lancashire-minor-plastic-procedures.json"
        in changed
    )
    assert "Changed locally" not in unchanged


def test_a_policys_page_shows_its_diagram(client: TestClient) -> None:
    page = client.get("/policies/derby-mastopexy")
    picture = client.get("/policies/derby-mastopexy/diagram.svg?version=2.0.0")

    assert 'src="/policies/derby-mastopexy/diagram.svg?version=2.0.0"' in page.text
    assert picture.headers["content-type"] == "image/svg+xml"
    assert ET.fromstring(picture.text).tag.endswith("svg")  # noqa: S314  our own picture


@pytest.mark.parametrize(
    "path", ["/policies/none", "/policies/none/diagram.svg", "/policies/none/cases", "/policies/../etc", "/static/no.css"]
)  # fmt: skip
def test_what_is_not_there_has_no_page(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    "path", ["/", "/policies/derby-mastopexy", "/policies/derby-mastopexy/cases", "/policies/derby-mastopexy/diagram.svg"]
)  # fmt: skip
def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    page = client.get(path)

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    assert "<script" not in page.text
    assert " style=" not in page.text


@pytest.mark.parametrize("path", ["/", "/policies/derby-mastopexy", "/try"])
def test_a_file_that_a_page_loads_is_kept_by_its_content(client: TestClient, path: str) -> None:
    urls = re.findall(r'(?:href|src)="(/static/[^"]+)"', client.get(path).text)

    loaded = [client.get(url) for url in urls]

    assert loaded
    assert all("immutable" in each.headers["cache-control"] for each in loaded)
    again = client.get(urls[0], headers={"If-None-Match": loaded[0].headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.get(urls[0].partition("?")[0]).headers["cache-control"] == "no-cache"
