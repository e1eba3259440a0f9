"""Requests made to cost more than they should: refused, or answered, at little cost."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from fastapi.testclient import TestClient

from cds_service.trust.limits import LONGEST_NAME, MOST_DRAFTS, MOST_ENTRIES
from tests.hook_requests import bundle, condition, everything_read, hook_request, order

HOOK = "/cds-services/procedure-funding"
FEEDBACK = f"{HOOK}/feedback"
POPULATE = "/fhir/Questionnaire/derby-mastopexy/$populate"
MOST_CPU_SECONDS = 2.0
"""Generous, for machines that are busy; measured: a tenth of it."""


def request(**members: Any) -> dict[str, Any]:
    return {**hook_request(**everything_read()), **members}


def context(**members: Any) -> dict[str, Any]:
    good = hook_request(**everything_read())
    return {**good, "context": {**good["context"], **members}}


def nested(opening: str, deep: int, closing: str) -> bytes:
    return (opening * deep + "1" + closing * deep).encode()


def resource_nested(deep: int) -> dict[str, Any]:
    """A Questionnaire with groups in groups."""
    item: dict[str, Any] = {"linkId": "x", "type": "boolean", "text": "?"}
    for level in range(deep):
        item = {"linkId": str(level), "type": "group", "text": "?", "item": [item]}
    return {"resourceType": "Questionnaire", "status": "draft", "item": [item]}


def populate(questionnaire: dict[str, Any]) -> dict[str, Any]:
    given = [
        {"name": "questionnaire", "resource": questionnaire},
        {"name": "subject", "valueReference": {"reference": "Patient/p1"}},
    ]
    return {"resourceType": "Parameters", "parameter": given}


# What it is, where it goes, what is sent, and what it may come to.
BOMBS: list[tuple[str, str, Callable[[], object], set[int]]] = [
    *(
        (f"{name} nested {deep} deep", HOOK, lambda o=opening, d=deep, c=closing: nested(o, d, c), {400})
        for name, opening, closing in (
            ("arrays", "[", "]"),
            ("objects", '{"a":', "}"),
            ("Bundles", '{"resourceType":"Bundle","entry":[{"resource":', "}]}"),
        )
        for deep in (100, 1_000, 10_000, 100_000)
    ),
    ("1,000,000 open arrays", HOOK, lambda: b"[" * 1_000_000, {400}),
    ("1,000,000 open objects", HOOK, lambda: b'{"a":' * 1_000_000, {400}),
    ("1,000,000 closed arrays", HOOK, lambda: b"]" * 1_000_000, {400}),
    ("forms nested 100 deep", POPULATE, lambda: populate(resource_nested(100)), {400}),
    ("forms nested 25 deep", POPULATE, lambda: populate(resource_nested(25)), {200, 422}),
    ("11 MB", HOOK, lambda: b'"' + b"x" * 11_000_000 + b'"', {413}),
    ("11 MB of blanks", HOOK, lambda: b" " * 11_000_000, {413}),
    ("9 MB of blanks", HOOK, lambda: b" " * 9_000_000, {400}),
    ("9 MB of one text", HOOK, lambda: json.dumps("x" * 9_000_000).encode(), {400}),
    ("9 MB of escapes", HOOK, lambda: b'"' + rb"\u0041" * 1_500_000 + b'"', {400}),
    ("9 MB of escaped colons", HOOK, lambda: b'{"a":"' + rb"\u003a" * 1_500_000 + b'"}', {400}),
    ("9 MB of backslashes and NUL", HOOK, lambda: b'"' + b"\\\\" * 4_500_000 + rb"\u0000" + b'"', {400}),
    ("a number of 1,000,000 digits", HOOK, lambda: b"1" * 1_000_000, {400}),
    ("a fraction of 1,000,000 digits", HOOK, lambda: b"0." + b"1" * 1_000_000, {400}),
    ("1e400", HOOK, lambda: b'{"a": 1e400}', {400}),
    ("2^64 as a total", HOOK, lambda: request(prefetch={"conditions": bundle(total=2**64 - 1)}), {200, 412}),
    ("100,000 members", HOOK, lambda: {str(each): each for each in range(100_000)}, {400}),
    ("100,000 times one member", HOOK, lambda: b"{" + b",".join([b'"a":1'] * 100_000) + b"}", {400}),
    ("100,000 prefetch keys", HOOK, lambda: request(prefetch={str(n): None for n in range(100_000)}), {412}),
    (
        "1,000,000 empty entries",
        HOOK,
        lambda: request(prefetch={"conditions": bundle(*[{}] * 300_000)}),
        {412},
    ),
    ("1,000,000 entries of null", HOOK, lambda: _conditions([None] * 1_000_000), {200, 412}),
    (
        "10,000 Conditions",
        HOOK,
        lambda: _conditions([{"resource": condition("254837009")}] * MOST_ENTRIES),
        {200},
    ),
    (
        "100,000 codings",
        HOOK,
        lambda: _conditions([{"resource": _coded(100_000)}]),
        {200},
    ),
    ("201 drafts", HOOK, lambda: context(draftOrders=bundle(*_orders(MOST_DRAFTS + 1))), {400}),
    ("200 orders", HOOK, lambda: hook_request(*_orders(MOST_DRAFTS), **everything_read()), {200}),
    ("100,000 drafts", HOOK, lambda: context(draftOrders={"entry": [None] * 100_000}), {400}),
    ("100,000 selections", HOOK, lambda: context(selections=["ServiceRequest/order-1"] * 100_000), {400}),
    (
        "200 selections of one order",
        HOOK,
        lambda: context(selections=["ServiceRequest/order-1"] * 200),
        {200},
    ),
    ("a patient id of 1 MB", HOOK, lambda: context(patientId="1" * 1_000_000), {400}),
    ("a patient id of slashes", HOOK, lambda: context(patientId="/" * LONGEST_NAME), {400}),
    ("an instance of 1 MB", HOOK, lambda: request(hookInstance="x" * 1_000_000), {400}),
    ("a hook of 1 MB", HOOK, lambda: request(hook="x" * 1_000_000), {400}),
    ("a procedure's name of 1 MB", HOOK, lambda: _named("[" * 1_000_000), {200}),
    ("a procedure's name of 1 MB of spaces", HOOK, lambda: _named("a" + " \u200b" * 500_000), {200}),
    (
        "a date of 1 MB",
        HOOK,
        lambda: hook_request(order(authoredOn="2" * 1_000_000), **everything_read()),
        {200},
    ),
    (
        "a FHIR server of 1 MB",
        HOOK,
        lambda: hook_request(**everything_read()) | {"fhirServer": "http://" + "a" * 10**6},
        {200},
    ),
    (
        "a year of 9999",
        HOOK,
        lambda: hook_request(order(authoredOn="9999-12-31"), **everything_read()),
        {200},
    ),
    ("UTF-16", HOOK, lambda: json.dumps(request()).encode("utf-16"), {400}),
    ("UTF-32", HOOK, lambda: json.dumps(request()).encode("utf-32"), {400}),
    ("a byte order mark", HOOK, lambda: b"\xef\xbb\xbf" + json.dumps(request()).encode(), {400}),
    ("Latin-1", HOOK, lambda: b'{"hook": "\xe9"}', {400}),
    ("half a surrogate", HOOK, lambda: rb'{"hook": "\ud800"}', {400}),
    ("overlong UTF-8", HOOK, lambda: b'{"hook": "\xc0\xaf"}', {400}),
    ("NUL in a text", HOOK, lambda: request(hookInstance="a\0b"), {400}),
    ("NUL in a name", HOOK, lambda: request(**{"a\0": 1}), {400}),
    (
        "a hook named twice",
        HOOK,
        lambda: b'{"hook": "order-sign",' + json.dumps(request()).encode()[1:],
        {400},
    ),
    ("__proto__", HOOK, lambda: request(__proto__={"hook": "x"}, constructor={}), {200}),
    ("a draft whose type is an object", HOOK, lambda: _drafted(resourceType={"x": 1}), {400}),
    ("a draft whose status is an object", HOOK, lambda: _drafted(status={"x": 1}), {200}),
    ("a draft whose status is a list", HOOK, lambda: _drafted(status=["draft"]), {200}),
    ("two values", HOOK, lambda: json.dumps(request()).encode() * 2, {400}),
    ("nothing", HOOK, lambda: b"", {400}),
    ("feedback on 201 cards", FEEDBACK, lambda: {"feedback": [_feedback()] * 201}, {400}),
    ("feedback with 100,000 items", FEEDBACK, lambda: {"feedback": [{}] * 100_000}, {400}),
    ("feedback with a comment of 900 kB", FEEDBACK, lambda: {"feedback": [_feedback("x" * 900_000)]}, {400}),
    ("feedback of 2 MB", FEEDBACK, lambda: {"feedback": [], "x": "x" * 2_000_000}, {413}),
    ("feedback named twice", FEEDBACK, lambda: b'{"feedback": [], "feedback": []}', {400}),
]


def _conditions(entries: list[Any]) -> dict[str, Any]:
    return hook_request(**everything_read(conditions={**bundle(), "entry": entries}))


def _coded(count: int) -> dict[str, Any]:
    coding = {"system": "http://snomed.info/sct", "code": "254837009"}
    return {**condition("254837009"), "code": {"coding": [coding] * count}}


def _orders(count: int) -> list[dict[str, Any]]:
    return [order(id=f"order-{number}") for number in range(count)]


def _drafted(**members: Any) -> dict[str, Any]:
    return context(draftOrders=bundle({**order(), **members}), selections=["ServiceRequest/order-1"])


def _named(name: str) -> dict[str, Any]:
    code = {**order()["code"], "text": name}
    return hook_request(order(code="B31.3") | {"code": code}, **everything_read())


def _feedback(comment: str = "") -> dict[str, Any]:
    return {
        "card": "c",
        "outcome": "overridden",
        "outcomeTimestamp": "2026-11-22T12:00:00Z",
        "overrideReason": {"userComment": comment},
    }


@pytest.mark.parametrize(
    ("path", "made", "statuses"), [row[1:] for row in BOMBS], ids=[row[0] for row in BOMBS]
)
def test_a_bomb_costs_little(
    client: TestClient, path: str, made: Callable[[], object], statuses: set[int]
) -> None:
    sent = made()
    body = sent if isinstance(sent, bytes) else json.dumps(sent).encode()
    started = time.process_time()

    answer = client.post(path, content=body)

    assert answer.status_code in statuses, answer.text[:300]
    assert time.process_time() - started < MOST_CPU_SECONDS
    assert len(answer.content) < 4_000_000


def test_there_are_64_bombs() -> None:
    assert len(BOMBS) >= 64


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "gzip, gzip", "zstd"])
@pytest.mark.parametrize("path", [HOOK, FEEDBACK, POPULATE])
def test_a_compressed_body_is_refused_unread(client: TestClient, path: str, encoding: str) -> None:
    body = gzip.compress(b" " * 50_000_000)

    answer = client.post(path, content=body, headers={"Content-Encoding": encoding})

    assert answer.status_code == 415
    assert answer.json()["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "kind", ["application/json", "application/fhir+json; charset=utf-8", "text/plain", "", "x/y"]
)
def test_what_kind_of_content_a_hook_request_is_said_to_be_does_not_matter(
    client: TestClient, kind: str
) -> None:
    answer = client.post(
        HOOK,
        json=hook_request(**everything_read()),
        headers={"Content-Type": kind, "Content-Encoding": "identity"},
    )

    assert answer.status_code == 200


def test_an_answer_with_too_many_entries_is_not_read_rather_than_cut(client: TestClient) -> None:
    # The one entry that would have settled it stands where nobody looks any more.
    settling = [{"resource": condition("254837009")}]
    most, more = (_conditions([*[{}] * (MOST_ENTRIES - 1 + extra), *settling]) for extra in (0, 1))
    read, unread = (client.post(HOOK, json=each).json() for each in (most, deepcopy(more)))

    assert "not-read" not in json.dumps(read)
    assert "not-read" in json.dumps(unread)
    assert {card["extension"]["cds-service.determination"]["status"] for card in unread["cards"]} == {
        "undetermined"
    }
