"""Everything that a form needs, in one Bundle."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from cds_service.questionnaires.package import questionnaire_package, value_sets_used

PLANS = Path(__file__).parents[2] / "plans"
OURS = "https://funding-policies.example/fhir"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def read(folder: str, kind: str) -> list[dict[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((PLANS / folder).glob(f"{kind}-*.json"))]


def draft(**more: Any) -> dict[str, Any]:
    return {"resourceType": "QuestionnaireResponse", "status": "in-progress", **more}


def packaged(
    questionnaire: dict[str, Any], response: dict[str, Any], value_sets: list[Any]
) -> list[dict[str, Any]]:
    """The entries of a package, which is a valid collection."""
    bundle = questionnaire_package(questionnaire, response, value_sets, NOW, lambda: "fresh")
    Bundle.model_validate(bundle)
    assert bundle["type"] == "collection"
    return list(bundle["entry"])


@pytest.mark.parametrize("folder", ["derby-mastopexy", "centene-cosmetic-reconstructive"])
def test_the_form_comes_first_then_one_draft_then_the_value_sets_with_their_codes(folder: str) -> None:
    (form,) = read(folder, "Questionnaire")

    entries = packaged(form, draft(), read(folder, "ValueSet"))

    kinds = [entry["resource"]["resourceType"] for entry in entries]
    assert kinds[:2] == ["Questionnaire", "QuestionnaireResponse"]
    assert set(kinds[2:]) == {"ValueSet"}
    assert all("expansion" in entry["resource"] for entry in entries[2:])


def test_only_the_value_sets_that_the_form_uses_come_along() -> None:
    (form,) = read("derby-mastopexy", "Questionnaire")

    entries = packaged(form, draft(), read("derby-mastopexy", "ValueSet"))

    urls = {entry["fullUrl"] for entry in entries[2:]}
    assert urls == value_sets_used(form)
    assert f"{OURS}/ValueSet/derby-mastopexy-orders" not in urls


def test_the_draft_names_its_form_with_the_version() -> None:
    (form,) = read("derby-mastopexy", "Questionnaire")

    entries = packaged(form, draft(questionnaire=form["url"]), [])

    assert entries[1]["resource"]["questionnaire"] == f"{form['url']}|{form['version']}"


@pytest.mark.parametrize(("own", "kept"), [({}, "fresh"), ({"id": "mine"}, "mine")])
def test_a_draft_keeps_its_id_or_gets_a_fresh_one(own: dict[str, str], kept: str) -> None:
    (form,) = read("derby-mastopexy", "Questionnaire")

    entry = packaged(form, draft(**own), [])[1]

    assert (entry["resource"]["id"], entry["fullUrl"]) == (kept, "urn:uuid:fresh")


FORM = {
    "resourceType": "Questionnaire",
    "url": f"{OURS}/Questionnaire/q",
    "status": "draft",
    "item": [
        {
            "linkId": "g",
            "type": "group",
            "item": [{"linkId": "c", "type": "choice", "answerValueSet": f"{OURS}/ValueSet/colours"}],
        },
        {"linkId": "d", "type": "choice", "answerValueSet": "http://elsewhere.example/ValueSet/others"},
    ],
}
COLOURS = {"resourceType": "ValueSet", "url": f"{OURS}/ValueSet/colours", "version": "3", "status": "draft"}


def test_options_are_named_with_the_version_that_is_in_the_package() -> None:
    form = packaged(FORM, draft(), [COLOURS])[0]["resource"]

    assert form["item"][0]["item"][0]["answerValueSet"] == f"{OURS}/ValueSet/colours|3"
    assert form["item"][1]["answerValueSet"] == "http://elsewhere.example/ValueSet/others"


def test_the_form_given_is_left_as_it_is() -> None:
    before = json.dumps(FORM)

    packaged(FORM, draft(), [COLOURS])

    assert json.dumps(FORM) == before


def test_value_sets_are_found_in_every_expression_and_one_that_does_not_parse_names_none() -> None:
    def expression(text: str) -> dict[str, Any]:
        return {"url": "x", "valueExpression": {"language": "text/fhirpath", "expression": text}}

    form = {
        "extension": [
            expression("a.memberOf('u|1') or b.where(c.memberOf('v')).exists()"),
            expression("d.memberOf('w'"),
        ]
    }

    assert value_sets_used(form) == {"u", "v"}
