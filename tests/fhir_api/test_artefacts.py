"""What is served of a policy set's resources."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.errors import ResourceNotFoundError
from cds_service.fhir_api.artefacts import PREFERRED_TERMINOLOGY_SERVER, artefacts

PUBLIC = "https://cds.example"


def value_set(version: str, **members: Any) -> dict[str, Any]:
    """A value set of one canonical, in some version."""
    return {"resourceType": "ValueSet", "id": "v", "url": "http://x.example/v", "version": version, **members}


@pytest.mark.parametrize(
    "versions", [("1.0", "1.9", "1.10"), ("9", "10"), ("1.0-draft", "1.0"), ("2024.8", "2024.8.1")]
)
def test_a_canonical_without_version_names_the_newest(versions: tuple[str, ...]) -> None:
    held = artefacts([value_set(version) for version in versions], PUBLIC)

    assert held.named("ValueSet", "http://x.example/v", "url")["version"] == versions[-1]
    assert held.read("ValueSet", "v")["version"] == versions[-1]
    for version in versions:
        assert held.named("ValueSet", f"http://x.example/v|{version}", "url")["version"] == version


def test_a_canonical_that_several_folders_hold_is_served_once() -> None:
    held = artefacts([value_set("1"), value_set("1")], PUBLIC)

    assert len(held.of_type("ValueSet")) == 1


def test_the_version_id_changes_with_the_content_and_not_with_the_order_of_its_members() -> None:
    one, other, same = (
        artefacts([resource], PUBLIC).read("ValueSet", "v")["meta"]["versionId"]
        for resource in (
            value_set("1", title="A"),
            value_set("1", title="B"),
            {"title": "A", **value_set("1")},
        )
    )

    assert one == same != other


def test_a_form_that_names_a_terminology_server_keeps_it() -> None:
    theirs = {"url": PREFERRED_TERMINOLOGY_SERVER, "valueUrl": "https://terminology.example/fhir"}
    form = {"resourceType": "Questionnaire", "id": "q", "url": "http://x.example/q", "extension": [theirs]}

    assert artefacts([form], PUBLIC).read("Questionnaire", "q")["extension"] == [theirs]


def test_what_is_loaded_is_not_changed_by_serving_it() -> None:
    form = {"resourceType": "Questionnaire", "id": "q", "url": "http://x.example/q", "extension": []}

    artefacts([form], PUBLIC)

    assert form == {"resourceType": "Questionnaire", "id": "q", "url": "http://x.example/q", "extension": []}


def test_a_type_without_resources_is_searched_and_an_unknown_one_is_not() -> None:
    held = artefacts([], PUBLIC)

    assert held.of_type("PlanDefinition") == ()
    with pytest.raises(ResourceNotFoundError):
        held.of_type("Patient")
