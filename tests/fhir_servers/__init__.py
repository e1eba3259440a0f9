"""Real FHIR R4 servers, written by others, for tests: Medplum's router (always) and HAPI FHIR JPA (on demand).

    from tests.fhir_servers.medplum import medplum_server
    with medplum_server(token="t") as server:                 # ~1 s; the fixtures are loaded
        server.base_url                                        # "http://127.0.0.1:…/fhir": what `fhirServer` would say
        server.token                                           # "t": what `fhirAuthorization.access_token` would say
        server.load(bundle)                                    # adds resources under the ids they have
        server.log(), server.forget_log(), server.delay(200)   # what was asked; how slow each answer is, in ms

A test that takes the fixture `fhir_server` (`tests/fhir_servers/fixtures.py`) runs once against each server that
`FHIR_SERVERS` names (`docs/fhir-servers.md`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PATIENTS = Path(__file__).parents[2] / "fhir_fixtures" / "patients"
FHIR_JSON = "application/fhir+json"


class ServerUnavailableError(Exception):
    """What runs a server is missing from this machine; says what was looked for."""


@dataclass(frozen=True)
class FhirServer:
    """One running server. `control_url`: where its request log and delay are, when it has them."""

    name: str
    base_url: str
    token: str | None
    control_url: str | None

    def client(self, token: str | None = None) -> httpx.Client:
        """A client of the base URL that sends `token`, or else the server's own."""
        headers = {"Accept": FHIR_JSON, "Content-Type": FHIR_JSON}
        if sent := token or self.token:
            headers["Authorization"] = f"Bearer {sent}"
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=60, trust_env=False)

    def load(self, bundle: dict[str, Any]) -> None:
        """Puts each resource of the bundle on the server under the id it has; raises ValueError when one is refused."""
        with self.client() as client:
            answer = client.post("/", content=json.dumps(batch_of_puts(bundle)))
        answer.raise_for_status()
        statuses = [entry["response"]["status"] for entry in answer.json()["entry"]]
        if not all(status.startswith("20") for status in statuses):
            raise ValueError(
                f"{self.name}: found {statuses} for {bundle.get('id')}; expected 200 or 201 for each"
            )

    def log(self) -> list[dict[str, Any]]:
        """The FHIR requests since the log was last forgotten: method, path with query, token (bool), status."""
        lines: list[dict[str, Any]] = self._control("GET", "_log")
        return lines

    def forget_log(self) -> None:
        """Empties the request log."""
        self._control("DELETE", "_log")

    def delay(self, milliseconds: int) -> None:
        """Makes every FHIR answer start that much later."""
        self._control("PUT", f"_delay/{milliseconds}")

    def _control(self, method: str, path: str) -> Any:
        if self.control_url is None:
            raise ServerUnavailableError(
                f"{self.name} at {self.base_url} has no request log; expected one of ours"
            )
        answer = httpx.request(method, f"{self.control_url}/{path}", timeout=10, trust_env=False)
        return answer.raise_for_status().json()


def batch_of_puts(bundle: dict[str, Any]) -> dict[str, Any]:
    """A batch Bundle that writes each resource of `bundle` under the id it has."""
    return {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [_put(entry["resource"]) for entry in bundle["entry"]],
    }


def fixture_bundles() -> Iterator[dict[str, Any]]:
    """Each fixture patient's record, as a collection Bundle."""
    for path in sorted(PATIENTS.glob("*.json")):
        yield json.loads(path.read_text(encoding="utf-8"))


def _put(resource: dict[str, Any]) -> dict[str, Any]:
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"resource": resource, "request": {"method": "PUT", "url": url}}
