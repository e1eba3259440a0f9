"""The pytest fixture `fhir_server`: import it into a conftest.py and take it in a test."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import pytest

from tests.fhir_servers import FhirServer, ServerUnavailableError
from tests.fhir_servers.hapi import hapi_server
from tests.fhir_servers.medplum import medplum_server


def named_servers() -> tuple[str, ...]:
    """The servers to test against: `FHIR_SERVERS` (comma-separated), else Medplum, and HAPI when `HAPI_URL` says where."""
    named = os.environ.get("FHIR_SERVERS", "medplum,hapi" if "HAPI_URL" in os.environ else "medplum")
    return tuple(name.strip() for name in named.split(",") if name.strip())


@contextmanager
def or_skipped(name: str, server: AbstractContextManager[FhirServer]) -> Iterator[FhirServer]:
    """The running server; skips when what runs it is missing here, unless `FHIR_SERVERS` asks for it by name."""
    with ExitStack() as stack:
        try:
            running = stack.enter_context(server)
        except ServerUnavailableError as problem:
            if name in os.environ.get("FHIR_SERVERS", ""):
                raise
            pytest.skip(f"{name}: {problem}")
        yield running


@pytest.fixture(scope="session", params=named_servers())
def fhir_server(request: pytest.FixtureRequest) -> Iterator[FhirServer]:
    """A real FHIR server with the fixture patients in it, shared by the tests of a session (of a pytest-xdist worker)."""
    with or_skipped(request.param, _server(request.param)) as server:
        yield server


def _server(name: str) -> AbstractContextManager[FhirServer]:
    if name == "medplum":
        return medplum_server()
    if name == "hapi":
        return hapi_server()
    raise ValueError(f"FHIR_SERVERS: found {name!r}; expected 'medplum' or 'hapi'")
