from tests.fhir_servers.fixtures import fhir_server

__all__ = ["fhir_server"]
