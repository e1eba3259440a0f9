"""What changes a form's behaviour and is not carried out is named, and such a form is refused."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.errors import UnsupportedQuestionnaireError
from cds_service.questionnaires.form import prepared
from cds_service.questionnaires.support import unsupported
from tests.questionnaires.forms import CORE, SDC, expression, item, questionnaire, variable

PROPER = [
    {"url": f"{SDC}shortText", "valueString": "short"},
    {"url": f"{CORE}rendering-style", "valueString": "color: red"},
    {"url": "https://somebody.example/extension", "valueBoolean": True},
]


@pytest.mark.parametrize(
    "extension",
    [
        expression(f"{SDC}initialExpression", "Patient.age", language="text/cql"),
        expression(f"{SDC}enableWhenExpression", "AgeOver18", language="text/cql-identifier"),
        expression(f"{SDC}calculatedExpression", "x", language="application/x-fhir-query"),
        expression(f"{SDC}answerExpression", "%patient.contact"),
        expression(f"{SDC}candidateExpression", "%patient.contact"),
        {"url": f"{SDC}subQuestionnaire", "valueCanonical": "https://forms.example/Questionnaire/part|1"},
        {"url": f"{SDC}sourceQueries", "valueReference": {"reference": "#batch"}},
        {"url": f"{SDC}sourceStructureMap", "valueCanonical": "https://forms.example/StructureMap/map"},
        {"url": f"{SDC}observationLinkPeriod", "valueDuration": {"value": 1, "code": "a"}},
        {"url": f"{SDC}invented-tomorrow", "valueBoolean": True},
    ],
    ids=lambda extension: extension["url"].rsplit("-", 1)[-1],
)
@pytest.mark.parametrize("place", ["root", "item"])
def test_a_feature_that_is_not_carried_out_is_named_with_its_path(
    extension: dict[str, Any], place: str
) -> None:
    on: dict[str, Any] = {"extension": [*PROPER, extension]}
    form = questionnaire(item("a", **on)) if place == "item" else questionnaire(item("a"), **on)

    path = "Questionnaire.item[0].extension[3]" if place == "item" else "Questionnaire.extension[3]"
    assert [(each.path, each.feature) for each in unsupported(form)] == [(path, extension["url"])]


def test_a_modifier_extension_that_is_not_known_is_named() -> None:
    form = questionnaire(item("a", modifierExtension=[{"url": "https://somebody.example/negated"}]))

    assert [each.feature for each in unsupported(form)] == ["https://somebody.example/negated"]


def test_an_extension_of_an_option_is_looked_at() -> None:
    option = {"valueString": "x", "modifierExtension": [{"url": "https://somebody.example/m"}]}
    form = questionnaire(item("a", "choice", answerOption=[{"valueString": "w"}, option]))

    assert [each.path for each in unsupported(form)] == [
        "Questionnaire.item[0].answerOption[1].modifierExtension[0]"
    ]


@pytest.mark.parametrize(
    ("items", "feature"),
    [
        ([item("a", "coding")], "coding"),
        ([{"type": "boolean"}], "an item without linkId"),
        ([item("a"), item("g", "group", below=[item("a")])], "the linkId a on 2 items"),
    ],
)
def test_what_is_no_form_of_r4_is_named(items: list[dict[str, Any]], feature: str) -> None:
    assert [each.feature for each in unsupported(questionnaire(*items))] == [feature]


def test_how_a_form_looks_is_nobodys_concern() -> None:
    assert unsupported(questionnaire(item("a", extension=PROPER), extension=PROPER)) == ()


def test_a_form_with_features_that_are_not_carried_out_is_not_prepared() -> None:
    form = questionnaire(
        item("a", extension=[expression(f"{SDC}initialExpression", "x", language="text/cql")]),
        item("b", modifierExtension=[{"url": "https://somebody.example/m"}]),
    )

    with pytest.raises(UnsupportedQuestionnaireError) as refused:
        prepared(form)

    assert len(refused.value.features) == 2
    assert "an expression in text/cql" in refused.value.features[0]


def test_an_expression_that_can_never_be_evaluated_is_a_problem_of_the_form_and_no_reason_to_refuse_it() -> (
    None
):
    form = prepared(questionnaire(extension=[variable("later", "%now2")]))

    assert [(each.path, each.code) for each in form.problems] == [
        ("Questionnaire.extension[0].valueExpression", "not-supported")
    ]


def test_a_variable_sees_those_before_it_alone() -> None:
    form = prepared(questionnaire(extension=[variable("one", "%two"), variable("two", "2")]))

    assert [each.path for each in form.problems] == ["Questionnaire.extension[0].valueExpression"]
