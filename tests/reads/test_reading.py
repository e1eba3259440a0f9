"""How a record is read: what is sent, how much at once, for how long, and when a server is left alone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import respx

from cds_service.record.patient_record import QueryAnswer
from cds_service.record.reads import LATE, Limits, RecordReader
from cds_service.trust.outbound import Token, allowed_servers
from tests.reads.faulty_server import FaultyServer, faulty_server
from tests.reads.reading import (
    CONDITIONS_QUERY,
    PATIENT,
    PATIENT_QUERY,
    QUERIES,
    RECORD,
    SECRET,
    TLS,
    answers,
    ids,
    reader_of,
)

BASE_URL = "https://fhir.example.org/r4"
EMPTY = {"resourceType": "Bundle", "type": "searchset", "total": 0}
FHIR = {"content-type": "application/fhir+json;charset=UTF-8"}
FAILED_LATELY = "the server failed a moment ago"
BUSY_LATELY = "the server was busy a moment ago"


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


def mocked_read(
    queries: Mapping[str, str], *responses: httpx.Response, patient: str = PATIENT, base_url: str = BASE_URL
) -> tuple[dict[str, QueryAnswer], list[httpx.Request]]:
    """The answers of a server that answers with these responses in turn, and the requests it got."""

    async def read() -> Mapping[str, QueryAnswer]:
        reader = RecordReader(allowed_servers([BASE_URL]), tls=TLS)
        try:
            return await reader.read(base_url, Token(SECRET), patient, queries, 2.0)
        finally:
            await reader.aclose()

    with respx.mock(assert_all_called=False) as mock:
        route = mock.route().mock(side_effect=list(responses))
        found = dict(asyncio.run(read()))
        return found, [call.request for call in route.calls]


def bundle(**members: Any) -> httpx.Response:
    return httpx.Response(200, json={**EMPTY, **members}, headers=FHIR)


def test_a_search_asks_for_whole_pages_and_carries_the_token() -> None:
    found, (request,) = mocked_read(CONDITIONS_QUERY, bundle())

    assert str(request.url) == f"{BASE_URL}/Condition?patient={PATIENT}&_count=200"
    assert request.method == "GET"
    assert request.headers["authorization"] == f"Bearer {SECRET}"
    assert request.headers["accept"] == "application/fhir+json"
    assert ids(found["conditions"]) == []


def test_a_template_keeps_its_own_count_and_sort() -> None:
    _, (request,) = mocked_read(
        {"last": "Observation?patient={{%patient.id}}&_sort=-date&_count=1"}, bundle()
    )

    assert str(request.url) == f"{BASE_URL}/Observation?patient={PATIENT}&_sort=-date&_count=1"


def test_a_read_asks_for_the_resource_alone() -> None:
    patient = httpx.Response(200, json=RECORD["Patient"][0], headers=FHIR)

    found, (request,) = mocked_read(PATIENT_QUERY, patient)

    assert str(request.url) == f"{BASE_URL}/Patient/{PATIENT}"
    assert ids(found["patient"]) == [PATIENT]


def test_a_template_that_needs_more_than_the_patient_is_not_asked() -> None:
    found, requests = mocked_read({"visit": "Encounter/{{%encounter.id}}"})

    assert found["visit"].not_read == "the query needs more than the patient's id"
    assert requests == []


@pytest.mark.parametrize(
    "patient",
    [
        "",
        ".",
        "..",
        "...",
        "a/b",
        "a?b",
        "a&b=c",
        "a#b",
        "a%2fb",
        "a b",
        "a\n",
        "é",
        "x" * 65,
        "../Patient",
        "a_b",
    ],
)
def test_an_id_that_could_lead_elsewhere_is_not_asked_for(patient: str) -> None:
    found, requests = mocked_read(QUERIES, patient=patient)

    assert {answer.not_read for answer in found.values()} == {
        "the patient's id is not one that a server can be asked for"
    }
    assert requests == []


@pytest.mark.parametrize(
    "base_url", ["https://fhir.example.org.evil.example/r4", "https://fhir.example.org/r4x", ""]
)
def test_a_server_that_is_not_configured_is_not_asked(base_url: str) -> None:
    found, requests = mocked_read(QUERIES, base_url=base_url)

    assert {answer.not_read for answer in found.values()} == {"the FHIR server is not one that may be read"}
    assert requests == []


def test_a_path_under_the_configured_one_is_asked_there() -> None:
    _, (request,) = mocked_read(
        CONDITIONS_QUERY, bundle(), base_url=f"{BASE_URL.upper().replace('/R4', '/r4')}/tenant-a/"
    )

    assert str(request.url).startswith(f"{BASE_URL}/tenant-a/Condition?")


def test_the_pages_are_followed_with_the_token() -> None:
    following = f"{BASE_URL}?_getpages=9f&_getpagesoffset=1&x=a%7Cb"
    first = bundle(
        total=2, link=[{"relation": "next", "url": following}], entry=[{"resource": RECORD["Condition"][0]}]
    )
    second = bundle(total=2, entry=[{"resource": RECORD["Condition"][1]}])

    found, requests = mocked_read(CONDITIONS_QUERY, first, second)

    assert str(requests[1].url) == following
    assert requests[1].headers["authorization"] == f"Bearer {SECRET}"
    assert ids(found["conditions"]) == ["c1", "c2"]


def test_no_cookie_is_carried_from_one_read_to_another() -> None:
    first = bundle(link=[{"relation": "next", "url": f"{BASE_URL}/Condition?page=2"}])
    first.headers["set-cookie"] = "session=somebody"

    _, requests = mocked_read(CONDITIONS_QUERY, first, bundle())

    assert [request.headers.get("cookie") for request in requests] == [None, None]


def test_what_a_query_may_read_is_the_sum_of_its_pages() -> None:
    long_page = bundle(id="x" * 3_000_000, link=[{"relation": "next", "url": f"{BASE_URL}/Condition?page=2"}])

    found, requests = mocked_read(CONDITIONS_QUERY, long_page, bundle(id="x" * 3_000_000))

    assert found["conditions"].not_read == "cut off: the answer is longer than may be read"
    assert len(requests) == 2


def test_one_query_that_fails_leaves_the_others_read() -> None:
    found, _ = mocked_read(
        {"a": "Condition?patient={{%patient.id}}", "b": "Procedure?patient={{%patient.id}}"},
        httpx.Response(500),
        bundle(),
    )

    assert (found["a"].not_read, found["b"].not_read) == ("the server failed", None)


def test_a_server_without_a_token_is_asked_without_one() -> None:
    async def read(server: FaultyServer) -> Mapping[str, QueryAnswer]:
        async with reader_of(server) as reader:
            return await reader.read(server.base_url, None, PATIENT, PATIENT_QUERY, 2.0)

    with faulty_server("healthy", RECORD) as server:
        found = asyncio.run(read(server))

    assert ids(found["patient"]) == [PATIENT]
    assert "authorization" not in server.requests[0].headers


def test_in_development_any_server_may_be_read() -> None:
    async def read(server: FaultyServer) -> Mapping[str, QueryAnswer]:
        reader = RecordReader((), any_server=True, tls=TLS)
        try:
            return await answers(reader, server)
        finally:
            await reader.aclose()

    with faulty_server("healthy", RECORD) as server:
        found = asyncio.run(read(server))

    assert ids(found["conditions"]) == ["c1", "c2"]


def many(count: int) -> dict[str, str]:
    return {f"q{n}": f"Condition?patient={{{{%patient.id}}}}&n={n}" for n in range(count)}


def test_all_queries_are_read_at_once_but_not_more_than_six() -> None:
    async def read(server: FaultyServer) -> float:
        async with reader_of(server) as reader:
            started = time.perf_counter()
            assert all(ids(each) for each in (await answers(reader, server, many(12))).values())
            return time.perf_counter() - started

    with faulty_server("healthy", RECORD, delay=0.1) as server:
        seconds = asyncio.run(read(server))

    assert server.most_at_once == 6
    assert seconds < 0.6  # one after another would be 1.2


def test_a_server_is_asked_no_more_than_thirty_two_things_at_once() -> None:
    async def read(server: FaultyServer) -> None:
        async with reader_of(server) as reader:
            await asyncio.gather(*(answers(reader, server, many(6)) for _ in range(10)))

    with faulty_server("healthy", RECORD, delay=0.05) as server:
        asyncio.run(read(server))

    assert len(server.requests) == 60
    assert server.most_at_once == 32


def test_connections_are_kept_for_the_next_read() -> None:
    async def read(server: FaultyServer) -> None:
        async with reader_of(server) as reader:
            for _ in range(5):
                await answers(reader, server)

    with faulty_server("healthy", RECORD) as server:
        asyncio.run(read(server))

    assert (len(server.requests), server.connections) == (10, 2)


@pytest.mark.parametrize(
    ("fault", "requests"),
    [
        ("reset", 2),
        ("closed without an answer", 2),
        ("reset in the header", 1),
        ("half body", 1),
        ("500", 1),
        ("slow header", 1),
    ],
)
def test_only_a_connection_that_broke_before_any_byte_is_tried_again_and_once(
    fault: str, requests: int
) -> None:
    async def read(server: FaultyServer) -> None:
        async with reader_of(server) as reader:
            await answers(reader, server, PATIENT_QUERY, 0.5)

    with faulty_server(fault, RECORD) as server:
        asyncio.run(read(server))

    assert len(server.requests) == requests


def test_what_is_read_in_time_is_kept_when_the_rest_is_late() -> None:
    async def read(server: FaultyServer) -> Mapping[str, QueryAnswer]:
        async with reader_of(server) as reader:
            return await answers(reader, server, QUERIES, 0.3)

    with faulty_server("second page never comes", RECORD) as server:
        found = asyncio.run(read(server))

    assert ids(found["patient"]) == [PATIENT]
    assert (found["conditions"].not_read, found["conditions"].resources) == (LATE, ())


def test_the_readers_own_limit_ends_a_read_before_the_callers_deadline() -> None:
    async def read(server: FaultyServer) -> float:
        async with reader_of(server, limits=Limits(seconds=0.1)) as reader:
            started = time.perf_counter()
            assert (await answers(reader, server, PATIENT_QUERY, 30.0))["patient"].not_read == LATE
            return time.perf_counter() - started

    with faulty_server("slow header", RECORD) as server:
        assert asyncio.run(read(server)) < 1


def test_no_time_left_means_nothing_is_asked() -> None:
    async def read(server: FaultyServer) -> Mapping[str, QueryAnswer]:
        async with reader_of(server) as reader:
            return await answers(reader, server, seconds=-1.0)

    with faulty_server("healthy", RECORD) as server:
        found = asyncio.run(read(server))

    assert {answer.not_read for answer in found.values()} == {LATE}
    assert server.requests == []


@pytest.mark.parametrize(
    "fault", ["500", "reset in the header", "slow header", "slow body", "half body", "429"]
)
def test_a_server_that_fails_five_times_running_is_left_alone_until_it_heals(fault: str) -> None:
    clock = Clock()

    async def read(server: FaultyServer) -> list[str | None]:
        seen = []
        async with reader_of(server, monotonic=clock) as reader:
            for _ in range(6):
                seen += [(await answers(reader, server, PATIENT_QUERY, 0.3))["patient"].not_read]
            assert len(server.requests) == 5
            clock.seconds += 9.9
            seen += [(await answers(reader, server, PATIENT_QUERY))["patient"].not_read]
            assert len(server.requests) == 5
            clock.seconds += 0.2
            server.fault = "healthy"
            seen += [(await answers(reader, server, PATIENT_QUERY))["patient"].not_read]
        return seen

    with faulty_server(fault, RECORD) as server:
        seen = asyncio.run(read(server))

    assert FAILED_LATELY not in seen[:5]
    assert seen[5:] == [FAILED_LATELY, FAILED_LATELY, None]


def test_four_failures_and_a_success_leave_a_server_open_to_questions() -> None:
    async def read(server: FaultyServer) -> list[str | None]:
        async with reader_of(server) as reader:
            seen = []
            for fault in [*["500"] * 4, "healthy", *["500"] * 4, "healthy"]:
                server.fault = fault
                seen += [(await answers(reader, server, PATIENT_QUERY))["patient"].not_read]
            return seen

    with faulty_server("healthy", RECORD) as server:
        assert FAILED_LATELY not in asyncio.run(read(server))


def test_one_probe_at_a_time_asks_whether_a_server_has_healed() -> None:
    clock = Clock()

    async def read(server: FaultyServer) -> None:
        async with reader_of(server, monotonic=clock) as reader:
            await answers(reader, server, many(5))
            clock.seconds += 11
            found = await answers(reader, server, many(6))
            assert [each.not_read for each in found.values()].count(FAILED_LATELY) == 5
            found = await answers(reader, server, many(6))
            assert {each.not_read for each in found.values()} == {FAILED_LATELY}

    with faulty_server("500", RECORD) as server:
        asyncio.run(read(server))

    assert len(server.requests) == 6


@pytest.mark.parametrize(
    ("fault", "seconds"),
    [("429 with Retry-After", 30), ("503 with Retry-After", 30), ("429 with Retry-After as a date", 120)],
)
def test_a_server_is_left_alone_for_as_long_as_it_asks_within_reason(fault: str, seconds: int) -> None:
    clock = Clock()

    async def read(server: FaultyServer) -> None:
        given: dict[str, Any] = {"monotonic": clock, "now": lambda: datetime(2026, 11, 22, tzinfo=UTC)}
        async with reader_of(server, **given) as reader:
            await answers(reader, server, PATIENT_QUERY)
            server.fault = "healthy"
            clock.seconds += seconds - 1
            assert (await answers(reader, server, PATIENT_QUERY))["patient"].not_read == BUSY_LATELY
            clock.seconds += 2
            assert ids((await answers(reader, server, PATIENT_QUERY))["patient"]) == [PATIENT]

    with faulty_server(fault, RECORD) as server:
        asyncio.run(read(server))


async def left(reader: RecordReader, server: FaultyServer, fault: str, seconds: float) -> None:
    """A read whose caller goes away once the server has been asked."""
    server.fault = fault
    asked = len(server.requests)
    task = asyncio.create_task(answers(reader, server, CONDITIONS_QUERY, seconds))
    while len(server.requests) == asked:
        await asyncio.sleep(0.005)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()


def test_a_caller_that_goes_away_is_no_fault_of_the_server() -> None:
    async def read(server: FaultyServer) -> Mapping[str, QueryAnswer]:
        async with reader_of(server) as reader:
            for _ in range(6):
                await left(reader, server, "slow header", 1.0)
            server.fault = "healthy"
            return await answers(reader, server, PATIENT_QUERY)

    with faulty_server("slow header", RECORD) as server:
        assert ids(asyncio.run(read(server))["patient"]) == [PATIENT]


def test_no_further_page_is_asked_for_a_caller_that_went_away() -> None:
    async def read(server: FaultyServer) -> None:
        async with reader_of(server) as reader:
            await left(reader, server, "endless next, slowly", 1.0)
            await asyncio.sleep(0.3)

    with faulty_server("endless next, slowly", RECORD) as server:
        asyncio.run(read(server))

    assert len(server.requests) == 1


def test_a_reader_that_is_closed_ends_what_is_under_way() -> None:
    async def read(server: FaultyServer) -> Mapping[str, QueryAnswer]:
        async with reader_of(server) as reader:
            task = asyncio.create_task(answers(reader, server, CONDITIONS_QUERY, 4.0))
            while not server.requests:
                await asyncio.sleep(0.005)
        return await task

    with faulty_server("slow header", RECORD) as server:
        started = time.perf_counter()
        found = asyncio.run(read(server))

    assert found["conditions"].not_read == LATE
    assert time.perf_counter() - started < 2


def test_no_connection_is_left_over_from_reads_that_were_late() -> None:
    async def read(server: FaultyServer) -> int:
        async with reader_of(server, limits=Limits(breaker_failures=1_000)) as reader:
            for n in range(100):
                await asyncio.gather(*(answers(reader, server, seconds=0.002 + n / 5_000) for _ in range(3)))
            await asyncio.sleep(0.2)
            return server.open_connections

    with faulty_server("slow header", RECORD) as server:
        assert asyncio.run(read(server)) == 0


def test_one_server_that_fails_does_not_keep_another_from_being_read() -> None:
    async def read(ill: FaultyServer, well: FaultyServer) -> Mapping[str, QueryAnswer]:
        reader = RecordReader(allowed_servers([ill.base_url, well.base_url]), tls=TLS)
        try:
            await answers(reader, ill, many(6))
            return await answers(reader, well)
        finally:
            await reader.aclose()

    with faulty_server("500", RECORD) as ill, faulty_server("healthy", RECORD) as well:
        assert ids(asyncio.run(read(ill, well))["conditions"]) == ["c1", "c2"]


def test_the_log_names_the_query_the_server_and_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def read(server: FaultyServer) -> None:
        async with reader_of(server) as reader:
            await answers(reader, server, many(5))

    with faulty_server("500", RECORD) as server:
        asyncio.run(read(server))

    assert f"q0 was not read from {server.base_url}: the server failed" in caplog.messages
    alone = f"{server.base_url} is left alone for a while: it kept failing or asked for it"
    assert caplog.messages.count(alone) == 1
