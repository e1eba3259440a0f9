"""What the tests of reading share: a small record, its queries, and a reader of a faulty server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import httpx

from cds_service.record.patient_record import QueryAnswer
from cds_service.record.reads import RecordReader
from cds_service.trust.outbound import Token, allowed_servers
from tests.reads.faulty_server import FaultyServer

PATIENT = "pat-7f3a"
SECRET = "s3cret-4c1d-token"  # noqa: S105 - of a test
PATIENT_QUERY = {"patient": "Patient/{{%patient.id}}"}
CONDITIONS_QUERY = {"conditions": "Condition?patient={{%patient.id}}"}
QUERIES: Mapping[str, str] = MappingProxyType({**PATIENT_QUERY, **CONDITIONS_QUERY})
# Made once: it reads the file of trusted certificates, which takes longer than a test.
TLS = httpx.create_ssl_context(trust_env=False)


def condition(logical_id: str, patient: str = PATIENT) -> dict[str, Any]:
    """A Condition of the patient."""
    return {"resourceType": "Condition", "id": logical_id, "subject": {"reference": f"Patient/{patient}"}}


RECORD = {
    "Patient": [{"resourceType": "Patient", "id": PATIENT}],
    "Condition": [condition("c1"), condition("c2")],
}


@asynccontextmanager
async def reader_of(server: FaultyServer, **given: Any) -> AsyncIterator[RecordReader]:
    """A reader that may read this server, closed in the end."""
    reader = RecordReader(allowed_servers([server.base_url]), tls=TLS, **given)
    try:
        yield reader
    finally:
        await reader.aclose()


async def answers(
    reader: RecordReader,
    server: FaultyServer,
    queries: Mapping[str, str] = QUERIES,
    seconds: float = 2.0,
) -> Mapping[str, QueryAnswer]:
    """The patient's record, read with the token."""
    return await reader.read(server.base_url, Token(SECRET), PATIENT, queries, seconds)


def ids(answer: QueryAnswer) -> list[str]:
    """The ids of the resources that were read. Fails when nothing was."""
    assert answer.not_read is None, answer.not_read
    return [resource["id"] for resource in answer.resources]
