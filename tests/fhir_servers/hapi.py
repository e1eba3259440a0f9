from collections.abc import Iterator
from contextlib import contextmanager
from tests.fhir_servers import FhirServer, ServerUnavailable


@contextmanager
def hapi_server() -> Iterator[FhirServer]:
    raise ServerUnavailable("x")
    yield
