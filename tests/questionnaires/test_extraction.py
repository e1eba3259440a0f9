"""What a form declares is to be made of its answers: the specification's own two complex examples, and small forms."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from cds_service.errors import ExtractionError, NothingToExtractError
from cds_service.policies.library import load_library
from cds_service.questionnaires.extraction import declares_extraction, extracted

ROOT = Path(__file__).parents[2]
FORMS = ROOT.parent / "shared" / "third-party" / "questionnaires"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
CORE = "http://hl7.org/fhir/StructureDefinition/"
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
PATIENT_ID = "urn:uuid:id-0"


def fresh_ids() -> Callable[[], str]:
    numbers = itertools.count()
    return lambda: f"id-{next(numbers)}"


def given(link_id: str, *values: dict[str, Any], items: tuple[Any, ...] = ()) -> dict[str, Any]:
    """A response item with these answers, or a group of items."""
    written: dict[str, Any] = {"linkId": link_id}
    if values:
        written["answer"] = list(values)
    if items:
        written["item"] = list(items)
    return written


def response(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "r1",
        "status": "completed",
        "authored": "2026-11-20T10:00:00Z",
        "author": {"reference": "Practitioner/7"},
        "item": list(items),
        **more,
    }


def form(*items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "status": "draft", "item": list(items), **more}


def extension(name: str, *parts: dict[str, Any], **value: Any) -> dict[str, Any]:
    return {"url": f"{SDC}{name}", **({"extension": list(parts)} if parts else {}), **value}


def of_type(name: str, *parts: dict[str, Any]) -> dict[str, Any]:
    return extension("definitionExtract", {"url": "definition", "valueCanonical": f"{CORE}{name}"}, *parts)


def set_to(path: str, **value: Any) -> dict[str, Any]:
    """A definitionExtractValue: ``expression`` is FHIRPath, any other member a fixed value[x]."""
    definition = {"url": "definition", "valueUri": f"{CORE}{path.partition('.')[0]}#{path}"}
    if "expression" in value:
        written = {"language": "text/fhirpath", "expression": value["expression"]}
        return extension(
            "definitionExtractValue", definition, {"url": "expression", "valueExpression": written}
        )
    return extension("definitionExtractValue", definition, {"url": "fixed-value", **value})


def question(link_id: str, path: str | None = None, kind: str = "string", **more: Any) -> dict[str, Any]:
    definition = {} if path is None else {"definition": f"{CORE}{path.partition('.')[0]}#{path}"}
    return {"linkId": link_id, "type": kind, **definition, **more}


def entries(questionnaire: dict[str, Any], answers: dict[str, Any]) -> list[dict[str, Any]]:
    """The entries of what is extracted, which is valid R4."""
    bundle = extracted(questionnaire, answers, NOW, fresh_ids())
    Bundle.model_validate(bundle)
    assert bundle["type"] == "transaction"
    return list(bundle.get("entry", []))


def resources(questionnaire: dict[str, Any], answers: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in entries(questionnaire, answers)]


def published(name: str) -> dict[str, Any]:
    file = FORMS / f"sdc__extract-complex-{name}.json"
    if not file.exists():
        pytest.skip("the specification's example forms are not here (third-party/questionnaires)")
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


# The two examples of the specification ask the same and make nearly the same of it.
ANSWERED = response(
    given(
        "patient",
        items=(
            given(
                "name",
                items=(
                    given("given", {"valueString": "Ann"}, {"valueString": "Bea"}),
                    given("family", {"valueString": "Fay"}),
                ),
            ),
            given("name", items=(given("given", {"valueString": "Annie"}),)),
            given(
                "gender",
                {"valueCoding": {"system": "http://hl7.org/fhir/administrative-gender", "code": "female"}},
            ),
            given("dob", {"valueDate": "1970-02-03"}),
            given("ihi", {"valueString": "8003"}),
        ),
    ),
    given(
        "contacts",
        items=(
            given("contact-name", {"valueString": "Cid"}),
            given(
                "relationship",
                {"valueCoding": {"system": "http://terminology.hl7.org/CodeSystem/v2-0131", "code": "N"}},
            ),
        ),
    ),
    given("contacts", items=(given("contact-name", {"valueString": "Dot"}),)),
    given("contacts", items=(given("phone"),)),
    given("obs", items=(given("height", {"valueDecimal": 1.8}), given("weight"))),
)


@pytest.mark.parametrize("name", ["defn3", "template"])
def test_the_published_example_makes_a_resource_for_each_answered_occurrence(name: str) -> None:
    made = resources(published(name), ANSWERED)

    assert [each["resourceType"] for each in made] == [
        "Patient",
        "RelatedPerson",
        "RelatedPerson",
        "Observation",
    ]


@pytest.mark.parametrize("name", ["defn3", "template"])
def test_the_published_example_keeps_together_what_belongs_together(name: str) -> None:
    patient = resources(published(name), ANSWERED)[0]

    assert patient["name"] == [
        {"text": "Ann Bea Fay", "given": ["Ann", "Bea"], "family": "Fay"},
        {"text": "Annie", "given": ["Annie"]},
    ]
    assert patient["identifier"] == [
        {"type": {"text": "National Identifier (IHI)"}, "system": "http://example.org/nhio", "value": "8003"}
    ]
    assert patient["gender"] == "female"
    assert "telecom" not in patient


@pytest.mark.parametrize("name", ["defn3", "template"])
def test_the_published_example_refers_to_the_patient_by_the_id_it_allocates(name: str) -> None:
    made = entries(published(name), ANSWERED)

    assert made[0]["fullUrl"] == PATIENT_ID
    assert [each["resource"]["patient"] for each in made[1:3]] == [{"reference": PATIENT_ID}] * 2
    assert made[3]["resource"]["subject"] == {"reference": PATIENT_ID}
    assert len({each["fullUrl"] for each in made}) == 4


def test_the_published_definitions_make_the_observation() -> None:
    observation = resources(published("defn3"), ANSWERED)[3]

    assert observation["valueQuantity"] == {"value": 1.8, "unit": "m"}
    assert observation["effectiveDateTime"] == observation["issued"] == "2026-11-20T10:00:00Z"
    assert observation["performer"] == [{"reference": "Practitioner/7"}]
    assert observation["derivedFrom"] == [{"reference": "QuestionnaireResponse/r1"}]
    assert observation["code"]["coding"][0]["code"] == "8302-2"


def test_the_published_template_makes_the_observation() -> None:
    observation = resources(published("template"), ANSWERED)[3]

    assert observation["valueQuantity"] == {
        "system": "http://unitsofmeasure.org", "unit": "cm", "code": "cm", "value": 180
    }  # fmt: skip
    assert json.dumps(observation["valueQuantity"]["value"]) == "180"
    assert observation["effectiveDateTime"] == "2026-11-20T10:00:00Z"
    assert "id" not in observation


def test_a_template_leaves_out_what_its_context_does_not_yield() -> None:
    answers = {name: value for name, value in ANSWERED.items() if name != "id"}

    observation = resources(published("template"), answers)[3]

    assert "derivedFrom" not in observation


@pytest.mark.parametrize("value", [True, False])
def test_a_no_is_an_answer(value: bool) -> None:
    answers = response(given("obs", items=(given("complication", {"valueBoolean": value}),)))

    (_, observation) = resources(
        published("template"), answers | {"item": [ANSWERED["item"][0], *answers["item"]]}
    )

    assert observation["valueBoolean"] is value


def test_nothing_answered_makes_nothing() -> None:
    assert extracted(published("template"), response(), NOW, fresh_ids()).get("entry") is None


# Small forms by definition.


def test_at_the_root_a_resource_is_made_even_of_no_answers() -> None:
    questionnaire = form(extension=[of_type("Basic"), set_to("Basic.code.text", valueString="asked")])

    assert resources(questionnaire, response()) == [{"resourceType": "Basic", "code": {"text": "asked"}}]


def test_two_numbers_make_two_telecoms_each_with_its_own_use() -> None:
    questionnaire = form(
        question(
            "home", "Patient.telecom.value", extension=[set_to("Patient.telecom.use", valueCode="home")]
        ),
        question(
            "work", "Patient.telecom.value", extension=[set_to("Patient.telecom.use", valueCode="work")]
        ),
        extension=[of_type("Patient")],
    )
    answers = response(given("home", {"valueString": "1"}), given("work", {"valueString": "2"}))

    (patient,) = resources(questionnaire, answers)

    assert patient["telecom"] == [{"value": "1", "use": "home"}, {"value": "2", "use": "work"}]


def test_names_asked_side_by_side_make_one_name() -> None:
    questionnaire = form(
        question("given", "Patient.name.given"),
        question("family", "Patient.name.family"),
        extension=[of_type("Patient")],
    )
    answers = response(given("given", {"valueString": "Ann"}), given("family", {"valueString": "Fay"}))

    (patient,) = resources(questionnaire, answers)

    assert patient["name"] == [{"given": ["Ann"], "family": "Fay"}]


def test_two_questions_for_one_repeating_name_part_add_to_one_name() -> None:
    questionnaire = form(
        question("first", "Patient.name.given"),
        question("middle", "Patient.name.given"),
        extension=[of_type("Patient")],
    )
    answers = response(given("first", {"valueString": "Ann"}), given("middle", {"valueString": "Bea"}))

    (patient,) = resources(questionnaire, answers)

    assert patient["name"] == [{"given": ["Ann", "Bea"]}]


def test_several_answers_into_one_list_stay_in_one_element_with_what_is_fixed() -> None:
    fixed = set_to("Patient.name.use", valueCode="official")
    item = question("given", "Patient.name.given", repeats=True, extension=[fixed])

    (patient,) = resources(
        form(item, extension=[of_type("Patient")]),
        response(given("given", {"valueString": "Ann"}, {"valueString": "Bea"})),
    )

    assert patient["name"] == [{"given": ["Ann", "Bea"], "use": "official"}]


def test_several_answers_make_several_elements_each_with_what_is_fixed() -> None:
    fixed = set_to("Patient.identifier.system", valueUri="https://fhir.nhs.uk/Id/nhs-number")
    questionnaire = form(
        question("id", "Patient.identifier.value", repeats=True, extension=[fixed]),
        extension=[of_type("Patient")],
    )
    answers = response(given("id", {"valueString": "1"}, {"valueString": "2"}))

    (patient,) = resources(questionnaire, answers)

    assert [each["value"] for each in patient["identifier"]] == ["1", "2"]
    assert all("system" in each for each in patient["identifier"])


@pytest.mark.parametrize(
    ("answer", "key", "made"),
    [
        ({"valueBoolean": True}, "valueBoolean", True),
        ({"valueInteger": 3}, "valueInteger", 3),
        ({"valueDecimal": 1.5}, "valueQuantity", {"value": 1.5}),
        ({"valueDate": "2026-01-02"}, "valueDateTime", "2026-01-02"),
        ({"valueDateTime": "2026-01-02T03:04:05Z"}, "valueDateTime", "2026-01-02T03:04:05Z"),
        ({"valueTime": "03:04:05"}, "valueTime", "03:04:05"),
        ({"valueString": "words"}, "valueString", "words"),
        ({"valueCoding": {"code": "c"}}, "valueCodeableConcept", {"coding": [{"code": "c"}]}),
        ({"valueQuantity": {"value": 2, "unit": "kg"}}, "valueQuantity", {"value": 2, "unit": "kg"}),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_an_answer_of_each_type_goes_into_the_choice_element_that_fits(
    answer: dict[str, Any], key: str, made: Any
) -> None:
    item = question("q", "Observation.value[x]", extension=[of_type("Observation"), *_named_observation()])

    (observation,) = resources(form(item), response(given("q", answer)))

    assert {name: value for name, value in observation.items() if name.startswith("value")} == {key: made}


def _named_observation() -> list[dict[str, Any]]:
    return [
        set_to("Observation.status", valueCode="final"),
        set_to("Observation.code.text", valueString="asked"),
    ]


def test_a_profile_is_written_into_the_resource_and_tells_its_type_by_its_elements() -> None:
    profile = "https://fhir.hl7.org.uk/StructureDefinition/UKCore-Patient"
    declared = extension("definitionExtract", {"url": "definition", "valueCanonical": f"{profile}|2.6.1"})
    item = {"linkId": "dob", "type": "date", "definition": f"{profile}#Patient.birthDate"}

    (patient,) = resources(
        form(item, extension=[declared]), response(given("dob", {"valueDate": "1970-02-03"}))
    )

    assert patient == {"resourceType": "Patient", "meta": {"profile": [profile]}, "birthDate": "1970-02-03"}


def test_a_resource_inside_another_is_its_own() -> None:
    inner = question("note", "Basic.code.text", extension=[of_type("Basic")])
    questionnaire = form(
        {
            "linkId": "g",
            "type": "group",
            "item": [question("dob", "Patient.birthDate", "date"), inner],
            "extension": [of_type("Patient")],
        }
    )
    answers = response(
        given("g", items=(given("dob", {"valueDate": "1970"}), given("note", {"valueString": "n"})))
    )

    assert resources(questionnaire, answers) == [
        {"resourceType": "Patient", "birthDate": "1970"},
        {"resourceType": "Basic", "code": {"text": "n"}},
    ]


def test_a_resource_inside_another_of_its_type_takes_its_answers_for_itself() -> None:
    inner = {
        "linkId": "child",
        "type": "group",
        "extension": [of_type("Patient")],
        "item": [question("name", "Patient.name.text")],
    }
    questionnaire = form(question("dob", "Patient.birthDate", "date"), inner, extension=[of_type("Patient")])
    answers = response(
        given("dob", {"valueDate": "1970"}), given("child", items=(given("name", {"valueString": "Bo"}),))
    )

    assert resources(questionnaire, answers) == [
        {"resourceType": "Patient", "birthDate": "1970"},
        {"resourceType": "Patient", "name": [{"text": "Bo"}]},
    ]


def test_each_answer_of_a_repeating_question_makes_its_own_resource() -> None:
    item = question("note", "Basic.code.text", repeats=True, extension=[of_type("Basic")])

    made = resources(form(item), response(given("note", {"valueString": "a"}, {"valueString": "b"})))

    assert [each["code"]["text"] for each in made] == ["a", "b"]


# How it is sent.


def test_what_is_declared_of_the_request_is_in_the_entry() -> None:
    parts = [
        {"url": "fullUrl", "valueString": "'urn:uuid:chosen'"},
        {"url": "ifNoneExist", "valueString": "'identifier=' + answer.value"},
        {"url": "ifNoneMatch", "valueString": "{}"},
    ]
    item = question("note", "Basic.code.text", extension=[of_type("Basic", *parts)])

    (entry,) = entries(form(item), response(given("note", {"valueString": "a"})))

    assert entry["fullUrl"] == "urn:uuid:chosen"
    assert entry["request"] == {"method": "POST", "url": "Basic", "ifNoneExist": "identifier=a"}


@pytest.mark.parametrize("way", ["definition", "template"])
def test_a_resource_with_an_id_of_its_own_is_updated(way: str) -> None:
    resource_id = {"url": "resourceId", "valueString": "'b1'"}
    template = extension(
        "templateExtract", {"url": "template", "valueReference": {"reference": "#t"}}, resource_id
    )
    declared = {"definition": of_type("Basic", resource_id), "template": template}[way]
    contained = {"resourceType": "Basic", "id": "t", "code": {"text": "a"}}
    item = question("note", "Basic.code.text", extension=[declared])

    (entry,) = entries(form(item, contained=[contained]), response(given("note", {"valueString": "a"})))

    assert entry["request"] == {"method": "PUT", "url": "Basic/b1"}
    assert entry["resource"] == {"resourceType": "Basic", "id": "b1", "code": {"text": "a"}}


# Small forms by template.


def templated(template: dict[str, Any], *items: dict[str, Any]) -> dict[str, Any]:
    declared = extension("templateExtract", {"url": "template", "valueReference": {"reference": "#t"}})
    return form(*items, contained=[{"id": "t", **template}], extension=[declared])


def value(expression: str) -> dict[str, Any]:
    return {"extension": [extension("templateExtractValue", valueString=expression)]}


def test_a_context_repeats_its_element_and_gives_its_name_to_what_is_inside() -> None:
    context = {"language": "text/fhirpath", "name": "each", "expression": "item.answer"}
    template = {
        "resourceType": "Patient",
        "telecom": [
            {
                "extension": [extension("templateExtractContext", valueExpression=context)],
                "system": "phone",
                "_value": value("%each.value"),
            }
        ],
    }

    (patient,) = resources(
        templated(template, question("p", repeats=True)),
        response(given("p", {"valueString": "1"}, {"valueString": "2"})),
    )

    assert patient["telecom"] == [{"system": "phone", "value": "1"}, {"system": "phone", "value": "2"}]


def test_other_extensions_of_a_template_stay() -> None:
    kept = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}
    template = {"resourceType": "Patient", "birthDate": "1970", "_birthDate": {"extension": [kept]}}

    (patient,) = resources(templated(template), response())

    assert patient == {"resourceType": "Patient", "birthDate": "1970", "_birthDate": {"extension": [kept]}}


def test_a_template_of_which_nothing_is_left_makes_no_resource() -> None:
    template = {"resourceType": "Patient", "_birthDate": value("item.answer.value")}

    assert resources(templated(template), response()) == []


def test_a_bundle_as_template_gives_its_entries() -> None:
    bundle = {
        "resourceType": "Bundle",
        "id": "t",
        "type": "transaction",
        "entry": [
            {
                "resource": {"resourceType": "Patient", "_birthDate": value("item.answer.value")},
                "request": {"method": "POST", "url": "Patient"},
            }
        ],
    }
    declared = extension("templateExtractBundle", valueReference={"reference": "#t"})
    questionnaire = form(question("dob", kind="date"), contained=[bundle], extension=[declared])

    (entry,) = entries(questionnaire, response(given("dob", {"valueDate": "1970-02-03"})))

    assert entry["resource"] == {"resourceType": "Patient", "birthDate": "1970-02-03"}
    assert entry["request"] == {"method": "POST", "url": "Patient"}


# What cannot be carried out.


def test_a_form_that_declares_nothing_is_refused() -> None:
    with pytest.raises(NothingToExtractError):
        extracted(form(question("q")), response(given("q", {"valueString": "a"})), NOW, fresh_ids())


def test_no_plan_of_ours_but_those_that_say_so_can_be_extracted_from() -> None:
    for policy in load_library([ROOT / "plans"]).policies:
        assert not declares_extraction(policy.questionnaire)


def deep(levels: int) -> dict[str, Any]:
    element: dict[str, Any] = {"url": "http://example.org", "valueBoolean": True}
    for _ in range(levels):
        element = {"url": "http://example.org", "extension": [element]}
    return {"resourceType": "Basic", "extension": [element]}


@pytest.mark.parametrize(
    "questionnaire",
    [
        form(extension=[of_type("Pacient")]),
        form(question("q", "Patient.birthdate", extension=[of_type("Patient")])),
        form(question("q", "Patient.birthDate", extension=[of_type("Patient")])),
        form(question("q", "Observation.value[x].unit", extension=[of_type("Observation")])),
        form(
            question(
                "q",
                "Patient.active",
                extension=[of_type("Patient"), set_to("Patient.active", expression="item.(")],
            )
        ),
        form(
            question(
                "q",
                "Patient.active",
                extension=[of_type("Patient"), set_to("Patient.active", expression="%nobody")],
            )
        ),
        templated({"resourceType": "Patient", "_birthDate": value("answer.value.foo(")}),
        templated({"resourceType": "Patient", "_birthDate": value("'1970' | '1971'")}),
        templated(deep(100)),
        form(
            extension=[
                extension("templateExtract", {"url": "template", "valueReference": {"reference": "#t"}})
            ]
        ),
        form(
            contained=[{"resourceType": "Patient", "id": "t"}],
            extension=[extension("templateExtractBundle", valueReference={"reference": "#t"})],
        ),
    ],
    ids=[
        "no such type",
        "no such element",
        "an answer that does not fit",
        "a choice not narrowed",
        "no FHIRPath",
        "an unknown variable",
        "no FHIRPath in a template",
        "two values for one element",
        "too deep a template",
        "no such template",
        "a bundle template that is none",
    ],
)
def test_what_a_form_declares_wrongly_is_refused_with_its_place_and_without_the_answer(
    questionnaire: dict[str, Any],
) -> None:
    with pytest.raises(ExtractionError) as refused:
        extracted(questionnaire, response(given("q", {"valueCoding": {"code": "secret"}})), NOW, fresh_ids())

    assert refused.value.where.startswith("Questionnaire")
    assert "secret" not in str(refused.value)


def test_a_response_nested_as_deep_as_json_goes_is_only_walked() -> None:
    item = given("q", {"valueString": "a"})
    for _ in range(400):
        item = given("q", items=(item,))
    questionnaire = form(
        question("other"), extension=[of_type("Basic"), set_to("Basic.code.text", valueString="a")]
    )

    assert len(extracted(questionnaire, response(item), NOW, fresh_ids())["entry"]) == 1
