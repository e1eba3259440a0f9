"""Every way a server fails × a read and a search: not read, or exactly what is good, within the deadline."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import pytest

from cds_service.record.patient_record import QueryAnswer
from cds_service.record.reads import LATE
from tests.reads.faulty_server import FAULTS, FaultyServer, faulty_server
from tests.reads.reading import (
    CONDITIONS_QUERY,
    PATIENT,
    PATIENT_QUERY,
    RECORD,
    SECRET,
    answers,
    ids,
    reader_of,
)
from tests.reads.summary import PROPERTY

DEADLINE = 0.3

GOOD: tuple[str, ...] = ()
BROKE = "the connection to the server broke"
BUSY = "the server was busy"
FAILED = "the server failed"
NO_JSON = "the server's answer was no FHIR JSON"
NOT_WHOLE = "the server's answer was no whole JSON"
NO_PATIENT = "the server's answer was no Patient"
NO_BUNDLE = "the server's answer was no Bundle"
TOO_LONG = "cut off: the answer is longer than may be read"
UNPACKABLE = "the answer cannot be unpacked"
ELSEWHERE = "the next page lies elsewhere"
REPEATED = "the server's pages repeat themselves"
PARTLY = "the server could read it only in part"
NO_MATCH = ("an entry that is no match",)

# What becomes of a read and of a search: the reason why it is not read, or the refusals beside the good entries.
Expected = str | tuple[str, ...]
EXPECTED: dict[str, tuple[Expected, Expected]] = {
    "healthy": (GOOD, GOOD),
    "two pages": (GOOD, GOOD),
    "packed": (GOOD, GOOD),
    "reset once": (GOOD, GOOD),
    "slow header": (LATE, LATE),
    "header byte by byte": (LATE, LATE),
    "slow body": (LATE, LATE),
    "body stops half-way": (LATE, LATE),
    "informational answers without end": (LATE, LATE),
    "half header": (BROKE, BROKE),
    "half body": (BROKE, BROKE),
    "half body of unknown length": (NOT_WHOLE, NOT_WHOLE),
    "half body in chunks": (BROKE, BROKE),
    "reset": (BROKE, BROKE),
    "reset in the header": (BROKE, BROKE),
    "reset in the body": (BROKE, BROKE),
    "closed without an answer": (BROKE, BROKE),
    "not HTTP": (BROKE, BROKE),
    "endless header": (BROKE, BROKE),
    "204": ("the server answered with status 204",) * 2,
    "400": ("the server did not understand the query",) * 2,
    "401": ("the server did not accept the access token",) * 2,
    "403": ("the server refused access",) * 2,
    "404": ("the server does not know this patient", "the server has no Condition to offer"),
    "410": ("the server no longer has it",) * 2,
    "418": ("the server answered with status 418",) * 2,
    "429": (BUSY, BUSY),
    "429 with Retry-After": (BUSY, BUSY),
    "429 with Retry-After as a date": (BUSY, BUSY),
    "500": (FAILED, FAILED),
    "502 with HTML": (FAILED, FAILED),
    "503 with Retry-After": (BUSY, BUSY),
    "504": (FAILED, FAILED),
    "redirect": ("the server pointed elsewhere",) * 2,
    "500 on the second page": (GOOD, FAILED),
    "second page never comes": (GOOD, LATE),
    "reset on the second page": (GOOD, BROKE),
    "HTML": (NO_JSON, NO_JSON),
    "HTML that says it is JSON": (NOT_WHOLE, NOT_WHOLE),
    "empty": ("the server's answer was empty",) * 2,
    "null": (NO_PATIENT, NO_BUNDLE),
    "a list": (NO_PATIENT, NO_BUNDLE),
    "a number": (NO_PATIENT, NO_BUNDLE),
    "XML": (NO_JSON, NO_JSON),
    "not UTF-8": (NOT_WHOLE, NOT_WHOLE),
    "nested too deeply": (NOT_WHOLE, NOT_WHOLE),
    "OperationOutcome": ("the server answered with an error",) * 2,
    "another type": (NO_PATIENT, NO_BUNDLE),
    "entry is no list": (NO_PATIENT, "the Bundle's entry is no list"),
    "longer than may be read": (TOO_LONG, TOO_LONG),
    "gzip bomb": (TOO_LONG, TOO_LONG),
    "gzip cut short": (UNPACKABLE, UNPACKABLE),
    "gzip that is none": (UNPACKABLE, UNPACKABLE),
    "unknown packing": ("the answer is packed in a way that was not asked for",) * 2,
    "right body, wrong content type": (NO_JSON, NO_JSON),
    "right body, no content type": (NO_JSON, NO_JSON),
    "truncated JSON": (NOT_WHOLE, NOT_WHOLE),
    "endless next": (GOOD, "cut off after 20 pages"),
    "endless next, slowly": (GOOD, LATE),
    "next is the same page": (GOOD, REPEATED),
    "next goes in a circle": (GOOD, REPEATED),
    "next on another host": (GOOD, ELSEWHERE),
    "next on another port": (GOOD, ELSEWHERE),
    "next on another scheme": (GOOD, ELSEWHERE),
    "next on another path": (GOOD, ELSEWHERE),
    "next on a path that begins alike": (GOOD, ELSEWHERE),
    "next relative to the host": (GOOD, ELSEWHERE),
    "next with dot segments": (GOOD, ELSEWHERE),
    "next with encoded dot segments": (GOOD, ELSEWHERE),
    "next relative with dot segments": (GOOD, ELSEWHERE),
    "next with a user name": (GOOD, ELSEWHERE),
    "next with a backslash": (GOOD, ELSEWHERE),
    "next in a file": (GOOD, ELSEWHERE),
    "next is no text": (GOOD, ELSEWHERE),
    "next is empty": (GOOD, ELSEWHERE),
    "more resources than may be read": (GOOD, "cut off after 2000 resources"),
    "an error among the entries": (GOOD, PARTLY),
    "an error among the entries, unmarked": (GOOD, PARTLY),
    "a warning among the entries": (GOOD, NO_MATCH),
    "an included resource": (GOOD, NO_MATCH),
    "an included resource of the same type": (GOOD, NO_MATCH),
    "another patient's resource": (GOOD, ("a Condition of another patient",)),
    "a resource of another type": (GOOD, ("an entry that is no Condition",)),
    "an entry without a resource": (GOOD, ("an entry without a resource",)),
    "entries that are no objects": (GOOD, ("an entry without a resource",) * 3),
    "the same resource twice": (GOOD, GOOD),
    "the same id twice, differently": (GOOD, "the server sent a resource twice, and differently"),
    "fewer entries than its total": (GOOD, "only 2 of 99 entries were sent"),
}
ROWS = [
    pytest.param(name, queries, expected, id=f"{name}: {key}")
    for name, both in EXPECTED.items()
    for (key, queries), expected in zip(
        (("patient", PATIENT_QUERY), ("conditions", CONDITIONS_QUERY)), both, strict=True
    )
]
GOOD_IDS = {"patient": [PATIENT], "conditions": ["c1", "c2"]}


async def timed(server: FaultyServer, queries: dict[str, str]) -> tuple[QueryAnswer, float]:
    """The answer to one query, and the seconds until it came."""
    async with reader_of(server) as reader:
        started = time.perf_counter()
        (answer,) = (await answers(reader, server, queries, DEADLINE)).values()
        return answer, time.perf_counter() - started


@pytest.mark.parametrize(("fault", "queries", "expected"), ROWS)
def test_what_a_failing_server_does_not_say_is_not_read(
    fault: str,
    queries: dict[str, str],
    expected: Expected,
    caplog: pytest.LogCaptureFixture,
    record_property: Callable[[str, object], None],
) -> None:
    caplog.set_level(logging.DEBUG)
    with faulty_server(fault, RECORD) as server:
        answer, seconds = asyncio.run(timed(server, queries))

    if isinstance(expected, str):
        assert (answer.not_read, answer.resources) == (expected, ())
    else:
        assert ids(answer) == GOOD_IDS["".join(queries)]
        assert answer.refused == expected
    assert server.stolen == []
    assert seconds < DEADLINE + 1
    assert SECRET not in caplog.text
    assert PATIENT not in caplog.text
    record_property(PROPERTY, (seconds - DEADLINE) * 1000)


def test_everything_of_another_patient_is_refused() -> None:
    with faulty_server("another patient", RECORD) as server:
        patient, _ = asyncio.run(timed(server, PATIENT_QUERY))
        conditions, _ = asyncio.run(timed(server, CONDITIONS_QUERY))

    assert patient.not_read == "a Patient of another patient"
    assert (conditions.resources, conditions.refused) == ((), ("a Condition of another patient",) * 2)


def test_a_server_that_is_not_there_is_not_read() -> None:
    with faulty_server("healthy", RECORD) as server:
        pass
    answer, seconds = asyncio.run(timed(server, PATIENT_QUERY))

    assert answer.not_read == "the server could not be reached"
    assert seconds < DEADLINE


def test_every_fault_has_its_row() -> None:
    assert set(FAULTS) == {*EXPECTED, "another patient"}
    assert len(ROWS) >= 48
