"""How a plan says that an individual request is made."""

from __future__ import annotations

from cds_service.policies.loading.documents import Document
from cds_service.policies.loading.extensions import APPLICANT, RESPONSE_TIME, SUBMISSION, extensions
from cds_service.policies.loading.plan import INDIVIDUAL_FUNDING, citation
from cds_service.policies.policy import FundingRoute, canonical
from cds_service.record.resources import Resource, members, text


def funding_route(document: Document) -> FundingRoute | None:
    """How an individual request is made, None when the plan does not say. PlanError when it says so twice or in part."""
    found = [
        (f"relatedArtifact[{position}]", artifact)
        for position, artifact in enumerate(members(document.resource, "relatedArtifact"))
        if artifact.get("type") == "documentation" and artifact.get("label") == INDIVIDUAL_FUNDING
    ]
    if len(found) > 1:
        raise document.problem(found[1][0], INDIVIDUAL_FUNDING, "one route, not two")
    return _route(document, *found[0]) if found else None


def _route(document: Document, path: str, artifact: Resource) -> FundingRoute:
    form = text(artifact, "resource")
    applicants = _texts(document, path, artifact, APPLICANT)
    if form is not None and canonical(form)[1] is None:
        raise document.problem(f"{path}.resource", form, "a form's canonical with its version")
    if form is not None and not applicants:
        raise document.problem(f"{path}.extension", form, f"an extension {APPLICANT}: who may fill it in")
    return FundingRoute(
        citation=citation(artifact),
        applicants=applicants,
        submission=next(iter(_texts(document, path, artifact, SUBMISSION)), None),
        response_time=next(iter(_texts(document, path, artifact, RESPONSE_TIME)), None),
        form=form,
    )


def _texts(document: Document, path: str, artifact: Resource, url: str) -> tuple[str, ...]:
    """What the extensions of one kind say, each of which must say something."""
    found = []
    for position, extension in extensions(artifact, url):
        words = text(extension, "valueString")
        if words is None:
            where = f"{path}.extension[{position}].valueString"
            raise document.problem(where, extension.get("valueString"), "a text")
        found.append(words)
    return tuple(found)
