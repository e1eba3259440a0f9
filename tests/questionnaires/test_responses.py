"""Responses as answers to a policy: which one is gone by, what it says, and why the others are not."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cds_service.policies.library import load_library
from cds_service.policies.policy import Policy
from cds_service.questionnaires.adaptive_relevance import path_to
from cds_service.questionnaires.responses import answers_for, answers_in, dont_know_item, passed_over
from cds_service.record.orders import procedure_orders
from tests.hook_requests import order as hook_order
from tests.plan_folders import OURS, boolean, rule, write_organizations, write_plan
from tests.questionnaires.forms import CORE, answered, coding, group

FORM = f"{OURS}/Questionnaire/p"
TODAY = date(2026, 11, 22)
(ORDER,) = procedure_orders([hook_order("19316")])
CLAUSE = {"url": f"{OURS}/StructureDefinition/clause", "valueString": "1"}
OPTIONS = [
    {"valueCoding": {"system": f"{OURS}/CodeSystem/criteria", "code": code, "display": code.upper()}}
    for code in ("x", "y", "z")
]


def _plan(folder: Path, name: str, version: str, **members: Any) -> None:
    items = [
        boolean("yes"),
        boolean("grams", type="decimal"),
        boolean("several", type="choice", repeats=True, answerOption=OPTIONS),
        {"linkId": "g", "type": "group", "item": [boolean("inner")]},
    ]
    condition = "%yes and %inner and %grams >= 2.5 and 'x' in %several"
    write_plan(
        folder,
        name,
        [rule("one", "eligible", condition), rule("else", "not-normally-funded")],
        items,
        version=version,
        **members,
    )


@pytest.fixture(scope="module")
def policies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Policy, Policy]:
    """A policy's retired version 1 and its version 2, of one form."""
    folder = tmp_path_factory.mktemp("plans")
    _plan(folder / "old", "p", "1", effectivePeriod={"start": "2025-01-01", "end": "2025-12-31"})
    _plan(folder / "new", "p", "2", effectivePeriod={"start": "2026-01-01"})
    for part in ("old", "new"):
        write_organizations(folder / part, "a")
    (old,), (new,) = (load_library([folder / part]).policies for part in ("old", "new"))
    return old, new


@pytest.fixture(scope="module")
def policy(policies: tuple[Policy, Policy]) -> Policy:
    return policies[1]


def response(name: str, *items: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": name,
        "questionnaire": f"{FORM}|2",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "authored": "2026-11-20T09:00:00Z",
        "item": [*items],
        **members,
    }


def test_a_draft_is_read_like_a_completed_form(policy: Policy) -> None:
    draft = response("r", answered("yes", True), status="in-progress")

    assert answers_in(policy, draft).values == {"yes": True}
    assert answers_for(policy, ORDER, [draft], TODAY, 90) is None


def test_answers_are_found_in_groups_and_below_answers_and_have_the_criterias_types(policy: Policy) -> None:
    filled = response(
        "r",
        answered("yes", True, below=[answered("grams", 2.50)]),
        answered("several", coding("z"), coding("x")),
        group("g", answered("inner", False)),
    )

    assert answers_in(policy, filled).values == {
        "yes": True,
        "grams": Decimal("2.5"),
        "several": ("z", "x"),
        "inner": False,
    }


@pytest.mark.parametrize(
    "dont_know",
    [
        dont_know_item("yes"),
        {"linkId": "yes"},
        {"linkId": "yes", "answer": []},
        answered("yes", coding("asked-declined", "http://terminology.hl7.org/CodeSystem/data-absent-reason")),
        {
            "linkId": "yes",
            "answer": [
                {
                    "_valueBoolean": {
                        "extension": [{"url": f"{CORE}data-absent-reason", "valueCode": "unknown"}]
                    }
                }
            ],
        },
        {
            "linkId": "yes",
            "answer": [{"extension": [{"url": f"{CORE}data-absent-reason", "valueCode": "asked-unknown"}]}],
        },
    ],
)
def test_dont_know_is_an_answer_however_it_is_written(policy: Policy, dont_know: dict[str, Any]) -> None:
    assert answers_in(policy, response("r", dont_know)).values == {"yes": None}


@pytest.mark.parametrize("turned", [False, True])
def test_dont_know_among_several_answers_makes_all_of_them_unknown(policy: Policy, turned: bool) -> None:
    unknown = coding("unknown", "http://terminology.hl7.org/CodeSystem/data-absent-reason")
    several = [coding("x"), unknown]

    assert answers_in(
        policy, response("r", answered("several", *several[:: -1 if turned else 1]))
    ).values == {"several": None}


def test_an_answer_that_the_question_cannot_have_is_none_at_all(policy: Policy) -> None:
    assert answers_in(policy, response("r", answered("yes", "perhaps"))).values == {}


@pytest.mark.parametrize(
    ("answer", "values"),
    [
        (coding("asked-unknown", f"{OURS}/CodeSystem/criteria"), {}),
        (
            {
                "valueBoolean": True,
                "extension": [{"url": f"{CORE}data-absent-reason", "valueCode": "unknown"}],
            },
            {"yes": True},
        ),
        ({"extension": [{"url": f"{CORE}data-absent-reason", "valueCode": "masked"}]}, {"yes": None}),
    ],
)
def test_what_only_looks_like_dont_know_is_read_for_what_it_is(
    policy: Policy, answer: dict[str, Any], values: dict[str, Any]
) -> None:
    assert answers_in(policy, response("r", answered("yes", answer))).values == values


def test_the_newest_form_in_time_is_gone_by_whatever_zone_it_was_written_in(policy: Policy) -> None:
    earlier = response("earlier", answered("yes", True), authored="2026-11-20T10:00:00+02:00")
    later = response("later", answered("yes", False), authored="2026-11-20T09:00:00Z")

    found = answers_for(policy, ORDER, [later, earlier], TODAY, 90)

    assert found is not None
    assert (found.reference, found.values) == ("QuestionnaireResponse/later", {"yes": False})


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"status": "in-progress"}, "it is not completed"),
        ({"status": "entered-in-error"}, "it is not completed"),
        ({"subject": {"reference": "Patient/p2"}}, "it is about another patient"),
        (
            {"questionnaire": f"{FORM}|1"},
            "it answers version 1 of the form, retired on 2025-12-31; in use is 2",
        ),
        ({"questionnaire": f"{FORM}|3"}, "it answers version 3 of the form; in use is 2"),
        ({"basedOn": [{"reference": "ServiceRequest/order-2"}]}, "it was given for another order"),
        ({"authored": "2026-08-23T09:00:00Z"}, "it names no order and is more than 90 days old"),
        ({"authored": "2026-11-23T09:00:00Z"}, "it names no order, and a day to come"),
        ({"authored": None}, "it names no order and no day"),
    ],
)
def test_a_form_that_does_not_decide_the_order_is_named_with_the_reason(
    policies: tuple[Policy, Policy], members: dict[str, Any], why: str
) -> None:
    policy = policies[1]
    filled = response("r", answered("yes", True), **members)

    found = passed_over(policy, ORDER, [filled], TODAY, 90, policies)

    assert [(each.reference, each.why) for each in found] == [("QuestionnaireResponse/r", why)]
    assert answers_for(policy, ORDER, [filled], TODAY, 90) is None


@pytest.mark.parametrize(
    "members",
    [
        {"questionnaire": FORM},
        {"authored": "2026-08-24T09:00:00Z"},
        {"authored": "2026-11-22"},
        {"status": "amended"},
        {"subject": None},
        {
            "basedOn": [{"reference": "https://ehr.example/fhir/ServiceRequest/order-1/_history/2"}],
            "authored": "2020-01-01",
        },
    ],
)
def test_a_form_that_decides_the_order_is_not_passed_over(
    policies: tuple[Policy, Policy], members: dict[str, Any]
) -> None:
    policy = policies[1]
    filled = response("r", answered("yes", True), **members)

    assert passed_over(policy, ORDER, [filled], TODAY, 90, policies) == ()
    assert answers_for(policy, ORDER, [filled], TODAY, 90) is not None


def test_an_older_form_for_the_same_order_is_named_and_a_form_of_another_policy_is_not(
    policies: tuple[Policy, Policy],
) -> None:
    older = response("older", authored="2026-11-01T09:00:00Z")
    newest, other = response("newest"), response("other", questionnaire=f"{FORM}-other|2")

    found = passed_over(policies[1], ORDER, [older, newest, other], TODAY, 90, policies)

    assert [(each.reference, each.why) for each in found] == [
        ("QuestionnaireResponse/older", "a newer form answers this order")
    ]


def one_of_ours(policy_id: str) -> Policy:
    plans = Path(__file__).parents[2] / "plans"
    return next(each for each in load_library((plans,)).policies if each.id == policy_id)


def test_what_only_an_unknown_answer_would_open_is_unknown_too() -> None:
    policy = one_of_ours("centene-cosmetic-reconstructive")
    gated, gate = next(
        (criterion.link_id, condition["question"])
        for criterion in policy.criteria
        for item in path_to(policy.questionnaire, criterion.link_id)
        for condition in item.get("enableWhen", ())
        if condition.get("answerBoolean") is True
    )
    form = {"resourceType": "QuestionnaireResponse", "item": [dont_know_item(gate)]}

    assert answers_in(policy, form).values[gated] is None


def test_what_another_answer_can_still_open_is_not_yet_unknown() -> None:
    policy = one_of_ours("derby-mastopexy")
    form = {"resourceType": "QuestionnaireResponse", "item": [dont_know_item("breastCancer")]}

    assert answers_in(policy, form).values == {"breastCancer": None}
