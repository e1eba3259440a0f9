"""The pytest fixture `fhir_server`: import it into a conftest.py and take it in a test."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.fhir_servers import FhirServer, ServerUnavailable
from tests.fhir_servers.hapi import hapi_server
from tests.fhir_servers.medplum import medplum_server


def named_servers() -> tuple[str, ...]:
    """The servers to test against: `FHIR_SERVERS` (comma-separated), else Medplum, and HAPI when `HAPI_URL` says where."""
    named = os.environ.get("FHIR_SERVERS", "medplum,hapi" if "HAPI_URL" in os.environ else "medplum")
    return tuple(name.strip() for name in named.split(",") if name.strip())


@pytest.fixture(scope="session", params=named_servers())
def fhir_server(request: pytest.FixtureRequest) -> Iterator[FhirServer]:
    """A real FHIR server with the fixture patients in it; skipped when it cannot be had, unless it was asked for by name."""
    try:
        with _server(request.param) as server:
            yield server
    except ServerUnavailable as problem:
        if "FHIR_SERVERS" in os.environ:
            raise
        pytest.skip(f"{request.param}: {problem}")


def _server(name: str) -> AbstractContextManager[FhirServer]:
    if name == "medplum":
        return medplum_server()
    if name == "hapi":
        return hapi_server()
    raise ValueError(f"FHIR_SERVERS: found {name!r}; expected 'medplum' or 'hapi'")
