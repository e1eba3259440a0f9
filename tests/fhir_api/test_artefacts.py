"""What is served of a policy set's resources."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.errors import ResourceNotFoundError
from cds_service.fhir_api.artefacts import (
    PREFERRED_TERMINOLOGY_SERVER,
    Artefact,
    Artefacts,
    artefacts,
    at_hand,
)

PUBLIC = "https://cds.example"


def value_set(version: str, **members: Any) -> dict[str, Any]:
    """A value set of one canonical, in some version."""
    return {"resourceType": "ValueSet", "id": "v", "url": "http://x.example/v", "version": version, **members}


def held_of(*resources: dict[str, Any]) -> Artefacts:
    """These resources, as they are served."""
    return artefacts(map(at_hand, resources), PUBLIC)


@pytest.mark.parametrize(
    "versions", [("1.0", "1.9", "1.10"), ("9", "10"), ("1.0-draft", "1.0"), ("2024.8", "2024.8.1")]
)
def test_a_canonical_without_version_names_the_newest(versions: tuple[str, ...]) -> None:
    held = held_of(*(value_set(version) for version in versions))

    assert held.named("ValueSet", "http://x.example/v", "url")["version"] == versions[-1]
    assert held.read("ValueSet", "v")["version"] == versions[-1]
    for version in versions:
        assert held.named("ValueSet", f"http://x.example/v|{version}", "url")["version"] == version


def test_a_canonical_that_several_folders_hold_is_served_once() -> None:
    held = held_of(value_set("1"), value_set("1"))

    assert len(held.of_type("ValueSet")) == 1


def test_the_version_id_changes_with_the_content_and_not_with_the_order_of_its_members() -> None:
    one, other, same = (
        held_of(resource).read("ValueSet", "v")["meta"]["versionId"]
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

    assert held_of(form).read("Questionnaire", "q")["extension"] == [theirs]


def test_what_is_loaded_is_not_changed_by_serving_it() -> None:
    form = {"resourceType": "Questionnaire", "id": "q", "url": "http://x.example/q", "extension": []}

    held_of(form).read("Questionnaire", "q")

    assert form == {"resourceType": "Questionnaire", "id": "q", "url": "http://x.example/q", "extension": []}


def test_a_type_without_resources_is_searched_and_an_unknown_one_is_not() -> None:
    held = held_of()

    assert held.of_type("PlanDefinition") == ()
    with pytest.raises(ResourceNotFoundError):
        held.of_type("Patient")


def test_one_that_is_asked_for_is_made_once_and_no_other() -> None:
    made: list[str] = []

    def resource(version: str) -> dict[str, Any]:
        made.append(version)
        return value_set(version, title=f"Made {version}")

    published = [Artefact(value_set(each), lambda each=each: resource(each)) for each in ("1", "2")]  # type: ignore[misc]
    held = artefacts(published, PUBLIC)

    assert len(held.of_type("ValueSet")) == 2
    assert held.named("ValueSet", "http://x.example/v|1", "url")["title"] == "Made 1"
    assert held.named("ValueSet", "http://x.example/v|1", "url")["meta"]["versionId"]
    assert made == ["1"]
