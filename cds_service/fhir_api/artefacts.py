"""The knowledge artefacts that are served: plans, questionnaires, value sets and our operations' definitions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

from cds_service.errors import ResourceNotFoundError
from cds_service.policies.policy import canonical
from cds_service.policies.recent import Recent
from cds_service.record.resources import Resource, text

PREFERRED_TERMINOLOGY_SERVER = (
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-preferredTerminologyServer"
)

# How many resources are kept as they are served, for whoever asks again.
_MOST_MADE = 1_000
# The types that are read and searched; other types have operations alone.
SERVED_TYPES = ("OperationDefinition", "PlanDefinition", "Questionnaire", "ValueSet")


@dataclass(frozen=True)
class Artefact:
    """A resource that is served: the elements that it is found by, and the whole when it is asked for."""

    found_by: Resource
    resource: Callable[[], Resource]


def at_hand(resource: Resource) -> Artefact:
    """A resource that need not be made."""
    return Artefact(resource, lambda: resource)


@dataclass(frozen=True)
class Artefacts:
    """What is served by type, in the order in which searches show it: by canonical URL, newest version first."""

    by_type: Mapping[str, tuple[Artefact, ...]]

    def of_type(self, resource_type: str) -> tuple[Artefact, ...]:
        """All of one type. ResourceNotFoundError for a type that is not served."""
        if resource_type not in self.by_type:
            served = ", ".join(self.by_type)
            raise ResourceNotFoundError(resource_type, "no such resource type", f"one of {served}")
        return self.by_type[resource_type]

    def read(self, resource_type: str, resource_id: str) -> Resource:
        """The resource of this id, in its newest version. ResourceNotFoundError when there is none."""
        for artefact in self.of_type(resource_type):
            if artefact.found_by["id"] == resource_id:
                return artefact.resource()
        raise ResourceNotFoundError(
            f"{resource_type}.id", "an id that is not in use", f"the id of a {resource_type} served here"
        )

    def named(self, resource_type: str, reference: str, where: str) -> Resource:
        """The resource that a canonical names, in its newest version if it says none. ResourceNotFoundError if none.

        ``where``: the place in the request that names it.
        """
        url, version = canonical(reference)
        for artefact in self.of_type(resource_type):
            found_by = artefact.found_by
            if found_by["url"] == url and version in {None, found_by.get("version")}:
                return artefact.resource()
        raise ResourceNotFoundError(
            where, "a canonical that is not in use", f"the url of a {resource_type} served here"
        )


def artefacts(published: Iterable[Artefact], public_url: str) -> Artefacts:
    """These resources as they are served: each canonical once, forms with our terminology server, all with a version."""
    found: dict[str, dict[tuple[str, str], Artefact]] = {kind: {} for kind in SERVED_TYPES}
    made: Recent[tuple[str, str, str], Resource] = Recent(_MOST_MADE)
    for each in published:
        kind, url, version = (text(each.found_by, name) or "" for name in ("resourceType", "url", "version"))
        served = partial(made.of, (kind, url, version), partial(_served, each, public_url))
        found[kind].setdefault((url, version), Artefact(each.found_by, served))
    return Artefacts({kind: _in_order(held.values()) for kind, held in found.items()})


def _in_order(found: Iterable[Artefact]) -> tuple[Artefact, ...]:
    newest_first = sorted(found, key=lambda each: _version_parts(each.found_by), reverse=True)
    return tuple(sorted(newest_first, key=lambda each: str(each.found_by["url"])))


def _version_parts(resource: Resource) -> tuple[tuple[int, str], ...]:
    """A business version as it is compared: number by number, so that 10 comes after 9."""
    parts = (text(resource, "version") or "").split(".")
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def _served(artefact: Artefact, public_url: str) -> Resource:
    resource = artefact.resource()
    if resource["resourceType"] == "Questionnaire":
        resource = with_terminology_server(resource, public_url)
    meta = {**resource.get("meta", {}), "versionId": version_id(resource)}
    return {"resourceType": resource["resourceType"], "id": resource["id"], "meta": meta} | {
        name: value for name, value in resource.items() if name not in {"resourceType", "id", "meta"}
    }


def with_terminology_server(questionnaire: Resource, public_url: str) -> Resource:
    """A form that tells renderers where its value sets are expanded; one that names a server keeps it."""
    extensions = questionnaire.get("extension", [])
    if any(each.get("url") == PREFERRED_TERMINOLOGY_SERVER for each in extensions):
        return questionnaire
    ours = {"url": PREFERRED_TERMINOLOGY_SERVER, "valueUrl": f"{public_url}/fhir"}
    return {**questionnaire, "extension": [*extensions, ours]}


def version_id(resource: Resource) -> str:
    """A version id that changes exactly when the content does: the head of its sha256."""
    content = json.dumps(resource, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:16]
