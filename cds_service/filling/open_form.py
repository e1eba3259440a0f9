"""A session together with its form: what the pages ask of both. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from cds_service.filling.criteria import Progress, progress
from cds_service.filling.opening import Opening, shared_form_launch
from cds_service.filling.session import COMPLETED, FormSession
from cds_service.policies.findings import Situation
from cds_service.policies.policy import Policy
from cds_service.questionnaires.enablement import enabled
from cds_service.questionnaires.form import Form
from cds_service.questionnaires.items import response_items
from cds_service.questionnaires.origin import with_origins
from cds_service.questionnaires.policy_forms import policy_launch
from cds_service.questionnaires.problems import ERROR, Problem
from cds_service.questionnaires.sight import Launch
from cds_service.questionnaires.validation import Limits, problems
from cds_service.record.patient_record import PatientRecord
from cds_service.record.resources import Resource, text

_LIMITS = Limits(longest_text=20_000, deepest=20)
_URIS = "urn:ietf:rfc:3986"


@dataclass(frozen=True)
class OpenForm:
    """A form that somebody has open, at ``now``."""

    session: FormSession
    opening: Opening
    form: Form
    now: datetime

    @property
    def policy(self) -> Policy:
        """The policy that the card was of."""
        return self.opening.policy

    @property
    def is_request(self) -> bool:
        """Whether it is a request for individual funding, and not the policy's own questions."""
        return self.opening.shared is not None

    @cached_property
    def progress(self) -> Progress | None:
        """What the answers decide; None for a form that decides nothing."""
        if self.is_request:
            return None
        questions = self.opening.library.questions[self.policy.canonical]
        return progress(self.policy, questions, self.session.stated, self.session.response)

    @cached_property
    def launch(self) -> Launch:
        """What the form's conditions see. The record is put away by now: what they would read of it is not read."""
        context = self.session.context
        patient = self.session.patient
        record = PatientRecord(context.patient_id, patient, {})
        if self.opening.shared is None:
            situation = Situation(self.opening.order, record, None, self.now, context.funding_outcome)
            return policy_launch(self.policy, situation, self.session.user)
        contexts = {
            "patient": patient,
            "clinical": context.order,
            "user": self.session.user,
            "determination": self.session.guidance,
        }
        return shared_form_launch(self.opening.shared, contexts, record, self.now)

    @cached_property
    def asked_items(self) -> frozenset[str]:
        """The linkIds that the form shows with these answers."""
        return enabled(self.form, self.session.response, self.launch).link_ids

    @cached_property
    def answered_items(self) -> frozenset[str]:
        """The linkIds that stand in the response, answered or with "don't know"."""
        return frozenset(
            item["linkId"] for _, item in response_items(self.session.response) if "linkId" in item
        )

    def with_response(self, response: Resource) -> OpenForm:
        """The same form with these answers."""
        return replace(self, session=replace(self.session, response=response))

    def faults(self, response: Resource) -> tuple[Problem, ...]:
        """What is wrong with a response; what is merely uncertain is left out."""
        found = problems(self.form, response, self.launch, _LIMITS)
        return tuple(each for each in found if each.severity == ERROR)

    def completed(self) -> dict[str, Any]:
        """The response as it is sent: complete, with where each answer comes from, and a name to know it again by.

        Once it was completed, as it was then.
        """
        if self.session.status == COMPLETED:
            return dict(self.session.response)
        session, author = self.session, _author(self.session.user)
        marked = with_origins(_without_disabled(self), session.populated, author)
        return {
            **marked,
            "id": session.response_id,
            "identifier": {"system": _URIS, "value": f"urn:uuid:{session.response_id}"},
            "status": "completed",
            "authored": self.now.isoformat(timespec="seconds"),
        }


def _without_disabled(opened: OpenForm) -> Mapping[str, Any]:
    """The answers without those of items that the form, as it is answered now, does not ask."""
    return _kept(opened.session.response, opened.asked_items)


def _kept(element: Resource, asked: frozenset[str]) -> dict[str, Any]:
    kept = dict(element)
    if "answer" in element:
        kept["answer"] = [_kept(each, asked) for each in element["answer"]]
    if "item" in element:
        items = [_kept(each, asked) for each in element["item"] if each.get("linkId") in asked]
        kept = (
            {**kept, "item": items}
            if items
            else {name: each for name, each in kept.items() if name != "item"}
        )
    return kept


def _author(user: Resource | None) -> str | None:
    kind, logical = text(user, "resourceType"), text(user, "id")
    return f"{kind}/{logical}" if kind and logical else None
