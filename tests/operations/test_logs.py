"""What a log line says, and what it never does: a name, an answer, a token, an exception's own words."""

from __future__ import annotations

import io
import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from socket import socket
from time import sleep
from typing import Any

import httpx
import pytest
import uvicorn

from cds_service.app import create_app
from cds_service.operations.logs import JsonLines, TextLines, line_members
from cds_service.operations.requests import CURRENT, Identified, RequestIds, Traffic
from cds_service.settings import Settings
from tests.operations.sets import HOOK, asked, write_set

CANARY = "Zebedee-Quixote"
NOTHING: dict[str, str] = {}
TRACE = "0af7651916cd43dd8448eb211c80319c"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that any logger says, from DEBUG on, as JSON lines."""
    # Another test's uvicorn may have been told to write for itself.
    monkeypatch.setattr(logging.getLogger("uvicorn"), "propagate", True)
    monkeypatch.setattr(logging.getLogger("uvicorn"), "handlers", [])
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    write_set(tmp_path / "plans", "1")
    return Settings(plans=(tmp_path / "plans",), database_url=f"sqlite:///{tmp_path / 'x.db'}")


def clock_that_breaks() -> datetime:
    """A bug, deep inside, whose words quote the patient."""
    try:
        return datetime.fromisoformat(NOTHING[CANARY])
    except KeyError as error:
        raise ValueError(f"no birth date of {CANARY}") from error


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """The address of a real uvicorn, which writes tracebacks itself; its log goes where all logs go."""
    listening = socket()
    listening.bind(("127.0.0.1", 0))
    around = Identified(app, lambda: Traffic(1, lambda: None))
    server = uvicorn.Server(uvicorn.Config(around, log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        sleep(0.02)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()


def canaries(value: Any) -> Any:
    """The same JSON with the canary in every text that nothing is decided by."""
    if isinstance(value, dict):
        return {name: _canary(name, member) for name, member in value.items()}
    return [canaries(each) for each in value] if isinstance(value, list) else value


def _canary(name: str, member: Any) -> Any:
    if name in {"text", "display", "userId", "hookInstance", "title"} and isinstance(member, str):
        return CANARY
    return canaries(member)


def test_a_bug_is_logged_by_its_type_and_place_and_not_in_its_words(
    settings: Settings, lines: io.StringIO
) -> None:
    broken = False

    def clock() -> datetime:
        return clock_that_breaks() if broken else NOW

    with serving(create_app(settings, clock=clock)) as url:
        broken = True
        answer = httpx.post(
            url + HOOK, json=asked(), headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}
        )
        broken = False

    assert answer.status_code == 500
    assert CANARY not in lines.getvalue()
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    (bug,) = [each for each in told if each["logger"] == "uvicorn.error" and "exception" in each]
    assert bug["exception"][-2:] == ["KeyError", "ValueError"]
    assert any(place.startswith(__file__) and place.endswith("clock_that_breaks") for place in bug["stack"])
    assert bug["request"] == answer.headers["X-Request-Id"]
    assert bug["trace"] == TRACE


def test_no_canary_of_a_request_is_in_the_log_whether_it_is_answered_or_refused(
    settings: Settings, lines: io.StringIO
) -> None:
    good = canaries(asked())
    good["prefetch"]["patient"]["name"] = [{"family": CANARY}]
    token = {
        "access_token": CANARY,
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "x",
    }
    reading = asked() | {"fhirServer": "http://127.0.0.1:9/fhir", "fhirAuthorization": token}
    del reading["prefetch"]["coverages"]
    requests: list[Any] = [
        good,
        reading,
        asked() | {"context": {"patientId": CANARY, "userId": CANARY}},
        {**asked(), "hook": CANARY},
        {CANARY: CANARY},
        [CANARY],
    ]

    with serving(create_app(settings, clock=lambda: NOW)) as url:
        statuses = [httpx.post(url + HOOK, json=each).status_code for each in requests]
        httpx.post(f"{url}/cds-services/{CANARY}", json={})
        httpx.get(f"{url}/fhir/Patient?name={CANARY}", headers={"Authorization": f"Bearer {CANARY}"})

    assert statuses[0] == 200
    assert CANARY in json.dumps(good)
    assert 400 in statuses
    assert "decision " in lines.getvalue()
    assert CANARY not in lines.getvalue()


def record(
    name: str, message: str, *arguments: object, exception: BaseException | None = None
) -> logging.LogRecord:
    raised = (type(exception), exception, exception.__traceback__) if exception else None
    return logging.LogRecord(name, logging.ERROR, "/x/models.py", 7, message, arguments, raised)


def test_a_line_has_these_members_and_no_others() -> None:
    CURRENT.set(RequestIds("r1", TRACE))
    try:
        members = line_members(record("cds_service.state", "%d policies", 3))
    finally:
        CURRENT.set(None)

    assert list(members) == ["time", "level", "logger", "message", "request", "trace"]
    assert members["message"] == "3 policies"


@pytest.mark.parametrize("name", ["httpx", "sqlalchemy.engine", "cds_service_of_others", "root", "asyncio"])
def test_what_other_libraries_say_is_left_out_but_not_that_they_said_something(name: str) -> None:
    members = line_members(record(name, "GET /Patient/%s", CANARY))

    assert members["message"] == "(left out: it might quote a request) models.py:7"
    assert members["logger"] == name


def test_an_exception_that_is_an_argument_of_a_message_is_not_quoted() -> None:
    assert line_members(record("uvicorn.error", "%s", ValueError(CANARY)))["message"] == "%s"


def test_exceptions_of_a_group_and_their_causes_are_told_by_type_alone() -> None:
    try:
        try:
            NOTHING[CANARY]
        except KeyError:
            raise ExceptionGroup(CANARY, [ValueError(CANARY)]) from None
    except ExceptionGroup as group:
        members = line_members(record("cds_service", "failed", exception=group))

    assert members["exception"] == ["ValueError", "ExceptionGroup"]
    assert CANARY not in json.dumps(members)


def test_a_message_cannot_begin_a_line_of_its_own() -> None:
    forged = record("cds_service", "no %s", "plan\n2026-11-22 INFO cds_service: all is well\x1b[2J")

    for form in (JsonLines(), TextLines()):
        assert "\n" not in form.format(forged)
        assert "\x1b" not in form.format(forged)


def test_text_lines_tell_the_same() -> None:
    CURRENT.set(RequestIds("r1", None))
    try:
        NOTHING[CANARY]
    except KeyError as error:
        line = TextLines().format(record("cds_service", "failed", exception=error))
    finally:
        CURRENT.set(None)

    assert line.split(" ", 1)[1].startswith("ERROR cds_service: failed request=r1 exception=KeyError stack=")
    assert CANARY not in line
