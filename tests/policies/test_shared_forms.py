"""A form that policies share: which folder is one, what is refused in it, and the routes that lead to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cds_service.errors import PlanError, PlansError
from cds_service.policies.library import Library, load_library
from tests.plan_folders import OURS, boolean, rule, write_organizations, write_plan

SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
FORM = f"{OURS}/Questionnaire/request|1"
CODES = f"{OURS}/ValueSet/measures"
Content = dict[str, Any]


def expression(url: str, body: str) -> Content:
    return {"url": url, "valueExpression": {"language": "text/fhirpath", "expression": body}}


def variable(name: str, body: str, language: str = "application/x-fhir-query") -> Content:
    url = "http://hl7.org/fhir/StructureDefinition/variable"
    return {"url": url, "valueExpression": {"name": name, "language": language, "expression": body}}


def context(name: str, kind: str) -> Content:
    parts = [{"url": "name", "valueCoding": {"code": name}}, {"url": "type", "valueCode": kind}]
    return {"url": f"{SDC}launchContext", "extension": parts}


def prefilled(link_id: str, kind: str, body: str) -> Content:
    return {
        "linkId": link_id,
        "text": "What?",
        "type": kind,
        "extension": [expression(f"{SDC}initialExpression", body)],
    }


def form() -> Content:
    """A form that uses what a form may: contexts, a query, a variable, prefilled items, options, enablement."""
    return {
        "resourceType": "Questionnaire",
        "id": "request",
        "url": f"{OURS}/Questionnaire/request",
        "version": "1",
        "title": "Request",
        "status": "active",
        "publisher": "Tests",
        "date": "2026-01-01",
        "extension": [
            context("patient", "Patient"),
            context("user", "Practitioner"),
            context("determination", "GuidanceResponse"),
            variable("measures", "Observation?patient={{%patient.id}}"),
            variable("latest", "%measures.entry.resource.ofType(Observation).last()", "text/fhirpath"),
        ],
        "item": [
            prefilled("applicant", "string", "%user.name.family.first()"),
            prefilled("policy", "url", "%determination.module.ofType(canonical)"),
            prefilled(
                "size", "decimal", f"%latest.where(code.memberOf('{CODES}')).value.ofType(Quantity).value"
            ),
            {
                "linkId": "kind",
                "text": "Which?",
                "type": "choice",
                "answerOption": [
                    {"valueCoding": {"system": "urn:kinds", "code": code, "display": code}}
                    for code in ("one", "other")
                ],
            },
            {
                "linkId": "why",
                "text": "Why?",
                "type": "text",
                "required": True,
                "enableWhen": [{"question": "kind", "operator": "exists", "answerBoolean": True}],
            },
        ],
    }


def value_set(*codes: str) -> Content:
    listed = [{"system": "urn:measures", "code": code} for code in codes]
    return {
        "resourceType": "ValueSet",
        "id": "measures",
        "url": CODES,
        "status": "active",
        "compose": {"include": [{"system": "urn:measures", "concept": [{"code": code} for code in codes]}]},
        "expansion": {"timestamp": "2026-01-01", "total": len(listed), "contains": listed},
    }


def write(folder: Path, *resources: Content) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for each in resources:
        (folder / f"{each['resourceType']}-{each['id']}.json").write_text(json.dumps(each))


def route(**members: Any) -> list[Content]:
    """The relatedArtifacts of a plan whose individual route has these members."""
    way = {"type": "documentation", "label": "individual-funding-request", "display": "Apply.", **members}
    return [{"type": "derived-from", "label": "Source", "display": "The source"}, way]


def applicant(who: str) -> Content:
    return {"url": f"{OURS}/StructureDefinition/applicant", "valueString": who}


def write_policy(plans: Path, artifacts: list[Content]) -> None:
    rules = [rule("yes", "eligible", "%met"), rule("no", "not-normally-funded")]
    write_plan(plans, "policy", rules, [boolean("met")], relatedArtifact=artifacts)


@pytest.fixture
def plans(tmp_path: Path) -> Path:
    """A policy, and a form that it leads to."""
    write_organizations(tmp_path, "a")
    write(tmp_path / "request", form(), value_set("length"))
    write_policy(tmp_path, route(resource=FORM, extension=[applicant("GP"), applicant("Surgeon")]))
    return tmp_path


def problems(*plans: Path) -> tuple[PlanError, ...]:
    with pytest.raises(PlansError) as refused:
        load_library(plans)
    return refused.value.problems


def test_a_folder_with_a_questionnaire_and_no_plan_definition_is_a_shared_form(plans: Path) -> None:
    library = load_library([plans])

    (shared,) = library.forms
    assert shared.canonical == FORM
    assert shared.contexts == {
        "patient": "Patient",
        "user": "Practitioner",
        "determination": "GuidanceResponse",
    }
    assert shared.folder == plans / "request"
    assert CODES in shared.value_sets
    assert [policy.id for policy in library.policies] == ["policy"]


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        (FORM, True),
        (FORM.removesuffix("|1"), True),
        (f"{FORM}.1", False),
        (f"{OURS}/Questionnaire/policy", False),
    ],
)
def test_a_form_is_found_by_its_canonical_with_or_without_version(
    plans: Path, reference: str, found: bool
) -> None:
    assert (load_library([plans]).form(reference) is not None) is found


def test_what_a_form_reads_is_no_prefetch_of_the_hook(plans: Path) -> None:
    library = load_library([plans])

    assert library.forms[0].queries == {"measures": "Observation?patient={{%patient.id}}"}
    assert "measures" not in library.queries


def test_the_digest_names_the_form_too(plans: Path) -> None:
    before = load_library([plans]).digest

    write(plans / "request", form() | {"title": "Another title"})

    assert load_library([plans]).digest != before


def test_a_later_folder_of_the_same_name_lies_over_a_form(
    plans: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    local = tmp_path_factory.mktemp("local")
    write(local / "request", value_set("length", "width"))

    (shared,) = load_library([plans, local]).forms

    assert len(shared.value_sets.codes[CODES]) == 2


def test_a_questionnaire_laid_over_a_policy_makes_no_form(
    plans: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    local = tmp_path_factory.mktemp("local")
    own = json.loads((plans / "policy" / "Questionnaire-policy.json").read_text())
    write(local / "policy", own | {"title": "Reworded"})

    library = load_library([plans, local])

    assert library.policies[0].questionnaire["title"] == "Reworded"
    assert [shared.id for shared in library.forms] == ["request"]


def test_a_policy_that_lost_its_plan_definition_is_refused_and_never_taken_for_a_form(plans: Path) -> None:
    (plans / "policy" / "PlanDefinition-policy.json").rename(plans / "policy" / "plan.json")

    (problem,) = problems(plans)

    assert "expected a PlanDefinition in this folder" in str(problem)


def test_a_form_that_is_not_active_is_checked_and_not_offered(plans: Path) -> None:
    draft = form() | {"id": "draft", "url": f"{OURS}/Questionnaire/draft", "status": "draft"}
    write(plans / "draft", draft, value_set("length"))

    assert [shared.id for shared in load_library([plans]).forms] == ["request"]

    write(plans / "draft", draft | {"item": [prefilled("who", "string", "%user.nmae")]})

    assert "nmae" in str(problems(plans)[0])


def item(content: Content, link_id: str) -> Content:
    found: list[Content] = [each for each in content["item"] if each["linkId"] == link_id]
    return found[0]


def now_prefilled(link_id: str, kind: str, body: str) -> Callable[[Content], object]:
    return lambda form: item(form, link_id).update(prefilled(link_id, kind, body))


def with_extension(link_id: str, *extensions: Content) -> Callable[[Content], object]:
    return lambda form: item(form, link_id).update(extension=list(extensions))


@dataclass(frozen=True)
class Fault:
    """One way to break a form, and what the problem must say of it."""

    name: str
    change: Callable[[Content], object]
    path: str
    says: str


FAULTS = (
    Fault("no version", lambda f: f.pop("version"), "Questionnaire.version", "a value"),
    Fault(
        "another id", lambda f: f.update(id="other"), "Questionnaire.id", "the id that the file's name says"
    ),
    Fault("an unknown member", lambda f: f.update(colour="red"), "Questionnaire.colour", "no such member"),
    Fault(
        "a misspelt element",
        now_prefilled("applicant", "string", "%user.nmae"),
        "item[0].extension[0]",
        "nmae",
    ),
    Fault("an unknown name", now_prefilled("applicant", "string", "%usr.name"), "item[0]", "usr"),
    Fault(
        "what only policies see",
        now_prefilled("applicant", "string", "%fundingOutcome"),
        "item[0]",
        "funding",
    ),
    Fault(
        "another type",
        now_prefilled("size", "decimal", "%patient.birthDate"),
        "item[2]",
        "decimal or integer",
    ),
    Fault(
        "a choice of none of its options",
        lambda f: item(f, "kind").update(
            extension=prefilled("kind", "choice", "%factory.Coding('urn:kinds', 'none')")["extension"]
        ),
        "item[3]",
        "a Coding of one of the item's options",
    ),
    Fault("a text for a day", now_prefilled("why", "date", "%patient.gender"), "item[4]", "yields date"),
    Fault("a filled heading", now_prefilled("why", "display", "%patient.gender"), "item[4].type", "no http"),
    Fault("a filled group", now_prefilled("why", "group", "%patient.gender"), "item[4].type", "no http"),
    Fault(
        "two sources of a value",
        lambda f: item(f, "applicant").update(initial=[{"valueString": "x"}]),
        "item[0].initial",
        "SDC",
    ),
    Fault(
        "an expression of an unknown kind",
        with_extension("why", expression(f"{SDC}calculatedExpression", "1 + 1")),
        "item[4].extension[0].url",
        "initialExpression",
    ),
    Fault(
        "an expression in another language",
        with_extension(
            "why",
            {
                "url": f"{SDC}initialExpression",
                "valueExpression": {"language": "text/cql", "expression": "a"},
            },
        ),
        "item[4].extension[0]",
        "text/fhirpath",
    ),
    Fault(
        "evidence that is misspelt",
        with_extension(
            "why",
            {
                "url": f"{SDC}contextExpression",
                "extension": [
                    {"url": "label", "valueString": "x"},
                    {
                        "url": "contextExpression",
                        "valueExpression": {"language": "text/fhirpath", "expression": "%patient.nmae"},
                    },
                ],
            },
        ),
        "item[4].extension[0]",
        "nmae",
    ),
    Fault(
        "a criterion",
        with_extension("why", {"url": f"{OURS}/StructureDefinition/clause", "valueString": "1"}),
        "item[4]",
        "a PlanDefinition in this folder",
    ),
    Fault("an item without words", lambda f: item(f, "why").pop("text"), "item[4].text", "a question"),
    Fault(
        "a linkId twice", lambda f: item(f, "why").update(linkId="kind"), "item[4].linkId", "no other item"
    ),
    Fault(
        "enabled by nothing",
        lambda f: item(f, "why")["enableWhen"][0].update(question="knid"),
        "item[4].enableWhen[0].question",
        "the linkId of an item",
    ),
    Fault(
        "no options", lambda f: item(f, "kind").pop("answerOption"), "item[3].answerOption", "at least two"
    ),
    Fault(
        "one option",
        lambda f: item(f, "kind")["answerOption"].pop(),
        "item[3].answerOption",
        "at least two",
    ),
    Fault(
        "an option without a display",
        lambda f: item(f, "kind")["answerOption"][1]["valueCoding"].pop("display"),
        "item[3].answerOption[1]",
        "system, code and display",
    ),
    Fault(
        "an option twice",
        lambda f: item(f, "kind")["answerOption"].append(item(f, "kind")["answerOption"][0]),
        "item[3].answerOption",
        "each option once",
    ),
    Fault(
        "options of a value set elsewhere",
        lambda f: item(f, "kind").update(answerValueSet="urn:x"),
        "item[3].answerValueSet",
        "a ValueSet of this folder",
    ),
    Fault(
        "a value set elsewhere",
        now_prefilled("why", "text", "%latest.where(code.memberOf('urn:x')).status"),
        "item[4]",
        "urn:x",
    ),
    Fault(
        "an unknown context",
        lambda f: f["extension"].append(context("location", "Location")),
        "Questionnaire.extension[5]",
        "determination of type GuidanceResponse",
    ),
    Fault(
        "a context of another type",
        lambda f: f["extension"].append(context("clinical", "Task")),
        "Questionnaire.extension[5]",
        "clinical of type ServiceRequest",
    ),
    Fault(
        "a query with another token",
        lambda f: f["extension"].append(variable("orders", "ServiceRequest?subject={{%clinical.id}}")),
        "extension[5].valueExpression",
        "no other token",
    ),
    Fault(
        "a query that elsewhere means another",
        lambda f: f["extension"].append(variable("coverages", "Coverage?beneficiary={{%patient.id}}")),
        "Questionnaire.extension",
        "as everywhere else",
    ),
    Fault(
        "the canonical of a policy's questions",
        lambda f: f.update(url=f"{OURS}/Questionnaire/policy"),
        "Questionnaire.url",
        "no other Questionnaire has",
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_broken_form_is_refused_saying_where_and_what_was_expected(plans: Path, fault: Fault) -> None:
    content = form()
    fault.change(content)
    (plans / "request" / "Questionnaire-request.json").write_text(json.dumps(content))

    found = problems(plans)

    telling = [each for each in found if fault.path in each.path and fault.says in str(each)]
    assert telling, [str(each) for each in found]
    assert telling[0].file.endswith("Questionnaire-request.json")


def test_who_is_logged_in_may_fill_in_a_form_and_never_decide(plans: Path) -> None:
    file = plans / "policy" / "Questionnaire-policy.json"
    questions = json.loads(file.read_text())
    questions["extension"].append(context("user", "Practitioner"))
    file.write_text(json.dumps(questions))
    assert load_library([plans]).policies

    questions["item"][0]["extension"].append(
        expression(f"{SDC}initialExpression", "%user.active.where($this)")
    )
    file.write_text(json.dumps(questions))

    assert "%user" in str(problems(plans)[0])


def test_two_forms_of_one_canonical_are_refused(
    plans: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write(plans / "second", form() | {"id": "second"}, value_set("length"))

    assert "a canonical that no other Questionnaire has" in str(problems(plans)[0])


def loaded_route(plans: Path, **members: Any) -> Library:
    folder = plans / "policy"
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    write_policy(plans, route(**members))
    return load_library([plans])


def test_a_route_says_who_applies_how_how_long_it_takes_and_on_which_form(plans: Path) -> None:
    submission = {"url": f"{OURS}/StructureDefinition/submission", "valueString": "By the portal"}
    answer = {"url": f"{OURS}/StructureDefinition/response-time", "valueString": "6 weeks"}
    library = loaded_route(plans, resource=FORM, extension=[applicant("GP"), submission, answer])

    (policy,) = library.policies
    assert policy.route is not None
    assert policy.route.applicants == ("GP",)
    assert policy.route.submission == "By the portal"
    assert policy.route.response_time == "6 weeks"
    assert policy.route.form == FORM
    assert policy.individual_funding == policy.route.citation
    assert policy.route.citation.display == "Apply."


def test_a_route_may_be_words_alone(plans: Path) -> None:
    (policy,) = loaded_route(plans).policies

    assert policy.route is not None
    assert (policy.route.form, policy.route.applicants, policy.route.submission) == (None, (), None)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"resource": FORM}, "who may fill it in"),
        ({"resource": FORM.removesuffix("|1"), "extension": [applicant("GP")]}, "canonical with its version"),
        ({"resource": FORM, "extension": [{"url": applicant("")["url"], "valueCode": "GP"}]}, "a text"),
        ({"extension": [{"url": f"{OURS}/StructureDefinition/submission", "valueInteger": 1}]}, "a text"),
        ({"resource": f"{FORM}.1", "extension": [applicant("GP")]}, f"a shared form that is loaded: {FORM}"),
        ({"resource": f"{OURS}/Questionnaire/policy|1", "extension": [applicant("GP")]}, "a shared form"),
    ],
)
def test_a_route_to_a_form_is_whole_and_leads_to_one_that_is_loaded(
    plans: Path, members: Content, says: str
) -> None:
    with pytest.raises(PlansError, match="relatedArtifact") as refused:
        loaded_route(plans, **members)

    assert says in str(refused.value)
    assert "PlanDefinition-policy.json" in str(refused.value)


def test_a_route_to_a_form_that_is_not_active_is_refused(plans: Path) -> None:
    write(plans / "request", form() | {"status": "retired"})

    assert "a shared form that is loaded: there is none" in str(problems(plans)[0])


def test_a_policy_has_one_route(plans: Path) -> None:
    file = plans / "policy" / "PlanDefinition-policy.json"
    plan = json.loads(file.read_text())
    file.write_text(json.dumps(plan | {"relatedArtifact": [*plan["relatedArtifact"], route()[1]]}))

    (problem,) = problems(plans)

    assert problem.path == "PlanDefinition.relatedArtifact[2]"
    assert "one route" in str(problem)
