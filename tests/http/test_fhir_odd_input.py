"""Whatever is sent to the FHIR API, it is answered or refused with a place; never a fault of ours."""

from __future__ import annotations

import copy
from typing import Any

from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.hook_requests import answers, bundle, condition, order, patient
from tests.http.fhir_operations import complete, context, parameters, resource, subject

POLICY = "derby-mastopexy"
BASE = "https://funding-policies.example/fhir"
FORM = {
    "resourceType": "Questionnaire",
    "status": "active",
    "url": "http://x.example/form",
    "extension": [
        {
            "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-launchContext",
            "extension": [
                {
                    "url": "name",
                    "valueCoding": {
                        "system": "http://hl7.org/fhir/uv/sdc/CodeSystem/launchContext",
                        "code": "patient",
                    },
                },
                {"url": "type", "valueCode": "Patient"},
            ],
        },
        {
            "url": "http://hl7.org/fhir/StructureDefinition/variable",
            "valueExpression": {
                "name": "conditions",
                "language": "application/x-fhir-query",
                "expression": "Condition?patient={{%patient.id}}",
            },
        },
    ],
    "item": [
        {
            "linkId": "a",
            "type": "boolean",
            "text": "A?",
            "extension": [
                {
                    "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-initialExpression",
                    "valueExpression": {
                        "language": "text/fhirpath",
                        "expression": "%conditions.entry.exists()",
                    },
                }
            ],
        },
        {
            "linkId": "b",
            "type": "choice",
            "repeats": True,
            "answerOption": [{"valueCoding": {"system": "http://x.example", "code": "1"}}],
            "enableWhen": [{"question": "a", "operator": "=", "answerBoolean": True}],
            "item": [{"linkId": "c", "type": "decimal", "required": True}],
        },
    ],
}
RESPONSE = answers(POLICY, breastCancer=True)
DATA = resource("data", bundle(patient(), condition("254837009"), RESPONSE))
CALLS: list[tuple[str, dict[str, Any]]] = [
    (
        "Questionnaire/$populate",
        parameters(
            resource("questionnaire", FORM), subject(), context("clinical", order()), DATA, complete()
        ),
    ),
    (
        "Questionnaire/$populate",
        parameters({"name": "canonical", "valueUri": f"{BASE}/Questionnaire/{POLICY}"}, subject(), DATA),
    ),
    (
        "Questionnaire/$next-question",
        parameters(resource("questionnaire-response", RESPONSE), context("clinical", order()), DATA),
    ),
    (
        "QuestionnaireResponse/$validate",
        parameters(resource("resource", RESPONSE), resource("questionnaire", FORM)),
    ),
    ("QuestionnaireResponse/$validate", RESPONSE),
    (
        "QuestionnaireResponse/$extract",
        parameters(resource("questionnaire-response", RESPONSE), resource("questionnaire", FORM)),
    ),
    ("Questionnaire/$questionnaire-package", parameters(resource("order", order()), DATA, complete())),
    (f"PlanDefinition/{POLICY}/$apply", parameters(subject(), resource("order", order()), DATA, complete())),
    (
        "ValueSet/$expand",
        parameters(
            resource(
                "valueSet",
                {
                    "resourceType": "ValueSet",
                    "status": "active",
                    "compose": {
                        "include": [
                            {"system": "http://x.example", "concept": [{"code": "1"}]},
                            {"valueSet": [f"{BASE}/ValueSet/derby-breast-cancer"]},
                        ]
                    },
                },
            ),
            {"name": "count", "valueInteger": 3},
        ),
    ),
    (
        "ValueSet/$validate-code",
        parameters(
            {"name": "url", "valueUri": f"{BASE}/ValueSet/derby-breast-cancer"},
            {"name": "coding", "valueCoding": {"system": "http://snomed.info/sct", "code": "1"}},
        ),
    ),
]
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["", "x", "#", "|", "Patient/", "2026-02-30", "%x", "\u0000", "🙂", "http://x.example|1"]
    ),
    st.sampled_from(
        [[], {}, [[]], [None], [{}], {"": None}, {"resourceType": "Patient"}, {"extension": [{}]}]
    ),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything inside a JSON value."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, each in inside for found in [(*path, key), *places(each, (*path, key))]]


@st.composite
def odd_calls(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A good call with one to three of its parts replaced, taken away or doubled."""
    path, good = draw(st.sampled_from(CALLS))
    body = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        where = places(body)
        if not where:
            break
        *outer, last = draw(st.sampled_from(where))
        parent: Any = body
        for key in outer:
            parent = parent[key]
        change = draw(st.sampled_from(["replace", "remove", "double"]))
        if change == "replace":
            parent[last] = copy.deepcopy(draw(ODD))
        elif change == "remove":
            del parent[last]
        elif isinstance(parent, list):
            parent.append(copy.deepcopy(parent[last]))
    return path, body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(odd_calls())
def test_an_odd_call_is_answered_or_refused_and_never_a_fault(
    client: TestClient, call: tuple[str, dict[str, Any]]
) -> None:
    path, body = call

    answer = client.post(f"/fhir/{path}", json=body)

    assert answer.status_code < 500, answer.text
    if answer.status_code != 200:
        (issue,) = answer.json()["issue"]
        assert issue["diagnostics"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(
        ["PlanDefinition", "ValueSet", "ValueSet/$expand", "ValueSet/$validate-code", "metadata"]
    ),
    st.lists(
        st.tuples(
            st.sampled_from(
                [
                    "_id",
                    "url",
                    "title",
                    "title:contains",
                    "_count",
                    "_page",
                    "_elements",
                    "_summary",
                    "filter",
                    "offset",
                ]
            )
            | st.text(max_size=5),
            st.text(max_size=12),
        ),
        max_size=5,
    ),
)
def test_an_odd_query_is_answered_or_refused_and_never_a_fault(
    client: TestClient, path: str, pairs: list[tuple[str, str]]
) -> None:
    answer = client.get(f"/fhir/{path}", params=pairs)

    assert answer.status_code < 500, answer.text
