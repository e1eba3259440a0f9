"""A policy's Questionnaire as a form, and the situation that it is applied to as that form's launch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cds_service.errors import UnknownValueSetError
from cds_service.policies.findings import FUNDING_OUTCOME, Situation
from cds_service.policies.policy import Policy
from cds_service.questionnaires.form import Form, prepared
from cds_service.questionnaires.sight import Launch
from cds_service.record.resources import Resource


def policy_form(policy: Policy) -> Form:
    """The form of a policy; to be kept as long as the policy is. See ``prepared`` for the errors."""
    return prepared(policy.questionnaire, (*policy.lists, FUNDING_OUTCOME))


def policy_launch(policy: Policy, situation: Situation, user: Resource | None) -> Launch:
    """What a policy's form is opened with: the order as ``clinical``, the record's patient and queries, the user."""
    record = situation.record
    contexts: dict[str, Any] = {
        **policy.lists,
        **situation.lists,
        "patient": record.patient,
        "clinical": situation.order.resource,
        "user": user,
        FUNDING_OUTCOME: situation.funding_outcome,
    }
    return Launch(
        now=situation.now,
        subject=f"Patient/{record.patient_id}",
        contexts=contexts,
        queries={name: record.answer(name) for name in policy.queries},
        member_of=lambda url, system, code: has_member(policy, url, system, code),
        options=lambda url: options(policy, url),
        resolve=record.resource,
    )


def has_member(policy: Policy, url: str, system: str | None, code: str) -> bool:
    """Whether a value set of the policy holds a code. UnknownValueSetError for one that it does not bring."""
    if url not in policy.value_sets:
        raise UnknownValueSetError(url)
    return policy.value_sets.has_member(url, system, code)


def options(policy: Policy, url: str) -> Sequence[Resource] | None:
    """The codings of a value set of the policy, in a fixed order; None for one that it does not bring."""
    if url not in policy.value_sets:
        return None
    return [{"system": system, "code": code} for system, code in sorted(policy.value_sets.codes[url])]
