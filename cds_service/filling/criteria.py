"""A policy's form while it is filled in: what it decides so far, what it asks next, when it is complete. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from cds_service.policies.determination import Determination, determination
from cds_service.policies.findings import ASSUMED, RECORD, Answers, Finding
from cds_service.policies.policy import Criterion, Policy
from cds_service.policies.questions import Questions
from cds_service.policies.stated import Stated, StatedFindings, finding_from
from cds_service.questionnaires.enablement import enabled
from cds_service.questionnaires.form import Form
from cds_service.questionnaires.next_question import next_criterion
from cds_service.questionnaires.policy_forms import has_member, options
from cds_service.questionnaires.responses import answers_in
from cds_service.questionnaires.sight import Launch
from cds_service.record.resources import Resource


@dataclass(frozen=True)
class Progress:
    """How far a form is: what it decides, the question to ask next (None: no answer would change that), what is known."""

    determination: Determination
    following: Criterion | None
    findings: Mapping[str, Finding]


def progress(policy: Policy, questions: Questions, stated: Stated, response: Resource) -> Progress:
    """What the answers in a response decide, together with what the record showed when the form was opened."""
    answers = _said_by_a_person(policy, stated, response)
    findings = StatedFindings(policy, stated, answers)
    determined = determination(policy, findings, questions)
    following = next_criterion(policy, questions, findings, answers.values)
    return Progress(determined, following, {each.link_id: findings[each] for each in policy.criteria})


def _said_by_a_person(policy: Policy, stated: Stated, response: Resource) -> Answers:
    """The answers that add to what was known: one that only repeats the record, or a default, leaves that standing."""
    answers = answers_in(policy, response)
    criteria = {each.link_id: each for each in policy.criteria}
    added = {
        link_id: value
        for link_id, value in answers.values.items()
        if not _repeats(finding_from(criteria[link_id], stated.get(link_id)), value)
    }
    return replace(answers, values=added)


def _repeats(known: Finding, value: object) -> bool:
    return known.origin in {RECORD, ASSUMED} and known.value == value


def policy_form_launch(policy: Policy, patient_id: str, order: Resource, now: datetime) -> Launch:
    """What a policy's form sees once the record has been put away: the order, the lists, and no query."""
    return Launch(
        now=now,
        subject=f"Patient/{patient_id}",
        contexts={
            **policy.lists,
            "patient": {"resourceType": "Patient", "id": patient_id},
            "clinical": order,
        },
        queries={},
        member_of=lambda url, system, code: has_member(policy, url, system, code),
        options=lambda url: options(policy, url),
        resolve=lambda _: None,
    )


def asked_items(form: Form, response: Resource, launch: Launch) -> frozenset[str]:
    """The linkIds that a form shows with these answers in it."""
    return enabled(form, response, launch).link_ids
