"""The adaptive form, question by question: what it asks, when it ends, and that it comes to what the whole form does."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.questionnaire import Questionnaire
from fhir.resources.R4B.questionnaireresponse import QuestionnaireResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.questions_asked import Answerer, Compared, compared, drawn, possible_values
from cds_service.errors import RequestError
from cds_service.hooks.requests import hook_request
from cds_service.policies.cases import read_cases
from cds_service.policies.determination import FINAL, Determination, determination
from cds_service.policies.findings import Answers, Findings, Situation
from cds_service.policies.library import Library, load_library
from cds_service.policies.policy import Criterion, Policy
from cds_service.questionnaires.adaptive_form import ADAPTIVE, form_named_by, form_of
from cds_service.questionnaires.next_question import next_question, questions_asked
from cds_service.questionnaires.responses import answers_in
from cds_service.record.orders import procedure_orders
from cds_service.record.patient_record import PatientRecord, QueryAnswer, patient_record
from cds_service.record.resources import members
from tests.hook_requests import condition, order
from tests.plan_folders import boolean, rule, write_organizations, write_plan

ROOT = Path(__file__).parents[2]
LIBRARY = load_library([ROOT / "plans"])
POLICIES = {policy.id: policy for policy in LIBRARY.policies}
DERBY = POLICIES["derby-mastopexy"]
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
CRITERIA = "https://funding-policies.example/fhir/CodeSystem/criteria"
HOOKS = sorted((ROOT / "fhir_fixtures" / "hooks").glob("*.json"))


def situation(*conditions: dict[str, Any]) -> Situation:
    """A mastopexy is ordered for a patient with these conditions and no procedures."""
    (ordered,) = procedure_orders([order()])
    patient = {"resourceType": "Patient", "id": "p1"}
    answers = {"conditions": QueryAnswer(tuple(conditions)), "procedures": QueryAnswer()}
    return Situation(ordered, PatientRecord("p1", patient, answers), None, NOW)


def started(policy: Policy = DERBY) -> dict[str, Any]:
    """A response in which nothing was asked yet."""
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "in-progress",
        "questionnaire": f"{policy.questionnaire_url}|{policy.version}",
        "subject": {"reference": "Patient/p1"},
        "authored": "2026-11-22T11:00:00Z",
    }


def asked(response: dict[str, Any]) -> list[str]:
    """The linkIds of the questions in the contained form, in its order."""
    form = response["contained"][0]
    found: list[str] = []
    waiting = list(form.get("item", []))[::-1]
    while waiting:
        here = waiting.pop()
        found += [] if here["type"] in {"group", "display"} else [here["linkId"]]
        waiting += here.get("item", [])[::-1]
    return found


def answered(response: dict[str, Any], **values: Any) -> dict[str, Any]:
    """The response with these answers at its top."""
    given = [{"linkId": name, "answer": [value]} for name, value in values.items()]
    return {**response, "item": [*response.get("item", []), *given]}


def asked_next(response: dict[str, Any], applied_to: Situation, policy: Policy = DERBY) -> dict[str, Any]:
    return dict(next_question(policy, LIBRARY.questions[policy.canonical], applied_to, response))


def decided(
    policy: Policy, applied_to: Situation, answers: Answers, library: Library = LIBRARY
) -> Determination:
    findings = Findings(policy, replace(applied_to, answers=answers))
    return determination(policy, findings, library.questions[policy.canonical])


NO = {"valueBoolean": False}
YES = {"valueBoolean": True}
SAME_BREAST = {"valueCoding": {"system": CRITERIA, "code": "same-breast"}}


def test_a_new_response_gets_the_question_that_settles_most() -> None:
    response = asked_next(started(), situation())

    best = decided(DERBY, situation(), Answers(None, None, {})).outstanding[0]
    assert asked(response) == [best.link_id] == ["breastCancer"]
    assert response["status"] == "in-progress"


def test_each_answer_brings_one_question_until_the_outcome_is_fixed() -> None:
    first = asked_next(started(), situation())
    second = asked_next(answered(first, breastCancer=YES), situation())
    third = asked_next(answered(second, reconstructionPurpose=SAME_BREAST), situation())
    last = asked_next(answered(third, priorSymmetryOperations={"valueInteger": 0}), situation())

    assert [asked(each) for each in (first, second, third)] == [
        ["breastCancer"],
        ["breastCancer", "reconstructionPurpose"],
        ["breastCancer", "reconstructionPurpose", "priorSymmetryOperations"],
    ]
    assert (asked(last), last["status"]) == (asked(third), "completed")


def test_what_the_record_proves_is_not_asked() -> None:
    cancer = condition("254837009")

    assert asked(asked_next(started(), situation(cancer))) == ["reconstructionPurpose"]


def test_the_contained_form_is_adaptive_derived_from_ours_and_valid() -> None:
    response = asked_next(started(), situation())

    form = response["contained"][0]
    assert form["derivedFrom"] == [f"{DERBY.questionnaire_url}|{DERBY.version}"]
    assert {"url": ADAPTIVE, "valueBoolean": True} in form["extension"]
    assert response["questionnaire"] == f"#{form['id']}"
    assert form_named_by(response) == form["derivedFrom"][0]
    Questionnaire.model_validate(form)
    QuestionnaireResponse.model_validate(response)


def test_the_form_displays_what_the_whole_form_does_before_its_questions() -> None:
    form = asked_next(started(), situation())["contained"][0]

    assert [each["linkId"] for each in form["item"]] == ["introduction", "breastCancer"]


def test_no_item_needs_what_the_contained_form_does_not_have() -> None:
    response = asked_next(answered(asked_next(started(), situation()), breastCancer=YES), situation())

    written = json.dumps(response["contained"])
    assert "enableWhen" not in written
    assert "Expression" not in written


def test_asking_again_without_an_answer_is_dont_know_and_is_written_down() -> None:
    first = asked_next(started(), situation())

    second = asked_next(first, situation())

    assert asked(second) == ["breastCancer", "reconstructionPurpose"]
    assert answers_in(DERBY, second).values == {"breastCancer": None}


def test_following_without_any_answer_ends_and_goes_to_individual_review() -> None:
    response = started()
    for _ in DERBY.criteria:
        response = asked_next(response, situation())

    assert response["status"] == "completed"
    determined = decided(DERBY, situation(), answers_in(DERBY, response))
    assert determined.outcome is not None
    assert determined.outcome.code == "ifr-required"


def test_an_answer_that_the_question_cannot_have_is_as_none_and_is_not_asked_again() -> None:
    first = asked_next(started(), situation())

    second = asked_next(answered(first, breastCancer={"valueInteger": 7}), situation())

    assert asked(second) == ["breastCancer", "reconstructionPurpose"]
    assert [each["linkId"] for each in second["item"]] == ["breastCancer"]


def test_a_volunteered_answer_counts_and_is_not_asked() -> None:
    response = asked_next(answered(started(), breastCancer=YES), situation())

    assert asked(response) == ["reconstructionPurpose"]


def test_a_completed_response_says_by_itself_what_was_decided_on() -> None:
    earlier = Answers(None, None, {"breastCancer": False})

    response = asked_next(started(), replace(situation(), answers=earlier))

    assert asked(response) == ["breastCancer"]


def test_what_the_client_writes_into_the_contained_form_is_made_anew() -> None:
    first = asked_next(started(), situation())
    first["contained"][0]["item"][1]["text"] = "Something else?"
    first["contained"][0]["item"].append({"linkId": "invented", "type": "boolean", "text": "Invented?"})

    second = asked_next(answered(first, breastCancer=YES), situation())

    assert asked(second) == ["breastCancer", "reconstructionPurpose"]
    assert "Something else?" not in json.dumps(second)


def test_other_contained_resources_stay() -> None:
    author = {"resourceType": "Practitioner", "id": "me"}

    response = asked_next({**started(), "contained": [author]}, situation())

    assert author in response["contained"]


def test_the_response_given_is_left_as_it_is() -> None:
    first = asked_next(started(), situation())
    before = json.dumps(first)

    asked_next(first, situation())

    assert json.dumps(first) == before


@pytest.mark.parametrize(
    "named",
    [
        "https://funding-policies.example/fhir/Questionnaire/another",
        f"{DERBY.questionnaire_url}|1.0.0",
        "#nowhere",
        None,
    ],
    ids=["another form", "another version", "contained nowhere", "none"],
)
def test_a_response_of_another_form_is_refused_with_its_place(named: str | None) -> None:
    with pytest.raises(RequestError) as refused:
        asked_next({**started(), "questionnaire": named}, situation())

    assert refused.value.where == "QuestionnaireResponse.questionnaire"


def test_a_question_in_a_group_comes_with_its_group_and_is_written_down_inside() -> None:
    centene = POLICIES["centene-cosmetic-reconstructive"]
    (case,) = (
        each for each in read_cases(centene.folder) if each.file.stem == "a-lipoma-waits-for-its-photographs"
    )
    applied_to = replace(case.situation, answers=None)
    responses = [asked_next(started(centene), applied_to, centene)]
    while responses[-1]["status"] == "in-progress":
        responses.append(asked_next(responses[-1], applied_to, centene))

    form = responses[-1]["contained"][0]
    groups = [each for each in form["item"] if each["type"] == "group"]
    assert groups
    assert all(each["item"] and "enableWhen" not in each for each in groups)
    QuestionnaireResponse.model_validate(responses[-1])
    names = {each["linkId"] for each in groups}
    assert {each["linkId"] for each in responses[-1]["item"] if "item" in each} == names


def test_a_waiting_rule_is_not_asked_about_twice() -> None:
    values: dict[str, Any] = {
        "breastCancer": True,
        "reconstructionPurpose": "same-breast",
        "oneSpell": False,
        "priorSymmetryOperations": 0,
    }

    found = questions_asked(
        DERBY,
        LIBRARY.questions[DERBY.canonical],
        replace(situation(), answers=Answers(None, None, {"oneSpell": False})),
        lambda criterion: values[criterion.link_id],
    )

    assert decided(DERBY, situation(), Answers(None, None, found)).possible
    assert list(found) == ["oneSpell", "breastCancer", "reconstructionPurpose", "priorSymmetryOperations"]


@pytest.mark.parametrize(
    ("policy_id", "link_id"),
    [("derby-mastopexy", "oneSpell"), ("centene-cosmetic-reconstructive", "genderDysphoria")],
    ids=["as initial", "as an extension beside a proof"],
)
def test_what_is_assumed_is_filled_in_however_the_plan_writes_it(policy_id: str, link_id: str) -> None:
    policy = POLICIES[policy_id]
    (criterion,) = (each for each in policy.criteria if each.link_id == link_id)

    form = form_of(policy, started(policy), [criterion])

    assert form["item"][-1]["initial"] == [{"valueBoolean": criterion.assumed}]


# Small policies, for what none of the plans does.


def library_of(folder: Path, rules: list[dict[str, Any]], *items: dict[str, Any]) -> Library:
    write_organizations(folder, "a")
    write_plan(folder, "small", rules, list(items))
    return load_library([folder])


@pytest.mark.parametrize(("opened", "expected"), [(True, ["opener", "inner"]), (None, ["opener"])])
def test_a_question_that_the_form_hides_gives_way_to_the_one_that_opens_it(
    tmp_path: Path, opened: bool | None, expected: list[str]
) -> None:
    only_if_open = [
        {"question": "spare", "operator": "!=", "answerBoolean": False},
        {"question": "opener", "operator": "=", "answerBoolean": True},
    ]
    library = library_of(
        tmp_path,
        [
            rule("first", "eligible", "%inner"),
            rule("second", "ifr-required", "%opener and %spare and %other"),
            rule("own", "not-normally-funded"),
        ],
        boolean("spare"),
        boolean("opener"),
        boolean("inner", enableWhen=only_if_open, enableBehavior="all"),
        boolean("other"),
    )
    (policy,) = library.policies
    answers = {"opener": opened, "inner": True}

    found = questions_asked(
        policy,
        library.questions[policy.canonical],
        replace(situation(), answers=Answers(None, None, {"other": False})),
        lambda each: answers[each.link_id],
    )

    assert list(found) == ["other", *expected]


def test_a_question_that_any_of_several_answers_opens_is_asked_when_one_does(tmp_path: Path) -> None:
    either = [
        {"question": "opener", "operator": "=", "answerBoolean": True},
        {"question": "other", "operator": "=", "answerBoolean": False},
    ]
    library = library_of(
        tmp_path,
        [
            rule("first", "eligible", "%inner"),
            rule("second", "ifr-required", "%opener and %other"),
            rule("own", "not-normally-funded"),
        ],
        boolean("opener"),
        boolean("inner", enableWhen=either, enableBehavior="any"),
        boolean("other"),
    )
    (policy,) = library.policies

    found = questions_asked(
        policy,
        library.questions[policy.canonical],
        replace(situation(), answers=Answers(None, None, {"other": False})),
        lambda _: True,
    )

    assert list(found) == ["other", "inner"]


def test_an_assumption_that_keeps_a_rule_waiting_is_asked_once_and_stands_when_left_open(
    tmp_path: Path,
) -> None:
    library = library_of(
        tmp_path,
        [rule("wait", "information-needed", "%missing"), rule("own", "eligible")],
        boolean("missing", initial=[{"valueBoolean": True}]),
    )
    (policy,) = library.policies
    questions = library.questions[policy.canonical]

    first = dict(next_question(policy, questions, situation(), started(policy)))
    last = dict(next_question(policy, questions, situation(), first))

    assert (asked(first), asked(last)) == (["missing"], ["missing"])
    assert first["contained"][0]["item"][0]["initial"] == [{"valueBoolean": True}]
    assert (first["status"], last["status"]) == ("in-progress", "completed")
    assert answers_in(policy, last).values == {}


# Every plan's cases: what is asked, and that it comes to what the whole form comes to.


def said(determined: Determination) -> tuple[object, ...]:
    unmet = tuple(criterion.link_id for criterion in determined.unmet)
    return determined.status, determined.outcome, set(determined.possible), unmet


def case_situations(policy: Policy) -> list[Situation]:
    """The situations of the policy's cases; of those that differ in a code alone, one."""
    by_file = {
        case.file: case.situation for case in read_cases(policy.folder) if "applies" not in case.expect
    }
    return list(by_file.values())


@cache
def asked_both_ways(policy_id: str) -> tuple[Compared, ...]:
    """Every case of a policy, asked both ways."""
    policy = POLICIES[policy_id]
    return tuple(
        compared(policy, LIBRARY, applied_to, drawn(applied_to, f"{policy_id} {number}"))
        for number, applied_to in enumerate(case_situations(policy))
    )


@pytest.mark.parametrize("policy_id", POLICIES)
def test_following_the_questions_of_every_case_determines_what_the_whole_form_determines(
    policy_id: str,
) -> None:
    for found in asked_both_ways(policy_id):
        assert said(found.determined_adaptive) == said(found.determined_whole), (found.whole, found.adaptive)


@pytest.mark.parametrize("policy_id", POLICIES)
def test_every_question_is_one_that_the_form_shows_when_it_is_asked(policy_id: str) -> None:
    policy = POLICIES[policy_id]
    assumed = {each.link_id: each.assumed for each in policy.criteria}
    for found in asked_both_ways(policy_id):
        record = Findings(policy, replace(found.situation, answers=None))
        known = {each.link_id: record[each].value for each in policy.criteria}
        for link_id, answer in found.adaptive.items():
            # What the answers say against an assumption was said before anything was asked.
            if assumed[link_id] is None or answer == assumed[link_id]:
                assert is_shown(policy.questionnaire, link_id, known), (link_id, known)
            known[link_id] = answer


def is_shown(parent: Any, link_id: str, known: dict[str, Any]) -> bool:
    """Whether the form shows a question: the conditions that our plans write, read plainly."""
    for each in parent["item"]:
        inside = each["linkId"] == link_id or f'"linkId": "{link_id}"' in json.dumps(each.get("item", []))
        if inside:
            wanted = [
                (known.get(condition["question"]) == plain(condition)) is (condition["operator"] == "=")
                for condition in each.get("enableWhen", [])
            ]
            here = (any if each.get("enableBehavior") == "any" else all)(wanted or [True])
            hidden = any(extension["url"].endswith("-hidden") for extension in each.get("extension", []))
            return here and not hidden and (each["linkId"] == link_id or is_shown(each, link_id, known))
    raise AssertionError(link_id)


def plain(condition: dict[str, Any]) -> Any:
    assert condition["operator"] in {"=", "!="}
    coding = condition.get("answerCoding")
    return coding["code"] if coding else condition["answerBoolean"]


def test_the_payers_policy_asks_hardly_more_than_half_of_what_its_whole_form_asks() -> None:
    found = asked_both_ways("centene-cosmetic-reconstructive")

    adaptive, whole = (
        sum(map(len, counted)) for counted in ([e.adaptive for e in found], [e.whole for e in found])
    )
    assert adaptive <= 0.55 * whole


@pytest.mark.parametrize("policy_id", POLICIES)
def test_no_more_is_asked_than_the_whole_form_asks_in_all(policy_id: str) -> None:
    found = asked_both_ways(policy_id)

    assert sum(len(each.adaptive) for each in found) <= sum(len(each.whole) for each in found)


def fixture_situations() -> list[Any]:
    """The situation of each selected order of each example request, with each policy that covers it."""
    found: list[Any] = []
    for file in HOOKS:
        body = json.loads(file.read_text())
        request = hook_request(body)
        types = {key: query.replace("/", "?").partition("?")[0] for key, query in LIBRARY.queries.items()}
        record = patient_record(request.patient_id, request.prefetch, types)
        found += [
            pytest.param(policy, Situation(ordered, record, None, NOW), id=f"{file.stem}/{policy.id}")
            for ordered in request.orders
            for policy in LIBRARY.covering(ordered, NOW.date())
        ]
    return found


@pytest.mark.parametrize(("policy", "applied_to"), fixture_situations())
@settings(max_examples=25)
@given(data=st.data())
def test_an_example_request_is_decided_alike_whatever_is_answered(
    policy: Policy, applied_to: Situation, data: st.DataObject
) -> None:
    answers: dict[str, Any] = {}

    def answer(criterion: Criterion) -> Any:
        if criterion.link_id not in answers:
            answers[criterion.link_id] = data.draw(st.sampled_from([None, *possible_values(criterion)]))
        return answers[criterion.link_id]

    answerer: Answerer = answer
    found = compared(policy, LIBRARY, applied_to, answerer)

    assert said(found.determined_adaptive) == said(found.determined_whole)


def filled_in(policy: Policy, applied_to: Situation, answerer: Callable[[Criterion], Any]) -> dict[str, Any]:
    """The response after following the questions over the wire's own shape, answers at the form's places."""
    criteria = {criterion.link_id: criterion for criterion in policy.criteria}
    response = asked_next(started(policy), applied_to, policy)
    while response["status"] == "in-progress":
        response = {**response, "item": places(response["contained"][0], criteria, answerer)}
        response = asked_next(response, applied_to, policy)
    return response


def places(
    parent: dict[str, Any], criteria: dict[str, Criterion], answerer: Callable[[Criterion], Any]
) -> list[Any]:
    """Response items for a form's items: groups as groups, questions with their answers."""
    found = []
    for each in members(parent, "item"):
        if each["type"] == "group":
            found.append({"linkId": each["linkId"], "item": places(dict(each), criteria, answerer)})
        elif each["linkId"] in criteria:
            found.append({"linkId": each["linkId"], **wire_answers(criteria[each["linkId"]], answerer)})
    return found


def wire_answers(criterion: Criterion, answerer: Callable[[Criterion], Any]) -> dict[str, Any]:
    value = answerer(criterion)
    kind = {"boolean": "valueBoolean", "integer": "valueInteger", "decimal": "valueDecimal"}
    if value is None or value == ():
        return {}
    if criterion.item["type"] in kind:
        return {"answer": [{kind[criterion.item["type"]]: value}]}
    codes = value if isinstance(value, tuple) else (value,)
    return {"answer": [{"valueCoding": {"system": CRITERIA, "code": code}} for code in codes]}


@pytest.mark.parametrize("policy", LIBRARY.policies, ids=lambda policy: policy.id)
def test_over_the_wire_the_same_questions_are_asked_and_the_same_is_determined(policy: Policy) -> None:
    for number, applied_to in enumerate(case_situations(policy)[::7]):
        base = replace(applied_to, answers=None)
        answerer = drawn(base, f"{policy.id} {number}")

        response = filled_in(policy, base, answerer)

        reference = questions_asked(policy, LIBRARY.questions[policy.canonical], base, answerer)
        assert set(asked(response)) == set(reference)
        wire = decided(policy, base, answers_in(policy, response))
        assert said(wire) == said(decided(policy, base, Answers(None, None, reference)))


def test_a_form_that_is_decided_from_the_record_asks_nothing() -> None:
    refuted = condition("254837009", status="refuted")

    response = asked_next(started(), situation(refuted))

    assert response["status"] == "completed"
    assert "item" not in response["contained"][0]
    assert decided(DERBY, situation(refuted), answers_in(DERBY, response)).status == FINAL
