"""One call of an operation, and what its answer is made from whichever operation it is."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_service.errors import RequestError, ResourceNotFoundError
from cds_service.fhir_api.artefacts import Artefacts
from cds_service.fhir_api.parameters import Inputs
from cds_service.policies.library import Library
from cds_service.policies.policy import Policy, canonical
from cds_service.record.orders import Order
from cds_service.record.resources import Resource, codings, full_date, text
from cds_service.settings import Settings


@dataclass(frozen=True)
class Call:
    """One call of an operation; ``resource_id`` when it is called on an instance. ``now`` is aware."""

    inputs: Inputs
    resource_id: str | None
    held: Artefacts
    library: Library
    settings: Settings
    now: datetime


def policy_of_form(library: Library, reference: str) -> Policy | None:
    """The policy whose Questionnaire a canonical names, None when it is no policy's."""
    url, version = canonical(reference)
    places = (
        place
        for place, listing in enumerate(library.listings)
        if listing.questionnaire_url == url and version in {None, listing.version}
    )
    return next((library.policies[place] for place in places), None)


def policy_of_plan(call: Call) -> Policy:
    """The policy that a call is about, by id or by canonical. ResourceNotFoundError when it is not in use."""
    if call.resource_id is not None:
        plan = call.held.read("PlanDefinition", call.resource_id)
    else:
        url, version = call.inputs.needed("url"), call.inputs.value("version")
        named = f"{url.value}|{version}" if version and "|" not in url.value else url.value
        plan = call.held.named("PlanDefinition", named, url.where)
    policy = call.library.policy(f"{plan['url']}|{plan['version']}")
    if policy is None:
        raise ResourceNotFoundError("PlanDefinition", "a plan of another policy set", "one in use")
    return policy


def order_of(resource: Resource, where: str) -> Order:
    """A ServiceRequest as an order. RequestError when it is none."""
    if resource.get("resourceType") != "ServiceRequest":
        raise RequestError(where, f"a {str(resource.get('resourceType'))[:40]}", "a ServiceRequest")
    return Order(
        resource=resource,
        reference=f"ServiceRequest/{resource['id']}" if text(resource, "id") else None,
        codes=codings(resource.get("code")),
        authored=full_date(text(resource, "authoredOn")),
    )


def value_sets_for(call: Call, questionnaire: Resource, urls: Container[str]) -> tuple[Resource, ...]:
    """The value sets of these URLs, of several versions of one those first that a form does not mean and its own last."""
    newest_first = [each for each in call.held.of_type("ValueSet") if each.found_by["url"] in urls]
    own = (each for each in newest_first if each.found_by.get("version") == questionnaire.get("version"))
    return tuple(each.resource() for each in (*reversed(newest_first), *own))


def outcome(issues: list[dict[str, Any]]) -> Resource | None:
    """The OperationOutcome of these issues, None when there are none."""
    return {"resourceType": "OperationOutcome", "issue": issues} if issues else None
