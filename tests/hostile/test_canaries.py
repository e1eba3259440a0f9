"""Names, answers and tokens of a request are told to nobody but, in cards, whoever sent it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hostile.requests import FIXTURES
from tests.http.test_form import Ehr
from tests.running_service import running_service
from tests.web.posting import posted

HOOK = "/cds-services/procedure-funding"
FEEDBACK = f"{HOOK}/feedback"
CANARY = "Kanarienvogel"
# Ids are what logs and errors are made of; an unknown hook and a selection of nothing are quoted to who sent them.
IDS = {"id", "reference", "fullUrl", "hookInstance", "patientId", "userId", "hook", "url", "resourceType"}
WITH_FORM = "derby-undetermined-asks-two-questions"


@dataclass
class Watched:
    """A running service, and everything that was logged while it ran."""

    url: str
    database: Path
    records: list[logging.LogRecord] = field(default_factory=list)

    def told(self) -> str:
        """All that was logged, with what would have been formatted into it, and the metrics."""
        lines = [f"{record.getMessage()} {record.args} {record.exc_text}" for record in self.records]
        traces = [str(record.exc_info) for record in self.records if record.exc_info]
        return "\n".join([*lines, *traces, httpx.get(f"{self.url}/metrics").text])

    def kept(self) -> bytes:
        """What lies in the database's files as it stands there."""
        return b"".join(file.read_bytes() for file in self.database.parent.glob("service.db*"))


class _Keeper(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.DEBUG)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what the service logs; not what our own client says of its requests."""
        if not record.name.startswith(("httpx", "httpcore")):
            self._records.append(record)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    """The service, in development mode, with every logger at its most talkative."""
    database = tmp_path / "service.db"
    records: list[logging.LogRecord] = []
    root, keeper = logging.getLogger(), _Keeper(records)
    before = root.level
    with running_service(database) as url:
        root.addHandler(keeper)
        root.setLevel(logging.DEBUG)
        try:
            yield Watched(url, database, records)
        finally:
            root.removeHandler(keeper)
            root.setLevel(before)


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Where texts stand in a value, other than ids."""
    if isinstance(value, dict):
        for name, member in value.items():
            if name not in IDS:
                yield from places(member, (*path, name))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            if "selections" not in path:
                yield from places(item, (*path, position))
    elif isinstance(value, str):
        yield path


def with_canary(value: Any, path: tuple[str | int, ...]) -> Any:
    """The value, with the canary in place of, or behind, the text at a place."""
    changed = deepcopy(value)
    holder = changed
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = f"{holder[path[-1]]}{CANARY}"
    return changed


def links(answer: dict[str, Any]) -> str:
    return json.dumps([card.get("links", []) for card in answer.get("cards", ())])


def hook_calls() -> list[dict[str, Any]]:
    """The fixtures' requests, each with the canary at some of its places: all places of all, over the fixtures."""
    calls = []
    for number, name in enumerate(sorted(FIXTURES)):
        request = {**FIXTURES[name], "fhirAuthorization": {"access_token": CANARY, "token_type": "Bearer"}}
        request["fhirServer"] = "http://127.0.0.1:9"
        found = list(places(request))
        calls += [with_canary(request, path) for path in found[number % 6 :: 6]]
    return calls


def test_no_text_of_a_hook_request_is_logged_or_linked_or_in_an_error(watched: Watched) -> None:
    statuses = set()
    with httpx.Client(base_url=watched.url, timeout=60) as client:
        for request in hook_calls():
            headers = {"Authorization": f"Bearer {CANARY}"}
            answer = client.post(HOOK, json=request, headers=headers)
            statuses.add(answer.status_code)
            shown = links(answer.json()) if answer.status_code == 200 else answer.text
            assert CANARY not in shown, answer.text
            assert CANARY not in str(answer.headers)

    assert 200 in statuses
    assert CANARY not in watched.told()


@pytest.mark.parametrize(
    "body",
    [
        b"{" + CANARY.encode(),
        b'{"hook": "order-sign", "hook": "' + CANARY.encode() + b'"}',
        b'{"name": "' + CANARY.encode() + rb'\u0000"}',
        b'["' + CANARY.encode() + b'"]',
        b'"' + CANARY.encode() + b"\xff" + b'"',
        json.dumps({"hook": "order-sign", "context": CANARY}).encode(),
        json.dumps({"hook": "order-sign", "context": {"patientId": {"x": CANARY}}}).encode(),
        json.dumps({"hook": "order-sign", "context": {"patientId": "p", "draftOrders": CANARY}}).encode(),
    ],
    ids=range(8),
)
@pytest.mark.parametrize("path", [HOOK, FEEDBACK, "/fhir/Questionnaire/$populate", "/fhir/ValueSet/$expand"])
def test_no_refusal_repeats_what_it_refuses(client: httpx.Client, path: str, body: bytes) -> None:
    answer = client.post(path, content=body)

    assert answer.status_code == 400
    assert CANARY not in answer.text


def fhir_calls() -> Iterator[tuple[str, dict[str, Any]]]:
    """Calls of the operations that are given a patient's data."""
    prefetch = FIXTURES["derby-eligible-by-answers"]["prefetch"]
    order = FIXTURES["derby-eligible-by-answers"]["context"]["draftOrders"]["entry"][0]["resource"]
    response = prefetch["questionnaireResponses"]["entry"][0]["resource"]
    subject = {"name": "subject", "valueReference": {"reference": order["subject"]["reference"]}}
    context = {
        "name": "context",
        "part": [
            {"name": "name", "valueString": "clinical"},
            {"name": "content", "resource": order},
        ],
    }
    canonical = {"name": "canonical", "valueUri": response["questionnaire"]}
    yield "/fhir/Questionnaire/$populate", _parameters(canonical, subject, context)
    yield "/fhir/QuestionnaireResponse/$validate", _parameters({"name": "resource", "resource": response})
    yield "/fhir/QuestionnaireResponse/$extract", response
    yield "/fhir/Questionnaire/$next-question", response
    patient = prefetch["patient"]
    yield (
        "/fhir/PlanDefinition/derby-mastopexy/$apply",
        _parameters(
            subject,
            {
                "name": "data",
                "resource": {
                    "resourceType": "Bundle",
                    "type": "collection",
                    "entry": [{"resource": patient}],
                },
            },
        ),
    )


def _parameters(*given: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(given)}


def test_no_text_of_an_operations_input_is_logged_or_in_an_error(watched: Watched) -> None:
    statuses: set[int] = set()
    with httpx.Client(base_url=watched.url, timeout=60) as client:
        for path, body in fhir_calls():
            for place in places(body):
                # A parameter's name and a canonical are ours to quote.
                if place[-1] in {"name", "valueUri", "valueCanonical", "questionnaire", "linkId"}:
                    continue
                answer = client.post(path, json=with_canary(body, place))
                statuses.add(answer.status_code)
                assert answer.status_code < 500
                assert answer.status_code < 400 or CANARY not in answer.text, f"{path} {place} {answer.text}"

    assert {200, 400} <= statuses
    assert CANARY not in watched.told()


def test_no_comment_of_feedback_is_logged_or_lies_readable_in_the_database(watched: Watched) -> None:
    with httpx.Client(base_url=watched.url, timeout=60) as client:
        card = client.post(HOOK, json=FIXTURES[WITH_FORM]).json()["cards"][0]["uuid"]
        reason = {"reason": {"code": "patient-refuses"}, "userComment": CANARY}
        item = {"card": card, "outcome": "overridden", "outcomeTimestamp": "2026-11-22T12:00:00Z"}
        for told in (
            reason,
            {"reason": CANARY, "userComment": CANARY * 1_000},
            {"userComment": {"x": CANARY}},
        ):
            answer = client.post(FEEDBACK, json={"feedback": [{**item, "overrideReason": told}]})
            assert CANARY not in answer.text
        decision = client.get(f"/decisions/{card}").text

    assert CANARY not in decision
    assert CANARY not in watched.told()
    assert CANARY.encode() not in watched.kept()


def test_no_answer_of_a_form_is_logged_or_in_a_url_or_lies_readable_in_the_database(watched: Watched) -> None:
    with httpx.Client(base_url=watched.url, follow_redirects=True, timeout=60) as browser:
        ehr = Ehr(browser, deepcopy(FIXTURES["derby-not-normally-funded"]))
        page = ehr.launched("Request individual funding")
        fields = posted(page.text)
        texts = [name for name in fields if name.startswith("q:")]
        for name in texts:
            fields[name] = [CANARY]
        answer = browser.post(page.url.copy_with(query=None), data=fields)
        urls = [str(each.url) for each in (*answer.history, answer)]

    assert texts
    assert answer.status_code in {200, 422}
    assert CANARY not in " ".join(urls)
    assert CANARY not in watched.told()
    assert CANARY.encode() not in watched.kept()
