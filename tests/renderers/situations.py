"""What the renderers are shown: stories of `fhir_fixtures/hooks`, each with the form that its plan asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import httpx

from cds_service.questionnaires.funding_request_guidance import guidance
from tests.running_service import NOON, ROOT

Json = dict[str, Any]
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
STORIES = {
    "derby-eligible-by-answers": "derby-mastopexy",
    "derby-not-normally-funded": "derby-mastopexy",
    "derby-ifr-symmetry-limit-reached": "derby-mastopexy",
    "central-east-not-normally-funded": "central-east-breast-asymmetry",
    "central-east-funded-reconstruction": "central-east-breast-asymmetry",
    "lancashire-suspected-cancer": "lancashire-minor-plastic-surgery",
    "lancashire-with-overlay-suggests-community": "lancashire-minor-plastic-surgery",
    "nmbra-all-recorded": "nmbra-reconstruction-information",
    "centene-ifr-ruptured-implant": "centene-cosmetic-reconstructive",
    "centene-eligible-reconstruction-after-mastectomy": "centene-cosmetic-reconstructive",
    "centene-waits-for-records-panniculectomy": "centene-cosmetic-reconstructive",
}
# The shared form is no policy's own: it is filled in for an order that a policy has decided.
REQUEST_STORY, REQUEST_POLICY, REQUEST_FORM = "derby-not-normally-funded", "derby-mastopexy", "ifr-request"
SITUATIONS = (*STORIES.items(), (REQUEST_STORY, REQUEST_FORM))
USER: Json = {
    "resourceType": "Practitioner",
    "id": "example-surgeon",
    "name": [{"given": ["Example"], "family": "Surgeon"}],
}


@dataclass(frozen=True)
class Situation:
    """A form to fill in: for this order of this patient, as ``contexts`` (launch context → resource) tell."""

    story: str
    questionnaire: Json
    patient: Json
    contexts: Json
    hook: Json

    @property
    def form(self) -> str:
        """The Questionnaire's id."""
        return str(self.questionnaire["id"])

    @property
    def completed(self) -> Json | None:
        """The completed form that the story comes with."""
        entries = self.hook["prefetch"]["questionnaireResponses"].get("entry", ())
        return next((entry["resource"] for entry in entries), None)


def situation(service: httpx.Client, story: str, form: str) -> Situation:
    """A story as a running service, and the FHIR server beside it, tell it."""
    hook = json.loads((ROOT / "fhir_fixtures" / "hooks" / f"{story}.json").read_text())
    patient = _got(service, f"/development/fhir/Patient/{hook['context']['patientId']}")
    order = hook["context"]["draftOrders"]["entry"][0]["resource"]
    contexts = {"user": USER, "clinical": order}
    if form == REQUEST_FORM:
        contexts["determination"] = _determination(service, patient, order, hook)
    return Situation(story, _got(service, f"/fhir/Questionnaire/{form}"), patient, contexts, hook)


def launch(shown: Situation, url: str) -> Json:
    """What a renderer is told: the form, whom it is about, and where record and value sets are."""
    return {
        "questionnaire": shown.questionnaire,
        "patient": shown.patient,
        "contexts": shown.contexts,
        "fhir": f"{url}/development/fhir",
        "terminology": f"{url}/fhir",
        "now": NOON.isoformat(),
    }


def populated_by_us(service: httpx.Client, shown: Situation) -> Json:
    """What our ``$populate`` makes of the same form and the same record."""
    contexts = {**shown.contexts, **_record(service, shown)}
    answer = service.post(
        f"/fhir/Questionnaire/{shown.form}/$populate",
        json=_parameters(
            {"name": "subject", "valueReference": {"reference": f"Patient/{shown.patient['id']}"}},
            {"name": "data", "resource": _collection(shown.patient)},
            *(_context(name, resource) for name, resource in contexts.items()),
        ),
    )
    found: Json = next(
        each["resource"]
        for each in answer.raise_for_status().json()["parameter"]
        if each["name"] == "response"
    )
    return found


def _record(service: httpx.Client, shown: Situation) -> Json:
    """Query variable → what the development FHIR server answers to it, where it serves the type."""
    answers: Json = {}
    for extension in shown.questionnaire["extension"]:
        expression = extension.get("valueExpression", {})
        if expression.get("language") == "application/x-fhir-query":
            query = expression["expression"].replace("{{%patient.id}}", shown.patient["id"])
            answer = service.get(f"/development/fhir/{query}")
            answers |= {expression["name"]: answer.json()} if answer.is_success else {}
    return answers


def _determination(service: httpx.Client, patient: Json, order: Json, hook: Json) -> Json:
    """The GuidanceResponse of ``PlanDefinition/$apply``, with what it names contained in it."""
    shown = [entry["resource"] for bundle in hook["prefetch"].values() for entry in bundle.get("entry", ())]
    answer = service.post(
        f"/fhir/PlanDefinition/{REQUEST_POLICY}/$apply",
        json=_parameters(
            {"name": "subject", "valueString": f"Patient/{patient['id']}"},
            {"name": "order", "resource": order},
            {"name": "data", "resource": _collection(patient, *shown)},
        ),
    )
    return dict(guidance(answer.raise_for_status().json()))


def _collection(*resources: Json) -> Json:
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": each} for each in resources],
    }


def _parameters(*given: Json) -> Json:
    return {"resourceType": "Parameters", "parameter": list(given)}


def _context(name: str, resource: Json) -> Json:
    return {
        "name": "context",
        "part": [{"name": "name", "valueCode": name}, {"name": "content", "resource": resource}],
    }


def _got(service: httpx.Client, path: str) -> Json:
    found: Json = service.get(path).raise_for_status().json()
    return found
