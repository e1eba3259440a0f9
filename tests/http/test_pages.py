"""The pages that cards link to."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from fastapi.testclient import TestClient

from tests.hook_requests import everything_read, hook_request


def test_the_library_lists_every_policy(client: TestClient) -> None:
    page = client.get("/")

    assert page.status_code == 200
    assert page.text.count('href="/policies/') == client.get("/readyz").json()["policies"]


def test_a_card_links_to_the_page_of_its_policy(client: TestClient) -> None:
    (card,) = client.post("/cds-services/procedure-funding", json=hook_request(**everything_read())).json()[
        "cards"
    ]

    page = client.get(card["source"]["url"].removeprefix("http://127.0.0.1:8000"))

    assert page.status_code == 200
    assert "000-S1.x1" in page.text
    assert "%breastCancer" in page.text


def test_a_policys_page_shows_its_diagram(client: TestClient) -> None:
    page, picture = (
        client.get("/policies/derby-mastopexy"),
        client.get("/policies/derby-mastopexy/diagram.svg"),
    )

    assert 'src="/policies/derby-mastopexy/diagram.svg"' in page.text
    assert picture.headers["content-type"] == "image/svg+xml"
    assert ET.fromstring(picture.text).tag.endswith("svg")  # noqa: S314  our own picture


@pytest.mark.parametrize("path", ["/policies/none", "/policies/none/diagram.svg", "/policies/../etc"])
def test_a_policy_that_is_not_in_use_has_no_page(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("path", ["/", "/policies/derby-mastopexy", "/policies/derby-mastopexy/diagram.svg"])
def test_a_page_runs_nothing_and_loads_nothing_from_elsewhere(client: TestClient, path: str) -> None:
    page = client.get(path)

    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "<script" not in page.text
