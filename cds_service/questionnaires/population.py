"""A form filled in from what is known: SDC's ``$populate``.

First every item that has one takes its initialExpression's value, or its initial one (``filling``); then calculated
values are computed until nothing changes (``calculation``). An expression that fails, or touches what was not read,
leaves its item open and says why: never a made-up "no". Only answered items that are asked stand in the result: an item
that is present and left open would say "don't know" (see ``responses``).

Source: https://hl7.org/fhir/uv/sdc/populate.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.policies.findings import Evidence
from cds_service.questionnaires.calculation import calculated
from cds_service.questionnaires.enablement import Enablement, enabled
from cds_service.questionnaires.filling import Filling
from cds_service.questionnaires.form import Form
from cds_service.questionnaires.items import RESPONSE, response_items
from cds_service.questionnaires.places import without
from cds_service.questionnaires.problems import Problem
from cds_service.questionnaires.sight import Launch
from cds_service.record.resources import Resource, members, text

_AUTHORS = frozenset({"Practitioner", "PractitionerRole", "Patient", "RelatedPerson"})
_ORDERS = frozenset({"ServiceRequest", "CarePlan"})


@dataclass(frozen=True)
class Populated:
    """A response ``in-progress``, by linkId the evidence that its form shows, and what could not be filled in, and why.

    ``defaults``: the linkIds whose answer is the form's own initial value, not the record's.
    """

    response: dict[str, Any]
    evidence: Mapping[str, tuple[Evidence, ...]]
    issues: tuple[Problem, ...]
    defaults: frozenset[str]


def populated(form: Form, launch: Launch) -> Populated:
    """The response of a form as far as the launch proves its answers, each marked with its origin."""
    filling = Filling(form, launch)
    full = calculated(filling, filling.first(_head(form, launch)))
    enablement = enabled(form, full, launch)
    response = _answered(without(full, enablement.disabled))
    answered = {item["linkId"] for _, item in response_items(response)}
    return Populated(
        response,
        {link_id: tuple(found) for link_id, found in filling.evidence.items()},
        _issues(form, filling, enablement),
        frozenset(filling.defaults & answered),
    )


def _issues(form: Form, filling: Filling, enablement: Enablement) -> tuple[Problem, ...]:
    """Everything that was met, but not about items that are not asked anyway."""
    met = (*form.problems, *filling.problems.values(), *enablement.problems)
    return tuple(each for each in met if each.link_id is None or each.link_id in enablement.link_ids)


def _head(form: Form, launch: Launch) -> dict[str, Any]:
    """Everything of a response but its items."""
    head: dict[str, Any] = {"resourceType": RESPONSE, "status": "in-progress"}
    if form.canonical is not None:
        head["questionnaire"] = form.canonical
    if launch.subject is not None:
        head["subject"] = {"reference": launch.subject}
    if order := _reference_to(launch.contexts.get("clinical"), _ORDERS):
        head["basedOn"] = [{"reference": order}]
    head["authored"] = launch.now.isoformat(timespec="seconds")
    if author := _reference_to(launch.contexts.get("user"), _AUTHORS):
        head |= {"author": {"reference": author}, "source": {"reference": author}}
    return head


def _reference_to(resource: object, types: frozenset[str]) -> str | None:
    kind, logical = text(resource, "resourceType"), text(resource, "id")
    return f"{kind}/{logical}" if kind in types and logical else None


def _answered(element: Resource) -> dict[str, Any]:
    """The element with those items alone that have an answer, or have one below them."""
    kept = dict(element)
    if "answer" in element:
        kept["answer"] = [_answered(answer) for answer in members(element, "answer")]
    if "item" in element:
        items = [_answered(item) for item in members(element, "item")]
        kept["item"] = [item for item in items if "answer" in item or "item" in item]
        if not kept["item"]:
            del kept["item"]
    return kept
