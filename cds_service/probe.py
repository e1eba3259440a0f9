"""What a FHIR server offers of the reads that our policies need, tried on one of its patients.

Nothing is written; what is printed are query names, counts, times and reasons, and the cards, never a resource.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx

from cds_service.errors import CdsServiceError, NoPatientError
from cds_service.hooks.requests import hook_request
from cds_service.policies.library import Library
from cds_service.policies.policy import Policy
from cds_service.record.patient_record import QueryAnswer
from cds_service.record.reads import Limits, RecordReader
from cds_service.service import Decision, Terms, decide
from cds_service.trust.outbound import Token

SLOW_SECONDS = 1.0
_PAGE = 20
_PATIENCE = 30.0


@dataclass(frozen=True)
class Probed:
    """One read: how long it took in seconds, and its answer."""

    query: str
    template: str
    seconds: float
    answer: QueryAnswer

    @property
    def verdict(self) -> str:
        """In a few words what the server made of it."""
        if self.answer.not_read is not None:
            return f"not read: {self.answer.not_read}"
        words = [f"{len(self.answer.resources)} resources"]
        if len(self.answer.resources) > _PAGE:
            words.append("paged")
        if self.seconds > SLOW_SECONDS:
            words.append("slow")
        if self.answer.refused:
            words.append(f"{len(self.answer.refused)} entries passed over")
        return ", ".join(words)


async def some_patient(base_url: str, token: Token | None) -> str:
    """The id of the first patient that the server lists. NoPatientError when it lists none."""
    headers = {"Accept": "application/fhir+json"} | ({"Authorization": token.authorization} if token else {})
    async with httpx.AsyncClient(trust_env=False, timeout=_PATIENCE) as client:
        try:
            found = (
                (await client.get(f"{base_url}/Patient?_count=1", headers=headers)).raise_for_status().json()
            )
            return str(found["entry"][0]["resource"]["id"])
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise NoPatientError(
                f"Patient?_count=1 gave no patient ({type(error).__name__}); name one"
            ) from None


async def probed(base_url: str, token: Token | None, patient: str, library: Library) -> list[Probed]:
    """Every read that the library's policies need, one after another."""
    reader = RecordReader((), limits=Limits(seconds=_PATIENCE, page_size=_PAGE, pages=50), any_server=True)
    found = []
    try:
        for key, template in library.queries.items():
            started = time.perf_counter()
            answers = await reader.read(base_url, token, patient, {key: template}, _PATIENCE)
            found.append(Probed(key, template, time.perf_counter() - started, answers[key]))
    finally:
        await reader.aclose()
    return found


def example_decisions(
    reads: list[Probed], patient: str, library: Library, now: datetime
) -> Iterator[tuple[Policy, Decision | CdsServiceError]]:
    """For each policy what an order of its first code would be answered with, for this patient's record as read.

    Where the record names no commissioner it is taken to be the policy's own: a public server's patients are registered
    nowhere.
    """
    answers = {each.query: each.answer for each in reads}
    for policy in library.policies:
        terms = Terms(now, lambda: str(uuid4()), "http://127.0.0.1:8000", 90, policy.commissioner)
        try:
            yield policy, decide(hook_request(example_request(policy, patient)), library, terms, answers)
        except CdsServiceError as error:
            yield policy, error


def example_request(policy: Policy, patient: str) -> dict[str, Any]:
    """A hook request with one draft order that the policy is about."""
    system, code = min(policy.codes, default=("", ""))
    order = {
        "resourceType": "ServiceRequest",
        "id": "probe",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"system": system, "code": code}]},
    }
    return {
        "hook": "order-select",
        "hookInstance": str(uuid4()),
        "context": {
            "userId": "Practitioner/probe",
            "patientId": patient,
            "selections": ["ServiceRequest/probe"],
            "draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": order}]},
        },
    }
