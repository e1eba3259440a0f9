"""Search parameters against a slow reading of the specification's words."""

from __future__ import annotations

import unicodedata
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cds_service.errors import RequestError
from cds_service.fhir_api.artefacts import at_hand
from cds_service.fhir_api.search import Search, page_token, search_of, searchset
from cds_service.fhir_api.search_parameters import split, unescaped

SIGNS = "aAéÉe ,|\\$x"
WORDS = st.text(SIGNS, min_size=1, max_size=4)
RESOURCES = st.lists(
    st.fixed_dictionaries(
        {"title": WORDS, "version": WORDS, "url": WORDS},
        optional={"status": st.sampled_from(["active", "draft"])},
    ),
    max_size=6,
).map(
    lambda found: [
        {"resourceType": "ValueSet", "id": f"v{place}", "meta": {}, "status": "active", **each}
        for place, each in enumerate(found)
    ]
)


def escaped(value: str) -> str:
    r"""A value as a client writes it: a backslash before each of ``\ , | $``."""
    return "".join(f"\\{sign}" if sign in "\\,|$" else sign for sign in value)


def without_accents(value: str) -> str:
    """One sign after the other: its base, in lower case."""
    return "".join(unicodedata.normalize("NFD", sign)[0] for sign in value).lower()


def reads_as(name: str, value: str, resource: dict[str, Any]) -> bool:
    """What R4 says that a parameter matches, of one plain value."""
    plain, _, modifier = name.partition(":")
    found: str = resource[plain]
    if plain != "title" or modifier == "exact":
        return found == value
    one, other = without_accents(found), without_accents(value)
    return any(
        one[start : start + len(other)] == other
        for start in (range(len(one)) if modifier == "contains" else [0])
    )


def matches(search: Search, resources: list[dict[str, Any]]) -> list[str]:
    """The ids that a search finds, on its first page."""
    bundle = searchset(search, map(at_hand, resources), "http://x.example/fhir", "ValueSet")
    return [each["resource"]["id"] for each in bundle.get("entry", ()) if each["search"]["mode"] == "match"]


@given(
    RESOURCES,
    st.lists(
        st.tuples(
            st.sampled_from(["title", "title:exact", "title:contains", "version", "url", "status"]),
            st.lists(WORDS | st.just("active"), min_size=1, max_size=3),
        ),
        max_size=3,
    ),
)
def test_a_search_finds_what_any_alternative_of_every_parameter_matches(
    resources: list[dict[str, Any]], wanted: list[tuple[str, list[str]]]
) -> None:
    pairs = [(name, ",".join(escaped(value) for value in values)) for name, values in wanted]

    found = matches(search_of(pairs, strict=True), resources)

    assert found == [
        each["id"]
        for each in resources
        if all(any(reads_as(name, value, each) for value in values) for name, values in wanted)
    ]


@given(RESOURCES, st.integers(1, 4))
def test_the_pages_of_a_search_are_its_matches_in_their_order(
    resources: list[dict[str, Any]], count: int
) -> None:
    seen: list[str] = []
    offset = 0
    while offset <= len(resources):
        search = search_of([("_count", str(count)), ("_page", page_token(offset))], strict=True)
        seen += matches(search, resources)
        offset += count

    assert seen == [each["id"] for each in resources]


@given(st.lists(st.text(SIGNS, max_size=5), min_size=1, max_size=4))
def test_what_was_escaped_comes_back_whole(values: list[str]) -> None:
    written = ",".join(escaped(value) for value in values)

    assert [unescaped(part) for part in split(written, ",")] == values


@given(st.text(max_size=8) | st.integers(0, 999).map(page_token))
def test_a_page_is_ours_or_refused(token: str) -> None:
    assume(token)
    ours = token in {page_token(offset) for offset in range(1_000)}

    if ours:
        assert page_token(search_of([("_page", token)], strict=True).offset) == token
    else:
        with pytest.raises(RequestError, match=r"http\._page"):
            search_of([("_page", token)], strict=True)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("active", True),
        ("http://hl7.org/fhir/publication-status|active", True),
        ("http://hl7.org/fhir/publication-status|", True),
        ("http://hl7.org/fhir/publication-status|draft", False),
        ("|active", False),
        ("|", False),
        ("Active", False),
        ("http://other.example|active", False),
    ],
)
def test_a_status_is_a_code_of_its_system(value: str, found: bool) -> None:
    resource = {"resourceType": "ValueSet", "id": "v", "meta": {}, "status": "active"}

    assert bool(matches(search_of([("status", value)], strict=True), [resource])) is found


@pytest.mark.parametrize(
    ("value", "found"), [("1.0", True), ("|1.0", True), ("x|1.0", False), ("1", False), ("|", False)]
)
def test_a_version_is_a_token_without_system(value: str, found: bool) -> None:
    resource = {"resourceType": "ValueSet", "id": "v", "meta": {}, "status": "active", "version": "1.0"}

    assert bool(matches(search_of([("version", value)], strict=True), [resource])) is found


def test_a_parameter_without_a_value_is_passed_over_leniently_and_refused_strictly() -> None:
    assert search_of([("title", "")], strict=False).ignored == ("title",)
    with pytest.raises(RequestError):
        search_of([("title", "")], strict=True)


def test_no_more_is_given_at_once_than_the_most() -> None:
    assert search_of([("_count", "999999999")], strict=True).count == 100
    with pytest.raises(RequestError):
        search_of([("_count", "9999999999")], strict=True)


@pytest.mark.parametrize(
    ("offset", "previous", "following"),
    [(0, None, 2), (1, 0, 3), (2, 0, None), (3, 1, None), (4, 2, None)],
)
def test_a_page_leads_to_those_around_it_and_no_further(
    offset: int, previous: int | None, following: int | None
) -> None:
    resources = [
        {"resourceType": "ValueSet", "id": f"v{place}", "meta": {}, "status": "active"} for place in range(4)
    ]
    search = search_of([("_count", "2"), ("_page", page_token(offset))], strict=True)

    bundle = searchset(search, map(at_hand, resources), "http://x.example/fhir", "ValueSet")

    links = {each["relation"]: each["url"].partition("?")[2] for each in bundle["link"]}
    for relation, wanted in (("previous", previous), ("next", following)):
        found = None if relation not in links else search_of(parse_qsl(links[relation]), strict=True).offset
        assert found == wanted
