"""What a policy reads, as a module-definition Library."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.library import Library as FhirLibrary

from cds_service.fhir_api.data_requirements import data_requirements
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import Policy
from tests.plan_folders import OURS, boolean, rule, write_organizations, write_plan

PLANS = Path(__file__).parents[2] / "plans"
LIBRARY = load_library([PLANS])
QUERY_PATTERN = "http://hl7.org/fhir/StructureDefinition/cqf-fhirQueryPattern"


def value_sets(policy: Policy) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in policy.folder.glob("ValueSet-*.json")]


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_every_query_of_a_policy_is_one_requirement_with_its_text(policy: Policy) -> None:
    library = data_requirements(policy, value_sets(policy))

    FhirLibrary.model_validate(library)
    asked = {each["id"]: each["extension"] for each in library["dataRequirement"]}
    queries = {"patient": "Patient/{{%patient.id}}", **policy.queries}
    assert asked == {name: [{"url": QUERY_PATTERN, "valueString": query}] for name, query in queries.items()}


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_a_policy_depends_on_its_form_and_all_its_value_sets_each_with_its_version(policy: Policy) -> None:
    library = data_requirements(policy, value_sets(policy))

    named = [each["resource"] for each in library["relatedArtifact"]]
    sets = [f"{each['url']}|{each['version']}" for each in value_sets(policy)]
    assert sorted(named) == sorted([f"{policy.questionnaire_url}|{policy.version}", *sets])


def test_a_value_set_of_unknown_version_is_named_without_one() -> None:
    policy = LIBRARY.policies[0]

    named = [each["resource"] for each in data_requirements(policy, [])["relatedArtifact"]]

    assert named[1:] == sorted(policy.value_sets.codes)


def query(name: str, text: str, language: str = "application/x-fhir-query") -> dict[str, Any]:
    expression = {"name": name, "language": language, "expression": text}
    return {"url": "http://hl7.org/fhir/StructureDefinition/variable", "valueExpression": expression}


def launch(name: str, kind: str) -> dict[str, Any]:
    return {
        "url": "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-launchContext",
        "extension": [{"url": "name", "valueCoding": {"code": name}}, {"url": "type", "valueCode": kind}],
    }


def library_of(folder: Path, *expressions: str) -> Library:
    """A plan that reads Conditions, with these expressions as its variables."""
    write_organizations(folder, "a")
    write_plan(
        folder, "p", [rule("first", "eligible", "%q"), rule("own", "not-normally-funded")], [boolean("q")]
    )
    file = folder / "p" / "Questionnaire-p.json"
    form = json.loads(file.read_text())
    form["extension"] += [
        launch("patient", "Patient"),
        query("conditions", "Condition?patient={{%patient.id}}"),
    ]
    form["extension"] += [query(f"v{n}", text, "text/fhirpath") for n, text in enumerate(expressions)]
    file.write_text(json.dumps(form))
    return load_library([folder])


CONDITIONS = "%conditions.entry.resource.ofType(Condition)"
IN = f"memberOf('{OURS}/ValueSet/p-orders')"


@pytest.mark.parametrize(
    ("expressions", "narrowed"),
    [
        ([f"{CONDITIONS}.where(code.{IN})"], True),
        (
            [
                f"{CONDITIONS}.where(clinicalStatus.exists() and code.{IN} and verificationStatus.exists()).exists()"
            ],
            True,
        ),
        ([f"{CONDITIONS}.where(code.{IN})", f"{CONDITIONS}.where(code.{IN}).count()"], True),
        ([f"{CONDITIONS}.where(code.{IN} or verificationStatus.exists())"], False),
        ([f"{CONDITIONS}.where(code.{IN}.not())"], False),
        ([f"{CONDITIONS}.where(code.{IN})", f"{CONDITIONS}.count()"], False),
        ([f"{CONDITIONS}.where(code.{IN})", f"{CONDITIONS}.where(bodySite.{IN})"], False),
        ([f"{CONDITIONS}.where(code.{IN}).exists() and %conditions.entry.exists()"], False),
        ([f"{CONDITIONS}.where(code.{IN} and %conditions.entry.exists())"], False),
        ([], False),
    ],
    ids=[
        "one value set",
        "one beside other conditions",
        "twice the same",
        "or something else",
        "none of the value set",
        "all of them elsewhere",
        "two elements",
        "the whole query beside it",
        "the whole query inside it",
        "not used",
    ],
)
def test_a_query_is_narrowed_only_where_nothing_else_of_it_is_seen(
    tmp_path: Path, expressions: list[str], narrowed: bool
) -> None:
    (policy,) = library_of(tmp_path, *expressions).policies

    (conditions,) = (
        each for each in data_requirements(policy, [])["dataRequirement"] if each["id"] == "conditions"
    )

    expected = [{"path": "code", "valueSet": f"{OURS}/ValueSet/p-orders"}] if narrowed else None
    assert conditions.get("codeFilter") == expected
    FhirLibrary.model_validate(data_requirements(policy, []))
