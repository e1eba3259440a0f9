"""An EHR for each test, and proof that nothing of its codes and tokens is ever logged."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.fhir_servers.fixtures import fhir_server
from tests.smart.authorization_server import Ehr, RunningServer, authorization_server
from tests.smart.launches import NOW, Launches

__all__ = ["fhir_server"]


@pytest.fixture(scope="session")
def running() -> Iterator[RunningServer]:
    """The server that every EHR runs on."""
    with authorization_server() as server:
        yield server


@pytest.fixture
def ehr(running: RunningServer, caplog: pytest.LogCaptureFixture) -> Iterator[Ehr]:
    """A healthy EHR. After the test, no log record of any level and logger holds one of its secrets."""
    caplog.set_level(logging.DEBUG)
    healthy = running.ehr(int(NOW.timestamp()))
    yield healthy
    records = [record for when in ("setup", "call") for record in caplog.get_records(when)]
    said = "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in records)
    assert not [secret for secret in healthy.secrets if secret in said]


@pytest.fixture
def launches(ehr: Ehr) -> Launches:
    """Launches from the EHR by an app that it knows as a public one."""
    return Launches(ehr)
